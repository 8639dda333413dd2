// Nothing is missing: what the streams never brought comes from the exchange's REST interface, in order where there is time. Local exchange,
// real redis-server, the engine or the real program.

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
        try beAway(options, .s1, ms: 4_000)
    }

    /// The same of 300 series of a minute, over two closes.
    @Test(.nightly) func connectionsAwayForMinutes() throws {
        var options = HealTests.options(symbols: 300)
        (options.intervals, options.readerCount) = ([.m1], 2)
        options.redis.arguments = ["--slowlog-log-slower-than", "5000"]
        try beAway(options, .m1, ms: 150_000)
    }

    private func beAway(_ options: Rig.Options, _ interval: Interval, ms: Int64) throws {
        let rig = try HealTests.rig(options)
        let (startMs, symbols) = (rig.venue.virtualTimeMs, UInt64(rig.venue.symbols.count))
        let barMs = try #require(interval.lengthMs)
        rig.wait(seconds: 30 + 2 * Double(barMs) / 1_000, "candles") { rig.counters[.closedWritten] >= 2 * symbols }
        let reader = ["XREADGROUP", "GROUP", "tail", "one", "COUNT", "100000", "STREAMS"]
        let keys = rig.venue.symbols.map { Keys.history($0.symbol.name, interval) }
        for key in keys { #expect(try rig.client.command("XGROUP", "CREATE", key, "tail", "0").text == "OK") }
        rig.venue.inject(Fault(.refuseConnect, durationMs: ms))
        rig.venue.inject(Fault(.massDisconnect))
        rig.wait(seconds: 30, "away") { rig.counters[.connectionsLive] == 0 }
        rig.wait(seconds: 30 + Double(ms) / 1_000, "back") { rig.counters[.connectionsLive] == 2 }
        let backNs = MonotonicClock.nowNs()
        try rig.waitUntilComplete(fromMs: startMs + 3_000)
        let (healed, seconds) = (rig.counters[.gapCandlesHealed], Double(MonotonicClock.nowNs() - backNs) / 1e9)
        let slow = try rig.client.command("SLOWLOG", "LEN").integer ?? -1
        print(String(format: "away: %d candles healed %.1f s after the return, %d slow commands", Int(healed), seconds, Int(slow)))
        #expect(healed >= symbols)
        let (merges, written) = (rig.counters[.historyScripts], rig.counters[.closedWritten])
        #expect(merges == 0, "\(merges) of \(written) were not appended")
        // No script may put an entry elsewhere than at the end without it.
        #expect(try calls("xsetid", rig) == 0)
        let spent = rig.venue.statistics().rest
        #expect(spent.limited == 0 && spent.weightPeak <= 3_000, "\(spent)")
        // A group that reads forwards has each candle once, in order.
        let replies = try rig.client.command(reader + keys + keys.map { _ in ">" })
        for stream in replies.elements {
            let opens = (stream.elements.last?.elements ?? []).compactMap { $0.elements.first?.text }.compactMap {
                HistoryEntry(id: $0, [])?.openTimeMs
            }
            #expect(zip(opens, opens.dropFirst()).allSatisfy { $1 == $0 + barMs }, "\(stream.elements.first?.text ?? "")")
        }
        // On a busy machine a bar may be late just now.
        rig.wait(seconds: 30, "no hole, and none in Redis") {
            rig.engine.openGaps.isEmpty && (try? rig.client.command("KEYS", "gaps:*").strings.isEmpty) ?? false
        }
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

    /// A new flux has its history from the start; candles of the stream come behind it.
    @Test func backfill() throws {
        let symbols = Nightly.count(everyday: 40, nightly: 500)
        let candles = Nightly.count(everyday: 500, nightly: 1_000)
        let startedNs = MonotonicClock.nowNs()
        let rig = try HealTests.rig(HealTests.options(symbols: symbols) { $0.backfill = candles })
        let startMs = rig.venue.virtualTimeMs - Int64(candles - 10) * 1_000
        let seconds = Double(Nightly.count(everyday: 60, nightly: 300))
        rig.wait(seconds: seconds, "backfilled") { rig.counters[.gapCandlesHealed] >= UInt64(symbols * (candles - 10)) }
        let tookSeconds = Double(MonotonicClock.nowNs() - startedNs) / 1e9
        try rig.waitUntilComplete(fromMs: startMs, seconds: seconds)
        let spent = rig.venue.statistics().rest
        print(
            String(format: "backfill: %d series with %d candles in %.1f s, weight %d", symbols, candles, tookSeconds, spent.klines.weight))
        #expect(spent.limited == 0 && spent.weightPeak <= 3_000, "\(spent)")
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// The real program, killed again and again at any instant, and started again at once.
    @Test func killed() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 60
        if Nightly.isOn { simulator.pace = .openLoop(framesPerSecond: 20_000) }
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        let redis = try RedisServerProcess()
        // A disk that is busy stops a server that logs what it takes.
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(60))
        let symbols = venue.symbols.map(\.symbol.name).joined(separator: ",")
        let command = [
            "run", "--flux", "\(symbols):1s", "--venue-ws", venue.webSocketBase, "--venue-rest", venue.restBase, "--redis",
            "unix://\(redis.socketPath)", "--backfill", "0", "--log-format", "json",
        ]
        func stored() throws -> Int {
            try client.command("XLEN", Keys.history(venue.symbols[0].symbol.name, .s1)).integer.map(Int.init) ?? 0
        }
        func latest() throws -> [String] { try client.command("HGETALL", Keys.latest(.s1)).strings.sorted() }
        var firstWrites: [Double] = []
        var random = SplitMix64(seed: 7)
        var run = try ProgramRun(command)
        try eventually(20, "candles: \(run.errorText)") { try stored() >= 2 }
        let startMs = venue.virtualTimeMs + 1_000
        for _ in 0..<Nightly.count(everyday: 4, nightly: 100) {
            usleep(UInt32(100_000 + random.below(1_500_000)))
            run.signal(SIGKILL)
            _ = run.end()
            if random.chance(50) { usleep(UInt32(random.below(2_000_000))) }
            let (before, states) = (try stored(), try latest())
            let startedNs = MonotonicClock.nowNs()
            run = try ProgramRun(command)
            try eventually(20, "a state: \(run.errorText)") { try latest() != states }
            firstWrites.append(Double(MonotonicClock.nowNs() - startedNs) / 1e9)
            try eventually(20, "candles: \(run.errorText)") { try stored() > before }
        }
        firstWrites.sort()
        let (median, worst) = (firstWrites[firstWrites.count / 2], firstWrites[firstWrites.count - 1])
        print(String(format: "killed %d times: the first write %.2f s after exec, at worst %.2f s", firstWrites.count, median, worst))
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
