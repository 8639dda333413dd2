// Decimals, symbols and tokens: what passes as a name or a number, by table.

import FastFeed
import Testing

struct NameTests {
    @Test(arguments: [
        "0", "-0", "1", "00", "007.50", "-1.5", "0.00000001", "12345678901234567890.1234567890", "1234567890123456789012345678901",
    ])
    func goodDecimals(_ text: String) throws {
        let decimal = try #require(DecimalText(text))
        #expect(decimal.description == text)
        #expect(decimal.count == text.utf8.count)
        #expect(decimal == DecimalText(text)!)
    }

    @Test(arguments: [
        "", "-", ".", "1.", ".5", "-.5", "1.2.3", "1e5", "+1", " 1", "1 ", "0x1", "NaN", "--1", "1-", "١", "1\u{301}", "1,5",
        "12345678901234567890123456789012",
    ])
    func badDecimals(_ text: String) { #expect(DecimalText(text) == nil) }

    /// Text is compared as text: a number written differently is a different value to write.
    @Test func decimalEqualityIsByText() {
        #expect(DecimalText("1.0") != DecimalText("1.00"))
        #expect(DecimalText() != DecimalText("0"))
        #expect(DecimalText().count == 0)
        #expect(Set([DecimalText("1.0")!, DecimalText("1.0")!, DecimalText("1")!]).count == 2)
    }

    @Test func symbols() throws {
        #expect(try #require(Symbol("BTCUSDT")).name == "btcusdt")
        #expect(Symbol("btcusdt")?.upperCased == "BTCUSDT")
        #expect(Symbol("btcusdt_251226")?.upperCased == "BTCUSDT_251226")
        #expect(Symbol(String(repeating: "a", count: 32)) != nil)
        let hostile = [
            "", "a:b", "*", "x\r\nSET y 1", "../x", "a b", "a-b", "a.b", "é", "ＢＴＣ", "btc\0", "{a}", "K\u{212A}",
            String(repeating: "a", count: 33),
        ]
        for text in hostile { #expect(Symbol(text) == nil, "\(text.debugDescription)") }
    }

    @Test func seriesAndMarkets() throws {
        let symbol = try #require(Symbol("ethusdt"))
        #expect(Series(symbol: symbol, interval: .month1).description == "ethusdt:1M")
        #expect(Series(market: .um, symbol: symbol, interval: .m1).description == "um:ethusdt:1m")
        #expect(VenueProfile.streamName(Series(symbol: symbol, interval: .month1)) == "ethusdt@kline_1M")
    }

    @Test func tokensAreCaseSensitive() {
        let tokens = ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
        #expect(Interval.allCases.map(\.token) == tokens)
        #expect(Interval.allCases.map(\.rawValue) == Array(0..<16))
        for (index, token) in tokens.enumerated() { #expect(Interval(token: token) == Interval.allCases[index]) }
        for token in ["1S", "3M", "1H", "1D", "1W", "", "1", "m", "m1", "1m ", " 1m", "01m", "1month", "2m", "1M\0"] {
            #expect(Interval(token: token) == nil, "\(token)")
        }
    }

    @Test func fluxesFromText() throws {
        let flux = try FluxDefinition("btcusdt,ETHUSDT,btcusdt:1m,1M,1m")
        #expect(flux.symbols.map(\.name) == ["btcusdt", "ethusdt"])
        #expect(flux.intervals == [.m1, .month1])
        for text in [
            "", ":", "btcusdt", "btcusdt:", ":1m", "btcusdt:1m:2m", "btcusdt:2m", "btcusdt,:1m", "btc usdt:1m", "btcusdt:1m,", "a:1H",
        ] {
            #expect(throws: FeedError.self, "\(text)") { try FluxDefinition(text) }
        }
    }

    /// What a log line shows of a peer's bytes: no control character, no escape sequence, bounded.
    @Test func printableText() {
        #expect(Ascii.printable(Array("a\r\n\u{1B}[31mb\u{7F}é".utf8)) == "a???[31mb???")
        #expect(Ascii.printable([UInt8](repeating: 0x61, count: 500)).utf8.count == 163)
        #expect(Ascii.printable([UInt8](repeating: 0x61, count: 4), limit: 4) == "aaaa")
    }

    @Test func digits() {
        var random = SplitMix64(seed: 11)
        var values: [Int64] = [0, 1, -1, 9, 10, 99, 100, .max, .min, -10]
        for shift in 0..<63 { values += [Int64(bitPattern: random.next() >> UInt64(shift)), 1 << Int64(shift), -(1 << Int64(shift))] }
        values += stride(from: 0, to: 100_000_000, by: 7_919)
        var power: Int64 = 1
        for _ in 0..<18 {
            power *= 10
            values += [power, power - 1, power + 1, -power]
        }
        var out = [UInt8](repeating: 0, count: DigitWriter.bytesMax + 1)
        for value in values {
            let count = DigitWriter.write(value, to: &out)
            #expect(String(decoding: out[..<count], as: UTF8.self) == String(value))
            #expect(DigitWriter.digitCount(value.magnitude) == String(value.magnitude).utf8.count)
        }
        #expect(DigitWriter.digitCount(.max) == 20)
    }
}
