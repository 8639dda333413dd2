// When Redis has enough to do, forming states wait and coalesce; closed candles in numbers do not.

import FastFeed
import Testing

struct BusySinkTests {
    private let symbols = (0..<140).map { "s\($0)usdt" }
    /// What Redis says to a batch of as many forming states as go into one.
    private let batchReply = ":64\r\n" + String(repeating: ":0\r\n", count: 64)

    private func forming(_ tick: Int) -> [KlineText] { symbols.map { StageWorld.kline($0, tick: tick) } }

    /// A state of each series has come: two batches of 64 are in flight, twelve wait.
    private func busyWorld() throws -> StageWorld {
        let world = try StageWorld(symbols: symbols)
        try #require(world.isOpen)
        world.arrive(forming(1), parseNs: 1)
        world.turnSink()
        return world
    }

    @Test func formingStatesWaitAndCoalesce() throws {
        let world = try busyWorld()
        #expect(world.sink.counters.value(.batchesSent) == 2)
        world.arrive(forming(2), parseNs: 1)
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 2)
        #expect(world.sink.counters.value(.coalesced) == 12, "those that waited; the others are on their way")
        #expect(!world.sink.hasWork(), "until Redis answers there is nothing to do")
        world.reply(batchReply)
        #expect(world.sink.counters.value(.batchesSent) == 3)
        world.reply(batchReply)
        #expect(world.sink.counters.value(.batchesSent) == 4)
    }

    @Test func aBurstOfClosedCandlesDoesNotWait() throws {
        let world = try busyWorld()
        let closed = symbols.map { StageWorld.kline($0, tick: 3, isClosed: true) }
        world.arrive(Array(closed[..<127]), parseNs: 1)
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 2, "a few of them wait as states do")
        world.arrive(Array(closed[127...]), parseNs: 1)
        world.turnSink()
        // What is left behind one batch of them are a few again.
        #expect(world.sink.counters.value(.batchesSent) == 3)
        world.reply(batchReply)
        #expect(world.sink.counters.value(.batchesSent) == 3, "as many as make Redis busy are still on their way")
        world.reply(batchReply)
        #expect(world.sink.counters.value(.batchesSent) == 4)
    }

    /// What is in flight is counted down by a refusal, too: nothing waits for an answer that has been given.
    @Test func aRefusalEndsTheWaiting() throws {
        let world = try busyWorld()
        let refusal = "-LOADING not yet\r\n" + String(repeating: ":0\r\n", count: 64)
        world.reply(refusal + refusal)
        #expect(world.sink.counters.value(.candlesWritten) == 0 && world.sink.counters.value(.batchesSent) == 2)
        world.kernel.nowNs = world.sink.nextDeadlineNs() + 1
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 4)
        world.reply(batchReply)
        world.reply(batchReply)
        #expect(world.sink.counters.value(.candlesWritten) == 128 && world.sink.counters.value(.batchesSent) == 5)
        world.reply(":12\r\n" + String(repeating: ":0\r\n", count: 12))
        #expect(world.sink.counters.value(.candlesWritten) == 140 && world.sink.formingUnwritten == 0)
    }

    /// The ring is full, a connection is left, and its peer does not answer: what had come is taken before it is given up.
    @Test func whatIsUnreadIsNotLostWithItsConnection() throws {
        let world = try StageWorld(symbols: symbols)
        try #require(world.isOpen)
        let frames = (1...20).flatMap(forming) + symbols.map { StageWorld.kline($0, tick: 21, isClosed: true) }
        world.arrive(frames, parseNs: 1)
        for _ in 0..<100 where world.reader.counters.value(.backPressureStalls) == 0 { world.turnReader() }
        try #require(world.reader.counters.value(.backPressureStalls) > 0)
        world.reader.prepare(.stop)
        for _ in 0..<10 {
            world.kernel.nowNs += UInt64(Limits.closeTimeoutMs) * 1_000_000
            world.reader.doWork(nowNs: world.kernel.nowNs)
        }
        #expect(!world.reader.isStopped)
        for _ in 0..<100 where !world.reader.isStopped {
            world.turnSink()
            world.kernel.nowNs += 1_000_000
            world.reader.doWork(nowNs: world.kernel.nowNs)
        }
        #expect(world.reader.isStopped && world.reader.counters.value(.messagesReceived) == frames.count)
    }
}
