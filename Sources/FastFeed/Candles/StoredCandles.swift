// Closed candles that Redis has acknowledged a moment ago. A failover may lose what a server has acknowledged: after each new connection
// they are written again, and who takes a series over writes what it has of it. Only what the stream has brought: what the healer has
// brought it finds anew. The sink's thread alone. Bounded by time and by `Limits.storedCandlesMax`; the memory is reserved for that and
// touched as far as the busiest moment needs.

@safe package struct StoredCandles: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var record: CandleRecord
        let storedNs: UInt64
        /// Another member of the group has written it, or should have: what Redis has of the bar may be a later word.
        let isWatched: Bool
    }

    /// A ring in the first `size` cells: the oldest at `head`.
    private let entries = MappedArray<Entry>(zeroed: Limits.storedCandlesMax)
    private var size = Limits.storedCandlesFirst
    private var head = 0
    package private(set) var count = 0
    /// How long they are kept; 0: not at all.
    package let keepNs: UInt64
    /// None of them ended before this.
    private var earliestCloseMs = Int64.max

    package init(keepNs: UInt64) { self.keepNs = keepNs }

    private func entry(_ index: Int) -> Row<Entry> { entries.row((head + index) & (size - 1)) }

    package mutating func put(_ record: CandleRecord, nowNs: UInt64, isWatched: Bool = false) {
        guard keepNs > 0, record.source == .live else { return }
        forgetOld(nowNs)
        if count == size { makeRoom() }
        entry(count).value = Entry(record: record, storedNs: nowNs, isWatched: isWatched)
        count += 1
        earliestCloseMs = min(earliestCloseMs, record.closeTimeMs)
    }

    private mutating func forgetOld(_ nowNs: UInt64) {
        while count > 0, nowNs &- entry(0).storedNs > keepNs { dropOldest() }
        if count == 0 { earliestCloseMs = .max }
    }

    private mutating func dropOldest() { (head, count) = ((head + 1) & (size - 1), count - 1) }

    private mutating func makeRoom() {
        if size == Limits.storedCandlesMax { return dropOldest() }
        // What stands before the oldest goes behind the newest.
        for index in 0..<head { entries[size + index] = entries[index] }
        size *= 2
    }

    /// Redis has a later word on a bar: what is kept of it says the same from now on.
    package mutating func correct(_ record: CandleRecord) {
        guard record.closeTimeMs >= earliestCloseMs else { return }
        for index in (0..<count).reversed() where entry(index).record.isOfSameBar(as: record) { entry(index).record = record }
    }

    /// Open times of what is kept of these series. Reads all of it.
    package func openTimes(of wanted: Set<SeriesHandle>) -> [SeriesHandle: [Int64]] {
        var openTimes: [SeriesHandle: [Int64]] = [:]
        for index in 0..<count {
            let kept = entry(index)
            let handle = SeriesHandle(id: kept.record.seriesID, generation: kept.record.generation)
            if wanted.contains(handle) { openTimes[handle, default: []].append(kept.record.openTimeMs) }
        }
        return openTimes
    }

    /// All that is kept, as runs of one series each, ascending, in the order in which the series came; of one bar the last word.
    /// - Parameter wanted: of these series; nil: of all.
    /// - Returns: with each run, whether another member of the group has written some of it.
    package mutating func runs(
        nowNs: UInt64, most: Int, of wanted: Set<SeriesHandle>? = nil
    ) -> [(series: SeriesHandle, candles: [CandleRecord], isWatched: Bool)] {
        forgetOld(nowNs)
        var order: [SeriesHandle] = []
        var bySeries: [SeriesHandle: [CandleRecord]] = [:]
        var watched: Set<SeriesHandle> = []
        for index in 0..<count {
            let record = entry(index).record
            let handle = SeriesHandle(id: record.seriesID, generation: record.generation)
            if let wanted, !wanted.contains(handle) { continue }
            if bySeries[handle] == nil { order.append(handle) }
            if entry(index).isWatched { watched.insert(handle) }
            let end = (bySeries[handle]?.lastIndex { $0.openTimeMs <= record.openTimeMs } ?? -1) + 1
            if end > 0, bySeries[handle]![end - 1].openTimeMs == record.openTimeMs {
                bySeries[handle]![end - 1] = record
            } else {
                bySeries[handle, default: []].insert(record, at: end)
            }
        }
        return order.flatMap { handle in
            let list = bySeries[handle]!
            return stride(from: 0, to: list.count, by: most).map {
                (handle, Array(list[$0..<min($0 + most, list.count)]), watched.contains(handle))
            }
        }
    }
}
