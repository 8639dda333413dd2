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
    let oldestOpenMs: MappedArray<Int64>
    /// By series id: looked at when a closed candle comes that is not simply the next one.
    let lastClosed: MappedArray<LastClosed>
    package var closed: ClosedQueue
    /// Closed candles that wait for a hole before them.
    package var held = HeldCandles()
    /// Closed candles that are older than what their history has: the merge script puts them in their place.
    package var merges = MergeQueue()
    /// By series id: open times of bars that were healed because their closing event did not come in time.
    var lateHealed: [UInt32: [Int64]] = [:]
    /// Bars whose trade ids do not follow those of the bar before, for the healer. Bounded.
    package var suspects: [(handle: SeriesHandle, fromMs: Int64, untilMs: Int64)] = []
    /// Series with something to write, each once, in order of first touch.
    private let dirty: MappedArray<UInt32>
    private var dirtyHead = 0
    private var dirtyTail = 0
    /// Entries of a history that are kept, about.
    package var historyMax = Int(Int32.max)
    private let mask: Int
    private(set) var names: [Series?]
    /// The id that each followed series had last.
    private(set) var ids: [Series: UInt32] = [:]
    /// By series id: closed candles taken.
    let closedCounts: MappedArray<UInt64>
    let counters: CounterBank
    let gaps: GapBoard

    /// What the closed candles of a series have come to.
    struct LastClosed: BitwiseCopyable {
        /// The latest open time that was taken, and the latest event.
        var openTimeMs = Int64.min
        var eventTimeMs = Int64.min
        /// The earliest open time that was taken.
        var earliestMs = Int64.max
        /// The latest open time that is in the history, or on its way there.
        var deliveredOpenMs = Int64.min
        /// Of a history that begins behind a backfill, open time of the bar before its first live one; `.min`: not known.
        var beforeFirstMs = Int64.min
        /// Where the chain of trade ids stands: the bar that comes next, and the last id before it (−1: not known).
        var chainOpenMs = Int64.min
        var chainTradeID: Int64 = -1
        /// After an outage the exchange has made bars that open between two places of the grid: a bar that is late may be a new one.
        var isOffGrid = false
        /// Some of its bars are on the board of holes.
        var hasListed = false
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
        lateHealed[id] = nil
        ids[series] = id
        if unsafe !states.base[Int(id)].has(SeriesFlags.active) { counters.add(.seriesActive) }
        unsafe closedCounts.base[Int(id)] = 0
        unsafe lastClosed.base[Int(id)] = LastClosed()
        let keptDirty = unsafe states.base[Int(id)].flags & SeriesFlags.dirty
        unsafe states.base[Int(id)] = SeriesState()
        unsafe states.base[Int(id)].flags = SeriesFlags.active | keptDirty
        if held.holds {
            unsafe states.base[Int(id)].flags |= SeriesFlags.held
            held.awaitCheck(id)
        }
        unsafe states.base[Int(id)].generation = generation
        unsafe states.base[Int(id)].interval = series.interval.rawValue
    }

    /// Records of the id are stale from now on; a pending forming state is given up. The name stays, because
    /// closed candles of the series may still be on their way: an id must not be used again before they are gone.
    package mutating func unfollow(_ id: UInt32) {
        let state = unsafe states.base + Int(id)
        releaseAll(Int(id))
        if unsafe state.pointee.has(SeriesFlags.active) { counters.add(.seriesActive, -1) }
        // The id keeps its name until the id is used again. The name leads to this id only while no other id has taken the series over.
        if let series = names[Int(id)], ids[series] == id {
            ids[series] = nil
            gaps.forget(series)
        }
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
    /// Followed, or stopped and not yet another one's id.
    package func series(_ handle: SeriesHandle) -> Series? { self.handle(handle.id) == handle ? series(handle.id) : nil }
    func handle(_ id: UInt32) -> SeriesHandle? {
        Int(id) < names.count ? unsafe SeriesHandle(id: id, generation: states.base[Int(id)].generation) : nil
    }
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
    mutating func replaceNewest(_ record: UnsafePointer<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
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
        if unsafe !state.pointee.has(SeriesFlags.known) && record.pointee.source != .backfill {
            unsafe state.pointee.flags |= SeriesFlags.known
            unsafe state.pointee.openTimeMs = unsafe record.pointee.openTimeMs
            unsafe state.pointee.eventTimeMs = .min
            unsafe state.pointee.nextClosedOpenMs = unsafe record.pointee.openTimeMs
            unsafe oldestOpenMs.base[id] = unsafe record.pointee.openTimeMs
            continueHistory(id)
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
        // All that has come is a closed candle that waits for a hole before it.
        guard unsafe state.pointee.eventTimeMs > .min else { return }
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
