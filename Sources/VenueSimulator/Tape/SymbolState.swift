// What an instrument's standing is, when it changes, and when the whole exchange is closed. Plain values.

/// An instrument's standing, spelled as `status` of exchangeInfo.
///
/// Only a trading instrument has trades; ids go on without a gap afterwards. Bars that lie wholly in a time
/// without market data (`break`, `cancelOnly`, `unlisted`, maintenance) do not exist anywhere. A bar that
/// such a time cuts exists, with the trades of its other part; its closed event is never sent when it ends
/// inside, so that only REST tells of it.
public enum SymbolState: String, Sendable, CaseIterable {
    case trading = "TRADING"
    /// No trades, but market data goes on: bars are pushed and closed, flat.
    case halt = "HALT"
    /// No market data.
    case `break` = "BREAK"
    /// No klines. (The streams that would go on are not produced here.)
    case cancelOnly = "CANCEL_ONLY"
    /// Before the listing or after the delisting: silent, and unknown to REST (−1121). What a delisting
    /// cuts is never due.
    case unlisted = "UNLISTED"

    /// What a state does to the tape and to bars.
    enum Effect: Equatable { case trades, flat, hole }

    var effect: Effect {
        switch self {
        case .trading: .trades
        case .halt: .flat
        case .break, .cancelOnly, .unlisted: .hole
        }
    }

    /// As written in a query; `DELISTED` is another word for `UNLISTED`.
    init?(token: String) { self.init(rawValue: token.uppercased() == "DELISTED" ? "UNLISTED" : token.uppercased()) }
}

/// A change of an instrument's standing.
public struct SymbolChange: Sendable, Equatable {
    /// In any case of letters.
    public var symbol: String
    public var state: SymbolState
    /// Virtual milliseconds after the start. `unlisted` at 0 takes the history away, too: the instrument is
    /// listed when it begins to trade.
    public var afterMs: Int64

    public init(_ symbol: String, _ state: SymbolState, afterMs: Int64 = 0) {
        (self.symbol, self.state, self.afterMs) = (symbol, state, afterMs)
    }
}

/// A time in which the exchange is closed: no bars, no connections; handshakes and REST answer 503. Flat out
/// it passes at once, because nobody can be waited for.
public struct MaintenanceWindow: Sendable, Equatable {
    /// Virtual milliseconds after the start.
    public var afterMs: Int64
    public var durationMs: Int64

    public init(afterMs: Int64, durationMs: Int64) { (self.afterMs, self.durationMs) = (afterMs, durationMs) }
}

/// Some closed events come much later than the others.
public struct CloseDelayTail: Sendable, Equatable {
    /// Of each bar.
    public var probability: Double
    /// Virtual; most of the tail is nearer to the usual delay than to this.
    public var maxMs: Int64

    public init(probability: Double, maxMs: Int64) { (self.probability, self.maxMs) = (probability, maxMs) }
}
