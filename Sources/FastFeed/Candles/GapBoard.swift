// Holes in series' closed candles, until they are filled. The sink adds and fills (rarely), the healer says how far it is with them,
// any thread reads; under a lock. Past `Limits.gapCountMax` holes are only counted, and the healer looks at those histories again as soon
// as there is room. What the exchange lacks has room of its own, eight times that; past it nothing is kept. Of the holes that have ended
// the board keeps the newest `Limits.gapsEndedMax`, for whoever asks in the morning what was missing in the night.

import Synchronization

package final class GapBoard: Sendable {
    struct State {
        /// Of each series by open time; no two overlap.
        var gaps: [Series: [Gap]] = [:]
        /// Holes that are not absent, and those that are.
        var count = 0
        var absentCount = 0
        /// Holes that there was no room for, and whose they are.
        var forgottenCount = 0
        var forgotten: Set<Series> = []
        /// Series whose holes have changed since `takeChanged`.
        var changed: Set<Series> = []
        /// For the log: at most a few one by one, the others as a number.
        var news: (gaps: [Gap], more: Int) = ([], 0)
        /// The newest ending last.
        var ended: [EndedGap] = []
    }

    static let newsCountMax = 16
    let state = Lock(State())
    private let versions = Atomic<Int>(0)
    private let countMax: Int
    private var absentMax: Int { 8 * countMax }

    package init(countMax: Int = Limits.gapCountMax) { self.countMax = countMax }

    /// Grows with every change: who has seen this number has seen all there is.
    package var version: Int { versions.load(ordering: .acquiring) }

    /// Notes a hole; what of it is listed already stays as it is. (An absent part that somebody asks for again stays absent.)
    /// - Parameter isNews: for the log.
    /// - Returns: how many candles are newly missing.
    @discardableResult
    package func add(_ gap: Gap, isNews: Bool = true) -> Int {
        state.withLock { state in
            var parts = GapBoard.uncovered(gap, by: state.gaps[gap.series] ?? [])
            guard !parts.isEmpty else { return 0 }
            let nowMs = WallClock.nowMs()
            for index in parts.indices { parts[index].seenMs = nowMs }
            defer { versions.add(1, ordering: .releasing) }
            for part in parts where isNews && part.cause != .backfill && part.state != .absent {
                if state.news.gaps.count < GapBoard.newsCountMax { state.news.gaps.append(part) } else { state.news.more += 1 }
            }
            for part in parts {
                if insert(part, &state) || part.state == .absent { continue }
                state.forgottenCount += 1
                state.forgotten.insert(gap.series)
            }
            return parts.reduce(0) { $0 + $1.candleCount }
        }
    }

    /// The parts of a hole that no listed one covers.
    private static func uncovered(_ gap: Gap, by listed: [Gap]) -> [Gap] {
        var parts: [Gap] = []
        var from = gap.fromMs
        for known in listed where known.untilMs > from && known.fromMs < gap.untilMs {
            if from < known.fromMs { parts.append(gap.with(fromMs: from, untilMs: known.fromMs)) }
            from = known.untilMs
        }
        if from < gap.untilMs { parts.append(gap.with(fromMs: from)) }
        return parts
    }

    /// - Returns: false when the board is full.
    private func insert(_ part: Gap, _ state: inout State) -> Bool {
        var gaps = state.gaps[part.series] ?? []
        // Mostly the newest of its series; and mostly, while a queue overflows, the continuation of another.
        let place = (gaps.lastIndex { $0.fromMs < part.fromMs } ?? -1) + 1
        gaps.insert(part, at: place)
        let near = max(0, place - 1)..<min(gaps.count, place + 2)
        gaps.replaceSubrange(near, with: GapBoard.joined(Array(gaps[near])))
        let listed = state.gaps[part.series] ?? []
        GapBoard.put(gaps, of: part.series, &state)
        guard part.state == .absent ? state.absentCount <= absentMax : state.count <= countMax else {
            GapBoard.put(listed, of: part.series, &state)
            return false
        }
        state.changed.insert(part.series)
        return true
    }

    /// In place of what is listed of the series.
    private static func put(_ gaps: [Gap], of series: Series, _ state: inout State) {
        func absentCount(_ gaps: [Gap]) -> Int { gaps.count { $0.state == .absent } }
        let listed = state.gaps[series] ?? []
        let more = absentCount(gaps) - absentCount(listed)
        state.absentCount += more
        state.count += gaps.count - listed.count - more
        state.gaps[series] = gaps.isEmpty ? nil : gaps
    }

    /// Series with holes that there was no room for, once a quarter of the room is free again: who looks at their histories finds them.
    package func takeForgotten() -> [Series] {
        state.withLock { state in
            guard !state.forgotten.isEmpty, state.count <= countMax - countMax / 4 else { return [] }
            defer { (state.forgotten, state.forgottenCount) = ([], 0) }
            return state.forgotten.sorted { $0.description < $1.description }
        }
    }

    /// What has come since the last call, for the log.
    package func takeNews() -> (gaps: [Gap], more: Int) {
        state.withLock { state in
            defer { state.news = ([], 0) }
            return state.news
        }
    }

    /// The candle has come: it is taken out, and what is left of its gap stays.
    /// - Parameter isFetched: the healer has brought it.
    /// - Returns: what was listed of it.
    package func fill(_ series: Series, openTimeMs: Int64, isFetched: Bool = true) -> Gap? {
        var filled: Gap?
        replace(series, from: openTimeMs, until: series.interval.nextOpenTime(after: openTimeMs), ending: isFetched ? .fetched : .arrived) {
            filled = $0
            return nil
        }
        return filled
    }

    /// The exchange has no such bars: they are kept as absent.
    /// - Parameter isBeforeFirst: nor has it older ones. There a backfill ends.
    package func markAbsent(_ series: Series, fromMs: Int64, untilMs: Int64, isBeforeFirst: Bool = false) {
        let isFull = state.withLock { $0.absentCount >= absentMax }
        replace(series, from: fromMs, until: untilMs) {
            if $0.state == .absent { return $0 }
            return isFull || isBeforeFirst && $0.cause == .backfill ? nil : $0.with(state: .absent)
        }
    }

    /// These bars are stored after all.
    package func remove(_ series: Series, fromMs: Int64, untilMs: Int64) {
        replace(series, from: fromMs, until: untilMs, ending: .stored) { _ in nil }
    }

    /// The healer asks for these bars, or has let go of them again.
    /// - Parameter pauseMs: it does not ask again before.
    package func mark(_ series: Series, fromMs: Int64, untilMs: Int64, _ word: Gap.State, tries: Int? = nil, pauseMs: Int64 = 0) {
        let nextMs = pauseMs > 0 ? WallClock.nowMs() + pauseMs : 0
        replace(series, from: fromMs, until: untilMs) {
            guard $0.state != .absent else { return $0 }
            var gap = $0.with(state: word, tries: tries)
            gap.nextMs = nextMs
            return gap
        }
    }

    /// Replaces what of the series' holes lies in the range; the rest stays.
    /// - Parameter ending: how a part ends for which there is none any more.
    private func replace(_ series: Series, from: Int64, until: Int64, ending: EndedGap.Ending? = nil, _ change: (Gap) -> Gap?) {
        state.withLock { state in
            guard let listed = state.gaps[series], listed.contains(where: { $0.fromMs < until && from < $0.untilMs }) else { return }
            var gaps: [Gap] = []
            for gap in listed {
                guard gap.fromMs < until, from < gap.untilMs else {
                    gaps.append(gap)
                    continue
                }
                if gap.fromMs < from { gaps.append(gap.with(untilMs: from)) }
                let part = gap.with(fromMs: max(gap.fromMs, from), untilMs: min(gap.untilMs, until))
                if let changed = change(part) {
                    gaps.append(changed)
                } else if let ending {
                    GapBoard.note(EndedGap(gap: part, ending: ending, endedMs: WallClock.nowMs()), &state)
                }
                if until < gap.untilMs { gaps.append(gap.with(fromMs: until)) }
            }
            gaps = GapBoard.joined(gaps)
            guard gaps != listed else { return }
            GapBoard.put(gaps, of: series, &state)
            state.changed.insert(series)
            versions.add(1, ordering: .releasing)
        }
    }

    /// Neighbours that say the same are one.
    private static func joined(_ gaps: [Gap]) -> [Gap] {
        var result: [Gap] = []
        for gap in gaps {
            if let last = result.last, last.untilMs == gap.fromMs, last.with(untilMs: gap.untilMs) == gap.with(fromMs: last.fromMs) {
                result[result.count - 1] = last.with(untilMs: gap.untilMs)
                result[result.count - 1].seenMs = min(last.seenMs, gap.seenMs)
                result[result.count - 1].nextMs = last.nextMs == 0 || gap.nextMs == 0 ? 0 : min(last.nextMs, gap.nextMs)
            } else {
                result.append(gap)
            }
        }
        return result
    }

    /// Bars of one hole end one by one: neighbours are one. Older candles that somebody wanted as well are nobody's loss.
    private static func note(_ ended: EndedGap, _ state: inout State) {
        guard ended.gap.cause != .backfill else { return }
        let newest = state.ended.indices.suffix(Limits.gapsEndedJoinMax).reversed()
        if let place = newest.first(where: { state.ended[$0].takes(ended) }) {
            var grown = state.ended.remove(at: place)
            grown.take(ended)
            // It may have closed the space to another one.
            note(grown, &state)
        } else {
            if state.ended.count >= Limits.gapsEndedMax { state.ended.removeFirst(state.ended.count / 8) }
            state.ended.append(ended)
        }
    }

    /// Holes that have ended, newest endings first.
    package var ended: [EndedGap] { state.withLock { $0.ended.sorted { $0.endedMs > $1.endedMs } } }

    /// The series is followed no more: nobody heals it. What Redis says of its holes stays.
    package func forget(_ series: Series) {
        state.withLock { state in
            state.forgotten.remove(series)
            // What is nobody's any more is not looked for.
            if state.forgotten.isEmpty { state.forgottenCount = 0 }
            guard let gaps = state.gaps[series] else { return }
            GapBoard.put([], of: series, &state)
            for gap in gaps where gap.state != .absent {
                GapBoard.note(EndedGap(gap: gap, ending: .unfollowed, endedMs: WallClock.nowMs()), &state)
            }
            versions.add(1, ordering: .releasing)
        }
    }

    /// Open time of the first candle behind `afterMs` that is missing and not absent.
    package func firstMissing(_ series: Series, after afterMs: Int64) -> Int64? {
        state.withLock { state in
            state.gaps[series]?.first { $0.state != .absent && $0.untilMs > afterMs && $0.fromMs > afterMs }?.fromMs
        }
    }

    /// Series whose holes have changed since the last call, in one order in every run.
    package func takeChanged() -> [Series] {
        let changed = state.withLock { state in
            defer { state.changed = [] }
            return state.changed
        }
        return changed.sorted { $0.description < $1.description }
    }

    /// How many candles of the series are missing and not absent, and whether there is any hole.
    package func tally(of series: Series) -> (missing: Int, isListed: Bool) {
        let gaps = gaps(of: series)
        return (gaps.reduce(0) { $1.state == .absent ? $0 : $0 + $1.candleCount }, !gaps.isEmpty)
    }

    /// The holes of one series, by open time, absent ones among them.
    package func gaps(of series: Series) -> [Gap] { state.withLock { $0.gaps[series] ?? [] } }

    /// All of them, by open time, absent ones among them.
    package var all: [Gap] {
        state.withLock { Array($0.gaps.values.joined()) }.sorted { $0.fromMs < $1.fromMs }
    }

    /// Those that are not absent, oldest candles first.
    package var open: [Gap] { all.filter { $0.state != .absent } }

    /// Series that lack candles which are to be fetched. Older candles that somebody wants as well do not count.
    package var seriesHealing: Set<Series> {
        state.withLock { state in
            Set(state.gaps.lazy.filter { $1.contains { $0.state != .absent && $0.cause != .backfill } }.map(\.key))
        }
    }

    package var forgottenCount: Int { state.withLock { $0.forgottenCount } }

    /// Candles of all holes.
    package struct Tally: Sendable, Equatable {
        /// Missed, and not filled yet.
        package var open = 0
        /// Older ones that somebody wants as well.
        package var backfill = 0
        /// Open times of which the exchange says that it has no bar.
        package var absent = 0
    }

    package var tally: Tally {
        state.withLock { state in
            state.gaps.values.joined().reduce(into: Tally()) { sum, gap in
                switch (gap.state, gap.cause) {
                case (.absent, _): sum.absent += gap.candleCount
                case (_, .backfill): sum.backfill += gap.candleCount
                default: sum.open += gap.candleCount
                }
            }
        }
    }

    /// How many holes are listed, by whether the exchange lacks them.
    package var counts: (open: Int, absent: Int) {
        state.withLock { ($0.count, $0.absentCount) }
    }
}
