// A whole system on loopback: local exchange, real redis-server, engine; and the comparison of what Redis holds
// with the exchange's own truth.

import FastFeed
import Foundation
import Testing
import VenueSimulator

/// Exchange, Redis and engine of one test.
final class Rig {
    let venue: VenueSimulator
    let redis: RedisServerProcess
    let engine: Engine
    private(set) var client: RedisClient

    struct Options {
        var simulator = SimulatorConfiguration()
        var redis = RedisServerProcess.Options()
        var usesRedisTLS = false
        var intervals: [Interval] = [.s1, .m1]
        var readerCount = 1
        var threading = ThreadingMode.shared
        var adjust: (inout EngineConfiguration) -> Void = { _ in }
    }

    init(_ options: Options) throws {
        venue = try VenueSimulator(configuration: options.simulator)
        try venue.start()
        redis = try RedisServerProcess(options.redis)
        var configuration = EngineConfiguration()
        configuration.market = options.simulator.market
        configuration.fluxes = [FluxDefinition(symbols: venue.symbols.map(\.symbol), intervals: options.intervals)]
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.venueAuthorityFile = venue.certificateAuthorityFile
        configuration.redis = options.usesRedisTLS ? redis.tlsEndpoint! : redis.endpoint
        configuration.readerCount = options.readerCount
        configuration.threading = options.threading
        configuration.history = 100_000
        options.adjust(&configuration)
        engine = try Engine(configuration)
        client = try RedisClient.connect(redis.endpoint)
        try engine.start()
    }

    /// After Redis was killed and restarted.
    func reconnectClient() {
        do { client = try RedisClient.connect(redis.endpoint) } catch { Issue.record("\(error)") }
    }

    private var readHistories: [Series: [Int64: [String: String]]] = [:]

    /// `history`, read once; only after the engine has stopped.
    func storedHistory(_ series: Series) throws -> [Int64: [String: String]] {
        if let known = readHistories[series] { return known }
        let read = try history(series)
        readHistories[series] = read
        return read
    }

    var counters: CounterSnapshot { engine.snapshot().counters }

    /// Waits until a condition holds; a failed expectation if it does not in time.
    func wait(seconds: Double, _ what: Comment, _ condition: () -> Bool) {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while !condition() {
            guard Date() < deadline else {
                Issue.record("not within \(seconds) s: \(what)")
                return
            }
            usleep(20_000)
        }
    }

    /// Stops the exchange, lets the engine take what was sent, and stops it.
    func finish() -> StopReport {
        venue.stop()
        // The exchange has closed its sockets; the last bytes are read until nothing more comes.
        var last = counters[.messagesReceived]
        var quiet = 0
        while quiet < 5 {
            usleep(100_000)
            let now = counters[.messagesReceived]
            quiet = now == last ? quiet + 1 : 0
            last = now
        }
        let report = engine.stop()
        for line in engine.drainJournal() where line.level >= .warning {
            print("journal:", line.message, line.fields.map { "\($0)=\($1)" }.joined(separator: " "))
        }
        return report
    }

    // MARK: Comparison

    /// Every delivered closed candle is in Redis once, field by field; `latest:*` is the last state of each
    /// stream; and the books balance.
    func expectTruth(allowsUndelivered: Bool = false) throws {
        let truth = venue.closedCandles()
        #expect(!truth.isEmpty)
        var bySeries: [Series: [ClosedCandle]] = [:]
        for closed in truth { bySeries[closed.series, default: []].append(closed) }
        var missing = 0
        var wrong = 0
        var compared = 0
        for (series, list) in bySeries {
            let stored = try history(series)
            let mayBeThere = Set(list.map(\.candle.openTimeMs))
            if stored.keys.contains(where: { !mayBeThere.contains($0) }) {
                Issue.record("\(series): an entry that the exchange never closed")
            }
            for closed in list {
                guard let entry = stored[closed.candle.openTimeMs] else {
                    if closed.delivered || !allowsUndelivered { missing += 1 }
                    continue
                }
                compared += 1
                if entry != Rig.fields(closed.candle) {
                    wrong += 1
                    if wrong <= 3 {
                        Issue.record("\(series) \(closed.candle.openTimeMs): stored \(entry), truth \(Rig.fields(closed.candle))")
                    }
                }
            }
        }
        #expect(missing == 0, "closed candles missing in Redis, of \(truth.count)")
        #expect(wrong == 0)
        #expect(compared > 0)
        expectBalance()
    }

    /// received = rejected + duplicates + coalesced + written, exactly.
    func expectBalance() {
        let c = counters
        let records = c[.messagesReceived] - c[.noticesReceived]
        let sum =
            c.rejected + c[.duplicates] + c[.coalesced] + c[.candlesWritten] + c[.redisRejected] + c[.closedQueueOverflow]
            + c[.staleGeneration]
        #expect(
            records == sum,
            "received \(records), rejected \(c.rejected), duplicates \(c[.duplicates]), coalesced \(c[.coalesced]), written \(c[.candlesWritten])"
        )
        #expect(c[.closedReceived] == c[.closedWritten] + c[.closedQueueOverflow] + c[.closedRejected])
        expectStages()
    }

    /// Every state written counts once in each stage of its way, and the stages add up to the whole, as exactly as buckets are.
    func expectStages() {
        let snapshot = engine.snapshot()
        func sum(_ histogram: HistogramSnapshot) -> UInt64 { histogram.buckets.reduce(0) { $0 + $1.upperBoundNs * $1.count } }
        #expect(snapshot.latency.count == snapshot.counters[.candlesWritten])
        for stage in LatencyStage.allCases { #expect(snapshot.stages[stage].count == snapshot.latency.count, "\(stage.name)") }
        let (whole, parts) = (sum(snapshot.latency), LatencyStage.allCases.reduce(0) { $0 + sum(snapshot.stages[$1]) })
        #expect(max(whole, parts) - min(whole, parts) <= min(whole, parts) / 64, "\(parts) ns in stages, \(whole) ns in all")
    }

    func expectLatest() throws {
        let states = venue.latestStates()
        #expect(!states.isEmpty)
        var wrong = 0
        for state in states {
            let reply = try client.command(
                "HGET", "latest:\(state.series.market.keyPrefix)\(state.series.interval.token)", state.series.symbol.name)
            guard let text = reply.text, let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
                Issue.record("\(state.series): no latest state (\(reply))")
                continue
            }
            var values = Rig.fields(state.candle)
            values["symbol"] = state.series.symbol.name
            values["interval"] = state.series.interval.token
            values["open_time"] = String(state.candle.openTimeMs)
            values["event_time"] = String(state.candle.eventTimeMs)
            var stored = object.filter { $0.key != "closed" }.mapValues { "\($0)" }
            stored["closed"] = nil
            #expect(object["closed"] as? Bool == state.candle.isClosed)
            if stored != values {
                wrong += 1
                if wrong <= 3 { Issue.record("\(state.series): latest \(stored), truth \(values)") }
            }
        }
        #expect(wrong == 0)
    }

    func history(_ series: Series) throws -> [Int64: [String: String]] { try Rig.history(series, client) }

    /// A series' history: open time → fields. An id that is not `<ms>-0`, or comes twice, is an issue.
    static func history(_ series: Series, _ client: RedisClient) throws -> [Int64: [String: String]] {
        let key = "candles:{\(series.market.keyPrefix)\(series.symbol)}:\(series.interval.token)"
        var result: [Int64: [String: String]] = [:]
        for entry in try client.command("XRANGE", key, "-", "+").elements {
            guard let id = entry.elements.first?.text, id.hasSuffix("-0"), let open = Int64(id.dropLast(2)) else {
                Issue.record("\(key): entry id \(entry)")
                continue
            }
            if result.updateValue(Dictionary(entry.elements[1].pairs) { $1 }, forKey: open) != nil { Issue.record("\(key): \(open) twice") }
        }
        return result
    }

    static func fields(_ candle: CandleRecord) -> [String: String] {
        [
            "open": candle.open.description, "high": candle.high.description, "low": candle.low.description,
            "close": candle.close.description, "volume": candle.volume.description, "close_time": String(candle.closeTimeMs),
            "quote_volume": candle.quoteVolume.description, "count": String(candle.tradeCount),
            "taker_buy_volume": candle.takerBuyVolume.description, "taker_buy_quote_volume": candle.takerBuyQuoteVolume.description,
            "first_trade_id": String(candle.firstTradeID), "last_trade_id": String(candle.lastTradeID), "source": candle.source.name,
            "revision": "0",
        ]
    }
}
