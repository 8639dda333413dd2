// One run of the whole: the exchange and redis-server in processes of their own, real sockets, the engine in this
// process, whose other threads sleep or (the subscriber) are not counted. It ends with the proof that Redis holds what
// the exchange said.

import FastFeed
import Foundation
import VenueSimulator

final class WholeRun {
    let setup: WholeSetup
    let exchange: ExchangeProcess
    let redis: RedisServerProcess
    let engine: Engine
    let subscriber: UpdateSubscriber?
    let engineEndpoint: RedisEndpoint

    /// More entries than any series gets here: Redis must still have them all when they are compared.
    static let history = 1_000_000

    /// Starts everything and waits until all series are subscribed.
    init(_ setup: WholeSetup, subscribes: Bool) throws {
        self.setup = setup
        exchange = try ExchangeProcess(setup.exchangeArguments, keepsTruth: true)
        var options = RedisServerProcess.Options()
        options.isDurable = setup.redis == .aof
        options.port = setup.redis == .tcp ? try FreePort.find() : nil
        redis = try RedisServerProcess(options)
        engineEndpoint = options.port.map { RedisEndpoint(place: .tcp(host: "127.0.0.1", port: $0)) } ?? redis.endpoint
        subscriber = subscribes ? try UpdateSubscriber(engineEndpoint, seriesPeriodNs: setup.seriesPeriodNs) : nil
        var configuration = EngineConfiguration()
        configuration.venue = try WebSocketEndpoint(url: exchange.webSocketBase)
        configuration.venueAuthorityFile = exchange.authorityFile
        configuration.redis = engineEndpoint
        configuration.history = WholeRun.history
        configuration.coalesces = setup.coalesces
        configuration.takesCommands = setup.takesCommands
        configuration.fluxes = [FluxDefinition(symbols: setup.symbols, intervals: [setup.interval])]
        engine = try Engine(configuration)
        try engine.start()
        try waitUntilSubscribed()
    }

    deinit {
        exchange.stop()
        _ = engine.stop(timeout: .milliseconds(500))
        subscriber?.stop()
        redis.stop()
    }

    private func waitUntilSubscribed() throws {
        let deadline = Date(timeIntervalSinceNow: 30)
        while engine.snapshot().counters[.connectionsLive] < UInt64(setup.connections) {
            guard Date() < deadline else { throw FeedError(.venue, "not all series are subscribed after 30 s") }
            usleep(10_000)
        }
        guard setup.takesCommands else { return }
        let client = try RedisClient.connect(engineEndpoint)
        while try client.command("EXISTS", "status:service").integer != 1 {
            guard Date() < deadline else { throw FeedError(.control, "the service takes no commands after 30 s") }
            usleep(10_000)
        }
    }

    // MARK: What is measured

    /// All meters at one moment.
    struct Reading {
        let engine: EngineSnapshot
        let engineCPUNs: UInt64
        let exchangeCPUNs: UInt64
        let redisCPUNs: UInt64
    }

    func read() throws -> Reading {
        guard let redisPid = redis.pid else { throw FeedError(.redis, "redis-server has ended") }
        return try Reading(
            engine: engine.snapshot(), engineCPUNs: ProcessorTime.ofEngine(),
            exchangeCPUNs: ProcessorTime.ofProcess(exchange.processIdentifier), redisCPUNs: ProcessorTime.ofProcess(redisPid))
    }

    /// What happened between two readings.
    struct Window {
        let before: Reading
        let after: Reading

        var seconds: Double { Double(after.engine.uptimeNs - before.engine.uptimeNs) / 1e9 }
        func delta(_ id: CounterID) -> Double { Double(after.engine.counters[id] - before.engine.counters[id]) }
        var frames: Double { delta(.messagesReceived) }
        var latency: HistogramSnapshot { after.engine.latency - before.engine.latency }
        var stages: StageSnapshots { after.engine.stages - before.engine.stages }
        private func microseconds(_ part: KeyPath<Reading, UInt64>) -> Double {
            spentNs(part) / 1_000 / max(1, frames)
        }
        private func spentNs(_ part: KeyPath<Reading, UInt64>) -> Double { Double(after[keyPath: part]) - Double(before[keyPath: part]) }
        /// How busy the exchange was, percent of one core: its threads may need more than one.
        var exchangePercent: Double { spentNs(\.exchangeCPUNs) / 1e7 / seconds }
        var engineMicroseconds: Double { microseconds(\.engineCPUNs) }
        var exchangeMicroseconds: Double { microseconds(\.exchangeCPUNs) }
        var redisMicroseconds: Double { microseconds(\.redisCPUNs) }
    }

    /// Lets things run for a while, and looks before and after.
    func measure(_ effort: Effort) throws -> Window {
        Thread.sleep(forTimeInterval: effort.warmUpSeconds)
        let before = try read()
        subscriber?.open()
        Thread.sleep(forTimeInterval: effort.windowSeconds)
        subscriber?.close()
        return try Window(before: before, after: read())
    }

    // MARK: The proof

    /// Ends the exchange, lets the engine take what was sent, and compares Redis with the exchange's truth.
    /// - Throws: one sentence, when anything is lost, changed or miscounted.
    func finish() throws {
        let reconnects = engine.snapshot().counters[.reconnects]
        exchange.stop()
        waitUntilQuiet()
        let report = engine.stop()
        let counters = engine.snapshot().counters
        guard report.isClean else { throw FeedError(.redis, "not everything was written: \(report)") }
        guard reconnects == 0 else {
            throw FeedError(.venue, "\(reconnects) reconnects in the middle of the run: this machine does not keep up with the load")
        }
        try checkBooks(counters)
        try subscriber?.expect(updates: counters[.recordsTaken] - counters[.duplicates])
        try TruthCheck.run(truthFile: exchange.truthFile!, redis: redis.endpoint, setup: setup, closedWritten: counters[.closedWritten])
    }

    /// The exchange has closed its sockets; the last bytes are read until nothing more comes.
    private func waitUntilQuiet() {
        var last: UInt64 = 0
        var quiet = 0
        while quiet < 3 {
            usleep(50_000)
            let now = engine.snapshot().counters[.messagesReceived]
            quiet = now == last ? quiet + 1 : 0
            last = now
        }
    }

    /// Every message is in exactly one place.
    private func checkBooks(_ counters: CounterSnapshot) throws {
        guard counters.isBalanced, counters.rejected == 0, counters[.redisRejected] == 0, counters[.closedQueueOverflow] == 0 else {
            throw FeedError(.system, "the books do not balance, or something was refused: \(counters.books)")
        }
    }
}
