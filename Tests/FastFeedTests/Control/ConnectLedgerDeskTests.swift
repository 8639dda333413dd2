// The ledger of attempts to connect: what is read of others, and what is written of ours.

import FastFeed
import Testing

struct ConnectLedgerDeskTests {
    private static let nowMs: Int64 = 1_790_000_000_000
    /// The monotonic clock's; it began at some time.
    private static let nowNs: UInt64 = 7_000_000_000

    private func ledger() -> ConnectLedger {
        ConnectLedger(key: "connects", nowNs: ConnectLedgerDeskTests.nowNs, nowMs: ConnectLedgerDeskTests.nowMs)
    }

    private func texts(_ ages: [Int64]) -> RedisReply {
        .array(ages.map { .bytes(Array(String(ConnectLedgerDeskTests.nowMs - $0).utf8)) } + [.bytes([0x78]), .null])
    }

    @Test func whatOthersHaveTriedIsRead() {
        var ledger = ledger()
        #expect(ledger.question(nowNs: ConnectLedgerDeskTests.nowNs)?.first == "LRANGE")
        #expect(ledger.question(nowNs: ConnectLedgerDeskTests.nowNs) == nil, "not at every turn")
        // Now, four minutes ago, longer ago than it counts; a clock a little ahead, and one that is wrong.
        let ages = ledger.take(texts([0, 240_000, 300_001, -500, -3_600_000]), nowNs: ConnectLedgerDeskTests.nowNs)
        #expect(ages == [0, 240_000_000_000, 0])
        #expect(ledger.question(nowNs: .max) == nil)
    }

    @Test func whatWillNotBeHadIsNotWaitedFor() {
        var ledger = ledger()
        #expect(ledger.take(.error("MASTERDOWN Link with MASTER is down"), nowNs: ConnectLedgerDeskTests.nowNs) == nil)
        #expect(!ledger.isRefused && !ledger.isKept && ledger.question(nowNs: ConnectLedgerDeskTests.nowNs) != nil)
        #expect(ledger.take(.error("NOPERM no permissions to run the 'lrange' command"), nowNs: ConnectLedgerDeskTests.nowNs) == [])
        #expect(ledger.isRefused && ledger.writes(.init(madeNs: [1])).isEmpty)
    }

    @Test func anAttemptHasOneName() {
        var ledger = ledger()
        #expect(ledger.writes(.init(madeNs: [ConnectLedgerDeskTests.nowNs])).isEmpty, "not before it is read")
        _ = ledger.take(texts([]), nowNs: ConnectLedgerDeskTests.nowNs)
        let made = ledger.writes(.init(madeNs: [ConnectLedgerDeskTests.nowNs + 5_000_000]))
        #expect(made.map(\.[0]) == ["LPUSH", "LTRIM", "PEXPIRE"] && made[0][2] == "1790000000005")
        let unmade = ledger.writes(.init(unmadeNs: [ConnectLedgerDeskTests.nowNs + 5_000_000]))
        #expect(unmade == [["LREM", "connects", "1", "1790000000005"]])
    }
}
