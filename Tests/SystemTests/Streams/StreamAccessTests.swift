// Readers and workers under exactly the rights of deploy/redis-acl.conf: Redis's own log of refusals stays empty, and what they must not
// do, they cannot.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: access", .serialized, .streamLimit)
struct StreamAccessTests {
    /// The user's line of the file, as `ACL SETUSER` takes it: a selector in brackets is one word.
    private static func rights(_ user: String) throws -> [String] {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let text = try String(contentsOf: folder.appendingPathComponent("deploy/redis-acl.conf"), encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("user \(user) ") })
        return line.matches(of: /\([^)]*\)|\S+/).dropFirst().map { String($0.0) }
    }

    @Test func workersNeedNoMore() async throws {
        let rig = try await StreamRig()
        try rig.ask("CONFIG", "SET", "acllog-max-len", "1000")
        // The file loads on 6.2, which has no selectors: docs/streams.md has this one for newer servers.
        let reply = try rig.admin.command(["ACL", "SETUSER"] + StreamAccessTests.rights("feed-worker") + ["(+xadd ~dead:*)"])
        #expect(reply.text == "OK", "\(reply)")
        var place = rig.server.endpoint
        (place.user, place.password) = ("feed-worker", "change-me-worker")
        let streams = try await RedisStreams.connect(place)
        defer { streams.close() }
        let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
        let candles = streams[series]
        let key = candles.key
        func fill(_ count: Int, from first: Int) throws {
            for number in first..<first + count { try rig.ask("XADD", key, "\(number * 60_000)-0", "n", "\(number)") }
        }
        try fill(20, from: 1)

        // Reading in every way.
        #expect(try await candles.range(limit: 5).count == 5)
        #expect(try await candles.newest(2).count == 2)
        #expect(try await candles.length() == 20)
        #expect(try await candles.info()?.length == 20)
        var count = 0
        for try await _ in candles.entries() { count += 1 }
        for try await _ in candles.follow(after: .start) {
            count += 1
            if count == 40 { break }
        }
        #expect(count == 40)

        // A worker's life: its own group, failures, a dead letter, a message that is taken over, a group that goes, a stop.
        let group = candles.group("g")
        #expect(try await group.create())
        #expect(try await group.read(as: "dead", limit: 5).count == 5)
        let consumer = group.consumer(as: "worker", ConsumerOptions(claimAfter: .seconds(1), maxDeliveries: 2))
        let log = HandledLog()
        let task = consumer.work(into: log) { message in
            if message.entry["n"] == "8" { message.reject("no") }
            if message.entry["n"] == "9", message.deliveries == 1 { throw CancellationError() }
        }
        let grave = try #require(DeadLetter.standard.key(of: key, group: "g"))
        #expect(grave.hasPrefix("dead:"))
        try await eventually(20, "all but nothing pending") { try rig.length(grave) == 1 && rig.pending(key, "g") == 0 && log.count >= 19 }
        #expect(consumer.counters.claimed >= 5 && consumer.counters.buried == 1)
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        try rig.ask("XGROUP", "DESTROY", key, "g")
        try fill(5, from: 21)
        try await eventually(20, "five more") { log.count >= 24 && rig.pending(key, "g") == 0 }
        await consumer.stop()
        try await task.end()
        #expect(try await group.pending().count == 0)
        #expect(try await group.consumers().isEmpty)
        try await group.seek(to: .start)
        #expect(try await candles.groups().map(\.lag) == [25])
        let held = try await group.read(as: "holder", limit: 1).map(\.id)
        #expect(try await group.claim(held, for: "worker", idle: .zero).map(\.id) == held && held.count == 1)
        #expect(try await group.ack(held) == 1)

        // What a reader of candles does.
        let events = streams.candles(series, after: .start)
        let reading = Task { for try await _ in events {} }
        // None of these entries is a candle.
        try await eventually(30, "25 entries to be read, not \(events.badEntries)") { events.badEntries >= 25 }
        reading.cancel()
        _ = try? await reading.end()

        let refusals = try rig.admin.command("ACL", "LOG").elements
        #expect(refusals.isEmpty, "\(refusals.first.map { "\($0)" } ?? "")")

        // And what they must not do.
        let forbidden: [(String, () async throws -> Void)] = [
            ("add", { _ = try await candles.add(["x": "y"]) }),
            ("delete", { _ = try await candles.delete([StreamID(60_000)]) }),
            ("trim", { _ = try await candles.trim(.exactlyNewest(1)) }),
            ("destroy", { _ = try await group.destroy() }),
            ("read another key", { _ = try await streams["orders"].range() }),
        ]
        for (name, attempt) in forbidden {
            do {
                try await attempt()
                Issue.record("a worker may \(name)")
            } catch StreamError.refused(let words) {
                #expect(words.contains("NOPERM"), "\(name): \(words)")
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
        #expect(try rig.length(key) == 25)
    }
}
