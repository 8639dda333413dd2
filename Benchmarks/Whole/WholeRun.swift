// One run of the whole: the exchange and redis-server in processes of their own, real sockets, the engine in this
// process, whose other threads sleep or (the subscriber) are not counted. It ends with the proof that Redis holds what
// the exchange said. Main thread.

import FastFeed
import Foundation
import VenueSimulator

final class WholeRun {
    let rig: Rig
    let engine: Engine
    /// When the engine was started.
    let startedNs: UInt64

    /// Starts everything and waits until all series are subscribed.
    init(_ setup: Setup) throws {
        rig = try Rig(setup)
        var configuration = EngineConfiguration()
        configuration.venue = try WebSocketEndpoint(url: rig.exchange.webSocketBase)
        configuration.venueAuthorityFile = rig.exchange.authorityFile
        configuration.redis = rig.redisEndpoint
        configuration.history = setup.history
        configuration.coalesces = setup.coalesces
        configuration.takesCommands = setup.takesCommands
        configuration.fluxes = [FluxDefinition(symbols: setup.followedNames, intervals: setup.intervals)]
        if let healing = setup.healing {
            configuration.venueREST = try RestEndpoint(url: rig.exchange.restBase)
            configuration.backfill = healing.backfill
        }
        engine = try Engine(configuration)
        startedNs = MonotonicClock.nowNs()
        try engine.start()
        try Wait.until(30, "all series subscribed") { count(.connectionsLive) >= UInt64(setup.connections) }
        guard setup.takesCommands else { return }
        let client = try RedisClient.connect(rig.redisEndpoint)
        try Wait.until(30, "the service to take commands") { try client.command("EXISTS", Setup.schema.serviceStatusKey).integer == 1 }
    }

    deinit {
        rig.exchange.stop()
        _ = engine.stop(timeout: .milliseconds(500))
    }

    func count(_ id: CounterID) -> UInt64 { engine.snapshot().counters[id] }

    // MARK: What is measured

    /// All meters at one moment.
    typealias Meters = (engine: EngineSnapshot, reading: Reading)

    func read() throws -> Meters {
        let engine = engine.snapshot()
        return (engine, try Reading(frames: engine.counters[.messagesReceived], programNs: ProcessorTime.ofEngine(), rig))
    }

    /// What happened between two moments.
    struct Window {
        private let before, after: EngineSnapshot
        let pace: Pace

        init(_ before: Meters, _ after: Meters) throws {
            (self.before, self.after) = (before.engine, after.engine)
            pace = try Pace(from: before.reading, to: after.reading)
        }

        func delta(_ id: CounterID) -> Double { Double(after.counters[id] - before.counters[id]) }
        var latency: HistogramSnapshot { after.latency - before.latency }
        var stages: StageSnapshots { after.stages - before.stages }
    }

    // MARK: The proof

    /// Ends the exchange, lets the engine take what was sent, and compares Redis with the exchange's truth.
    /// - Throws: one sentence, when anything is lost, changed or miscounted.
    func finish() throws {
        let reconnects = count(.reconnects)
        let counters = try end()
        guard reconnects == 0 else {
            throw FeedError(.venue, "\(reconnects) reconnects in the middle of the run: this machine does not keep up with the load")
        }
        try rig.prove((counters[.recordsTaken] - counters[.duplicates], counters[.closedWritten]))
    }

    /// The same of a run that heals: what must be there must be, whoever was told of it.
    /// - Parameter leastRequired: so many candles must have been there to prove anything.
    func finish(leastRequired: Int, isRequired: (ClosedCandle, TruthCheck.Kept) -> Bool) throws {
        let gaps = engine.openGaps.count
        _ = try end()
        let check = try rig.compare(isRequired: isRequired)
        guard check.isFlawless, check.required >= leastRequired, gaps == 0 else {
            throw FeedError(.redis, "\(check); \(gaps) holes are left, \(leastRequired) candles must be there at least")
        }
    }

    /// - Returns: the engine's counters, which balance.
    private func end() throws -> CounterSnapshot {
        rig.exchange.stop()
        // The exchange has closed its sockets; the last bytes are read until nothing more comes.
        var (last, quiet): (UInt64, Int) = (0, 0)
        while quiet < 3 {
            usleep(50_000)
            let now = count(.messagesReceived)
            (quiet, last) = (now == last ? quiet + 1 : 0, now)
        }
        let report = engine.stop()
        let counters = engine.snapshot().counters
        guard report.isClean else { throw FeedError(.redis, "not everything was written: \(report)") }
        guard counters.isBalanced, counters.rejected == 0, counters[.redisRejected] == 0, counters[.closedQueueOverflow] == 0 else {
            throw FeedError(.system, "the books do not balance, or something was refused: \(counters.books)")
        }
        return counters
    }
}
