// The fourteen fields of a candle: their names, order and kinds, and the two shapes that candles have outside, a JSON object (`latest`,
// `updates`, answers) and an entry of a history stream. Pure, any thread. `CandleEncoder` renders the same by hand,
// because it runs for each candle; a test compares it with this table.

/// The fields of a candle in the order in which they are written.
package enum CandleField: String, CaseIterable, Sendable {
    case open, high, low, close, volume
    case closeTime = "close_time"
    case quoteVolume = "quote_volume"
    case count
    case takerBuyVolume = "taker_buy_volume"
    case takerBuyQuoteVolume = "taker_buy_quote_volume"
    case firstTradeID = "first_trade_id"
    case lastTradeID = "last_trade_id"
    case source
    case revision

    /// In front of them in a JSON object, after symbol and interval. In a history it is the entry's id.
    package static let openTime = "open_time"
    /// Behind them in a JSON object. A history has only closed candles and does not keep the event's time.
    package static let closed = "closed"
    package static let eventTime = "event_time"

    /// Whole numbers stand as such in JSON, everything else is text.
    package var isInteger: Bool { [.closeTime, .count, .firstTradeID, .lastTradeID, .revision].contains(self) }

    /// The field's text when this record is first written.
    package func text(of candle: CandleRecord) -> String {
        switch self {
        case .open: candle.open.description
        case .high: candle.high.description
        case .low: candle.low.description
        case .close: candle.close.description
        case .volume: candle.volume.description
        case .closeTime: String(candle.closeTimeMs)
        case .quoteVolume: candle.quoteVolume.description
        case .count: String(candle.tradeCount)
        case .takerBuyVolume: candle.takerBuyVolume.description
        case .takerBuyQuoteVolume: candle.takerBuyQuoteVolume.description
        case .firstTradeID: String(candle.firstTradeID)
        case .lastTradeID: String(candle.lastTradeID)
        case .source: candle.source.name
        case .revision: "0"
        }
    }

    /// Nil for a text that is not a whole number where one must be.
    package func json(_ text: String) -> JSONValue? { isInteger ? Int64(text).map { .integer($0) } : .string(text) }

    /// All names and texts, in order.
    package static func texts(_ candle: CandleRecord) -> [(String, String)] { allCases.map { ($0.rawValue, $0.text(of: candle)) } }
}

/// A candle as a JSON object.
package enum CandleRow {
    package static func json(_ candle: CandleRecord, _ series: Series) -> JSONValue {
        let fields = CandleField.allCases.map { ($0.rawValue, $0.json($0.text(of: candle))!) }
        return json(series, openTimeMs: candle.openTimeMs, fields, isClosed: candle.isClosed, eventTimeMs: candle.eventTimeMs)
    }

    /// Nil for a row that somebody else has written: it has none, or one that the calendar cannot carry.
    package static func openTimeMs(_ row: JSONValue) -> Int64? {
        row[CandleField.openTime]?.integer.flatMap { Limits.instantsMs.contains($0) ? $0 : nil }
    }

    fileprivate static func json(
        _ series: Series, openTimeMs: Int64, _ fields: [(String, JSONValue)], isClosed: Bool, eventTimeMs: Int64
    ) -> JSONValue {
        .members(
            [
                (Field.symbol, .string(series.symbol.name)), (Field.interval, .string(series.interval.token)),
                (CandleField.openTime, .integer(openTimeMs)),
            ] + fields + [(CandleField.closed, .bool(isClosed)), (CandleField.eventTime, .integer(eventTimeMs))])
    }
}

/// An entry of a history stream: a closed candle under its open time.
package struct HistoryEntry: Sendable {
    package let openTimeMs: Int64
    private let pairs: [(String, String)]

    /// Nil for an entry that the service has not written: its id is not `<open time>-0`, or not an open time that can be.
    package init?(id: String, _ pairs: [(String, String)]) {
        guard id.hasSuffix("-0"), let openTimeMs = Int64(id.dropLast(2)), Limits.instantsMs.contains(openTimeMs) else {
            return nil
        }
        self.openTimeMs = openTimeMs
        self.pairs = pairs
    }

    package static func id(openTimeMs: Int64) -> String { "\(openTimeMs)-0" }

    package subscript(field: CandleField) -> String? { pairs.last { $0.0 == field.rawValue }?.1 }

    /// The entry as a candle object; the close time stands for the event's. Nil for an entry that is not a candle.
    package func json(_ series: Series) -> JSONValue? {
        guard let closeTimeMs = self[.closeTime].flatMap({ Int64($0) }), Limits.instantsMs.contains(closeTimeMs) else { return nil }
        var fields: [(String, JSONValue)] = []
        for (name, text) in pairs {
            guard let value = CandleField(rawValue: name).map({ $0.json(text) }) ?? .string(text) else { return nil }
            fields.append((name, value))
        }
        return CandleRow.json(series, openTimeMs: openTimeMs, fields, isClosed: true, eventTimeMs: closeTimeMs)
    }
}

/// One candle. Decimals are the exchange's exact text; times are Unix milliseconds.
public struct Candle: Sendable, Equatable {
    /// When the bar begins, Unix ms, UTC.
    public let openTime: Int64
    /// The bar's last millisecond, Unix ms.
    public let closeTime: Int64
    /// Prices, in the quote asset.
    public let open, high, low, close: DecimalText
    /// What was traded, in the base asset and in the quote asset.
    public let volume, quoteVolume: DecimalText
    /// What takers bought of it, in the base asset and in the quote asset.
    public let takerBuyVolume, takerBuyQuoteVolume: DecimalText
    /// Trades in the bar.
    public let count: Int64
    /// −1 when the bar has no trade.
    public let firstTradeID, lastTradeID: Int64
    /// Nil for a source that this version does not know.
    public let source: CandleSource?
    /// How often a closed candle was corrected.
    public let revision: Int64
    /// True once the bar is final.
    public let isClosed: Bool
    /// When the exchange said so; nil where that is not known any more.
    public let eventTime: Int64?

    /// Reads a candle object. Other members are passed over.
    package init(_ row: JSONValue) throws(Malformed) {
        func decimal(_ field: CandleField) throws(Malformed) -> DecimalText {
            guard let text = row[field.rawValue]?.string, let decimal = DecimalText(text) else {
                throw Malformed("\(field.rawValue) is not a decimal text")
            }
            return decimal
        }
        func number(_ field: CandleField) throws(Malformed) -> Int64 { try row.number(field.rawValue) }
        // Who gets the candle reckons with its times.
        func instant(_ key: String) throws(Malformed) -> Int64 {
            try row.member(key, "an instant") { $0.integer.flatMap { Limits.instantsMs.contains($0) ? $0 : nil } }
        }
        openTime = try instant(CandleField.openTime)
        closeTime = try instant(CandleField.closeTime.rawValue)
        (open, high, low, close) = (try decimal(.open), try decimal(.high), try decimal(.low), try decimal(.close))
        (volume, quoteVolume) = (try decimal(.volume), try decimal(.quoteVolume))
        (takerBuyVolume, takerBuyQuoteVolume) = (try decimal(.takerBuyVolume), try decimal(.takerBuyQuoteVolume))
        count = try number(.count)
        (firstTradeID, lastTradeID) = (try number(.firstTradeID), try number(.lastTradeID))
        source = CandleSource(name: try row.text(CandleField.source.rawValue))
        revision = try number(.revision)
        isClosed = try row.truth(CandleField.closed)
        eventTime = try row.instant(CandleField.eventTime).flatMap { Limits.instantsMs.contains($0) ? $0 : nil }
    }
}
