// Holes in series' closed candles, kept until a healer fills them. Written by the sink (rarely), read by any thread. Past its bound
// gaps are only counted.

package final class GapBoard: Sendable {
    private struct State {
        var open: [Series: [Gap]] = [:]
        var count = 0
        var forgottenCount = 0
        /// For the log: at most a few one by one, the others as a number.
        var news: (gaps: [Gap], more: Int) = ([], 0)
    }

    private static let newsCountMax = 16
    private let state = Lock(State())

    package init() {}

    package func add(_ gap: Gap) {
        state.withLock { state in
            if state.news.gaps.count < GapBoard.newsCountMax { state.news.gaps.append(gap) } else { state.news.more += 1 }
            guard state.count < Limits.gapCountMax else {
                state.forgottenCount += 1
                return
            }
            state.open[gap.series, default: []].append(gap)
            state.count += 1
        }
    }

    /// What has come since the last call, for the log.
    package func takeNews() -> (gaps: [Gap], more: Int) {
        state.withLock { state in
            defer { state.news = ([], 0) }
            return state.news
        }
    }

    /// True when the candle was missing: it is taken out, and what is left of its gap stays.
    package func fill(_ series: Series, openTimeMs: Int64) -> Bool {
        state.withLock { state in
            guard var gaps = state.open.removeValue(forKey: series) else { return false }
            let place = gaps.firstIndex { $0.fromMs <= openTimeMs && openTimeMs < $0.untilMs }
            if let place {
                let gap = gaps.remove(at: place)
                let after = series.interval.nextOpenTime(after: openTimeMs)
                let parts = [(gap.fromMs, openTimeMs), (after, gap.untilMs)].filter { $0.0 < $0.1 }
                gaps += parts.map { Gap(series: series, fromMs: $0.0, untilMs: $0.1, cause: gap.cause) }
                state.count += parts.count - 1
            }
            if !gaps.isEmpty { state.open[series] = gaps }
            return place != nil
        }
    }

    /// Oldest candles first.
    package var open: [Gap] {
        state.withLock { Array($0.open.values.joined()) }.sorted { $0.fromMs < $1.fromMs }
    }

    package var forgottenCount: Int { state.withLock { $0.forgottenCount } }
}
