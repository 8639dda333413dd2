// The truth as other code reads it: candles with exact decimal texts, and JSON lines. Any thread.

package import FastFeed

/// A candle the exchange announced closed, or should have.
package struct ClosedCandle: Sendable {
    package let series: Series
    /// Zero but for streams of another time zone.
    package let offsetMs: Int64
    package let candle: CandleRecord
    /// The frame went completely to the kernel on a connection that was not reset before it could be read.
    package let delivered: Bool

    package init(series: Series, offsetMs: Int64 = 0, candle: CandleRecord, delivered: Bool) {
        (self.series, self.offsetMs, self.candle, self.delivered) = (series, offsetMs, candle, delivered)
    }
}

/// The newest state pushed on a stream.
package struct LatestState: Sendable {
    package let stream: String
    package let series: Series
    package let candle: CandleRecord

    package init(stream: String, series: Series, candle: CandleRecord) {
        (self.stream, self.series, self.candle) = (stream, series, candle)
    }
}

extension KlineState {
    /// The same values as a client ought to hold them.
    package func candle(interval: Interval, format: ValueFormat) -> CandleRecord {
        func price(_ value: Int64) -> DecimalText {
            DecimalText(decimalText(Int128(value), scale: format.priceScale, digits: format.priceDigits))!
        }
        func quantity(_ value: Int64) -> DecimalText {
            DecimalText(decimalText(Int128(value), scale: format.quantityScale, digits: format.quantityDigits))!
        }
        func quote(_ value: Int128) -> DecimalText {
            DecimalText(decimalText(value, scale: format.quoteScale, digits: format.quoteDigits))!
        }
        var candle = CandleRecord()
        candle.intervalRawValue = interval.rawValue
        candle.isClosed = isClosed
        candle.source = .live
        candle.openTimeMs = openTimeMs
        candle.closeTimeMs = nextOpenMs - 1
        candle.eventTimeMs = eventTimeMs
        (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (sum.firstID, sum.lastID, sum.count)
        (candle.open, candle.high, candle.low, candle.close) =
            (price(sum.open), price(sum.high), price(sum.low), price(sum.close))
        (candle.volume, candle.takerBuyVolume) = (quantity(sum.volume), quantity(sum.takerBuyVolume))
        (candle.quoteVolume, candle.takerBuyQuoteVolume) = (quote(sum.quoteVolume), quote(sum.takerBuyQuoteVolume))
        return candle
    }
}

package enum TruthJSON {
    /// One closed candle; keys are spelled out because people read this.
    package static func line(_ closed: ClosedCandle) -> String {
        "{\(body(closed.series, closed.candle)),\"offsetMs\":\(closed.offsetMs),\"delivered\":\(closed.delivered)}"
    }

    package static func line(_ latest: LatestState) -> String {
        "{\"stream\":\(JSONValue.quoted(latest.stream)),\(body(latest.series, latest.candle)),\"closed\":\(latest.candle.isClosed)}"
    }

    private static func body(_ series: Series, _ candle: CandleRecord) -> String {
        "\"market\":\"\(series.market.rawValue)\",\"symbol\":\"\(series.symbol)\",\"interval\":\"\(series.interval.token)\","
            + "\"openTime\":\(candle.openTimeMs),\"closeTime\":\(candle.closeTimeMs),\"eventTime\":\(candle.eventTimeMs),"
            + "\"open\":\"\(candle.open)\",\"high\":\"\(candle.high)\",\"low\":\"\(candle.low)\",\"close\":\"\(candle.close)\","
            + "\"volume\":\"\(candle.volume)\",\"quoteVolume\":\"\(candle.quoteVolume)\","
            + "\"takerBuyVolume\":\"\(candle.takerBuyVolume)\",\"takerBuyQuoteVolume\":\"\(candle.takerBuyQuoteVolume)\","
            + "\"firstTradeId\":\(candle.firstTradeID),\"lastTradeId\":\(candle.lastTradeID),\"trades\":\(candle.tradeCount)"
    }

    package static func text(_ statistics: SimulatorStatistics) -> String {
        json(statistics)
    }

    /// A number, or a structure of numbers, as JSON.
    private static func json(_ value: Any) -> String {
        let members = Mirror(reflecting: value).children
        return members.isEmpty ? "\(value)" : "{" + members.map { "\"\($0.label ?? "")\":\(json($0.value))" }.joined(separator: ",") + "}"
    }
}

extension PushEngine {
    /// Closed candles from a sequence on, oldest first.
    package func closedCandles(from sequence: Int64 = 0, max: Int = .max) -> [ClosedCandle] {
        let first = Int(Swift.max(0, sequence - truth.forgotten))
        guard first < truth.count else { return [] }
        return (first..<(first + min(max, truth.count - first))).map { position in
            let entry = truth.entry(at: position)
            let (series, offset, format) = series(ofStream: Int(entry.stream))
            return ClosedCandle(
                series: series, offsetMs: offset,
                candle: entry.state.candle(interval: series.interval, format: format), delivered: entry.deliveries > 0)
        }
    }

    package func latestCandles() -> [LatestState] {
        latestStates().map { index, state in
            let (series, _, format) = series(ofStream: index)
            return LatestState(
                stream: name(ofStream: index), series: series, candle: state.candle(interval: series.interval, format: format))
        }
    }
}
