// What answers and keys say of the exchange's instruments. Plain values, any thread. Members that are not known are passed over; a
// member that is missing or of the wrong type makes the whole message malformed.

/// An instrument of the exchange, and what was traded of it in the last 24 hours. The figures are nil where the exchange has none.
public struct ListedSymbol: Sendable, Equatable {
    /// Lower case, as it stands in keys.
    public let symbol: Symbol
    /// The assets as the exchange has them, `BTC` and `USDT`; empty where it does not say.
    public let base, quote: String
    /// `TRADING`, `BREAK`, `HALT` and others; new ones may come.
    public let status: String
    /// The last trade's price, in the quote asset.
    public let lastPrice: DecimalText?
    /// Against 24 hours ago, in percent.
    public let priceChangePercent: DecimalText?
    /// Volume of the last 24 hours, in the quote asset.
    public let quoteVolume: DecimalText?
    /// Trades in the last 24 hours.
    public let trades: Int64?
}

extension ListedSymbol {
    package init(_ value: JSONValue) throws(Malformed) {
        func decimal(_ key: String) throws(Malformed) -> DecimalText? {
            guard value[key] != .null else { return nil }
            return try value.member(key, "a decimal text") { $0.string.flatMap { DecimalText($0) } }
        }
        self.init(
            symbol: try value.symbol(Field.symbol), base: try value.text(Field.base), quote: try value.text(Field.quote),
            status: try value.text(Field.status), lastPrice: try decimal(Field.lastPrice),
            priceChangePercent: try decimal(Field.priceChangePercent), quoteVolume: try decimal(Field.quoteVolume),
            trades: value[Field.trades] == .null ? nil : try value.number(Field.trades))
    }

    package var json: JSONValue { .members(members) }

    /// Names and values of the hash; what is not known is an empty text there.
    package var hash: [(String, String)] { members.map { ($0, $1 == .null ? "" : $1.string ?? $1.text) } }

    private var members: [(String, JSONValue)] {
        func text(_ decimal: DecimalText?) -> JSONValue { decimal.map { .string($0.description) } ?? .null }
        return [
            (Field.symbol, .string(symbol.name)), (Field.base, .string(base)), (Field.quote, .string(quote)),
            (Field.status, .string(status)), (Field.lastPrice, text(lastPrice)), (Field.priceChangePercent, text(priceChangePercent)),
            (Field.quoteVolume, text(quoteVolume)), (Field.trades, trades.map { .integer($0) } ?? .null),
        ]
    }
}

/// The answer to `symbols`.
public struct ListedSymbols: Sendable, Equatable {
    /// By falling 24 h volume in the quote asset, then by name. Volumes in different quote assets do not compare.
    public let symbols: [ListedSymbol]
    /// How many match, listed here or not.
    public let total: Int64
    /// When the exchange said its figures, Unix ms; nil when it has not yet.
    public let updatedAt: Int64?
}

extension ListedSymbols {
    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            symbols: try value.list(Field.symbols, of: ListedSymbol.init), total: try value.number(Field.total),
            updatedAt: try value.instant(Field.updatedAt))
    }

    /// The service has its rows as JSON already.
    package static func members(rows: [JSONValue], total: Int, updatedAt: Int64?) -> [(String, JSONValue)] {
        [(Field.symbols, .array(rows)), (Field.total, .integer(Int64(total))), (Field.updatedAt, .integer(updatedAt ?? 0))]
    }
}
