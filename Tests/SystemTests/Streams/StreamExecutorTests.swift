// Tasks that run on the streams' thread: what they read comes there, calls of theirs work, and they come to an end when it is closed.

import FastFeed
import Foundation
import Glibc
import TestKit
import Testing

@Suite("Streams: tasks on the streams' thread", .serialized, .streamLimit)
struct StreamExecutorTests {
    private static func thread() -> pthread_t { pthread_self() }

    @Test("Messages, commands and handlers of `run` on one thread, which is not that of other tasks")
    func oneThread() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 500)
        let (orders, done) = (rig.streams["orders"], rig.streams["done"])
        let threads = Shared<Set<pthread_t>>([])
        let seen = Shared<[StreamID]>([])
        try await withTaskExecutorPreference(rig.streams.executor) {
            threads.withLock { _ = $0.insert(Self.thread()) }
            let consumer = orders.group("mail").consumer(as: "one")
            for try await message in consumer {
                threads.withLock { _ = $0.insert(Self.thread()) }
                seen.withLock { $0.append(message.entry.id) }
                message.ack()
                if seen.value.count == 250 { break }
            }
            await consumer.stop()
            let second = orders.group("mail").consumer(as: "two")
            try await second.run(parallel: 4) { message in
                threads.withLock { _ = $0.insert(Self.thread()) }
                _ = try await done.add(["id": "\(message.entry.id)"])
                seen.withLock { $0.append(message.entry.id) }
                if seen.value.count == 500 { Task { await second.stop() } }
            }
        }
        #expect(threads.value.count == 1 && !threads.value.contains(Self.thread()))
        #expect(seen.value.sorted() == ids)
        #expect(try rig.length("done") == 250 && rig.pending("orders", "mail") == 0)
    }

    @Test("Closing ends what waits there; what is started later runs elsewhere")
    func closed() async throws {
        let rig = try await StreamRig()
        let executor = rig.streams.executor
        let tail = rig.streams["nothing"].follow(after: .end)
        let waiting = Task(executorPreference: executor) {
            do {
                for try await _ in tail {}
                return StreamError?.none
            } catch { return error as? StreamError }
        }
        try await eventually(10, "a read that waits") { try rig.waiting() == 1 }
        let before = (0..<500).map { number in Task(executorPreference: executor) { number } }
        rig.streams.close()
        let after = (500..<1_000).map { number in Task(executorPreference: executor) { number } }
        var numbers: [Int] = []
        for task in before + after { numbers.append(await task.value) }
        #expect(numbers == Array(0..<1_000))
        let error = await waiting.value
        guard case .closed = error else {
            Issue.record("not closed: \(String(describing: error))")
            return
        }
        #expect(await Task(executorPreference: executor) { 42 }.value == 42)
    }
}
