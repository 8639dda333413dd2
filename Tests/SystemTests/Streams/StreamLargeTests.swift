// Entries that are large: more than a reply may hold, alone or together. Nothing behind them is lost, and nobody stands still.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: large entries", .serialized, .streamLimit)
struct StreamLargeTests {
    /// Adds an entry of so many fields of 7 MiB to each of the keys: within Redis, so that nobody has to send them.
    private func addLarge(_ rig: StreamRig, fields: Int, to keys: [String]) throws {
        let script = """
            local text, words = string.rep('x', 7 * 1024 * 1024), {}
            for n = 1, tonumber(ARGV[1]) do
              words[#words + 1] = 'f' .. n
              words[#words + 1] = text
            end
            for n = 1, #KEYS do redis.call('XADD', KEYS[n], '*', unpack(words)) end
            return #KEYS
            """
        #expect(try rig.admin.command(["EVAL", script, "\(keys.count)"] + keys + ["\(fields)"]).integer == Int64(keys.count))
    }

    /// It takes some seconds, and Redis has it several times while it is buried.
    @Test("An entry of 70 MiB ends in the dead letters; what is before and behind it is handled", .nightly)
    func aboveTheReply() async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let before = try rig.fill("orders", 3)
        try addLarge(rig, fields: 10, to: ["orders"])
        let script = "return redis.call('XINFO', 'STREAM', KEYS[1])[8]"
        let large = try #require(try rig.ask("EVAL", script, "1", "orders").text)
        let behind = try rig.fill("orders", 20, from: 3)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one", ConsumerOptions(claimAfter: .seconds(30)))
        let log = HandledLog()
        let task = consumer.work(into: log)
        try await eventually(90, "a dead letter, and all others to be done with: \(log.count)") {
            try rig.length("dead:{orders}:g") == 1 && rig.pending("orders", "g") == 0 && log.count >= 23 && consumer.counters.buried >= 1
        }
        #expect(log.count == 23 && log.distinct == Set(before + behind))
        #expect(consumer.counters.buried == 1, "\(consumer.counters)")
        // Nobody here reads it: only where it came from.
        let origin = """
            local fields = redis.call('XRANGE', KEYS[1], '-', '+')[1][2]
            for at = 1, #fields, 2 do if fields[at] == 'dead_id' then return fields[at + 1] end end
            """
        #expect(try rig.ask("EVAL", origin, "1", "dead:{orders}:g").text == large)
        try rig.fill("orders", 1, from: 23)
        try await eventually(30, "one more") { log.count == 24 && rig.pending("orders", "g") == 0 }
        await consumer.stop()
        try await task.end()
    }

    /// Of a thousand streams a reading asks for one entry each: it cannot become smaller.
    @Test(
        "Streams whose large entries do not fit one reply together, in one tail: nothing is lost",
        arguments: Nightly.isOn ? [10, 30, 1_000] : [1_000])
    func severalInOneTail(keys count: Int) async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let keys = (0..<count).map { "s\($0)" }
        let large = Array(keys.prefix(12))
        for key in large { try rig.fill(key, 1) }
        try addLarge(rig, fields: 1, to: large)
        for key in keys { try rig.fill(key, 1, from: 1) }
        let tail = rig.streams.follow(Dictionary(uniqueKeysWithValues: keys.map { ($0, .start) }))
        let seen = Shared<[String: [String]]>([:])
        let task = Task {
            for try await entry in tail {
                // The entries themselves are not kept.
                seen.withLock { $0[entry.key, default: []].append(entry["n"] ?? "large") }
            }
        }
        let wanted = Dictionary(uniqueKeysWithValues: keys.map { ($0, large.contains($0) ? ["0", "large", "1"] : ["1"]) })
        let total = wanted.values.reduce(0) { $0 + $1.count }
        try await eventually(60, "\(total) entries; \(tail.losses) are counted as lost") {
            seen.value.values.reduce(0) { $0 + $1.count } + tail.losses >= total
        }
        #expect(seen.value == wanted && tail.losses == 0)
        task.cancel()
        _ = try? await task.end()
    }
}
