// Closed candles that wait because their key is refused: who asks when, and what a correction does to them.

import FastFeed
import Testing

@Suite struct RefusedCandlesTests {
    private func candle(_ id: UInt32, openTimeMs: Int64 = 0, eventTimeMs: Int64 = 0, close: String = "1") -> CandleRecord {
        var candle = CandleRecord()
        (candle.seriesID, candle.openTimeMs, candle.eventTimeMs) = (id, openTimeMs, eventTimeMs)
        candle.close = DecimalText(close)!
        candle.isClosed = true
        return candle
    }

    private let longNs: UInt64 = 3_600_000_000_000

    @Test func oneOfEachSeriesAsksWhenItsPauseIsOver() {
        var refused = RefusedCandles(seed: 1)
        for id in UInt32(0)..<3 { for openTimeMs in Int64(0)..<2 { _ = refused.put(candle(id, openTimeMs: openTimeMs), nowNs: 0) } }
        let first = refused.nextDueNs
        let early = refused.takeDue(nowNs: first - 1, most: 10)
        #expect(early.isEmpty)
        let due = refused.takeDue(nowNs: longNs, most: 10)
        #expect(Set(due.map(\.seriesID)) == [0, 1, 2] && due.allSatisfy { $0.openTimeMs == 0 })
        #expect(refused.count == 3 && refused.nextDueNs == .max)
        // Refused once more: it waits again, and longer.
        _ = refused.put(due[0], nowNs: longNs)
        #expect(refused.nextDueNs > longNs && refused.count == 4)
        // Taken: the others of its series follow.
        let followers = refused.takeAll(due[1].seriesID)
        #expect(followers.map(\.openTimeMs) == [1])
    }

    @Test func onlyAsManyAskAsThereIsRoomFor() {
        var refused = RefusedCandles(seed: 1)
        for id in UInt32(0)..<5 { _ = refused.put(candle(id), nowNs: 0) }
        let counts = [0, 2].map { refused.takeDue(nowNs: longNs, most: $0).count }
        #expect(counts == [0, 2])
        #expect(refused.nextDueNs <= longNs, "the others are still due")
        let others = refused.takeDue(nowNs: longNs, most: 10)
        #expect(others.count == 3)
    }

    @Test func aCorrectionReplacesWhatWaits() {
        var refused = RefusedCandles(seed: 1)
        _ = refused.put(candle(7, openTimeMs: 60_000, eventTimeMs: 100), nowNs: 0)
        _ = refused.put(candle(7, openTimeMs: 120_000, eventTimeMs: 160), nowNs: 0)
        refused.correct(candle(7, openTimeMs: 60_000, eventTimeMs: 200, close: "2"))
        refused.correct(candle(7, openTimeMs: 120_000, eventTimeMs: 150, close: "3"))
        refused.correct(candle(8, openTimeMs: 60_000, eventTimeMs: 200, close: "4"))
        let closes = refused.takeAll(7).map(\.close.description)
        #expect(closes == ["2", "1"], "the later word on a bar counts")
        #expect(refused.isEmpty && refused.count == 0)
    }

    /// All room is taken by others: who has asked is refused for good, and the others of its series ask later.
    @Test func whoFindsNoRoomHoldsNobodyUp() {
        var refused = RefusedCandles(seed: 1)
        for openTimeMs in Int64(0)..<2 { _ = refused.put(candle(0, openTimeMs: openTimeMs), nowNs: 0) }
        let asking = refused.takeDue(nowNs: longNs, most: 1)
        while refused.put(candle(1), nowNs: longNs) {}
        let isTaken = refused.put(asking[0], nowNs: longNs)
        #expect(!isTaken && refused.count == Limits.refusedCandlesMax && refused.checkInvariants() == nil)
        let next = refused.takeDue(nowNs: 2 * longNs, most: 10)
        #expect(next.map(\.seriesID) == [0, 1] && next[0].openTimeMs == 1)
    }
}
