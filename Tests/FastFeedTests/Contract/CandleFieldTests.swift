// The table of a candle's fields: against texts written out by hand, and against the renderers of the data path, which do not use it.

import FastFeed
import Testing

struct CandleFieldTests {
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let closed = CandleRecord.sample(2, closed: true)

    private static let json = """
        {"symbol":"btcusdt","interval":"1m","open_time":120000,"open":"2.10000000","high":"2.20000000","low":"2.30000000",\
        "close":"2.40000000","volume":"2.50000000","close_time":179999,"quote_volume":"2.60000000","count":5,\
        "taker_buy_volume":"2.70000000","taker_buy_quote_volume":"2.80000000","first_trade_id":20,"last_trade_id":24,\
        "source":"live","revision":0,"closed":true,"event_time":120007}
        """

    @Test("The table is the documented object, field by field")
    func tableIsTheContract() { #expect(CandleRow.json(closed, btc).text == CandleFieldTests.json) }

    @Test("What the data path renders by hand is the table", arguments: [CandleSource.live, .backfill, .built])
    func renderedByHand(source: CandleSource) throws {
        var rig = BuilderRig(history: 77)
        rig.follow(btc, 0)
        var (first, second) = (closed, CandleRecord.sample(3))
        (first.source, second.source) = (source, source)
        second.firstTradeID = -1
        // The healer's candles make no series known.
        if source == .backfill { rig.accept(.sample(2)) }
        rig.accept(first)
        rig.accept(second)
        let built = rig.build()
        let commands = try #require(built)
        #expect(Array(commands[0].dropFirst(5)) == [HistoryEntry.id(openTimeMs: 120_000)] + RESPText.fields(first))
        #expect(commands[1].last == CandleRow.json(second, btc).text)
        let update = try FluxUpdate(Array(commands[2][2].utf8))
        #expect(update.symbol == btc.symbol && update.interval == .m1 && (update.rows, update.updates) == (2, source == .backfill ? 3 : 2))
        #expect(update.candles == [try Candle(CandleRow.json(first, btc)), try Candle(CandleRow.json(second, btc))])
    }

    @Test("The merge script has the table's names in order, source and revision last, and looks for those it treats apart")
    func script() {
        let names = CandleField.allCases.map { "'\($0.rawValue)'" }
        #expect(MergeScript.source.contains("local names = {\(names.joined(separator: ","))}\n"))
        #expect(CandleField.allCases.count == 14 && CandleField.allCases.suffix(2) == [.source, .revision])
        for field in [CandleField.source, .revision, .firstTradeID, .lastTradeID] {
            #expect(
                MergeScript.source.contains("name == '\(field.rawValue)'") || MergeScript.source.contains("name ~= '\(field.rawValue)'"))
        }
    }

    @Test("A candle reads what is written")
    func read() throws {
        let candle = try Candle(CandleRow.json(closed, btc))
        #expect((candle.openTime, candle.closeTime, candle.eventTime) == (120_000, 179_999, 120_007))
        #expect([candle.open, candle.high, candle.low, candle.close] == [closed.open, closed.high, closed.low, closed.close])
        #expect((candle.volume, candle.quoteVolume) == (closed.volume, closed.quoteVolume))
        #expect((candle.takerBuyVolume, candle.takerBuyQuoteVolume) == (closed.takerBuyVolume, closed.takerBuyQuoteVolume))
        #expect((candle.count, candle.firstTradeID, candle.lastTradeID) == (5, 20, 24))
        #expect(candle.isClosed && candle.source == .live && candle.revision == 0)
    }

    @Test("A history entry becomes the same object, its close time standing for the event's")
    func history() throws {
        let entry = try #require(HistoryEntry(id: "120000-0", CandleField.texts(closed)))
        #expect(entry.json(btc)?.text == CandleFieldTests.json.replacing("\"event_time\":120007", with: "\"event_time\":179999"))
        #expect(entry[.volume] == "2.50000000")
        for field in CandleField.allCases {
            let short = try #require(HistoryEntry(id: "120000-0", CandleField.texts(closed).filter { $0.0 != field.rawValue }))
            #expect(throws: Malformed.self) { try short.json(btc).map { try Candle($0) } ?? { throw Malformed("not a candle") }() }
        }
    }

    @Test("What somebody else has written is passed over or handed on, never misread")
    func foreign() {
        for id in ["120000-1", "120000", "x-0", "-0", ""] { #expect(HistoryEntry(id: id, []) == nil, "\(id)") }
        #expect(HistoryEntry(id: "1-0", [])?.json(btc) == nil)
        #expect(HistoryEntry(id: "1-0", [("close_time", "x")])?.json(btc) == nil)
        #expect(HistoryEntry(id: "1-0", [("close_time", "2"), ("count", "1.5")])?.json(btc) == nil)
        #expect(HistoryEntry(id: "1-0", [("close_time", "2"), ("note", "42")])?.json(btc)?["note"]?.string == "42")
    }

    @Test("Times that the calendar cannot carry are no candle's")
    func impossibleTimes() throws {
        for time in [Int64.min, -1, Limits.instantsMs.upperBound + 1, .max] {
            #expect(HistoryEntry(id: "\(time)-0", CandleField.texts(closed)) == nil)
            for (open, close) in [(time, 179_999), (120_000, time)] {
                var candle = closed
                (candle.openTimeMs, candle.closeTimeMs) = (open, close)
                #expect(throws: Malformed.self) { try Candle(CandleRow.json(candle, btc)) }
            }
            var candle = closed
            candle.eventTimeMs = time
            #expect(try Candle(CandleRow.json(candle, btc)).eventTime == nil)
        }
    }

    @Test("A source of a newer service costs its name, not the candle")
    func newerSource() throws {
        let text = CandleFieldTests.json.replacing("\"live\"", with: "\"replay\"")
        #expect(try Candle(JSONValue(parsing: Array(text.utf8))).source == nil)
    }
}
