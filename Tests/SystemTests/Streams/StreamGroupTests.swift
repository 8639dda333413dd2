// Groups by command: made, destroyed, read, acknowledged, looked at, moved; each empty and missing case; and every error.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: groups", .serialized, .streamLimit)
struct StreamGroupTests {
    @Test("Made once, from any place; destroyed once; without a stream only where that is wanted")
    func life() async throws {
        let rig = try await StreamRig()
        let group = rig.streams["orders"].group("g")
        #expect(await failure { try await group.create(makingStream: false) } == .noSuchStream(key: "orders"))
        #expect(try rig.ask("EXISTS", "orders").integer == 0)
        #expect(try await group.create())
        #expect(try rig.length("orders") == 0)
        #expect(try await group.create() == false, "it is there")
        let ids = try rig.fill("orders", 10)
        #expect(try await rig.streams["orders"].group("end").create(from: .end))
        #expect(try await rig.streams["orders"].group("middle").create(from: .after(ids[4])))
        let places = try await rig.streams["orders"].groups().map { ($0.name, $0.lastDelivered) }
        #expect(Dictionary(uniqueKeysWithValues: places) == ["g": .min, "end": ids[9], "middle": ids[4]])
        #expect(try await rig.streams["orders"].group("middle").read(as: "one").map(\.id) == Array(ids[5...]))
        #expect(try await rig.streams["orders"].group("end").read(as: "one").isEmpty)
        #expect(try await group.destroy())
        #expect(try await group.destroy() == false)
        #expect(try await rig.streams["nothing"].group("g").destroy() == false)
        // Anew, from the beginning.
        #expect(try await group.create())
        #expect(try await group.read(as: "one").count == 10)
    }

    @Test("One of several streams turns into something else: consumers and tails name it, also who may not ask XINFO")
    func wrongKind() async throws {
        let rig = try await StreamRig()
        for key in ["a", "b"] { try rig.fill(key, 1) }
        let log = HandledLog()
        let work = rig.streams.consumer(group: "g", of: ["a", "b"], as: "one").work(into: log)
        try rig.ask("ACL", "SETUSER", "reader", "on", ">x", "~*", "+@all", "-xinfo")
        var place = rig.server.endpoint
        (place.user, place.password) = ("reader", "x")
        let limited = try await RedisStreams.connect(place)
        defer { limited.close() }
        let tails = [rig.streams, limited].map { streams in
            Task { for try await _ in streams.follow(["a": .end, "b": .end]) {} }
        }
        try await eventually(20, "three reads that wait") { try log.count == 2 && rig.waiting() == 3 }
        try rig.ask("SET", "b", "x")
        // What waits in XREAD does not notice; its next read does.
        try rig.fill("a", 1)
        for task in [work] + tails { await #expect(throws: StreamError.notAStream(key: "b")) { try await task.end() } }
    }

    @Test("Pending: a summary, rows by consumer, idleness and place; claimed; acknowledged")
    func pending() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 250)
        let group = rig.streams["orders"].group("g")
        #expect(await failure { try await group.pending() } == .noSuchGroup(key: "orders", group: "g"))
        _ = try await group.create()
        let none = try await group.pending()
        #expect(none.count == 0 && none.min == nil && none.max == nil && none.byConsumer.isEmpty)
        #expect(try await group.pending(of: "a").isEmpty)
        #expect(try await group.consumers().isEmpty)

        #expect(try await group.read(as: "a", limit: 10).map(\.id) == Array(ids[..<10]))
        #expect(try await group.read(as: "b", limit: 200).count == 200)
        let summary = try await group.pending()
        #expect(summary.count == 210 && summary.min == ids[0] && summary.max == ids[209])
        #expect(summary.byConsumer["a"] == 10 && summary.byConsumer["b"] == 200)
        #expect(try await group.pending(limit: 1_000).map(\.id) == Array(ids[..<210]))
        #expect(try await group.pending(of: nil).count == 100, "a hundred rows, unless told otherwise")
        let rows = try await group.pending(of: "a", from: ids[3], through: ids[6])
        #expect(rows.map(\.id) == Array(ids[3...6]) && rows.allSatisfy { $0.consumer == "a" && $0.deliveries == 1 && $0.idle >= .zero })
        #expect(try await group.pending(idle: .seconds(3_600)).isEmpty)
        try await eventually(20, "a row that is idle") { rig.pending("orders", "g", of: "a") == 10 }
        try await Task.sleep(for: .milliseconds(30))
        #expect(try await group.pending(of: "a", idle: .milliseconds(20)).count == 10)
        #expect(Set(try await group.consumers().map { "\($0.name) \($0.pending)" }) == ["a 10", "b 200"])

        // Not idle enough, then taken.
        #expect(try await group.claim([ids[0]], for: "c", idle: .seconds(3_600)).isEmpty)
        let claimed = try await group.claim([ids[0], ids[1], ids[240], StreamID(7)], for: "c", idle: .zero)
        #expect(claimed.map(\.id) == [ids[0], ids[1]] && claimed[1]["n"] == "1")
        #expect(try await group.pending(of: "c").map(\.deliveries) == [2, 2])
        #expect(try await group.claim([], for: "c", idle: .zero).isEmpty)

        #expect(try await group.ack([ids[0], ids[1], ids[1], ids[240]]) == 2)
        #expect(try await group.ack([]) == 0)
        #expect(try await group.ack(ids + (0..<3_000).map { StreamID(1, $0) }) == 208, "more than one command's worth")
        #expect(rig.pending("orders", "g") == 0)
        #expect(try await rig.streams["nothing"].group("g").ack([StreamID(1)]) == 0)
    }

    @Test("Moved: to the start, to an id, to the end; not while something is pending, unless that is meant")
    func seek() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 20)
        let group = rig.streams["orders"].group("g")
        #expect(await failure { try await group.seek(to: .start) } == .noSuchGroup(key: "orders", group: "g"))
        _ = try await group.create(from: .end)
        try await group.seek(to: .after(ids[9]))
        // What Redis does not know is not guessed: in the middle of a stream most versions do not.
        let lag = try await rig.streams["orders"].groups().first?.lag
        #expect(lag == nil || lag == 10)
        #expect(try await group.read(as: "one", limit: 2).map(\.id) == [ids[10], ids[11]])
        let refusal = await failure { try await group.seek(to: .start) }
        #expect(refusal != nil, "two are pending")
        #expect(try await rig.streams["orders"].groups().first?.lastDelivered == ids[11])
        try await group.seek(to: .start, evenIfPending: true)
        #expect(try await group.read(as: "two", limit: 100).map(\.id) == ids)
        #expect(try await group.ack(ids) == 20)
        try await group.seek(to: .end)
        #expect(try await group.read(as: "one").isEmpty)
        #expect(try await rig.streams["orders"].groups().first?.lag == 0)
    }

    // MARK: Errors

    @Test("A key of another kind, no group, no right: each its own error, in one sentence with its key")
    func refusals() async throws {
        let rig = try await StreamRig()
        try rig.ask("SET", "text", "x")
        let text = rig.streams["text"]
        let wrong = StreamError.notAStream(key: "text")
        #expect(await failure { try await text.add(["a": "b"]) } == wrong)
        #expect(await failure { try await text.range() } == wrong)
        #expect(await failure { try await text.length() } == wrong)
        #expect(await failure { try await text.trim(.unacknowledged) } == wrong)
        #expect(await failure { try await text.group("g").create() } == wrong)
        #expect(await failure { try await text.info() } == wrong)
        #expect("\(wrong)".contains("text"))
        let missing = StreamError.noSuchGroup(key: "orders", group: "g\r\n")
        try rig.fill("orders", 1)
        let group = rig.streams["orders"].group("g\r\n")
        #expect(await failure { try await group.read(as: "one") } == missing)
        #expect(await failure { try await group.pending(of: "one") } == missing)
        #expect(await failure { try await group.consumers() } == missing)
        #expect(await failure { try await group.claim([StreamID(1)], for: "one", idle: .zero) } == missing)
        #expect("\(missing)".contains("orders") && !"\(missing)".contains("\r"))

        try rig.ask("ACL", "SETUSER", "bot", "on", ">secret", "-@all", "+ping", "+client|id", "+xrange", "~orders")
        var place = rig.server.endpoint
        (place.user, place.password) = ("bot", "secret")
        let bot = try await RedisStreams.connect(place)
        defer { bot.close() }
        #expect(try await bot["orders"].range().count == 1)
        for call in ["orders", "other"] {
            let error = await failure {
                if call == "orders" { _ = try await bot[call].add(["a": "b"]) } else { _ = try await bot[call].range() }
            }
            guard case .refused(let words) = error, words.contains("NOPERM") else {
                Issue.record("\(call): \(String(describing: error))")
                continue
            }
        }
        // A worker without rights ends, with the same error, instead of trying for ever.
        let consumer = bot["orders"].group("g").consumer()
        let task = Task { try await consumer.run { _ in } }
        let ended = await #expect(throws: StreamError.self) { try await task.end() }
        guard case .refused = ended else {
            Issue.record("\(String(describing: ended))")
            return
        }
        (place.user, place.password) = ("bot", "wrong")
        let refused = place
        let error = await failure { try await RedisStreams.connect(refused) }
        #expect(error.map { "\($0)".contains("WRONGPASS") } == true, "\(String(describing: error))")
    }

    @Test("Out of memory, stopped in its tracks, away, closed, cancelled: each its own error, and fine again after it")
    func passing() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        let hasty = try await RedisStreams.connect(rig.server.endpoint, timeout: .seconds(1))
        defer { hasty.close() }
        try rig.fill("orders", 10)
        try rig.ask("CONFIG", "SET", "maxmemory", "1")
        guard case .unavailable(let words) = await failure({ try await orders.add(["a": "b"]) }) else {
            Issue.record("not out of memory")
            return
        }
        #expect(words.contains("OOM"))
        #expect(try await orders.length() == 10, "reading goes on")
        try rig.ask("CONFIG", "SET", "maxmemory", "0")
        #expect(try await orders.add(["a": "b"]) > .min)

        let pid = try #require(rig.server.pid)
        kill(pid, SIGSTOP)
        #expect(await failure { try await hasty["orders"].length() } == .timeout(after: .seconds(1)))
        let cancelled = Task { () async -> StreamError? in
            do throws(StreamError) {
                _ = try await orders.length()
                return nil
            } catch {
                return error
            }
        }
        cancelled.cancel()
        #expect(await cancelled.value == .cancelled)
        kill(pid, SIGCONT)
        #expect(try await orders.length() == 11)
        #expect(try await eventualLength(hasty["orders"]) == 11)

        rig.server.kill9()
        guard case .disconnected = await failure({ try await orders.length() }) else {
            Issue.record("not disconnected")
            return
        }
        try rig.restart()
        try await eventually(10, "Redis to answer") { try rig.length("orders") == 11 }
        #expect(try await eventualLength(orders) == 11, "it comes back by itself")
        rig.streams.close()
        #expect(await failure { try await orders.length() } == .closed)
        #expect(await failure { try await orders.add(contentsOf: [["a": "b"]]) } == .closed)
    }

    /// Asks until it is answered.
    private func eventualLength(_ stream: RedisStream) async throws -> Int {
        let deadlineNs = MonotonicClock.nowNs() + 60_000_000_000
        while MonotonicClock.nowNs() < deadlineNs {
            if let length = try? await stream.length() { return length }
            try await Task.sleep(for: .milliseconds(20))
        }
        return try await stream.length()
    }

    @Test("Nobody there, and what makes no sense: refused before anything is sent")
    func arguments() async throws {
        let nowhere = try RedisEndpoint(url: "redis://127.0.0.1:1")
        guard case .disconnected = await failure({ try await RedisStreams.connect(nowhere) }) else {
            Issue.record("not disconnected")
            return
        }
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        let before = try rig.calls("xadd") + rig.calls("xtrim") + rig.calls("xreadgroup")
        for error in [
            await failure({ try await orders.add([:]) }),
            await failure({ try await orders.add(["a": "b"], keep: .unacknowledged) }),
            await failure({ try await orders.trim(.newest(-1)) }),
            await failure({ try await orders.group("g").consumer(as: "a", ConsumerOptions(prefetch: 0)).run { _ in } }),
            await failure({ try await orders.group("g").consumer(as: "a", ConsumerOptions(maxDeliveries: 0)).run { _ in } }),
            await failure({ try await rig.streams.consumer(group: "g", of: []).run { _ in } }),
        ] {
            guard case .badArgument(let sentence) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(!sentence.isEmpty)
        }
        #expect(try rig.calls("xadd") + rig.calls("xtrim") + rig.calls("xreadgroup") == before)
    }
}
