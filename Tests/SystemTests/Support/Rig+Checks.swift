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
        let complaints = StageBooks.complaints(
            snapshot.latency, snapshot.stages, written: snapshot.counters[.candlesWritten] - snapshot.counters[.healedWritten])
        #expect(complaints.isEmpty, "\(complaints)")
    }

    /// The engine's figures, its list of gaps, the board, the service's status and that of each flux tell the same losses, once nothing
    /// moves any more. Before the engine stops.
    func expectOneTruth() {
        var complaints = ["the status cannot be read"]
        let agrees = comesTrue(within: 15, everyMicroseconds: 100_000) {
            complaints = (try? RedisClient.connect(place)).flatMap { try? disagreements(by: $0) } ?? complaints
            return complaints.isEmpty
        }
        if !agrees { Issue.record("\(complaints)") }
    }

    private func disagreements(by reader: RedisClient) throws -> [String] {
        let counters = counters
        let service = Dictionary(try reader.command("HGETALL", Keys.service).pairs) { $1 }
        let shown: [CounterID] = [
            .closedWritten, .candlesWritten, .closedPending, .duplicates, .gapsSeen, .gapCandlesMissing, .gapCandlesFilled,
        ]
        var complaints: [String] = []
        func expect(_ what: String, _ found: String?, _ wanted: UInt64) {
            if found != "\(wanted)" { complaints.append("\(what) is \(found ?? "missing"), not \(wanted)") }
        }
        expect(Field.closedLost, service[Field.closedLost], counters.closedLost)
        expect(Field.messagesTotal, service[Field.messagesTotal], counters[.messagesReceived])
        for id in shown { expect(id.name, service[id.name], counters[id]) }
        let missing = counters[.gapCandlesMissing] + counters.closedLost - counters[.gapCandlesFilled]
        let listed = engine.openGaps.reduce(0) { $0 + UInt64($1.series.interval.barCount(from: $1.fromMs, until: $1.untilMs)) }
        if engine.unlistedGaps == 0 { expect("the list of gaps", "\(listed)", missing) }
        let fluxes = engine.standings.fluxes
        expect("the board", "\(fluxes.reduce(0) { $0 + $1.standing.gapsOpen })", missing)
        let open = try fluxes.map { try reader.command("HGET", Keys.flux($0.flux.id), Field.gapsOpen).text.flatMap { UInt64($0) } ?? 0 }
        expect("the fluxes' \(Field.gapsOpen)", "\(open.reduce(0, +))", missing)
        return complaints
    }

    /// `latest:*` is the last state of each stream.
    /// - Parameter stopped: bars that are not followed any more.
    func expectLatest(stopped: Interval? = nil) throws {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkLatest(venue.latestStates().filter { $0.series.interval != stopped })
        #expect(check.isFlawless, "\(check)")
        #expect(check.latestCompared > 0, "nothing is proven")
    }
}
