// The newest state of every series, what of it must be written, and which closed candles are missing.
// Thread: the sink's. `accept` is the hot path: no allocation, no lock.
//
// A row and an entry of the closed queue also hold the marks of the batch builder, who writes them: what a batch needs of a
// candle then lies in the cache line that is being read anyway.
//
// Order within a series: by open time, then closed over forming, then event time, then trade count. Forming
// states coalesce in place; closed candles go into their queue one by one, never dropped or reordered.

@safe package struct CandleTable: ~Copyable {
    let states: MappedArray<SeriesState>
    package let newest: MappedArray<CandleRecord>
    /// By series id: open time of the oldest bar that is accounted for. Looked at for late closed candles only.
    private let oldestOpenMs: MappedArray<Int64>
    /// By series id: looked at when a closed candle comes that is not simply the next one.
    private let lastClosed: MappedArray<LastClosed>
    package var closed: ClosedQueue
    /// Series with something to write, each once, in order of first touch.
    private let dirty: MappedArray<UInt32>
    private var dirtyHead = 0
    private var dirtyTail = 0
    private let mask: Int
    private var names: [Series?]
    /// The id that each followed series had last.
    private var ids: [Series: UInt32] = [:]
    /// By series id: closed candles taken.
    private let closedCounts: MappedArray<UInt64>
    private let counters: CounterBank
    private let gaps: GapBoard

    /// What the closed candles of a series have come to.
    private struct LastClosed: BitwiseCopyable {
        /// The latest open time that was taken, and the latest event.
        var openTimeMs = Int64.min
        var eventTimeMs = Int64.min
        /// After an outage the exchange has made bars that open between two places of the grid: a bar that is late may be a new one.
        var isOffGrid = false
    }

    package init(seriesMax: Int = Limits.seriesCountMax, closedMax: Int = Limits.closedQueueCountMax, counters: CounterBank, gaps: GapBoard)
    {
        precondition(seriesMax.nonzeroBitCount == 1)
        states = MappedArray(zeroed: seriesMax)
        newest = MappedArray(zeroed: seriesMax)
        oldestOpenMs = MappedArray(zeroed: seriesMax)
        lastClosed = MappedArray(zeroed: seriesMax)
        closedCounts = MappedArray(zeroed: seriesMax)
        dirty = MappedArray(zeroed: seriesMax)
        closed = ClosedQueue(capacity: closedMax)
        mask = seriesMax - 1
        names = []
        (self.counters, self.gaps) = (counters, gaps)
    }

    // MARK: Series

    /// Begins to take records for a series id.
    package mutating func follow(_ series: Series, _ id: UInt32, generation: UInt16) {
        precondition(Int(id) <= mask)
        while names.count <= Int(id) { names.append(nil) }
        names[Int(id)] = series
        ids[series] = id
        if unsafe !states.base[Int(id)].has(SeriesFlags.active) { counters.add(.seriesActive) }
        unsafe closedCounts.base[Int(id)] = 0
        unsafe lastClosed.base[Int(id)] = LastClosed()
        let keptDirty = unsafe states.base[Int(id)].flags & SeriesFlags.dirty
        unsafe states.base[Int(id)] = SeriesState()
        unsafe states.base[Int(id)].flags = SeriesFlags.active | keptDirty
        unsafe states.base[Int(id)].generation = generation
        unsafe states.base[Int(id)].interval = series.interval.rawValue
    }

    /// Records of the id are stale from now on; a pending forming state is given up. The name stays, because
    /// closed candles of the series may still be on their way: an id must not be used again before they are gone.
    package mutating func unfollow(_ id: UInt32) {
        let state = unsafe states.base + Int(id)
        if unsafe state.pointee.has(SeriesFlags.active) { counters.add(.seriesActive, -1) }
        // The id keeps its name until the id is used again. The name leads to this id only while no other id has taken the series over.
        if let series = names[Int(id)], ids[series] == id { ids[series] = nil }
        if unsafe state.pointee.has(SeriesFlags.formingPending) { counters.add(.coalesced) }
        unsafe state.pointee.flags &= ~(SeriesFlags.active | SeriesFlags.known | SeriesFlags.formingPending)
    }

    /// The handle is the one in force.
    package func isFollowed(_ handle: SeriesHandle) -> Bool {
        unsafe Int(handle.id) < names.count && states.base[Int(handle.id)].has(SeriesFlags.active)
            && states.base[Int(handle.id)].generation == handle.generation
    }

    /// Some id stands for the series.
    package func isFollowed(_ series: Series) -> Bool {
        guard let id = ids[series] else { return false }
        return unsafe states.base[Int(id)].has(SeriesFlags.active)
    }

    package func series(_ id: UInt32) -> Series? { Int(id) < names.count ? names[Int(id)] : nil }
    package var seriesCount: Int { names.count }

    /// How a series stands, for status.
    package func report(_ id: UInt32) -> SeriesReport {
        guard Int(id) < names.count, unsafe states.base[Int(id)].has(SeriesFlags.known) else { return SeriesReport() }
        let state = unsafe states.base + Int(id)
        return unsafe SeriesReport(
            eventTimeMs: newest.base[Int(id)].eventTimeMs,
            receivedNs: newest.base[Int(id)].receivedNs, closedCount: closedCounts.base[Int(id)], missingCount: state.pointee.missing)
    }

    // MARK: The hot path

    /// Takes one record.
    /// - Parameter parsedAfterNs: from its `receivedNs` until it stood in the ring.
    @inline(__always)
    package mutating func accept(_ record: UnsafePointer<CandleRecord>, parsedAfterNs: UInt32 = 0) {
        let id = unsafe Int(record.pointee.seriesID) & mask
        let state = unsafe states.base + id
        guard unsafe state.pointee.generation == record.pointee.generation, unsafe state.pointee.has(SeriesFlags.active) else {
            counters.add(.staleGeneration)
            return
        }
        if unsafe record.pointee.isClosed || record.pointee.openTimeMs != state.pointee.openTimeMs || !state.pointee.has(SeriesFlags.known)
        {
            unsafe acceptTurningPoint(record, id, parsedAfterNs)
            return
        }
        guard unsafe !state.pointee.has(SeriesFlags.newestClosed), unsafe CandleTable.isNewer(record, than: state) else {
            counters.add(.duplicates)
            return
        }
        unsafe acceptForming(record, id, parsedAfterNs)
    }

    /// True when taking this record would coalesce away a state that nobody has written.
    @inline(__always)
    package func wouldCoalesce(_ record: UnsafePointer<CandleRecord>) -> Bool {
        unsafe states.base[Int(record.pointee.seriesID) & mask].has(SeriesFlags.formingPending)
    }

    /// Same candle, both forming: does the record say something later?
    @inline(__always)
    private static func isNewer(_ record: UnsafePointer<CandleRecord>, than state: UnsafeMutablePointer<SeriesState>) -> Bool {
        if unsafe record.pointee.eventTimeMs != state.pointee.eventTimeMs {
            return unsafe record.pointee.eventTimeMs > state.pointee.eventTimeMs
        }
        return unsafe record.pointee.tradeCount > state.pointee.tradeCount
    }

    @inline(__always)
    private mutating func acceptForming(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = unsafe states.base + id
        if unsafe state.pointee.has(SeriesFlags.formingPending) { counters.add(.coalesced) }
        unsafe state.pointee.flags |= SeriesFlags.formingPending
        unsafe replaceNewest(record, id, parsedAfterNs)
    }

    @inline(__always)
    private mutating func replaceNewest(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = unsafe states.base + id
        unsafe newest.base[id] = unsafe record.pointee
        unsafe state.pointee.openTimeMs = unsafe record.pointee.openTimeMs
        unsafe state.pointee.eventTimeMs = unsafe record.pointee.eventTimeMs
        unsafe state.pointee.tradeCount = unsafe record.pointee.tradeCount
        unsafe state.pointee.parsedAfterNs = parsedAfterNs
        unsafe state.pointee.updates &+= 1
        if unsafe !state.pointee.has(SeriesFlags.dirty) {
            unsafe state.pointee.flags |= SeriesFlags.dirty
            pushDirty(UInt32(truncatingIfNeeded: id))
        }
    }

    // MARK: Turning points

    /// A closed candle, the first record of a series, or a record of another bar than the newest.
    @inline(never)
    private mutating func acceptTurningPoint(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = unsafe states.base + id
        if unsafe !state.pointee.has(SeriesFlags.known) {
            unsafe state.pointee.flags |= SeriesFlags.known
            unsafe state.pointee.openTimeMs = unsafe record.pointee.openTimeMs
            unsafe state.pointee.eventTimeMs = .min
            unsafe state.pointee.nextClosedOpenMs = unsafe record.pointee.openTimeMs
            unsafe oldestOpenMs.base[id] = unsafe record.pointee.openTimeMs
        }
        if unsafe record.pointee.isClosed {
            unsafe acceptClosed(record, id, parsedAfterNs)
        } else if unsafe record.pointee.openTimeMs < state.pointee.openTimeMs {
            counters.add(.duplicates)
        } else if unsafe record.pointee.openTimeMs == state.pointee.openTimeMs {
            // The first record of the series, forming.
            unsafe acceptForming(record, id, parsedAfterNs)
        } else {
            unsafe noteHole(upTo: record.pointee.openTimeMs, id)
            unsafe state.pointee.flags &= ~SeriesFlags.newestClosed
            unsafe acceptForming(record, id, parsedAfterNs)
        }
    }

    private mutating func acceptClosed(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = unsafe states.base + id
        let open = unsafe record.pointee.openTimeMs
        let last = unsafe lastClosed.base + id
        if unsafe open < oldestOpenMs.base[id] {
            guard extendBackwards(to: open, id) else { return counters.add(.duplicates) }
        } else if unsafe open >= state.pointee.nextClosedOpenMs {
            noteHole(upTo: open, id)
        } else if unsafe state.pointee.missing > 0, gaps.fill(names[id]!, openTimeMs: open) {
            unsafe state.pointee.missing -= 1
            counters.add(.gapCandlesFilled)
        } else if unsafe open > last.pointee.openTimeMs {
            // Sooner than the calendar has it, and yet never seen.
        } else if unsafe state.pointee.missing > 0 && gaps.forgottenCount > 0 {
            // It may fill a gap that the full board has forgotten, or be a repetition. It is written, which is idempotent, but not counted
            // as filled: repetitions must not use up what the series still misses.
        } else if unsafe saysSomethingNew(record, id) {
            unsafe closed.correct(record)
        } else {
            counters.add(.duplicates)
            return
        }
        let interval = unsafe Interval(rawValue: state.pointee.interval)!
        unsafe state.pointee.nextClosedOpenMs = unsafe max(state.pointee.nextClosedOpenMs, interval.nextOpenTime(after: open))
        unsafe last.pointee.openTimeMs = unsafe max(last.pointee.openTimeMs, open)
        unsafe last.pointee.eventTimeMs = unsafe max(last.pointee.eventTimeMs, record.pointee.eventTimeMs)
        if !interval.isOnGrid(open) { unsafe last.pointee.isOffGrid = true }
        counters.add(.closedReceived)
        unsafe closedCounts.base[id] &+= 1
        makeRoomForClosed()
        unsafe closed.append(record, parsedAfterNs: parsedAfterNs)
        guard unsafe open >= state.pointee.openTimeMs else {
            unsafe state.pointee.updates &+= 1
            return
        }
        // It replaces the newest state, whether of its own bar or of one before.
        if unsafe state.pointee.has(SeriesFlags.formingPending) { counters.add(.coalesced) }
        unsafe state.pointee.flags = unsafe (state.pointee.flags & ~SeriesFlags.formingPending) | SeriesFlags.newestClosed
        unsafe replaceNewest(record, id, parsedAfterNs)
    }

    /// A closed candle that opens no later than one that was taken, and is not known to be missing: a repetition, unless the exchange made
    /// the event after all that were taken (then it corrects a bar, and Redis finds out whether anything is different), or bars of the
    /// series do not keep to the grid.
    private func saysSomethingNew(_ record: UnsafePointer<CandleRecord>, _ id: Int) -> Bool {
        let (state, last) = unsafe (states.base + id, lastClosed.base[id])
        let open = unsafe record.pointee.openTimeMs
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

    /// Closed candles that should have come before the bar opening at `openMs`.
    private mutating func noteHole(upTo openMs: Int64, _ id: Int) {
        let from = unsafe states.base[id].nextClosedOpenMs
        guard from < openMs else { return }
        noteHole(from: from, until: openMs, id)
        unsafe states.base[id].nextClosedOpenMs = openMs
    }

    private mutating func noteHole(from: Int64, until: Int64, _ id: Int) {
        guard from < until else { return }
        let series = names[id]!
        let count = series.interval.barCount(from: from, until: until)
        counters.add(.gapsSeen)
        counters.add(.gapCandlesMissing, Int(count))
        unsafe states.base[id].missing = unsafe UInt32(clamping: Int64(states.base[id].missing) + count)
        gaps.add(Gap(series: series, fromMs: from, untilMs: until, cause: .missed))
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
        // As many as it can count, after a bar of a far future.
        unsafe state.pointee.missing = unsafe UInt32(clamping: Int64(state.pointee.missing) + 1)
        let until = series.interval.nextOpenTime(after: candle.openTimeMs)
        gaps.add(Gap(series: series, fromMs: candle.openTimeMs, untilMs: until, cause: cause))
    }

    // MARK: Dirty series

    @inline(__always)
    private mutating func pushDirty(_ id: UInt32) {
        unsafe dirty.base[dirtyTail & mask] = id
        dirtyTail &+= 1
    }

    package var dirtyCount: Int { dirtyTail - dirtyHead }

    /// The next series to write; it is clean from now on. Nil when there is none.
    @inline(__always)
    package mutating func popDirty() -> Int? {
        guard dirtyHead < dirtyTail else { return nil }
        let id = unsafe Int(dirty.base[dirtyHead & mask])
        dirtyHead &+= 1
        unsafe states.base[id].flags &= ~SeriesFlags.dirty
        return id
    }

    /// A write of this series' newest state came to nothing. If a newer one waits already, the lost one counts
    /// as coalesced.
    package mutating func restore(_ id: Int, wasForming: Bool) {
        let state = unsafe states.base + id
        guard unsafe state.pointee.has(SeriesFlags.known) else {
            if wasForming { counters.add(.coalesced) }
            return
        }
        if wasForming {
            if unsafe state.pointee.has(SeriesFlags.formingPending) || state.pointee.has(SeriesFlags.newestClosed) {
                counters.add(.coalesced)
            } else {
                unsafe state.pointee.flags |= SeriesFlags.formingPending
            }
        }
        markDirty(id)
    }

    package mutating func markDirty(_ id: Int) {
        let state = unsafe states.base + id
        guard unsafe state.pointee.has(SeriesFlags.known), unsafe !state.pointee.has(SeriesFlags.dirty) else { return }
        unsafe state.pointee.flags |= SeriesFlags.dirty
        pushDirty(UInt32(id))
    }

    /// Everything known is written once more: Redis may have come back empty.
    package mutating func markAllDirty() { for id in 0..<names.count { markDirty(id) } }

    /// Forming states that nobody has acknowledged or even taken.
    package var formingPendingCount: Int {
        (0..<names.count).count { unsafe states.base[$0].has(SeriesFlags.formingPending) }
    }
}
