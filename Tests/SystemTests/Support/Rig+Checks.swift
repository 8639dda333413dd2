// What must hold when a rig has run: Redis against the exchange's truth, and the books. On the test's thread, after `finish`.

import FastFeed
import Testing
import VenueSimulator

extension Rig {
    /// Every delivered closed candle (or: every one announced) is in Redis once, with the exact text of every field; nothing else
    /// is; and the books balance.
    func expectTruth(allowsUndelivered: Bool = false) throws {
        let check = try checkTruth(isRequired: { closed, _ in closed.delivered || !allowsUndelivered })
        #expect(check.isFlawless, "\(check.summary)")
        expectBalance()
    }

    /// Histories against the exchange's truth, for who knows better what must be there.
    func checkTruth(
        of closed: [ClosedCandle]? = nil, isRequired: (ClosedCandle, TruthCheck.Kept) -> Bool = TruthCheck.isDelivered
    ) throws -> TruthCheck {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkHistories(closed ?? venue.closedCandles(), isRequired: isRequired)
        #expect(check.same > 0, "nothing is proven")
        return check
    }

    /// Every message has one end.
    func expectBalance() {
        #expect(counters.isBalanced, "\(counters.books)")
        expectStages()
    }

    /// Every state written counts once in each stage of its way, and the stages add up to the whole, as exactly as buckets are.
    func expectStages() {
        let snapshot = engine.snapshot()
        func sum(_ histogram: HistogramSnapshot) -> UInt64 { histogram.buckets.reduce(0) { $0 + $1.upperBoundNs * $1.count } }
        #expect(snapshot.latency.count == snapshot.counters[.candlesWritten])
        for stage in LatencyStage.allCases { #expect(snapshot.stages[stage].count == snapshot.latency.count, "\(stage.name)") }
        let (whole, parts) = (sum(snapshot.latency), LatencyStage.allCases.reduce(0) { $0 + sum(snapshot.stages[$1]) })
        #expect(max(whole, parts) - min(whole, parts) <= min(whole, parts) / 64, "\(parts) ns in stages, \(whole) ns in all")
    }

    /// `latest:*` is the last state of each stream.
    func expectLatest() throws {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkLatest(venue.latestStates())
        #expect(check.isFlawless, "\(check.summary)")
        #expect(check.latestCompared > 0, "nothing is proven")
    }
}
