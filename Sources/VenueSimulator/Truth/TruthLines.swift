// The truth's JSON lines, read back: what `TruthJSON` writes. Pure.

import FastFeed

extension ClosedCandle {
    /// - Throws: when the line is not one of a closed candle.
    package init(line: [UInt8]) throws {
        let truth = try TruthLine(line)
        self.init(
            series: truth.series, offsetMs: truth.integer("offsetMs"), candle: truth.candle(isClosed: true),
            delivered: truth.flag("delivered"))
    }
}

extension LatestState {
    /// - Throws: when the line is not one of a stream's newest state.
    package init(line: [UInt8]) throws {
        let truth = try TruthLine(line)
        self.init(stream: truth.text("stream"), series: truth.series, candle: truth.candle(isClosed: truth.flag("closed")))
    }
}

/// A line's members, all of which are there: what is not in the line is not in the truth.
private struct TruthLine {
    let series: Series
    private let value: JSONValue

    init(_ line: [UInt8]) throws {
        value = try JSONValue(parsing: line)
        guard let market = value["market"]?.string.flatMap({ Market(rawValue: $0) }),
            let symbol = value["symbol"]?.string.flatMap({ Symbol($0) }),
            let interval = value["interval"]?.string.flatMap({ Interval(token: $0) })
        else { throw FeedError(.venue, "a line of the truth names no series: \(value.text)") }
        series = Series(market: market, symbol: symbol, interval: interval)
    }

    func text(_ name: String) -> String { value[name]?.string ?? "" }
    func flag(_ name: String) -> Bool { value[name]?.bool ?? false }
    func integer(_ name: String) -> Int64 { value[name]?.integer ?? 0 }
    private func decimal(_ name: String) -> DecimalText { DecimalText(text(name)) ?? DecimalText() }

    func candle(isClosed: Bool) -> CandleRecord {
        var candle = CandleRecord()
        (candle.intervalRawValue, candle.isClosed, candle.source) = (series.interval.rawValue, isClosed, .live)
        (candle.openTimeMs, candle.closeTimeMs, candle.eventTimeMs) = (integer("openTime"), integer("closeTime"), integer("eventTime"))
        (candle.open, candle.high, candle.low, candle.close) = (decimal("open"), decimal("high"), decimal("low"), decimal("close"))
        (candle.volume, candle.quoteVolume) = (decimal("volume"), decimal("quoteVolume"))
        (candle.takerBuyVolume, candle.takerBuyQuoteVolume) = (decimal("takerBuyVolume"), decimal("takerBuyQuoteVolume"))
        (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (integer("firstTradeId"), integer("lastTradeId"), integer("trades"))
        return candle
    }
}
