// A whole system on loopback: local exchange, real redis-server, engine; and the comparison of what Redis holds
// with the exchange's own truth.

import FastFeed
import Foundation
import TestKit
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

    var counters: CounterSnapshot { engine.snapshot().counters }

    /// Waits until a condition holds; a failed expectation if it does not in time.
    func wait(seconds: Double, _ what: Comment, _ condition: () -> Bool) {
        if !comesTrue(within: seconds, condition) { Issue.record("not within \(seconds) s: \(what)") }
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

    /// Every delivered closed candle (or: every one announced) is in Redis once, with the exact text of every field; nothing else
    /// is; and the books balance.
    func expectTruth(allowsUndelivered: Bool = false) throws {
        let check = try checkTruth(isRequired: { closed, _ in closed.delivered || !allowsUndelivered })
        #expect(check.isFlawless, "\(check.summary)")
        expectBalance()
    }

    /// Histories against the exchange's truth, for who knows better what must be there.
    func checkTruth(
        of closed: [ClosedCandle]? = nil, isRequired: (ClosedCandle, TruthCheck.Kept) -> Bool = TruthCheck.isDelivered
    ) throws -> TruthCheck {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkHistories(closed ?? venue.closedCandles(), isRequired: isRequired)
        #expect(check.same > 0, "nothing is proven")
        return check
    }

    /// Every message has one end.
    func expectBalance() {
        #expect(counters.isBalanced, "\(counters.books)")
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

    /// `latest:*` is the last state of each stream.
    func expectLatest() throws {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkLatest(venue.latestStates())
        #expect(check.isFlawless, "\(check.summary)")
        #expect(check.latestCompared > 0, "nothing is proven")
    }
}
