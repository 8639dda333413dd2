// Trust: what certificates we believe, and our own where we serve. Any thread.

import CShims

@safe package final class TLSContext: @unchecked Sendable {
    // An SSL_CTX is safe to share between threads once it is configured, and it is never changed here.
    let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer) { unsafe self.pointer = unsafe pointer }

    deinit { unsafe ff_tls_context_free(pointer) }

    /// For connecting: TLS 1.2 or newer, the peer's chain verified against `authorityFile` (PEM) or the
    /// system's store; the host name is checked by every session. Revocation lists (CRL) in `authorityFile` are heeded:
    /// with any there, a chain is refused when one of its certificates is revoked or its issuer has no current list in
    /// the file. Without any, revocation is not checked. The file is read once, here.
    /// - Throws: a sentence naming the unreadable file.
    package static func client(
        authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil
    ) throws(FeedError) -> TLSContext {
        try unsafe make { error, size in
            unsafe ff_tls_client_context(authorityFile, certificateFile, keyFile, error, size)
        }
    }

    /// For listening.
    package static func server(
        certificateFile: String, keyFile: String, clientAuthorityFile: String? = nil
    ) throws(FeedError) -> TLSContext {
        try unsafe make { error, size in
            unsafe ff_tls_server_context(certificateFile, keyFile, clientAuthorityFile, error, size)
        }
    }

    private static func make(
        _ body: (UnsafeMutablePointer<CChar>, Int) -> OpaquePointer?
    ) throws(FeedError) -> TLSContext {
        var error = [CChar](repeating: 0, count: 256)
        let made = unsafe error.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress!, $0.count) }
        guard let made = unsafe made else {
            throw FeedError(.tls, Ascii.printable(error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, limit: 256))
        }
        return unsafe TLSContext(made)
    }
}
