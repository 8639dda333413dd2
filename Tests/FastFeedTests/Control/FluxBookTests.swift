// The book of fluxes: what a command changes in it, what must be written and told for that, what an earlier process left.

import FastFeed
import Testing

struct FluxBookTests {
    private let journal = Journal()

    private func makeBook(market: Market = .spot, perConnection: Int = 1_024) -> FluxBook {
        FluxBook(
            market: market, schema: KeySchema(prefix: "p:"), placement: Placement(readerCount: 1, streamsPerConnectionMax: perConnection),
            journal: journal)
    }

    private func flux(
        _ names: [String], _ name: String? = nil, interval: Interval = .m1, history: Int = 0, origin: FluxOrigin = .command
    ) -> Flux {
        Flux(symbols: names.map { Symbol($0)! }, interval: interval, name: name, history: history, createdAtMs: 7, origin: origin)
    }

    private func refusal(_ body: () throws(CommandError) -> Void) -> CommandCode? {
        do throws(CommandError) {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func firstWrittenThenTold() throws {
        var book = makeBook()
        let made = flux(["btcusdt", "ethusdt"], "mine")
        #expect(try book.registration(of: made, symbols: SymbolList()) == ["HSET", "p:fluxes", "mine", made.json])
        #expect(book.count == 0 && !book.holds(made), "nothing has changed before it is written")
        let change = try book.add(made)
        #expect(change.before.count == 1 && change.readers[0].count == 2 && change.after.isEmpty)
        #expect(change.series.map(\.symbol.name) == ["btcusdt", "ethusdt"])
        #expect(book.holds(made) && book.ids(of: made) == [0, 1])
        #expect(try book.flux("mine") == made)
        #expect(try book.registration(of: made, symbols: SymbolList()) == nil, "it is there already")
        let removal = book.remove(made)
        #expect(removal.after.count == 1 && removal.series.count == 2 && book.count == 0)
        #expect(book.erasure(made) == ["HDEL", "p:fluxes", "mine"])
        #expect(refusal { () throws(CommandError) in _ = try book.flux("mine") } == .unknownFlux)
    }

    @Test func refusals() throws {
        var symbols = SymbolList()
        symbols.learn(["btcusdt", "ethusdt"].map { Instrument(symbol: Symbol($0)!, status: "TRADING") }, nowNs: 1)
        var book = makeBook(perConnection: 1)
        _ = try book.add(flux(["btcusdt"], "a"))
        func refused(_ flux: Flux, _ book: FluxBook) -> CommandCode? {
            refusal { () throws(CommandError) in _ = try book.registration(of: flux, symbols: symbols) }
        }
        #expect(refused(flux(["nosuch"]), book) == .unknownSymbol)
        #expect(refused(flux(["ethusdt"], "a"), book) == .badRequest, "another flux has this id")
        #expect(refused(flux(["btcusdt"], "a", interval: .m5), book) == .badRequest)
        #expect(refused(flux(["btcusdt"], interval: .s1), makeBook(market: .um)) == .badInterval)
        #expect(refused(flux(["btcusdt"], interval: .s1), makeBook()) == nil)
        let most = Placement.connectionsMax(readerCount: 1)
        let many = flux((0..<most).map { "s\($0)" })
        symbols = SymbolList()
        #expect(refused(many, book) == .tooLarge && refused(many, makeBook(perConnection: 1)) == nil)
        #expect(refusal { () throws(CommandError) in _ = try book.add(many) } == .tooLarge)
        #expect(book.count == 1 && book.placement.seriesCount == 1, "a refused flux changes nothing")
    }

    @Test func fluxesHaveALimit() throws {
        var book = makeBook()
        for number in 0..<Limits.fluxCountMax { _ = try book.add(flux(["btcusdt"], "f\(number)")) }
        let code = refusal { () throws(CommandError) in _ = try book.registration(of: flux(["btcusdt"], "g"), symbols: SymbolList()) }
        #expect(code == .tooLarge && book.placement.seriesCount == 1)
    }

    @Test func anEarlierProcessLeftFluxes() throws {
        var book = makeBook(perConnection: 1)
        let configured = flux(["btcusdt"], "configured", origin: .configuration)
        _ = try book.add(configured)
        let (good, large) = (flux(["ethusdt"], "good"), flux((0..<Placement.connectionsMax(readerCount: 1)).map { "s\($0)" }, "large"))
        let kept = [
            ("broken", "{"), ("good", good.json), ("other", good.json), ("large", large.json),
            ("configured", flux(["solusdt"], "configured").json),
        ]
        #expect(!book.isResumed)
        let (changes, ended) = book.resume(kept.map { (id: $0.0, json: $0.1) })
        #expect(ended.isEmpty)
        #expect(book.isResumed && changes.count == 1 && changes[0].series.map(\.symbol.name) == ["ethusdt"])
        #expect(book.list == [configured, good])
        let lines = journal.drain().lines
        #expect(lines.map(\.level) == [.error, .error, .info, .error], "\(lines.map(\.message))")
        #expect(book.registry == [book.entry(good)], "what the configuration names is not kept")
    }

    @Test("What another has stopped or made anew, where its registry is the last word")
    func anotherLeftFluxes() throws {
        var book = makeBook()
        let (stopped, remade) = (flux(["btcusdt"], "stopped"), flux(["ethusdt"], "remade"))
        let (configured, new) = (flux(["solusdt"], "configured", origin: .configuration), flux(["bnbusdt"], "remade"))
        for one in [stopped, remade, configured] { _ = try book.add(one) }
        let kept = [(id: "remade", json: new.json)]
        #expect(book.resume(kept).ended.isEmpty && book.list == [configured, remade, stopped], "lost, perhaps")
        let (changes, ended) = book.resume(kept, endsOthers: true)
        #expect(ended == [remade, stopped] && changes.count == 3 && book.list == [configured, new])
    }

    @Test func refusedStreams() throws {
        var book = makeBook()
        let (one, two) = (flux(["btcusdt", "ethusdt"], "one"), flux(["ethusdt"], "two"))
        _ = try book.add(one)
        #expect(book.refusedSymbols(of: one) == [])
        book.refuse(Binance(.spot).streamName(one.series(.spot)[1]))
        _ = try book.add(two)
        #expect([one, two].allSatisfy { book.refusedSymbols(of: $0) == [RefusedSymbol(Symbol("ethusdt")!, .refused)] })
        // Asked for anew, it may be known by now.
        _ = (book.remove(one), book.remove(two))
        _ = try book.add(two)
        #expect(book.refusedSymbols(of: two) == [])
    }

    private func list(_ statuses: [String: String], after before: SymbolList = SymbolList()) -> SymbolList {
        var list = before
        list.learn(statuses.map { Instrument(symbol: Symbol($0)!, status: $1) }, nowNs: 1)
        return list
    }

    private func words(_ book: FluxBook, _ flux: Flux) -> String {
        book.refusedSymbols(of: flux).map { "\($0.symbol):\($0.reason.word)" }.joined(separator: " ")
    }

    /// Wrong, halted and delisted names are named once in the log, counted, and leave by themselves.
    @Test func theListNamesWhatIsNotServed() throws {
        var book = makeBook()
        let (one, two) = (flux(["btcusd", "btcusdt", "lunausdt"], "one"), flux(["ethusdt"], "two"))
        _ = (try book.add(one), try book.add(two))
        #expect(book.judge(by: SymbolList()).isEmpty && !book.waitsForList && book.refusedCount == 0, "no list says nothing")
        let first = list(["btcusdt": "TRADING", "lunausdt": "BREAK", "ethusdt": "TRADING"])
        #expect(book.judge(by: first).isEmpty && book.waitsForList && book.refusedCount == 2)
        #expect(words(book, one) == "btcusd:unknown lunausdt:BREAK" && words(book, two) == "")
        _ = book.judge(by: first)
        let lines = journal.drain().lines
        #expect(lines.count == 1 && lines[0].level == .warning, "said once, one line for a flux")
        #expect(lines[0].fields.map(\.0) == ["flux_id", "count", "symbols"] && lines[0].fields[1].1 == "2")
        #expect(lines[0].fields[2].1 == "btcusd unknown (did you mean btcusdt?), lunausdt BREAK")

        // The unknown one is listed: it is asked for again. The other trades again, on the stream it has.
        let second = list(["btcusdt": "TRADING", "lunausdt": "TRADING", "btcusd": "TRADING"], after: first)
        book.refuse("btcusd@kline_1m")
        let changes = book.judge(by: second)
        #expect(changes.count == 1 && changes[0].before.isEmpty && changes[0].after.isEmpty)
        guard case .renew(_, let streams)? = changes.first?.readers[0].first else {
            Issue.record("\(changes)")
            return
        }
        #expect(streams == ["btcusd@kline_1m"] && words(book, one) == "" && words(book, two) == "ethusdt:delisted")
        #expect(journal.drain().lines.map(\.level) == [.info, .warning])
        #expect(book.judge(by: list(["ethusdt": "CLOSE", "btcusdt": "TRADING", "lunausdt": "HALT"], after: second)).isEmpty)
        #expect(words(book, one) == "btcusd:delisted lunausdt:HALT" && words(book, two) == "ethusdt:delisted")
        _ = (book.remove(one), book.remove(two))
        #expect(!book.waitsForList && book.refusedCount == 0)
    }

    /// Thousands of fluxes with unknown names cost the control thread and the log no more than some.
    @Test func manyFluxesAreNamedInFewLines() throws {
        var book = makeBook()
        let count = 2 * Limits.fluxesNamedMax
        for number in 0..<count { _ = try book.add(flux(["btcusd"], "f\(1_000 + number)")) }
        _ = book.judge(by: list(["btcusdt": "TRADING"]))
        #expect(book.refusedCount == count)
        let lines = journal.drain().lines
        #expect(lines.count == Limits.fluxesNamedMax + 1, "one for the others")
        let hinted = lines.filter { $0.fields.last?.1 == "btcusd unknown (did you mean btcusdt?)" }
        #expect(hinted.count == Limits.symbolHintsMax)
        #expect(lines.filter { $0.fields.last?.1 == "btcusd unknown" }.count == lines.count - hinted.count)
    }

    /// A halted symbol may come back, and is taken; a delisted one does not.
    @Test func createAndTheList() throws {
        let old = list(["lunausdt": "BREAK", "oldusdt": "TRADING", "endusdt": "CLOSE"])
        let symbols = list(["lunausdt": "BREAK", "endusdt": "CLOSE"], after: old)
        var book = makeBook()
        let luna = flux(["lunausdt"])
        #expect(try book.registration(of: luna, symbols: symbols) != nil)
        _ = try book.add(luna)
        _ = book.judge(luna, by: symbols)
        #expect(words(book, luna) == "lunausdt:BREAK")
        for name in ["oldusdt", "endusdt", "newusdt"] {
            let code = refusal { () throws(CommandError) in _ = try book.registration(of: flux([name]), symbols: symbols) }
            #expect(code == .unknownSymbol, "\(name)")
        }
        #expect(symbols.lists(Symbol("endusdt")!) && !symbols.lists(Symbol("oldusdt")!), "candles of the one are there")
    }

    /// A series has as many candles as the flux wants that wants the most.
    @Test func histories() throws {
        var book = makeBook()
        let first = try book.add(flux(["btcusdt"], "one"))
        #expect(first.history == 0 && first.deepened.isEmpty, "as many as usual")
        let second = try book.add(flux(["btcusdt", "ethusdt"], "two", history: 500))
        #expect(second.history == 500 && second.placements.map(\.series.symbol.name) == ["ethusdt"])
        #expect(second.deepened.map(\.symbol.name) == ["btcusdt"])
        _ = try book.add(flux(["btcusdt"], "three", history: 20))
        func wanted() -> [String] { book.followed.map { "\($0.placed.series.symbol) \($0.history)" }.sorted() }
        #expect(wanted() == ["btcusdt 500", "ethusdt 500"])
        #expect(book.followed.allSatisfy { book.placement.handle($0.placed.series) == $0.placed.handle })
        let moved = book.move(flux(["btcusdt"]).series(.spot)[0])
        #expect(moved.history == 500 && moved.placements.map(\.series.symbol.name) == ["btcusdt"])
        _ = book.remove(flux(["btcusdt", "ethusdt"], "two", history: 500))
        #expect(wanted() == ["btcusdt 20"])
    }

    @Test func idsComeBack() throws {
        var book = makeBook()
        let one = flux(["btcusdt"], "one")
        _ = try book.add(one)
        _ = book.remove(one)
        #expect(book.placement.idsInUse == 1)
        book.release([0])
        #expect(book.placement.idsInUse == 0)
    }

    /// An answer that was asked for one flux must not be taken for another of the same id.
    @Test func anIdIsNotAFlux() throws {
        var book = makeBook()
        let (first, second) = (flux(["btcusdt"], "x"), flux(["ethusdt"], "x"))
        _ = try book.add(first)
        _ = book.remove(first)
        _ = try book.add(second)
        #expect(!book.holds(first) && book.holds(second))
    }
}
