// What dies: consumers (kill -9 of a process that holds messages), Redis itself, connections, keys and groups under those who read.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: recovery", .serialized, .streamLimit)
struct StreamRecoveryTests {
    // MARK: Consumers

    /// A process that takes all there is as consumer `dead` and acknowledges nothing; kill -9 when it has everything, after some of it was
    /// acknowledged.
    private func die(_ rig: StreamRig, holding count: Int, acknowledged: ArraySlice<StreamID>) async throws {
        _ = try await rig.streams["orders"].group("g").create()
        let options = ["--group", "g", "--as", "dead", "--follow", "--redis", rig.url]
        let process = try ProgramRun(["group", "read", "orders"] + options)
        try await eventually(20, "\(count) in hand: \(process.errorText)") { rig.pending("orders", "g", of: "dead") == count }
        #expect(try await rig.streams["orders"].group("g").ack(Array(acknowledged)) == acknowledged.count)
        process.signal(SIGKILL)
        #expect(process.end() == -SIGKILL)
        #expect(rig.pending("orders", "g", of: "dead") == count - acknowledged.count)
    }

    @Test("kill -9 in the middle of a batch: somebody else has the rest, as its second delivery, and nothing else twice")
    func takenOver() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 100)
        try await die(rig, holding: 100, acknowledged: ids.prefix(37))
        let consumer = rig.streams["orders"].group("g").consumer(as: "other", ConsumerOptions(claimAfter: .seconds(1)))
        let log = HandledLog()
        let task = consumer.work(into: log)
        let more = try rig.fill("orders", 20, from: 100)
        try await eventually(30, "63 and 20, not \(log.count)") { log.count >= 83 && rig.pending("orders", "g") == 0 }
        #expect(log.count == 83)
        let deliveries = Dictionary(grouping: log.lines, by: \.deliveries).mapValues { Set($0.map(\.id)) }
        #expect(deliveries == [1: Set(more), 2: Set(ids.dropFirst(37))])
        #expect(consumer.counters.claimed == 63, "\(consumer.counters)")
        await consumer.stop()
        try await task.end()
        #expect(try !rig.consumerNames("orders", "g").contains("other"))
    }

    @Test("kill -9, and the same name again: what it had comes first and at once, in order")
    func sameName() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 100)
        try await die(rig, holding: 100, acknowledged: ids.prefix(37))
        let more = try rig.fill("orders", 20, from: 100)
        // Nobody's messages are taken over within the test.
        let consumer = rig.streams["orders"].group("g").consumer(as: "dead", ConsumerOptions(claimAfter: .seconds(3_600)))
        let log = HandledLog()
        let task = consumer.work(into: log)
        try await eventually(10, "all") { log.count >= 83 && rig.pending("orders", "g") == 0 }
        #expect(log.ids == ids.dropFirst(37) + more)
        await consumer.stop()
        try await task.end()
    }

    @Test("A handler that takes more than twice as long as others wait keeps its message: it is handled once")
    func lease() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 3)
        let group = rig.streams["orders"].group("g")
        let options = ConsumerOptions(claimAfter: .seconds(3))
        let gate = Shared(0)
        let (slow, others) = (HandledLog(), HandledLog())
        let first = group.consumer(as: "slow", options)
        let task = first.work(into: slow) { message in
            let number = Int(message.entry["n"] ?? "") ?? 0
            while gate.value <= number { try await Task.sleep(for: .milliseconds(5)) }
        }
        try await eventually(30, "three in hand") { rig.pending("orders", "g", of: "slow") == 3 }
        let heldNs = MonotonicClock.nowNs()
        let second = group.consumer(as: "other", options)
        let other = second.work(into: others)
        let looks = try rig.calls("xautoclaim")
        try await eventually(60, "the other one to look for messages, over twice the time") {
            try MonotonicClock.nowNs() >= heldNs + 7_000_000_000 && rig.calls("xautoclaim") > looks + 1
        }
        #expect(slow.count == 0 && others.count == 0 && second.counters.claimed == 0)
        gate.withLock { $0 = 1 }
        try await eventually(30, "the first one, by whoever") { slow.count + others.count >= 1 }
        // The two that wait behind it are the slow one's still.
        #expect(slow.ids == Array(ids.prefix(1)) && others.count == 0 && second.counters.claimed == 0)
        await first.stop(within: .zero)
        gate.withLock { $0 = 3 }
        _ = try? await task.end()
        try await eventually(30, "the others") {
            slow.distinct.union(others.distinct) == Set(ids) && rig.pending("orders", "g") == 0
        }
        await second.stop()
        try await other.end()
    }

    // MARK: Redis

    @Test("kill -9 of Redis under load: every acknowledged entry is handled, and nobody is started anew")
    func killedUnderLoad() async throws {
        let rig = try await StreamRig()
        let log = HandledLog()
        let group = rig.streams["orders"].group("g")
        let consumers = (0..<2).map { group.consumer(as: "worker-\($0)", ConsumerOptions(claimAfter: .seconds(2))) }
        let tasks = consumers.map { $0.work(into: log, parallel: 4) }
        let (added, isOver) = (Shared<Set<StreamID>>([]), Shared(false))
        let orders = rig.streams["orders"]
        let producer = Task {
            var number = 0
            while !isOver.value {
                // What is lost on the way was not acknowledged: it may be in or not.
                if let id = try? await orders.add(["n": "\(number)"]) {
                    added.withLock { _ = $0.insert(id) }
                } else {
                    try? await Task.sleep(for: .milliseconds(20))
                }
                number += 1
            }
        }
        for round in 1...Nightly.count(everyday: 2, nightly: 10) {
            let before = added.value.count
            try await eventually(30, "entries of round \(round)") { added.value.count >= before + 200 }
            try await rig.killServer(away: Nightly.isOn ? 10 : 0.3)
        }
        let before = added.value.count
        try await eventually(30, "entries after the last round") { added.value.count >= before + 200 }
        isOver.withLock { $0 = true }
        await producer.value
        let wanted = added.value
        try await eventually(60, "all: \(wanted.subtracting(log.distinct).count) are missing") {
            wanted.isSubset(of: log.distinct) && rig.pending("orders", "g") == 0
        }
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
        #expect(consumers.allSatisfy { $0.counters.interruptions >= 1 })
    }

    @Test("Redis comes back without anything: the group is made anew, and what is added then is handled")
    func withoutPersistence() async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let log = HandledLog()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let task = consumer.work(into: log)
        try rig.fill("orders", 10)
        try await eventually(10, "ten") { log.count == 10 }
        try await rig.killServer()
        try rig.fill("orders", 10, from: 10)
        try await eventually(30, "ten more") { log.count == 20 }
        try await eventually(10, "none pending") { rig.pending("orders", "g") == 0 }
        #expect(consumer.counters.groupsMade >= 1)
        await consumer.stop()
        try await task.end()
    }

    @Test("A primary that is a replica for a while: consumers wait, and go on")
    func demoted() async throws {
        let rig = try await StreamRig()
        let log = HandledLog()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let task = consumer.work(into: log)
        try rig.fill("orders", 10)
        try await eventually(10, "ten") { try log.count == 10 && rig.waiting() == 1 }
        // Of a server that nobody can reach: it keeps what it has, and is read-only.
        try rig.ask("REPLICAOF", "127.0.0.1", "1")
        guard case .unavailable = await failure({ try await rig.streams["orders"].add(["n": "x"]) }) else {
            Issue.record("a replica takes what is added")
            return
        }
        try await eventually(30, "the consumer to be refused twice") { try rig.refusals("xreadgroup") >= 2 }
        try rig.ask("REPLICAOF", "NO", "ONE")
        try rig.fill("orders", 10, from: 10)
        try await eventually(30, "ten more") { log.count == 20 && rig.pending("orders", "g") == 0 }
        #expect(log.distinct.count == 20)
        await consumer.stop()
        try await task.end()
    }

    // MARK: Keys and groups

    enum Loss: String, CaseIterable, Sendable {
        case flush, delete, rename, destroy

        func happen(_ rig: StreamRig) throws {
            switch self {
            case .flush: try rig.ask("FLUSHALL")
            case .delete: try rig.ask("DEL", "orders")
            case .rename: try rig.ask("RENAME", "orders", "elsewhere")
            case .destroy: try rig.ask("XGROUP", "DESTROY", "orders", "g")
            }
        }
    }

    @Test("The key or the group goes while a consumer waits: what is added then is handled", arguments: Loss.allCases)
    func goneWhileWaiting(_ loss: Loss) async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 10)
        let log = HandledLog()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let task = consumer.work(into: log)
        try await eventually(10, "ten, and a read that waits") {
            try log.count == 10 && rig.pending("orders", "g") == 0 && rig.waiting() == 1
        }
        try loss.happen(rig)
        let new = try rig.fill("orders", 10, from: 10)
        try await eventually(20, "ten more, not \(log.count - 10)") { log.count >= 20 }
        #expect(log.ids.suffix(10) == new[...] && log.count == 20)
        #expect(consumer.counters.groupsMade >= 1)
        try await eventually(10, "none pending") { rig.pending("orders", "g") == 0 }
        await consumer.stop()
        try await task.end()
    }

    @Test("The key or the group goes while a consumer works: what is in hand is finished", arguments: Loss.allCases)
    func goneWhileWorking(_ loss: Loss) async throws {
        let rig = try await StreamRig()
        let old = try rig.fill("orders", 20)
        let log = HandledLog()
        let gate = Shared(false)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let task = consumer.work(into: log, parallel: 20) { _ in while !gate.value { try await Task.sleep(for: .milliseconds(5)) } }
        try await eventually(10, "twenty in hand") { rig.pending("orders", "g") == 20 }
        try loss.happen(rig)
        let new = try rig.fill("orders", 10, from: 20)
        gate.withLock { $0 = true }
        try await eventually(20, "all: \(Set(old + new).subtracting(log.distinct).count) are missing") {
            log.distinct.isSuperset(of: old + new)
        }
        try await eventually(20, "none pending") { rig.pending("orders", "g") == 0 }
        #expect(log.count == 30, "nothing twice")
        await consumer.stop()
        try await task.end()
    }

    @Test("A key that is made anew with smaller ids is read from its beginning")
    func smallerIDs() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 10)
        let log = HandledLog()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let task = consumer.work(into: log)
        try await eventually(10, "ten, and a read that waits") { try log.count == 10 && rig.waiting() == 1 }
        // In one go, so that nobody can make the group in between.
        try rig.ask("EVAL", "redis.call('DEL', KEYS[1]) for n = 1, 10 do redis.call('XADD', KEYS[1], n .. '-1', 'n', n) end", "1", "orders")
        try await eventually(20, "ten more, not \(log.count - 10)") { log.count >= 20 }
        #expect(log.ids.suffix(10) == (1...10).map { StreamID($0, 1) }[...])
        #expect(consumer.counters.groupsMade >= 1)
        await consumer.stop()
        try await task.end()
    }

    @Test("A group destroyed with half of it done, four consumers: none is skipped, few come twice")
    func destroyedHalfWay() async throws {
        let rig = try await StreamRig()
        let count = Nightly.count(everyday: 2_000, nightly: 10_000)
        let ids = try (0..<count / 500).flatMap { try rig.fill("orders", 500, from: 500 * $0) }
        let log = HandledLog()
        let consumers = (0..<4).map { rig.streams["orders"].group("g").consumer(as: "worker-\($0)", ConsumerOptions(prefetch: 50)) }
        let tasks = consumers.map { consumer in consumer.work(into: log, parallel: 4) { _ in try await Task.sleep(for: .milliseconds(1)) } }
        try await eventually(30, "half of it") { log.count >= count / 2 }
        try rig.ask("XGROUP", "DESTROY", "orders", "g")
        try await eventually(60, "all: \(Set(ids).subtracting(log.distinct).count) are missing") { log.distinct.count >= count }
        try await eventually(20, "none pending") { rig.pending("orders", "g") == 0 }
        #expect(log.distinct == Set(ids))
        #expect(log.count - count <= 4 * 50, "\(log.count - count) came twice")
        #expect(consumers.contains { $0.counters.groupsMade >= 1 })
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }

    // MARK: Connections

    @Test("Connections are killed all the time under a consumer: each entry is handled, none stays pending")
    func killedConnections() async throws {
        let rig = try await StreamRig()
        let log = HandledLog()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one", ConsumerOptions(claimAfter: .seconds(60)))
        let task = consumer.work(into: log, parallel: 4)
        var ids: [StreamID] = []
        for round in 0..<Nightly.count(everyday: 30, nightly: 600) {
            ids += try rig.fill("orders", 50, from: round * 50)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...60)))
            rig.killConnections()
        }
        try await eventually(40, "all: \(Set(ids).subtracting(log.distinct).count) are missing") {
            log.distinct.count >= ids.count && rig.pending("orders", "g") == 0
        }
        #expect(log.distinct == Set(ids))
        #expect(log.count == ids.count, "what is in hand is not handed out a second time")
        #expect(consumer.counters.interruptions >= 1)
        await consumer.stop()
        try await task.end()
    }
}
