// Holes in series' closed candles, kept until a healer fills them. Any thread.

import Synchronization

/// The open gaps. Written by the sink (rarely), read by anybody. Past its bound gaps are only counted.
package final class GapBoard: Sendable {
    private let gaps = Lock<[Gap]>([])
    /// Gaps since the last `takeNews`: at most a few one by one, the others as a count.
    private let news = Lock<(gaps: [Gap], more: Int)>(([], 0))
    private static let newsCountMax = 16
    private let forgotten = Atomic<Int>(0)

    package init() {}

    package func add(_ gap: Gap) {
        gaps.withLock { gaps in
            if gaps.count < Limits.gapCountMax { gaps.append(gap) } else { forgotten.add(1, ordering: .relaxed) }
        }
        news.withLock { news in
            if news.gaps.count < GapBoard.newsCountMax { news.gaps.append(gap) } else { news.more += 1 }
        }
    }

    /// What has come since the last call, for the log.
    package func takeNews() -> (gaps: [Gap], more: Int) {
        news.withLock { news in
            let taken = news
            news = ([], 0)
            return taken
        }
    }

    /// True when the candle was missing: it is taken out, and what is left of its gap stays.
    package func fill(_ series: Series, openTimeMs: Int64) -> Bool {
        gaps.withLock { gaps in
            guard let index = gaps.firstIndex(where: { $0.series == series && $0.fromMs <= openTimeMs && openTimeMs < $0.untilMs }) else {
                return false
            }
            let gap = gaps.remove(at: index)
            let after = series.interval.nextOpenTime(after: openTimeMs)
            if gap.fromMs < openTimeMs { gaps.append(Gap(series: series, fromMs: gap.fromMs, untilMs: openTimeMs, cause: gap.cause)) }
            if after < gap.untilMs { gaps.append(Gap(series: series, fromMs: after, untilMs: gap.untilMs, cause: gap.cause)) }
            return true
        }
    }

    package var open: [Gap] { gaps.withLock { $0 } }
    package var forgottenCount: Int { forgotten.load(ordering: .relaxed) }
}
