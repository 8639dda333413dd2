// Redis is away, or comes back with less than it had: who waits for it takes no processor time, and what was read is not read again.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Streams: outages", .serialized, .streamLimit)
struct StreamOutageTests {
    /// How much of the time of one processor this process takes.
    private func busyShare(over seconds: Double) async throws -> Double {
        func cpuNs() -> UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        }
        let (startNs, startCpuNs) = (MonotonicClock.nowNs(), cpuNs())
        try await Task.sleep(for: .seconds(seconds))
        return Double(cpuNs() - startCpuNs) / Double(MonotonicClock.nowNs() - startNs)
    }

    private func follow(_ tail: StreamTail, into log: Shared<[StreamEntry]>) -> Task<Void, any Error> {
        Task { for try await entry in tail { log.withLock { $0.append(entry) } } }
    }

    private func numbers(_ log: Shared<[StreamEntry]>) -> [Int] { log.value.compactMap { $0["n"].flatMap { Int($0) } } }

    @Test("A server by its name: the first connection, one for a read that waits, and both again")
    func byName() async throws {
        let port = try FreePort.find()
        let rig = try await StreamRig(port: port)
        let streams = try await RedisStreams.connect(try RedisEndpoint(url: "redis://localhost:\(port)"))
        defer { streams.close() }
        let log = Shared<[StreamEntry]>([])
        let following = follow(streams["orders"].follow(after: .start), into: log)
        defer { following.cancel() }
        for number in 0..<3 {
            // A call that meets the loss fails; the next one waits for the connection.
            for _ in 0..<3 where numbers(log).last != number { _ = try? await streams["orders"].add(["n": "\(number)"]) }
            try await eventually(20, "an entry that comes") { self.numbers(log).last == number }
            rig.killConnections()
        }
    }

    @Test("Redis is away: a tail, one that does not know the end yet, and a consumer wait at rest, and go on")
    func atRest() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        let consumer = orders.group("g").consumer(as: "one")
        let (known, unknown, handled) = (Shared<[StreamEntry]>([]), Shared<[StreamEntry]>([]), HandledLog())
        let work = consumer.work(into: handled)
        let first = follow(orders.follow(after: .end), into: known)
        try await eventually(30, "two reads that wait") { try rig.waiting() == 2 }
        rig.server.kill9()
        try await eventually(30, "the consumer to notice") { consumer.counters.interruptions >= 1 }
        let second = follow(orders.follow(after: .end), into: unknown)
        // A thread that does not wait is busy in each turn, whatever else goes on here.
        var share = 1.0
        for _ in 0..<3 where share >= 0.5 { share = try await busyShare(over: 2) }
        #expect(Sanitizer.isOn || share < 0.5, "busy for \(share) of the time")
        try rig.restart()
        // The end is where it is when the second one can ask.
        try await eventually(30, "three reads that wait") { try rig.waiting() == 3 }
        try rig.fill("orders", 10)
        try await eventually(30, "ten everywhere: \(known.value.count), \(unknown.value.count), \(handled.count)") {
            known.value.count >= 10 && unknown.value.count >= 10 && handled.count >= 10 && rig.pending("orders", "g") == 0
        }
        #expect(numbers(known) == Array(0..<10) && numbers(unknown) == Array(0..<10) && handled.count == 10)
        await consumer.stop()
        try await work.end()
        for task in [first, second] {
            task.cancel()
            _ = try? await task.end()
        }
    }

    @Test("Redis comes back without its last entries: a tail begins anew and has what comes then")
    func rolledBack() async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let log = Shared<[StreamEntry]>([])
        let task = follow(rig.streams["orders"].follow(after: .start), into: log)
        let kept = try rig.fill("orders", 100)
        try rig.ask("SAVE")
        let lost = try rig.fill("orders", 100, from: 100)
        try await eventually(30, "two hundred") { log.value.count == 200 }
        try await rig.killServer()
        #expect(try rig.ids("orders") == kept)
        try await eventually(30, "a read that waits") { try rig.waiting() == 1 }
        let new = try rig.fill("orders", 10, from: 200)
        try #require(new.first ?? .min > lost.last ?? .max)
        try await eventually(30, "ten more: \(log.value.count)") { log.value.last?.id == new.last }
        let ids = log.value.map(\.id)
        #expect(ids == kept + lost + kept + new || ids == kept + lost + new, "none is missing, what is there may come again: \(ids.count)")
        task.cancel()
        _ = try? await task.end()
    }
}
