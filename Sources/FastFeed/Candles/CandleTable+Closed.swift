// What becomes of closed candles: which bar must come next, which holes there are, who waits for them, and in which order candles go to
// their history. The sink's thread alone. Rare beside the forming states: once a bar and series.

extension CandleTable {
    mutating func acceptClosed(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = unsafe states.base + id
        let open = unsafe record.pointee.openTimeMs
        let last = unsafe lastClosed.base + id
        if unsafe record.pointee.source == .backfill {
            unsafe acceptHealed(record, id)
        } else if unsafe open < oldestOpenMs.base[id] {
            guard unsafe takeMissing(record, id) || extendBackwards(to: open, id) else { return counters.add(.duplicates) }
        } else if unsafe open >= state.pointee.nextClosedOpenMs {
            // Before the first event it may have been looked for.
            _ = unsafe takeMissing(record, id)
            noteHole(upTo: open, id)
            unsafe checkTradeIDs(record, id)
        } else if unsafe takeMissing(record, id) {
        } else if unsafe open > last.pointee.openTimeMs {
            // Sooner than the calendar has it, and yet never seen.
        } else if unsafe state.pointee.missing > 0 && gaps.forgottenCount > 0 {
            // It may fill a gap that the full board has forgotten, or be a repetition. It is written, which is idempotent, but not counted
            // as filled: repetitions must not use up what the series still misses.
        } else if unsafe saysSomethingNew(record, id) {
            unsafe closed.correct(record)
            unsafe merges.correct(record.pointee)
        } else {
            counters.add(.duplicates)
            return
        }
        let interval = unsafe Interval(rawValue: state.pointee.interval)!
        unsafe state.pointee.nextClosedOpenMs = unsafe max(state.pointee.nextClosedOpenMs, interval.nextOpenTime(after: open))
        unsafe last.pointee.earliestMs = unsafe min(last.pointee.earliestMs, open)
        unsafe last.pointee.openTimeMs = unsafe max(last.pointee.openTimeMs, open)
        unsafe last.pointee.eventTimeMs = unsafe max(last.pointee.eventTimeMs, record.pointee.eventTimeMs)
        if !interval.isOnGrid(open) { unsafe last.pointee.isOffGrid = true }
        counters.add(.closedReceived)
        unsafe closedCounts.base[id] &+= 1
        guard unsafe !state.pointee.has(SeriesFlags.held) else { return unsafe park(record, id, parsedAfterNs) }
        unsafe deliver(record, id, parsedAfterNs)
    }

    /// Into the history: behind what is there, or by the script into its place.
    mutating func deliver(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let (state, last) = unsafe (states.base + id, lastClosed.base + id)
        let open = unsafe record.pointee.openTimeMs
        let isAppended = unsafe open > last.pointee.deliveredOpenMs
        if isAppended {
            unsafe last.pointee.deliveredOpenMs = open
            makeRoomForClosed()
            unsafe closed.append(record, parsedAfterNs: parsedAfterNs)
        } else {
            merge(unsafe LateCandle(record.pointee, parsedAfterNs: parsedAfterNs))
        }
        guard unsafe state.pointee.has(SeriesFlags.known), unsafe open >= state.pointee.openTimeMs else {
            // A merged run has a message of its own.
            if isAppended { unsafe state.pointee.updates &+= 1 }
            return
        }
        // The stream's own word on a closed bar has trade ids, which the exchange's history has not.
        if unsafe record.pointee.source == .backfill && open == state.pointee.openTimeMs && state.pointee.has(SeriesFlags.newestClosed) {
            return
        }
        // It replaces the newest state, whether of its own bar or of one before.
        if unsafe state.pointee.has(SeriesFlags.formingPending) { counters.add(.coalesced) }
        unsafe state.pointee.flags = unsafe (state.pointee.flags & ~SeriesFlags.formingPending) | SeriesFlags.newestClosed
        let receivedNs = unsafe newest.base[id].receivedNs
        unsafe replaceNewest(record, id, parsedAfterNs)
        // When the stream last brought something does not change by what the healer brings.
        if unsafe record.pointee.source == .backfill { unsafe newest.base[id].receivedNs = receivedNs }
    }

    /// The script puts it in its place.
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
    private mutating func saysSomethingNew(_ record: UnsafePointer<CandleRecord>, _ id: Int) -> Bool {
        let (state, last) = unsafe (states.base + id, lastClosed.base[id])
        let open = unsafe record.pointee.openTimeMs
        if let place = lateHealed[UInt32(id)]?.firstIndex(of: open) {
            lateHealed[UInt32(id)]!.remove(at: place)
            return true
        }
        let isNewest = unsafe open == state.pointee.openTimeMs && state.pointee.has(SeriesFlags.newestClosed)
        if unsafe isNewest && record.pointee.hasSameValues(as: newest.base[id]) { return false }
        if unsafe record.pointee.eventTimeMs > last.eventTimeMs { return true }
        let interval = unsafe Interval(rawValue: state.pointee.interval)!
        return open < last.openTimeMs && (last.isOffGrid || !interval.isOnGrid(open))
    }

    /// A closed candle from before the first record of its series: two events have changed places on their way.
    /// It counts; what lies between is missing. False for one that is too old to be merely late.
    private mutating func extendBackwards(to openMs: Int64, _ id: Int) -> Bool {
        let interval = unsafe Interval(rawValue: states.base[id].interval)!
        let oldest = unsafe oldestOpenMs.base[id]
        guard interval.barCount(from: openMs, until: oldest) <= Limits.lateClosedBarsMax else { return false }
        unsafe oldestOpenMs.base[id] = openMs
        noteHole(from: interval.nextOpenTime(after: openMs), until: oldest, id)
        return true
    }

    // MARK: Holes

    /// True when the candle was missing; it is not any more.
    private mutating func takeMissing(_ record: UnsafePointer<CandleRecord>, _ id: Int) -> Bool {
        let state = unsafe states.base + id
        guard unsafe lastClosed.base[id].hasListed else { return false }
        let isFetched = unsafe record.pointee.source == .backfill
        guard let gap = unsafe gaps.fill(names[id]!, openTimeMs: record.pointee.openTimeMs, isFetched: isFetched) else { return false }
        // What the exchange's history lacks, its stream has brought.
        guard gap.state != .absent else { return true }
        if unsafe state.pointee.missing > 0 { unsafe state.pointee.missing -= 1 }
        if gap.cause != .backfill { counters.add(.gapCandlesFilled) }
        guard isFetched else { return true }
        counters.add(.gapCandlesHealed)
        if gap.cause == .late || gap.cause == .missed { unsafe noteLateHealed(record.pointee.openTimeMs, record.pointee.seriesID) }
        return true
    }

    /// Its own event may still come, and say something else.
    private mutating func noteLateHealed(_ openMs: Int64, _ id: UInt32) {
        var list = lateHealed[id] ?? []
        if list.count == Limits.lateHealedMax { list.removeFirst() }
        list.append(openMs)
        lateHealed[id] = list
    }

    /// What the healer brings: a missing bar, one that has not closed in time, or what an audit puts right.
    private mutating func acceptHealed(_ record: UnsafePointer<CandleRecord>, _ id: Int) {
        let state = unsafe states.base + id
        _ = unsafe takeMissing(record, id)
        // What lies between the two nobody may have asked for yet.
        guard unsafe state.pointee.has(SeriesFlags.known) else { return }
        unsafe noteHole(upTo: record.pointee.openTimeMs, id)
    }

    /// The first event of a series: its history may end before.
    mutating func continueHistory(_ id: Int) {
        let (state, last) = unsafe (states.base + id, lastClosed.base[id])
        let interval = unsafe Interval(rawValue: state.pointee.interval)!
        let open = unsafe state.pointee.openTimeMs
        // Where nothing is stored only the clock has said where the history begins. It may be ahead.
        let lastMs = last.openTimeMs > .min ? last.openTimeMs : last.beforeFirstMs < open ? last.beforeFirstMs : .min
        guard lastMs > .min else { return }
        let next = interval.nextOpenTime(after: lastMs)
        unsafe state.pointee.nextClosedOpenMs = max(next, earliestKept(before: open, interval))
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
        let from = unsafe states.base[id].nextClosedOpenMs
        guard from < openMs else { return }
        noteHole(from: from, until: openMs, id, cause, isNews: isNews)
        unsafe states.base[id].nextClosedOpenMs = openMs
    }

    mutating func noteHole(from: Int64, until: Int64, _ id: Int, _ cause: Gap.Cause = .missed, isNews: Bool = true) {
        guard from < until, let series = names[id] else { return }
        let count = gaps.add(Gap(series: series, fromMs: from, untilMs: until, cause: cause), isNews: isNews)
        guard count > 0 else { return }
        unsafe lastClosed.base[id].hasListed = true
        if cause != .backfill {
            counters.add(.gapsSeen)
            counters.add(.gapCandlesMissing, count)
        }
        unsafe states.base[id].missing = unsafe UInt32(clamping: Int64(states.base[id].missing) + Int64(count))
        guard held.holds, unsafe until > lastClosed.base[id].deliveredOpenMs, unsafe states.base[id].has(SeriesFlags.active) else { return }
        unsafe states.base[id].flags |= SeriesFlags.held
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
        guard let series = series(candle.seriesID) else { return }
        let state = unsafe states.base + Int(candle.seriesID)
        let until = series.interval.nextOpenTime(after: candle.openTimeMs)
        let count = gaps.add(Gap(series: series, fromMs: candle.openTimeMs, untilMs: until, cause: cause))
        unsafe lastClosed.base[Int(candle.seriesID)].hasListed = true
        // As many as it can count, after a bar of a far future.
        unsafe state.pointee.missing = unsafe UInt32(clamping: Int64(state.pointee.missing) + Int64(count))
    }

    // MARK: Trade ids

    /// On the spot market each trade has the next id: a bar's first one follows the last one of the bar before. Where it does not, one of
    /// the two is not what the exchange has.
    private mutating func checkTradeIDs(_ record: UnsafePointer<CandleRecord>, _ id: Int) {
        let last = unsafe lastClosed.base + id
        let open = unsafe record.pointee.openTimeMs
        let interval = unsafe Interval(rawValue: states.base[id].interval)!
        let (first, next) = unsafe (record.pointee.firstTradeID, interval.nextOpenTime(after: open))
        let isChained = unsafe last.pointee.chainOpenMs == open && last.pointee.chainTradeID >= 0
        if unsafe first >= 0 && isChained && first != last.pointee.chainTradeID + 1 { noteBreak(id, open, next) }
        if unsafe record.pointee.lastTradeID >= 0 {
            unsafe last.pointee.chainTradeID = unsafe record.pointee.lastTradeID
        } else if !isChained {
            unsafe last.pointee.chainTradeID = -1
        }
        unsafe last.pointee.chainOpenMs = next
    }

    @inline(never)
    private mutating func noteBreak(_ id: Int, _ open: Int64, _ next: Int64) {
        guard let series = names[id], series.market == .spot else { return }
        counters.add(.tradeIDBreaks)
        guard suspects.count < Limits.suspectsMax else { return }
        let before = series.interval.openTime(containing: open - 1, anchorMs: open)
        unsafe suspects.append((SeriesHandle(id: UInt32(id), generation: states.base[id].generation), before, next))
    }
}
