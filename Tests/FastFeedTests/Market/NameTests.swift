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
            "", "a:b", "*", "x\r\nSET y 1", "../x", "a b", "a-b", "a.b", "btc\0", "{a}", "a/b", "a@b", "a?b", "[a]", "a\u{7F}",
            String(repeating: "a", count: 33), String(repeating: "币", count: 11),
        ]
        for text in hostile { #expect(Symbol(text) == nil, "\(text.debugDescription)") }
    }

    /// What the exchange lists beyond ASCII: letters and numbers, in one way of writing, and nothing that cannot be seen.
    @Test func symbolsOfOtherScripts() {
        let good = ["币安人生USDT", "龙虾USDT", "这是测试币456", "é", "ＢＴＣ", "Ж1", "한글", "٣", "Ⅷ", String(repeating: "币", count: 10) + "ab"]
        for text in good { #expect(Symbol(text) != nil, "\(text)") }
        #expect(Symbol("币安人生USDT")?.name == "币安人生usdt" && Symbol("币安人生usdt")?.upperCased == "币安人生USDT")
        #expect(Symbol("ÉA")?.name == "Éa" && Symbol("ıI")?.name == "ıi", "only ASCII letters have two cases here")
        let hostile = [
            "e\u{301}", "\u{301}", "a\u{200B}", "\u{202E}a", "\u{2066}a", "a\u{FEFF}", "a\u{AD}", "币\u{FE0F}", "a\u{A0}b", "a\u{3000}b",
            "币，",
            "a\u{3164}", "\u{115F}", "\u{1100}\u{1161}", "\u{212A}", "\u{2126}", "\u{F900}", "🙂", "€", "\u{E000}", "\u{FFFD}", "\u{85}a",
            "\u{2028}",
        ]
        for text in hostile { #expect(Symbol(text) == nil, "\(text.debugDescription)") }
    }

    @Test(arguments: [
        ("BTC/USDT", "'BTC/USDT' is not a symbol; did you mean btcusdt?"),
        ("btc-usdt", "'btc-usdt' is not a symbol; did you mean btcusdt?"),
        ("BTC/USDT:USDT", "'BTC/USDT:USDT' is not a symbol; did you mean btcusdt?"),
        ("龙虾/USDT", "'龙虾/USDT' is not a symbol; did you mean 龙虾usdt?"),
        ("a*b", "'a*b' is not a symbol (letters, digits and _, at most 32 bytes)"),
        ("/", "'/' is not a symbol (letters, digits and _, at most 32 bytes)"),
    ])
    func whatWasMeant(text: String, sentence: String) {
        #expect(Symbol.refusal(text) == sentence)
        let error = #expect(throws: FeedError.self) { try FluxDefinition(text.replacing(":", with: "") + ":1m") }
        #expect(error.map { "\($0)".contains("is not a symbol") } == true)
    }

    @Test func namesInURLs() throws {
        #expect(Binance.urlText("btcusdt@kline_1m") == "btcusdt@kline_1m")
        #expect(Binance.urlText("龙虾usdt@kline_1m") == "%E9%BE%99%E8%99%BEusdt@kline_1m")
        #expect(Binance.urlText("é𠀀") == "%C3%A9%F0%A0%80%80")
    }

    @Test func seriesAndMarkets() throws {
        let symbol = try #require(Symbol("ethusdt"))
        #expect(Series(symbol: symbol, interval: .month1).description == "ethusdt:1M")
        #expect(Series(market: .um, symbol: symbol, interval: .m1).description == "um:ethusdt:1m")
        #expect(Binance(.spot).streamName(Series(symbol: symbol, interval: .month1)) == "ethusdt@kline_1M")
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
        #expect(Ascii.printable(Array("a\r\n\u{1B}[31mb\u{7F}é\u{202E}币，\u{301}".utf8)) == "a???[31mb?é?币??")
        #expect(Ascii.printable([0x61, 0xFF, 0xE5, 0xB8, 0x62]) == "a??b")
        // Cut between two characters.
        for limit in 0...7 {
            #expect(Ascii.printable("币安ab".utf8, limit: limit) == ["", "", "", "币", "币", "币", "币安", "币安a"][limit] + "...")
        }
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
