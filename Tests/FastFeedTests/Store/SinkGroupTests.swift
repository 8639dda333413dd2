// The sink of a member: what it writes when series change hands, and when its beat stands still.

import FastFeed
import TestKit
import Testing

struct SinkGroupTests {
    /// Commands since the last answer.
    private func commands(_ world: StageWorld) -> [[String]] { RESPText.commands(world.kernel.outbound[StageKernel.redis] ?? []) ?? [] }

    private func answer(_ world: StageWorld) {
        let replies = String(repeating: ":1\r\n", count: commands(world).count)
        world.kernel.outbound[StageKernel.redis] = []
        world.reply(replies)
    }

    @Test("What was taken over goes beside the flow, and leaves what is there")
    func takenOver() throws {
        let world = try StageWorld(symbols: ["btcusdt", "ethusdt"])
        try #require(world.isOpen)
        world.kernel.outbound[StageKernel.redis] = []
        world.sink.prepare(.disown([world.handles[1]]))
        world.arrive([StageWorld.kline("btcusdt", tick: 1), StageWorld.kline("ethusdt", tick: 1, isClosed: true)], parseNs: 1)
        world.turnSink()
        #expect(commands(world).map { $0[0] } == ["HSET", "PUBLISH"])
        #expect(commands(world).first?.contains("ethusdt") == false, "it is another's")
        answer(world)
        world.sink.prepare(.own([world.handles[1]]))
        world.arrive([StageWorld.kline("btcusdt", tick: 2)], parseNs: 1)
        world.turnSink()
        let sent = commands(world)
        #expect(sent.map { $0[0] }.dropLast() == ["HSET", "PUBLISH", "PUBLISH"], "newest states of both do not wait")
        #expect(sent.last?.contains("candles:{ethusdt}:1m") == true && sent.last?.last == "NX")
        #expect(world.sink.checkInvariants() == nil)
        answer(world)
        #expect(commands(world).isEmpty && world.sink.checkInvariants() == nil)
    }

    @Test("A closed candle that was taken before its series was given away is stored and told")
    func givenAway() throws {
        let world = try StageWorld(symbols: ["btcusdt", "ethusdt"])
        try #require(world.isOpen)
        world.kernel.outbound[StageKernel.redis] = []
        // The socket is full twice: what comes meanwhile waits in the queue.
        world.kernel.redisWrites = [({ _ in 0 }, 0), ({ _ in 0 }, 0)]
        world.arrive([StageWorld.kline("btcusdt", tick: 1)], parseNs: 1)
        world.turnSink()
        world.arrive([StageWorld.kline("ethusdt", tick: 1, isClosed: true)], parseNs: 1)
        world.turnSink()
        #expect(world.kernel.redisWrites.isEmpty && world.sink.counters.value(.batchesSent) == 1)
        world.sink.prepare(.disown([world.handles[1]]))
        world.turnSink()
        let sent = commands(world).filter { $0.contains { $0.contains("ethusdt") } }
        #expect(sent.contains { $0[0] == "XADD" } && sent.contains { $0[0] == "PUBLISH" })
        answer(world)
        #expect(world.sink.counters.value(.closedWritten) == 1 && world.sink.counters.value(.closedWatched) == 0)
        #expect(world.sink.checkInvariants() == nil)
    }

    @Test("While the beat stands still nothing is written")
    func heldBack() throws {
        let pulse = Pulse(ttlMs: 2_000)
        pulse.beat(.max)
        let world = try StageWorld(symbols: ["btcusdt"], pulse: pulse)
        try #require(world.isOpen)
        pulse.beat(0)
        world.arrive([StageWorld.kline("btcusdt", tick: 1)], parseNs: 1)
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 0 && !world.sink.hasWork())
        #expect(world.sink.nextDeadlineNs() <= world.kernel.nowNs + UInt64(Limits.pulsePauseMs) * 1_000_000)
        pulse.beat(.max)
        world.turnSink()
        #expect(world.sink.counters.value(.batchesSent) == 1)
    }
}
