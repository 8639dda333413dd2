// The lanes of a consumer that keeps the order: one message of a key at a time, and one that failed holds up its key alone.

import FastFeed
import Testing

struct ConsumerLanesTests {
    private let desk = ConsumerDesk(worthwhile: 1)
    private let lanes = ConsumerLanes(["s", "t"])

    private func add(_ id: UInt64, _ lane: String, deliveries: Int = 1, stream: String = "s") {
        let entry = StreamEntry(key: stream, id: StreamID(id), fields: ["n": "\(id)"])
        lanes.add(StreamMessage(ConsumerDelivery(entry: entry, slot: Int(id), deliveries: deliveries), desk), lane)
    }

    private func next() async throws -> ConsumerLanes.Job { try #require(await lanes.next()) }

    private func id(_ job: ConsumerLanes.Job) -> UInt64 { job.message.entry.id.milliseconds }

    private func finish(_ job: ConsumerLanes.Job) {
        job.message.ack()
        lanes.done(job)
    }

    private func fail(_ job: ConsumerLanes.Job) {
        job.message.retry()
        lanes.done(job)
    }

    @Test("A key's messages come one after the other, by their ids, whatever comes in between", .timeLimit(.minutes(1)))
    func order() async throws {
        add(1, "a")
        add(5, "a")
        add(3, "a")
        add(2, "b")
        let (first, other) = (try await next(), try await next())
        #expect(id(first) == 1 && id(other) == 2)
        add(6, "c")
        let third = try await next()
        #expect(id(third) == 6, "a is busy")
        finish(first)
        let second = try await next()
        #expect(id(second) == 3)
        finish(second)
        #expect(id(try await next()) == 5)
    }

    @Test("A message that failed holds up its key until it has come again", .timeLimit(.minutes(1)))
    func held() async throws {
        add(1, "a")
        add(3, "a")
        fail(try await next())
        add(2, "b")
        let other = try await next()
        #expect(id(other) == 2, "a is held")
        finish(other)
        // Where it belongs, whatever its key is now.
        add(1, "z", deliveries: 2)
        let again = try await next()
        #expect(id(again) == 1 && again.message.deliveries == 2)
        finish(again)
        #expect(id(try await next()) == 3)
    }

    @Test("A failed message that is gone does not hold up its key any more", .timeLimit(.minutes(1)))
    func gone() async throws {
        add(1, "a")
        add(3, "a")
        fail(try await next())
        lanes.forget([GoneMessage(key: 1, id: StreamID(1)), GoneMessage(key: 9, id: StreamID(1))])
        add(2, "b")
        #expect(id(try await next()) == 2, "another stream's, and none's, are not this one")
        lanes.forget([GoneMessage(key: 0, id: StreamID(1))])
        #expect(id(try await next()) == 3)
    }

    @Test("It may be gone before its handler has returned", .timeLimit(.minutes(1)))
    func goneMeanwhile() async throws {
        add(1, "a")
        add(3, "a")
        let job = try await next()
        lanes.forget([GoneMessage(key: 0, id: StreamID(1))])
        fail(job)
        #expect(id(try await next()) == 3)
    }

    @Test("At the end nobody waits, and what comes then goes back", .timeLimit(.minutes(1)))
    func end() async {
        async let waiting = lanes.next()
        lanes.finish()
        #expect(await waiting == nil)
        add(1, "a")
        #expect(await lanes.next() == nil)
    }
}
