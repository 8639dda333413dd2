// Service and client under exactly the rights of deploy/redis-acl.conf; Redis's own log of refusals stays empty.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Access", .serialized)
struct AccessTests {
    /// The users of the file, as `ACL SETUSER` takes them.
    static func users() throws -> [[String]] {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let text = try String(contentsOf: folder.appendingPathComponent("deploy/redis-acl.conf"), encoding: .utf8)
        return text.split(separator: "\n").filter { $0.hasPrefix("user feed-") }.map {
            $0.split(separator: " ").dropFirst().map(String.init)
        }
    }

    static func endpoint(_ base: RedisEndpoint, _ user: String) -> RedisEndpoint {
        var endpoint = base
        endpoint.user = "feed-\(user)"
        endpoint.password = "change-me-\(user)"
        return endpoint
    }

    private static func admin(of redis: RedisServerProcess) throws -> RedisClient {
        let admin = try RedisClient.connect(redis.endpoint)
        for user in try users() {
            let reply = try admin.command(["ACL", "SETUSER"] + user)
            #expect(reply.text == "OK", "\(user[0]): \(reply)")
        }
        return admin
    }

    /// The exchange's symbols: written by the one, looked through by the others.
    @Test func theCatalogue() throws {
        let redis = try RedisServerProcess()
        defer { redis.stop() }
        let admin = try AccessTests.admin(of: redis)
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 3
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        var configuration = EngineConfiguration()
        configuration.takesCommands = true
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.venueREST = try RestEndpoint(url: venue.restBase)
        configuration.redis = AccessTests.endpoint(redis.endpoint, "service")
        let engine = try Engine(configuration)
        try engine.start()
        let (volumes, quote) = (Keys.schema.listIndexKey(.byVolume), Keys.schema.listIndexKey(.quote("usdt")))
        try eventually(20, "the symbols") { try admin.command("EXISTS", volumes, Keys.schema.listIndexKey(.updatedAt)).integer == 2 }
        #expect(try admin.command("ZCARD", volumes).integer == 3)
        for user in ["client", "reader"] {
            let client = try RedisClient.connect(AccessTests.endpoint(redis.endpoint, user))
            for question in [
                ["ZREVRANGE", volumes, "0", "9"], ["ZINTER", "2", volumes, quote, "WEIGHTS", "1", "0"], ["SMEMBERS", quote],
                ["SINTER", quote, Keys.schema.listIndexKey(.status("trading"))],
            ] { #expect(try client.command(question).elements.count == 3, "\(user) \(question)") }
            #expect(try Int64(client.command("GET", Keys.schema.listIndexKey(.updatedAt)).text ?? "") ?? 0 > 0, "\(user)")
            #expect(try client.command("HGET", Keys.schema.listedKey(Symbol("btcusdt")!), "quote").text == "USDT")
        }
        #expect(try CommandCaller(AccessTests.endpoint(redis.endpoint, "client")).call("symbols:list")["total"] as? Int == 3)
        #expect(engine.stop().isClean)
        let log = try admin.command("ACL", "LOG").elements
        #expect(log.isEmpty, "\(log.first.map { "\($0)" } ?? "")")
        for user in ["client", "reader", "ops"] {
            let reply = try RedisClient.connect(AccessTests.endpoint(redis.endpoint, user)).command("SADD", quote, "x")
            guard case .error(let message) = reply, message.hasPrefix("NOPERM") else {
                Issue.record("the \(user) may write: \(reply)")
                continue
            }
        }
    }

    @Test func threeRolesSuffice() throws {
        let redis = try RedisServerProcess()
        defer { redis.stop() }
        let admin = try AccessTests.admin(of: redis)
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 3
        simulator.pushPeriodMs = 100
        simulator.faults = [try Fault(text: "lateClose,count=5")]
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        var configuration = EngineConfiguration()
        configuration.takesCommands = true
        configuration.venue = try WebSocketEndpoint(url: venue.webSocketBase)
        configuration.redis = AccessTests.endpoint(redis.endpoint, "service")
        let engine = try Engine(configuration)
        try engine.start()
        try eventually(20, "the service's status") { try admin.command("HGET", Keys.service, "state").text != nil }

        let caller = try CommandCaller(AccessTests.endpoint(redis.endpoint, "client"))
        #expect(try caller.call("flux:create", #""symbols":["btcusdt","ethusdt"],"interval":"1s","name":"f""#).isOK)
        try eventually(20, "closed candles") { engine.snapshot().counters[.closedWritten] >= 10 }
        // Another writer was there first: the history script runs, too.
        let open = (try admin.command("XREVRANGE", Keys.history("btcusdt", .s1), "+", "-", "COUNT", "1").elements[0].elements[0].text ?? "")
            .dropLast(2)
        let next = Int64(open)! + 5_000
        _ = try admin.command("XADD", Keys.history("btcusdt", .s1), "\(next)-0", "open", "1")
        try eventually(20, "a history script") { engine.snapshot().counters[.historyScripts] >= 1 }
        #expect(try caller.call("data:get", #""symbol":"btcusdt","interval":"1s""#).isOK)
        #expect(try caller.call("status:get").isOK && caller.call("flux:list").isOK)
        #expect(try caller.call("flux:stop", #""flux_id":"f""#).isOK)
        let looker = try RedisClient.connect(AccessTests.endpoint(redis.endpoint, "client"))
        #expect(try looker.command("PUBSUB", "CHANNELS", "*commands:*flux:list").elements.count == 1, "who looks for services finds them")
        let reader = try RedisClient.connect(AccessTests.endpoint(redis.endpoint, "reader"))
        #expect(try reader.command("XRANGE", Keys.history("btcusdt", .s1), "-", "+", "COUNT", "1").elements.count == 1)
        #expect(try reader.command("HGETALL", Keys.service).elements.count > 0)
        #expect(engine.stop().isClean)
        let log = try admin.command("ACL", "LOG").elements
        #expect(log.isEmpty, "\(log.first.map { "\($0)" } ?? "")")

        // And what they must not do, they cannot.
        let client = try RedisClient.connect(AccessTests.endpoint(redis.endpoint, "client"))
        for command in [
            ["SET", "x", "1"], ["DEL", Keys.fluxes], ["XADD", Keys.history("btcusdt", .s1), "*", "a", "b"], ["FLUSHALL"],
            ["CONFIG", "GET", "*"],
        ] {
            guard case .error(let message) = try client.command(command) else {
                Issue.record("the client may \(command)")
                continue
            }
            #expect(message.hasPrefix("NOPERM"), "\(message)")
        }
        guard case .error(let message) = try reader.command("PUBLISH", "commands:flux:list", "{}") else {
            Issue.record("the reader may command")
            return
        }
        #expect(message.hasPrefix("NOPERM"))
    }
}
