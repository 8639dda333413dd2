// After the demo: every closed candle that the exchange announced against what Redis holds, value by value.

import FastFeed
import VenueSimulator

struct DemoVerdict {
    let text: String
    let isGood: Bool

    private struct Tally {
        var announced = 0
        var same = 0
        var different = 0
        var missing = 0
        /// Announced after the last one that was read: the engine had stopped by then.
        var afterEnd = 0
        var firstWrong: String?
    }

    init(_ world: DemoWorld, left: StopReport) throws {
        let snapshot = world.engine.snapshot()
        let tally = try DemoVerdict.compare(world)
        isGood = tally.different == 0 && tally.missing == 0 && tally.same > 0 && left.isClean
        text = DemoVerdict.render(world, ReportFigures(snapshot, since: nil), tally, left, snapshot.uptimeNs)
    }

    private static func compare(_ world: DemoWorld) throws -> Tally {
        let client = try RedisClient.connect(world.redis.endpoint, timeout: .seconds(5))
        defer { client.close() }
        let truth = Dictionary(grouping: world.simulator.closedCandles().filter { $0.delivered && $0.offsetMs == 0 }, by: \.series)
        let keys = world.configuration.schema
        var tally = Tally()
        for (series, candles) in truth {
            let key = keys.historyKey(series)
            let stored = try client.command("XRANGE", key, "-", "+").historyEntries
            let byTime = Dictionary(stored.map { ($0.openTimeMs, $0) }) { first, _ in first }
            let newest = stored.last?.openTimeMs ?? .min
            // What the cap on the history has removed can no longer be compared.
            let oldest = stored.count >= world.configuration.history ? stored[0].openTimeMs : .min
            for truth in candles where truth.candle.openTimeMs >= oldest {
                guard truth.candle.openTimeMs <= newest else {
                    tally.afterEnd += 1
                    continue
                }
                tally.announced += 1
                guard let entry = byTime[truth.candle.openTimeMs] else {
                    tally.missing += 1
                    tally.firstWrong = tally.firstWrong ?? "\(key) lacks \(truth.candle.openTimeMs)"
                    continue
                }
                if let wrong = entry.difference(from: truth.candle) {
                    tally.different += 1
                    tally.firstWrong = tally.firstWrong ?? "\(key) \(truth.candle.openTimeMs): \(wrong)"
                } else {
                    tally.same += 1
                }
            }
        }
        return tally
    }

    private static func render(
        _ world: DemoWorld, _ figures: ReportFigures, _ tally: Tally, _ left: StopReport, _ uptimeNs: UInt64
    ) -> String {
        let series = world.configuration.seriesList.count
        let seconds = Int(uptimeNs / 1_000_000_000)
        let quantiles = [figures.p50, figures.p99, figures.p999].map { Numbers.milliseconds($0) }
        let speed = Numbers.fixed(world.speed, digits: 0)
        let number = { (value: UInt64) in Numbers.grouped(value) }
        var lines = [
            "",
            "feedd demo: \(seconds) s, \(series) series of \(world.symbols.count) symbols, market time ×\(speed)",
            "  received          \(number(figures.messages)) frames, \(figures.rejected) rejected, \(figures.reconnects) reconnects",
            "  written           \(number(figures.written)) candle states, \(number(figures.coalesced)) coalesced",
            "  socket to Redis   p50 \(quantiles[0])  p99 \(quantiles[1])  p99.9 \(quantiles[2]) ms",
            "  closed candles    \(Numbers.grouped(tally.announced)) announced by the exchange; in Redis:",
            "                    \(Numbers.grouped(tally.same)) the same, \(tally.different) different, \(tally.missing) missing",
        ]
        if !left.isClean { lines.append("  not written       \(left.closedUnwritten) closed, \(left.formingUnwritten) forming") }
        if let wrong = tally.firstWrong { lines.append("  first difference  \(wrong)") }
        if tally.same == 0 { lines.append("  nothing to check: no candle closed in this time") }
        return lines.joined(separator: "\n") + "\n"
    }
}
