// A whole system on loopback: local exchange, real redis-server, engine. On the test's thread, which asks; each part has its own.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

/// Exchange, Redis and engine of one test.
final class Rig {
    let venue: VenueSimulator
    let redis: RedisServerProcess
    let engine: Engine
    private(set) var client: RedisClient
    /// Where the engine's data goes.
    let place: RedisEndpoint
    private let comparesLosses: Bool

    struct Options {
        var simulator = SimulatorConfiguration()
        var redis = RedisServerProcess.Options()
        var redisTLS: RedisTLS?
        var intervals: [Interval] = [.s1, .m1]
        var readerCount = 1
        var threading = ThreadingMode.shared
        /// At the end, where there is a status.
        var comparesLosses = false
        var adjust: (inout EngineConfiguration) -> Void = { _ in }
    }

    init(_ options: Options) throws {
        venue = try VenueSimulator(configuration: options.simulator)
        try venue.start()
        var redisOptions = options.redis
        redisOptions.arguments += options.redisTLS?.arguments ?? []
        redis = try RedisServerProcess(redisOptions)
        var configuration = EngineConfiguration()
        configuration.market = options.simulator.market
        configuration.fluxes = [FluxDefinition(symbols: venue.symbols.map(\.symbol), intervals: options.intervals)]
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.venueAuthorityFile = venue.certificateAuthorityFile
        configuration.redis = options.redisTLS?.endpoint(redisOptions) ?? redis.endpoint
        configuration.readerCount = options.readerCount
        configuration.threading = options.threading
        configuration.history = 100_000
        options.adjust(&configuration)
        (place, comparesLosses) = (configuration.redis, options.comparesLosses && configuration.takesCommands)
        engine = try Engine(configuration)
        client = try RedisClient.connect(redis.endpoint, timeout: .seconds(20))
        try engine.start()
    }

    /// After Redis was killed and restarted.
    /// - Parameter successor: where another server has taken its place.
    func reconnectClient(to successor: RedisEndpoint? = nil) {
        do { client = try RedisClient.connect(toAllOf: successor ?? redis.endpoint) } catch { Issue.record("\(error)") }
    }

    var counters: CounterSnapshot { engine.snapshot().counters }

    /// Its status is in Redis: it takes commands.
    var isServing: Bool { (try? client.command("HGET", Keys.service, "state"))?.text != nil }

    /// Waits until a condition holds; a failed expectation if it does not in time.
    func wait(seconds: Double, _ what: Comment, _ condition: () -> Bool) {
        if !comesTrue(within: seconds, condition) { Issue.record("not within \(seconds) s: \(what)") }
    }

    /// Stops the exchange, lets the engine take what was sent, looks whether all say the same of losses, and stops it.
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
        if comparesLosses { expectOneTruth() }
        let report = engine.stop()
        #expect(report.closedLost == Int(counters.closedLost), "\(report)")
        for line in engine.drainJournal() where line.level >= .warning {
            print("journal:", line.message, line.fields.map { "\($0)=\($1)" }.joined(separator: " "))
        }
        return report
    }
}
