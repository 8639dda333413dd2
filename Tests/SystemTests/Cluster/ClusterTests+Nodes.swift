// A cluster whose nodes come and go: primaries killed in turn, a node that is added and removed, seeds that are gone; and slots that move
// by thousands while somebody reads.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

extension ClusterTests {
    /// 3,000 series.
    @Test("Each primary is killed in turn and comes back as a replica: its shard waits for its successor, the others do not wait", .nightly)
    func killedInTurn() throws {
        let set = try ClusterSet()
        let rig = try rig(set, symbols: 500, speed: 1)
        waitForCloses(rig, 3_000)
        for place in 0..<3 {
            let (primary, replica) = (set.nodes[place], set.nodes[3 + place])
            let watch = try ShardSilences(set, at: set.nodes[(place + 1) % 3])
            primary.server.kill9()
            try eventually(60, "its replica to take its place") { replica.isPrimary }
            waitForLanes(rig)
            waitForCloses(rig, 3_000)
            tell("killed", place, rig, watch)
            try set.restart(primary)
            waitForCloses(rig, 3_000)
        }
        waitForLanes(rig)
        try expectWhole(rig, set)
    }

    @Test("A node is added, is given slots, gives them back and is removed: its lane opens and closes, and nobody stays connected with it")
    func addedAndRemoved() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        let node = try set.add()
        #expect(rig.counters[.redisLanes] == 3, "it has no slots")
        let keys = [Keys.schema.historyKey(Series(symbol: rig.venue.symbols[0].symbol, interval: .s1)), Keys.latest(.s1)]
        let owners = try keys.map(set.owner(of:))
        for (key, owner) in zip(keys, owners) { try set.move(HashSlot(key: key), from: owner, to: node) }
        waitForLanes(rig, 4)
        waitForCloses(rig, 300)
        #expect(try keys.allSatisfy { try set.owner(of: $0) === node && node.ask("EXISTS", $0).integer == 1 })
        for (key, owner) in zip(keys, owners) { try set.move(HashSlot(key: key), from: node, to: owner) }
        waitForLanes(rig)
        waitForCloses(rig, 300)
        // What MIGRATE has opened ends after ten seconds.
        try eventually(40, "nobody to be connected with it: \(node.guests)") { node.guests.isEmpty }
        try set.remove(node)
        waitForCloses(rig, 300)
        waitForLanes(rig)
        try expectWhole(rig, set)
    }

    @Test("All but one of the nodes in the URL are gone: whoever is connected goes on, and who comes finds all")
    func seedsGone() throws {
        let set = try ClusterSet()
        let seeds = Array(set.nodes.suffix(3))
        let rig = try rig(set, seeds: seeds)
        waitForCloses(rig, 300)
        for node in seeds.dropLast() { node.server.kill9() }
        try set.failOver(to: seeds[2])
        waitForLanes(rig)
        waitForCloses(rig, 300)
        let newcomer = try set.client(seeds)
        for symbol in rig.venue.symbols.prefix(20) {
            let key = Keys.schema.historyKey(Series(symbol: symbol.symbol, interval: .s1))
            #expect(try newcomer.command("XLEN", key).integer ?? 0 > 0)
        }
        try expectWhole(rig, set)
    }

    @Test("Thousands of slots move there and back: no state of `latest:*` is ever older than one read before", .nightly)
    func resharded() throws {
        let set = try ClusterSet()
        let rig = try rig(set)
        waitForCloses(rig, 300)
        // With the slot of a hash of newest states among them.
        let (from, slot) = (set.shard(of: Keys.latest(.s1)), HashSlot(key: Keys.latest(.s1)).place)
        let all = set.slots(ofShard: from)
        let first = min(max(all.lowerBound, slot - 2_000), all.upperBound - 4_000)
        let slots = try (first..<first + 4_000).map { try #require(HashSlot(Int64($0))) }
        let (home, other) = (set.nodes[from], set.nodes[(from + 1) % 3])
        let reader = try LatestReader(try set.endpoint(), [.s1, .m1])
        for (from, to) in [(home, other), (other, home)] {
            let (before, readings) = (rig.engine.snapshot().latency, reader.readingCount)
            for slot in slots { try set.move(slot, from: from, to: to) }
            waitForCloses(rig, 300)
            tell("moved: the longest acknowledgement took", (rig.engine.snapshot().latency - before).quantile(1) ?? .max)
            #expect(reader.readingCount > readings + 10, "nothing is proven")
        }
        #expect(reader.complaints.isEmpty, "\(reader.complaints)")
        try reader.end()
        // The same while a primary that has nothing to do with it dies. (What its replica had not got is older for a moment: nobody reads.)
        let bystander = (from + 2) % 3
        set.nodes[bystander].server.kill9()
        for slot in slots.prefix(1_000) { try set.move(slot, from: home, to: other) }
        try eventually(60, "its replica to take its place") { set.nodes[3 + bystander].isPrimary }
        waitForLanes(rig)
        waitForCloses(rig, 300)
        try expectWhole(rig, set)
    }
}
