// Attempts to connect to the exchange are counted over restarts: Redis has them.

import FastFeed
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Attempts to connect, over restarts", .serialized)
struct ConnectLedgerTests {
    private static let key = KeySchema(prefix: "").connectsKey

    private func rig(_ adjust: @escaping (EngineConfiguration) -> Void = { _ in }) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = 3
        options.intervals = [.s1]
        options.adjust = {
            $0.takesCommands = true
            $0.connectLedgerWaitMs = 20_000
            adjust($0)
        }
        return try Rig(options)
    }

    private func attempts(_ client: RedisClient) throws -> [Int64] {
        try client.command("LRANGE", ConnectLedgerTests.key, "0", "-1").strings.compactMap { Int64($0) }
    }

    @Test func eachAttemptIsKept() throws {
        let rig = try rig()
        rig.wait(seconds: 10, "a connection") { rig.counters[.connectionsLive] == 1 }
        rig.wait(seconds: 10, "its attempt in the ledger") { (try? attempts(rig.client).count) == 1 }
        for count in 2...4 {
            rig.venue.inject(Fault(.drop))
            rig.wait(seconds: 20, "one more attempt") { (try? attempts(rig.client).count) ?? 0 >= count }
        }
        #expect(try rig.client.command("PTTL", ConnectLedgerTests.key).integer ?? 0 > 0, "it goes when nobody needs it any more")
        #expect(rig.finish().isClean)
    }

    /// The five minutes before have had all their attempts: the next one comes when the oldest of them is five minutes old.
    @Test func aProcessBeforeCounts() throws {
        let oldestMs = WallClock.nowMs() - 297_000
        let rig = try rig { configuration in
            let before = (0..<Int64(Limits.connectAttemptsPer5MinMax)).map { String(oldestMs + $0) }
            let client = try? RedisClient.connect(configuration.redis)
            #expect((try? client?.command(["LPUSH", ConnectLedgerTests.key] + before))?.integer == Int64(before.count))
        }
        rig.wait(seconds: 20, "a connection") { rig.counters[.connectionsLive] == 1 }
        rig.wait(seconds: 10, "its attempt in the ledger") { (try? attempts(rig.client).first) ?? 0 > oldestMs + 1_000 }
        #expect(try attempts(rig.client)[0] - oldestMs >= 300_000)
        #expect(rig.finish().isClean)
    }
}
