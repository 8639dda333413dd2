// The publishing side in virtual time: the laws of kline streams, and agreement with REST.

import FastFeed
import TestKit
import Testing
import VenueSimulator

struct PushEngineTests {
    /// Runs an exchange for some virtual time with some streams subscribed.
    private func run(
        _ configuration: SimulatorConfiguration, _ names: [String], forMs: Int64, unit: TimeUnit = .millisecond
    ) throws -> (entries: [CollectingSink.Entry], closed: [ClosedCandle], names: [String]) {
        try configuration.validate()
        var engine = PushEngine(configuration: configuration, startMs: testStartMs)
        for name in names {
            let known = engine.streamIndex(ofName: name)
            let index = try #require(known)
            engine.subscribe(index, in: unit)
        }
        var sink = CollectingSink()
        _ = engine.run(untilMs: testStartMs + forMs, eventsMax: .max, into: &sink)
        return (sink.entries, engine.closedCandles(), names)
    }

    @Test(arguments: [Market.spot, .um])
    func lawsOfAStream(_ market: Market) throws {
        let symbols = ["btcusdt", "sim0001usdt", "sim0004usdt"]
        let intervals = market == .spot ? ["1s", "1m", "3m", "5m"] : ["1m", "3m", "5m"]
        let names = symbols.flatMap { symbol in intervals.map { "\(symbol)@kline_\($0)" } }
        let result = try run(testConfiguration(market: market), names, forMs: 900_000)
        for stream in names.indices {
            let events = result.entries.filter { $0.event.stream == stream }.map(\.json)
            let delays = testConfiguration(market: market).closeDelayMs(of: names[stream].hasSuffix("1s") ? .s1 : .m1)
            var lastE: Int64 = 0
            var open: Int64 = 0
            var isOpenClosed = false
            var closes = 0
            var lastID: Int64 = -1
            for event in events {
                let k = try #require(event["k"])
                #expect(event["E"]!.int > lastE)
                #expect(k["t"]!.int >= open)
                if k["t"]!.int == open { #expect(!isOpenClosed, "nothing after the closed event") }
                if open != 0 && k["t"]!.int > open { #expect(isOpenClosed, "the next bar waits for the closed event") }
                if k["n"]!.int > 0 {
                    #expect(k["n"]!.int == k["L"]!.int - k["f"]!.int + 1)
                    if k["t"]!.int > open, lastID >= 0 { #expect(k["f"]!.int == lastID + 1) }
                }
                if k["x"]!.isTrue {
                    closes += 1
                    #expect(delays.contains(event["E"]!.int - k["T"]!.int - 1))
                    if k["n"]!.int > 0 { lastID = k["L"]!.int }
                }
                (lastE, open, isOpenClosed) = (event["E"]!.int, k["t"]!.int, k["x"]!.isTrue)
            }
            let minutes: Int64 =
                names[stream].hasSuffix("1s") ? 900 : names[stream].hasSuffix("1m") ? 15 : names[stream].hasSuffix("3m") ? 5 : 3
            #expect(Int64(closes) >= minutes - 1 && Int64(closes) <= minutes + 1)
        }
        #expect(result.closed.count == result.entries.count { $0.event.isClosed })
    }

    @Test func periodsAndPhases() throws {
        let names = (1...4).map { "sim000\($0)usdt@kline_1h" } + ["btcusdt@kline_1h", "ethusdt@kline_1h"]
        let result = try run(testConfiguration(), names, forMs: 60_000)
        for stream in names.indices {
            let times = result.entries.filter { $0.event.stream == stream }.map(\.event.eventTimeMs)
            #expect(times.count == 30)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 2_000 })
        }
        #expect(Set(result.entries.map { $0.event.eventTimeMs % 2_000 }).count > 3, "phases are spread")
    }

    @Test func onChangeOnlyKeepsQuiet() throws {
        var configuration = testConfiguration()
        let all = try run(configuration, ["sim0004usdt@kline_15m"], forMs: 120_000).entries
        configuration.pushOnlyOnChange = true
        let changed = try run(configuration, ["sim0004usdt@kline_15m"], forMs: 120_000).entries
        #expect(all.count > 50 && changed.count < 5)
        let btc = try run(testConfiguration(market: .um), ["btcusdt@kline_1m"], forMs: 10_000).entries
        #expect(btc.count > 20, "a futures stream that trades speaks four times a second")
    }

    @Test func liveBarsEqualHistory() throws {
        let configuration = testConfiguration()
        let names =
            ["btcusdt", "sim0004usdt", "sim0002usdt"].flatMap { symbol in
                Interval.allCases.map { "\(symbol)@kline_\($0.token)" }
            } + ["btcusdt@kline_1d@+08:00"]
        let result = try run(configuration, names, forMs: 3_700_000)
        var histories: [Symbol: BarHistory] = [:]
        for spec in SymbolSpec.list(seed: 7, market: .spot, count: 16, illiquidEvery: 4) {
            histories[spec.symbol] = BarHistory(Tape(spec: spec, listingMs: testStartMs - 180 * 60_000))
        }
        #expect(result.closed.count > 3 * 3_700)
        for closed in result.closed where closed.offsetMs == 0 && closed.series.interval != .s1 {
            let candle = closed.candle
            var history = histories[closed.series.symbol]!
            let found = history.bars(
                on: BarGrid(closed.series.interval, anchorMs: 0),
                in: .init(fromMs: candle.openTimeMs, throughMs: candle.openTimeMs, limit: 1), nowMs: testStartMs + 4_000_000)
            let bar = try #require(found.first)
            histories[closed.series.symbol] = history
            #expect(bar.closeTimeMs == candle.closeTimeMs)
            let spec = SymbolSpec.list(seed: 7, market: .spot, count: 16, illiquidEvery: 4).first { $0.symbol == closed.series.symbol }!
            let again = KlineState(eventTimeMs: 0, openTimeMs: bar.openTimeMs, nextOpenMs: bar.nextOpenMs, isClosed: true, sum: bar.sum)
                .candle(interval: closed.series.interval, format: ValueFormat(spec, market: .spot))
            #expect(again.hasSameValues(as: candle))
        }
    }

    @Test func theSameSeedSaysTheSame() throws {
        let first = try run(testConfiguration(), ["btcusdt@kline_1m", "ethusdt@kline_1s"], forMs: 30_000)
        let second = try run(testConfiguration(), ["btcusdt@kline_1m", "ethusdt@kline_1s"], forMs: 30_000)
        #expect(first.entries.map(\.wrapped) == second.entries.map(\.wrapped))
    }

    @Test func budgetAndBackPressureLoseNothing() throws {
        let configuration = testConfiguration()
        let whole = try run(configuration, ["btcusdt@kline_1m", "ethusdt@kline_1s"], forMs: 20_000).entries.map(\.bare)
        var engine = PushEngine(configuration: configuration, startMs: testStartMs)
        for name in ["btcusdt@kline_1m", "ethusdt@kline_1s"] {
            let known = engine.streamIndex(ofName: name)
            let index = try #require(known)
            engine.subscribe(index, in: .millisecond)
        }
        var sink = CollectingSink()
        sink.acceptsMore = false
        let stalled = engine.run(untilMs: testStartMs + 20_000, eventsMax: 10, into: &sink)
        #expect(stalled == 0)
        sink.acceptsMore = true
        while engine.run(untilMs: testStartMs + 20_000, eventsMax: 1, into: &sink) == 1 {}
        #expect(sink.entries.map(\.bare) == whole)
    }

    @Test func lostSubscribersLeaveCandlesDue() throws {
        var engine = PushEngine(configuration: testConfiguration(), startMs: testStartMs)
        let known = engine.streamIndex(ofName: "btcusdt@kline_1s")
        let index = try #require(known)
        engine.subscribe(index, in: .millisecond)
        var sink = CollectingSink()
        _ = engine.run(untilMs: testStartMs + 5_000, eventsMax: .max, into: &sink)
        engine.unsubscribe(index, in: .millisecond, isDeliberate: false)
        let sent = sink.entries.count
        _ = engine.run(untilMs: testStartMs + 10_000, eventsMax: .max, into: &sink)
        #expect(sink.entries.count == sent)
        let stillDue = engine.closedCandles().count
        #expect(stillDue >= 9)
        engine.subscribe(index, in: .microsecond)
        _ = engine.run(untilMs: testStartMs + 12_000, eventsMax: .max, into: &sink)
        #expect(sink.entries.last?.unit == .microsecond)
        engine.unsubscribe(index, in: .microsecond, isDeliberate: true)
        let due = engine.closedCandles().count
        _ = engine.run(untilMs: testStartMs + 30_000, eventsMax: .max, into: &sink)
        let dueLater = engine.closedCandles().count
        #expect(dueLater == due)
        let unknown = engine.streamIndex(ofName: "nosuchcoin@kline_1m")
        #expect(unknown == nil)
    }

    @Test func truthIsBounded() {
        var truth = TruthLog(candlesMax: 3)
        let state = KlineState(eventTimeMs: 0, openTimeMs: 0, nextOpenMs: 1, isClosed: true, sum: .flat(at: 1))
        for stream in 0..<5 {
            let sequence = truth.appendClosed(stream: stream, state)
            #expect(sequence == Int64(stream))
        }
        truth.addDelivery(0)
        truth.addDelivery(4)
        #expect(truth.forgotten == 2 && truth.count == 3)
        #expect(MemoryLayout<TruthLog.Closed>.stride == 144)
        #expect((0..<3).map { truth.entry(at: $0).stream } == [2, 3, 4])
        #expect((0..<3).map { truth.entry(at: $0).deliveries } == [0, 0, 1])
    }

    @Test func theWheelServesAnyDistance() {
        var wheel = TimerWheel(startMs: 1_000)
        let times: [Int64] = [1_000, 1_001, 5_095, 5_096, 5_097, 30_000, 900]
        for (index, time) in times.enumerated() { wheel.insert(index, atMs: time) }
        var served: [Int: Int64] = [:]
        while wheel.pendingCount > 0 {
            while let index = wheel.popDue() { served[index] = wheel.nowMs }
            wheel.advance(toMs: .max)
        }
        for (index, time) in times.enumerated() { #expect(served[index] == max(time, 1_000)) }
    }
}
