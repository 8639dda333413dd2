// Servers for the matrix of trust: one that speaks both protocols over proper TLS, `openssl s_server` for what our
// own server side refuses to do, and some that never get through a handshake.

import FastFeed
import Foundation
import Glibc

/// Somewhere to connect to; gone with the object.
protocol TLSPlace: AnyObject {
    var port: UInt16 { get }
}

/// TLS 1.2 or newer with a given certificate. Whoever gets through is answered: an upgrade with a WebSocket, Redis
/// commands with what a greeting wants to hear.
final class TLSServer: TLSPlace {
    private let listener: LoopbackListener
    var port: UInt16 { listener.port }

    init(_ certificate: TestCertificate) throws {
        let context = try TLSContext.server(certificateFile: certificate.chain, keyFile: certificate.key)
        listener = try LoopbackListener()
        listener.start { TLSServer.serve($0, context) }
    }

    deinit { listener.stop() }

    private static func serve(_ number: Int32, _ context: TLSContext) {
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK)
        var transport = Transport.accepted(number)
        transport.startServerTLS(context)
        let deadline = Date(timeIntervalSinceNow: 5)
        var isSecured = false
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while Date() < deadline {
            if !isSecured {
                switch transport.handshake() {
                case .done: isSecured = true
                case .failed: return
                case .wantRead, .wantWrite: wait(number)
                }
                continue
            }
            switch chunk.withUnsafeMutableBytes({ transport.read(into: $0.baseAddress!, count: $0.count) }) {
            case .bytes(let count):
                let answer = answer(to: String(decoding: chunk[..<count], as: UTF8.self))
                _ = transport.write(answer.span)
            case .wouldBlock: wait(number)
            case .endOfStream, .failed: return
            }
        }
    }

    private static func wait(_ number: Int32) {
        var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        _ = poll(&entry, 1, 50)
    }

    private static func answer(to text: String) -> [UInt8] {
        if let key = text.split(separator: "\r\n").first(where: { $0.hasPrefix("Sec-WebSocket-Key: ") })?.dropFirst(19) {
            let head = [
                "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Accept: \(UpgradeRequest.accept(for: String(key)))",
            ]
            return HostilePeer.head(head)
        }
        let words = text.split(separator: "\r\n")
        return words.flatMap { word in
            switch word {
            case "PING": Array("+PONG\r\n".utf8)
            case "CLIENT": Array(":7\r\n".utf8)
            case "EVAL", "SCRIPT": Array("$-1\r\n".utf8)
            default: [UInt8]()
            }
        }
    }
}

/// `openssl s_server` at security level 0, which does what must be refused. It answers a request with HTTP/1.0.
final class OpenSSLServer: TLSPlace {
    let port: UInt16
    private let process = Process()

    init(_ certificate: TestCertificate, chain: TestCertificate? = nil, _ arguments: [String] = []) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var words = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cipher", "ALL:@SECLEVEL=0"]
        words += ["-cert", certificate.certificate, "-key", certificate.key]
        if let chain { words += ["-cert_chain", chain.certificate] }
        process.arguments = words + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var text = ""
        while !text.contains("ACCEPT") || text.last != "\n" {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw FeedError(.tls, "openssl s_server did not start: \(text)") }
            text += String(decoding: data, as: UTF8.self)
        }
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("ACCEPT") }), let colon = line.lastIndex(of: ":"),
            let number = UInt16(line[line.index(after: colon)...])
        else { throw FeedError(.tls, "openssl s_server names no port: \(text)") }
        port = number
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// TCP, but no proper handshake on it.
final class BrokenTLSServer: TLSPlace {
    enum Kind: Sendable {
        case silent
        /// Plain text, whatever comes.
        case plain(String)
        case ends
        /// Hands on a proper server's ServerHello, and nothing after it.
        case stopsAfterServerHello(of: UInt16)
    }

    private let listener: LoopbackListener
    var port: UInt16 { listener.port }

    init(_ kind: Kind) throws {
        listener = try LoopbackListener()
        listener.start { BrokenTLSServer.serve(HostilePeer($0), kind) }
    }

    deinit { listener.stop() }

    private static func serve(_ peer: HostilePeer, _ kind: Kind) {
        var hello = [UInt8](repeating: 0, count: 4_096)
        let count = recv(peer.descriptor, &hello, hello.count, 0)
        guard count > 0 else { return }
        switch kind {
        case .silent: peer.awaitEnd(timeoutMs: 5_000)
        case .plain(let text):
            peer.send(text)
            peer.awaitEnd(timeoutMs: 5_000)
        case .ends: peer.end()
        case .stopsAfterServerHello(let port):
            if let record = firstRecord(of: port, to: Array(hello[..<count])) { peer.send(record) }
            peer.awaitEnd(timeoutMs: 5_000)
        }
    }

    /// What a proper server's answer begins with: one handshake record, the ServerHello.
    private static func firstRecord(of port: UInt16, to hello: [UInt8]) -> [UInt8]? {
        guard let address = SocketAddress(numericHost: "127.0.0.1", port: port) else { return nil }
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        let connected = address.bytes.withUnsafeBytes {
            connect(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard connected == 0, send(number, hello, hello.count, Int32(MSG_NOSIGNAL)) == hello.count else { return nil }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < 5 || bytes.count < 5 + Int(bytes[3]) << 8 + Int(bytes[4]) {
            let count = recv(number, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
        return Array(bytes.prefix(5 + Int(bytes[3]) << 8 + Int(bytes[4])))
    }
}
