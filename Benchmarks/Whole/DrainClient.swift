// A reader that does nothing but count messages: what the exchange can send at most. Main thread.

import FastFeed
import Foundation

enum DrainClient {
    struct Result {
        let framesPerSecond: Double
        /// CPU of the exchange for one frame, microseconds.
        let exchangeMicroseconds: Double
    }

    /// Subscribes to all series in the URL, lets the stream run in, and counts for some seconds.
    static func run(_ exchange: ExchangeProcess, _ setup: Setup, seconds: Double) throws -> Result {
        let base = try WebSocketEndpoint(url: exchange.webSocketBase)
        let streams = setup.followedNames.map { "\($0)@kline_\(setup.intervals[0].token)" }.joined(separator: "/")
        let request = UpgradeRequest(
            endpoint: WebSocketEndpoint(
                isSecure: base.isSecure, host: base.authority.host, port: base.authority.port, target: "/stream?streams=\(streams)"))
        var connection = try RawConnection(
            SocketAddress(numericHost: base.authority.host, port: base.authority.port), authorityFile: exchange.authorityFile)
        try connection.write(request.bytes)
        let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
        func receive() throws -> Int {
            let count = unsafe connection.read(into: buffer.base, count: buffer.count)
            guard count > 0 else { throw FeedError(.venue, "the exchange has ended the connection") }
            return count
        }
        var options = FrameDecoder.Options()
        options.checksTextInPlace = false
        var decoder = FrameDecoder(options)
        var frames = 0
        func take(_ count: Int) throws {
            unsafe decoder.supply(buffer.base, count: count)
            while true {
                switch decoder.takeEvent() {
                case .message: frames += 1
                case .needMore: return
                default: break
                }
            }
        }
        var reply = UpgradeReply(to: request)
        upgrade: while true {
            switch unsafe reply.feed(UnsafeRawBufferPointer(start: buffer.base, count: try receive())) {
            case .needMore: continue
            case .refused(let refusal): throw FeedError(.venue, refusal.reason)
            case .accepted(let rest):
                unsafe rest.withUnsafeBytes { unsafe buffer.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
                try take(rest.count)
                break upgrade
            }
        }
        func read(for seconds: Double) throws -> (frames: Int, ns: UInt64) {
            let (startNs, before) = (MonotonicClock.nowNs(), frames)
            while Double(MonotonicClock.nowNs() - startNs) < seconds * 1e9 { try take(receive()) }
            return (frames - before, MonotonicClock.nowNs() - startNs)
        }
        _ = try read(for: seconds / 4)
        let beforeNs = try ProcessorTime.ofProcess(exchange.pid)
        let counted = try read(for: seconds)
        let spentNs = try ProcessorTime.ofProcess(exchange.pid) - beforeNs
        return Result(
            framesPerSecond: Double(counted.frames) / Double(counted.ns) * 1e9,
            exchangeMicroseconds: Double(spentNs) / 1_000 / Double(max(1, counted.frames)))
    }
}
