// Where a candle's values come from. A plain value, any thread.

/// Where a candle's values come from.
public enum CandleSource: UInt8, CaseIterable, Sendable {
    /// A kline event of the exchange's stream.
    case live = 0
    /// The exchange's REST klines.
    case backfill = 1
    /// Aggregated here from shorter bars.
    case built = 2

    /// As it stands in a candle's field `source`.
    public var name: String { "\(self)" }

    /// Nil for a name that this version does not know.
    package init?(name: String) {
        guard let match = CandleSource.allCases.first(where: { $0.name == name }) else { return nil }
        self = match
    }
}
