// The catalogue: in which order, what a question finds, when the exchange is asked, and who waits.

import FastFeed
import Testing

struct CatalogueTests {
    static func instrument(_ name: String, _ status: String = "TRADING") -> Instrument {
        let quote = ["usdt", "btc"].first { name.hasSuffix($0) } ?? ""
        return Instrument(
            symbol: Symbol(name)!, status: status, base: name.dropLast(quote.count).uppercased(), quote: quote.uppercased())
    }

    /// One that the exchange does not list is always among them.
    static func figures(_ volumes: [(String, String)]) -> DayTickers {
        let days = (volumes + [("stranger", "1")]).map {
            (
                Symbol($0)!,
                DayFigures(
                    lastPrice: DecimalText("1.5")!, priceChangePercent: DecimalText("-2.5")!, quoteVolume: DecimalText($1)!, tradeCount: 7)
            )
        }
        return DayTickers(figures: Dictionary(uniqueKeysWithValues: days), skipped: 0)
    }

    private static let second: UInt64 = 1_000_000_000

    /// The answer as a client reads it.
    private func read(_ catalogue: Catalogue, _ query: SymbolQuery = SymbolQuery()) throws -> ListedSymbols {
        try ListedSymbols(JSONValue(parsing: Array(JSONValue.members(catalogue.answer(query)).text.utf8)))
    }

    private func names(_ catalogue: Catalogue, _ query: SymbolQuery = SymbolQuery()) throws -> [String] {
        try read(catalogue, query).symbols.map(\.symbol.name)
    }

    @Test func byExactVolumeThenByName() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        catalogue.learn(["zusdt", "ausdt", "busdt", "cusdt", "dusdt", "ebtc", "fusdt"].map { Self.instrument($0) })
        // The first two are the same number to a double.
        let volumes = [("ausdt", "9007199254740992.1"), ("busdt", "9007199254740992.2"), ("cusdt", "10.50"), ("dusdt", "9.5")]
        catalogue.learn(Self.figures(volumes + [("zusdt", "10.5"), ("ebtc", "11"), ("gone", "999")]), nowMs: 5, nowNs: 1)
        #expect(try names(catalogue) == ["busdt", "ausdt", "ebtc", "cusdt", "zusdt", "dusdt", "fusdt"], "without figures last")
        let list = try read(catalogue, SymbolQuery(limit: 2))
        #expect(list.symbols.count == 2 && list.total == 7 && list.updatedAt == 5)
        #expect(list.symbols[0].quoteVolume?.description == "9007199254740992.2" && list.symbols[0].trades == 7)
        #expect(try read(catalogue, SymbolQuery(search: Symbol("f"))).symbols[0].quoteVolume == nil)
    }

    @Test func whatAQuestionFinds() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        catalogue.learn(
            [Self.instrument("btcusdt"), Self.instrument("ethbtc"), Self.instrument("lunausdt", "BREAK"), Self.instrument("龙虾usdt")])
        catalogue.learn(Self.figures([]), nowMs: 1, nowNs: 1)
        #expect(try names(catalogue) == ["btcusdt", "ethbtc", "龙虾usdt"])
        #expect(try names(catalogue, SymbolQuery(status: nil)).count == 4)
        #expect(try names(catalogue, SymbolQuery(quote: Symbol("usdt"), status: "BREAK")) == ["lunausdt"])
        #expect(try names(catalogue, SymbolQuery(quote: Symbol("BTC"))) == ["ethbtc"])
        #expect(try names(catalogue, SymbolQuery(search: Symbol("TC"))) == ["btcusdt", "ethbtc"])
        #expect(try names(catalogue, SymbolQuery(search: Symbol("虾u"))) == ["龙虾usdt"])
        #expect(
            try JSONValue.members(catalogue.answer(SymbolQuery(search: Symbol("nothing")))).text
                == #"{"symbols":[],"total":0,"updated_at":1}"#)
    }

    @Test func rowsAreReadAsTheyAreWritten() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        catalogue.learn([Self.instrument("btcusdt"), Self.instrument("newusdt")])
        catalogue.learn(Self.figures([("btcusdt", "123.45600000")]), nowMs: 9, nowNs: 1)
        let text = try JSONValue.members(catalogue.answer(SymbolQuery())).text
        #expect(
            text
                == #"{"symbols":[{"symbol":"btcusdt","base":"BTC","quote":"USDT","status":"TRADING","last_price":"1.5","price_change_percent":"-2.5","quote_volume":"123.45600000","trades":7},{"symbol":"newusdt","base":"NEW","quote":"USDT","status":"TRADING","last_price":null,"price_change_percent":null,"quote_volume":null,"trades":null}],"total":2,"updated_at":9}"#
        )
        #expect(try read(catalogue).symbols == catalogue.rows)
        for bad in [#""""#, #""1e5""#, "7", "true"] {
            let damaged = text.replacing(#""last_price":"1.5""#, with: "\"last_price\":\(bad)")
            #expect(throws: Malformed.self) { try ListedSymbols(JSONValue(parsing: Array(damaged.utf8))) }
        }
    }

    /// The longest answer fits the bound of answers.
    @Test func theLongestAnswer() throws {
        let (word, number) = (String(repeating: "W", count: 28), DecimalText(String(repeating: "9", count: 31))!)
        let list = (0..<Limits.symbolsListedMax).map { index in
            Instrument(
                symbol: Symbol("\(10_000 + index)" + word.prefix(27))!, status: word + "XY", base: word + "BASE", quote: word + "QUOT")
        }
        let day = DayFigures(lastPrice: number, priceChangePercent: number, quoteVolume: number, tradeCount: .max)
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        catalogue.learn(list)
        catalogue.learn(
            DayTickers(figures: Dictionary(uniqueKeysWithValues: list.map { ($0.symbol, day) }), skipped: 0), nowMs: .max, nowNs: 1)
        let answer = try catalogue.answer(SymbolQuery(status: nil, limit: Limits.symbolsListedMax))
        #expect(answer.first?.1.array?.count == Limits.symbolsListedMax)
        #expect(
            CommandResult.success(answer).text(requestID: String(repeating: "i", count: 128)).utf8.count < CommandAnswer.bytesMax)
    }

    @Test func symbolsBeyondTheBoundAreLeftOut() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        let left = catalogue.learn((0..<Limits.catalogueSymbolsMax + 3).map { Self.instrument("s\($0)usdt") })
        catalogue.learn(Self.figures([]), nowMs: 1, nowNs: 1)
        #expect(try left == 3 && read(catalogue).total == Int64(Limits.catalogueSymbolsMax))
    }

    @Test func figuresEveryFiveMinutesAndSoonAfterAFailure() {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        func due(_ seconds: UInt64) -> Bool { catalogue.isDue(seconds * Self.second) }
        #expect(due(1) && !due(2) && !due(60) && due(61), "once, until an answer could have come")
        catalogue.learn(Self.figures([]), nowMs: 1, nowNs: 70 * Self.second)
        #expect(!due(369) && due(370))
        catalogue.failFigures(nowNs: 380 * Self.second)
        #expect(!due(439) && due(440))
        catalogue.failFigures(nowNs: 440 * Self.second, mayTheyCome: false)
        #expect(!due(4_039) && due(4_040), "where no question is allowed, hardly ever")
        // Figures of nothing are of no use.
        catalogue.failList()
        #expect(!due(5_000))
        catalogue.learn([Self.instrument("btcusdt")])
        #expect(due(5_000))
    }

    /// As in the exchange's maintenance, or in an answer of another form.
    @Test func figuresThatSayNothing() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        catalogue.learn([Self.instrument("btcusdt"), Self.instrument("ethusdt")])
        let isLearned = catalogue.learn(Self.figures([("btcusdt", "5"), ("ethusdt", "6")]), nowMs: 1, nowNs: 1)
        #expect(isLearned)
        let before = try read(catalogue)
        let half = DayTickers(figures: Self.figures([("btcusdt", "7")]).figures, skipped: 2)
        for (index, useless) in [DayTickers(figures: [:], skipped: 0), DayTickers(figures: [:], skipped: 900), half].enumerated() {
            let now = UInt64(1_000 + 100 * index) * Self.second
            let isLearned = catalogue.learn(useless, nowMs: 2, nowNs: now)
            #expect(!isLearned, "\(useless.skipped)")
            #expect(try read(catalogue) == before, "the figures stay")
            #expect(!catalogue.isDue(now + 59 * Self.second) && catalogue.isDue(now + 60 * Self.second))
        }
        let most = DayTickers(figures: half.figures, skipped: 1)
        #expect(try catalogue.learn(most, nowMs: 3, nowNs: 1) && read(catalogue).updatedAt == 3)
    }

    @Test func whoAsksTooEarlyWaits() throws {
        var catalogue = Catalogue(schema: KeySchema(prefix: ""))
        func key(_ number: Int) -> RequestKey { RequestKey(kind: .listSymbols, id: "\(number)") }
        func wait(_ number: Int, _ seconds: UInt64) -> Bool { catalogue.postpone(key(number), SymbolQuery(), nowNs: seconds * Self.second) }
        func ready(_ seconds: UInt64) -> [String] { catalogue.takeWaiters(nowNs: seconds * Self.second, max: 64).map(\.request.id) }
        #expect(wait(1, 1) && wait(2, 2) && ready(4).isEmpty && catalogue.workDueNs == 5 * Self.second)
        #expect(ready(5) == ["1"], "for so long and no longer")
        #expect(throws: CommandError.self) { try catalogue.answer(SymbolQuery()) }
        catalogue.learn([Self.instrument("btcusdt")])
        #expect(ready(5).isEmpty, "a list without volumes has the wrong order")
        catalogue.learn(Self.figures([]), nowMs: 1, nowNs: 1)
        #expect(catalogue.workDueNs == 0 && ready(5) == ["2"])
        #expect(!wait(3, 6) && catalogue.takeWaiters(nowNs: .max, max: .max).isEmpty)
        // An exchange without figures has its list all the same.
        var bare = Catalogue(schema: KeySchema(prefix: ""))
        bare.learn([Self.instrument("busdt"), Self.instrument("ausdt")])
        bare.failFigures(nowNs: 1)
        #expect(try names(bare) == ["ausdt", "busdt"] && read(bare).updatedAt == nil)
    }
}
