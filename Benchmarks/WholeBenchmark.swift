// The whole engine over loopback: the exchange in a process of its own, a real redis-server, the engine in this
// one. Latency is socket readable → acknowledged by Redis, per candle state written. CPU is this process alone.

import FastFeed
import Foundation
import VenueSimulator

struct WholeBenchmark {
    /// Nil: as fast as the engine takes.
    let framesPerSecond: Int?
    let quick: Bool

    static let symbols = 300

    func run() throws {
        let pace = framesPerSecond.map { ["--push-ms", String(WholeBenchmark.symbols * 1_000 / $0)] } ?? ["--flat-out"]
        let exchange = try ExchangeProcess(["--symbols", String(WholeBenchmark.symbols), "--illiquid-every", "0"] + pace)
        defer { exchange.stop() }
        let redis = try RedisServerProcess()
        defer { redis.stop() }
        var configuration = EngineConfiguration()
        configuration.venue = try WebSocketEndpoint(url: exchange.webSocketBase)
        configuration.redis = redis.endpoint
        configuration.fluxes = [
            FluxDefinition(
                symbols: SymbolSpec.list(seed: 1, market: .spot, count: WholeBenchmark.symbols, illiquidEvery: 0).map(\.symbol),
                intervals: [.m1])
        ]
        let engine = try Engine(configuration)
        try engine.start()
        Thread.sleep(forTimeInterval: quick ? 1 : 3)
        let before = (engine.snapshot(), ProcessUsage.now())
        Thread.sleep(forTimeInterval: quick ? 1 : 8)
        let after = (engine.snapshot(), ProcessUsage.now())
        exchange.stop()
        Thread.sleep(forTimeInterval: 0.3)
        let report = engine.stop()
        guard report.isClean else { throw FeedError(.redis, "not everything was written: \(report)") }
        show(before, after)
    }

    private func show(_ before: (EngineSnapshot, ProcessUsage), _ after: (EngineSnapshot, ProcessUsage)) {
        let seconds = Double(after.0.uptimeNs - before.0.uptimeNs) / 1e9
        func delta(_ id: CounterID) -> Double { Double(after.0.counters[id] - before.0.counters[id]) }
        let frames = delta(.messagesReceived)
        let cpuNs = Double(after.1.userNs + after.1.systemNs - before.1.userNs - before.1.systemNs)
        let latency = after.0.latency - before.0.latency
        func us(_ share: Double) -> String { latency.quantile(share).map { String(format: "%.0f", Double($0) / 1_000) } ?? "-" }
        let name = framesPerSecond.map(String.init) ?? "saturated"
        print(
            "end-to-end/\(name.padding(toLength: 14, withPad: " ", startingAt: 0))",
            String(
                format: "%8.0f frames/s, %7.0f candles/s, %6.2f us CPU/frame, socket to ack us:", frames / seconds,
                delta(.candlesWritten) / seconds, cpuNs / 1_000 / frames),
            "p50 \(us(0.5)) p90 \(us(0.9)) p99 \(us(0.99)) p99.9 \(us(0.999)) max \(us(1)),",
            String(
                format: "RSS %.1f MB, rejected %d, duplicates %.0f", Double(after.0.residentBytes) / 1e6, after.0.counters.rejected,
                delta(.duplicates)))
    }
}
