// What an instrument's standing is, when it changes, and when the whole exchange is closed. Plain values.

/// An instrument's standing, spelled as `status` of exchangeInfo.
///
/// Only a trading instrument has trades; ids go on without a gap afterwards. Bars that lie wholly in a time
/// without market data (`break`, `cancelOnly`, `unlisted`, maintenance) do not exist anywhere. A bar that
/// such a time cuts exists, with the trades of its other part; its closed event is never sent when it ends
/// inside, so that only REST tells of it.
package enum SymbolState: String, Sendable, CaseIterable {
    case trading = "TRADING"
    /// No trades, but market data goes on: bars are pushed and closed, flat.
    case halt = "HALT"
    /// It could trade, and nobody does: to everyone `TRADING`, its bars flat.
    case quiet = "QUIET"
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
        case .halt, .quiet: .flat
        case .break, .cancelOnly, .unlisted: .hole
        }
    }

    /// The word that exchangeInfo has for it.
    var status: String { self == .quiet ? SymbolState.trading.rawValue : rawValue }

    /// As written in a query; `DELISTED` is another word for `UNLISTED`.
    init?(token: String) { self.init(rawValue: token.uppercased() == "DELISTED" ? "UNLISTED" : token.uppercased()) }
}

/// A change of an instrument's standing.
package struct SymbolChange: Sendable, Equatable {
    /// In any case of letters.
    package var symbol: String
    package var state: SymbolState
    /// Virtual milliseconds after the start. `unlisted` at 0 takes the history away, too: the instrument is
    /// listed when it begins to trade.
    package var afterMs: Int64

    package init(_ symbol: String, _ state: SymbolState, afterMs: Int64 = 0) {
        (self.symbol, self.state, self.afterMs) = (symbol, state, afterMs)
    }
}

/// A time in which the exchange is closed: no bars, no connections; handshakes and REST answer 503. Flat out
/// it passes at once, because nobody can be waited for.
package struct MaintenanceWindow: Sendable, Equatable {
    /// Virtual milliseconds after the start.
    package var afterMs: Int64
    package var durationMs: Int64

    package init(afterMs: Int64, durationMs: Int64) { (self.afterMs, self.durationMs) = (afterMs, durationMs) }
}

/// Some closed events come much later than the others.
package struct CloseDelayTail: Sendable, Equatable {
    /// How likely a bar is one of them, 0 to 1.
    package var probability: Double
    /// Virtual; most of the tail is nearer to the usual delay than to this.
    package var maxMs: Int64

    package init(probability: Double, maxMs: Int64) { (self.probability, self.maxMs) = (probability, maxMs) }
}
