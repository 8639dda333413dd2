// The reckoning of a world with a healer: Redis holds what the exchange has made, whatever has happened in between; and what a script has
// done to a history, as it happens.

import FastFeed

extension World {
    func checkHealed(_ index: Int, _ gaps: GapBoard, settledMs: Int64) {
        let (series, tape) = (scenario.series[index], exchange.tapes[index])
        let key = schema.historyKey(series)
        let truth = Dictionary(uniqueKeysWithValues: tape.history.map { ($0.openMs, $0) })
        let entries = database(key).entries(key)
        for (one, next) in zip(entries, entries.dropFirst()) where one.openMs >= next.openMs {
            complain("\(series) \(next.openMs): stored behind \(one.openMs)")
        }
        for entry in entries { checkEntry(series, entry, truth[entry.openMs], other: ledger.others[index][entry.openMs]) }
        ledger.closedCompared += entries.count
        guard ledger.isFollowed[index], !holds(key) else { return }
        let stored = Set(entries.map(\.openMs))
        let holes = gaps.gaps(of: series)
        func isAbsent(_ openMs: Int64) -> Bool { holes.contains { $0.state == .absent && $0.fromMs <= openMs && openMs < $0.untilMs } }
        // (Whether the newest bars will ever be there nobody knows before a later one is.)
        // (Nor is there weight for all of the last bars where little is allowed.)
        let mayLackFromMs = scenario.healing!.weightLimit < 1_000 ? wholeMs : .max
        for hole in holes where hole.state != .absent && hole.fromMs <= tape.history.last?.openMs ?? .min && hole.fromMs < mayLackFromMs {
            complain("\(series) \(hole.fromMs)…\(hole.untilMs): still \(hole.state), \(hole.cause), tried \(hole.tries) times")
        }
        // Open times where something must be: from what had to be there at the start to the last closed bar.
        guard let last = tape.history.last?.openMs else { return }
        let wantedMs = max(firstWantedMs(index, settledMs: settledMs), tape.history[0].openMs)
        // What another has written since the last look does not make a hole of what lies behind it.
        let first = stored.filter { ledger.others[index][$0] == nil }.min() ?? .max
        var openMs = min(first, wantedMs)
        // Of a history that begins anew, a backfill asks for bars, and does not list what nobody has.
        let listedMs = max(first, emptyMs[key] ?? .min)
        while openMs <= last {
            let isTrue = truth[openMs] != nil && !tape.unlisted.contains(openMs)
            if stored.contains(openMs) {
                // (Of a series that was stopped, older candles may be on their way while it is looked at anew.)
                if isAbsent(openMs) && ledger.others[index][openMs] == nil && !isChanging(index) {
                    complain("\(series) \(openMs): stored, and listed as absent")
                }
            } else if isTrue && openMs >= mayLackFromMs && holes.contains(where: { $0.fromMs <= openMs && openMs < $0.untilMs }) {
            } else if isTrue {
                complain("\(series) \(openMs): closed, and not stored\(isAbsent(openMs) ? ", listed as absent" : "")")
            } else if openMs > listedMs && !isAbsent(openMs) {
                complain("\(series) \(openMs): the exchange does not have it, and it is not listed as absent")
            }
            openMs = series.interval.nextOpenTime(after: openMs)
        }
        checkGapKey(series, holes)
        let isAllTold =
            scenario.hasSteadyRedis && scenario.healing?.lossNs == nil && scenario.healing?.killNs == nil && !scenario.hasOtherWriter
            && !isChanging(index)
        for openMs in stored.sorted() where isAllTold && !ledger.published[index].contains(openMs) {
            complain("\(series) \(openMs): stored, and not published")
        }
    }

    /// Open time of the first bar that must be there. What Redis forgets is asked for again as far back as at a first start.
    private func firstWantedMs(_ index: Int, settledMs: Int64) -> Int64 {
        let interval = scenario.series[index].interval
        let healing = scenario.healing!
        // The first look at Redis is soon after the start, if nothing is in its way.
        let isSmooth =
            healing.lossNs == nil && healing.killNs == nil && scenario.hasSteadyRedis && scenario.processPauseNs == nil
            && !isChanging(index)
        let lookMs = lookedMs[schema.historyKey(scenario.series[index])] ?? .min
        let fromMs = isSmooth ? Exchange.baseMs + 4_000 : max(settledMs, lookMs)
        let wantedMs = interval.openTime(containing: fromMs) - Int64(healing.backfill) * interval.lengthMs!
        // Without a backfill a history begins with the first event, and a subscription may have to be asked for twice.
        return healing.backfill > 0 ? wantedMs : max(wantedMs, ledger.firstOpenMs[index] ?? .max)
    }

    private func isChanging(_ index: Int) -> Bool { index >= scenario.series.count - scenario.changingCount }

    private func checkEntry(_ series: Series, _ entry: StreamEntry, _ state: KlineState?, other: Bool?) {
        guard let state else { return complain("\(series) \(entry.openMs): stored, never closed") }
        let isAnothers = other == true
        let (live, healed) = (state.fields, state.healed(eventMs: 0).fields)
        let fields = entry.fields.dropLast(2)
        if fields != live[...] && fields != healed[...] && !isAnothers {
            complain("\(series) \(entry.openMs): stored \(entry.fields), the exchange has \(live)")
        }
        if RedisDatabase.revision(entry.fields) != 0 && !isAnothers {
            complain("\(series) \(entry.openMs): corrected, though nothing was wrong: \(entry.fields)")
        }
    }

    /// The hash of holes says what the board says.
    private func checkGapKey(_ series: Series, _ holes: [Gap]) {
        let key = schema.gapsKey(series)
        let listed = (database(key).hashes[key] ?? [:]).mapValues { text -> String in
            guard let value = try? JSONValue(parsing: Array(text.utf8)) else { return text }
            return "\(value["until"]?.integer ?? 0) \(value["cause"]?.string ?? "") \(value["state"]?.string ?? "")"
        }
        let expected = Dictionary(uniqueKeysWithValues: holes.map { ("\($0.fromMs)", "\($0.untilMs) \($0.cause) \($0.state)") })
        if listed != expected { complain("\(key): \(listed.sorted { $0 < $1 }), should be \(expected.sorted { $0 < $1 })") }
    }

    /// A script has changed a history: nothing is lost by it, and `changes:` tells of what a tail reader cannot see.
    func onScript(_ key: String, _ before: RedisDatabase, _ after: inout RedisDatabase) {
        guard key.hasPrefix("candles:") else { return }
        let changesKey = key.replacing("candles:", with: "changes:")
        if fault == .idsLost { after.loseIDs(key, since: before) }
        if fault == .changesLost { after.changes[changesKey] = before.changes[changesKey] }
        guard scenario.healing != nil, before.entries(key) != after.entries(key) else { return }
        let old = Dictionary(before.entries(key).map { ($0.openMs, $0.fields) }) { $1 }
        let lastMs = before.entries(key).last?.openMs ?? .min
        var expected: [String] = []
        for entry in after.entries(key) {
            guard let fields = old[entry.openMs] else {
                if entry.openMs < lastMs {
                    expected.append("\(entry.openMs) inserted")
                    insertedCount += 1
                }
                continue
            }
            if RedisDatabase.hasIDs(fields) && !RedisDatabase.hasIDs(entry.fields) {
                complain("\(key) \(entry.openMs): its trade ids are lost")
            }
            if fields != entry.fields { expected.append("\(entry.openMs) corrected") }
        }
        if after.entries(key).count < old.count { complain("\(key): a script has removed entries") }
        let told = after.changes(changesKey).dropFirst(before.changes(changesKey).count).map { fields in
            ["open_time", "kind"].map { RedisDatabase.value($0, fields) ?? "" }.joined(separator: " ")
        }
        if told.sorted() != expected.sorted() { complain("\(changesKey): says \(told), should say \(expected)") }
    }
}

extension RedisDatabase {
    /// A bar without trades has none.
    static func hasIDs(_ fields: [String]) -> Bool { value("first_trade_id", fields) ?? "-1" != "-1" }

    mutating func loseIDs(_ key: String, since before: RedisDatabase) {
        guard before.entries(key) != entries(key) else { return }
        streams[key] = entries(key).map { entry in
            var fields = entry.fields
            for index in stride(from: 0, to: fields.count - 1, by: 2) where fields[index].hasSuffix("_trade_id") {
                fields[index + 1] = "-1"
            }
            return StreamEntry(openMs: entry.openMs, fields: fields)
        }
    }
}
