// Healing when the exchange is difficult: answers that go wrong, bars that it does not have, streams that are mute; and what it must not
// cost: where each stream comes twice, or connections are replaced, the exchange is asked for nothing. Local exchange, real redis-server.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Healing, faults", .serialized)
struct HealFaultTests {
    private func klineCalls(_ rig: Rig) -> Int { rig.venue.statistics().rest.klines.calls }

    /// The audit asks by itself: not where calls are counted.
    private func rig(symbols: Int, adjust: @escaping (inout EngineConfiguration) -> Void = { _ in }) throws -> Rig {
        try HealTests.rig(
            HealTests.options(symbols: symbols) {
                $0.auditPercent = 0
                adjust(&$0)
            })
    }

    // MARK: Answers that go wrong

    /// Every kind of bad answer during a backfill: all is there in the end, and who is told to wait has waited.
    @Test func badAnswers() throws {
        let symbols = Nightly.count(everyday: 30, nightly: 300)
        let candles = Nightly.count(everyday: 300, nightly: 1_000)
        let rig = try rig(symbols: symbols)
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing && rig.counters[.closedWritten] >= UInt64(symbols) }
        // The first two answers; the others strike now and then.
        let faults =
            "restStatus,value=429,retry=1;restStatus,value=418,retry=1;restStatus,value=503,count=2,probability=0.05;"
            + "restStatus,value=403,probability=0.05;restTruncate,count=2,probability=0.05;restWrongLength,probability=0.05;"
            + "restReset,count=2,probability=0.05;restSlow,value=700,count=2,probability=0.05"
        for fault in try Fault.plan(text: faults) { rig.venue.inject(fault) }
        let fromMs = rig.venue.virtualTimeMs - Int64(candles - 5) * 1_000
        let caller = try CommandCaller(rig.redis.endpoint)
        for symbol in rig.venue.symbols {
            let answer = try caller.call("data:backfill", "\"symbol\":\"\(symbol.symbol)\",\"interval\":\"1s\",\"count\":\(candles)")
            #expect(answer["status"] as? String == "ok", "\(answer)")
        }
        try rig.waitUntilComplete(fromMs: fromMs, seconds: Double(Nightly.count(everyday: 60, nightly: 300)))
        let rest = rig.venue.statistics().rest
        #expect(rest.limited >= 1 && rest.banned >= 1 && rig.counters[.gapCandlesHealed] >= UInt64(symbols * (candles - 30)), "\(rest)")
        // Requests that were on the wire with the one that was refused could not know.
        #expect(rest.early <= 3 * (rest.limited + rest.banned), "\(rest)")
        #expect(rest.weightPeak <= 3_000, "\(rest)")
        _ = rig.finish()
        try rig.expectComplete(fromMs: fromMs)
        rig.expectBalance()
    }

    // MARK: Bars that do not exist

    /// The exchange closes for some seconds: bars in it are absent, shown as such, and asked for no more; those at its edges are right.
    @Test func maintenance() throws {
        let rig = try rig(symbols: 20)
        let startMs = rig.venue.virtualTimeMs + 1_000
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 60 }
        let window = rig.venue.plan(MaintenanceWindow(afterMs: 500, durationMs: 4_500))
        let (firstMs, endMs) = ((window.lowerBound + 999) / 1_000 * 1_000, window.upperBound / 1_000 * 1_000)
        let bars = UInt64((endMs - firstMs) / 1_000)
        rig.wait(seconds: 30, "a reason why nothing comes") { rig.engine.troubles.ofConnections != nil }
        rig.wait(seconds: 90, "bars that are absent, and no hole") {
            rig.counters[.gapCandlesAbsent] >= 20 * bars && rig.engine.openGaps.isEmpty && rig.counters[.connectionsLive] > 0
        }
        #expect(
            rig.counters[.gapCandlesAbsent] == 20 * bars,
            "bars from \(firstMs) to \(endMs); \(rig.venue.statistics().rest), asked \(rig.counters[.healRequests]), late \(rig.counters[.lateCloses])"
        )
        for symbol in rig.venue.symbols {
            let series = Series(symbol: symbol.symbol, interval: .s1)
            func absent() throws -> [Gap] {
                try rig.client.command("HGETALL", Keys.schema.gapsKey(series)).pairs.compactMap { GapRow.gap(series, name: $0, text: $1) }
            }
            try eventually(20, "\(series) shows what is absent") {
                let gaps = try absent().sorted { $0.fromMs < $1.fromMs }
                return gaps.first?.fromMs == firstMs && gaps.last?.untilMs == endMs && gaps.allSatisfy { $0.state == .absent }
                    && gaps.reduce(0) { $0 + UInt64($1.untilMs - $1.fromMs) / 1_000 } == bars
            }
        }
        try rig.waitUntilComplete(fromMs: startMs)
        // Who asked on would ask for each series, with pauses of some seconds.
        let (calls, before) = (klineCalls(rig), rig.counters)
        rig.wait(seconds: 60, "more candles") { rig.counters[.closedWritten] >= before[.closedWritten] + 8 * 20 }
        let asked = klineCalls(rig) - calls
        let late = Int(rig.counters[.lateCloses] - before[.lateCloses])
        #expect(asked < 10 + 4 * late, "asked \(asked) times for what is not there, \(late) late")
        _ = rig.finish()
        let check = try rig.completeness(fromMs: startMs)
        #expect(check.isFlawless && check.same > 0, "\(check)")
        rig.expectBalance()
    }

    // MARK: Mute streams

    /// One stream says nothing on the connection that it is on: it is subscribed anew, in the end elsewhere, and its hole is filled. Symbols
    /// that nobody trades are as silent, and nothing is done about them.
    @Test func aMuteStreamAmongQuietOnes() throws {
        let quiet = Nightly.count(everyday: 10, nightly: 50)
        var options = HealTests.options(symbols: Nightly.count(everyday: 40, nightly: 200)) { $0.auditPercent = 0 }
        (options.simulator.quietSymbols, options.simulator.pushOnlyOnChange) = (quiet, true)
        (options.intervals, options.readerCount) = ([.s1, .m1], 2)
        let rig = try HealTests.rig(options)
        rig.wait(seconds: 30, "candles on both connections") {
            rig.counters[.closedWritten] >= UInt64(3 * rig.venue.symbols.count) && rig.counters[.connectionsLive] == 2
        }
        let (startMs, reconnects) = (rig.venue.virtualTimeMs, rig.counters[.reconnects])
        let symbol = rig.venue.symbols[0].symbol
        rig.venue.inject(Fault(.muteOnConnection, stream: "\(symbol)@kline_1s"))
        let mutedNs = MonotonicClock.nowNs()
        rig.wait(seconds: 60, "subscribed anew") { rig.counters[.muteStreams] >= 1 }
        let seconds = Double(MonotonicClock.nowNs() - mutedNs) / 1e9
        print(String(format: "a mute stream among %d: subscribed anew after %.1f s", 2 * rig.venue.symbols.count, seconds))
        rig.wait(seconds: 60, "once more, elsewhere") { rig.counters[.muteStreams] >= 2 }
        let mutes = rig.counters[.muteStreams]
        let key = Keys.history(symbol.name, .s1)
        func live() throws -> Int { try rig.client.command("XREVRANGE", key, "+", "-", "COUNT", "5").elements.count { $0.isLive } }
        try eventually(30, "candles of the stream again") { try live() == 5 }
        try rig.waitUntilComplete(fromMs: startMs)
        #expect(rig.counters[.muteStreams] == mutes, "it speaks")
        let named = rig.engine.drainJournal().filter { $0.message.hasPrefix("a stream brings nothing") }.flatMap(\.fields)
            .filter { $0.0 == "series" }.map(\.1)
        #expect(!named.isEmpty && named.allSatisfy { $0 == "\(Series(symbol: symbol, interval: .s1))" }, "\(named)")
        #expect(rig.counters[.reconnects] == reconnects, "nothing of it costs a connection")
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    /// Symbols that nobody trades, for an hour by night: no connection, no subscription and few questions. So many that the whole service
    /// asks about silent streams at most `Limits.silenceBurst` times at once and once in `Limits.silencePauseMs`, whatever their number.
    @Test func quietSymbolsCostAQuestionNowAndThen() throws {
        let quiet = 50
        var options = HealTests.options(symbols: quiet + 12) { $0.auditPercent = 0 }
        (options.simulator.quietSymbols, options.simulator.pushOnlyOnChange) = (quiet, true)
        options.intervals = [.s1, .m1]
        // The minute ends soon, so that streams fall silent once more.
        options.simulator.startTimeMs = (WallClock.nowMs() / 60_000 + 1) * 60_000 - 3_000
        let rig = try HealTests.rig(options)
        rig.wait(seconds: 30, "candles, and what ended before the streams were there") {
            rig.counters[.closedWritten] >= UInt64(rig.venue.symbols.count) && rig.counters[.connectionsLive] == 1
                && rig.engine.openGaps.isEmpty
        }
        let (startedNs, startCalls) = (MonotonicClock.nowNs(), klineCalls(rig))
        let (startMs, before) = (rig.venue.virtualTimeMs + 1_000, rig.counters)
        let untilMs = startMs + Int64(Nightly.count(everyday: 6_000, nightly: 3_600_000))
        rig.wait(seconds: Double(Nightly.count(everyday: 60, nightly: 3_700)), "a while") { rig.venue.virtualTimeMs >= untilMs }
        let (counters, calls) = (rig.counters, klineCalls(rig) - startCalls)
        let elapsedMs = Int((MonotonicClock.nowNs() - startedNs) / 1_000_000)
        let calm = [CounterID.reconnects, .connectionsOpened, .subscribeRequests, .rollovers]
        for id in calm { #expect(counters[id] == before[id], "\(id.name)") }
        #expect(counters[.muteStreams] == 0)
        // A bar that closes late on a busy machine is asked for, too, and perhaps more than once.
        let allowed = Limits.silenceBurst + elapsedMs / Limits.silencePauseMs + 1 + 4 * Int(counters[.lateCloses])
        print("quiet: \(calls) requests for candles in \(elapsedMs / 1_000) s, \(allowed) allowed")
        #expect(calls > 0 && calls <= allowed, "\(calls) requests, \(allowed) allowed")
        try rig.waitUntilComplete(fromMs: startMs)
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }

    // MARK: What costs nothing

    /// What the engine's threads have used, in nanoseconds.
    private func engineNs() -> UInt64 {
        let folder = "/proc/self/task"
        func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).reduce(0) { sum, task in
            let name = text("\(folder)/\(task)/comm").trimmingCharacters(in: .newlines)
            guard ["feed", "sink", "heal", "control"].contains(name) || name.hasPrefix("reader-") else { return sum }
            return sum + (text("\(folder)/\(task)/schedstat").split(separator: " ").first.flatMap { UInt64($0) } ?? 0)
        }
    }

    /// One of two connections that carry the same streams is cut over and over: nobody sees a hole, and the exchange is asked for nothing.
    @Test func aCutOfOneOfTwoAsksForNothing() throws {
        let symbols = 60
        func run(redundancy: Int, cuts: Int, everySeconds: Double) throws -> Double {
            let rig = try rig(symbols: symbols) { $0.redundancy = redundancy }
            rig.wait(seconds: 30, "candles") {
                rig.counters[.closedWritten] >= UInt64(2 * symbols) && rig.counters[.connectionsLive] == UInt64(redundancy)
            }
            let (startMs, calls, cpuNs) = (rig.venue.virtualTimeMs, klineCalls(rig), engineNs())
            let before = rig.counters
            let written = before[.closedWritten]
            var nextNs = MonotonicClock.nowNs()
            for _ in 0..<cuts {
                rig.wait(seconds: 90, "both live, and a while after the cut before") {
                    MonotonicClock.nowNs() >= nextNs && rig.counters[.connectionsLive] == 2
                }
                nextNs = MonotonicClock.nowNs() + UInt64(everySeconds * 1e9)
                let closed = rig.counters[.connectionsClosed]
                rig.venue.inject(Fault(.drop))
                rig.wait(seconds: 20, "the cut noticed") { rig.counters[.connectionsClosed] > closed }
            }
            // Who is cut often waits the longer before it comes back.
            rig.wait(seconds: 90, "the last one back") { rig.counters[.connectionsLive] == UInt64(redundancy) }
            rig.wait(seconds: 60, "more candles") { rig.counters[.closedWritten] >= written + UInt64((Nightly.isOn ? 20 : 4) * symbols) }
            let perCandle = Double(engineNs() - cpuNs) / Double(rig.counters[.closedWritten] - written)
            try rig.waitUntilComplete(fromMs: startMs)
            let counters = rig.counters
            // A bar that closes late on a busy machine is a hole, asked for and healed.
            let late = counters[.lateCloses] - before[.lateCloses]
            #expect(klineCalls(rig) - calls <= 4 * Int(late), "\(klineCalls(rig) - calls) requests, \(late) late")
            for id in [CounterID.gapsSeen, .gapCandlesHealed] { #expect(counters[id] - before[id] <= late, "\(id.name)") }
            #expect(rig.engine.openGaps.isEmpty, "\(counters.books)")
            #expect(cuts == 0 || counters[.duplicates] > 0 && counters[.reconnects] >= UInt64(cuts))
            _ = rig.finish()
            try rig.expectComplete(fromMs: startMs)
            rig.expectBalance()
            return perCandle / 1_000
        }
        let twice = try run(redundancy: 2, cuts: Nightly.count(everyday: 4, nightly: 20), everySeconds: Nightly.isOn ? 2 : 0)
        guard Nightly.isOn else { return }
        let once = try run(redundancy: 1, cuts: 0, everySeconds: 0)
        print(String(format: "redundancy: %.0f us of CPU for a closed candle, %.0f without: ratio %.2f", twice, once, twice / once))
    }

    /// Connections live for 30 s, for half an hour: nothing is missing, and one at a time is replaced.
    @Test(.nightly) func manyRolls() throws {
        var options = HealTests.options(symbols: 60) {
            $0.auditPercent = 0
            $0.streamsPerConnectionMax = 30
            $0.connectionLifetime = .seconds(30)
        }
        options.readerCount = 2
        let rig = try HealTests.rig(options)
        rig.wait(seconds: 30, "candles") { rig.counters[.closedWritten] >= 120 }
        let (startMs, calls) = (rig.venue.virtualTimeMs, klineCalls(rig))
        var steps: [String] = []
        // The journal is bounded: it is read as it grows.
        rig.wait(seconds: 3_600, "120 replaced: two connections, half an hour") {
            steps += rig.engine.drainJournal().map(\.message)
            return rig.counters[.rollovers] >= 120
        }
        steps = steps.filter { $0.hasPrefix("replacing a connection") || $0 == "connection replaced" }
        for (place, step) in steps.enumerated() { #expect((step == "connection replaced") == (place % 2 == 1), "\(place): \(step)") }
        #expect(!steps.isEmpty && rig.counters[.reconnects] == 0)
        try rig.waitUntilComplete(fromMs: startMs)
        // A machine that stands still for seconds makes bars late, and those are asked for; a roll makes none.
        let asked = klineCalls(rig) - calls
        #expect(rig.counters[.gapsSeen] == 0 && (asked == 0 || rig.counters[.lateCloses] > 0), "\(asked) requests for candles")
        _ = rig.finish()
        try rig.expectComplete(fromMs: startMs)
        rig.expectBalance()
    }
}

extension RedisReply {
    /// An entry of a history that came over a stream.
    fileprivate var isLive: Bool {
        let fields = elements.last?.strings ?? []
        guard let place = fields.firstIndex(of: CandleField.source.rawValue), place + 1 < fields.count else { return false }
        return fields[place + 1] == CandleSource.live.name
    }
}
