// What the service's answers mean, as values. Plain, any thread. Unknown members are ignored; a member that is missing or of
// the wrong type makes the whole answer a `.badAnswer`. Instants are Unix milliseconds, UTC.

/// The answer to `createFlux`.
public struct CreatedFlux: Sendable, Equatable {
    public let id: String
    /// False when the same flux was there already.
    public let created: Bool

    package init(_ answer: ClientAnswer) throws(FluxError) {
        id = try answer.content.text("flux_id")
        guard let created = answer.content["created"]?.bool else { throw .badAnswer("created is neither true nor false") }
        self.created = created
    }
}

/// One flux, as `listFluxes` tells it.
public struct FluxSummary: Sendable, Equatable {
    public let id: String
    public let symbols: [String]
    /// The interval's token, `1m`.
    public let interval: String
    /// `starting`, `live`, `stale`, `healing` or `stopped`.
    public let state: String
    /// Unix ms.
    public let createdAt: Int64
    /// Unix ms; nil before the first update.
    public let lastUpdateAt: Int64?

    package static func list(_ answer: ClientAnswer) throws(FluxError) -> [FluxSummary] {
        var fluxes: [FluxSummary] = []
        for value in try answer.content.list("fluxes") { fluxes.append(try FluxSummary(value)) }
        return fluxes
    }

    private init(_ value: JSONValue) throws(FluxError) {
        id = try value.text("flux_id")
        var symbols: [String] = []
        for symbol in try value.list("symbols") {
            guard let symbol = symbol.string else { throw .badAnswer("a symbol is no text") }
            symbols.append(symbol)
        }
        self.symbols = symbols
        interval = try value.text("interval")
        state = try value.text("state")
        createdAt = try value.number("created_at")
        lastUpdateAt = try value.instant("last_update_at")
    }
}

/// A status hash, of the service or of one flux: names and values in the service's order.
public struct ServiceStatus: Sendable, Equatable {
    public struct Field: Sendable, Equatable {
        public let name: String
        /// Texts as they are, everything else as JSON.
        public let value: String
    }

    public let fields: [Field]

    /// The value under a name.
    public subscript(name: String) -> String? { fields.last { $0.name == name }?.value }

    /// The hash is the answer itself, or its only member.
    package init(_ answer: ClientAnswer) throws(FluxError) {
        var members = answer.content.members ?? []
        if members.count == 1, let inner = members[0].value.members { members = inner }
        guard !members.isEmpty else { throw .badAnswer("a status without fields") }
        fields = members.map { Field(name: $0.key, value: $0.value.string ?? $0.value.text) }
    }
}

/// One candle. Decimals are the exchange's exact text; times are Unix milliseconds.
public struct Candle: Sendable, Equatable {
    public let openTime: Int64
    public let closeTime: Int64
    public let open, high, low, close: DecimalText
    public let volume, quoteVolume: DecimalText
    public let takerBuyVolume, takerBuyQuoteVolume: DecimalText
    /// Trades in the bar.
    public let count: Int64
    /// −1 when the bar has no trade.
    public let firstTradeID, lastTradeID: Int64
    /// `live`, `backfill` or `built`.
    public let source: String
    /// How often a closed candle was corrected.
    public let revision: Int64
    /// True once the bar is final.
    public let isClosed: Bool
    /// When the exchange said so; nil where that is not known any more.
    public let eventTime: Int64?

    package init(_ value: JSONValue) throws(FluxError) {
        openTime = try value.number("open_time")
        closeTime = try value.number("close_time")
        open = try Candle.decimal(value, "open")
        high = try Candle.decimal(value, "high")
        low = try Candle.decimal(value, "low")
        close = try Candle.decimal(value, "close")
        volume = try Candle.decimal(value, "volume")
        quoteVolume = try Candle.decimal(value, "quote_volume")
        takerBuyVolume = try Candle.decimal(value, "taker_buy_volume")
        takerBuyQuoteVolume = try Candle.decimal(value, "taker_buy_quote_volume")
        count = try value.number("count")
        firstTradeID = try value.number("first_trade_id")
        lastTradeID = try value.number("last_trade_id")
        source = try value.text("source")
        revision = try value.number("revision")
        guard let closed = value["closed"]?.bool else { throw .badAnswer("closed is neither true nor false") }
        isClosed = closed
        eventTime = try value.instant("event_time")
    }

    private static func decimal(_ value: JSONValue, _ key: String) throws(FluxError) -> DecimalText {
        guard let text = value[key]?.string, let decimal = DecimalText(text) else { throw .badAnswer("\(key) is no decimal text") }
        return decimal
    }
}

/// The answer to `data`.
public struct CandleData: Sendable, Equatable {
    public let symbol: String
    public let interval: String
    /// Where the rows come from: `redis`, `cache` or `exchange`.
    public let source: String
    /// The service's time for it, µs.
    public let tookMicroseconds: Int64
    /// Oldest first; a forming candle is the last.
    public let rows: [Candle]

    package init(_ answer: ClientAnswer) throws(FluxError) {
        symbol = try answer.content.text("symbol")
        interval = try answer.content.text("interval")
        source = try answer.content.text("source")
        tookMicroseconds = try answer.content.number("took_us")
        var rows: [Candle] = []
        for value in try answer.content.list("rows") { rows.append(try Candle(value)) }
        self.rows = rows
    }
}

/// What one flush of the service wrote for one series.
public struct FluxUpdate: Sendable, Equatable {
    public let symbol: String
    public let interval: String
    /// Candles written.
    public let rows: Int64
    /// Kline events they stand for.
    public let updates: Int64
    /// Closed ones first.
    public let candles: [Candle]
    /// The message as it was published.
    package let json: JSONValue

    package init(_ bytes: [UInt8]) throws(FluxError) {
        json = try ClientAnswer.parse(bytes)
        symbol = try json.text("symbol")
        interval = try json.text("interval")
        rows = try json.number("rows")
        updates = try json.number("updates")
        var candles: [Candle] = []
        for value in try json.list("candles") { candles.append(try Candle(value)) }
        self.candles = candles
    }
}
