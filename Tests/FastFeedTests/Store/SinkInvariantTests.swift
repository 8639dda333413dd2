// Invariants broken on purpose, in what the sink writes and in a reader: each check finds its own and says what is wrong.

import FastFeed
import Testing

struct SinkInvariantTests {
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    /// A batch of two closed candles and one newest state.
    private func brokenBatch(_ spoil: (inout BuilderRig) -> Void) -> String? {
        var rig = BuilderRig()
        rig.follow(btc, 0)
        for minute in 1...2 as ClosedRange<Int64> {
            var candle = CandleRecord.sample(2)
            candle.openTimeMs += minute * 60_000
            candle.closeTimeMs += minute * 60_000
            candle.eventTimeMs += minute * 60_000
            candle.isClosed = true
            rig.accept(candle)
        }
        guard rig.builder.build(&rig.table, into: &rig.batch) else { return "nothing is built" }
        spoil(&rig)
        return rig.batch.checkInvariants() ?? rig.builder.checkInvariants()
    }

    @Test func batch() {
        let wrong = [
            brokenBatch { _ in }, brokenBatch { $0.batch.closedPositions[1] = $0.batch.closedPositions[0] },
            brokenBatch { $0.batch.seriesCount += 1 }, brokenBatch { $0.batch.publishCount = 0 },
        ]
        #expect(
            wrong == [
                nil, "batch: entry 0 stands behind 0", "batch: 2 states, of which its hashes have 1", "batch: 0 messages of 3 candles",
            ])
    }

    @Test func batchBuilder() {
        let ids = (0..<10_000).map { "\(1_790_001_240_000 + $0)-0" }
        let wrong = brokenBatch { $0.builder.writeMerge(.removal(btc, ids: ids), $0.table, sha: "", to: &$0.batch) }
        #expect(wrong?.hasPrefix("batch builder: asides have ") == true)
    }

    @Test func refusedCandles() {
        var refused = RefusedCandles(seed: 1)
        _ = refused.put(CandleRecord(), nowNs: 0)
        #expect(refused.checkInvariants() == nil)
        refused.miscount()
        #expect(refused.checkInvariants() == "refused candles: 2 counted, 1 are there")
    }

    @Test func sinkAndReader() throws {
        let world = try StageWorld(symbols: ["btcusdt", "ethusdt"])
        try #require(world.isOpen)
        world.arrive([StageWorld.kline("btcusdt", tick: 1, isClosed: true), StageWorld.kline("ethusdt", tick: 1)], parseNs: 2)
        world.turnSink()
        #expect(world.sink.checkInvariants() == nil && world.reader.checkInvariants() == nil, "a batch is in flight")
        world.sink.miscountFlight()
        #expect(world.sink.checkInvariants() == "sink: 4 candles counted as in flight, 3 are")
        let carried = try #require(world.reader.carried)
        #expect(carried.map(\.key) == [ConnectionKey(0)] && Set(carried[0].streams) == ["btcusdt@kline_1m", "ethusdt@kline_1m"])
        world.reader.prepare(.connect(ConnectionKey(0), streams: ["btcusdt@kline_1m"]))
        #expect(world.reader.checkInvariants() == "reader 0.1: connection 0 is there twice")
    }
}
