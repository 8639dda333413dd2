// REST answers, good and bad, by table; hostile JSON in every place; seeded mutations against the slow way.

import FastFeed
import TestKit
import Testing

struct RestParseTests {
    // MARK: Klines

    @Test func everyFieldOfARow() throws {
        let candle = try #require(parseKlines(KlineRow().text.bracketed).value?.first)
        #expect(ReferenceKlines.texts([candle]) == [KlineRow().values.prefix(11).map { $0.replacing("\"", with: "") }])
        #expect(candle.source == .backfill && candle.isClosed && candle.intervalRawValue == Interval.m1.rawValue)
        #expect(candle.firstTradeID == -1 && candle.lastTradeID == -1, "REST has none")
        #expect(candle.eventTimeMs == 1_790_100_000_000 && candle.seriesID == 0 && candle.generation == 0 && candle.receivedNs == 0)
    }

    @Test func closedByTheClock() {
        let body = KlineRow.body([KlineRow(0), KlineRow(1)])
        let close = 1_790_001_240_000 + 119_999 as Int64
        #expect(parseKlines(body, nowMs: close).value?.map(\.isClosed) == [true, false])
        #expect(parseKlines(body, nowMs: close + 1).value?.map(\.isClosed) == [true, true])
    }

    @Test func shapes() {
        #expect(parseKlines("[]").value?.isEmpty == true)
        #expect(parseKlines(" [ ] \n").value?.isEmpty == true)
        let many = (0..<1_000).map { KlineRow($0) }
        #expect(parseKlines(KlineRow.body(many)).value?.map(\.openTimeMs) == many.map { Int64($0.values[0])! })
        #expect(parseKlines(KlineRow.body(many), limit: 999).isFailure, "more than asked for")
        #expect(parseKlines(KlineRow.body([KlineRow()]).replacing(",", with: " ,\n\t")).value?.count == 1)
        #expect(parseKlines(KlineRow.body([KlineRow().with(11, #"{"any":[1,"x",null]}"#)])).value?.count == 1)
        #expect(
            parseKlines(KlineRow.body([KlineRow().with(0, "1790001240000000").with(6, "1790001299999999")])).value?.first?.closeTimeMs
                == 1_790_001_299_999)
        #expect(
            parseKlines(KlineRow.body([KlineRow(), KlineRow(1).with(6, KlineRow(1).values[0]).with(8, "0"), KlineRow(2)])).value?.count
                == 2, "no length, no trade")
    }

    @Test(arguments: [
        "", " ", "null", "{}", "0", "\"x\"", "[", "]", "[[]]", "[[],[]]", "[1]", "[null]", "[{}]", "[[[]]]", "[[1]]", "[,]", "[]]", "[] []",
        "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", "<html></html>", KlineRow().text, "[" + KlineRow().text, KlineRow().text + "]",
        "[" + KlineRow().text + ",]", "[," + KlineRow().text + "]", "[" + KlineRow().text + KlineRow(1).text + "]",
        KlineRow.body([KlineRow(1), KlineRow(0)]), KlineRow.body([KlineRow(), KlineRow()]),
        "[" + KlineRow().text.dropLast() + ",1]]", KlineRow.body([KlineRow()]).replacing(#","0"]"#, with: "]"),
        "\u{FEFF}[]",
    ])
    func refusedBodies(_ text: String) { #expect(parseKlines(text).isFailure, "\(text)") }

    @Test func refusedValues() {
        var complaints = Complaints()
        let decimals = [
            "1", "1.5", "null", "true", #""""#, #"".""#, #""1.""#, #"".1""#, #""+1""#, #""1e5""#, #""1 ""#, #""0x1""#, #""NaN""#, #""1,5""#,
            #""--1""#, #""1.2.3""#, #""\u0031""#, "[]", "{}", "\"" + String(repeating: "1", count: 32) + "\"", #""١""#,
        ]
        let integers = [
            #""1""#, "null", "1.0", "1e3", "-0.5", "1790001240000000000", "9223372036854775808", "01", "-1", "-1790001240000", "true", "[]",
            "{}", "\"\"", "+1",
        ]
        for column in 0..<11 {
            for bad in [0, 6, 8].contains(column) ? integers : decimals {
                for row in 0..<3 {
                    var rows = (0..<3).map { KlineRow($0) }
                    rows[row] = rows[row].with(column, bad)
                    complaints.check(parseKlines(KlineRow.body(rows)).isFailure, "\(bad) in column \(column) of row \(row)")
                }
            }
        }
        for time in ["253402300800000000", "999999999999999999"] {
            let row = KlineRow().with(0, time).with(6, time)
            complaints.check(parseKlines(KlineRow.body([row])).isFailure, "\(time), beyond the calendar")
        }
        // Longer than the interval, of another one, or ending before it begins.
        for (open, close) in [(0, 60_000), (0, 3_599_999), (60_000, 59_999), (0, 2_678_400_000)] {
            complaints.check(
                parseKlines(KlineRow.body([KlineRow().with(0, "\(open)").with(6, "\(close)")])).isFailure, "\(open)...\(close)")
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func reasonsNameThePlace() {
        let body = KlineRow.body([KlineRow(), KlineRow(1).with(4, "1")])
        #expect(parseKlines(body).reason == .malformed("klines: row 1, value 4: of the wrong type"))
        #expect(parseKlines("[[]]").reason == .malformed("klines: row 0: something that must be there is missing"))
        #expect(parseKlines(body + "]").reason == .malformed("klines: row 1, value 4: not JSON"))
    }

    /// Every case of the corpus in every place, as the slow way has it.
    @Test func corpusInEveryPlace() {
        var complaints = Complaints()
        let cases = JSONCases.accepted.map { Array($0.utf8) } + JSONCases.refused + JSONCases.open
        for value in cases {
            var bodies = [value, Array("[".utf8) + value + Array("]".utf8), Array("[\(KlineRow().text),".utf8) + value + Array("]".utf8)]
            for column in 0..<12 {
                let parts = KlineRow.body([KlineRow(), KlineRow(1).with(column, "@@"), KlineRow(2)]).split(separator: "@@")
                bodies.append(Array(parts[0].utf8) + value + Array(parts[1].utf8))
            }
            for body in bodies {
                let verdict = parseKlines(body).value.map(ReferenceKlines.texts)
                complaints.check(verdict == ReferenceKlines.read(body), "\(String(decoding: body.prefix(300), as: UTF8.self))")
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func everyTruncation() {
        let bytes = Array(KlineRow.body([KlineRow(), KlineRow(1)]).utf8)
        var complaints = Complaints()
        for count in 0..<bytes.count {
            for padding in [Array(bytes[count...].prefix(64)), [0], [UInt8(ascii: "]")], [UInt8(ascii: "\""), UInt8(ascii: "]")]] {
                complaints.check(parseKlines(Array(bytes[..<count]), padding: padding).isFailure, "\(count) bytes")
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test(arguments: seeds) func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        var accepted = 0
        for _ in 0..<2_000 {
            let bytes = RestMutation.mutate(Array(KlineRow.body((0..<Int64(1 + random.below(3))).map { KlineRow($0) }).utf8), &random)
            let verdict = parseKlines(bytes, padding: random.bytes(64)).value.map(ReferenceKlines.texts)
            accepted += verdict == nil ? 0 : 1
            complaints.check(verdict == ReferenceKlines.read(bytes), String(decoding: bytes, as: UTF8.self))
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
        #expect(accepted > 50 && accepted < 1_900, "seed \(seed): \(accepted) of 2000 accepted")
    }

    // MARK: Refusals

    @Test func refusalBodies() {
        func read(_ text: String) -> (code: Int64, message: String) { withPadded(Array(text.utf8)) { Binance(.spot).refusal($0) } }
        #expect(read(#"{"code":-1121,"msg":"Invalid symbol."}"#) == (-1121, "Invalid symbol."))
        for text in ["", "<html>", "[]", "{}", #"{"code":"x","msg":1}"#, #"{"code":1}"#] { #expect(read(text) == (0, text)) }
        let page = "<html>\r\n\t<h1>403\u{1B}</h1>" + String(repeating: "x", count: 2_000)
        #expect(read(page) == (0, "<html> <h1>403?</h1>" + String(repeating: "x", count: 180) + "..."))
        let ban = "Way too much request weight used; IP banned until 1790001300000. Please use WebSocket Streams."
        #expect(Binance(.spot).banEnd(in: ban) == 1_790_001_300_000)
        for text in ["", "until ", "until 12", "until 17900013000001", "until x", "wait until next year"] {
            #expect(Binance(.spot).banEnd(in: text) == nil, "\(text)")
        }
    }
}

extension String {
    fileprivate var bracketed: String { "[" + self + "]" }
}
