// The reckoning: what Redis holds against what clients have read, and the books against both.

import FastFeed
import TestKit

extension World {
    /// - Parameter settledMs: when everything worked again.
    func check(_ process: EngineProcess, settledMs: Int64) {
        complaints += ledger.complaints
        for index in scenario.series.indices {
            if scenario.healing == nil { checkSeries(index, process.gaps) } else { checkHealed(index, process.gaps, settledMs: settledMs) }
            if let wrong = ledger.newestComplaint(index, newestDatabase(index)) { complain("\(scenario.series[index]): \(wrong)") }
        }
        checkBooks()
        if scenario.healing?.isGentle == true && insertedCount > 0 {
            complain("\(insertedCount) candles were not simply appended")
        }
        let latency = process.sink.latency
        // Of what the healer has brought nobody knows how long it took.
        if scenario.healing == nil {
            complaints += StageBooks.complaints(latency.total.snapshot(), latency.snapshot(), written: counters[.candlesWritten])
        }
    }

    private func newestDatabase(_ index: Int) -> RedisDatabase { database(schema.latestKey(.spot, scenario.series[index].interval)) }

    private func checkSeries(_ index: Int, _ gaps: GapBoard) {
        let series = scenario.series[index]
        let key = schema.historyKey(series)
        let delivered = ledger.closed[index]
        let others = ledger.others[index]
        let entries = database(key).entries(key)
        let open = gaps.open.filter { $0.series == series }
        func isGap(_ openMs: Int64, _ causes: [Gap.Cause]) -> Bool {
            open.contains { causes.contains($0.cause) && $0.fromMs <= openMs && openMs < $0.untilMs }
        }
        var stored: Set<Int64> = []
        for entry in entries {
            stored.insert(entry.openMs)
            ledger.closedCompared += 1
            guard let state = delivered[entry.openMs] else {
                if others[entry.openMs] == nil { complaints.append("\(series) \(entry.openMs): stored, never sent") }
                continue
            }
            let wasLost = isGap(entry.openMs, [.overflow, .refused])
            let mayBeAnothers = others[entry.openMs] == true && (wasLost || ledger.excused[index].contains(entry.openMs))
            if entry.fields.dropLast(2) != state.fields[...] && !mayBeAnothers {
                complaints.append("\(series) \(entry.openMs): stored \(entry.fields), sent \(state.fields)")
            }
            let revision = others[entry.openMs] == true ? 1 : 0
            // (With a lost correction its number is lost.)
            let mayBeAnew = others[entry.openMs] == true && scenario.cluster?.troubleNs != nil
            if !mayBeAnothers && !mayBeAnew && RedisDatabase.revision(entry.fields) != revision {
                complaints.append("\(series) \(entry.openMs): revision of \(entry.fields)")
            }
        }
        if stored.count != entries.count { complaints.append("\(series): an entry twice") }
        // What a failover has lost cannot be written again where the key is of a wrong type to the end.
        let isForeign = scenario.cluster?.troubleNs != nil && holds(key)
        // Dictionaries are not walked in one order; complaints are.
        for openMs in delivered.keys.sorted() {
            guard !ledger.excused[index].contains(openMs) else { continue }
            if !stored.contains(openMs) && !isForeign && !isGap(openMs, [.overflow, .refused]) {
                complaints.append("\(series) \(openMs): a closed candle was received and is not stored")
            }
            // A message that was on its way when the connection broke is not sent again: who must not miss one reads the stream.
            // (One that was lost here may have been stored by another.)
            if stored.contains(openMs), scenario.hasSteadyRedis, !ledger.published[index].contains(openMs),
                !isGap(openMs, [.overflow, .refused])
            {
                complaints.append("\(series) \(openMs): a closed candle was stored and not published")
            }
            if isGap(openMs, [.missed]) { complaints.append("\(series) \(openMs): received, and listed as missing") }
        }
        checkHoles(index, open)
    }

    /// Bars between the first and the newest that nobody received are listed, each once.
    private func checkHoles(_ index: Int, _ open: [Gap]) {
        let series = scenario.series[index]
        guard var openMs = ledger.firstOpenMs[index], let newest = ledger.newest[index] else { return }
        while openMs < newest.openMs {
            defer { openMs = series.interval.nextOpenTime(after: openMs) }
            guard !ledger.excused[index].contains(openMs) else { continue }
            let count = open.count { $0.cause == .missed && $0.fromMs <= openMs && openMs < $0.untilMs }
            if count != (ledger.closed[index][openMs] == nil ? 1 : 0) {
                complaints.append("\(series) \(openMs): listed as missing \(count) times, received: \(ledger.closed[index][openMs] != nil)")
            }
        }
    }

    /// The books balance, and received is what the exchange saw read.
    private func checkBooks() {
        let c = counters
        func expect(_ what: String, _ value: UInt64, _ expected: Int) {
            if value != UInt64(expected) { complaints.append("\(what): \(value), should be \(expected)") }
        }
        expect("messages received", c[.messagesReceived], exchange.messagesRead)
        expect("notices received", c[.noticesReceived], exchange.noticesRead)
        for id in CounterID.allCases where id.isRejection && (id != .rejectedUnknownSeries || scenario.changingCount == 0) {
            expect(id.name, c[id], exchange.rejectedRead[id] ?? 0)
        }
        if !c.isBalanced { complaints.append("the books do not balance: \(c.books)") }
        if scenario.redisFaultNs == nil && scenario.processPauseNs == nil && scenario.healing?.lossNs == nil {
            if scenario.hasSteadyRedis { expect("overflowed with a good Redis", c[.closedQueueOverflow], 0) }
            expect("refused by a good Redis", c[.redisRejected], 0)
        }
    }
}
