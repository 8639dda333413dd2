// Which candles were told, which are missing, and so what an entry that comes means. Pure: no socket, no clock; one owner.
//
// It promises: candles of a series strictly by open time, each once; before a candle that is not its predecessor's neighbour the gap; what
// comes later is told as late where it fills an open gap, as corrected where its revision is newer than the one that was told, and else
// not at all. So an entry that is read twice, and a change that is told twice, do no harm.
//
// Bounded: `openGapsMax` gaps of all series together. Beyond, the series' oldest one is forgotten; candles of its time that are inserted
// are told as late all the same. Of candles with a revision, the newest `revisionsMax` of a series are remembered.

/// What an entry of `changes:*` tells.
package struct CandleChange: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case inserted, corrected, removed
        /// A word of a newer service: the candle is looked at like a corrected one.
        case unknown
    }

    package let openMs: Int64
    package let kind: Kind
    package let revision: Int64

    /// Nil for what the service has not written.
    package init?(openTime: String?, kind: String?, revision: String?) {
        guard let openMs = openTime.flatMap({ Int64($0) }), Limits.instantsMs.contains(openMs), let kind else { return nil }
        self.openMs = openMs
        // A removed candle may have had none.
        self.revision = revision.flatMap { Int64($0) } ?? 0
        switch kind {
        case "inserted", "late": self.kind = .inserted
        case "corrected": self.kind = .corrected
        case "removed": self.kind = .removed
        default: self.kind = .unknown
        }
    }
}

package struct CandleOrder: Sendable {
    private var tracks: [CandleTrack]
    private let openGapsMax: Int
    private var openGapCount = 0
    /// Gaps that did not fit.
    package private(set) var gapsForgotten: UInt64 = 0

    package init(_ series: [Series], openGapsMax: Int = Limits.candleGapsMax, revisionsMax: Int = Limits.changesKeptMax) {
        tracks = series.map { CandleTrack($0, revisionsMax) }
        self.openGapsMax = openGapsMax
    }

    /// What is missing still: by series, then by time.
    package var openGaps: [CandleGap] { tracks.flatMap(\.gaps) }

    package func series(_ index: Int) -> Series { tracks[index].series }
    package func hasOpenGaps(_ index: Int) -> Bool { !tracks[index].gaps.isEmpty }
    /// The time that all gaps of a series lie in.
    package func openTimes(_ index: Int) -> ClosedRange<Int64>? {
        guard let first = tracks[index].gaps.first, let last = tracks[index].gaps.last else { return nil }
        return first.from...last.until
    }

    /// Says where the reader of a series is. Once, before its first candle.
    /// - Parameter instantMs: the open time of the last candle that it has, or any time; nil begins with whatever comes first.
    package mutating func begin(_ index: Int, after instantMs: Int64?) { tracks[index].begin(after: instantMs) }

    /// True when a gap lies before this candle: then the oldest entry that is kept tells its cause.
    package func leaps(_ index: Int, to openMs: Int64) -> Bool { tracks[index].gap(before: openMs, oldestKeptMs: nil) != nil }

    /// An entry of a history, in the order of reading.
    /// - Parameter oldestKeptMs: the oldest entry of the history; looked at when there is a gap.
    /// - Returns: false for an entry that does not lie where bars of this length are cut.
    package mutating func read(_ candle: Candle, _ index: Int, oldestKeptMs: Int64?, into events: inout [CandleEvent]) -> Bool {
        let before = tracks[index].gaps.count
        let isGood = tracks[index].read(candle, oldestKeptMs: oldestKeptMs, into: &events)
        settleCount(index, before)
        return isGood
    }

    /// True when the candle of a change must be looked at as it is now.
    package func wants(_ change: CandleChange, _ index: Int) -> Bool { tracks[index].wants(change) }

    /// A change.
    /// - Parameter candle: as it is now; nil when it is not there any more, or is not wanted.
    package mutating func changed(_ change: CandleChange, _ candle: Candle?, _ index: Int, into events: inout [CandleEvent]) {
        let before = tracks[index].gaps.count
        tracks[index].changed(change, candle, into: &events)
        settleCount(index, before)
    }

    private mutating func settleCount(_ index: Int, _ before: Int) {
        openGapCount += tracks[index].gaps.count - before
        while openGapCount > openGapsMax, tracks[index].forgetOldestGap() {
            openGapCount -= 1
            gapsForgotten += 1
        }
    }
}

/// What was told of one series.
private struct CandleTrack: Sendable {
    let series: Series
    /// Ascending by time; no two overlap.
    private(set) var gaps: [CandleGap] = []
    /// The last candle that was told in its order, or the place where the reader began.
    private var lastMs: Int64?
    private var lastIsCandle = false
    /// From here on it is known what was told. Nil: nothing was.
    private var knownFromMs: Int64?
    /// By open time: the revisions of told candles that have one.
    private var revisions: [Int64: Int64] = [:]
    private var revised: ArraySlice<Int64> = []
    private let revisionsMax: Int

    init(_ series: Series, _ revisionsMax: Int) { (self.series, self.revisionsMax) = (series, revisionsMax) }

    private var interval: Interval { series.interval }

    mutating func begin(after instantMs: Int64?) {
        lastMs = instantMs
        knownFromMs = instantMs.map { $0 + 1 }
    }

    /// The candles between the last one and this one.
    func gap(before openMs: Int64, oldestKeptMs: Int64?) -> CandleGap? {
        guard let lastMs, openMs > lastMs else { return nil }
        let from = expected(openMs, lastMs)
        guard openMs > from else { return nil }
        let isTrimmed = oldestKeptMs.map { $0 > lastMs } ?? false
        return CandleGap(series: series, from: from, until: openMs, cause: isTrimmed ? .trimmed : .missing)
    }

    /// The open time behind the last one. A place need not be a candle's: the phase of three-day bars is that of the candle that comes.
    private func expected(_ openMs: Int64, _ lastMs: Int64) -> Int64 {
        interval.nextOpenTime(after: lastIsCandle ? lastMs : interval.openTime(containing: lastMs, anchorMs: openMs))
    }

    mutating func read(_ candle: Candle, oldestKeptMs: Int64?, into events: inout [CandleEvent]) -> Bool {
        let openMs = candle.openTime
        guard interval.isOnGrid(openMs) else { return false }
        if let lastMs {
            // Read before: a history that was made anew is read from its beginning.
            guard openMs > lastMs else {
                settle(candle, told: nil, into: &events)
                return true
            }
            guard openMs >= expected(openMs, lastMs) else { return false }
            if let gap = gap(before: openMs, oldestKeptMs: oldestKeptMs) {
                gaps.append(gap)
                events.append(.gap(gap))
            }
        }
        if knownFromMs == nil { knownFromMs = openMs }
        (lastMs, lastIsCandle) = (openMs, true)
        remember(candle)
        events.append(.candle(series, candle))
        return true
    }

    func wants(_ change: CandleChange) -> Bool {
        // What lies ahead will be read in its order, as it is then.
        guard let lastMs, change.openMs <= lastMs, interval.isOnGrid(change.openMs) else { return false }
        switch change.kind {
        case .removed: return false
        case .corrected: return place(change.openMs) != nil || change.revision > revisions[change.openMs] ?? 0
        case .inserted, .unknown: return true
        }
    }

    mutating func changed(_ change: CandleChange, _ candle: Candle?, into events: inout [CandleEvent]) {
        if change.kind == .removed { return remove(change.openMs, into: &events) }
        guard wants(change), let candle, candle.openTime == change.openMs else { return }
        settle(candle, told: change.kind, into: &events)
    }

    /// A candle that is not ahead.
    /// - Parameter told: the change that tells it; nil for one that was read once more.
    private mutating func settle(_ candle: Candle, told: CandleChange.Kind?, into events: inout [CandleEvent]) {
        let openMs = candle.openTime
        let isKnown = openMs >= knownFromMs ?? .max
        if fill(openMs) || told == .inserted && !isKnown {
            remember(candle)
            events.append(.late(series, candle))
        } else if candle.revision > revisions[openMs] ?? 0, isKnown || told != nil {
            remember(candle)
            events.append(.corrected(series, candle))
        }
    }

    /// A candle that was told and is not there any more: it is missing.
    private mutating func remove(_ openMs: Int64, into events: inout [CandleEvent]) {
        guard let lastMs, openMs <= lastMs, isOnPhase(openMs, lastMs), place(openMs) == nil else { return }
        let gap = CandleGap(series: series, from: openMs, until: interval.nextOpenTime(after: openMs), cause: .missing)
        gaps.insert(gap, at: firstPlace { $0.from > openMs })
        revisions[openMs] = nil
        events.append(.gap(gap))
    }

    private func isOnPhase(_ openMs: Int64, _ anchorMs: Int64) -> Bool {
        interval.openTime(containing: openMs, anchorMs: anchorMs) == openMs
    }

    // MARK: Gaps

    /// The first gap of which a condition holds that holds of all behind it, too.
    private func firstPlace(_ condition: (CandleGap) -> Bool) -> Int {
        var (low, high) = (0, gaps.count)
        while low < high {
            let middle = (low + high) / 2
            if condition(gaps[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The gap that has this bar.
    private func place(_ openMs: Int64) -> Int? {
        let behind = firstPlace { $0.from > openMs }
        guard behind > 0, gaps[behind - 1].until > openMs, isOnPhase(openMs, gaps[behind - 1].from) else { return nil }
        return behind - 1
    }

    /// Takes a bar out of the gap that has it.
    private mutating func fill(_ openMs: Int64) -> Bool {
        guard let place = place(openMs) else { return false }
        let gap = gaps[place]
        let parts = [(gap.from, openMs), (interval.nextOpenTime(after: openMs), gap.until)].filter { $0 < $1 }
        gaps.replaceSubrange(
            place...place, with: parts.map { CandleGap(series: series, from: $0.0, until: $0.1, cause: gap.cause) })
        return true
    }

    /// False when there is none.
    mutating func forgetOldestGap() -> Bool {
        guard let gap = gaps.first else { return false }
        gaps.removeFirst()
        knownFromMs = max(knownFromMs ?? gap.until, gap.until)
        return true
    }

    // MARK: Revisions

    /// That of an inserted candle, too: its corrections are told after it was looked at, and it had them already.
    private mutating func remember(_ candle: Candle) {
        guard candle.revision > 0 else { return }
        if revisions.updateValue(candle.revision, forKey: candle.openTime) == nil { revised.append(candle.openTime) }
        // A time that was forgotten in between may stand in the queue twice: so the queue is what is bounded.
        while revised.count > revisionsMax { revisions[revised.removeFirst()] = nil }
    }
}
