// After the demo: every closed candle that the exchange announced against what Redis holds, value by value.

import FastFeed
import RedisServer
import VenueSimulator

struct DemoVerdict {
    let text: String
    let isGood: Bool

    /// - Parameter cuts: how often the exchange has cut its connections; nil: it did not mean to.
    init(_ world: DemoWorld, left: StopReport, cuts: Int?) throws {
        let client = try RedisClient.connect(world.redis.endpoint, timeout: .seconds(5))
        defer { client.close() }
        var check = TruthCheck(world.configuration.schema) { try client.command($0) }
        try check.checkHistories(world.simulator.closedCandles()) { closed, kept in
            // What the cap on the history has removed can no longer be compared, and what was announced after the last one that was
            // read came when the engine had stopped. What was cut off was not delivered, and must be there all the same.
            (closed.delivered || cuts != nil && closed.candle.openTimeMs >= kept.oldestMs) && closed.candle.openTimeMs <= kept.newestMs
                && (kept.count < world.configuration.history || closed.candle.openTimeMs >= kept.oldestMs)
        }
        let snapshot = world.engine.snapshot()
        // (The exchange forgets the oldest of millions of candles, so that entries beyond its truth are nothing bad.)
        isGood = DemoVerdict.different(check) + check.missing == 0 && check.same > 0 && left.isClean && snapshot.counters.unaccounted == 0
        text = DemoVerdict.render(world, ReportFigures(snapshot, since: nil), check, left, snapshot, cuts)
    }

    private static func different(_ check: TruthCheck) -> Int { check.wrong + check.twice + check.revised + check.misplaced }

    private static func render(
        _ world: DemoWorld, _ figures: ReportFigures, _ check: TruthCheck, _ left: StopReport, _ snapshot: EngineSnapshot, _ cuts: Int?
    ) -> String {
        let series = world.configuration.seriesList.count
        let seconds = Int(snapshot.uptimeNs / 1_000_000_000)
        let quantiles = [figures.p50, figures.p99, figures.p999].map { Numbers.milliseconds($0) }
        let speed = Numbers.fixed(world.speed, digits: 0)
        let number = { (value: UInt64) in Numbers.grouped(value) }
        var lines = [
            "",
            "feedd demo: \(seconds) s, \(series) series of \(world.symbols.count) symbols, market time ×\(speed)",
            "  received          \(number(figures.messages)) frames, \(figures.rejected) rejected, \(figures.reconnects) reconnects",
            "  written           \(number(figures.written)) candle states, \(number(figures.coalesced)) coalesced",
            "  socket to Redis   p50 \(quantiles[0])  p99 \(quantiles[1])  p99.9 \(quantiles[2]) ms",
            "  closed candles    \(Numbers.grouped(check.stored + check.missing)) announced by the exchange; in Redis:",
            "                    \(Numbers.grouped(check.same)) the same, \(different(check)) different, \(check.missing) missing",
        ]
        let healed = snapshot.counters[.gapCandlesHealed]
        if let cuts { lines.append("  connections cut   \(cuts) times; \(number(healed)) candles healed") }
        if !left.isClean { lines.append("  not written       \(left.closedUnwritten) closed, \(left.formingUnwritten) forming") }
        if different(check) + check.missing > 0, let wrong = check.samples.first { lines.append("  first difference  \(wrong)") }
        if check.same == 0 { lines.append("  nothing to check: no candle closed in this time") }
        return lines.joined(separator: "\n") + "\n"
    }
}
