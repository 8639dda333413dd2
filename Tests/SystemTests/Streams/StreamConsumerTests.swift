// Consumers: each message once a group, acknowledgements, what is in hand, what vanishes, order by key, what a stop gives back.
// (What fails is in StreamFailureTests, what dies in StreamRecoveryTests.)

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: consumers", .serialized, .streamLimit)
struct StreamConsumerTests {
    @Test("Four consumers share a group's messages: each once, none pending")
    func disjoint() async throws {
        let rig = try await StreamRig()
        let count = Nightly.count(everyday: 4_000, nightly: 10_000)
        let log = HandledLog()
        let group = rig.streams["orders"].group("g")
        var consumers: [(consumer: StreamConsumer, task: Task<Void, any Error>)] = []
        for number in 0..<4 {
            let consumer = group.consumer(as: "worker-\(number)")
            // Slower than they are read, so that none is done before the others begin.
            let work = consumer.work(into: log, parallel: 8) { _ in try await Task.sleep(for: .milliseconds(2)) }
            consumers.append((consumer, work))
        }
        try await eventually(10, "four reads that wait") { try rig.waiting() == 4 }
        let ids = try (0..<count / 500).flatMap { try rig.fill("orders", 500, from: 500 * $0) }
        try await eventually(60, "all of \(count), not \(log.count)") { log.count >= count }
        try await eventually(10, "none to be pending") { rig.pending("orders", "g") == 0 }
        #expect(log.distinct == Set(ids) && log.count == count, "\(log.count) handled, \(log.distinct.count) of \(ids.count)")
        #expect(log.lines.allSatisfy { $0.deliveries == 1 })
        #expect(Set(log.lines.map(\.by)).count == 4, "all of them had a part")
        for (consumer, task) in consumers {
            await consumer.stop()
            try await task.end()
        }
        let counters = consumers.map(\.consumer.counters)
        #expect(counters.reduce(0) { $0 + Int($1.received) } == count && counters.reduce(0) { $0 + Int($1.acked) } == count)
        #expect(try rig.consumerNames("orders", "g") == [])
        #expect(try await rig.streams["orders"].groups().map(\.lag) == [0])
    }

    @Test("One consumer of thirty streams: each stream's messages in its order")
    func severalStreams() async throws {
        let rig = try await StreamRig()
        let keys = (0..<30).map { "s\($0)" }
        for key in keys { try rig.fill(key, 20) }
        let log = HandledLog()
        let consumer = rig.streams.consumer(group: "g", of: keys, as: "one", ConsumerOptions(prefetch: 40))
        let task = consumer.work(into: log)
        try await eventually(20, "600, not \(log.count)") { log.count == 600 }
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        for key in keys.reversed() { try rig.fill(key, 5, from: 20) }
        try await eventually(20, "750, not \(log.count)") { log.count == 750 }
        for key in keys {
            let ids = try rig.ids(key)
            #expect(log.lines.filter { $0.key == key }.map(\.id) == ids, "\(key)")
            try await eventually(10, "\(key) to be acknowledged") { rig.pending(key, "g") == 0 }
        }
        await consumer.stop()
        try await task.end()
    }

    @Test("Three groups at different paces: each has all; what is in hand is never more than asked for")
    func paces() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 300)
        let paces: [(group: String, prefetch: Int, milliseconds: Int)] = [("fast", 100, 0), ("middle", 10, 2), ("slow", 1, 5)]
        var (tasks, consumers, logs): ([Task<Void, any Error>], [StreamConsumer], [HandledLog]) = ([], [], [])
        for pace in paces {
            let (log, milliseconds) = (HandledLog(), pace.milliseconds)
            let consumer = rig.streams["orders"].group(pace.group).consumer(as: "one", ConsumerOptions(prefetch: pace.prefetch))
            tasks.append(
                consumer.work(into: log) { _ in if milliseconds > 0 { try await Task.sleep(for: .milliseconds(milliseconds)) } })
            consumers.append(consumer)
            logs.append(log)
        }
        var most = [0, 0, 0]
        try await eventually(30, "all groups") {
            for (place, pace) in paces.enumerated() { most[place] = max(most[place], rig.pending("orders", pace.group)) }
            return logs.allSatisfy { $0.count == 300 }
        }
        for (place, pace) in paces.enumerated() {
            // What is acknowledged and not answered yet is not in hand: a read and the acknowledgements of the batch before leave together.
            // (The fast one may be done between two looks.)
            #expect(
                most[place] <= 2 * pace.prefetch && (most[place] >= 1 || place == 0), "\(pace.group): \(most[place]) of \(pace.prefetch)")
            #expect(logs[place].ids == ids, "\(pace.group): in order, each once")
        }
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }

    @Test("Back-pressure: a handler that waits leaves the rest unread")
    func backPressure() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 1_000)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one", ConsumerOptions(prefetch: 20))
        let gate = Shared(false)
        let log = HandledLog()
        let task = consumer.work(into: log) { _ in while !gate.value { try await Task.sleep(for: .milliseconds(5)) } }
        try await eventually(10, "20 to be pending") { rig.pending("orders", "g") == 20 }
        // It could read more at any time; nothing else can be waited for.
        try await Task.sleep(for: .milliseconds(300))
        #expect(rig.pending("orders", "g") == 20 && log.count == 0)
        gate.withLock { $0 = true }
        try await eventually(20, "all") { log.count == 1_000 && rig.pending("orders", "g") == 0 }
        await consumer.stop()
        try await task.end()
    }

    // MARK: Acknowledgements

    @Test("Acknowledgements leave in batches, and while a read waits")
    func acknowledgements() async throws {
        let rig = try await StreamRig()
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let log = HandledLog()
        let task = consumer.work(into: log)
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        // The read that waits next would carry it when it ends, after five seconds. On a machine that stands still so long, the next turn
        // shows it.
        var (turn, isWhileItWaits) = (0, false)
        while !isWhileItWaits, turn < 3 {
            turn += 1
            try await eventually(30, "a read that waits") { try rig.waiting() == 1 }
            let reads = try rig.calls("xreadgroup")
            try rig.fill("orders", 1)
            try await eventually(30, "none to be pending") { log.count == turn && rig.pending("orders", "g") == 0 }
            // The one that brought it, and none after it, has ended.
            isWhileItWaits = try rig.calls("xreadgroup") == reads + 1
        }
        #expect(isWhileItWaits)
        let before = try rig.calls("xack")
        try rig.fill("orders", 2_000)
        try await eventually(20, "all") {
            log.count == 2_000 + turn && rig.pending("orders", "g") == 0 && consumer.counters.acked == UInt64(2_000 + turn)
        }
        let calls = try rig.calls("xack") - before
        #expect(calls >= 1 && calls <= 200, "2000 messages, \(calls) commands")
        #expect(consumer.counters.ackMisses == 0)
        await consumer.stop()
        try await task.end()
    }

    @Test("Redis stands still, then dies, between handling and acknowledging: nothing is pending in the end")
    func acknowledgementsOverLosses() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 50)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let gate = Shared(0)
        let log = HandledLog()
        let task = consumer.work(into: log, parallel: 50) { message in
            let number = Int(message.entry["n"] ?? "") ?? 0
            while number >= gate.value { try await Task.sleep(for: .milliseconds(2)) }
        }
        try await eventually(10, "50 in hand") { rig.pending("orders", "g") == 50 }
        let pid = try #require(rig.server.pid)
        kill(pid, SIGSTOP)
        gate.withLock { $0 = 25 }
        try await eventually(10, "25 handled") { log.count == 25 }
        try await Task.sleep(for: .milliseconds(Nightly.isOn ? 10_000 : 300))
        kill(pid, SIGCONT)
        try await eventually(30, "25 acknowledged") { rig.pending("orders", "g") == 25 }
        rig.server.kill9()
        gate.withLock { $0 = 50 }
        try await eventually(10, "all handled") { log.distinct.count == 50 }
        try rig.restart()
        try await eventually(30, "all acknowledged, not \(rig.pending("orders", "g")) pending") { rig.pending("orders", "g") == 0 }
        #expect(log.distinct == Set(ids))
        #expect(log.count == 50, "what is in hand is not handed out a second time")
        await consumer.stop()
        try await task.end()
    }

    // MARK: What vanishes

    @Test("Trimmed and deleted while pending: acknowledged, counted, never handed out", arguments: [false, true])
    func vanished(beforeRestart: Bool) async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 20)
        let group = rig.streams["orders"].group("g")
        _ = try await group.create()
        #expect(try await group.read(as: "dead").count == 20)
        #expect(try await rig.streams["orders"].delete([ids[3], ids[4], ids[11]]) == 3)
        // Its own again by its name, or somebody else's by being idle.
        let consumer = group.consumer(
            as: beforeRestart ? "dead" : "other", ConsumerOptions(claimAfter: beforeRestart ? .seconds(60) : .seconds(1)))
        let log = HandledLog()
        let empty = Shared(0)
        let task = consumer.work(into: log) { if $0.entry.fields.isEmpty { empty.withLock { $0 += 1 } } }
        try await eventually(20, "nothing to be pending") { rig.pending("orders", "g") == 0 && log.count >= 17 }
        let left = ids.enumerated().filter { ![3, 4, 11].contains($0.offset) }.map(\.element)
        #expect(log.count == 17 && log.distinct == Set(left) && empty.value == 0)
        await consumer.stop()
        #expect(consumer.counters.vanished == 3, "\(consumer.counters)")
        try await task.end()
    }

    @Test("Trimmed while in hand: it is handled and acknowledged like any other")
    func trimmedInHand() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 10)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one", ConsumerOptions(claimAfter: .seconds(1)))
        let gate = Shared(false)
        let log = HandledLog()
        let task = consumer.work(into: log, parallel: 10) { _ in while !gate.value { try await Task.sleep(for: .milliseconds(5)) } }
        try await eventually(10, "ten in hand") { rig.pending("orders", "g") == 10 }
        try rig.ask("XTRIM", "orders", "MAXLEN", "0")
        // Over a renewal of the lease and a look for others' messages: Redis drops deleted ones from its list when they are claimed.
        let looks = try rig.calls("xautoclaim")
        try await Task.sleep(for: .milliseconds(1_500))
        try await eventually(30, "two looks") { try rig.calls("xautoclaim") >= looks + 2 }
        gate.withLock { $0 = true }
        try await eventually(10, "all") { log.count >= 10 && rig.pending("orders", "g") == 0 }
        #expect(log.count == 10 && log.distinct == Set(ids))
        await consumer.stop()
        try await task.end()
    }

    // MARK: Stopping

    @Test("A loop that is left, and a stop: what waits goes back at once; a name that has it stays until somebody else does")
    func leftLoop() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 30)
        let group = rig.streams["orders"].group("g")
        let first = group.consumer(as: "first")
        var taken: [StreamID] = []
        for try await message in first {
            taken.append(message.entry.id)
            message.ack()
            if taken.count == 10 { break }
        }
        await first.stop()
        try await eventually(10, "20 pending") { rig.pending("orders", "g") == 20 }
        let second = group.consumer(as: "second")
        let log = HandledLog()
        let task = second.work(into: log)
        try await eventually(15, "the rest, not \(log.count)") { log.count >= 20 && rig.pending("orders", "g") == 0 }
        #expect(taken == Array(ids.prefix(10)) && log.distinct == Set(ids.dropFirst(10)) && log.count == 20)
        #expect(log.lines.allSatisfy { $0.deliveries <= 2 }, "what was not handed out was hardly a delivery")
        #expect(try rig.consumerNames("orders", "g") == ["first", "second"])
        await second.stop()
        try await task.end()
        #expect(try rig.consumerNames("orders", "g") == ["first"], "who has nothing takes its name along")
        #expect(try await group.forget("first"))
    }

    @Test("Stop: a hundred in hand, five done, one slow: somebody else has 94, the slow one ends here")
    func stop() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 100)
        let group = rig.streams["orders"].group("g")
        let (first, second) = (group.consumer(as: "first"), group.consumer(as: "second"))
        let gate = Shared(false)
        let (slow, rest) = (HandledLog(), HandledLog())
        let task = first.work(into: slow) { message in
            guard message.entry["n"] == "5" else { return }
            while !gate.value { try? await Task.sleep(for: .milliseconds(5)) }
        }
        try await eventually(10, "five done") { slow.count == 5 && rig.pending("orders", "g") == 95 }
        let other = second.work(into: rest)
        let stopping = Task { await first.stop(within: .seconds(30)) }
        try await eventually(15, "94, not \(rest.count)") { rest.count >= 94 }
        #expect(slow.count == 5 && rig.pending("orders", "g", of: "first") == 1)
        gate.withLock { $0 = true }
        await stopping.value
        try await task.end()
        try await eventually(10, "none pending") { rig.pending("orders", "g") == 0 }
        #expect(slow.ids == Array(ids.prefix(6)) && rest.count == 94 && rest.distinct == Set(ids.dropFirst(6)), "nothing twice")
        #expect(try rig.consumerNames("orders", "g") == ["second"])
        await second.stop()
        try await other.end()
    }

    @Test("A cancelled task gives back what it has and ends; a closed client ends it, too")
    func cancelled() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 40)
        let group = rig.streams["orders"].group("g")
        let consumer = group.consumer(as: "first")
        let log = HandledLog()
        let task = consumer.work(into: log) { message in
            if message.entry["n"] == "10" { try await Task.sleep(for: .seconds(3_600)) }
        }
        try await eventually(10, "ten done") { log.count == 10 }
        task.cancel()
        _ = try? await task.end()
        let rest = HandledLog()
        let second = group.consumer(as: "second")
        let other = second.work(into: rest)
        try await eventually(20, "the rest, not \(rest.count)") { rest.distinct.count == 30 && rig.pending("orders", "g") == 0 }
        #expect(log.distinct.union(rest.distinct) == Set(ids))
        rig.streams.close()
        await #expect(throws: StreamError.closed) { try await other.end() }
    }

    // MARK: Order

    @Test("In order by key: strictly, over retries and over many in parallel; none is missing")
    func orderedByKey() async throws {
        let rig = try await StreamRig()
        let (keys, each) = (Nightly.count(everyday: 100, nightly: 1_000), 10)
        let commands = (0..<each).flatMap { turn in
            (0..<keys).map { ["XADD", "orders", "*", "customer", "c\($0)", "turn", "\(turn)"] }
        }
        for start in stride(from: 0, to: commands.count, by: 500) {
            for reply in try rig.admin.pipeline(Array(commands[start..<min(start + 500, commands.count)])) { #expect(reply.text != nil) }
        }
        let consumer = rig.streams["orders"].group("g").consumer(as: "one", ConsumerOptions(prefetch: 200))
        let (turns, failures, running) = (Shared<[String: [Int]]>([:]), Shared(0), Shared<[String: Int]>([:]))
        let overlaps = Shared(0)
        let task = Task {
            try await consumer.run(parallel: 8, orderedBy: { $0.entry["customer"] ?? "" }) { message in
                let customer = message.entry["customer"] ?? ""
                running.withLock { $0[customer, default: 0] += 1 }
                if running.value[customer] != 1 { overlaps.withLock { $0 += 1 } }
                await Task.yield()
                running.withLock { $0[customer, default: 0] -= 1 }
                // Of a fiftieth of the keys the fourth one fails once: all behind it must wait for it.
                if message.entry["turn"] == "3", customer.hasSuffix("7"), message.deliveries == 1 {
                    failures.withLock { $0 += 1 }
                    throw CancellationError()
                }
                turns.withLock { $0[customer, default: []].append(Int(message.entry["turn"] ?? "") ?? -1) }
            }
        }
        func done() -> Int { turns.value.values.reduce(0) { $0 + $1.count } }
        try await eventually(60, "\(keys * each), not \(done())") { done() >= keys * each }
        #expect(turns.value.count == keys && turns.value.values.allSatisfy { $0 == Array(0..<each) }, "strictly in order, none twice")
        #expect(failures.value == keys / 10 && overlaps.value == 0)
        try await eventually(10, "none pending") { rig.pending("orders", "g") == 0 }
        await consumer.stop()
        try await task.end()
    }
}
