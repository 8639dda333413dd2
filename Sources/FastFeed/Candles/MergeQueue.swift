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

    package init() {}

    package var hasWaiting: Bool { !order.isEmpty || !removals.isEmpty }
    package func isDue(head: Int) -> Bool { hasWaiting && afterHead <= head }
    package var isEmpty: Bool { count == 0 && removals.isEmpty && removalsFlying == 0 && flying.isEmpty }
    package var isFull: Bool { count >= Limits.closedQueueCountMax }

    /// The id may not be given to another series.
    package func mentions(_ id: UInt32) -> Bool { waiting[id] != nil || flying[id] != nil }

    /// The oldest candle of the next run.
    var first: CandleRecord? { order.first.flatMap { waiting[$0]?.first?.record } }

    /// Of candles that wait or are on their way.
    func openTimes(_ id: UInt32) -> [Int64] { (waiting[id]?.map(\.record.openTimeMs) ?? []) + (flying[id] ?? []) }

    /// - Parameter tail: of the queue of closed candles.
    package mutating func put(_ candle: LateCandle, behind tail: Int = 0) {
        insert(candle)
        count += 1
        afterHead = tail
    }

    package mutating func remove(_ series: Series, ids: [String]) { removals.append((series, ids)) }

    private mutating func insert(_ candle: LateCandle) {
        let id = candle.record.seriesID
        var list = waiting[id] ?? []
        if list.isEmpty { order.append(id) }
        let place = (list.lastIndex { $0.record.openTimeMs <= candle.record.openTimeMs } ?? -1) + 1
        list.insert(candle, at: place)
        waiting[id] = list
    }

    /// A later word on a bar: what waits of it says the same from now on.
    package mutating func correct(_ candle: CandleRecord) {
        guard let list = waiting[candle.seriesID] else { return }
        for place in list.indices where list[place].record.openTimeMs == candle.openTimeMs {
            waiting[candle.seriesID]![place].record = candle
        }
    }

    /// The next run, of so many candles or entries at most. It is on its way until `end` or `putBack`.
    package mutating func take(most: Int) -> Run? {
        guard most > 0 else { return nil }
        if let (series, ids) = removals.first {
            if ids.count > most { removals[0].ids.removeFirst(most) } else { removals.removeFirst() }
            removalsFlying += 1
            return .removal(series, ids: Array(ids.prefix(most)))
        }
        guard let id = order.first, let list = waiting[id] else { return nil }
        // The script takes each bar once: a second word on it begins the next run.
        var run: [LateCandle] = []
        for candle in list {
            guard run.count < most, candle.record.openTimeMs > run.last?.record.openTimeMs ?? .min else { break }
            run.append(candle)
        }
        order.removeFirst()
        if run.count < list.count {
            waiting[id] = Array(list.dropFirst(run.count))
            order.append(id)
        } else {
            waiting[id] = nil
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
    }

    /// The run has been answered for good.
    package mutating func end(_ run: Run) {
        land(run)
        if case .candles(let candles) = run { count -= candles.count }
        precondition(count >= 0, "a run ends once")
    }

    private mutating func land(_ run: Run) {
        guard case .candles(let candles) = run else {
            precondition(removalsFlying > 0, "a removal ends once")
            return removalsFlying -= 1
        }
        let id = candles[0].record.seriesID
        guard var left = flying[id] else { return }
        for candle in candles { if let place = left.firstIndex(of: candle.record.openTimeMs) { left.remove(at: place) } }
        flying[id] = left.isEmpty ? nil : left
    }
}
