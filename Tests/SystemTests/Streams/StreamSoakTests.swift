// Everything at once for long: producers, groups, tails, trims; connections, Redis and a side stream die all the time. Nothing that was
// acknowledged to a producer may be missing in any group, and memory stays flat. FASTFEED_STREAM_MINUTES says for how long (2).

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Streams: soak", .serialized, .streamLimit, .nightly)
struct StreamSoakTests {
    private static let minutes = ProcessInfo.processInfo.environment["FASTFEED_STREAM_MINUTES"].flatMap { Double($0) } ?? 2

    /// What is still wanted of each group: ids that were added and not handled there. It shrinks as it grows, so that a soak of hours
    /// takes no more memory than one of minutes.
    private final class Books: Sendable {
        private let state: Lock<(open: [Set<StreamID>], early: [Set<StreamID>], added: Int)>

        init(groups: Int) {
            state = Lock((Array(repeating: [], count: groups), Array(repeating: [], count: groups), 0))
        }

        func added(_ ids: [StreamID]) {
            state.withLock { state in
                state.added += ids.count
                for group in state.open.indices {
                    for id in ids where state.early[group].remove(id) == nil { state.open[group].insert(id) }
                }
            }
        }

        /// A handler may be faster than the producer is told; and what was added without an answer is handled, too.
        func handled(_ id: StreamID, _ group: Int) {
            state.withLock { state in
                if state.open[group].remove(id) == nil, state.early[group].count < 50_000 { state.early[group].insert(id) }
            }
        }

        var open: [Int] { state.withLock { $0.open.map(\.count) } }
        var added: Int { state.withLock { $0.added } }
    }

    @Test func nothingIsLost() async throws {
        let rig = try await StreamRig()
        let (orders, side) = (rig.streams["orders"], rig.streams["side"])
        let books = Books(groups: 3)
        let isOver = Shared(false)
        var (consumers, tasks): ([StreamConsumer], [Task<Void, any Error>]) = ([], [])
        for group in 0..<3 {
            for worker in 0..<2 {
                let options = ConsumerOptions(prefetch: 50 + 25 * group, claimAfter: .seconds(2))
                let consumer = orders.group("group-\(group)").consumer(as: "worker-\(worker)", options)
                consumers.append(consumer)
                tasks.append(
                    Task {
                        try await consumer.run(parallel: 1 + group) { message in books.handled(message.entry.id, group) }
                    })
            }
        }
        let sideConsumer = side.group("g").consumer(as: "one")
        let sideTask = Task { try await sideConsumer.run { _ in } }
        let producers = (0..<2).map { producer in
            Task {
                while !isOver.value {
                    let batch = (0..<20).map { StreamFields([("n", "\($0)"), ("producer", "\(producer)")]) }
                    do {
                        books.added(try await orders.add(contentsOf: batch))
                        _ = try await side.add(["n": "1"])
                    } catch StreamError.partly(let ids, _) {
                        books.added(ids.compactMap(\.self))
                    } catch {
                        try? await Task.sleep(for: .milliseconds(50))
                    }
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
        }
        let endNs = MonotonicClock.nowNs() + UInt64(StreamSoakTests.minutes * 60e9)
        let settledNs = MonotonicClock.nowNs() + UInt64(StreamSoakTests.minutes * 20e9)
        var (residentBefore, round) = (0, 0)
        while MonotonicClock.nowNs() < endNs {
            round += 1
            switch round % 10 {
            case 3, 7: rig.killConnections()
            case 5: try await rig.killServer(away: 0.5)
            case 6: _ = try? await orders.trim(.unacknowledged)
            case 8: _ = try? rig.admin.command("DEL", "side")
            case 9: _ = try? rig.admin.command("XGROUP", "DESTROY", "side", "g")
            default: break
            }
            if residentBefore == 0, MonotonicClock.nowNs() > settledNs { residentBefore = Int(ProcessMemory.residentBytes()) }
            try await Task.sleep(for: .milliseconds(300))
        }
        isOver.withLock { $0 = true }
        for producer in producers { await producer.value }
        try await eventually(120, "every group to have all: \(books.open) are missing of \(books.added)") {
            books.open == [0, 0, 0] && (0..<3).allSatisfy { rig.pending("orders", "group-\($0)") == 0 }
        }
        #expect(books.added > 1_000)
        let more = Int(ProcessMemory.residentBytes()) - residentBefore
        print("streams, soak: \(books.added) entries, \(residentBefore >> 20) MiB after a third, \(more >> 20) MiB more at the end")
        #expect(Sanitizer.isOn || more < 64 << 20, "\(more >> 20) MiB more")
        for consumer in consumers + [sideConsumer] { await consumer.stop() }
        for task in tasks + [sideTask] { try await task.end() }
    }
}
