// Nothing is missing: what the streams never brought, or Redis has lost, comes from the exchange's REST interface, in order where there is
// time. Local exchange, real redis-server, the engine or the real program.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

extension Rig {
    /// All that the exchange has closed since an instant is stored, once, with its values; no hole is left.
    func expectComplete(fromMs: Int64, allowsCorrections: Bool = false) throws {
        let check = try completeness(fromMs: fromMs)
        #expect(allowsCorrections ? check.isWhole : check.isFlawless, "\(check)")
        #expect(check.same > 0, "nothing is proven")
    }

    /// Older candles may be there, too.
    func completeness(fromMs: Int64) throws -> TruthCheck {
        var check = TruthCheck { [client] in try client.command($0) }
        let settledMs = venue.virtualTimeMs - 10_000
        try check.checkHistories(venue.exchangeCandles(fromMs: fromMs - 1_000_000)) { closed, _ in
            closed.candle.openTimeMs >= fromMs && closed.candle.closeTimeMs < settledMs
        }
        return check
    }

    /// Waits until everything up to now is there.
    func waitUntilComplete(fromMs: Int64, seconds: Double = 60) throws {
        let untilMs = venue.virtualTimeMs
        let exchange = venue.exchangeCandles(fromMs: fromMs)
        var last = "nothing was looked at"
        let isComplete = try comesTrue(within: seconds, everyMicroseconds: 200_000) {
            var check = TruthCheck { [client] in try client.command($0) }
            try check.checkComplete(exchange, settledMs: untilMs, historyMax: 100_000)
            last = "\(check)"
            return check.missing == 0
        }
        if !isComplete { Issue.record("not complete within \(seconds) s: \(last); \(counters.books)") }
    }
}

@Suite("Healing", .serialized)
struct HealTests {
    static func options(symbols: Int = 30, adjust: @escaping (inout EngineConfiguration) -> Void = { _ in }) -> Rig.Options {
        var options = Rig.Options()
        options.simulator.symbolCount = symbols
        options.intervals = [.s1]
        options.adjust = adjust
        return options
    }

    static func rig(_ options: Rig.Options = options()) throws -> Rig {
        var options = options
        options.simulator.port = try FreePort.find()
        let (port, adjust) = (options.simulator.port, options.adjust)
        options.adjust = {
            $0.venueREST = RestEndpoint(isSecure: false, host: "127.0.0.1", port: port)
            // Who heals is told what to heal by control.
            $0.takesCommands = true
            $0.backfill = 0
            adjust(&$0)
        }
        return try Rig(options)
    }

    /// How often a command was carried out.
    private func calls(_ command: String, _ rig: Rig) throws -> Int {
        let text = try rig.client.command("INFO", "commandstats").text ?? ""
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.firstMatch(of: /calls=([0-9]+)/).flatMap { Int($0.1) } ?? 0
    }

    /// All connections are away over several closes: what is missing is there in order before what comes next.
    @Test(arguments: [ThreadingMode.shared, .dedicated])
    func connectionsAway(threading: ThreadingMode) throws {
        var options = HealTests.options(symbols: 60)
        (options.threading, options.readerCount) = (threading, 2)
        let rig = try HealTests.rig(options)
        let startMs = rig.venue.virtualTimeMs
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 120 }
        let reader = ["XREADGROUP", "GROUP", "tail", "one", "COUNT", "100000", "STREAMS"]
        let keys = rig.venue.symbols.map { Keys.history($0.symbol.name, .s1) }
        for key in keys { #expect(try rig.client.command("XGROUP", "CREATE", key, "tail", "0").text == "OK") }
        rig.venue.inject(Fault(.refuseConnect, durationMs: 4_000))
        rig.venue.inject(Fault(.massDisconnect))
        rig.wait(seconds: 30, "away") { rig.counters[.connectionsLive] == 0 }
        rig.wait(seconds: 30, "back") { rig.counters[.connectionsLive] == 2 }
        try rig.waitUntilComplete(fromMs: startMs + 3_000)
        #expect(rig.counters[.gapCandlesHealed] >= 60)
        let (merges, written) = (rig.counters[.historyScripts], rig.counters[.closedWritten])
        #expect(merges == 0, "\(merges) of \(written) were not appended")
        // A group that reads forwards has each candle once, in order.
        let replies = try rig.client.command(reader + keys + keys.map { _ in ">" })
        for stream in replies.elements {
            let opens = (stream.elements.last?.elements ?? []).compactMap { $0.elements.first?.text }.compactMap {
                HistoryEntry(id: $0, [])?.openTimeMs
            }
            #expect(zip(opens, opens.dropFirst()).allSatisfy { $1 == $0 + 1_000 }, "\(stream.elements.first?.text ?? "")")
        }
        #expect(rig.engine.openGaps.isEmpty)
        #expect(try rig.client.command("KEYS", "gaps:*").strings.isEmpty)
        _ = rig.finish()
        rig.expectBalance()
    }

    /// The closing event never comes, of a stream that goes on.
    @Test func closingEventLost() throws {
        let rig = try HealTests.rig()
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 60 }
        let startMs = rig.venue.virtualTimeMs
        for symbol in rig.venue.symbols.prefix(5) {
            rig.venue.inject(Fault(.missingClose, stream: "\(symbol.symbol)@kline_1s", count: 1))
        }
        rig.wait(seconds: 30, "healed") { rig.counters[.gapCandlesHealed] >= 5 }
        try rig.waitUntilComplete(fromMs: startMs)
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// Redis is started again and has nothing any more: the history is there again.
    @Test func redisForgets() throws {
        let rig = try HealTests.rig(HealTests.options { $0.backfill = 60 })
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 120 }
        let startMs = rig.venue.virtualTimeMs - 30_000
        try rig.waitUntilComplete(fromMs: startMs)
        #expect(try rig.client.command("FLUSHALL").text == "OK")
        rig.redis.kill9()
        try rig.redis.restart()
        rig.reconnectClient()
        rig.wait(seconds: 30, "Redis back") { rig.engine.snapshot().isRedisConnected }
        try rig.waitUntilComplete(fromMs: startMs)
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// A new flux has its history from the start; candles of the stream come behind it.
    @Test func backfill() throws {
        let rig = try HealTests.rig(HealTests.options(symbols: 40) { $0.backfill = 500 })
        let startMs = rig.venue.virtualTimeMs - 490_000
        rig.wait(seconds: 60, "backfilled") { rig.counters[.gapCandlesHealed] >= 40 * 490 }
        try rig.waitUntilComplete(fromMs: startMs)
        let spent = rig.venue.statistics().rest
        #expect(spent.limited == 0 && spent.weightPeak <= 3_000, "\(spent)")
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// The real program, killed again and again at any instant, and started again at once.
    @Test func killed() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 60
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        let redis = try RedisServerProcess()
        let client = try RedisClient.connect(redis.endpoint)
        let symbols = venue.symbols.map(\.symbol.name).joined(separator: ",")
        let command = [
            "run", "--flux", "\(symbols):1s", "--venue-ws", venue.webSocketBase, "--venue-rest", venue.restBase, "--redis",
            "unix://\(redis.socketPath)", "--backfill", "0", "--log-format", "json",
        ]
        func stored() throws -> Int {
            try client.command("XLEN", Keys.history(venue.symbols[0].symbol.name, .s1)).integer.map(Int.init) ?? 0
        }
        var random = SplitMix64(seed: 7)
        var run = try ProgramRun(command)
        try eventually(20, "candles: \(run.errorText)") { try stored() >= 2 }
        let startMs = venue.virtualTimeMs + 1_000
        for _ in 0..<Nightly.count(everyday: 4, nightly: 100) {
            usleep(UInt32(100_000 + random.below(1_500_000)))
            run.signal(SIGKILL)
            _ = run.end()
            if random.chance(50) { usleep(UInt32(random.below(2_000_000))) }
            let before = try stored()
            run = try ProgramRun(command)
            try eventually(20, "candles: \(run.errorText)") { try stored() > before }
        }
        let untilMs = venue.virtualTimeMs
        var check = TruthCheck { try client.command($0) }
        try eventually(30, "all of them: \(check)") {
            check = TruthCheck { try client.command($0) }
            try check.checkComplete(venue.exchangeCandles(fromMs: startMs), settledMs: untilMs, historyMax: 1_500)
            return check.missing == 0
        }
        venue.stop()
        run.signal(SIGTERM)
        #expect(run.end() == 0, "\(run.errorText)")
        check = TruthCheck { try client.command($0) }
        try check.checkHistories(venue.exchangeCandles(fromMs: startMs - 1_000_000)) { closed, _ in
            closed.candle.openTimeMs >= startMs && closed.candle.closeTimeMs < untilMs
        }
        #expect(check.isFlawless && check.healed > 0, "\(check)")
    }
}
