// Places and spans as people type them, entries as people read them, and as JSON there and back.

import FastFeed
import TestKit
import Testing

struct StreamTextTests {
    private static let nowMs: Int64 = 1_795_835_000_000

    @Test func places() {
        func place(_ text: String) -> StreamPlace? { StreamPlace(text, nowMs: StreamTextTests.nowMs) }
        let table: [(String, StreamPlace?)] = [
            ("start", .start), ("end", .end), ("1702301234567-5", .id(StreamID(1_702_301_234_567, 5))), ("0", .instant(0)),
            ("1702301234567", .instant(1_702_301_234_567)), ("10m", .instant(UInt64(StreamTextTests.nowMs) - 600_000)),
            ("2w", .instant(UInt64(StreamTextTests.nowMs) - 1_209_600_000)),
            ("100d", .instant(UInt64(StreamTextTests.nowMs) - 8_640_000_000)),
            ("36500d", .instant(0)), ("1970-01-01", .instant(0)), ("2026-11-28T03:00Z", .instant(1_795_834_800_000)),
            ("2026-11-28T03:00", .instant(1_795_834_800_000)), ("2026-11-28T03:00:05.25Z", .instant(1_795_834_805_250)),
            ("2024-02-29", .instant(1_709_164_800_000)), ("2000-03-01T00:00:00.001Z", .instant(951_868_800_001)),
            ("9999-12-31T23:59:59.999Z", .instant(253_402_300_799_999)),
            ("", nil), ("now", nil), ("-", nil), ("10", .instant(10)), ("10x", nil), ("m", nil), ("1M", nil), ("-5m", nil), ("36526d", nil),
            ("99999999999999999999", nil), ("18446744073709551615", .instant(.max)), ("1-", nil), ("-1-1", nil), ("2023-02-29", nil),
            ("2026-13-01", nil), ("2026-00-01", nil), ("2026-11-31", nil), ("1969-12-31", nil), ("2026-11-28T24:00Z", nil),
            ("2026-11-28T03:60Z", nil), ("2026-11-28T03", nil), ("2026-11-28T03:00:05.2500Z", nil), ("2026-11-28T03:00+01:00", nil),
            ("2026-11-28Z", .instant(1_795_824_000_000)), ("2026-11-28 03:00", nil), ("٣m", nil),
        ]
        for (text, wanted) in table { #expect(place(text) == wanted, "'\(text)'") }
        #expect(place("5")?.from == StreamID(5) && place("5")?.through == .last(in: 5))
        #expect(
            place("5")?.position == .after(.last(in: 4)) && place("0")?.position == .start && place("5-0")?.position == .after(StreamID(5)))
        #expect(StreamSpan.milliseconds("500ms") == 500 && StreamSpan.milliseconds("0s") == 0 && StreamSpan.milliseconds("5") == nil)
        // Every day of 130 years, against the calendar of the intervals.
        var (dayMs, complaints) = (Int64(0), Complaints())
        var monthMs = Int64(0)
        while dayMs < 4_102_444_800_000 {
            if Interval.month1.openTime(containing: dayMs) == dayMs { monthMs = dayMs }
            let months = Interval.month1.barCount(from: 0, until: monthMs)
            let (year, month, day) = (1_970 + months / 12, months % 12 + 1, (dayMs - monthMs) / 86_400_000 + 1)
            func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
            let text = "\(year)-\(two(month))-\(two(day))"
            complaints.check(CivilTime.unixMs(text) == UInt64(dayMs), text)
            dayMs += 86_400_000
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func lines() {
        let fields = StreamFields(bytes: [
            (name: Array("order_id".utf8), value: Array("123".utf8)), (name: Array("a b".utf8), value: []),
            (name: Array("x=y".utf8), value: Array("p=q".utf8)), (name: Array("quote".utf8), value: Array("say \"no\"\\\n\u{1B}[31m".utf8)),
            (name: Array("wide".utf8), value: Array("币安".utf8)), (name: Array("marks".utf8), value: Array("a\u{202E}b".utf8)),
            (name: Array("raw".utf8), value: [0xFF, 0]),
        ])
        let wanted =
            #"order_id=123 "a b"="" "x=y"=p=q quote="say \"no\"\\\n\u001b[31m" wide=币安 marks="a\u202eb" raw={"base64":"/wA="}"#
        #expect(StreamText.line(fields) == wanted, "\(StreamText.line(fields))")
        #expect(StreamText.line([:]) == "")
    }

    @Test func documents() throws {
        let fields = StreamFields(bytes: [
            (name: Array("a".utf8), value: Array("1".utf8)), (name: Array("b".utf8), value: [0xC3]),
            (name: Array("a".utf8), value: Array("2".utf8)),
            (name: [0xFF], value: Array("\u{7}".utf8)),
        ])
        #expect(StreamText.json(fields).text == #"{"a":["1","2"],"b":{"base64":"ww=="},"base64:/w==":"\u0007"}"#)
        let entry = StreamEntry(key: "orders", id: StreamID(5, 1), fields: ["order_id": "123"])
        #expect(StreamText.json(entry).text == #"{"id":"5-1","fields":{"order_id":"123"}}"#)
        func read(_ text: String) -> StreamFields? { try? StreamText.fields(Array(text.utf8)) }
        #expect(read(#"{"a":"x","n":-1.50e3,"t":true,"l":["1",2,{"base64":"AAE="}]}"#)?.count == 6)
        #expect(read(#"{"n":-1.50e3}"#)?["n"] == "-1.50e3" && read(#"{"l":["1",2]}"#) == StreamFields([("l", "1"), ("l", "2")]))
        for wrong in [
            "", "{", "[]", "{}", #"{"a":null}"#, #"{"a":{}}"#, #"{"a":{"base64":"x"}}"#, #"{"a":{"b":"c"}}"#, #"{"a":[[1]]}"#, #"{"a":[]}"#,
            #"{"a":{"base64":"AAE=","b":1}}"#,
        ] {
            #expect(read(wrong) == nil, "\(wrong)")
        }
    }

    @Test(arguments: seeds)
    func thereAndBack(seed: UInt64) {
        var (random, complaints) = (SplitMix64(seed: seed), Complaints())
        for _ in 0..<2_000 {
            let bytes = random.bytes(random.below(20))
            complaints.check(Base64.bytes(Base64.text(bytes)) == bytes, "\(bytes)")
            // Values are any bytes, names any text; a name that comes again follows its first.
            let pairs = (0..<1 + random.below(4)).map { (name: Array("name \($0)\u{1}".utf8), value: random.bytes(random.below(6))) }
            let fields = StreamFields(bytes: pairs)
            let text = StreamText.json(fields).text
            complaints.check((try? StreamText.fields(Array(text.utf8))) == fields, text)
            // One line, and nothing in it that moves the cursor.
            complaints.check(StreamText.line(fields).unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, text)
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
        for wrong in ["A", "AA", "AAA", "AA=A", "A===", "====", "AB==", "AA E", "AAE=\n"] {
            #expect(Base64.bytes(wrong) == nil, "\(wrong)")
        }
        #expect(Base64.bytes("") == [] && Base64.text(Array("foobar".utf8)) == "Zm9vYmFy" && Base64.text([0xFB, 0xFF]) == "+/8=")
    }
}
