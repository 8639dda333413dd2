// A reader that does nothing but count frames by their headers: what the exchange can send at most.

import FastFeed
import Foundation

enum DrainClient {
    struct Result {
        let framesPerSecond: Double
        let bytesPerSecond: Double
        /// CPU of the exchange for one frame, microseconds.
        let exchangeMicroseconds: Double
    }

    /// Subscribes to all series in the URL, lets the stream run in, and counts for some seconds.
    static func run(_ exchange: ExchangeProcess, _ setup: WholeSetup, seconds: Double) throws -> Result {
        let url = try WebSocketEndpoint(url: exchange.webSocketBase)
        var connection = try RawConnection(url.authority.numericAddress, authorityFile: exchange.authorityFile)
        let streams = setup.symbols.map { "\($0)@kline_\(setup.interval.token)" }.joined(separator: "/")
        try connection.write(
            Array(
                """
                GET /stream?streams=\(streams) HTTP/1.1\r\nHost: \(url.authority.host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
                """.utf8))
        try skipAnswer(&connection)
        var counter = FrameCounter()
        let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
        func read(for seconds: Double) throws -> (frames: Int, bytes: Int, ns: UInt64) {
            let (startNs, frames) = (MonotonicClock.nowNs(), counter.frames)
            var (bytes, nowNs) = (0, startNs)
            while Double(nowNs - startNs) < seconds * 1e9 {
                let count = unsafe connection.read(into: buffer.base, count: buffer.count)
                guard count > 0 else { throw FeedError(.venue, "the exchange has ended the connection") }
                unsafe counter.take(UnsafeRawBufferPointer(start: buffer.base, count: count))
                bytes += count
                nowNs = MonotonicClock.nowNs()
            }
            return (counter.frames - frames, bytes, nowNs - startNs)
        }
        _ = try read(for: seconds / 4)
        let beforeNs = try ProcessorTime.ofProcess(exchange.processIdentifier)
        let counted = try read(for: seconds)
        let spentNs = try ProcessorTime.ofProcess(exchange.processIdentifier) - beforeNs
        return Result(
            framesPerSecond: Double(counted.frames) / Double(counted.ns) * 1e9,
            bytesPerSecond: Double(counted.bytes) / Double(counted.ns) * 1e9,
            exchangeMicroseconds: Double(spentNs) / 1_000 / Double(max(1, counted.frames)))
    }

    /// The head of the answer, to its empty line. It comes alone or with frames behind it, so byte by byte.
    private static func skipAnswer(_ connection: inout RawConnection) throws {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while !text.ends(with: Array("\r\n\r\n".utf8)) {
            guard unsafe connection.read(into: &byte, count: 1) == 1, text.count < Limits.handshakeBytesMax else {
                throw FeedError(.venue, "no answer to the upgrade")
            }
            text.append(byte)
        }
        guard text.starts(with: Array("HTTP/1.1 101".utf8)) else {
            throw FeedError(.venue, "the exchange refuses: \(String(decoding: text.prefix(80), as: UTF8.self))")
        }
    }
}

/// Counts frames of a server by their lengths, wherever reads cut them.
struct FrameCounter {
    private(set) var frames = 0
    /// Payload bytes of the present frame still to come.
    private var remaining = 0
    private var header: [UInt8] = []

    @inline(never)
    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var place = 0
        while place < bytes.count {
            if remaining > 0 {
                let step = min(remaining, bytes.count - place)
                (remaining, place) = (remaining - step, place + step)
            } else if header.isEmpty, place + 4 <= bytes.count, unsafe bytes[place + 1] == 126 {
                remaining = unsafe Int(bytes[place + 2]) << 8 | Int(bytes[place + 3])
                frames += 1
                place += 4
            } else {
                unsafe header.append(bytes[place])
                place += 1
                takeHeader()
            }
        }
    }

    private mutating func takeHeader() {
        guard header.count >= 2 else { return }
        let lengthBytes = header[1] == 126 ? 2 : header[1] == 127 ? 8 : 0
        guard header.count == 2 + lengthBytes else { return }
        remaining = lengthBytes == 0 ? Int(header[1]) : header[2...].reduce(0) { $0 << 8 | Int($1) }
        frames += 1
        header = []
    }
}
extension Array where Element == UInt8 {
    fileprivate func ends(with tail: [UInt8]) -> Bool { count >= tail.count && suffix(tail.count).elementsEqual(tail) }
}
