// What becomes of closed candles: which bar must come next, which holes there are, who waits for them, and in which order candles go to
// their history. The sink's thread alone. Rare beside the forming states: once a bar and series. Bounds: `Limits.awaitedEventsMax` bars of a
// series whose event may still come though no hole is listed, `Limits.suspectsMax` pairs of bars for the healer.

extension CandleTable {
    mutating func acceptClosed(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = states.row(id)
        let open = record.openTimeMs
        let last = lastClosed.row(id)
        if record.source == .backfill {
            acceptHealed(record, id)
        } else if open < oldestOpenMs[id] {
            guard takeMissing(record, id) || extendBackwards(to: open, id) else { return counters.add(.duplicates) }
        } else if open >= state.nextClosedOpenMs {
            // Before the first event it may have been looked for.
            _ = takeMissing(record, id)
            noteHole(upTo: open, id)
            checkTradeIDs(record, id)
        } else if takeMissing(record, id) {
        } else if open > last.openTimeMs {
            // Sooner than the calendar has it, and yet never seen.
        } else if state.missing > 0 && gaps.forgottenCount > 0 {
            // It may fill a gap that the full board has forgotten, or be a repetition. It is written, which is idempotent, but not counted
            // as filled: repetitions must not use up what the series still misses.
        } else if saysSomethingNew(record, id) {
            closed.correct(record)
            merges.correct(record.value)
        } else {
            counters.add(.duplicates)
            return
        }
        let interval = Interval(rawValue: state.interval)!
        state.nextClosedOpenMs = max(state.nextClosedOpenMs, interval.nextOpenTime(after: open))
        last.earliestMs = min(last.earliestMs, open)
        last.openTimeMs = max(last.openTimeMs, open)
        last.eventTimeMs = max(last.eventTimeMs, record.eventTimeMs)
        if !interval.isOnGrid(open) { last.isOffGrid = true }
        counters.add(.closedReceived)
        closedCounts[id] &+= 1
        guard !state.flags.contains(.held) else { return park(record, id, parsedAfterNs) }
        deliver(record, id, parsedAfterNs)
    }

    /// Into the history: behind what is there, or by the script into its place.
    mutating func deliver(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let (state, last) = (states.row(id), lastClosed.row(id))
        let open = record.openTimeMs
        // Behind what was taken over and is not written yet.
        let isBehind = merges.isTakingOver && takesOver(id)
        let isAppended = open > last.deliveredOpenMs && !isBehind
        if last.isForeign {
            passOver(record, id)
        } else if isAppended {
            last.deliveredOpenMs = open
            makeRoomForClosed()
            closed.append(record, parsedAfterNs: parsedAfterNs)
        } else {
            last.deliveredOpenMs = max(last.deliveredOpenMs, open)
            merge(LateCandle(record.value, parsedAfterNs: parsedAfterNs))
        }
        guard state.flags.contains(.known), open >= state.openTimeMs else {
            // A merged run has a message of its own.
            if isAppended { state.updates &+= 1 }
            return
        }
        // The stream's own word on a closed bar has trade ids, which the exchange's history has not.
        if record.source == .backfill && open == state.openTimeMs && state.flags.contains(.newestClosed) {
            return
        }
        // It replaces the newest state, whether of its own bar or of one before.
        if state.flags.contains(.formingPending) { counters.add(.coalesced) }
        state.flags.remove(.formingPending)
        state.flags.insert(.newestClosed)
        let receivedNs = newest[id].receivedNs
        replaceNewest(record, id, parsedAfterNs)
        // When the stream last brought something does not change by what the healer brings.
        if record.source == .backfill { newest[id].receivedNs = receivedNs }
    }

    /// Queues a late candle for the merge script, which puts it in its place.
    package mutating func merge(_ candle: LateCandle) {
        guard !merges.isFull else {
            counters.add(.closedQueueOverflow)
            return noteLost(candle.record, .overflow)
        }
        merges.put(candle, behind: closed.tail)
    }

    /// A closed candle that opens no later than one that was taken, and is not known to be missing: a repetition, unless the exchange made
    /// the event after all that were taken (then it corrects a bar, and Redis finds out whether anything is different), or bars of the
    /// series do not keep to the grid, or the bar was healed before its event came.
    private mutating func saysSomethingNew(_ record: Lent<CandleRecord>, _ id: Int) -> Bool {
        let (state, last) = (states.row(id), lastClosed.row(id))
        let open = record.openTimeMs
        if let place = awaited[UInt32(id)]?.firstIndex(of: open) {
            awaited[UInt32(id)]!.remove(at: place)
            return true
        }
        let isNewest = open == state.openTimeMs && state.flags.contains(.newestClosed)
        if isNewest && record.value.hasSameValues(as: newest[id]) { return false }
        if record.eventTimeMs > last.eventTimeMs { return true }
        let interval = Interval(rawValue: state.interval)!
        return open < last.openTimeMs && (last.isOffGrid || !interval.isOnGrid(open))
    }

    /// A closed candle from before the first record of its series: two events have changed places on their way.
    /// It counts; what lies between is missing. False for one that is too old to be merely late.
    private mutating func extendBackwards(to openMs: Int64, _ id: Int) -> Bool {
        let interval = Interval(rawValue: states[id].interval)!
        let oldest = oldestOpenMs[id]
        guard interval.barCount(from: openMs, until: oldest) <= Limits.lateClosedBarsMax else { return false }
        oldestOpenMs[id] = openMs
        noteHole(from: interval.nextOpenTime(after: openMs), until: oldest, id)
        return true
    }

    // MARK: Holes

    /// True when the candle was missing; it is not any more.
    private mutating func takeMissing(_ record: Lent<CandleRecord>, _ id: Int) -> Bool {
        let state = states.row(id)
        guard lastClosed[id].hasListed else { return false }
        let isFetched = record.source == .backfill
        guard let gap = gaps.fill(names[id]!, openTimeMs: record.openTimeMs, isFetched: isFetched) else { return false }
        // What the exchange's history lacks, its stream has brought.
        guard gap.state != .absent else { return true }
        if state.missing > 0 { state.missing -= 1 }
        if gap.cause != .backfill { counters.add(.gapCandlesFilled) }
        guard isFetched else { return true }
        counters.add(.gapCandlesHealed)
        if gap.cause == .late || gap.cause == .missed { awaitEvent(record.openTimeMs, record.seriesID) }
        return true
    }

    /// Its own event may still come, and counts then.
    private mutating func awaitEvent(_ openMs: Int64, _ id: UInt32) {
        var list = awaited[id] ?? []
        guard !list.contains(openMs) else { return }
        if list.count == Limits.awaitedEventsMax { list.removeFirst() }
        list.append(openMs)
        awaited[id] = list
    }

    /// The same of the last bars of a hole that we do not list.
    mutating func awaitEvents(from: Int64, until: Int64, _ id: Int) {
        let interval = Interval(rawValue: states[id].interval)!
        let reachMs = Int64(Limits.awaitedEventsMax) * (interval.lengthMs ?? 31 * 86_400_000)
        var open = until - from > reachMs ? interval.openTime(containing: until - reachMs) : from
        while open < until {
            awaitEvent(open, UInt32(id))
            open = interval.nextOpenTime(after: open)
        }
    }

    /// What the healer brings: a missing bar, one that has not closed in time, or what an audit puts right.
    private mutating func acceptHealed(_ record: Lent<CandleRecord>, _ id: Int) {
        let state = states.row(id)
        _ = takeMissing(record, id)
        // What lies between the two nobody may have asked for yet.
        guard state.flags.contains(.known) else { return }
        noteHole(upTo: record.openTimeMs, id)
    }

    /// The first event of a series: its history may end before.
    mutating func continueHistory(_ id: Int) {
        let (state, last) = (states.row(id), lastClosed.row(id))
        let interval = Interval(rawValue: state.interval)!
        let open = state.openTimeMs
        // Where nothing is stored only the clock has said where the history begins. It may be ahead.
        let lastMs = last.openTimeMs > .min ? last.openTimeMs : last.beforeFirstMs < open ? last.beforeFirstMs : .min
        guard lastMs > .min else { return }
        let next = interval.nextOpenTime(after: lastMs)
        state.nextClosedOpenMs = max(next, earliestKept(before: open, interval))
        // Where nothing is stored that is the seam between a backfill and the first event: nothing was lost there.
        noteHole(upTo: open, id, .unstored, isNews: last.openTimeMs > .min)
    }

    /// Bars before this one a full history does not keep.
    func earliestKept(before openMs: Int64, _ interval: Interval) -> Int64 {
        let lengthMs = interval.lengthMs ?? 30 * 86_400_000
        let (reach, isTooFar) = lengthMs.multipliedReportingOverflow(by: Int64(historyMax))
        return isTooFar || reach > openMs ? 0 : interval.openTime(containing: openMs - reach, anchorMs: openMs)
    }

    /// Closed candles that should have come before the bar opening at `openMs`.
    mutating func noteHole(upTo openMs: Int64, _ id: Int, _ cause: Gap.Cause = .missed, isNews: Bool = true) {
        let from = states[id].nextClosedOpenMs
        guard from < openMs else { return }
        noteHole(from: from, until: openMs, id, cause, isNews: isNews)
        states[id].nextClosedOpenMs = openMs
    }

    mutating func noteHole(from: Int64, until: Int64, _ id: Int, _ cause: Gap.Cause = .missed, isNews: Bool = true) {
        guard from < until, let series = names[id] else { return }
        // Who writes the series lists it. What a later one has overtaken may still come.
        guard !lastClosed[id].isForeign else { return awaitEvents(from: from, until: until, id) }
        let count = gaps.add(Gap(series: series, fromMs: from, untilMs: until, cause: cause), isNews: isNews)
        guard count > 0 else { return }
        lastClosed[id].hasListed = true
        if cause != .backfill {
            counters.add(.gapsSeen)
            counters.add(.gapCandlesMissing, count)
        }
        states[id].missing = UInt32(clamping: Int64(states[id].missing) + Int64(count))
        guard held.holds, until > lastClosed[id].deliveredOpenMs, states[id].flags.contains(.active) else { return }
        states[id].flags.insert(.held)
        held.awaitHole(UInt32(id))
    }

    /// The queue is full: its oldest candle becomes a gap. (While Redis is up the sink stops taking records
    /// before this can happen.)
    private mutating func makeRoomForClosed() {
        guard closed.isFull else { return }
        // What is acknowledged, in a batch that is not answered to its end, is not a loss.
        closed.advance()
        guard closed.isFull else { return }
        let lost = closed.dropOldest()
        counters.add(.closedQueueOverflow)
        noteLost(lost, .overflow)
    }

    /// A closed candle that will not be written: it becomes a gap for the healer.
    package mutating func noteLost(_ candle: CandleRecord, _ cause: Gap.Cause) {
        // Who writes it now has it, or finds the hole.
        guard let series = series(candle.seriesID), !isGivenAway(candle.seriesID) else { return }
        let state = states.row(Int(candle.seriesID))
        let until = series.interval.nextOpenTime(after: candle.openTimeMs)
        let count = gaps.add(Gap(series: series, fromMs: candle.openTimeMs, untilMs: until, cause: cause))
        lastClosed[Int(candle.seriesID)].hasListed = true
        // As many as it can count, after a bar of a far future.
        state.missing = UInt32(clamping: Int64(state.missing) + Int64(count))
    }

    // MARK: Trade ids

    /// On the spot market each trade has the next id: a bar's first one follows the last one of the bar before. Where it does not, one of
    /// the two is not what the exchange has.
    private mutating func checkTradeIDs(_ record: Lent<CandleRecord>, _ id: Int) {
        let last = lastClosed.row(id)
        let open = record.openTimeMs
        let interval = Interval(rawValue: states[id].interval)!
        let (first, next) = (record.firstTradeID, interval.nextOpenTime(after: open))
        let isChained = last.chainOpenMs == open && last.chainTradeID >= 0
        if first >= 0 && isChained && first != last.chainTradeID + 1 { noteBreak(id, open, next) }
        if record.lastTradeID >= 0 {
            last.chainTradeID = record.lastTradeID
        } else if !isChained {
            last.chainTradeID = -1
        }
        last.chainOpenMs = next
    }

    @inline(never)
    private mutating func noteBreak(_ id: Int, _ open: Int64, _ next: Int64) {
        guard let series = names[id], series.market == .spot else { return }
        counters.add(.tradeIDBreaks)
        guard suspects.count < Limits.suspectsMax else { return }
        let before = series.interval.openTime(containing: open - 1, anchorMs: open)
        suspects.append((SeriesHandle(id: UInt32(id), generation: states[id].generation), before, next))
    }
}
