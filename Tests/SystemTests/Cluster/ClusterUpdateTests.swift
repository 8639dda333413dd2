// How updates are published: sharded in a Redis Cluster, or not at all. Local exchange, real redis-servers, the engine, raw listeners.

import FastFeed
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Updates: sharded, and off", .serialized)
struct ClusterUpdateTests {
    /// A connection that listens, as any client's.
    private final class Listener {
        private let connection: RedisConnection
        private(set) var heard: [[String]] = []

        init(_ endpoint: RedisEndpoint, _ command: String, _ channel: String) throws {
            connection = try RedisConnection.connect(endpoint)
            guard connection.send([command, channel]), case .reply(let reply) = connection.next(timeoutMs: 5_000) else {
                throw FeedError(.redis, "no answer to \(command)")
            }
            #expect(reply.elements.first?.text == command.lowercased(), "\(reply)")
        }

        deinit { connection.close() }

        /// Takes what has come.
        func listen() {
            while case .reply(let reply) = connection.next() { heard.append(reply.elements.map { $0.text ?? "" }) }
        }

        func count(_ kind: String) -> Int {
            listen()
            return heard.count { $0.first == kind }
        }
    }

    private func rig(_ options: (inout Rig.Options) -> Void, _ adjust: @escaping (inout EngineConfiguration) -> Void) throws -> Rig {
        var all = Rig.Options()
        all.simulator.symbolCount = 20
        all.simulator.pace = .realTime(speed: 10)
        all.adjust = {
            $0.takesCommands = true
            adjust(&$0)
        }
        options(&all)
        return try Rig(all)
    }

    @Test("Sharded: who asks the channel's node hears its messages, nobody hears classic ones; a slot that moves takes its listeners' word")
    func sharded() async throws {
        let set = try ClusterSet()
        let place = try set.endpoint()
        let rig = try rig({ _ in }) { ($0.redis, $0.updates) = (place, .sharded) }
        rig.reconnectClient(to: try set.endpoint())
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        #expect(try rig.client.command("HGET", Keys.service, "update_mode").text == "sharded")
        let symbol = rig.venue.symbols[0].symbol
        let series = Series(symbol: symbol, interval: .s1)
        let (channel, history) = (Keys.schema.updatesChannel(series), Keys.schema.historyKey(series))
        let from = try set.owner(of: channel)
        let first = try Listener(from.server.endpoint, "SSUBSCRIBE", channel)
        let classic = try set.nodes.map { try Listener($0.server.endpoint, "PSUBSCRIBE", "updates:*") }
        rig.wait(seconds: 30, "sharded messages") { first.count("smessage") >= 20 }
        #expect(first.heard.allSatisfy { $0[1] == channel && $0[2].contains("\"symbol\":\"\(symbol)\"") })

        // Half moved: the history is at the new node, and the channel is the old one's.
        let slot = HashSlot(key: channel)
        let to = try #require(set.nodes.prefix(3).first { $0 !== from })
        let redirects = rig.counters[.redisRedirects]
        try set.beginMove(slot, from: from, to: to, keys: [history])
        rig.wait(seconds: 30, "ASK") { rig.counters[.redisRedirects] > redirects }
        let before = first.count("smessage")
        rig.wait(seconds: 30, "messages at the old node") { first.count("smessage") >= before + 20 }
        try set.endMove(slot, from: from, to: to)
        rig.wait(seconds: 30, "its word that it is not the one any more") { first.count("sunsubscribe") == 1 }
        let second = try Listener(to.server.endpoint, "SSUBSCRIBE", channel)
        rig.wait(seconds: 30, "messages at the new node") { second.count("smessage") >= 20 }
        #expect(classic.allSatisfy { $0.count("pmessage") == 0 })
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        let updates = try await client.updates(symbol: symbol.name, interval: .s1)
        var heard = 0
        for await update in updates {
            #expect(update.symbol == symbol)
            heard += 1
            if heard == 3 { break }
        }
        client.close()

        let report = rig.finish()
        #expect(report.isClean && report.closedLost == 0, "\(report)")
        rig.reconnectClient(to: try set.endpoint())
        try rig.expectTruth()
        try rig.expectLatest()
    }

    @Test("Off: histories and newest states are whole, and nobody hears anything")
    func off() throws {
        let rig = try rig({ $0.comparesLosses = true }) { $0.updates = .off }
        let listener = try Listener(rig.redis.endpoint, "PSUBSCRIBE", "*")
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        #expect(try rig.client.command("HGET", Keys.service, "update_mode").text == "off")
        let target = rig.counters[.closedWritten] + 200
        rig.wait(seconds: 60, "closed candles") { rig.counters[.closedWritten] >= target }
        #expect(listener.count("pmessage") == 0)
        rig.wait(seconds: 30, "the status to tell of the flux") { rig.engine.standings.fluxes.contains { $0.standing.updatesTotal > 0 } }
        let report = rig.finish()
        #expect(report.isClean, "\(report)")
        try rig.expectTruth()
        try rig.expectLatest()
    }

    @Test("Sharded messages without a cluster, and a mode that is none, are refused; the file and the environment have the setting, too")
    func refusals() throws {
        let run = ["run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1", "--redis", "redis://127.0.0.1:1"]
        func expectRefusal(_ more: [String], environment: [String: String] = [:], _ sentence: String) throws {
            let refused = try ProgramRun(run + more, environment: environment)
            #expect(refused.end() == 2)
            #expect((refused.errorText.split(separator: "\n").last ?? "").contains(sentence), "\(refused.errorText)")
        }
        try expectRefusal(["--updates", "sharded"], "updates sharded needs a Redis Cluster (redis+cluster://")
        try expectRefusal(["--updates", "loud"], "must be one of: classic sharded off")
        try expectRefusal([], environment: ["FEEDD_UPDATES": "sharded"], "updates sharded needs a Redis Cluster")
    }

    @Test("The rights that sharded messages need are those of docs/scale-out.md")
    func rights() throws {
        let server = try RedisServerProcess()
        defer { server.stop() }
        let admin = try RedisClient.connect(server.endpoint)
        let channel = Keys.updates("btcusdt", .m1)
        let base = ["on", ">p", "-@all", "+ping", "+select", "+role", "+client|id", "resetchannels", "&updates:*"]
        let cases = [("w", ["+spublish"], ["SPUBLISH", channel, "x"]), ("r", ["+ssubscribe", "+sunsubscribe"], ["SSUBSCRIBE", channel])]
        for (user, rights, command) in cases {
            #expect(try admin.command(["ACL", "SETUSER", user] + base).text == "OK")
            var place = server.endpoint
            (place.user, place.password) = (user, "p")
            if case .error(let message) = try RedisClient.connect(place).command(command) {
                #expect(message.hasPrefix("NOPERM"))
            } else {
                Issue.record("\(user) may without it")
            }
            #expect(try admin.command(["ACL", "SETUSER", user] + rights).text == "OK")
            if case .error(let message) = try RedisClient.connect(place).command(command) { Issue.record("\(user): \(message)") }
        }
    }
}
