// What a reader of candles is told, and a history's entry as a candle. Plain values, any thread.

/// A candle with typed fields, as `FluxClient` has it, too.
public typealias ClientCandle = Candle

/// What a `CandleStream` tells.
public enum CandleEvent: Sendable, Equatable {
    /// The next closed candle of its series. They come strictly by open time, each once.
    case candle(Series, ClientCandle)
    /// Candles that are not in the history. It comes before the candle behind them.
    case gap(CandleGap)
    /// A candle that fills an open gap, or a part of it.
    case late(Series, ClientCandle)
    /// A candle that was told before, with other values now: its `revision` is 1 or more.
    case corrected(Series, ClientCandle)
}

/// Candles that a history lacks: between two that it has, or in front of the oldest that it keeps.
public struct CandleGap: Sendable, Equatable {
    /// Why candles do not come in their order.
    public enum Cause: String, Sendable, CaseIterable {
        /// The history has later ones and not these: they may come late.
        case missing
        /// The reader's place lies before the oldest entry that the history keeps.
        case trimmed
    }

    /// The series whose history lacks them.
    public let series: Series
    /// Open time of the first candle that is missing, Unix ms.
    public let from: Int64
    /// Open time of the first candle that is there again, Unix ms.
    public let until: Int64
    /// Why they do not come in their order.
    public let cause: Cause

    /// For tests of code that takes events; a `CandleStream` makes its own.
    public init(series: Series, from: Int64, until: Int64, cause: Cause) {
        (self.series, self.from, self.until, self.cause) = (series, from, until, cause)
    }
}

extension Candle {
    /// A history's entry as a candle: for consumer groups over `candles:*`. Fields with other names are passed over; `eventTime` is nil,
    /// because a history does not keep it.
    /// - Throws: `.badEntry` when the entry's id is not `<open time>-0`, or a field is missing or not what it must be.
    public init(_ entry: StreamEntry) throws(StreamError) {
        do throws(Malformed) {
            try self.init(history: entry)
        } catch {
            throw .badEntry("entry \(entry.id) of \(Ascii.printable(entry.key.utf8, limit: 100)) is not a candle: \(error.what)")
        }
    }

    private init(history entry: StreamEntry) throws(Malformed) {
        let openMs = Int64(exactly: entry.id.milliseconds)
        guard entry.id.sequence == 0, let openMs, Limits.instantsMs.contains(openMs) else {
            throw Malformed("its id is not an open time")
        }
        func text(_ field: CandleField) throws(Malformed) -> String {
            guard let text = entry.fields[field.rawValue] else { throw Malformed("\(field.rawValue) is missing") }
            return text
        }
        func decimal(_ field: CandleField) throws(Malformed) -> DecimalText {
            guard let decimal = DecimalText(try text(field)) else { throw Malformed("\(field.rawValue) is not a decimal text") }
            return decimal
        }
        func number(_ field: CandleField) throws(Malformed) -> Int64 {
            guard let number = Int64(try text(field)) else { throw Malformed("\(field.rawValue) is not a whole number") }
            return number
        }
        openTime = openMs
        closeTime = try number(.closeTime)
        guard Limits.instantsMs.contains(closeTime) else { throw Malformed("\(CandleField.closeTime.rawValue) is not an instant") }
        (open, high, low, close) = (try decimal(.open), try decimal(.high), try decimal(.low), try decimal(.close))
        (volume, quoteVolume) = (try decimal(.volume), try decimal(.quoteVolume))
        (takerBuyVolume, takerBuyQuoteVolume) = (try decimal(.takerBuyVolume), try decimal(.takerBuyQuoteVolume))
        count = try number(.count)
        (firstTradeID, lastTradeID) = (try number(.firstTradeID), try number(.lastTradeID))
        source = CandleSource(name: try text(.source))
        revision = try number(.revision)
        isClosed = true
        eventTime = nil
    }
}
