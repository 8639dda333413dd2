// A connection that lives and brings nothing: pings come, klines do not.

import FastFeed
import TestKit
import Testing

struct QuietConnectionTests {
    private func pass(_ seconds: Int, in world: StageWorld) {
        for _ in 0..<seconds {
            world.kernel.nowNs += 1_000_000_000
            world.kernel.inbound[StageKernel.exchange] = Frames.raw(0x89, [])
            world.turnReader()
        }
    }

    private func requests(_ world: StageWorld) -> Int {
        String(decoding: world.kernel.outbound[StageKernel.exchange] ?? [], as: UTF8.self).split(separator: "GET /stream").count - 1
    }

    @Test func itIsReplacedWhenNoKlineComes() throws {
        let world = try StageWorld(symbols: ["btcusdt"])
        try #require(world.isOpen)
        pass(140, in: world)
        world.arrive([StageWorld.kline("btcusdt", tick: 1)], parseNs: 1)
        pass(140, in: world)
        #expect(requests(world) == 0, "a kline has come meanwhile")
        // It is looked after at each fifteen seconds, and then has to connect.
        pass(40, in: world)
        #expect(requests(world) >= 1)
    }
}
