// Where a state's time goes, on a clock that moves only where the test says: each stage has its span, and together they are
// the whole.

import FastFeed
import TestKit
import Testing

struct StageTests {
    private static let all: @Sendable (Int) -> Int = { $0 }
    private static let allButOneByte: @Sendable (Int) -> Int = { $0 - 1 }
    private static let nothing: @Sendable (Int) -> Int = { _ in 0 }

    @Test func eachStageHasItsSpan() throws {
        let world = try StageWorld(symbols: ["btcusdt"])
        try #require(world.isOpen)
        world.arrive([StageWorld.kline("btcusdt", tick: 1)], parseNs: 7)
        world.kernel.nowNs += 11
        world.kernel.redisWrites = [(StageTests.all, 13)]
        world.turnSink()
        #expect(world.shortSpans == [[], [], [], [], []], "nothing is acknowledged yet")
        world.kernel.nowNs += 17
        world.reply(":1\r\n:0\r\n")
        #expect(world.shortSpans == [[48], [7], [11], [13], [17]])
    }

    @Test func ofCoalescedStatesTheNewestCounts() throws {
        let world = try StageWorld(symbols: ["btcusdt"])
        try #require(world.isOpen)
        for tick in 1...3 {
            world.arrive([StageWorld.kline("btcusdt", tick: tick)], parseNs: UInt64(tick))
            world.kernel.nowNs += 10
        }
        world.turnSink()
        world.reply(":1\r\n:0\r\n")
        #expect(world.sink.counters.value(.coalesced) == 2)
        #expect(world.shortSpans == [[13], [3], [10], [0], [0]])
    }

    /// The kernel keeps the batch's last byte back. The closed candle's command was in the first piece, and Redis answers it.
    @Test func aBatchIsWrittenWithItsLastByte() throws {
        let world = try StageWorld(symbols: ["btcusdt", "ethusdt"])
        try #require(world.isOpen)
        world.arrive([StageWorld.kline("btcusdt", tick: 1, isClosed: true), StageWorld.kline("ethusdt", tick: 1)], parseNs: 2)
        world.kernel.nowNs += 3
        world.kernel.redisWrites = [(StageTests.allButOneByte, 4), (StageTests.nothing, 0), (StageTests.all, 6)]
        world.turnSink()
        world.kernel.nowNs += 5
        world.reply("$15\r\n1790001240000-0\r\n")
        #expect(world.shortSpans == [[14], [2], [3], [4], [5]], "the closed candle: up to the first piece, then to its reply")
        #expect(world.sink.latency.closedAckNs == world.kernel.nowNs - 6)
        world.kernel.nowNs += 7
        world.reply(":2\r\n:0\r\n:0\r\n")
        #expect(world.shortSpans == [[14, 27], [2, 2], [3, 3], [4, 15], [5, 7]])
        #expect(world.sink.counters.value(.candlesWritten) == 2)
    }

    /// Every update written: two batches in one write, which ends within the second.
    @Test func batchesOfOneWriteAreWrittenEachByItself() throws {
        let world = try StageWorld(symbols: ["btcusdt"], coalesces: false)
        try #require(world.isOpen)
        world.arrive([StageWorld.kline("btcusdt", tick: 1), StageWorld.kline("btcusdt", tick: 2)], parseNs: 2)
        world.kernel.nowNs += 3
        world.kernel.redisWrites = [(StageTests.allButOneByte, 4), (StageTests.nothing, 0), (StageTests.all, 6)]
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 2)
        world.kernel.nowNs += 5
        world.reply(":1\r\n:0\r\n")
        #expect(world.shortSpans == [[14], [2], [3], [4], [5]])
        world.kernel.nowNs += 7
        world.reply(":1\r\n:0\r\n")
        #expect(world.shortSpans == [[14, 27], [2, 2], [3, 3], [4, 15], [5, 7]])
    }

    /// A server that answers what it has not been sent yet: nothing is written anywhere it should not be, nothing wraps.
    @Test func anAnswerBeforeTheLastByte() throws {
        let world = try StageWorld(symbols: ["btcusdt"], coalesces: false)
        try #require(world.isOpen)
        world.arrive([StageWorld.kline("btcusdt", tick: 1), StageWorld.kline("btcusdt", tick: 2)], parseNs: 2)
        world.kernel.redisWrites = [({ _ in 1 }, 4), (StageTests.nothing, 0), (StageTests.all, 6)]
        world.turnSink()
        world.kernel.nowNs += 5
        world.reply(":1\r\n:0\r\n:1\r\n:0\r\n")
        // The second batch had not begun to be written: it counts as written when it was taken.
        #expect(world.shortSpans == [[11, 11], [2, 2], [0, 0], [0, 4], [5, 9]])
        world.arrive([StageWorld.kline("btcusdt", tick: 3)], parseNs: 1)
        world.turnSink()
        world.reply(":1\r\n:0\r\n")
        #expect(world.histograms.map(\.count) == [3, 3, 3, 3, 3])
    }

    /// Long spans, and Redis refuses now and then: the batch that was acknowledged counts, what came before was waiting.
    @Test(arguments: seeds) func stagesAddUpToTheWhole(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let world = try StageWorld(symbols: ["btcusdt"])
        try #require(world.isOpen)
        var complaints = Complaints()
        func span() -> UInt64 { random.next() >> UInt64(34 + random.below(30)) }
        for tick in 1...50 {
            let before = world.histograms
            let startNs = world.kernel.nowNs
            let parseNs = span()
            world.arrive([StageWorld.kline("btcusdt", tick: tick)], parseNs: parseNs)
            world.kernel.nowNs += span()
            var takenNs = world.kernel.nowNs
            world.turnSink()
            if random.below(4) == 0 {
                world.reply("-OOM not yet\r\n:0\r\n")
                world.kernel.nowNs = world.sink.nextDeadlineNs() + span()
                takenNs = world.kernel.nowNs
                world.kernel.redisWrites = [(StageTests.all, span())]
                world.turnSink()
            }
            let writtenNs = world.kernel.nowNs
            world.kernel.nowNs += span()
            let ackNs = world.kernel.nowNs
            world.reply(":0\r\n:0\r\n")
            // A parser that took longer than fits its word: the rest is waiting.
            let parsedNs = startNs + min(parseNs, UInt64(UInt32.max))
            let spans = [ackNs - startNs, parsedNs - startNs, takenNs - parsedNs, writtenNs - takenNs, ackNs - writtenNs]
            for (index, (expected, pair)) in zip(spans, zip(world.histograms, before)).enumerated() {
                let seen = pair.0 - pair.1
                let value = seen.quantile(1) ?? .max
                complaints.check(
                    seen.count == 1 && value >= expected && value - expected <= expected / 64,
                    "tick \(tick), histogram \(index): \(seen.count) of \(value), not \(expected)")
            }
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }
}
