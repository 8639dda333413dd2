// Several services on one Redis: each market has its own, and of several of one market one answers. And what becomes of what they keep
// there.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Control: services that share a Redis", .serialized)
struct SharedRedisTests {
    private let redis: RedisServerProcess
    private let client: RedisClient

    init() throws {
        redis = try RedisServerProcess()
        client = try RedisClient.connect(redis.endpoint)
    }

    private func makeVenue(_ market: Market = .spot) throws -> VenueSimulator {
        var simulator = SimulatorConfiguration()
        (simulator.market, simulator.symbolCount, simulator.illiquidEvery, simulator.pushPeriodMs) = (market, 4, 0, 100)
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        return venue
    }

    private func makeEngine(_ venue: VenueSimulator, _ market: Market = .spot, user: String? = nil) throws -> Engine {
        var configuration = EngineConfiguration()
        (configuration.market, configuration.takesCommands, configuration.lease) = (market, true, .seconds(4))
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.redis = redis.endpoint
        if let user { (configuration.redis.user, configuration.redis.password) = (user, "x") }
        let engine = try Engine(configuration)
        try engine.start()
        return engine
    }

    private func field(_ key: String, _ name: String) throws -> String? { try client.command("HGET", key, name).text }

    @Test("Spot and um: one answer to each request, status and registry apart")
    func markets() throws {
        let venues = [try makeVenue(.spot), try makeVenue(.um)]
        let engines = [try makeEngine(venues[0], .spot), try makeEngine(venues[1], .um)]
        try eventually(20, "both services") {
            try field("status:service", "market") == "spot" && field("status:um:service", "market") == "um"
        }
        let (spot, um) = (try CommandCaller(redis.endpoint), try CommandCaller(redis.endpoint, market: "um:"))
        #expect(try um.call("flux:create", #""symbols":["btcusdt"],"interval":"1m","name":"mine""#).isOK)
        #expect(try spot.call("flux:create", #""symbols":["ethusdt"],"interval":"1s","name":"mine""#).isOK)
        #expect(try spot.call("flux:list")["fluxes"].map { ($0 as? [Any])?.count } == 1)
        #expect(try um.call("flux:stop", #""flux_id":"nobody""#).errorCode == "unknown_flux")
        // Both have heard the answers of both.
        for caller in [spot, um] {
            caller.collect(seconds: 10) { caller.answers.count == 4 }
            #expect(caller.answers.count == 4 && caller.answers.allSatisfy { $0.value.count == 1 }, "\(caller.answers)")
        }
        try eventually(20, "a status of each flux") {
            try field("status:flux:mine", "symbols") == "ethusdt" && field("status:um:flux:mine", "symbols") == "btcusdt"
        }
        #expect(try client.command("HKEYS", "fluxes").strings == ["mine"] && client.command("HKEYS", "fluxes:um").strings == ["mine"])
        #expect(try field("fluxes", "mine") != field("fluxes:um", "mine"))
        for engine in engines { #expect(engine.stop().isClean) }
        #expect(try client.command("EXISTS", "lease:service", "lease:um:service").integer == 0, "an orderly end gives them back")
        for venue in venues { venue.stop() }
        // The next one of a market takes up its own.
        let venue = try makeVenue(.um)
        let next = try makeEngine(venue, .um)
        try eventually(20, "its flux") { try field("status:um:flux:mine", "state") == "live" }
        #expect(try um.call("flux:list")["fluxes"].map { ($0 as? [Any])?.count } == 1)
        _ = next.stop()
        venue.stop()
    }

    private func run(_ venue: VenueSimulator) throws -> ProgramRun {
        try ProgramRun(["run", "--venue-ws", venue.webSocketBase, "--redis", "unix://\(redis.socketPath)", "--lease-seconds", "4"])
    }

    private func serves(_ run: ProgramRun) throws -> Bool {
        try field(Keys.service, "pid") == "\(run.pid)" && field(Keys.service, "state") != "stopped"
    }

    @Test("Two services of a market: one answers, and the other when the first is killed, ends or stands still")
    func takeOver() throws {
        let venue = try makeVenue()
        let first = try run(venue)
        try eventually(20, "the first service") { try serves(first) }
        let second = try run(venue)
        #expect(second.shows("this one stands by", within: 20), "\(second.errorText)")
        #expect(second.errorText.contains("pid=\(first.pid)"), "\(second.errorText)")
        let caller = try CommandCaller(redis.endpoint)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"kept""#).isOK)
        #expect(try caller.call("flux:create", #""symbols":["ethusdt"],"interval":"1s","name":"stopped""#).isOK)
        #expect(try caller.call("flux:stop", #""flux_id":"stopped""#).isOK)

        first.signal(SIGKILL)
        #expect(first.end() == -SIGKILL)
        try eventually(20, "the second service") { try serves(second) }
        func fluxes() throws -> [String] {
            (try caller.call("flux:list")["fluxes"] as? [[String: Any]])?.compactMap { $0["flux_id"] as? String } ?? []
        }
        #expect(try fluxes() == ["kept"])

        // Standing still: its connections are open, and what is published reaches both.
        let third = try run(venue)
        #expect(third.shows("this one stands by", within: 20), "\(third.errorText)")
        second.signal(SIGSTOP)
        try eventually(20, "the third service") { try serves(third) }
        #expect(try caller.publish("flux:list", #"{"request_id":"both"}"#) == 2)
        caller.collect(seconds: 10) { caller.answers["responses:flux:list:both"] != nil }
        second.signal(SIGCONT)
        try eventually(20, "one to listen again: \(second.errorText)") {
            try client.command("PUBSUB", "NUMSUB", "commands:flux:list").elements.last?.integer == 1
        }
        #expect(try fluxes() == ["kept"])
        #expect(caller.answers["responses:flux:list:both"]?.count == 1)

        // An orderly end.
        third.signal(SIGTERM)
        #expect(third.end() == 0, "\(third.errorText)")
        try eventually(20, "the second service again") { try serves(second) }
        #expect(try fluxes() == ["kept"])
        #expect(caller.answers.allSatisfy { $0.value.count == 1 }, "an answer twice")
        second.signal(SIGTERM)
        #expect(second.end() == 0, "\(second.errorText)")
        venue.stop()
    }

    /// Whoever asks for the lease first: the other one stands still meanwhile.
    @Test("Redis loses everything under a holder and a standby: fluxes stay. One that another holder has stopped ends")
    func lossesAndStandby() throws {
        let venue = try makeVenue()
        let first = try run(venue)
        try eventually(20, "the first service") { try serves(first) }
        let second = try run(venue)
        #expect(second.shows("this one stands by", within: 20), "\(second.errorText)")
        let caller = try CommandCaller(redis.endpoint)
        for (name, symbol) in [("kept", "btcusdt"), ("stopped", "ethusdt")] {
            #expect(try caller.call("flux:create", "\"symbols\":[\"\(symbol)\"],\"interval\":\"1s\",\"name\":\"\(name)\"").isOK)
        }
        let both = ["kept", "stopped"]
        func expectFluxes(_ names: [String], of run: ProgramRun, _ what: String) throws {
            try eventually(30, "fluxes \(names) of the right service: \(what)") {
                try serves(run) && client.command("HKEYS", Keys.fluxes).strings.sorted() == names
                    && names.allSatisfy { try field(Keys.flux($0), "state") == "live" }
            }
        }
        try expectFluxes(both, of: first, "at first")
        #expect(second.shows("flux_id=stopped", within: 20), "\(second.errorText)")
        for (holder, other, next) in [(first, second, first), (first, second, second)] {
            let sleeper = next.pid == holder.pid ? other : holder
            sleeper.signal(SIGSTOP)
            _ = try client.command("FLUSHALL")
            try expectFluxes(both, of: next, "the other stands still")
            sleeper.signal(SIGCONT)
            // Awake, it has asked for the lease, and has read what there is.
            try eventually(20, "the lease to be asked for by one that was asleep") { try serves(next) && isAlone() }
            try expectFluxes(both, of: next, "both are awake")
        }
        // The second serves; the first has slept and stands by. Now the second sleeps, and the first stops a flux and is killed.
        second.signal(SIGSTOP)
        try expectFluxes(both, of: first, "taken over again")
        #expect(try caller.publish("flux:stop", #"{"request_id":"stop","flux_id":"stopped"}"#) == 2, "the sleeper's connections are open")
        caller.collect(seconds: 10) { caller.answers["responses:flux:stop:stop"] != nil }
        first.signal(SIGKILL)
        #expect(first.end() == -SIGKILL)
        try eventually(20, "the lease to end") { try client.command("EXISTS", Keys.schema.leaseKey).integer == 0 }
        second.signal(SIGCONT)
        try expectFluxes(["kept"], of: second, "what was stopped meanwhile stays stopped")
        let listed = try caller.call("flux:list")["fluxes"] as? [[String: Any]]
        #expect(listed?.compactMap { $0["flux_id"] as? String } == ["kept"])
        second.signal(SIGTERM)
        #expect(second.end() == 0, "\(second.errorText)")
        venue.stop()
    }

    /// Only the holder listens.
    private func isAlone() throws -> Bool { try client.command("PUBSUB", "NUMSUB", "commands:flux:list").elements.last?.integer == 1 }

    @Test("Where Redis denies the lease, the service serves all the same and says so once")
    func denied() throws {
        let rights = ["on", ">x", "+@all", "~candles:*", "~latest:*", "~fluxes", "~status:*", "~cache:*", "&*"]
        #expect(try client.command(["ACL", "SETUSER", "old"] + rights).text == "OK")
        let venue = try makeVenue()
        let engine = try makeEngine(venue, user: "old")
        try eventually(20, "the service") { try field(Keys.service, "state") != nil }
        let caller = try CommandCaller(redis.endpoint)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"kept""#).isOK)
        try eventually(20, "its flux") { try field(Keys.flux("kept"), "state") == "live" }
        let said = engine.drainJournal().filter { $0.message.contains("refuses the lease") }
        #expect(said.count == 1 && said[0].fields[0].1.hasPrefix("NOPERM"), "\(said)")
        #expect(try client.command("EXISTS", Keys.schema.leaseKey).integer == 0)
        _ = engine.stop()
        venue.stop()
    }

    @Test("What Redis loses under a running service is there again")
    func losses() throws {
        let venue = try makeVenue()
        let engine = try makeEngine(venue)
        try eventually(20, "the service") { try field(Keys.service, "state") != nil }
        let caller = try CommandCaller(redis.endpoint)
        let names = venue.symbols.map(\.symbol.name).sorted()
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        #expect(try caller.call("flux:create", "\"symbols\":[\(list)],\"interval\":\"1s\",\"name\":\"kept\"").isOK)
        try eventually(20, "its flux, live") { try field(Keys.flux("kept"), "state") == "live" }
        // No update comes any more: what is lost does not come back by chance.
        venue.stop()
        let damages = [
            ["FLUSHALL"], ["DEL", Keys.latest(.s1)], ["HDEL", Keys.latest(.s1), names[0]], ["DEL", Keys.fluxes],
            ["HSET", Keys.fluxes, "kept", "{}"], ["DEL", Keys.service, Keys.flux("kept")], ["DEL", Keys.schema.leaseKey],
        ]
        for damage in damages {
            _ = try client.command(damage)
            try eventually(20, "all of it after \(damage)") {
                try client.command("HKEYS", Keys.latest(.s1)).strings.sorted() == names && field(Keys.service, "state") != nil
                    && field(Keys.flux("kept"), "symbols") == names.joined(separator: ",")
                    && field(Keys.fluxes, "kept")?.contains("\"flux_id\":\"kept\"") == true
                    && client.command("EXISTS", Keys.schema.leaseKey).integer == 1
            }
        }
        #expect(try caller.call("flux:list").isOK)
        #expect(engine.stop().isClean)
    }
}
