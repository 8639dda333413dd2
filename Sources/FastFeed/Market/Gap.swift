// A hole in a series' closed candles. A plain value, any thread.

/// A run of closed candles that a series should have and has not.
public struct Gap: Sendable, Equatable {
    public enum Cause: String, Sendable {
        /// Seen between two candles that came.
        case missed
        /// Redis was away for longer than the queue of closed candles lasts.
        case overflow
        /// Redis refused the candle for good.
        case refused
    }

    public let series: Series
    /// Open time of the first missing candle, Unix ms.
    public let fromMs: Int64
    /// Open time of the first candle that is there again.
    public let untilMs: Int64
    public let cause: Cause

    package init(series: Series, fromMs: Int64, untilMs: Int64, cause: Cause) {
        (self.series, self.fromMs, self.untilMs, self.cause) = (series, fromMs, untilMs, cause)
    }
}
