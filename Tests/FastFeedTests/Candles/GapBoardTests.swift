// What the board of holes remembers: since when a hole is there, when it is asked for again, and what became of those that are gone.

import FastFeed
import Testing

struct GapBoardTests {
    private let board = GapBoard()
    private let minute: Int64 = 60_000
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    private func add(_ bars: Range<Int64>, _ cause: Gap.Cause = .missed, _ series: Series? = nil) {
        board.add(Gap(series: series ?? btc, fromMs: bars.lowerBound * minute, untilMs: bars.upperBound * minute, cause: cause))
    }

    private func fill(_ bars: Range<Int64>, isFetched: Bool = true) {
        for bar in bars { _ = board.fill(btc, openTimeMs: bar * minute, isFetched: isFetched) }
    }

    private var ended: [String] {
        board.ended.map { "\($0.gap.fromMs / minute)..<\($0.gap.untilMs / minute) \($0.gap.cause) \($0.ending)" }.sorted()
    }

    @Test func whatBecameOfHoles() throws {
        add(10..<20)
        add(30..<33, .unstored)
        add(40..<45, .backfill)
        add(50..<52, .late, Series(symbol: Symbol("ethusdt")!, interval: .m1))
        fill(12..<15)
        #expect(ended == ["12..<15 missed fetched"] && board.gaps(of: btc).map(\.candleCount) == [2, 5, 3, 5])
        // One hole, however many bars of it end one by one, and in which order.
        fill(10..<12)
        fill(15..<19)
        fill(19..<20, isFetched: false)
        board.remove(btc, fromMs: 30 * minute, untilMs: 33 * minute)
        fill(40..<45)
        board.forget(Series(symbol: Symbol("ethusdt")!, interval: .m1))
        #expect(ended == ["10..<19 missed fetched", "19..<20 missed arrived", "30..<33 unstored stored", "50..<52 late unfollowed"])
        let first = try #require(board.ended.first { $0.gap.fromMs == 10 * minute })
        #expect(first.gap.seenMs > 0 && first.gap.seenMs <= first.endedMs)
        // What the exchange lacks has not ended.
        add(60..<61)
        board.markAbsent(btc, fromMs: 60 * minute, untilMs: 61 * minute)
        #expect(ended.count == 4)
    }

    @Test func theEndedOnesAreBounded() {
        for bar in 0..<Int64(Limits.gapsEndedMax + 10) {
            add(2 * bar..<2 * bar + 1)
            fill(2 * bar..<2 * bar + 1)
        }
        #expect(board.ended.count <= Limits.gapsEndedMax && board.ended.count > Limits.gapsEndedMax / 2)
        #expect(board.ended.contains { $0.gap.fromMs == 2 * Int64(Limits.gapsEndedMax + 9) * minute }, "the newest stay")
    }

    @Test("A queue that overflows makes one hole of a series, however many candles are lost; what it is asked for stays apart")
    func neighboursAreOne() {
        let eth = Series(symbol: Symbol("ethusdt")!, interval: .m1)
        for bar in 0..<Int64(3 * Limits.gapCountMax) {
            add(bar..<bar + 1, .overflow)
            add(bar..<bar + 1, .overflow, eth)
        }
        #expect(board.counts.open == 2 && board.forgottenCount == 0 && board.takeForgotten().isEmpty)
        board.mark(btc, fromMs: 0, untilMs: 10 * minute, .healing)
        add(-5..<0, .overflow)
        add(-6..<(-5), .missed)
        #expect(board.gaps(of: btc).map(\.candleCount) == [1, 5, 10, 3 * Limits.gapCountMax - 10])
        // Two that a third one joins.
        add(-20..<(-18), .missed)
        add(-17..<(-6), .missed)
        add(-18..<(-17), .missed)
        #expect(board.gaps(of: btc).map(\.candleCount) == [15, 5, 10, 3 * Limits.gapCountMax - 10])
    }

    @Test("What the exchange lacks takes no room from what is missing, and has a bound of its own")
    func absentOnesHaveRoomOfTheirOwn() {
        let board = GapBoard(countMax: 4)
        func hole(_ bar: Int64) -> Gap { Gap(series: btc, fromMs: bar * minute, untilMs: (bar + 1) * minute, cause: .missed) }
        for bar in 0..<Int64(40) {
            #expect(board.add(hole(2 * bar)) == 1)
            board.markAbsent(btc, fromMs: 2 * bar * minute, untilMs: (2 * bar + 1) * minute)
        }
        #expect(board.counts.absent == 32 && board.counts.open == 0 && board.forgottenCount == 0)
        // As Redis lists it, from a life before.
        board.add(hole(201).with(state: .absent))
        #expect(board.counts.absent == 32 && board.forgottenCount == 0)
        for bar: Int64 in [101, 103, 105, 107, 109] { board.add(hole(bar)) }
        #expect(board.counts.open == 4 && board.forgottenCount == 1 && board.checkInvariants() == nil)
        board.remove(btc, fromMs: 101 * minute, untilMs: 102 * minute)
        #expect(board.takeForgotten() == [btc])
        board.forget(btc)
        #expect(board.counts == (0, 0) && board.checkInvariants() == nil)
    }

    @Test("Holes that there was no room for are told as soon as there is some")
    func forgottenOnesAreTold() {
        let board = GapBoard(countMax: 4)
        func add(_ bars: Range<Int64>) -> Int {
            board.add(Gap(series: btc, fromMs: bars.lowerBound * minute, untilMs: bars.upperBound * minute, cause: .missed))
        }
        for bar: Int64 in [10, 20, 30] { #expect(add(bar..<bar + 1) == 1) }
        // Around what is listed: one of four parts has room.
        #expect(add(5..<35) == 27)
        #expect(board.counts.open == 1 && board.forgottenCount == 0, "what fills the space between them makes one of all")
        for bar: Int64 in [50, 60, 70, 80, 90] { #expect(add(bar..<bar + 1) == 1) }
        #expect(board.counts.open == 4 && board.forgottenCount == 2 && board.takeForgotten().isEmpty)
        board.remove(btc, fromMs: 0, untilMs: 40 * minute)
        #expect(board.takeForgotten() == [btc] && board.forgottenCount == 0 && board.takeForgotten().isEmpty)
    }

    @Test func whenItIsAskedForAgain() {
        add(10..<12)
        let before = WallClock.nowMs()
        board.mark(btc, fromMs: 10 * minute, untilMs: 12 * minute, .healing)
        #expect(board.open.map(\.nextMs) == [0])
        board.mark(btc, fromMs: 10 * minute, untilMs: 12 * minute, .open, tries: 1, pauseMs: 4_000)
        #expect(board.open.allSatisfy { $0.nextMs >= before + 4_000 && $0.seenMs <= before } && board.open.count == 1)
        // News of a hole are not the hole.
        #expect(board.open == [Gap(series: btc, fromMs: 10 * minute, untilMs: 12 * minute, cause: .missed, state: .open, tries: 1)])
    }
}
