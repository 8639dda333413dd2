// The newest state of every series, what of it must be written, and which closed candles are missing.
// Thread: the sink's. `accept` is the hot path: no allocation, no lock.
//
// A row and an entry of the closed queue also hold the marks of the batch builder, who writes them: what a batch needs of a
// candle then lies in the cache line that is being read anyway.
//
// Order within a series: by open time, then closed over forming, then event time, then trade count. Forming
// states coalesce in place; closed candles go into their queue one by one, never dropped or reordered.
//
// Bounds: `Limits.seriesCountMax` rows; the queues and lists in it have their own. An id is checked when its series is followed; a
// record's is masked, so that a wrong one leads to a row whose generation is another.

@safe package struct CandleTable: ~Copyable {
    package let states: MappedArray<SeriesState>
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
    /// What Redis has of what came a moment ago, from us or, in a group, from who writes the series.
    package var stored = StoredCandles(keepNs: 0)
    /// By series id: open times of bars whose closing event may still come and counts then, though no hole is listed: they were
    /// healed because it was late, or have not come while another member wrote the series.
    var awaited: [UInt32: [Int64]] = [:]
    /// Bars whose trade ids do not follow those of the bar before, for the healer. Bounded.
    package var suspects: [(handle: SeriesHandle, fromMs: Int64, untilMs: Int64)] = []
    /// Series with something to write, each once, in order of first touch.
    let dirty: MappedArray<UInt32>
    private(set) var dirtyHead = 0
    private(set) var dirtyTail = 0
    /// Entries of a history that are kept, about.
    package var historyMax = Int(Int32.max)
    /// What becomes dirty is taken out at once, into the queues of the cluster's nodes.
    package var isRouted = false
    let mask: Int
    private(set) var names: [Series?]
    /// The id that each followed series has.
    private(set) var ids: [Series: UInt32] = [:]
    /// The id that a stopped series had, as long as no other one has it.
    private var formerIDs: [Series: UInt32] = [:]
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
        /// The healer has said what is stored.
        var isChecked = false
        /// Another member of the group writes the series (`CandleTable+Group`).
        var isForeign = false
        /// It was the last to write it, whether we follow the series still or not.
        var isGivenAway = false
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
        // What the series has left in the queue is appended; what is older is written after that, by the script.
        let deliveredMs = formerIDs.removeValue(forKey: series).map { lastClosed[Int($0)].deliveredOpenMs } ?? .min
        if let former = names[Int(id)], formerIDs[former] == id { formerIDs[former] = nil }
        names[Int(id)] = series
        awaited[id] = nil
        ids[series] = id
        if !states[Int(id)].flags.contains(.active) { counters.add(.seriesActive) }
        closedCounts[Int(id)] = 0
        lastClosed[Int(id)] = LastClosed()
        lastClosed[Int(id)].deliveredOpenMs = deliveredMs
        let keptDirty = states[Int(id)].flags.intersection(.dirty)
        states[Int(id)] = SeriesState()
        states[Int(id)].flags = keptDirty.union(.active)
        if held.holds {
            states[Int(id)].flags.insert(.held)
            held.awaitCheck(id)
        }
        states[Int(id)].generation = generation
        states[Int(id)].interval = series.interval.rawValue
        // Holes that were noted behind its last end count again.
        onGapsChanged(series)
    }

    /// Records of the id are stale from now on; a pending forming state is given up. The name stays, because
    /// closed candles of the series may still be on their way: an id must not be used again before they are gone.
    package mutating func unfollow(_ id: UInt32) {
        let state = states.row(Int(id))
        releaseAll(Int(id))
        if lastClosed[Int(id)].isForeign { unseal(Int(id)) }
        if state.flags.contains(.active) { counters.add(.seriesActive, -1) }
        // The id keeps its name until the id is used again. The name leads to this id only while no other id has taken the series over.
        if let series = names[Int(id)], ids[series] == id {
            ids[series] = nil
            formerIDs[series] = id
            gaps.forget(series)
        }
        if state.flags.contains(.formingPending) { counters.add(.coalesced) }
        state.flags.subtract([.active, .known, .formingPending])
    }

    /// The handle is the one in force.
    package func isFollowed(_ handle: SeriesHandle) -> Bool {
        Int(handle.id) < names.count && states[Int(handle.id)].flags.contains(.active)
            && states[Int(handle.id)].generation == handle.generation
    }

    /// Some id stands for the series.
    package func isFollowed(_ series: Series) -> Bool {
        guard let id = ids[series] else { return false }
        return states[Int(id)].flags.contains(.active)
    }

    package func series(_ id: UInt32) -> Series? { Int(id) < names.count ? names[Int(id)] : nil }
    /// Followed, or stopped and not yet another one's id.
    package func series(_ handle: SeriesHandle) -> Series? { self.handle(handle.id) == handle ? series(handle.id) : nil }
    func handle(_ id: UInt32) -> SeriesHandle? {
        Int(id) < names.count ? SeriesHandle(id: id, generation: states[Int(id)].generation) : nil
    }
    package var seriesCount: Int { names.count }

    /// How a series stands, for status.
    package func report(_ id: UInt32) -> SeriesReport {
        guard Int(id) < names.count, states[Int(id)].flags.contains(.known) else { return SeriesReport() }
        let state = states.row(Int(id))
        return SeriesReport(
            eventTimeMs: newest[Int(id)].eventTimeMs,
            receivedNs: newest[Int(id)].receivedNs, closedCount: closedCounts[Int(id)], missingCount: state.missing)
    }

    // MARK: The hot path

    /// Takes one record.
    /// - Parameter parsedAfterNs: from its `receivedNs` until it stood in the ring.
    @inline(__always)
    package mutating func accept(_ record: Lent<CandleRecord>, parsedAfterNs: UInt32 = 0) {
        let id = Int(record.seriesID) & mask
        let state = states.row(id)
        guard state.generation == record.generation, state.flags.contains(.active) else {
            counters.add(.staleGeneration)
            return
        }
        if record.isClosed || record.openTimeMs != state.openTimeMs || !state.flags.contains(.known) {
            acceptTurningPoint(record, id, parsedAfterNs)
            return
        }
        guard !state.flags.contains(.newestClosed), CandleTable.isNewer(record, than: state) else {
            counters.add(.duplicates)
            return
        }
        acceptForming(record, id, parsedAfterNs)
    }

    /// True when taking this record would coalesce away a state that nobody has written.
    @inline(__always)
    package func wouldCoalesce(_ record: Lent<CandleRecord>) -> Bool {
        states[Int(record.seriesID) & mask].flags.contains(.formingPending)
    }

    /// Same candle, both forming: does the record say something later?
    @inline(__always)
    private static func isNewer(_ record: Lent<CandleRecord>, than state: Row<SeriesState>) -> Bool {
        if record.eventTimeMs != state.eventTimeMs {
            return record.eventTimeMs > state.eventTimeMs
        }
        return record.tradeCount > state.tradeCount
    }

    @inline(__always)
    private mutating func acceptForming(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = states.row(id)
        if state.flags.contains(.formingPending) { counters.add(.coalesced) }
        state.flags.insert(.formingPending)
        replaceNewest(record, id, parsedAfterNs)
    }

    @inline(__always)
    mutating func replaceNewest(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = states.row(id)
        newest[id] = record.value
        state.openTimeMs = record.openTimeMs
        state.eventTimeMs = record.eventTimeMs
        state.tradeCount = record.tradeCount
        state.parsedAfterNs = parsedAfterNs
        state.updates &+= 1
        if !state.flags.contains(.dirty) {
            state.flags.insert(.dirty)
            pushDirty(UInt32(truncatingIfNeeded: id))
        }
    }

    // MARK: Turning points

    /// A closed candle, the first record of a series, or a record of another bar than the newest.
    @inline(never)
    private mutating func acceptTurningPoint(_ record: Lent<CandleRecord>, _ id: Int, _ parsedAfterNs: UInt32) {
        let state = states.row(id)
        if !state.flags.contains(.known) && record.source != .backfill {
            state.flags.insert(.known)
            state.openTimeMs = record.openTimeMs
            state.eventTimeMs = .min
            state.nextClosedOpenMs = record.openTimeMs
            oldestOpenMs[id] = record.openTimeMs
            continueHistory(id)
        }
        if record.isClosed {
            acceptClosed(record, id, parsedAfterNs)
        } else if record.openTimeMs < state.openTimeMs {
            counters.add(.duplicates)
        } else if record.openTimeMs == state.openTimeMs {
            // The first record of the series, forming.
            acceptForming(record, id, parsedAfterNs)
        } else {
            noteHole(upTo: record.openTimeMs, id)
            state.flags.remove(.newestClosed)
            acceptForming(record, id, parsedAfterNs)
        }
    }

    // MARK: Dirty series

    @inline(__always)
    private mutating func pushDirty(_ id: UInt32) {
        assert(dirtyCount <= mask)
        dirty[dirtyTail & mask] = id
        dirtyTail &+= 1
    }

    package var dirtyCount: Int { dirtyTail - dirtyHead }

    /// The next series to write; it is clean from now on. Nil when there is none.
    @inline(__always)
    package mutating func popDirty() -> Int? {
        guard dirtyHead < dirtyTail else { return nil }
        let id = Int(dirty[dirtyHead & mask])
        assert(states[id].flags.contains(.dirty))
        dirtyHead &+= 1
        states[id].flags.remove(.dirty)
        return id
    }

    /// A write of this series' newest state came to nothing. If a newer one waits already, the lost one counts
    /// as coalesced.
    package mutating func restore(_ id: Int, wasForming: Bool) {
        let state = states.row(id)
        guard state.flags.contains(.known) else {
            if wasForming { counters.add(.coalesced) }
            return
        }
        if wasForming {
            if state.flags.contains(.formingPending) || state.flags.contains(.newestClosed) {
                counters.add(.coalesced)
            } else {
                state.flags.insert(.formingPending)
            }
        }
        markDirty(id)
    }

    package mutating func markDirty(_ id: Int) {
        let state = states.row(id)
        guard state.flags.contains(.known), !state.flags.contains(.dirty) else { return }
        // All that has come is a closed candle that waits for a hole before it.
        guard state.eventTimeMs > .min else { return }
        state.flags.insert(.dirty)
        pushDirty(UInt32(id))
    }

    /// Nothing of these becomes dirty any more: each stays marked and is in no list, so that what is taken costs no test.
    mutating func sealDirty(_ sealed: Set<UInt32>) {
        var kept = dirtyHead
        for place in dirtyHead..<dirtyTail where !sealed.contains(dirty[place & mask]) {
            dirty[kept & mask] = dirty[place & mask]
            kept &+= 1
        }
        dirtyTail = kept
        for id in sealed { states[Int(id)].flags.insert(.dirty) }
    }

    /// Everything known is written once more: Redis may have come back empty.
    package mutating func markAllDirty() { for id in 0..<names.count { markDirty(id) } }

    /// Forming states that nobody has acknowledged or even taken.
    package var formingPendingCount: Int {
        (0..<names.count).count { states[$0].flags.contains(.formingPending) }
    }
}
