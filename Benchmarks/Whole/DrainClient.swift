// A reader that does nothing but count messages: what the exchange can send at most. Main thread.

import FastFeed

enum DrainClient {
    /// The microseconds are the CPU of the exchange for one frame.
    typealias Result = (framesPerSecond: Double, exchangeMicroseconds: Double)

    /// Subscribes to all series in the URL, lets the stream run in, and counts for some seconds.
    static func run(_ exchange: ExchangeProcess, _ setup: Setup, seconds: Double) throws -> Result {
        let base = try WebSocketEndpoint(url: exchange.webSocketBase)
        let streams = setup.followedNames.map { "\($0)@kline_\(setup.intervals[0].token)" }.joined(separator: "/")
        let endpoint = WebSocketEndpoint(
            isSecure: base.isSecure, host: base.authority.host, port: base.authority.port, target: "/stream?streams=\(streams)")
        var options = ConnectionOptions()
        options.decoder.checksTextInPlace = false
        let poller = try Poller()
        let port = PollerPort(poller: poller, wakeUp: try WakeUp(), agent: 0)
        var connection = WebSocketConnection(
            endpoint: endpoint, options: options, tls: try exchange.authorityFile.map { try TLSContext.client(authorityFile: $0) },
            port: port, token: port.token(slot: 0, generation: 0), nowNs: MonotonicClock.nowNs())
        func wait() { _ = poller.wait(timeoutNs: 10_000_000) }
        try Wait.until(10, "the exchange's answer to the upgrade", turn: wait) {
            if case .failed(let reason, _) = connection.open(nowNs: MonotonicClock.nowNs()) { throw FeedError(.venue, reason) }
            return connection.phase == .open
        }
        let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
        func read(for seconds: Double) throws -> (frames: Int, ns: UInt64) {
            let startNs = MonotonicClock.nowNs()
            var frames = 0
            while Double(MonotonicClock.nowNs() - startNs) < seconds * 1e9 {
                switch unsafe connection.read(into: buffer.base, count: buffer.count) {
                case .bytes(let count): unsafe connection.decoder.supply(buffer.base, count: count)
                case .wouldBlock: wait()
                case .endOfStream, .failed: throw FeedError(.venue, "the exchange has ended the connection")
                }
                events: while true {
                    switch connection.decoder.takeEvent() {
                    case .message: frames += 1
                    case .needMore: break events
                    default: break
                    }
                }
            }
            return (frames, MonotonicClock.nowNs() - startNs)
        }
        _ = try read(for: seconds / 4)
        let beforeNs = try ProcessorTime.ofProcess(exchange.pid)
        let counted = try read(for: seconds)
        let spentNs = try ProcessorTime.ofProcess(exchange.pid) - beforeNs
        return (Double(counted.frames) / Double(counted.ns) * 1e9, Double(spentNs) / 1_000 / Double(max(1, counted.frames)))
    }
}
