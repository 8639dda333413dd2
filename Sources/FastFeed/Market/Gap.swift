// A hole in a series' closed candles. A plain value, any thread.

/// A run of closed candles that a series should have and has not.
public struct Gap: Sendable, Equatable {
    /// How a gap came to be.
    public enum Cause: String, Sendable, CaseIterable {
        /// Seen between two candles that came: a connection was away, or the exchange left them out.
        case missed
        /// The bar's end has passed and its closing event has not come.
        case late
        /// The history in Redis lacks it: a crash, a restart, or a Redis that forgot.
        case unstored
        /// Redis was away for longer than the queue of closed candles lasts.
        case overflow
        /// Redis refused the candle for good.
        case refused
        /// Older candles that a flux or a command asks for.
        case backfill
    }

    /// What becomes of a gap.
    public enum State: String, Sendable, CaseIterable {
        /// Nobody has asked for it yet.
        case open
        /// The exchange is being asked for it, or its candles are on their way to Redis.
        case healing
        /// The exchange has no such bar. It is not asked again.
        case absent
    }

    /// The series whose candles are missing.
    public let series: Series
    /// Open time of the first missing candle, Unix ms.
    public let fromMs: Int64
    /// Open time of the first candle that is there again, Unix ms.
    public let untilMs: Int64
    /// How the gap came to be.
    public let cause: Cause
    /// What becomes of the gap.
    public internal(set) var state: State
    /// Times the exchange was asked for it.
    public internal(set) var tries: Int
    /// When it was noted, Unix ms; 0: not known. This and the next are news of the hole, not the hole: equality passes over them.
    package internal(set) var seenMs: Int64 = 0
    /// The exchange is not asked for it again before, Unix ms; 0: nothing stands against it.
    package internal(set) var nextMs: Int64 = 0

    package init(series: Series, fromMs: Int64, untilMs: Int64, cause: Cause, state: State = .open, tries: Int = 0) {
        (self.series, self.fromMs, self.untilMs, self.cause) = (series, fromMs, untilMs, cause)
        (self.state, self.tries) = (state, tries)
    }

    /// The same hole between other bounds.
    package func with(fromMs: Int64? = nil, untilMs: Int64? = nil, state: State? = nil, tries: Int? = nil) -> Gap {
        var gap = Gap(
            series: series, fromMs: fromMs ?? self.fromMs, untilMs: untilMs ?? self.untilMs, cause: cause, state: state ?? self.state,
            tries: tries ?? self.tries)
        (gap.seenMs, gap.nextMs) = (seenMs, nextMs)
        return gap
    }

    /// The same hole in the same state; when it was noted does not count.
    public static func == (a: Gap, b: Gap) -> Bool {
        a.series == b.series && a.fromMs == b.fromMs && a.untilMs == b.untilMs && a.cause == b.cause && a.state == b.state
            && a.tries == b.tries
    }

    /// How many candles are missing: open times from `fromMs` to before `untilMs`.
    public var candleCount: Int { Int(series.interval.barCount(from: fromMs, until: untilMs)) }
}

/// A hole, or a part of one, that is none any more.
package struct EndedGap: Sendable {
    package enum Ending: String, Sendable, CaseIterable {
        /// The exchange's REST interface had its candles.
        case fetched
        /// Its candles came over the stream after all.
        case arrived
        /// A closer look has found its candles in Redis.
        case stored
        /// Its series is followed no more: it is still there, and nobody fills it.
        case unfollowed
    }

    package private(set) var gap: Gap
    package let ending: Ending
    package private(set) var endedMs: Int64

    package init(gap: Gap, ending: Ending, endedMs: Int64) { (self.gap, self.ending, self.endedMs) = (gap, ending, endedMs) }

    /// True for a neighbour that ended in the same way, in the same night.
    func takes(_ other: EndedGap) -> Bool {
        let isOneTime = max(gap.seenMs, other.gap.seenMs) <= min(endedMs, other.endedMs) + Limits.gapsEndedJoinMs
        return isOneTime && ending == other.ending && (gap.untilMs == other.gap.fromMs || other.gap.untilMs == gap.fromMs)
            && gap.cause == other.gap.cause && gap.series == other.gap.series
    }

    mutating func take(_ other: EndedGap) {
        let seenMs = min(gap.seenMs, other.gap.seenMs)
        gap = gap.with(
            fromMs: min(gap.fromMs, other.gap.fromMs), untilMs: max(gap.untilMs, other.gap.untilMs), tries: max(gap.tries, other.gap.tries))
        (gap.seenMs, endedMs) = (seenMs, other.endedMs)
    }
}
