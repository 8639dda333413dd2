// A hole in a series' closed candles. A plain value, any thread.

/// A run of closed candles that a series should have and has not.
public struct Gap: Sendable, Equatable {
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

    public enum State: String, Sendable, CaseIterable {
        case open
        /// The exchange is being asked for it, or its candles are on their way to Redis.
        case healing
        /// The exchange has no such bar. It is not asked again.
        case absent
    }

    public let series: Series
    /// Open time of the first missing candle, Unix ms.
    public let fromMs: Int64
    /// Open time of the first candle that is there again.
    public let untilMs: Int64
    public let cause: Cause
    public internal(set) var state: State
    /// Times the exchange was asked for it.
    public internal(set) var tries: Int

    package init(series: Series, fromMs: Int64, untilMs: Int64, cause: Cause, state: State = .open, tries: Int = 0) {
        (self.series, self.fromMs, self.untilMs, self.cause) = (series, fromMs, untilMs, cause)
        (self.state, self.tries) = (state, tries)
    }

    /// The same hole between other bounds.
    package func with(fromMs: Int64? = nil, untilMs: Int64? = nil, state: State? = nil, tries: Int? = nil) -> Gap {
        Gap(
            series: series, fromMs: fromMs ?? self.fromMs, untilMs: untilMs ?? self.untilMs, cause: cause, state: state ?? self.state,
            tries: tries ?? self.tries)
    }

    /// Open times in it.
    public var candleCount: Int { Int(series.interval.barCount(from: fromMs, until: untilMs)) }
}
