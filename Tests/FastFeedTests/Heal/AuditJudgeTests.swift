// What an audit finds in a stored history: a table of single changes, and entries that are nobody's candles.

import FastFeed
import Testing

struct AuditJudgeTests {
    private static let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    /// As the exchange's history tells it.
    private static func said(_ number: Int64) -> CandleRecord {
        var candle = CandleRecord.sample(number, closed: true)
        (candle.source, candle.firstTradeID, candle.lastTradeID) = (.backfill, -1, -1)
        return candle
    }

    private static func stored(_ number: Int64, id: String? = nil, _ changes: [String: String?] = [:]) -> StoredEntry {
        let fields = CandleField.texts(.sample(number, closed: true)).compactMap { name, text in
            changes[name].map { changed in changed.map { (name, $0) } } ?? (name, text)
        }
        return StoredEntry(id: id ?? HistoryEntry.id(openTimeMs: number * 60_000), fields: fields)
    }

    /// Minutes 1 to 10 at the exchange.
    private func judged(_ stored: [StoredEntry], _ exchange: [CandleRecord] = (1...10).map(said), nowMs: Int64? = nil) -> [String] {
        let found = AuditJudge.compare(
            stored: stored, exchange: exchange, AuditJudgeTests.btc, fromMs: 60_000, untilMs: 11 * 60_000, nowMs: nowMs)
        for (id, finding, candle) in found {
            #expect((candle.map { HistoryEntry.id(openTimeMs: $0.openTimeMs) } == id) == (finding != .foreign))
            #expect((candle == nil) == (finding == .foreign))
        }
        return found.map { "\($0.finding) \($0.entryID)" }
    }

    @Test(
        "One entry of ten changed",
        arguments: [
            ([:], []),
            (["source": "backfill", "revision": "3"], []),
            (["source": "elsewhere"], []),
            (["first_trade_id": "-1", "last_trade_id": "-1"], []),
            // The exchange's history does not tell them.
            (["first_trade_id": "7"], []),
            (["first_trade_id": "x"], ["different 300000-0"]),
            (["close": "5.4"], ["different 300000-0"]),
            (["close": "5.40000001"], ["different 300000-0"]),
            (["close": ""], ["different 300000-0"]),
            (["volume": nil], ["different 300000-0"]),
            (["count": "5.0"], ["different 300000-0"]),
            (["close_time": "0"], ["different 300000-0"]),
            (["revision": nil], ["different 300000-0"]),
        ] as [([String: String?], [String])])
    func changed(_ changes: [String: String?], _ expected: [String]) {
        #expect(judged((1...10).map { AuditJudgeTests.stored($0, $0 == 5 ? changes : [:]) }) == expected)
    }

    @Test("Trade ids count where both sides have them")
    func tradeIDs() {
        let stream = (1...10).map { CandleRecord.sample($0, closed: true) }
        #expect(judged((1...10).map { AuditJudgeTests.stored($0) }, stream) == [])
        #expect(
            judged((1...10).map { AuditJudgeTests.stored($0, $0 == 2 ? ["last_trade_id": "7"] : [:]) }, stream) == ["different 120000-0"])
        #expect(judged((1...10).map { AuditJudgeTests.stored($0, $0 == 2 ? ["last_trade_id": "-1"] : [:]) }, stream) == [])
    }

    @Test("Another set of fields is another value; their order is not")
    func fieldSets() {
        var all = (1...10).map { AuditJudgeTests.stored($0) }
        all[1] = StoredEntry(id: all[1].id, fields: all[1].fields.reversed())
        all[2] = StoredEntry(id: all[2].id, fields: all[2].fields + [("note", "x")])
        all[3] = StoredEntry(id: all[3].id, fields: all[3].fields.dropLast() + [("close", "4.40000000")])
        all[4] = StoredEntry(id: all[4].id, fields: [])
        #expect(judged(all) == ["different 180000-0", "different 240000-0", "different 300000-0"])
    }

    @Test("Missing ones, in order, within the bounds")
    func missing() {
        #expect(judged([2, 4, 5, 6, 7, 8, 9].map { AuditJudgeTests.stored($0) }) == [1, 3, 10].map { "missing \($0 * 60_000)-0" })
        #expect(judged([], []) == [])
        // What is not closed, and what is not asked about.
        var forming = AuditJudgeTests.said(3)
        forming.isClosed = false
        #expect(judged([], [AuditJudgeTests.said(0), forming, AuditJudgeTests.said(11)]) == [])
    }

    @Test("Foreign is what cannot have come; a candle that came live is never deleted")
    func foreign() {
        let exchange = (1...10).filter { $0 != 4 }.map { AuditJudgeTests.said(Int64($0)) }
        let now: Int64 = 12 * 60_000 + 5
        func found(_ entry: StoredEntry, nowMs: Int64? = now) -> [String] {
            judged((1...10).filter { $0 != 4 }.map { AuditJudgeTests.stored($0) } + [entry], exchange, nowMs: nowMs)
        }
        #expect(found(AuditJudgeTests.stored(4)) == [], "the exchange lacks it, and it may have come")
        #expect(found(AuditJudgeTests.stored(4, ["close": "x"])) == ["foreign 240000-0"])
        #expect(found(AuditJudgeTests.stored(4, ["close": nil])) == ["foreign 240000-0"])
        #expect(found(AuditJudgeTests.stored(4, id: "240001-0")) == ["foreign 240001-0"])
        #expect(found(AuditJudgeTests.stored(5, id: "300000-1")) == ["foreign 300000-1"])
        #expect(found(AuditJudgeTests.stored(11)) == [], "closed since the exchange was asked")
        #expect(found(AuditJudgeTests.stored(11, ["close": "x"])) == [], "not asked about")
        #expect(found(AuditJudgeTests.stored(20)) == ["foreign 1200000-0"])
        #expect(found(AuditJudgeTests.stored(20), nowMs: nil) == [], "nobody knows")
        #expect(found(AuditJudgeTests.stored(0, ["close": "x"])) == [], "not asked about")
        #expect(found(StoredEntry(id: "18446744073709551615-0", fields: [])) == ["foreign 18446744073709551615-0"])
        #expect(found(StoredEntry(id: "18446744073709551615-18446744073709551615", fields: [])).count == 1)
        for id in ["", "-", "x-0", "240000", "1-2-3", "\u{0}"] { #expect(found(StoredEntry(id: id, fields: [])) == [], "\(id)") }
        // The phase of a three-day bar is not known: any day will do.
        let days = Series(symbol: AuditJudgeTests.btc.symbol, interval: .d3)
        for (open, count) in [(86_400_000, 0), (86_400_001, 1)] {
            let entry = AuditJudgeTests.stored(4, id: "\(open)-0")
            let found = AuditJudge.compare(stored: [entry], exchange: [], days, fromMs: 0, untilMs: 1 << 40)
            #expect(found.count == count, "\(open)")
        }
    }

    @Test("Replies with anything in them become entries of bounded size, or none")
    func parsed() {
        func bytes(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }
        let texts = CandleField.texts(AuditJudgeTests.said(1)).flatMap { [bytes($0.0), bytes($0.1)] }
        let huge = RedisReply.bytes([UInt8](repeating: 0xFF, count: 100_000))
        let reply = RedisReply.array([
            .array([bytes("60000-0"), .array(texts)]),
            .array([bytes("60000-1"), .array(texts.dropLast() + [huge])]),
            .array([bytes("60000-2"), .array([RedisReply](repeating: bytes("a"), count: 1_000))]),
            .array([bytes("60000-3"), .array([.tooLong(5), .null, .integer(3)])]),
            .array([bytes("60000-4"), .null]), .array([.null, .array(texts)]), .array([]), .null, .integer(5),
        ])
        let entries = StoredEntry.entries(reply)
        #expect(entries.map(\.id) == (0...4).map { "60000-\($0)" })
        #expect(entries.map(\.fields.count) == [14, 0, 0, 0, 0])
        #expect(StoredEntry.entries(.error("x")).isEmpty && StoredEntry.entries(.null).isEmpty)
    }
}
