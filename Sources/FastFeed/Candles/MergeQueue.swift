// Closed candles that cannot be appended, because their history has newer ones: a script puts each run of a series in its place. The
// sink's thread alone. Bounded by `Limits.closedQueueCountMax`; full, the candle becomes a gap.

package struct MergeQueue {
    /// What one call of the script does.
    package enum Run {
        /// Candles of one series, ascending.
        case candles([LateCandle])
        /// Entries that are not candles of the exchange.
        case removal(Series, ids: [String])
    }

    /// By series id, each ascending, of one bar the later word behind the earlier.
    private(set) var waiting: [UInt32: [LateCandle]] = [:]
    /// Series in the order in which they came.
    private(set) var order: [UInt32] = []
    private(set) var removals: [(series: Series, ids: [String])] = []
    /// Candles, those of runs on their way among them.
    package private(set) var count = 0
    /// Where the queue of closed candles must be before a run goes: what is older and still in it is to be appended, not inserted.
    private(set) var afterHead = 0
    /// Open times of the candles of runs on their way, by series id.
    private(set) var flying: [UInt32: [Int64]] = [:]
    private(set) var removalsFlying = 0

    /// What was taken over from another member of the group and is to be written, as runs of one series each, the next one last. Not among
    /// what is counted: they are copies of what is kept (`StoredCandles`), and a new connection begins with them anew.
    package private(set) var takeOvers: [[CandleRecord]] = []
    /// By series: runs of it in `takeOvers`. What closes of it meanwhile waits in `waiting`, so that its history grows in order; as long as
    /// something does, the series is here with 0.
    private(set) var runsLeft: [UInt32: Int] = [:]
    /// Some series is being taken over.
    private(set) var isTakingOver = false
    /// Something is to be sent.
    package private(set) var hasWaiting = false

    package init() {}

    private mutating func noteWaiting() {
        hasWaiting = !order.isEmpty || !removals.isEmpty || !takeOvers.isEmpty
        isTakingOver = !runsLeft.isEmpty
    }

    package func isDue(head: Int) -> Bool { hasWaiting && afterHead <= head }
    package var isEmpty: Bool { count == 0 && takeOvers.isEmpty && removals.isEmpty && removalsFlying == 0 && flying.isEmpty }
    package var isFull: Bool { count >= Limits.closedQueueCountMax }

    /// The id may not be given to another series.
    package func mentions(_ id: UInt32) -> Bool { waiting[id] != nil || flying[id] != nil }

    /// The oldest candle of the next run.
    var first: CandleRecord? { order.first.flatMap { waiting[$0]?.first?.record } }

    /// Open times of the candles that wait or are on their way.
    func openTimes(_ id: UInt32) -> [Int64] { (waiting[id]?.map(\.record.openTimeMs) ?? []) + (flying[id] ?? []) }

    /// - Parameter tail: of the queue of closed candles.
    package mutating func put(_ candle: LateCandle, behind tail: Int = 0) {
        insert(candle)
        count += 1
        afterHead = tail
    }

    package mutating func remove(_ series: Series, ids: [String]) {
        removals.append((series, ids))
        hasWaiting = true
    }

    // MARK: Taken over

    /// Closed candles of the series wait, because older ones of it do.
    package func takesOver(_ id: UInt32) -> Bool { runsLeft[id] != nil }

    /// Runs of one series each, in their order; they go before those that wait.
    package mutating func takeOver(_ runs: [[CandleRecord]]) {
        takeOvers += runs.reversed()
        for run in runs { runsLeft[run[0].seriesID, default: 0] += 1 }
        noteWaiting()
    }

    /// The run at this place, the last one or of its lane the last, if it has so many candles at most.
    package mutating func nextTakeOver(at place: Int, most: Int) -> [CandleRecord]? {
        guard takeOvers[place].count <= most else { return nil }
        let run = takeOvers.remove(at: place)
        let id = run[0].seriesID
        runsLeft[id]! -= 1
        endIfDone(id)
        noteWaiting()
        return run
    }

    package mutating func endTakeOvers(but kept: [[CandleRecord]] = []) {
        takeOvers = kept
        let ids = kept.isEmpty ? [] : runsLeft.keys.filter { waiting[$0] != nil }
        runsLeft = Dictionary(ids.map { ($0, 0) } + kept.map { ($0[0].seriesID, 1) }, uniquingKeysWith: +)
        noteWaiting()
    }

    /// What closes of it is appended again once nothing of it waits here. (The last run may come back from a lost batch: then what was
    /// appended meanwhile is before it, and the script puts each in its place.)
    private mutating func endIfDone(_ id: UInt32) {
        if runsLeft[id] == 0, waiting[id] == nil { runsLeft[id] = nil }
    }

    // MARK: Merges

    private mutating func insert(_ candle: LateCandle) {
        let id = candle.record.seriesID
        var list = waiting[id] ?? []
        if list.isEmpty { order.append(id) }
        let place = (list.lastIndex { $0.record.openTimeMs <= candle.record.openTimeMs } ?? -1) + 1
        list.insert(candle, at: place)
        waiting[id] = list
        hasWaiting = true
    }

    /// A later word on a bar: what waits of it says the same from now on.
    package mutating func correct(_ candle: CandleRecord) {
        guard let list = waiting[candle.seriesID] else { return }
        for place in list.indices where list[place].record.openTimeMs == candle.openTimeMs {
            waiting[candle.seriesID]![place].record = candle
        }
    }

    /// The next run, of so many candles or entries at most. It is on its way until `end` or `putBack`.
    /// - Parameters:
    ///   - isWanted: of this series id.
    ///   - isWantedRemoval: entries of this one.
    package mutating func take(
        most: Int, of isWanted: (UInt32) -> Bool = { _ in true }, removals isWantedRemoval: (Series) -> Bool = { _ in true }
    ) -> Run? {
        guard most > 0 else { return nil }
        defer { noteWaiting() }
        if let place = removals.firstIndex(where: { isWantedRemoval($0.series) }) {
            let (series, ids) = removals[place]
            if ids.count > most { removals[place].ids.removeFirst(most) } else { removals.remove(at: place) }
            removalsFlying += 1
            return .removal(series, ids: Array(ids.prefix(most)))
        }
        guard let place = order.firstIndex(where: isWanted), let list = waiting[order[place]] else { return nil }
        let id = order[place]
        // The script takes each bar once: a second word on it begins the next run.
        var run: [LateCandle] = []
        for candle in list {
            guard run.count < most, candle.record.openTimeMs > run.last?.record.openTimeMs ?? .min else { break }
            run.append(candle)
        }
        order.remove(at: place)
        if run.count < list.count {
            waiting[id] = Array(list.dropFirst(run.count))
            order.append(id)
        } else {
            waiting[id] = nil
            endIfDone(id)
        }
        flying[id, default: []] += run.map(\.record.openTimeMs)
        return .candles(run)
    }

    /// The run came to nothing: it is to be sent again.
    package mutating func putBack(_ run: Run) {
        land(run)
        switch run {
        case .candles(let candles):
            // Before what has come since: of one bar the earlier word first.
            for candle in candles.reversed() {
                let id = candle.record.seriesID
                var list = waiting[id] ?? []
                if list.isEmpty { order.append(id) }
                list.insert(candle, at: list.firstIndex { $0.record.openTimeMs >= candle.record.openTimeMs } ?? list.count)
                waiting[id] = list
            }
        case .removal(let series, let ids): removals.insert((series, ids), at: 0)
        }
        hasWaiting = true
    }

    /// The run has been answered for good.
    package mutating func end(_ run: Run) {
        land(run)
        if case .candles(let candles) = run { count -= candles.count }
    }

    /// What was taken comes back once, as it was: a batch marks a run that has had its answer as settled.
    private mutating func land(_ run: Run) {
        guard case .candles(let candles) = run else {
            precondition(removalsFlying > 0, "a removal ends once")
            return removalsFlying -= 1
        }
        let id = candles[0].record.seriesID
        var left = flying[id] ?? []
        for candle in candles {
            guard let place = left.firstIndex(of: candle.record.openTimeMs) else { preconditionFailure("a run ends once") }
            left.remove(at: place)
        }
        flying[id] = left.isEmpty ? nil : left
    }
}
