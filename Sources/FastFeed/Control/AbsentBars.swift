// Bars that the exchange does not have: before a listing, while trading paused, after its end. Learned from its answers, so that it is
// not asked again for what it has said it lacks. Pure; the control thread's alone. Bounded by `Limits`; an answer may have been wrong,
// so what it taught is forgotten after an hour.

struct AbsentBars {
    private static let lifeNs: UInt64 = 3_600_000_000_000
    private var known: [Series: (ranges: [Range<Int64>], sinceNs: UInt64)] = [:]

    /// True when no bar can open in `from..<until`: none is cut there, or the exchange lacks each of them.
    /// - Parameter anchorMs: the open time of a bar, which tells the phase of three-day bars.
    func cover(_ series: Series, from: Int64, until: Int64, anchorMs: Int64, nowNs: UInt64) -> Bool {
        guard from < until else { return true }
        let open = series.interval.openTime(containing: from, anchorMs: anchorMs)
        let first = open == from ? from : series.interval.nextOpenTime(after: open)
        guard first < until else { return true }
        guard let entry = known[series], nowNs &- entry.sinceNs < AbsentBars.lifeNs else { return false }
        return entry.ranges.contains { $0.lowerBound <= first && until <= $0.upperBound }
    }

    /// What an answer says by what is not in it.
    /// - Parameter settledMs: what opened before this instant, the exchange would have shown.
    mutating func learn(_ query: DataQuery, _ candles: [CandleRecord], settledMs: Int64, nowNs: UInt64) {
        let interval = query.series.interval
        let isShort = candles.count < query.limit
        let untilMs = min(query.endMs.map { $0 + 1 } ?? .max, settledMs)
        var found: [(from: Int64, until: Int64)] = []
        for (candle, next) in zip(candles, candles.dropFirst()) {
            found.append((interval.nextOpenTime(after: candle.openTimeMs), next.openTimeMs))
        }
        if isShort || query.isForward { found.append((query.startMs ?? 0, candles.first?.openTimeMs ?? untilMs)) }
        if let last = candles.last, isShort || !query.isForward {
            found.append((interval.nextOpenTime(after: last.openTimeMs), untilMs))
        }
        if let entry = known[query.series], nowNs &- entry.sinceNs >= AbsentBars.lifeNs { known[query.series] = nil }
        for range in found where range.from < range.until { add(range.from..<range.until, query.series, nowNs) }
    }

    private mutating func add(_ range: Range<Int64>, _ series: Series, _ nowNs: UInt64) {
        if known[series] == nil, known.count >= Limits.absentSeriesMax { known.removeAll() }
        var entry = known[series] ?? ([], nowNs)
        // Two that touch are one.
        let touching = entry.ranges.filter { $0.lowerBound <= range.upperBound && range.lowerBound <= $0.upperBound }
        entry.ranges.removeAll(where: touching.contains)
        if entry.ranges.count >= Limits.absentRangesMax { entry.ranges.removeFirst() }
        let all = touching + [range]
        entry.ranges.append(all.map(\.lowerBound).min()!..<all.map(\.upperBound).max()!)
        known[series] = entry
    }
}
