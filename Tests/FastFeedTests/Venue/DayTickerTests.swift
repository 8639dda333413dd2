// The 24 h tickers: what is taken, what is left out, what is refused.

import FastFeed
import TestKit
import Testing

struct DayTickerTests {
    private func row(
        _ symbol: String = #""BTCUSDT""#, last: String = #""70010.10000000""#, change: String = #""-1.250""#,
        volume: String = #""123456789.12345678""#, count: String = "42"
    ) -> String {
        #"{"symbol":\#(symbol),"priceChange":"-5","priceChangePercent":\#(change),"lastPrice":\#(last),"quoteVolume":\#(volume),"#
            + #""openTime":1,"closeTime":2,"count":\#(count),"new":{"a":[null]}}"#
    }

    private func parse(_ text: String) -> Result<DayTickers, RestFailure> { parse(Array(text.utf8)) }
    private func parse(_ bytes: [UInt8]) -> Result<DayTickers, RestFailure> { withPadded(bytes) { Binance(.spot).dayTickers($0) } }

    @Test func everythingRead() throws {
        let tickers = try parse("[\(row()),\(row(#""\u9f99\u867eUSDT""#, change: #""0""#, count: "0")),\(row(#""BTCUSDT_260925""#))]").get()
        #expect(Set(tickers.figures.keys.map(\.name)) == ["btcusdt", "龙虾usdt", "btcusdt_260925"] && tickers.skipped == 0)
        let figures = try #require(tickers.figures[Symbol("btcusdt")!])
        #expect(
            "\(figures.lastPrice) \(figures.priceChangePercent) \(figures.quoteVolume) \(figures.tradeCount)"
                == "70010.10000000 -1.250 123456789.12345678 42")
        #expect(try parse("[]").get() == DayTickers(figures: [:], skipped: 0))
    }

    static let wrongRows = [
        "1", "null", "[]", "{}", #"{"symbol":"BTCUSDT"}"#,
    ]

    /// One bad row costs itself alone.
    @Test func rowsLeftOut() throws {
        var rows = Self.wrongRows
        for name in [#""""#, #""btcusdt""#, #""BTC-USDT""#, #""A B""#, #""{A}""#, "\"\(String(repeating: "X", count: 33))\"", "1", "null"] {
            rows.append(row(name))
        }
        let decimals = [
            #""""#, #""-""#, #"".5""#, #""5.""#, #""1.2.3""#, #""1e5""#, #""+1""#, #""NaN""#, #"" 1""#, #""1\u0000""#, "1.5", "null",
            "\"\(String(repeating: "1", count: 32))\"",
        ]
        for text in decimals { rows += [row(last: text), row(change: text), row(volume: text)] }
        for count in ["-1", "1.5", #""1""#, "null", "18446744073709551615"] { rows.append(row(count: count)) }
        // The first one counts.
        rows.append(row(#""ETHUSDT""#, last: #""2""#))
        let text =
            "["
            + ([row(#""ETHUSDT""#)] + rows + [row(#""LAST""#, last: "\"\(String(repeating: "1", count: 31))\"")])
            .joined(separator: ",") + "]"
        let tickers = try parse(text).get()
        #expect(tickers.figures.keys.map(\.name).sorted() == ["ethusdt", "last"] && tickers.skipped == rows.count)
        #expect(tickers.figures[Symbol("ethusdt")!]?.lastPrice.description == "70010.10000000")
    }

    @Test(arguments: ["", "{}", "null", "1", "[", "[{]", "[1,]", "[01]", "[]]", #"{"code":-1003,"msg":"x"}"#])
    func refused(_ text: String) { #expect(parse(text).isFailure, "\(text)") }

    /// Places are made for rows that may be there, not for as many as fit an answer's bytes.
    @Test func tooManyRows() throws {
        func rows(_ count: Int) -> String { "[" + Array(repeating: "1", count: count).joined(separator: ",") + "]" }
        #expect(try parse(rows(Limits.dayTickersMax)).get().skipped == Limits.dayTickersMax)
        #expect(parse(rows(Limits.dayTickersMax + 1)) == .failure(.malformed("tickers: longer than can be")))
    }

    /// No damage makes it crash or brings in a number that is none.
    @Test(arguments: seeds) func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let original = Array("[\(row()),\(row(#""ETHUSDT""#))]".utf8)
        var accepted = 0
        for _ in 0..<5_000 {
            let bytes = RestMutation.mutate(original, &random)
            guard let tickers = parse(bytes).value else { continue }
            accepted += 1
            for figures in tickers.figures.values {
                let texts = [figures.lastPrice, figures.priceChangePercent, figures.quoteVolume].map(\.description)
                if !texts.allSatisfy({ DecimalText($0) != nil }) || figures.tradeCount < 0 { Issue.record("seed \(seed): \(texts)") }
            }
            if ReferenceJSON.read(bytes) == nil { Issue.record("seed \(seed): not JSON: \(String(decoding: bytes, as: UTF8.self))") }
        }
        #expect(accepted > 100)
    }
}
