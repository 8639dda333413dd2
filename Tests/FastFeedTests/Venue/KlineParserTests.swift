// Every shape of a kline event (web-socket-streams.md, "Kline/Candlestick"), and every field missing, doubled, of the
// wrong type or out of its range.

import FastFeed
import Testing

struct KlineParserTests {
    private let bench = ParserBench()

    private func parse(_ text: KlineText) -> Parsed { bench.parse(text.text) }

    /// The frame as sent, raw and in the envelope, must be refused for this reason.
    private func expect(_ reason: CounterID, _ text: KlineText, _ note: String, location: SourceLocation = #_sourceLocation) {
        for frame in [text, text.combined()] {
            #expect(parse(frame) == .rejected(reason), "\(note), combined: \(frame.isCombined)", sourceLocation: location)
        }
    }

    @Test func rawAndCombined() {
        #expect(parse(KlineText()) == .kline(KlineText.expected))
        #expect(parse(KlineText().combined()) == .kline(KlineText.expected))
        for space in [" ", "\n", "\r\n", "\t", " \t\r\n      "] {
            var text = KlineText()
            text.space = space
            #expect(parse(text) == .kline(KlineText.expected), "\(space.debugDescription)")
            #expect(parse(text.combined()) == .kline(KlineText.expected), "\(space.debugDescription)")
        }
    }

    /// What the exchange writes is read by comparing it with its layout; the general parser is for the rest.
    @Test func theExchangesLayoutIsNotTakenApart() {
        let id = ["7", "-1", "12345678", "123456789", "123456789012345"]
        let prices = ["0.00001234", "70010.10000000", "1", "999999999999999999.123456789012"]
        var texts: [KlineText] = []
        for number in id { texts.append(KlineText().with("f", number).with("L", number)) }
        for price in prices { texts.append(KlineText().with("o", "\"\(price)\"").with("l", "\"\(price)\"").with("v", "\"\(price)\"")) }
        for interval in ["1s", "15m", "1M"] { texts.append(KlineText().with("i", "\"\(interval)\"")) }
        texts += [KlineText().with("x", "true"), KlineText().with("B", "\"123456\""), KlineText().with("B", "\"\"")]
        texts.append(KlineText().with("s", "\"1000000MOGUSDT\"").withEvent("s", "\"1000000MOGUSDT\""))
        // A bar that opened on another day than the event.
        texts.append(KlineText().with("t", "1788220800000").with("i", "\"1M\""))
        texts += texts.map { $0.combined() }
        // One market after the other, and then the two in turns.
        let spaced = texts.map { $0.spaced() }
        for text in texts + spaced + zip(texts, spaced).flatMap({ [$0, $1] }) {
            let before = bench.walkedCount
            #expect(parse(text).kline != nil, "\(text.text)")
            // The bench asks for the other way itself, once a width.
            #expect(bench.walkedCount == before + 2, "\(text.text)")
        }
    }

    /// Frames that several people have recorded between 2023 and 2026, their values changed.
    @Test(arguments: [
        """
        {"e":"kline","E":1790000100004,"s":"BTCUSDT","k":{"t":1790000040000,"T":1790000099999,"s":"BTCUSDT","i":"1m",\
        "f":5067431062,"L":5067432892,"o":"108521.04000000","c":"108473.03000000","h":"108521.04000000","l":"108473.02000000",\
        "v":"5.21006000","n":1831,"x":true,"q":"565334.99194810","V":"3.03940000","Q":"329823.87289940","B":"0"}}
        """,
        """
        {"stream":"pepeusdt@kline_1s","data":{"e":"kline","E":1790000101002,"s":"PEPEUSDT","k":{"t":1790000100000,\
        "T":1790000100999,"s":"PEPEUSDT","i":"1s","f":-1,"L":-1,"o":"0.00000719","c":"0.00000719","h":"0.00000719",\
        "l":"0.00000719","v":"0.00","n":0,"x":true,"q":"0.00000000","V":"0.00","Q":"0.00000000","B":"0"}}}
        """,
        """
        {"e":"kline","E":1790000100333,"s":"BTCUSDT","k":{"t":1790000040000, "T":1790000099999, "s":"BTCUSDT", "i":"1m", \
        "f":521512559, "L":521512793, "o":"64346.70", "c":"64346.70", "h":"64346.70", "l":"64336.00", "v":"24.8783", "n":235, \
        "x":true, "q":"1600832.457590", "V":"24.4997", "Q":"1576474.845990", "B":"0"}}
        """,
        """
        {"stream":"solusdt@kline_15m","data":{"e":"kline","E":1790000100251,"s":"SOLUSDT","k":{"t":1790000100000, \
        "T":1790000999999, "s":"SOLUSDT", "i":"15m", "f":2041513201, "L":2041513229, "o":"188.4400", "c":"188.4100", \
        "h":"188.4500", "l":"188.4100", "v":"312", "n":29, "x":false, "q":"58789.2700", "V":"71", "Q":"13379.1800", "B":"0"}}}
        """,
    ])
    func recordedFramesHaveALayoutThatIsKnown(_ frame: String) {
        let kline = bench.parse(frame).kline
        #expect(kline?.decimals.count == 8 && kline?.decimals.allSatisfy { frame.contains("\"\($0)\"") } == true)
        #expect(bench.walkedCount == 2, "the bench asks for the other way itself, once a width")
    }

    /// A bar in the exchange's order up to any of its members: a stranger in between, two that have changed places, one too many.
    @Test func whereverTheOrderEnds() {
        for place in KlineText().bar.indices {
            for (space, isCombined) in [("", false), ("", true), (" ", true)] {
                var stranger = KlineText()
                (stranger.space, stranger.isCombined) = (space, isCombined)
                var swapped = stranger
                var repeated = stranger
                stranger.bar.insert(("Z", "[\"t\", {\"o\": 1}]"), at: place)
                #expect(parse(stranger) == .kline(KlineText.expected), "\(stranger.text)")
                swapped.bar.swapAt(place, max(place - 1, 0))
                #expect(parse(swapped) == .kline(KlineText.expected), "\(swapped.text)")
                guard repeated.bar[place].key != "B" else { continue }
                repeated.bar.insert(repeated.bar[place], at: place)
                #expect(parse(repeated) == .rejected(.rejectedRepeated), "\(repeated.text)")
            }
        }
    }

    /// One byte that is not the layout's, at every place: still read rightly, or refused rightly (the bench compares).
    @Test func everyByteChanged() {
        let texts = [KlineText(), KlineText().combined(), KlineText().with("f", "-1").with("x", "true").combined()]
        for text in texts + texts.map({ $0.spaced() }) {
            let bytes = text.bytes
            for place in bytes.indices {
                for byte in [0x00, 0x20, 0x22, 0x2C, 0x2D, 0x2E, 0x2F, 0x30, 0x39, 0x3A, 0x3F, 0x5C, 0x7D, 0x7F, 0x80, 0xB0, 0xFF]
                    as [UInt8]
                {
                    var changed = bytes
                    changed[place] = byte
                    _ = bench.parse(changed)
                    changed.insert(byte, at: place)
                    _ = bench.parse(changed)
                    var longer = bytes
                    longer.insert(byte, at: place)
                    _ = bench.parse(longer)
                }
            }
        }
    }

    @Test func envelopeEitherWayRound() {
        let bare = KlineText().text
        #expect(bench.parse("{\"data\":\(bare),\"stream\":\"btcusdt@kline_1m\"}") == .kline(KlineText.expected))
        #expect(bench.parse("{\"stream\":\"\\u0062\",\"data\":\(bare),\"more\":[{}]}") == .kline(KlineText.expected))
        #expect(bench.parse("{\"data\":\(bare),\"data\":\(bare)}") == .rejected(.rejectedRepeated))
        #expect(bench.parse("{\"stream\":\"a\",\"stream\":\"a\",\"data\":\(bare)}") == .rejected(.rejectedRepeated))
        // Only one envelope: a kline two levels down is none of ours.
        #expect(bench.parse("{\"data\":{\"data\":\(bare)}}") == .notice)
    }

    @Test func emptyClosedBar() throws {
        var text = KlineText().with("f", "-1").with("L", "-1").with("n", "0").with("x", "true")
        for key in ["v", "q", "V", "Q"] { text = text.with(key, "\"0.00000000\"") }
        let kline = try #require(parse(text).kline)
        #expect(kline.first == -1 && kline.last == -1 && kline.count == 0 && kline.isClosed)
        #expect(kline.decimals[4...] == ["0.00000000", "0.00000000", "0.00000000", "0.00000000"])
    }

    /// Futures: one and three digits, trade count below the id range, `ps` and other members that spot has not.
    @Test func futuresShape() throws {
        var text = KlineText().with("o", "\"70010.1\"").with("v", "\"3.210\"").with("n", "113")
        text.event.insert(("ps", "\"BTCUSDT\""), at: 2)
        let kline = try #require(parse(text).kline)
        #expect(kline.decimals[0] == "70010.1" && kline.decimals[4] == "3.210" && kline.count == 113)
    }

    @Test func ignoredMemberMayBeAbsent() {
        var text = KlineText()
        text.bar.removeLast()
        #expect(parse(text) == .kline(KlineText.expected))
        text.event.removeAll { $0.key == "s" }
        #expect(parse(text) == .kline(KlineText.expected))
    }

    @Test func microsecondsBecomeMilliseconds() {
        let text = KlineText().with("t", "1790001240000000").with("T", "1790001299999999").withEvent("E", "1790001241004567")
        #expect(parse(text) == .kline(KlineText.expected))
    }

    /// Bytes of zero are digits to nobody, whatever was kept of a time before.
    @Test func timesWithBytesOfZero() {
        let zeros = "\0\0\0\0\0"
        let open = KlineText().with("t", zeros + "12345678")
        for text in [open, open.with("T", zeros + "12345999"), open.with("T", zeros + "12345999").withEvent("E", "12346000")] {
            for space in ["", " "] {
                var spaced = text
                spaced.space = space
                #expect(parse(spaced) == .rejected(.rejectedMalformed))
                #expect(parse(spaced.combined()) == .rejected(.rejectedMalformed))
            }
        }
    }

    @Test(arguments: Interval.allCases) func everyInterval(_ interval: Interval) {
        #expect(parse(KlineText().with("i", "\"\(interval.token)\"")).kline?.interval == interval.rawValue)
    }

    @Test func wrongIntervals() {
        for token in ["", "1S", "2m", "1", "m", "1mm", "1m ", "15M", "1\\u006d", "1m\\u0000", "60m"] {
            expect(.rejectedInterval, KlineText().with("i", "\"\(token)\""), token)
        }
    }

    @Test func missingFields() {
        for key in KlineText.barFields {
            var text = KlineText()
            text.bar.removeAll { $0.key == key }
            expect(.rejectedMissing, text, key)
        }
        for key in ["E", "k"] {
            var text = KlineText()
            text.event.removeAll { $0.key == key }
            expect(.rejectedMissing, text, key)
        }
        var text = KlineText()
        text.event.removeFirst()
        #expect(parse(text) == .notice)
        text = KlineText()
        text.bar = []
        expect(.rejectedMissing, text, "empty bar")
    }

    /// A second sighting is refused even where both say the same, wherever it stands; what is under an unknown key is no sighting.
    @Test func repeatedFields() {
        for (index, member) in KlineText().bar.enumerated() where member.key != "B" {
            for place in [0, index, KlineText().bar.count] {
                var text = KlineText()
                text.bar.insert(member, at: place)
                expect(.rejectedRepeated, text, "\(member.key) at \(place)")
            }
        }
        for (index, member) in KlineText().event.enumerated() {
            var text = KlineText()
            text.event.insert(member, at: index)
            expect(.rejectedRepeated, text, member.key)
        }
        var text = KlineText()
        text.bar.insert(("z", "{\"o\":1,\"o\":2,\"t\":[]}"), at: 0)
        #expect(parse(text) == .kline(KlineText.expected))
    }

    @Test func wrongTypes() {
        let strings = KlineText.decimalFields + ["s", "i"]
        for key in KlineText.barFields {
            for value in ["null", "{}", "[]", "[1]", "{\"a\":{}}", "true", "1", "1.5", "\"1\""] {
                if strings.contains(key) && value.hasPrefix("\"") { continue }
                if KlineText.integerFields.contains(key) && (value == "1" || value == "1.5") { continue }
                if key == "x" && value == "true" { continue }
                expect(.rejectedType, KlineText().with(key, value), "\(key) \(value)")
            }
        }
        for value in ["null", "{}", "[]", "true", "\"1\""] { expect(.rejectedType, KlineText().withEvent("E", value), "E \(value)") }
        for value in ["null", "[]", "true", "\"1\"", "1"] { expect(.rejectedType, KlineText().withEvent("k", value), "k \(value)") }
        for value in ["null", "[]", "true", "1", "{}"] { expect(.rejectedType, KlineText().withEvent("s", value), "s \(value)") }
        for value in ["null", "[]", "true", "1", "{}", "\"trade\"", "\"Kline\"", "\"kline \"", "\"\\u006bline\""] {
            #expect(parse(KlineText().withEvent("e", value)) == .notice, "e \(value)")
        }
    }

    @Test func decimals() {
        let good = [
            "0", "-0", "0.0", "007", "-0.1", "00.10", "123456789012345678901234567890", "1234567890123456789012345678901",
            "12345678901234567890.1234567890", "-1234567890123456789.1234567890",
        ]
        let bad = [
            "", "1e5", "1E5", "+1", ".5", "1.", "0x1", "NaN", "Infinity", "-", "-.5", "--1", "1.2.3", "1,5", " 1", "1 ", "1\\u0030", "\\n",
            "é", "١",
        ]
        for key in KlineText.decimalFields {
            for text in good {
                guard let kline = parse(KlineText().with(key, "\"\(text)\"")).kline else {
                    Issue.record("\(key) \(text) refused")
                    continue
                }
                #expect(kline.decimals.contains(text))
            }
            for text in bad { expect(.rejectedNumber, KlineText().with(key, "\"\(text)\""), "\(key) \(text)") }
            for count in [32, 33, 100, 10_000] {
                expect(.rejectedLong, KlineText().with(key, "\"" + String(repeating: "1", count: count) + "\""), "\(key) \(count)")
            }
        }
    }

    /// A short decimal after a long one in the same record: no digit of the long one may stay behind.
    @Test func recordKeepsNothingOfTheMessageBefore() {
        let long = KlineText().with("o", "\"1234567890123456789012345678901\"")
        #expect(parse(long).kline?.decimals[0].count == 31)
        #expect(parse(KlineText().with("o", "\"7\"")).kline?.decimals[0] == "7")
        #expect(parse(KlineText().with("x", "true")).kline?.isClosed == true)
        #expect(parse(KlineText()).kline?.isClosed == false)
        let parser = KlineParser()
        let records = MappedArray<CandleRecord>(zeroed: 2)
        func fill(_ index: Int, _ text: KlineText) {
            var symbol = PaddedBytes.none
            _ = withPadded(text.bytes) { parser.parse($0, into: records.row(index), symbol: &symbol) }
        }
        fill(0, long)
        fill(0, KlineText().with("o", "\"7\""))
        fill(1, KlineText().with("o", "\"7\""))
        #expect(withUnsafeBytes(of: records[0].open) { Array($0) } == withUnsafeBytes(of: records[1].open) { Array($0) })
    }

    @Test func integers() {
        for key in ["f", "L"] {
            for (text, value) in [
                ("0", 0), ("-0", 0), ("-1", -1), ("999999999999999999", 999_999_999_999_999_999),
                ("-999999999999999999", -999_999_999_999_999_999),
            ] {
                let kline = parse(KlineText().with(key, text)).kline
                #expect((key == "f" ? kline?.first : kline?.last) == Int64(value), "\(key) \(text)")
            }
        }
        for key in KlineText.integerFields {
            for text in [
                "1.0", "1e5", "1E0", "0.5", "9223372036854775807", "9223372036854775808", "1000000000000000000", "18446744073709551616",
                "-9223372036854775809", "1" + String(repeating: "0", count: 400),
            ] {
                expect(.rejectedNumber, KlineText().with(key, text), "\(key) \(text)")
            }
            for text in ["01", "-01", "--1", "+1", "-", "1.", "1e", "0x1", "1a", "1_0", "1\u{660}"] {
                expect(.rejectedMalformed, KlineText().with(key, text), "\(key) \(text)")
            }
        }
        for (key, value) in [("t", "-1"), ("n", "-1")] { expect(.rejectedNumber, KlineText().with(key, value), key) }
        expect(.rejectedNumber, KlineText().withEvent("E", "-1"), "E")
    }

    @Test func contradictions() {
        expect(.rejectedContradiction, KlineText().with("s", "\"ETHUSDT\""), "two symbols")
        expect(.rejectedContradiction, KlineText().with("s", "\"BTCUSDTX\""), "prefix")
        expect(.rejectedContradiction, KlineText().with("s", "\"btcusdt\""), "case")
        expect(.rejectedContradiction, KlineText().with("T", "1790001239999"), "close before open")
        expect(.rejectedContradiction, KlineText().withEvent("E", "1790001238999"), "opened 1001 ms after the event")
        #expect(parse(KlineText().withEvent("E", "1790001239000")).kline != nil, "a second is forgiven")
        #expect(parse(KlineText().with("T", "1792679639999")).kline != nil, "the longest month")
        expect(.rejectedContradiction, KlineText().with("T", "1792679640000"), "a millisecond longer")
        expect(.rejectedContradiction, KlineText().with("t", "999999999999999999").with("T", "999999999999999999"), "year 33658")
    }

    @Test func symbols() {
        for name in ["A", "BTCUSDT_251226", String(repeating: "S", count: 32), "币安人生USDT", "龙虾USDT", "龙"] {
            #expect(parse(KlineText().with("s", "\"\(name)\"").withEvent("s", "\"\(name)\"")).kline?.symbol == name, "\(name)")
        }
        // Escapes are taken out, in the bar and in the event; what is no name stays as it is written.
        let escaped = [
            ("\\u0041", "A"), ("\\u9f99\\u867EUSDT", "龙虾USDT"), ("\\uD840\\udc00", "𠀀"), ("\\u00e9\\/\\\\\\\"", "é/\\\""),
            ("A\\u0000", "A\\u0000"),
            ("A\\n", "A\\n"), ("\\ud840", "\\ud840"), ("\\ud840\\u0041", "\\ud840\\u0041"), ("\\udc00A", "\\udc00A"),
        ]
        for (written, name) in escaped {
            let text = KlineText().with("s", "\"\(written)\"")
            #expect(parse(text.withEvent("s", "\"\(written)\"")).kline?.symbol == name, "\(written)")
            if !name.contains("\\") { #expect(parse(text.withEvent("s", "\"\(name)\"")).kline?.symbol == name, "\(written) and \(name)") }
        }
        let long = String(repeating: "\\u5e01", count: 42)
        #expect(parse(KlineText().with("s", "\"\(long)\"").withEvent("s", "\"\(long)\"")).kline?.symbol.count == 42)
        for name in ["", String(repeating: "S", count: 256)] {
            expect(.rejectedLong, KlineText().with("s", "\"\(name)\"").withEvent("s", "\"\(name)\""), "\(name.count)")
        }
        expect(.rejectedMalformed, KlineText().with("s", "\"\\x\""), "broken escape")
    }

    /// Members nobody knows, of every type, before, between and after, must not disturb; nor may keys that only begin like ours.
    @Test func unknownMembers() {
        let values = [
            "null", "true", "false", "0", "-1.5e+10", "\"\"", "\"\\\"}{][,:\\\\\"", "\"\\ud83d\\ude00\"", "[]", "{}", "[[],{},[1,[2]]]",
            "{\"k\":{\"t\":1},\"e\":\"trade\",\"x\":[true,{\"o\":\"1\"}]}", "\"" + String(repeating: "x", count: 3_000) + "\"",
        ]
        for value in values {
            for key in ["z", "", "oo", "tT", "O", "\\u006f", "data", "stream", "kk", "E2"] {
                for place in 0...KlineText().bar.count {
                    var text = KlineText()
                    text.bar.insert((key, value), at: place)
                    #expect(parse(text) == .kline(KlineText.expected), "bar \(key):\(value.prefix(40)) at \(place)")
                }
                for place in 0...KlineText().event.count where key != "data" && key != "stream" {
                    var text = KlineText()
                    text.event.insert((key, value), at: place)
                    #expect(parse(text) == .kline(KlineText.expected), "event \(key):\(value.prefix(40)) at \(place)")
                }
            }
        }
    }

    @Test func depth() {
        for (levels, isFine) in [(62, true), (63, false), (64, false), (1_000, false), (60_000, false)] {
            var text = KlineText()
            text.bar.append(("z", String(repeating: "[", count: min(levels, 30_000)) + String(repeating: "]", count: min(levels, 30_000))))
            #expect(parse(text) == (isFine ? .kline(KlineText.expected) : .rejected(.rejectedMalformed)), "\(levels)")
        }
        #expect(bench.parse(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)) == .notice)
        #expect(bench.parse(String(repeating: "[", count: 65) + String(repeating: "]", count: 65)) == .rejected(.rejectedMalformed))
        #expect(bench.parse(String(repeating: "{\"a\":", count: 64) + "1" + String(repeating: "}", count: 64)) == .notice)
        #expect(
            bench.parse(String(repeating: "{\"a\":", count: 65) + "1" + String(repeating: "}", count: 65)) == .rejected(.rejectedMalformed))
        #expect(bench.parse(String(repeating: "[", count: 60_000)) == .rejected(.rejectedMalformed))
    }

    @Test func size() {
        #expect(bench.parse("") == .rejected(.rejectedMalformed))
        #expect(bench.parse(" ") == .rejected(.rejectedMalformed))
        var text = KlineText()
        text.event.append(("z", "\"" + String(repeating: "x", count: Limits.venueMessageBytesMax - text.text.utf8.count - 7) + "\""))
        #expect(text.bytes.count == Limits.venueMessageBytesMax)
        #expect(parse(text) == .kline(KlineText.expected))
        #expect(bench.parse(text.text + " ") == .rejected(.rejectedMalformed))
    }

    @Test func otherEvents() {
        for text in [
            "{\"result\":null,\"id\":7}", "[]", "1", "\"kline\"", "null", "{}", "{\"e\":\"trade\",\"k\":1}", "{\"k\":{},\"data\":[]}",
            "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1790001234567}}",
        ] { #expect(bench.parse(text) == .notice, "\(text)") }
    }

    @Test func kernelIsChosen() { #expect(!KlineParser.kernel.isEmpty && KlineParser.kernel != "unsupported") }
}
