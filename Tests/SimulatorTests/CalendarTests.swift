// The exchange's calendar in virtual time: standings, listing, delisting, maintenance, and late closed events.
// The oracle everywhere: what streams and truth say equals what REST has, and ids have no gaps.

import FastFeed
import TestKit
import Testing
import VenueSimulator

struct CalendarTests {
    private static let hourMs: Int64 = 3_600_000

    /// An exchange with subscribed streams.
    private struct World: ~Copyable {
        var engine: PushEngine
        var sink = CollectingSink()
        let names: [String]

        init(_ configuration: SimulatorConfiguration, _ names: [String]) throws {
            try configuration.validate()
            engine = PushEngine(configuration: configuration, startMs: testStartMs)
            self.names = names
            for name in names {
                let index = engine.streamIndex(ofName: name)!
                engine.subscribe(index, in: .millisecond)
            }
        }

        /// Virtual milliseconds after the start.
        mutating func run(toMs: Int64) {
            while engine.nowMs < testStartMs + toMs {
                _ = engine.run(untilMs: testStartMs + toMs, eventsMax: .max, into: &sink)
                _ = engine.takeClosing()
            }
        }

        func events(_ stream: Int) -> [CollectingSink.Entry] { sink.entries.filter { $0.event.stream == stream } }

        /// All bars REST has of a stream since the start's bar.
        mutating func bars(_ stream: Int) -> [Bar] {
            let series = engine.series(ofStream: stream).series
            let symbol = engine.symbolIndexes[series.symbol.name]!
            let grid = engine.grid(symbolIndex: symbol, interval: series.interval, offsetMs: 0)
            return engine.histories[symbol].bars(
                on: grid, in: .init(fromMs: grid.openTime(containing: testStartMs), throughMs: nil, limit: 100_000), nowMs: engine.nowMs)
        }

        func truth(_ stream: Int) -> [ClosedCandle] {
            let series = engine.series(ofStream: stream).series
            return engine.closedCandles().filter { $0.series == series }
        }

        /// Every bar that ended is in the truth once, with REST's numbers; ids have no gap.
        mutating func audit(_ stream: Int, graceMs: Int64 = 5_000, _ comment: Comment? = nil) {
            let due = bars(stream).filter { $0.nextOpenMs <= engine.nowMs - graceMs }
            let closed = truth(stream)
            let format = engine.series(ofStream: stream).format
            let interval = engine.series(ofStream: stream).series.interval
            #expect(closed.count >= due.count, comment)
            var lastID: Int64 = -1
            for (bar, told) in zip(due, closed) {
                let wanted = KlineState(
                    eventTimeMs: 0, openTimeMs: bar.openTimeMs, nextOpenMs: bar.nextOpenMs, isClosed: true, sum: bar.sum
                )
                .candle(interval: interval, format: format)
                #expect(told.candle.openTimeMs == bar.openTimeMs && wanted.hasSameValues(as: told.candle), comment)
                guard !bar.sum.isEmpty else { continue }
                if lastID >= 0 { #expect(bar.sum.firstID == lastID + 1, comment) }
                lastID = bar.sum.lastID
            }
        }
    }

    private func isAscending(_ entries: [CollectingSink.Entry]) -> Bool {
        zip(entries, entries.dropFirst()).allSatisfy {
            $0.event.eventTimeMs < $1.event.eventTimeMs && $0.json["k"]!["t"]!.int <= $1.json["k"]!["t"]!.int
        }
    }

    @Test(arguments: [SymbolState.break, .cancelOnly])
    func silenceAndItsHole(_ state: SymbolState) throws {
        var configuration = testConfiguration()
        configuration.symbolChanges = [
            SymbolChange("BTCUSDT", state, afterMs: 90_000), SymbolChange("btcusdt", .trading, afterMs: 300_000),
        ]
        var world = try World(configuration, ["btcusdt@kline_1s", "btcusdt@kline_1m", "btcusdt@kline_1h", "ethusdt@kline_1m"])
        world.run(toMs: 900_000)
        let silence = (testStartMs + 90_000)..<(testStartMs + 300_000)
        for stream in 0..<4 {
            let events = world.events(stream)
            #expect(isAscending(events))
            let isQuiet = !events.contains { silence.contains($0.event.eventTimeMs) }
            #expect(isQuiet == (stream < 3))
            #expect(events.last!.event.eventTimeMs > testStartMs + 890_000)
            world.audit(stream)
        }
        // 13:48:46.4 to 13:52:16.4: the minutes 49, 50 and 51 do not exist.
        let minutes = world.bars(1).map { $0.openTimeMs / 60_000 % 60 }
        #expect(minutes.prefix(5) == [47, 48, 52, 53, 54])
        // The cut minute is due and was never announced; the hour holds both parts.
        let announced = Set(world.events(1).filter(\.event.isClosed).map { $0.json["k"]!["t"]!.int / 60_000 % 60 })
        #expect(!announced.contains(48) && announced.contains(52))
        #expect(world.truth(1).contains { $0.candle.openTimeMs / 60_000 % 60 == 48 })
        let hour = world.events(2).filter { $0.json["k"]!["t"]!.int == testStartMs / Self.hourMs * Self.hourMs }
        let before = hour.last { $0.event.eventTimeMs < silence.lowerBound }!.json["k"]!
        let after = hour.first { $0.event.eventTimeMs >= silence.upperBound }!.json["k"]!
        #expect(after["f"] == before["f"] && after["n"]!.int > before["n"]!.int)
        #expect(after["n"]!.int - before["n"]!.int < 100, "seconds of trades, not the minutes of silence")
        #expect(after["n"]!.int == after["L"]!.int - after["f"]!.int + 1)
    }

    @Test func haltGoesOnFlat() throws {
        var configuration = testConfiguration()
        configuration.symbolChanges = [
            SymbolChange("btcusdt", .halt, afterMs: 60_000), SymbolChange("btcusdt", .trading, afterMs: 300_000),
        ]
        var world = try World(configuration, ["btcusdt@kline_1s", "btcusdt@kline_1m", "btcusdt@kline_5m"])
        world.run(toMs: 600_000)
        for stream in 0..<3 {
            #expect(isAscending(world.events(stream)))
            world.audit(stream)
        }
        let minutes = world.bars(1)
        #expect(zip(minutes, minutes.dropFirst()).allSatisfy { $1.openTimeMs - $0.openTimeMs == 60_000 }, "no bar is missing")
        #expect(minutes.map(\.sum.isEmpty).prefix(6) == [false, false, true, true, true, false])
        let flat = world.events(1).filter { $0.event.isClosed && $0.json["k"]!["n"]!.int == 0 }
        #expect(flat.count == 3 && flat.allSatisfy { $0.json["k"]!["f"]!.int == -1 })
        let halted = world.events(1).count { ((testStartMs + 60_000)..<(testStartMs + 300_000)).contains($0.event.eventTimeMs) }
        #expect(halted > 100, "data goes on")
    }

    /// Nobody trades, and the exchange calls it trading: flat bars, and where only changes are pushed nothing in between.
    @Test func quietSymbolsOnlyClose() throws {
        var configuration = testConfiguration()
        (configuration.quietSymbols, configuration.pushOnlyOnChange) = (2, true)
        var world = try World(configuration, ["sim0003usdt@kline_1m", "sim0004usdt@kline_1m", "sim0002usdt@kline_1m"])
        world.run(toMs: Self.hourMs)
        for stream in 0..<2 {
            let events = world.events(stream).map { $0.json["k"]! }.filter { $0["t"]!.int > testStartMs }
            #expect(events.count == 59 && events.allSatisfy { $0["x"]!.isTrue && $0["n"]!.int == 0 && $0["L"]!.int == -1 })
            #expect(zip(events, events.dropFirst()).allSatisfy { $1["t"]!.int == $0["t"]!.int + 60_000 && $1["c"] == $0["c"] })
            world.audit(stream)
        }
        #expect(world.events(2).count > 500, "the others go on")
        #expect(rest(world.engine, "exchangeInfo?symbol=SIM0004USDT").contains("\"status\":\"TRADING\""))
        // Where unchanged bars are repeated, too, they are.
        configuration.pushOnlyOnChange = nil
        var usual = try World(configuration, ["sim0004usdt@kline_1m"])
        usual.run(toMs: 120_000)
        #expect(usual.events(0).count > 50)
    }

    /// The truth of all bars: also those that ended before anybody listened, or while nobody did.
    @Test func theExchangeKnowsWhatNobodyHeard() throws {
        var world = try World(testConfiguration(), ["btcusdt@kline_1m", "btcusdt@kline_1d@+08:00"])
        world.run(toMs: 130_000)
        world.engine.unsubscribe(0, in: .millisecond, isDeliberate: true)
        world.run(toMs: 700_000)
        world.engine.subscribe(0, in: .millisecond)
        world.run(toMs: 900_000)
        let announced = world.truth(0).map(\.candle.openTimeMs)
        var all = world.engine.exchangeCandles()
        #expect(announced.count < 8 && all.count == 15, "\(announced.count) announced")
        #expect(all.map(\.candle.openTimeMs) == world.bars(0).dropLast().map(\.openTimeMs))
        #expect(zip(all, all.dropFirst()).allSatisfy { $1.candle.firstTradeID == $0.candle.lastTradeID + 1 }, "ids have no gap")
        let format = world.engine.series(ofStream: 0).format
        for (candle, bar) in zip(all, world.bars(0)) {
            let wanted = KlineState(eventTimeMs: 0, openTimeMs: bar.openTimeMs, nextOpenMs: bar.nextOpenMs, isClosed: true, sum: bar.sum)
            #expect(wanted.candle(interval: .m1, format: format).hasSameValues(as: candle.candle))
        }
        let early = all[0].candle.openTimeMs - 50 * 60_000
        all = world.engine.exchangeCandles(fromMs: early)
        #expect(all.count == 65 && all[0].candle.openTimeMs == early && !all[0].delivered)
        // What a delisting cuts was never closed.
        world.engine.plan(0, .unlisted, afterMs: 30_000)
        world.run(toMs: 1_500_000)
        let last = world.engine.exchangeCandles().last?.candle.openTimeMs
        #expect(last == (testStartMs + 900_000) / 60_000 * 60_000 - 60_000)
    }

    @Test func listingInTheMiddleOfABar() throws {
        var configuration = testConfiguration()
        configuration.symbolChanges = [SymbolChange("sim0001usdt", .unlisted), SymbolChange("sim0001usdt", .trading, afterMs: 100_000)]
        var world = try World(configuration, ["sim0001usdt@kline_1m", "sim0001usdt@kline_3d", "ethusdt@kline_1m"])
        world.run(toMs: 99_999)
        #expect(world.events(0).isEmpty && world.events(1).isEmpty && !world.events(2).isEmpty)
        #expect(world.bars(0).isEmpty)
        #expect(rest(world.engine, "klines?symbol=SIM0001USDT&interval=1m").contains("-1121"))
        #expect(!rest(world.engine, "exchangeInfo").contains("SIM0001USDT"))
        world.run(toMs: 400_000)
        let listing = testStartMs + 100_000
        let bars = world.bars(0)
        #expect(bars[0].openTimeMs == listing / 60_000 * 60_000 && listing % 60_000 != 0, "the open is on the grid")
        #expect(world.events(0)[0].json["k"]!["t"]!.int == bars[0].openTimeMs)
        #expect(world.events(0)[0].event.eventTimeMs >= listing)
        #expect(world.bars(1).map(\.openTimeMs) == [listing / 86_400_000 * 86_400_000], "three-day bars begin on the listing day")
        world.audit(0)
        #expect(rest(world.engine, "exchangeInfo?symbol=SIM0001USDT").contains("\"status\":\"TRADING\""))
        let all = rest(world.engine, "klines?symbol=SIM0001USDT&interval=1m&startTime=0")
        #expect(all.hasPrefix("[[\(bars[0].openTimeMs),"))
    }

    @Test func delistingIsForGood() throws {
        var world = try World(testConfiguration(), ["btcusdt@kline_1m", "ethusdt@kline_1m"])
        world.run(toMs: 60_000)
        world.engine.plan(0, .unlisted, afterMs: 30_000)
        world.run(toMs: 600_000)
        #expect(world.events(0).last!.event.eventTimeMs < testStartMs + 90_000)
        #expect(world.truth(0).count == 1 && world.truth(1).count == 10, "the cut bar can be known by nobody and is not due")
        #expect(rest(world.engine, "klines?symbol=BTCUSDT&interval=1m").contains("-1121"))
        #expect(rest(world.engine, "exchangeInfo?symbol=BTCUSDT").contains("-1121"))
        #expect(!rest(world.engine, "exchangeInfo").contains("BTCUSDT"))
        // The other kind: known, with status BREAK, and its history stays.
        world.engine.plan(1, .break, afterMs: 0)
        #expect(rest(world.engine, "exchangeInfo?symbol=ETHUSDT").contains("\"status\":\"BREAK\""))
        #expect(rest(world.engine, "klines?symbol=ETHUSDT&interval=1m&limit=2").hasPrefix("[[17"))
    }

    private func rest(_ engine: borrowing PushEngine, _ query: String) -> String {
        var responder = RestResponder(configuration: engine.configuration, symbols: engine.symbols)
        (responder.states, responder.isClosed) = (engine.symbolStates, engine.isClosed)
        var histories = engine.histories
        let response = responder.respond(
            to: request("/api/v3/" + query), from: "a", nowMs: engine.nowMs, wallMs: 1, histories: &histories)
        return String(decoding: response.body, as: UTF8.self)
    }

    @Test func maintenanceLeavesNoBars() throws {
        var configuration = testConfiguration()
        configuration.maintenance = [MaintenanceWindow(afterMs: 120_000, durationMs: 300_000)]
        var world = try World(configuration, ["btcusdt@kline_1m", "btcusdt@kline_1s", "sim0004usdt@kline_1m", "ethusdt@kline_15m"])
        _ = world.engine.run(untilMs: testStartMs + 900_000, eventsMax: .max, into: &world.sink)
        #expect(world.engine.nowMs == testStartMs + 120_000 && world.engine.isClosed, "the engine stops where connections must go")
        let (first, second) = (world.engine.takeClosing(), world.engine.takeClosing())
        #expect(first && !second)
        #expect(rest(world.engine, "ping").isEmpty)
        world.run(toMs: 900_000)
        let window = (testStartMs + 120_000)..<(testStartMs + 420_000)
        for stream in 0..<4 {
            #expect(!world.events(stream).contains { window.contains($0.event.eventTimeMs) })
            #expect(!world.bars(stream).contains { window.contains($0.openTimeMs) && window.contains($0.nextOpenMs) })
            world.audit(stream)
        }
        let isStillClosed = world.engine.isClosed
        #expect(!isStillClosed)
    }

    /// Any sequence of changes: streams, truth and REST stay one.
    @Test(arguments: 1...24)
    func anyCalendarKeepsTheLaws(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func below(_ bound: UInt64) -> Int64 { Int64(random.next() % bound) }
        var configuration = testConfiguration(market: seed.isMultiple(of: 2) ? .um : .spot, seed: seed)
        configuration.closeDelayMs = 0...below(3_000)
        if seed.isMultiple(of: 3) { configuration.closeDelayTail = CloseDelayTail(probability: 0.1, maxMs: 20_000) }
        let states: [SymbolState] = [.trading, .halt, .break, .cancelOnly, .trading]
        for _ in 0..<8 {
            let state = states[Int(below(5))]
            configuration.symbolChanges.append(
                SymbolChange(["btcusdt", "sim0001usdt", "sim0004usdt"][Int(below(3))], state, afterMs: below(200) * 4_700))
        }
        if seed.isMultiple(of: 4) {
            configuration.maintenance = [MaintenanceWindow(afterMs: below(800_000), durationMs: 1 + below(200_000))]
        }
        var names: [String] = []
        for symbol in ["btcusdt", "sim0001usdt", "sim0004usdt"] {
            names += (configuration.market == .spot ? ["1s", "1m", "15m"] : ["1m", "3m", "15m"]).map { "\(symbol)@kline_\($0)" }
        }
        var world = try World(configuration, names)
        world.run(toMs: 1_300_000)
        for stream in names.indices {
            #expect(isAscending(world.events(stream)), "seed \(seed)")
            world.audit(stream, graceMs: 60_000, "seed \(seed) \(names[stream])")
        }
    }

    // MARK: Late closed events

    @Test func idleBarsCloseWithTheNextTrade() throws {
        var configuration = testConfiguration(market: .um)
        let usual = try World(configuration, ["sim0004usdt@kline_1m"])
        configuration.idleBarsCloseWithTrade = true
        var late = try World(configuration, ["sim0004usdt@kline_1m", "btcusdt@kline_1m"])
        var onTime = usual
        onTime.run(toMs: 3_600_000)
        late.run(toMs: 3_600_000)
        func idle(_ world: borrowing World) -> [JSONValue] {
            world.events(0).filter { $0.event.isClosed && $0.json["k"]!["n"]!.int == 0 }.map(\.json)
        }
        #expect(idle(onTime).count > 20 && idle(onTime).allSatisfy { $0["E"]!.int - $0["k"]!["T"]!.int <= 1_001 })
        #expect(idle(late).count > 15 && idle(late).contains { $0["E"]!.int - $0["k"]!["T"]!.int > 60_000 })
        for event in idle(late) {
            let (end, said) = (event["k"]!["T"]!.int + 1, event["E"]!.int)
            let traded = late.engine.histories[15].sum(fromMs: end, untilMs: said)
            #expect(!traded.isEmpty, "a trade came first")
        }
        #expect(isAscending(late.events(0)))
        late.audit(0, graceMs: 1_500_000)
        late.audit(1)
        var spot = testConfiguration()
        spot.idleBarsCloseWithTrade = true
        #expect(throws: SimulatorConfigurationError.self) { try spot.validate() }
    }

    @Test func closedEventsHaveALongTail() throws {
        var configuration = testConfiguration()
        configuration.closeDelayTail = CloseDelayTail(probability: 0.2, maxMs: 30_000)
        var world = try World(configuration, ["btcusdt@kline_1m", "ethusdt@kline_1m", "sim0001usdt@kline_1m"])
        world.run(toMs: 100 * 60_000)
        let delays = world.sink.entries.filter(\.event.isClosed).map { $0.event.eventTimeMs - $0.json["k"]!["T"]!.int - 1 }
        #expect(delays.count > 290 && delays.allSatisfy { (2...30_000).contains($0) })
        let late = delays.filter { $0 > 300 }
        #expect((30...90).contains(late.count), "a fifth of them")
        #expect(late.contains { $0 > 15_000 } && late.count { $0 < 15_000 } > late.count / 2)
        for stream in 0..<3 {
            #expect(isAscending(world.events(stream)))
            world.audit(stream, graceMs: 31_000)
        }
    }

    @Test func configurationChecksTheCalendar() {
        func field(_ change: (inout SimulatorConfiguration) -> Void) -> String? {
            var configuration = testConfiguration()
            change(&configuration)
            do throws(SimulatorConfigurationError) {
                try configuration.validate()
                return nil
            } catch { return error.field }
        }
        #expect(field { $0.symbolChanges = [SymbolChange("NOPE", .halt)] } == "symbolChanges")
        #expect(field { $0.symbolChanges = [SymbolChange("BTCUSDT", .halt, afterMs: -1)] } == "symbolChanges")
        #expect(field { $0.maintenance = [MaintenanceWindow(afterMs: 0, durationMs: 0)] } == "maintenance")
        #expect(field { $0.closeDelayTail = CloseDelayTail(probability: 2, maxMs: 1_000) } == "closeDelayTail")
        #expect(field { $0.closeDelayTail = CloseDelayTail(probability: 0.5, maxMs: 100) } == "closeDelayTail")
        #expect(field { $0.symbolChanges = [SymbolChange("BTCUSDT", .halt, afterMs: 5)] } == nil)
    }
}
