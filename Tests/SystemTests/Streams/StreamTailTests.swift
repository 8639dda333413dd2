// Tails: what comes, complete, in order, each once, whatever becomes of the connection and the key.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Streams: tails", .serialized, .streamLimit)
struct StreamTailTests {
    /// Follows on a task of its own until so many have come.
    private func collect(_ tail: StreamTail, _ count: Int, into log: Shared<[StreamEntry]>) -> Task<Void, any Error> {
        Task {
            for try await entry in tail {
                log.withLock { $0.append(entry) }
                if log.value.count >= count { return }
            }
        }
    }

    private func numbers(_ log: Shared<[StreamEntry]>) -> [Int] { log.value.compactMap { $0["n"].flatMap { Int($0) } } }

    @Test("From the start, from behind an id, and from the end")
    func places() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 2_500)
        let (all, some, new) = (Shared<[StreamEntry]>([]), Shared<[StreamEntry]>([]), Shared<[StreamEntry]>([]))
        let orders = rig.streams["orders"]
        let tasks = [
            collect(orders.follow(after: .start), 2_510, into: all), collect(orders.follow(after: .after(ids[2_399])), 110, into: some),
            collect(orders.follow(after: .end), 10, into: new),
        ]
        // All three wait before more comes: else the end would be another one.
        try await eventually(10, "three reads that wait") { try rig.waiting() == 3 }
        let more = try rig.fill("orders", 10, from: 2_500)
        for task in tasks { try await task.end() }
        #expect(numbers(all) == Array(0..<2_510))
        #expect(all.value.map(\.id) == ids + more)
        #expect(numbers(some) == Array(2_400..<2_510))
        #expect(numbers(new) == Array(2_500..<2_510))
        #expect(all.value[7].key == "orders" && all.value[7]["text"] == "entry 7")
    }

    /// The seeds' main program: five orders, all of them, information, and a reader that gets the sixth while it is published.
    @Test func theSeedsProgram() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders_stream"]
        for number in 1...5 { _ = try await orders.add(["order_id": "\(number)", "amount": "\(number * 100)"]) }
        let all = try await orders.range()
        #expect(all.map { $0["order_id"] } == ["1", "2", "3", "4", "5"])
        let info = try #require(try await orders.info())
        #expect(info.length == 5 && info.first?.id == all.first?.id && info.last?["amount"] == "500")
        let last = try #require(all.last)
        let reader = Task {
            for try await order in orders.follow(after: .after(last.id)) { return order["order_id"] }
            return nil
        }
        try await eventually(10, "the reader to wait") { try rig.waiting() == 1 }
        _ = try await orders.add(["order_id": "6", "amount": "600"])
        #expect(try await reader.end() == "6")
    }

    @Test("Several streams in one tail: each in its own order, from its own place; one of them comes later")
    func severalStreams() async throws {
        let rig = try await StreamRig()
        let first = try rig.fill("a", 100)
        try rig.fill("b", 50)
        let log = Shared<[StreamEntry]>([])
        let task = collect(rig.streams.follow(["a": .after(first[49]), "b": .start, "later": .start, "c": .end]), 130, into: log)
        try await eventually(10, "a reading that waits") { try rig.waiting() == 1 && log.value.count == 100 }
        try rig.fill("later", 20)
        try rig.fill("c", 10)
        try await task.end()
        for (key, wanted) in [("a", Array(50..<100)), ("b", Array(0..<50)), ("later", Array(0..<20)), ("c", Array(0..<10))] {
            #expect(log.value.filter { $0.key == key }.compactMap { $0["n"].flatMap { Int($0) } } == wanted, "\(key)")
        }
    }

    @Test("Entries that come just before, at and after a read's end: complete, in order, each once")
    func aroundTheEndOfARead() async throws {
        let rig = try await StreamRig()
        let log = Shared<[StreamEntry]>([])
        let rounds = Nightly.count(everyday: 1, nightly: 40)
        let each = Nightly.count(everyday: 300, nightly: 500)
        let task = collect(rig.streams["orders"].follow(after: .end), rounds * each, into: log)
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        for round in 0..<rounds {
            // A read waits for five seconds. The pauses end around there.
            try await Task.sleep(for: .milliseconds(4_900 + 7 * round))
            for number in 0..<each {
                try rig.fill("orders", 1, from: round * each + number)
                if number < 60 { try await Task.sleep(for: .milliseconds(Int.random(in: 0...5))) }
            }
        }
        try await task.end()
        #expect(numbers(log) == Array(0..<rounds * each))
    }

    @Test("Its connections are killed all the time: nothing is missed, nothing comes twice")
    func killedConnections() async throws {
        let rig = try await StreamRig()
        let log = Shared<[StreamEntry]>([])
        let tail = rig.streams["orders"].follow(after: .start)
        let count = Nightly.count(everyday: 600, nightly: 20_000)
        let task = collect(tail, count, into: log)
        var kills = 0
        for number in stride(from: 0, to: count, by: 20) {
            try rig.fill("orders", 20, from: number)
            if number % 100 == 0 {
                rig.killConnections()
                kills += 1
                // A read stands again before it is killed again: else none would ever be killed while it waits.
                if kills % 3 == 0 { try await eventually(20, "a read that waits") { try rig.waiting() == 1 } }
            }
        }
        try await task.end()
        #expect(numbers(log) == Array(0..<count))
        #expect(tail.interruptions == 0 && tail.losses == 0, "the stream itself is as it was")
    }

    @Test("Redis is killed and comes back: the tail goes on behind its last entry")
    func killedServer() async throws {
        let rig = try await StreamRig()
        let log = Shared<[StreamEntry]>([])
        let task = collect(rig.streams["orders"].follow(after: .start), 300, into: log)
        try rig.fill("orders", 100)
        try await eventually(10, "the first hundred") { log.value.count == 100 }
        try await rig.killServer()
        try rig.fill("orders", 100, from: 100)
        try await eventually(20, "the second hundred") { log.value.count == 200 }
        try await rig.killServer()
        try rig.fill("orders", 100, from: 200)
        try await task.end()
        #expect(numbers(log) == Array(0..<300))
    }

    /// A connection that carries nothing any more and says nothing of it.
    @Test(.nightly) func aSilentProxy() async throws {
        let port = try FreePort.find()
        let rig = try await StreamRig(port: port)
        let proxy = try SilentProxy(to: port)
        let streams = try await RedisStreams.connect(RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: proxy.port))))
        defer { streams.close() }
        let log = Shared<[StreamEntry]>([])
        let task = collect(streams["orders"].follow(after: .start), 20, into: log)
        try rig.fill("orders", 10)
        try await eventually(10, "the first ten") { log.value.count == 10 }
        proxy.goSilent()
        try rig.fill("orders", 10, from: 10)
        try await eventually(20, "the next ones") { log.value.count == 20 }
        try await task.end()
        #expect(numbers(log) == Array(0..<20))
    }

    @Test("What was trimmed before it was read is counted; what was read before it was trimmed is not")
    func losses() async throws {
        let rig = try await StreamRig()
        let log = Shared<[StreamEntry]>([])
        let tail = rig.streams["orders"].follow(after: .start)
        let task = collect(tail, 61, into: log)
        try rig.fill("orders", 50)
        try await eventually(10, "fifty") { try log.value.count == 50 && rig.waiting() == 1 }
        try rig.ask("XTRIM", "orders", "MAXLEN", "5")
        // Nobody can read in the middle of a script: 40 of 50 are gone before the tail sees any.
        let script = "for n = 1, 50 do redis.call('XADD', KEYS[1], 'MAXLEN', 10, '*', 'n', 49 + n) end"
        try rig.ask("EVAL", script, "1", "orders")
        try await eventually(10, "forty to be counted, not \(tail.losses)") { tail.losses == 40 }
        try rig.fill("orders", 1, from: 100)
        try await task.end()
        #expect(numbers(log) == Array(0..<50) + Array(90...100) && tail.losses == 40)
    }

    @Test("A key that is made anew with smaller ids is read from its beginning, and that is counted")
    func madeAnew() async throws {
        let rig = try await StreamRig()
        let log = Shared<[StreamEntry]>([])
        let tail = rig.streams["orders"].follow(after: .start)
        let task = collect(tail, 15, into: log)
        try rig.fill("orders", 10)
        try await eventually(10, "ten") { try log.value.count == 10 && rig.waiting() == 1 }
        try rig.ask("DEL", "orders")
        for number in 10..<15 { try rig.ask("XADD", "orders", "\(number)-1", "n", "\(number)") }
        // It finds out at the end of a read that waited in vain.
        try await task.end()
        #expect(numbers(log) == Array(0..<15))
        #expect(tail.interruptions >= 1)
    }

    @Test("A cancelled task and a closed client end a tail at once; a key of another kind ends it with its error")
    func ends() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        func follow() -> Task<Result<Void, StreamError>, Never> {
            Task {
                do throws(StreamError) {
                    for try await _ in orders.follow(after: .end) {}
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        let cancelled = follow()
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        cancelled.cancel()
        // An end without an error is an end, too.
        if case .failure(let error) = await cancelled.value { #expect(error == .cancelled) }
        try await eventually(10, "no read that waits") { try rig.waiting() == 0 }

        try rig.ask("SET", "text", "x")
        await #expect(throws: StreamError.notAStream(key: "text")) {
            for try await _ in rig.streams["text"].follow(after: .start) {}
        }

        let closed = follow()
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        rig.streams.close()
        guard case .failure(.closed) = await closed.value else {
            Issue.record("not closed")
            return
        }
        await #expect(throws: StreamError.closed) { try await orders.length() }
    }
}
