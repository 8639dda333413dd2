// A series and its dense id. Plain values, any thread.

/// One symbol at one interval in one market.
public struct Series: Sendable, Hashable, CustomStringConvertible {
    // The string first: 24 bytes instead of 32.
    /// The instrument.
    public let symbol: Symbol
    /// The market that trades it; decides host and key prefix.
    public let market: Market
    /// How long a bar is.
    public let interval: Interval

    /// A value; that the exchange has such a series is not said.
    public init(market: Market = .spot, symbol: Symbol, interval: Interval) {
        (self.market, self.symbol, self.interval) = (market, symbol, interval)
    }

    /// `btcusdt:1m`; of futures `um:btcusdt:1m`.
    public var description: String { "\(market.keyPrefix)\(symbol):\(interval.token)" }
}

/// What a series is to the data path: its dense id, the index of every table, and which use of the id.
package struct SeriesHandle: Sendable, Hashable, BitwiseCopyable {
    package var id: UInt32
    package var generation: UInt16

    package init(id: UInt32, generation: UInt16) {
        (self.id, self.generation) = (id, generation)
    }
}
