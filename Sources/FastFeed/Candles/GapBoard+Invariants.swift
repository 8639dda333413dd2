// What is always so of the board of holes. Tests and simulated worlds ask for it, the product never does. Any thread.

extension GapBoard {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        state.withLock { state in
            var (found, absent) = (0, 0)
            for (series, gaps) in state.gaps {
                found += gaps.count
                absent += gaps.count { $0.state == .absent }
                if let wrong = GapBoard.disorder(gaps, of: series) { return "gap board: \(series): \(wrong)" }
            }
            guard found - absent == state.count, absent == state.absentCount else {
                return "gap board: \(state.count) and \(state.absentCount) holes counted, \(found - absent) and \(absent) are there"
            }
            guard state.forgotten.isEmpty == (state.forgottenCount == 0), state.forgotten.count <= state.forgottenCount else {
                return "gap board: \(state.forgottenCount) holes forgotten, of \(state.forgotten.count) series"
            }
            guard state.ended.count <= Limits.gapsEndedMax else { return "gap board: \(state.ended.count) ended holes" }
            guard state.news.gaps.count <= GapBoard.newsCountMax else { return "gap board: \(state.news.gaps.count) holes for the log" }
            return nil
        }
    }

    /// What is wrong in the list of one series' holes.
    package static func disorder(_ gaps: [Gap], of series: Series) -> String? {
        if gaps.isEmpty { return "a list without holes" }
        for (place, gap) in gaps.enumerated() {
            if gap.series != series { return "a hole of \(gap.series)" }
            if gap.fromMs >= gap.untilMs { return "a hole from \(gap.fromMs) until \(gap.untilMs)" }
            guard place > 0 else { continue }
            let last = gaps[place - 1]
            if last.untilMs > gap.fromMs { return "a hole from \(gap.fromMs) on lies behind one that ends with \(last.untilMs)" }
            if last.untilMs == gap.fromMs, last.with(untilMs: gap.untilMs) == gap.with(fromMs: last.fromMs) {
                return "two holes that meet at \(gap.fromMs) are one"
            }
        }
        return nil
    }
}
