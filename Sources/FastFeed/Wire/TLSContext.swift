// Trust: what certificates we believe, and our own where we serve. Any thread.

import CShims

@safe package final class TLSContext: @unchecked Sendable {
    // An SSL_CTX is safe to share between threads once it is configured, and it is never changed here.
    let pointer: OpaquePointer
    /// What names an authority instead of the system's store; nil where the store is not asked.
    private let otherwise: String?
    /// Who says where a server is, and which settings there make them say a name instead of an address.
    package struct Naming: Sendable {
        let who: String
        let setting: String
        package static let sentinels = Naming(who: "the Sentinels", setting: "announce-hostnames yes")
        package static let cluster = Naming(
            who: "the cluster's nodes", setting: "cluster-announce-hostname NAME` and `cluster-preferred-endpoint-type hostname")
    }
    /// Who has told the server's address, where that was nobody who set us up.
    private let namedBy: Naming?

    private init(_ pointer: OpaquePointer, otherwise: String?, namedBy: Naming?) {
        unsafe self.pointer = unsafe pointer
        (self.otherwise, self.namedBy) = (otherwise, namedBy)
    }

    deinit { unsafe ff_tls_context_free(pointer) }

    /// For connecting: TLS 1.2 or newer, the peer's chain verified against `authorityFile` (PEM) or the
    /// system's store; the host name is checked by every session. Revocation lists (CRL) in `authorityFile` are heeded:
    /// with any there, a chain is refused when one of its certificates is revoked or its issuer has no current list in
    /// the file. Without any, revocation is not checked. The file is read once, here.
    /// - Parameters:
    ///   - setting: what a person names the authority's file with.
    ///   - namedBy: where others say where the server is.
    /// - Throws: a sentence naming the unreadable file.
    package static func client(
        authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, setting: String = "--ca-file",
        namedBy: Naming? = nil
    ) throws(FeedError) -> TLSContext {
        try unsafe make(otherwise: authorityFile == nil ? setting : nil, namedBy: namedBy) { error, size in
            unsafe ff_tls_client_context(authorityFile, certificateFile, keyFile, error, size)
        }
    }

    /// A context of the listening side.
    package static func server(
        certificateFile: String, keyFile: String, clientAuthorityFile: String? = nil
    ) throws(FeedError) -> TLSContext {
        try unsafe make(otherwise: nil) { error, size in
            unsafe ff_tls_server_context(certificateFile, keyFile, clientAuthorityFile, error, size)
        }
    }

    /// The reason of a failed handshake, with what can be done where the system's store did not know the peer's authority, or where the
    /// certificate is for another name than we were told.
    /// - Parameter host: who was to show the certificate.
    package func advised(_ reason: String, host: String? = nil) -> String {
        if let namedBy, let host {
            let advice =
                reason.contains("mismatch")
                ? "; \(namedBy.who) name it so: `\(namedBy.setting)` there, or put '\(host)' into the certificate" : ""
            return "\(host): " + advised(reason) + advice
        }
        guard let otherwise, TLSContext.unknownIssuers.contains(where: { reason.contains($0) }) else { return reason }
        guard ff_tls_has_system_store() == 0 else {
            return reason + ": its authority is not in the system's certificate store; name its file with \(otherwise)"
        }
        return reason + ": this machine has no certificate store; install ca-certificates, or name a file with \(otherwise)"
    }

    /// OpenSSL's words for an authority that is not in the store.
    private static let unknownIssuers = ["unable to get local issuer certificate", "self-signed certificate in certificate chain"]

    private static func make(
        otherwise: String?, namedBy: Naming? = nil, _ body: (UnsafeMutablePointer<CChar>, Int) -> OpaquePointer?
    ) throws(FeedError) -> TLSContext {
        var error = [CChar](repeating: 0, count: 256)
        let made = unsafe error.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress!, $0.count) }
        guard let made = unsafe made else {
            throw FeedError(.tls, Ascii.printable(error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, limit: 256))
        }
        return unsafe TLSContext(made, otherwise: otherwise, namedBy: namedBy)
    }
}
