// Which bars the exchange is asked for next, and what its answer means. Pure: holes, answers and the time come in, requests and candles
// go out. The healer's thread alone. Bounded by the board of holes; a series has one request at a time, of at most
// `Limits.healPageBars` bars.

package struct HealPlan {
    /// Why a hole is asked for. The lowest goes first.
    package enum Rank: Int, Sendable, Comparable {
        /// Closed candles wait for it.
        case holding
        /// The newest hole of its series.
        case newest
        case late, older, backfill

        package static func < (a: Rank, b: Rank) -> Bool { a.rawValue < b.rawValue }
    }

    /// Bars of a series that are wanted and lie side by side.
    package struct Request: Sendable, Equatable {
        package let handle: SeriesHandle
        package let series: Series
        package let fromMs: Int64
        package let untilMs: Int64
        package let rank: Rank

        private var bars: Int { Int(series.interval.barCount(from: fromMs, until: untilMs)) }
        /// One bar more than is wanted, where a page has room: a later bar, however late, tells that a missing one will never be there. So
        /// there is no end to what is asked for but this.
        package var limit: Int { min(bars + 1, Limits.healPageBars) }
    }

    /// What an answer has brought.
    package struct Settlement: Sendable {
        /// Candles that are believed, closed and missing, ascending by open time.
        package var records: [CandleRecord] = []
        package var absent: [Range<Int64>] = []
        /// Open time of the oldest bar of the series that the exchange is known to have.
        package var oldestMs = Int64.max
        /// Not there yet, and how often the exchange was asked for them.
        package var open: [(range: Range<Int64>, tries: Int)] = []
    }

    struct Hole {
        var gap: Gap
        var seenNs: UInt64
    }

    /// Bars that are not asked for before an instant; behind it the count of tries stays.
    struct Pause {
        var fromMs: Int64
        var untilMs: Int64
        /// `.max`: their candles are on the way to the sink.
        var overNs: UInt64
        var tries: Int
    }

    struct Lane {
        let series: Series
        let handle: SeriesHandle
        /// Ascending by open time.
        var holes: [Hole] = []
        /// Ascending by open time; no two overlap.
        var pauses: [Pause] = []
        var isAsked = false
        /// Nothing of the series is asked for before this: failures that concern it alone.
        var quietUntilNs: UInt64 = 0
        var failures: UInt64 = 0
        /// What Redis has refused it may refuse again: such holes are asked for ever more rarely, until it is there anew.
        var refusedUntilNs: UInt64 = 0
        var refusals: UInt64 = 0
        /// What was asked for last. The same is not asked for again at once, whatever came of it.
        var last: (fromMs: Int64, untilMs: Int64, atNs: UInt64) = (0, 0, 0)
        /// Open time of the newest bar that the exchange's history surely has.
        var newestBelievedMs = Int64.min
        var oldestBelievedMs = Int64.max
        /// Open time of the newest candle in Redis, when it was looked at last.
        var newestStoredMs = Int64.min
    }

    /// Bars of the run that is being built, by what they have in common.
    private struct Part {
        var fromMs: Int64
        var untilMs: Int64
        var rank: Rank
        var tries: Int
    }

    private let holdNs: UInt64
    var lanes: [UInt32: Lane] = [:]
    private var ids: [Series: UInt32] = [:]
    /// Series with holes, by id: the same order in every run.
    private var wanting: [UInt32] = []
    /// Nothing at all is asked for before this: failures that concern the exchange as a whole.
    package internal(set) var pausedUntilNs: UInt64 = 0
    var failures: UInt64 = 0

    package init(holdMs: Int) { holdNs = .ns(ms: holdMs) }

    // MARK: Series and holes

    package mutating func follow(_ series: Series, _ handle: SeriesHandle) {
        if let lane = lanes[handle.id], lane.handle == handle { return }
        lanes[handle.id] = Lane(series: series, handle: handle)
        ids[series] = handle.id
        wanting.removeAll { $0 == handle.id }
    }

    package mutating func unfollow(_ handle: SeriesHandle) {
        guard let lane = lanes[handle.id], lane.handle == handle else { return }
        lanes[handle.id] = nil
        if ids[lane.series] == handle.id { ids[lane.series] = nil }
        wanting.removeAll { $0 == handle.id }
    }

    package mutating func noteStored(_ handle: SeriesHandle, newestMs: Int64?) {
        guard lanes[handle.id]?.handle == handle else { return }
        (lanes[handle.id]!.refusedUntilNs, lanes[handle.id]!.refusals) = (0, 0)
        if let newestMs { lanes[handle.id]!.newestStoredMs = newestMs }
    }

    /// Takes over all holes of the board.
    /// - Parameter gaps: those of one series by open time.
    package mutating func sync(_ gaps: [Gap], nowNs: UInt64) {
        var found: [UInt32: [Hole]] = [:]
        for gap in gaps where gap.state != .absent {
            guard let id = ids[gap.series], let lane = lanes[id] else { continue }
            let before = lane.holes.first { $0.gap.fromMs < gap.untilMs && gap.fromMs < $0.gap.untilMs }
            found[id, default: []].append(Hole(gap: gap, seenNs: before?.seenNs ?? nowNs))
        }
        for id in wanting where found[id] == nil { (lanes[id]!.holes, lanes[id]!.pauses) = ([], []) }
        wanting = found.keys.sorted()
        for id in wanting {
            let holes = found[id]!
            lanes[id]!.holes = holes
            lanes[id]!.pauses.removeAll { pause in
                !holes.contains { $0.gap.fromMs < pause.untilMs && pause.fromMs < $0.gap.untilMs }
            }
        }
    }

    // MARK: Asking

    /// The request that comes first, unless all wait; it counts as sent.
    /// - Parameter atLeast: nothing of a lower rank.
    package mutating func next(nowNs: UInt64, atLeast: Rank = .backfill) -> Request? {
        guard nowNs >= pausedUntilNs else { return nil }
        var best: (part: Part, id: UInt32)?
        for id in wanting {
            guard let part = candidate(lanes[id]!, nowNs), part.rank <= atLeast else { continue }
            if let best, (best.part.rank.rawValue, best.part.tries) <= (part.rank.rawValue, part.tries) { continue }
            best = (part, id)
        }
        guard let (part, id) = best, let lane = lanes[id] else { return nil }
        lanes[id]!.isAsked = true
        lanes[id]!.last = (part.fromMs, part.untilMs, nowNs)
        if lane.holes.contains(where: { $0.gap.cause == .refused && $0.gap.fromMs < part.untilMs && part.fromMs < $0.gap.untilMs }) {
            lanes[id]!.refusedUntilNs = nowNs &+ min(1 << min(lane.refusals, 20), Limits.refusedHolePauseSecondsMax) * 1_000_000_000
            lanes[id]!.refusals += 1
        }
        return Request(handle: lane.handle, series: lane.series, fromMs: part.fromMs, untilMs: part.untilMs, rank: part.rank)
    }

    /// The run of bars that this series asks for, unless it has just asked for it.
    private func candidate(_ lane: Lane, _ nowNs: UInt64) -> Part? {
        run(lane, nowNs).flatMap { nowNs >= lane.againNs($0.fromMs..<$0.untilMs) ? $0 : nil }
    }

    /// The run of bars that this series asks for first.
    private func run(_ lane: Lane, _ nowNs: UInt64) -> Part? {
        guard !lane.isAsked, nowNs >= lane.quietUntilNs else { return nil }
        let parts = lane.holes.indices.flatMap { free(lane, $0, nowNs) }
        // The oldest of its rank: later pages are appended, or inserted at the least cost.
        guard let first = parts.indices.min(by: { (parts[$0].rank, parts[$0].fromMs) < (parts[$1].rank, parts[$1].fromMs) })
        else { return nil }
        var (low, high) = (first, first)
        while low > 0, parts[low - 1].untilMs == parts[low].fromMs { low -= 1 }
        while high + 1 < parts.count, parts[high + 1].fromMs == parts[high].untilMs { high += 1 }
        var run = parts[first]
        let interval = lane.series.interval
        if interval.barCount(from: parts[low].fromMs, until: parts[high].untilMs) <= Int64(Limits.healPageBars) {
            (run.fromMs, run.untilMs) = (parts[low].fromMs, parts[high].untilMs)
        } else {
            run.untilMs = min(parts[high].untilMs, HealPlan.open(Limits.healPageBars, after: run.fromMs, interval))
        }
        return run
    }

    /// What of a hole may be asked for now.
    private func free(_ lane: Lane, _ place: Int, _ nowNs: UInt64) -> [Part] {
        let (hole, rank) = (lane.holes[place].gap, rank(lane, place, nowNs))
        if hole.cause == .refused && nowNs < lane.refusedUntilNs { return [] }
        var parts: [Part] = []
        var from = hole.fromMs
        for pause in lane.pauses where pause.untilMs > from && pause.fromMs < hole.untilMs {
            if from < pause.fromMs { parts.append(Part(fromMs: from, untilMs: pause.fromMs, rank: rank, tries: 0)) }
            let until = min(pause.untilMs, hole.untilMs)
            if pause.overNs <= nowNs {
                parts.append(Part(fromMs: max(from, pause.fromMs), untilMs: until, rank: rank, tries: pause.tries))
            }
            from = until
        }
        if from < hole.untilMs { parts.append(Part(fromMs: from, untilMs: hole.untilMs, rank: rank, tries: 0)) }
        return parts
    }

    private func rank(_ lane: Lane, _ place: Int, _ nowNs: UInt64) -> Rank {
        let hole = lane.holes[place]
        if hole.gap.cause == .backfill { return .backfill }
        let isBehindAll = hole.gap.fromMs > lane.newestStoredMs && [.missed, .unstored, .late].contains(hole.gap.cause)
        if isBehindAll && nowNs &- hole.seenNs < holdNs { return .holding }
        if hole.gap.cause == .late { return .late }
        let isNewest = !lane.holes[(place + 1)...].contains { $0.gap.cause != .backfill && $0.gap.cause != .late }
        return isNewest ? .newest : .older
    }

    /// Open time so many bars behind one.
    static func open(_ bars: Int, after fromMs: Int64, _ interval: Interval) -> Int64 {
        if let lengthMs = interval.lengthMs { return fromMs + Int64(bars) * lengthMs }
        return (0..<bars).reduce(fromMs) { open, _ in interval.nextOpenTime(after: open) }
    }

    /// Nothing of this series is being asked.
    package func isFree(_ id: UInt32) -> Bool { lanes[id].map { !$0.isAsked } ?? true }

    /// Another question about the series is under way, or over.
    package mutating func setAsked(_ handle: SeriesHandle, _ isAsked: Bool) {
        if lanes[handle.id]?.handle == handle { lanes[handle.id]!.isAsked = isAsked }
    }

    /// When there may be something to ask; `.max`: not before something else happens.
    package func dueNs(nowNs: UInt64) -> UInt64 {
        var due = UInt64.max
        for id in wanting {
            let lane = lanes[id]!
            if lane.isAsked { continue }
            if let run = run(lane, nowNs) {
                let againNs = lane.againNs(run.fromMs..<run.untilMs)
                if nowNs >= againNs { return max(nowNs, pausedUntilNs) }
                due = min(due, againNs)
            }
            let over = lane.pauses.reduce(UInt64.max) { $1.overNs > nowNs ? min($0, $1.overNs) : $0 }
            due = min(due, lane.quietUntilNs > nowNs ? lane.quietUntilNs : over)
            if lane.refusedUntilNs > nowNs { due = min(due, lane.refusedUntilNs) }
        }
        return due == .max ? due : max(due, pausedUntilNs)
    }
}
