// A blocking byte stream for the benchmarks' own ends (the subscriber, the reader that only counts): the product's
// transport, TLS included, without its readers.

import FastFeed
import Glibc

struct RawConnection: ~Copyable {
    private var transport: Transport

    init(_ endpoint: RedisEndpoint) throws {
        switch endpoint.place {
        case .unix(let path): try self.init(SocketAddress(unixPath: path))
        case .tcp(let authority): try self.init(authority.numericAddress)
        }
    }

    /// - Parameter authorityFile: speaks TLS and trusts this; nil: plain.
    init(_ address: SocketAddress?, authorityFile: String? = nil) throws {
        guard let address else { throw FeedError(.system, "not a numeric address") }
        var opened = try Transport.connect(to: address)
        guard RawConnection.wait(opened.number, POLLOUT, 5_000) else { throw FeedError(.system, "no connection within 5 s") }
        if let error = opened.finishConnect() { throw error }
        if let authorityFile {
            opened.startTLS(try TLSContext.client(authorityFile: authorityFile), host: "127.0.0.1")
            try RawConnection.secure(&opened)
        }
        transport = opened
    }

    private static func secure(_ transport: inout Transport) throws {
        while true {
            switch transport.handshake() {
            case .done: return
            case .failed(let reason): throw FeedError(.tls, reason)
            case .wantRead: _ = wait(transport.number, POLLIN, 5_000)
            case .wantWrite: _ = wait(transport.number, POLLOUT, 5_000)
            }
        }
    }

    private static func wait(_ number: Int32, _ events: Int32, _ milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        return unsafe Glibc.poll(&entry, 1, milliseconds) == 1
    }

    func waitReadable(milliseconds: Int32) -> Bool { RawConnection.wait(transport.number, POLLIN, milliseconds) }

    mutating func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            switch unsafe bytes.withUnsafeBytes({ unsafe transport.write($0.baseAddress! + sent, count: $0.count - sent) }) {
            case .bytes(let count): sent += count
            case .wouldBlock: _ = RawConnection.wait(transport.number, POLLOUT, 1_000)
            case .endOfStream, .failed: throw FeedError(.system, "the connection is lost")
            }
        }
    }

    /// What is there, at least one byte; 0 when the connection is over.
    mutating func read(into bytes: UnsafeMutableRawPointer, count: Int) -> Int {
        while true {
            switch unsafe transport.read(into: bytes, count: count) {
            case .bytes(let got): return got
            case .wouldBlock: _ = waitReadable(milliseconds: 1_000)
            case .endOfStream, .failed: return 0
            }
        }
    }
}
