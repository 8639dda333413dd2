// A Redis Cluster as the sink: primaries that die, hang or give way, slots that move whole or in halves. Nothing is lost. Local exchange,
// real redis-servers, the engine, clients. Times are told, and judged by scripts/cluster.sh: no assertion here knows one.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Redis Cluster", .serialized)
struct ClusterTests {
    /// The rig's own Redis stands idle beside.
    /// - Parameter seeds: which nodes the URL names; nil: all.
    func rig(
        _ set: ClusterSet, symbols: Int = 100, intervals: [Interval] = [.s1, .m1], speed: Double = 10, seeds: [ClusterNode]? = nil,
        _ adjust: @escaping (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> Rig {
        let place = try set.endpoint(seeds)
        var options = Rig.Options()
        options.simulator.symbolCount = Nightly.count(everyday: symbols, nightly: 3 * symbols)
        options.simulator.pace = .realTime(speed: speed)
        options.intervals = intervals
        options.adjust = {
            $0.redis = place
            $0.takesCommands = true
            adjust(&$0)
        }
        let rig = try Rig(options)
        rig.reconnectClient(to: try set.endpoint())
        return rig
    }

    func waitForCloses(_ rig: Rig, _ more: UInt64) {
        let target = rig.counters[.closedWritten] + more
        rig.wait(seconds: 60, "\(more) more closed candles written") { rig.counters[.closedWritten] >= target }
    }

    /// After a primary has another node in its place.
    func waitForLanes(_ rig: Rig, _ count: UInt64 = 3) {
        rig.wait(seconds: 60, "all lanes to stand") { rig.engine.snapshot().isRedisConnected && rig.counters[.redisLanes] == count }
    }

    /// What `scripts/cluster.sh` judges.
    func tell(_ what: String, _ ns: UInt64) { print("cluster, \(what) \(String(format: "%.3f", Double(ns) / 1e9)) s") }

    /// How long the shard to which something has happened was silent, and how long any other one.
    func tell(_ what: String, _ shard: Int, _ rig: Rig, _ watch: ShardSilences) {
        let before = watch.counts
        rig.wait(seconds: 60, "messages of each shard") { watch.haveHeard(20, since: before) }
        let longestNs = watch.longestNs
        watch.end()
        tell("\(what): its shard silent for", longestNs[shard])
        tell("\(what): the others silent for", longestNs.indices.filter { $0 != shard }.map { longestNs[$0] }.max() ?? 0)
    }

    /// All that was delivered is there, once; nothing was a gap at any time.
    /// - Parameter stopped: bars that are not followed any more.
    func expectWhole(_ rig: Rig, _ set: ClusterSet, stopped: Interval? = nil) throws {
        let report = rig.finish()
        #expect(report.isClean && report.closedLost == 0, "\(report)")
        #expect(rig.counters[.gapsSeen] == 0 && rig.engine.openGaps.isEmpty)
        rig.reconnectClient(to: try set.endpoint())
        try rig.expectTruth()
        try rig.expectLatest(stopped: stopped)
        let strays = try set.strays()
        #expect(strays.isEmpty, "\(strays.prefix(5))")
    }

    @Test("All keys are at their nodes; commands, data and updates are as on a single server")
    func steady() async throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        waitForLanes(rig)
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        let created = try await client.createFlux(symbols: ["btcusdt"], interval: .d1)
        #expect(try await client.listFluxes().contains { $0.id == created.id })
        let data = try await client.data(symbol: rig.venue.symbols[0].symbol.name, interval: .s1, limit: 2)
        #expect(data.rows.count == 2)
        let updates = try await client.updates(symbol: rig.venue.symbols[0].symbol.name, interval: .s1)
        var heard = 0
        for await _ in updates {
            heard += 1
            if heard == 3 { break }
        }
        try await client.stopFlux(created.id)
        client.close()
        #expect(rig.counters[.redisRedirects] == 0)
        for node in set.nodes.prefix(3) { #expect(try node.ask("DBSIZE").integer ?? 0 > 0) }
        try expectWhole(rig, set, stopped: .d1)
    }

    @Test("A primary that dies while its replica is behind: the others go on, and what it alone had is written again")
    func killed() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        let (primary, replica) = (set.nodes[0], set.nodes[3])
        replica.pause()
        #expect(try primary.ask("CLIENT", "KILL", "TYPE", "replica").integer == 1)
        waitForCloses(rig, 300)
        primary.server.kill9()
        replica.resume()
        try eventually(60, "its replica to take its place") { replica.isPrimary }
        waitForLanes(rig)
        waitForCloses(rig, 600)
        rig.wait(seconds: 30, "candles written again") { rig.counters[.closedAgainMissing] > 0 }
        waitForLanes(rig)
        try expectWhole(rig, set)
    }

    @Test("A primary that hangs is not waited for once another has its slots; woken, it gets nothing")
    func hung() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        let (primary, replica) = (set.nodes[1], set.nodes[4])
        let watch = try ShardSilences(set, at: set.nodes[0])
        primary.pause()
        try eventually(60, "its replica to take its place") { replica.isPrimary }
        waitForLanes(rig)
        waitForCloses(rig, 600)
        tell("hung", 1, rig, watch)
        primary.resume()
        try eventually(60, "it to follow the other one") { !primary.isPrimary }
        waitForCloses(rig, 300)
        try expectWhole(rig, set)
    }

    @Test("A planned failover of each primary in turn")
    func planned() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        for place in 0..<3 {
            waitForCloses(rig, 200)
            let watch = try ShardSilences(set, at: set.nodes[(place + 1) % 3])
            try set.failOver(to: set.nodes[3 + place])
            waitForLanes(rig)
            tell("planned", place, rig, watch)
        }
        waitForCloses(rig, 300)
        waitForLanes(rig)
        try expectWhole(rig, set)
    }

    @Test("Slots of a symbol and of latest:* that are half moved, for a while, and then whole; and one whose move is given up")
    func halfMoved() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        let symbol = rig.venue.symbols[0].symbol
        let history = Keys.schema.historyKey(Series(symbol: symbol, interval: .s1))
        for key in [history, Keys.latest(.s1)] {
            let slot = HashSlot(key: key)
            let from = try set.owner(of: key)
            let to = try #require(set.nodes.prefix(3).first { $0 !== from })
            // One key is there, another one of the same slot is not.
            try set.beginMove(slot, from: from, to: to, keys: [key])
            let redirects = rig.counters[.redisRedirects]
            rig.wait(seconds: 30, "ASK") { rig.counters[.redisRedirects] > redirects }
            waitForCloses(rig, 300)
            try set.endMove(slot, from: from, to: to)
            waitForCloses(rig, 300)
            #expect(try set.owner(of: key) === to)
        }
        // Given up, and no key of its slot is new meanwhile: that one would be made at the other node and stay there.
        let slot = HashSlot(key: history)
        let from = try set.owner(of: history)
        let minutes = Keys.schema.historyKey(Series(symbol: symbol, interval: .m1))
        try eventually(30, "a candle of a minute") { try from.ask("EXISTS", minutes).integer == 1 }
        let to = try #require(set.nodes.prefix(3).first { $0 !== from })
        try set.beginMove(slot, from: from, to: to, keys: [])
        waitForCloses(rig, 300)
        try set.giveUpMove(slot, from: from, to: to)
        waitForCloses(rig, 300)
        try expectWhole(rig, set)
    }

    @Test("A node of a cluster that is named as one server, a server that is named as a cluster, and what a cluster cannot do")
    func refusals() throws {
        let run = ["run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1"]
        func expectRefusal(_ run: ProgramRun, _ sentence: String) {
            #expect(run.end() == 2)
            #expect((run.errorText.split(separator: "\n").last ?? "").contains(sentence), "\(run.errorText)")
        }
        let port = try FreePort.find()
        var options = RedisServerProcess.Options()
        options.arguments = ["--port", "\(port)"]
        let single = try RedisServerProcess(options)
        expectRefusal(
            try ProgramRun(run + ["--redis", "redis+cluster://127.0.0.1:\(port)"]),
            "it is not a node of a Redis Cluster: name it as redis://")
        expectRefusal(try ProgramRun(run + ["--redis", "redis+cluster://127.0.0.1:1", "--no-coalesce"]), "no-coalesce")
        expectRefusal(try ProgramRun(run + ["--redis", "redis+cluster://h/1"]), "database 0 alone")
        single.stop()
    }
}
