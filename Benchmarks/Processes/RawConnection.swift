// A blocking byte stream for the benchmarks' own ends (the subscriber, requests to the exchange): the product's
// transport, TLS included, without its readers. One thread.

import FastFeed
import Glibc

struct RawConnection: ~Copyable {
    private var transport: Transport

    /// - Parameter authorityFile: speaks TLS and trusts this; nil: plain.
    static func open(_ address: SocketAddress?, authorityFile: String? = nil) throws -> RawConnection {
        guard let address else { throw FeedError(.system, "not a numeric address") }
        var made = RawConnection(transport: try Transport.connect(to: address))
        guard made.wait(POLLOUT, milliseconds: 5_000) else { throw FeedError(.system, "no connection within 5 s") }
        if let error = made.transport.finishConnect() { throw error }
        guard let authorityFile else { return made }
        made.transport.startTLS(try TLSContext.client(authorityFile: authorityFile), host: "127.0.0.1")
        while case let step = made.transport.handshake(), step != .done {
            if case .failed(let reason) = step { throw FeedError(.tls, reason) }
            _ = made.wait(step == .wantRead ? POLLIN : POLLOUT, milliseconds: 5_000)
        }
        return made
    }

    /// For `POLLIN` or `POLLOUT`. False: in vain.
    func wait(_ event: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: transport.number, events: Int16(event), revents: 0)
        return unsafe Glibc.poll(&entry, 1, milliseconds) == 1
    }

    mutating func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            switch transport.write(bytes.span.extracting(droppingFirst: sent)) {
            case .bytes(let count): sent += count
            case .wouldBlock: _ = wait(POLLOUT, milliseconds: 1_000)
            case .endOfStream, .failed: throw FeedError(.system, "the connection is lost")
            }
        }
    }

    /// What is there, at least one byte; 0 when the connection is over.
    mutating func read(into bytes: UnsafeMutableRawPointer, count: Int) -> Int {
        while true {
            switch unsafe transport.read(into: bytes, count: count) {
            case .bytes(let got): return got
            case .wouldBlock: _ = wait(POLLIN, milliseconds: 1_000)
            case .endOfStream, .failed: return 0
            }
        }
    }

    /// All that comes until the connection is over.
    mutating func readAll() -> [UInt8] {
        let buffer = PaddedBuffer(count: 65_536)
        var all: [UInt8] = []
        while case let count = unsafe read(into: buffer.base, count: buffer.count), count > 0 {
            unsafe all.append(contentsOf: UnsafeRawBufferPointer(start: buffer.base, count: count))
        }
        return all
    }
}
