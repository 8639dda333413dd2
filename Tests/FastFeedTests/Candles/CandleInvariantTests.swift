// Invariants broken on purpose, in what the sink knows of candles: each check finds its own and says what is wrong.

import FastFeed
import TestKit
import Testing

struct CandleInvariantTests {
    private let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let other = Series(symbol: Symbol("ethusdt")!, interval: .m1)
    private let counters = CounterBank()
    private let board = GapBoard()

    private func candle(_ minute: Int64, id: UInt32 = 0, closed: Bool = true) -> CandleRecord {
        var candle = CandleRecord()
        (candle.seriesID, candle.generation, candle.intervalRawValue) = (id, 1, Interval.m1.rawValue)
        (candle.openTimeMs, candle.closeTimeMs) = (minute * 60_000, minute * 60_000 + 59_999)
        (candle.eventTimeMs, candle.isClosed) = ((minute + 1) * 60_000, closed)
        return candle
    }

    private func gap(_ minutes: Range<Int64>, of series: Series? = nil, _ cause: Gap.Cause = .missed) -> Gap {
        Gap(series: series ?? self.series, fromMs: minutes.lowerBound * 60_000, untilMs: minutes.upperBound * 60_000, cause: cause)
    }

    private func brokenQueue(_ spoil: (inout ClosedQueue) -> Void) -> String? {
        var queue = ClosedQueue(capacity: 16)
        for minute in 1...3 as ClosedRange<Int64> { queue.append(candle(minute)) }
        spoil(&queue)
        return queue.checkInvariants()
    }

    @Test func closedQueue() {
        let wrong = [
            brokenQueue { _ in }, brokenQueue { $0.sent = $0.tail + 1 }, brokenQueue { $0.sent = 2 }, brokenQueue { $0.append(candle(3)) },
        ]
        #expect(
            wrong == [
                nil, "closed queue: head 0, sent 4 and tail 3 are out of order", "closed queue: entry 0 waits before what is sent (2)",
                "closed queue: series 0: 180000 stands behind 180000",
            ])
    }

    @Test func mergeQueue() throws {
        var merges = MergeQueue()
        merges.put(LateCandle(candle(2)))
        merges.put(LateCandle(candle(1)))
        #expect(merges.checkInvariants() == nil)
        let taken = merges.take(most: 10)
        let run = try #require(taken)
        #expect(merges.checkInvariants() == nil)
        merges.putBack(run)
        #expect(merges.checkInvariants() == nil)
        // Nobody has asked whether there is room.
        for id in 1..<UInt32(Limits.closedQueueCountMax) { merges.put(LateCandle(candle(1, id: id))) }
        #expect(merges.checkInvariants() == "merges: 131073 candles are more than the bound")
    }

    @Test("A run that is not on its way, or not any more, ends the program")
    func aRunLandsOnce() async {
        await #expect(processExitsWith: .failure) {
            var merges = MergeQueue()
            merges.put(LateCandle(CandleRecord()))
            guard let run = merges.take(most: 1) else { return }
            merges.putBack(run)
            merges.putBack(run)
        }
    }

    /// A table with one followed series, of which a forming state has come, or closed candles wait for the healer's look.
    private func brokenTable(holdNs: UInt64 = 0, _ spoil: (inout CandleTable) -> Void) -> String? {
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: GapBoard())
        (table.held.holdNs, table.held.canHeal, table.held.nowNs) = (holdNs, true, 500)
        table.follow(series, 0, generation: 1)
        table.accept(candle(5, closed: holdNs > 0))
        spoil(&table)
        return table.checkInvariants()
    }

    @Test func heldCandles() {
        let wrong = [
            brokenTable(holdNs: 1_000) { _ in }, brokenTable(holdNs: 1_000) { $0.held.holdNs = 10 },
            brokenTable(holdNs: 1_000) { $0.held = HeldCandles() },
        ]
        #expect(
            wrong == [nil, "held candles: series 0 waits for longer than it may", "table: series 0 is held and waits for nothing"])
    }

    @Test func candleTable() {
        let wrong = [
            brokenTable { _ in }, brokenTable { $0.states[0].flags.formSymmetricDifference(.dirty) },
            brokenTable {
                _ = $0.popDirty()
                $0.states[0].flags.formSymmetricDifference(.dirty)
            }, brokenTable { _ = $0.popDirty() }, brokenTable { $0.newest[0].openTimeMs += 1 },
            brokenTable { $0.follow(other, 0, generation: 2) }, brokenTable { $0.closed.append(candle(1, id: 7)) },
            brokenTable { $0.closed.append(candle(9)) },
        ]
        #expect(
            wrong == [
                nil, "table: series 0 is in the dirty list and is clean", "table: series 0 is dirty and nobody will write it",
                "table: series 0: a forming state waits and the series is clean", "table: series 0: row and newest state differ",
                "table: 2 series have an id, 1 are followed", "table: closed candle 0 is of series 7, which is another one now",
                "table: closed candle 0 of series 0 was not noted as delivered",
            ])
    }

    @Test func gapBoard() {
        let (one, two) = (gap(1..<2), gap(3..<4))
        #expect(GapBoard.disorder([one, two], of: series) == nil && GapBoard.disorder([one, gap(2..<3, .late)], of: series) == nil)
        #expect(GapBoard.disorder([], of: series) == "a list without holes")
        #expect(GapBoard.disorder([one], of: other) == "a hole of btcusdt:1m")
        #expect(GapBoard.disorder([gap(2..<2)], of: series) == "a hole from 120000 until 120000")
        #expect(GapBoard.disorder([two, one], of: series) == "a hole from 60000 on lies behind one that ends with 240000")
        #expect(GapBoard.disorder([gap(1..<3), gap(2..<4)], of: series) == "a hole from 120000 on lies behind one that ends with 180000")
        #expect(GapBoard.disorder([one, gap(2..<3)], of: series) == "two holes that meet at 120000 are one")
    }

    // MARK: What the invariants have found

    @Test("Holes of a series that is followed no more are not looked for")
    func whoEndsIsForgottenWithItsHoles() {
        let board = GapBoard(countMax: 1)
        board.add(gap(1..<2))
        board.add(gap(1..<2, of: other))
        #expect(board.forgottenCount == 1 && board.checkInvariants() == nil)
        board.forget(other)
        #expect(board.forgottenCount == 0 && board.checkInvariants() == nil)
    }

    @Test("A series that comes back knows the holes that were noted after its end")
    func holesFromBeforeAreKnown() {
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: board)
        table.follow(series, 0, generation: 1)
        table.unfollow(0)
        board.add(gap(3..<5))
        table.follow(series, 1, generation: 1)
        table.accept(candle(10, id: 1, closed: false))
        #expect(table.report(1).missingCount == 2)
        table.accept(candle(3, id: 1))
        table.onGapsChanged(series)
        #expect(table.report(1).missingCount == 1 && board.open == [gap(4..<5)])
    }

    @Test("A removal of many entries goes in pieces that a batch has room for")
    func aLongRemovalGoesInPieces() {
        var merges = MergeQueue()
        merges.remove(series, ids: (0..<5).map { "\($0)-0" })
        let isSpared = if case nil = merges.take(most: 0) { true } else { false }
        #expect(isSpared)
        var pieces: [[String]] = []
        while case .removal(_, let ids)? = merges.take(most: 2) { pieces.append(ids) }
        #expect(pieces == [["0-0", "1-0"], ["2-0", "3-0"], ["4-0"]] && !merges.isEmpty && merges.checkInvariants() == nil)
        for ids in pieces { merges.end(.removal(series, ids: ids)) }
        #expect(merges.isEmpty)
    }
}
