// The bounds of `CandleStream`. Constants.

extension Limits {
    /// Gaps that a stream of candles keeps open, of all its series. Beyond: the oldest of a series is forgotten, counted.
    package static let candleGapsMax = 10_000
}
