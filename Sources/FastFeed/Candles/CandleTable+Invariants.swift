// What is always so of the table between two turns of its sink. Tests and simulated worlds ask for it, the product never does. The sink's
// thread alone.

extension CandleTable {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        closed.checkInvariants() ?? merges.checkInvariants() ?? held.checkInvariants() ?? wrongName() ?? wrongDirty() ?? wrongSeries()
            ?? wrongClosed() ?? wrongHeld()
    }

    /// Once all changes of the board have been taken: what the table knows of its series' holes.
    func checkTallies() -> String? {
        for id in names.indices where states[id].flags.contains(.active) {
            let (tally, missing) = (gaps.tally(of: names[id]!), states[id].missing)
            // Those that the board has forgotten are counted on.
            guard missing >= UInt32(clamping: tally.missing) else {
                return "table: series \(id): \(missing) counted as missing, \(tally.missing) are listed"
            }
            // Or candles that fill holes would not be looked up.
            guard lastClosed[id].hasListed || !tally.isListed else { return "table: series \(id) does not know of its holes" }
        }
        return nil
    }

    // MARK: Names

    /// Followed series and their ids are a bijection.
    private func wrongName() -> String? {
        guard names.count <= mask + 1 else { return "table: \(names.count) names are more than there are rows" }
        var active = 0
        for id in names.indices where states[id].flags.contains(.active) {
            active += 1
            guard let series = names[id] else { return "table: series \(id) is followed and has no name" }
            guard ids[series] == UInt32(id) else { return "table: \(series) has id \(id), and leads to \(ids[series].map(Int.init) ?? -1)" }
            guard states[id].interval == series.interval.rawValue else { return "table: \(series) has the row of another interval" }
            guard states[id].generation > 0 else { return "table: \(series) has the generation of nobody" }
        }
        guard ids.count == active else { return "table: \(ids.count) series have an id, \(active) are followed" }
        let counted = counters.value(.seriesActive)
        return counted == UInt64(active) ? nil : "table: \(counted) series counted, \(active) are followed"
    }

    // MARK: Dirty series

    /// Each dirty series stands in the list, once, and no other does. Those that another member of the group writes are marked, and are not
    /// in the list.
    private func wrongDirty() -> String? {
        guard 0...mask + 1 ~= dirtyCount else { return "table: the dirty list goes from \(dirtyHead) to \(dirtyTail)" }
        var listed: Set<Int> = []
        for place in dirtyHead..<dirtyTail {
            let id = Int(dirty[place & mask])
            guard names.indices.contains(id) else { return "table: series \(id) is in the dirty list and has no name" }
            guard states[id].flags.contains(.dirty) else { return "table: series \(id) is in the dirty list and is clean" }
            guard !lastClosed[id].isForeign else { return "table: series \(id) is another member's and in the dirty list" }
            guard listed.insert(id).inserted else { return "table: series \(id) is in the dirty list twice" }
        }
        let open = names.indices.first { lastClosed[$0].isForeign && !states[$0].flags.contains(.dirty) }
        if let open { return "table: series \(open) is another member's, and could become dirty" }
        let lost = names.indices.first { states[$0].flags.contains(.dirty) && !lastClosed[$0].isForeign && !listed.contains($0) }
        return lost.map { "table: series \($0) is dirty and nobody will write it" }
    }

    // MARK: Rows

    private func wrongSeries() -> String? {
        for id in names.indices where names[id] != nil {
            if let wrong = wrongFlags(states[id]) ?? wrongTimes(id) { return "table: series \(id): \(wrong)" }
        }
        guard suspects.count <= Limits.suspectsMax else { return "table: \(suspects.count) suspects" }
        let crowd = awaited.first { $0.value.count > Limits.awaitedEventsMax }
        return crowd.map { "table: series \($0.key): \($0.value.count) late bars are remembered" }
    }

    private func wrongFlags(_ state: SeriesState) -> String? {
        let flags = state.flags
        if flags.contains(.known) && !flags.contains(.active) { return "known and not followed" }
        if flags.contains(.formingPending) {
            if !flags.contains(.known) { return "a forming state of nobody waits" }
            if !flags.contains(.dirty) && !isRouted { return "a forming state waits and the series is clean" }
            if flags.contains(.newestClosed) { return "a forming state waits and the newest one is closed" }
        }
        let marks = (state.batchClosedFirst, state.batchClosedLast, state.batchClosedCount)
        let isUnmarked = flags.isDisjoint(with: [.inBatch, .newestIsChained]) && marks == (.max, .max, 0)
        return isUnmarked ? nil : "marks of a batch that is built"
    }

    private func wrongTimes(_ id: Int) -> String? {
        let state = states.row(id)
        guard state.flags.contains(.known) else { return nil }
        guard oldestOpenMs[id] <= state.nextClosedOpenMs else { return "its history begins behind the next bar" }
        guard state.nextClosedOpenMs >= state.openTimeMs else { return "the next closed bar opens before the newest state" }
        // All that has come is a closed candle that waits for a hole before it.
        guard state.eventTimeMs > .min else { return nil }
        let newest = newest.lent(id)
        guard newest.seriesID == UInt32(id) && newest.generation == state.generation else { return "the newest state is another series'" }
        guard newest.openTimeMs == state.openTimeMs && newest.eventTimeMs == state.eventTimeMs && newest.tradeCount == state.tradeCount
        else { return "row and newest state differ" }
        guard newest.isClosed == state.flags.contains(.newestClosed) else { return "the newest state is not as closed as its flag" }
        guard !newest.isClosed || state.nextClosedOpenMs > state.openTimeMs else { return "the next closed bar is the newest state's" }
        return nil
    }

    // MARK: Closed candles

    /// A closed candle keeps its series' id from being given to another, and is not newer than what was delivered.
    private func wrongClosed() -> String? {
        for position in closed.head..<closed.tail {
            let (id, candle) = (Int(closed[position].seriesID), closed.lent(position))
            guard names.indices.contains(id), names[id] != nil, states[id].generation == candle.generation else {
                return "table: closed candle \(position) is of series \(id), which is another one now"
            }
            guard candle.openTimeMs <= lastClosed[id].deliveredOpenMs else {
                return "table: closed candle \(position) of series \(id) was not noted as delivered"
            }
        }
        let wanderer = merges.waiting.keys.first { !names.indices.contains(Int($0)) || names[Int($0)] == nil }
        if let wanderer { return "table: late candles of series \(wanderer), which has no name" }
        return merges.afterHead <= closed.tail ? nil : "table: merges wait for what has not come"
    }

    /// Who waits is held and followed, and the other way round.
    private func wrongHeld() -> String? {
        for (id, entry) in held.waiting {
            guard names.indices.contains(Int(id)), states[Int(id)].flags.isSuperset(of: [.held, .active]) else {
                return "table: candles of series \(id) are held, and nobody holds it"
            }
            guard entry.candles.allSatisfy({ $0.record.generation == states[Int(id)].generation }) else {
                return "table: candles of another series are held for series \(id)"
            }
        }
        let stuck = names.indices.first { states[$0].flags.contains(.held) && held[UInt32($0)] == nil }
        return stuck.map { "table: series \($0) is held and waits for nothing" }
    }
}
