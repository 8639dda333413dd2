// What must hold when a rig has run: Redis against the exchange's truth, and the books. On the test's thread, after `finish`.

import FastFeed
import TestKit
import Testing
import VenueSimulator

extension Rig {
    /// Every delivered closed candle (or: every one announced) is in Redis once, with the exact text of every field; nothing else
    /// is; and the books balance.
    func expectTruth(allowsUndelivered: Bool = false) throws {
        let check = try checkTruth(isRequired: { closed, _ in closed.delivered || !allowsUndelivered })
        #expect(check.isFlawless, "\(check)")
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

    /// Every message has one end, and every state written counts once in each stage of its way.
    func expectBalance() {
        let snapshot = engine.snapshot()
        #expect(snapshot.counters.isBalanced, "\(snapshot.counters.books)")
        let complaints = StageBooks.complaints(snapshot.latency, snapshot.stages, written: snapshot.counters[.candlesWritten])
        #expect(complaints.isEmpty, "\(complaints)")
    }

    /// `latest:*` is the last state of each stream.
    func expectLatest() throws {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkLatest(venue.latestStates())
        #expect(check.isFlawless, "\(check)")
        #expect(check.latestCompared > 0, "nothing is proven")
    }
}
