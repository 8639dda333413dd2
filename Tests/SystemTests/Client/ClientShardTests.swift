// The client against services that publish sharded updates, or none: what the status says decides. Real redis-servers; the service is a
// field of its status.

import FastFeed
import RedisServer
import TestKit
import Testing

@Suite("Client: sharded updates", .serialized)
struct ClientShardTests {
    private let btc = Keys.updates("btcusdt", .m1)
    private let eth = Keys.updates("ethusdt", .m1)

    private func say(_ mode: String, _ admin: RedisClient) throws { _ = try admin.command("HSET", Keys.service, "update_mode", mode) }

    /// Until exactly one hears it. Asked on a new connection each time: a node may be away, and the map another one.
    private func tell(_ set: ClusterSet, _ channel: String, _ number: Int64) async throws {
        try await eventually(60, "a listener of \(channel)") {
            (try? RedisClient.connect(set.endpoint()).command("SPUBLISH", channel, ScriptedService.update(number)).integer) == 1
        }
    }

    @Test("Each channel is heard at its node; a slot that moves and a node that dies interrupt their channels alone")
    func moves() async throws {
        let set = try ClusterSet()
        let admin = try set.client()
        try say("sharded", admin)
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        let others = try await client.updates(symbol: "ethusdt", interval: .m1)
        var (iterator, other) = (updates.makeAsyncIterator(), others.makeAsyncIterator())
        #expect(try admin.command("SPUBLISH", btc, ScriptedService.update(1)).integer == 1)
        #expect(try admin.command("SPUBLISH", eth, ScriptedService.update(2)).integer == 1)
        #expect(await iterator.next()?.updates == 1)
        #expect(await other.next()?.updates == 2)

        // To the third node, which is neither's.
        let (slot, from) = (HashSlot(key: btc), try set.owner(of: btc))
        let second = try set.owner(of: eth)
        let to = try #require(set.nodes.prefix(3).first { $0 !== from && $0 !== second })
        try set.beginMove(slot, from: from, to: to, keys: [])
        #expect(try admin.command("SPUBLISH", btc, ScriptedService.update(3)).integer == 1)
        #expect(await iterator.next()?.updates == 3 && updates.interruptions == 0)
        try set.endMove(slot, from: from, to: to)
        try await tell(set, btc, 4)
        #expect(await iterator.next()?.updates == 4)
        #expect(updates.interruptions == 1 && others.interruptions == 0)

        // One that dies and is not the client's home.
        let home = try set.owner(of: Keys.service)
        let dying = home === to ? second : to
        let (channel, isBTC) = (dying === to ? btc : eth, dying === to)
        dying.server.kill9()
        let replica = set.nodes[3 + (try #require(set.nodes.firstIndex { $0 === dying }))]
        try await eventually(60, "its replica to take its place") { replica.isPrimary }
        try await tell(set, channel, 5)
        #expect(await (isBTC ? iterator.next() : other.next())?.updates == 5)
        try await tell(set, isBTC ? eth : btc, 6)
        #expect(await (isBTC ? other.next() : iterator.next())?.updates == 6)
        #expect((isBTC ? updates : others).interruptions == (isBTC ? 2 : 1))
        client.close()
    }

    @Test("A service that publishes otherwise after a restart is followed")
    func change() async throws {
        let set = try ClusterSet()
        let admin = try set.client()
        try say("classic", admin)
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        var iterator = updates.makeAsyncIterator()
        try say("sharded", admin)
        try await tell(set, btc, 1)
        #expect(await iterator.next()?.updates == 1 && updates.interruptions == 1)
        try say("classic", admin)
        try await eventually(30, "nobody at the channel's node") {
            try admin.command("SPUBLISH", btc, ScriptedService.update(2)).integer == 0
        }
        let more = try await client.updates(symbol: "btcusdt", interval: .m1)
        #expect(updates.interruptions == 2 && more.interruptions == 0)
        client.close()
    }

    @Test("A service that publishes nothing, or nothing that can be heard here, is told from one that is silent")
    func refusals() async throws {
        let server = try RedisServerProcess()
        defer { server.stop() }
        let admin = try RedisClient.connect(server.endpoint)
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        for (mode, words) in [("off", "--updates off"), ("sharded", "redis+cluster://")] {
            try say(mode, admin)
            let error = await #expect(throws: FluxError.self) { _ = try await client.updates(symbol: "btcusdt", interval: .m1) }
            guard case .noUpdates(let sentence) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(sentence.contains(words))
            let watch = try ProgramRun(["watch", "btcusdt", "1m", "--redis", "unix://\(server.socketPath)"])
            #expect(watch.end() == 1 && watch.errorText.contains(words), "\(watch.errorText)")
        }
        // What a newer service says, or none, is not in the way.
        for mode in ["classic", "quantum", ""] {
            try say(mode, admin)
            let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
            #expect(try admin.command("PUBLISH", btc, ScriptedService.update(1)).integer == 1)
            #expect(await updates.first { _ in true }?.updates == 1 && updates.interruptions == 0)
        }
        client.close()
    }
}
