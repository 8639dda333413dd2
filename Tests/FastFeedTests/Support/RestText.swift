// REST bodies as text, and what the parsers make of them.

import FastFeed

/// A row of klines; its values as they stand in the text.
struct KlineRow {
    var values: [String]

    /// The `index`-th minute after some instant.
    init(_ index: Int64 = 0) {
        let open = 1_790_001_240_000 + index * 60_000
        values = [
            "\(open)", #""70010.10000000""#, #""70020.00000000""#, #""70001.00000000""#, #""70012.30000000""#, #""3.21000000""#,
            "\(open + 59_999)", #""224730.11000000""#, "120", #""1.50000000""#, #""105015.00000000""#, #""0""#,
        ]
    }

    func with(_ column: Int, _ value: String) -> KlineRow {
        var copy = self
        copy.values[column] = value
        return copy
    }

    var text: String { "[" + values.joined(separator: ",") + "]" }
    static func body(_ rows: [KlineRow]) -> String { "[" + rows.map(\.text).joined(separator: ",") + "]" }
}

let restSeries = Series(symbol: Symbol("btcusdt")!, interval: .m1)

func parseKlines(_ bytes: [UInt8], limit: Int = 1_000, nowMs: Int64 = 1_790_100_000_000, padding: [UInt8] = [0]) -> Result<
    [CandleRecord], RestFailure
> {
    withPadded(bytes, padding: padding) { Binance(.spot).klines($0, restSeries, limit: limit, nowMs: nowMs) }
}

func parseKlines(_ text: String, limit: Int = 1_000, nowMs: Int64 = 1_790_100_000_000) -> Result<[CandleRecord], RestFailure> {
    parseKlines(Array(text.utf8), limit: limit, nowMs: nowMs)
}

func parseExchangeInfo(_ bytes: [UInt8]) -> Result<ExchangeInformation, RestFailure> {
    withPadded(bytes) { Binance(.spot).exchangeInfo($0) }
}

extension Result {
    var value: Success? { try? get() }
    var reason: Failure? { if case .failure(let reason) = self { reason } else { nil } }
    var isFailure: Bool { if case .failure = self { true } else { false } }
}

/// The same by the slow way: a tree first, then the rules one by one. Nil: refused.
enum ReferenceKlines {
    static func read(_ bytes: [UInt8], limit: Int = 1_000) -> [[String]]? {
        guard case .array(let rows)? = ReferenceJSON.read(bytes), rows.count <= limit else { return nil }
        var result: [[String]] = []
        var lastOpen: Int64 = -1
        for row in rows {
            guard case .array(let values) = row, values.count == 12 else { return nil }
            var texts: [String] = []
            for (column, value) in values.prefix(11).enumerated() {
                guard let text = [0, 6, 8].contains(column) ? integer(value, isTime: column != 8) : decimal(value) else { return nil }
                texts.append(text)
            }
            guard let open = Int64(texts[0]), let close = Int64(texts[6]), let count = Int64(texts[8]), open > lastOpen, count >= 0,
                close >= open, close - open < 60_000, close <= 253_402_300_799_999
            else { return nil }
            lastOpen = open
            if close > open || count > 0 { result.append(texts) }
        }
        return result
    }

    private static func integer(_ value: ReferenceJSON, isTime: Bool) -> String? {
        guard case .number(let text) = value, text.wholeMatch(of: /-?(0|[1-9][0-9]{0,17})/) != nil, let number = Int64(text) else {
            return nil
        }
        return "\(isTime && number >= 100_000_000_000_000 ? number / 1_000 : number)"
    }

    private static func decimal(_ value: ReferenceJSON) -> String? {
        guard case .string(let text) = value, text.utf8.count <= 31, text.wholeMatch(of: /-?[0-9]+(\.[0-9]+)?/) != nil else { return nil }
        return text
    }

    static func texts(_ candles: [CandleRecord]) -> [[String]] {
        candles.map { candle in
            [
                "\(candle.openTimeMs)", "\(candle.open)", "\(candle.high)", "\(candle.low)", "\(candle.close)", "\(candle.volume)",
                "\(candle.closeTimeMs)", "\(candle.quoteVolume)", "\(candle.tradeCount)", "\(candle.takerBuyVolume)",
                "\(candle.takerBuyQuoteVolume)",
            ]
        }
    }
}
