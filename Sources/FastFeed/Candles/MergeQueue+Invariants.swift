// What is always so of the queue of merges. Tests and simulated worlds ask for it, the product never does. The sink's thread alone.

extension MergeQueue {
    /// Candles of runs on their way.
    var flyingCount: Int { flying.values.reduce(0) { $0 + $1.count } }

    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        guard count <= Limits.closedQueueCountMax else { return "merges: \(count) candles are more than the bound" }
        guard order.count == waiting.count, Set(order).count == order.count, order.allSatisfy({ waiting[$0] != nil }) else {
            return "merges: the order \(order) is not that of the series that wait (\(waiting.keys.sorted()))"
        }
        for (id, candles) in waiting {
            if candles.isEmpty { return "merges: series \(id) waits with nothing" }
            if let wrong = LateCandle.disorder(candles, of: id) { return "merges: \(wrong)" }
        }
        if let (id, _) = flying.first(where: { $0.value.isEmpty }) { return "merges: a run of series \(id) is on its way with nothing" }
        let found = waiting.values.reduce(flyingCount) { $0 + $1.count }
        guard found == count else { return "merges: \(count) candles counted, \(found) are there" }
        guard hasWaiting == !(order.isEmpty && removals.isEmpty && takeOvers.isEmpty) else { return "merges: what waits is not noted" }
        if takeOvers.contains(where: \.isEmpty) { return "merges: a run of nothing is taken over" }
        let runs = Dictionary(takeOvers.map { ($0[0].seriesID, 1) }, uniquingKeysWith: +)
        guard runsLeft.filter({ $0.value > 0 }) == runs, isTakingOver != runsLeft.isEmpty else {
            return "merges: runs are taken over of \(runs), and \(runsLeft) are counted"
        }
        guard removalsFlying >= 0 else { return "merges: \(removalsFlying) removals are on their way" }
        return nil
    }
}

extension LateCandle {
    /// What is wrong in a list of one series' candles that is to be in the order of their open times.
    static func disorder(_ candles: [LateCandle], of id: UInt32) -> String? {
        for (place, candle) in candles.enumerated() {
            if candle.record.seriesID != id { return "series \(id): a candle of series \(candle.record.seriesID)" }
            guard place > 0, candles[place - 1].record.openTimeMs > candle.record.openTimeMs else { continue }
            return "series \(id): \(candle.record.openTimeMs) stands behind \(candles[place - 1].record.openTimeMs)"
        }
        return nil
    }
}
