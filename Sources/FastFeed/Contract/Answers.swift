// What answers and updates hold, as values. Plain, any thread. Members that are not known are passed over; a member that is missing or
// of the wrong type makes the whole message malformed. Instants are Unix milliseconds, UTC.

/// The answer to `createFlux`.
public struct CreatedFlux: Sendable, Equatable {
    /// The flux's id: as it was named, or made from interval and symbols.
    public let id: String
    /// False when the same flux was there already.
    public let created: Bool
    /// Symbols of which nothing comes now, each with the reason.
    public let refused: [RefusedSymbol]
}

extension CreatedFlux {
    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            id: try value.text(Field.fluxID), created: try value.truth(Field.created),
            refused: try value.refusedSymbols(Field.refusedSymbols))
    }

    package var members: [(String, JSONValue)] {
        let refused = JSONValue.array(refused.map { .string($0.text) })
        return [(Field.fluxID, .string(id)), (Field.created, .bool(created)), (Field.refusedSymbols, refused)]
    }
}

/// One flux, as `listFluxes` tells it.
public struct FluxSummary: Sendable, Equatable {
    /// Unique within the service's market and key prefix.
    public let id: String
    /// Lower case, sorted, each once.
    public let symbols: [Symbol]
    /// The interval of all its series.
    public let interval: Interval
    /// Nil for a state that this version does not know.
    public let state: FluxState?
    /// When the flux was made, Unix ms.
    public let createdAt: Int64
    /// When an event last came for one of its series, Unix ms; nil before the first.
    public let lastUpdateAt: Int64?
    /// Series of which something has come lately, and that are not refused now.
    public let seriesLive: Int
}

extension FluxSummary {
    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            id: try value.text(Field.fluxID), symbols: try value.symbols(Field.symbols), interval: try value.interval(Field.interval),
            state: FluxState(rawValue: try value.text(Field.state)), createdAt: try value.number(Field.createdAt),
            lastUpdateAt: try value.instant(Field.lastUpdateAt), seriesLive: Int(try value.number(Field.seriesLive)))
    }

    package var json: JSONValue {
        .members([
            (Field.fluxID, .string(id)), (Field.symbols, .array(symbols.map { .string($0.name) })),
            (Field.interval, .string(interval.token)), (Field.state, .string(state?.rawValue ?? "")),
            (Field.createdAt, .integer(createdAt)), (Field.lastUpdateAt, .integer(lastUpdateAt ?? 0)),
            (Field.seriesLive, .integer(Int64(seriesLive))),
        ])
    }
}

/// The answer to `data`.
public struct CandleData: Sendable, Equatable {
    /// The series' symbol.
    public let symbol: Symbol
    /// The series' interval.
    public let interval: Interval
    /// Nil for a source that this version does not know.
    public let source: DataSource?
    /// How long the service took, µs.
    public let tookMicroseconds: Int64
    /// Oldest first; a forming candle is the last.
    public let rows: [Candle]
    /// Why the exchange may have candles of the question that are not among the rows, one sentence; nil when they are all there is.
    public let incomplete: String?

    package init(_ value: JSONValue) throws(Malformed) {
        symbol = try value.symbol(Field.symbol)
        interval = try value.interval(Field.interval)
        source = DataSource(rawValue: try value.text(Field.source))
        tookMicroseconds = try value.number(Field.tookMicroseconds)
        rows = try value.list(Field.rows, of: Candle.init)
        incomplete = try value.optional(Field.incomplete, "a text", \.string)
    }

    /// The service has its rows as JSON already.
    package static func members(
        _ series: Series, _ source: DataSource, tookMicroseconds: UInt64, rows: [JSONValue], incomplete: String? = nil
    ) -> [(String, JSONValue)] {
        [
            (Field.symbol, .string(series.symbol.name)), (Field.interval, .string(series.interval.token)),
            (Field.source, .string(source.rawValue)), (Field.tookMicroseconds, .integer(Int64(clamping: tookMicroseconds))),
            (Field.rows, .array(rows)),
        ] + (incomplete.map { [(Field.incomplete, .string($0))] } ?? [])
    }
}

// `BatchBuilder` renders it by hand; a test reads its messages here.
/// What one flush of the service wrote for one series.
public struct FluxUpdate: Sendable, Equatable {
    /// The series' symbol.
    public let symbol: Symbol
    /// The series' interval.
    public let interval: Interval
    /// How many candle states were written.
    public let rows: Int64
    /// Kline events they stand for.
    public let updates: Int64
    /// Closed ones first.
    public let candles: [Candle]
    /// The message as it was published.
    package let json: JSONValue

    package init(_ bytes: [UInt8]) throws(Malformed) {
        json = try JSONValue(message: bytes)
        symbol = try json.symbol(Field.symbol)
        interval = try json.interval(Field.interval)
        rows = try json.number(Field.rows)
        updates = try json.number(Field.updates)
        candles = try json.list(Field.candles, of: Candle.init)
    }
}
