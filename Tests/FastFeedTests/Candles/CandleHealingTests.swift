// What the table makes of the healer's word: which bars are missing, which are on their way, who waits, and for how long.

import FastFeed
import TestKit
import Testing

struct CandleHealingTests {
    private static let minuteMs: Int64 = 60_000
    private let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let handle = SeriesHandle(id: 0, generation: 1)
    private let counters = CounterBank()
    private let board = GapBoard()

    /// - Parameter holdNs: 0: nothing waits.
    private func table(closedMax: Int = 64, holdNs: UInt64 = 0) -> CandleTable {
        var table = CandleTable(seriesMax: 8, closedMax: closedMax, counters: counters, gaps: board)
        (table.held.holdNs, table.held.canHeal) = (holdNs, true)
        table.follow(series, 0, generation: 1)
        return table
    }

    private func accept(_ table: inout CandleTable, _ minutes: Int64..., closed: Bool = true, healed: Bool = false, event: Int64? = nil) {
        for minute in minutes {
            var record = CandleRecord()
            (record.generation, record.intervalRawValue) = (1, Interval.m1.rawValue)
            (record.openTimeMs, record.closeTimeMs) = (minute * Self.minuteMs, (minute + 1) * Self.minuteMs - 1)
            (record.eventTimeMs, record.isClosed) = (event ?? (minute + 1) * Self.minuteMs, closed)
            record.source = healed ? .backfill : .live
            table.accept(record)
        }
    }

    /// The healer has looked: what is stored, up to the present minute.
    private func check(_ table: inout CandleTable, newest: Int64?, present: Int64, holes: [Range<Int64>] = []) {
        var checked = CheckedSeries(handle: handle, newestMs: newest.map { $0 * Self.minuteMs })
        checked.presentMs = present * Self.minuteMs
        checked.holes = holes.map {
            Gap(series: series, fromMs: $0.lowerBound * Self.minuteMs, untilMs: $0.upperBound * Self.minuteMs, cause: .backfill)
        }
        table.take(checked, queuedMs: table.queuedOpenTimes(of: [series])[series] ?? [])
        table.onGapsChanged(series)
    }

    private var missing: [Int64] {
        board.open.flatMap { gap in stride(from: gap.fromMs, to: gap.untilMs, by: Int(Self.minuteMs)).map { $0 / Self.minuteMs } }
    }

    private func queued(_ table: borrowing CandleTable) -> [Int64] {
        (0..<table.closed.count).map { table.closed[table.closed.head + $0].openTimeMs / Self.minuteMs }
    }

    private func merged(_ table: inout CandleTable) -> [Int64] {
        var opens: [Int64] = []
        while case .candles(let run)? = table.merges.take(most: 100) { opens += run.map { $0.record.openTimeMs / Self.minuteMs } }
        return opens
    }

    @Test("A run of the merge script that is under way is not missing, nor is one that comes back")
    func runsUnderWay() {
        var table = table()
        // Another has stored the fifth, so that none of these can be appended.
        check(&table, newest: 5, present: 3)
        accept(&table, 2, 3, 4)
        accept(&table, 5, closed: false)
        guard let run = table.merges.take(most: 2) else {
            Issue.record("a run")
            return
        }
        check(&table, newest: 5, present: 5, holes: [2..<5])
        #expect(missing.isEmpty)
        table.merges.putBack(run)
        check(&table, newest: 5, present: 5, holes: [2..<5])
        #expect(missing.isEmpty && merged(&table) == [2, 3, 4])
        table.merges.end(run)
        check(&table, newest: 5, present: 5, holes: [2..<5])
        #expect(missing == [2, 3])
    }

    @Test("What lies between the newest stored candle and now is missing before anything has come")
    func theTailIsMissing() {
        var table = table()
        check(&table, newest: 10, present: 14)
        #expect(missing == [11, 12, 13])
        accept(&table, 11, 13, healed: true)
        // The stream's own word on a bar that was looked for; then a bar that nobody has looked for yet.
        accept(&table, 12)
        accept(&table, 15, closed: false)
        #expect(missing == [14])
        #expect(queued(table) == [11, 13] && merged(&table) == [12])
    }

    @Test(
        "Behind a backfill a history goes on with the bar of that moment; without, it begins with what comes", arguments: [0, 2] as [Int64])
    func aNewHistoryBegins(backfill: Int64) {
        var table = table()
        check(&table, newest: nil, present: 14, holes: backfill > 0 ? [14 - backfill..<14] : [])
        #expect(missing == (backfill > 0 ? [12, 13] : []))
        accept(&table, 16, closed: false)
        #expect(missing == (backfill > 0 ? [12, 13, 14, 15] : []))
    }

    @Test("What is on its way to Redis is not missing, and what the exchange lacks and the stream brings is taken")
    func onTheWay() {
        var table = table()
        accept(&table, 20, 21, 23)
        check(&table, newest: nil, present: 24, holes: [15..<24])
        #expect(missing == [15, 16, 17, 18, 19, 22])
        board.markAbsent(series, fromMs: 22 * Self.minuteMs, untilMs: 23 * Self.minuteMs)
        table.onGapsChanged(series)
        accept(&table, 22)
        #expect(merged(&table) == [22] && board.gaps(of: series).allSatisfy { $0.state != .absent })
        #expect(counters.value(.duplicates) == 0)
    }

    @Test("A Redis that comes back with less has lost what was taken before what it has, whether it was live or fetched")
    func whatRedisHasLost() {
        var table = table()
        check(&table, newest: nil, present: 20, holes: [17..<20])
        accept(&table, 17, 18, 19, healed: true)
        accept(&table, 20, 21)
        for position in table.closed.head..<table.closed.tail { table.closed.mark(position, .acknowledged) }
        table.closed.advance()
        _ = merged(&table)
        #expect(missing == [])
        var checked = CheckedSeries(handle: handle, newestMs: 21 * Self.minuteMs)
        (checked.oldestMs, checked.presentMs) = (20 * Self.minuteMs, 22 * Self.minuteMs)
        table.take(checked)
        #expect(missing == [17, 18, 19])
    }

    @Test("What a first look at an empty history does not have may be on its way: nobody is told; what a later one has not is lost")
    func firstLooks() {
        var table = table()
        accept(&table, 2, 3)
        while table.closed.count > 0 {
            table.closed.mark(table.closed.head, .acknowledged)
            table.closed.advance()
        }
        check(&table, newest: nil, present: 4)
        #expect(missing == [2, 3] && board.takeNews().gaps.isEmpty)
        accept(&table, 2, 3, healed: true)
        while let run = table.merges.take(most: 100) { table.merges.end(run) }
        #expect(missing.isEmpty)
        check(&table, newest: nil, present: 4)
        #expect(missing == [2, 3] && board.takeNews().gaps.count == 1)
    }

    @Test("In an outage that the queue does not outlast, what waits has its bound: the oldest candles become holes")
    func heldInAnOutage() {
        var table = table(closedMax: 64, holdNs: 1 << 60)
        check(&table, newest: 1, present: 2)
        accept(&table, 3, closed: false)
        #expect(missing == [2])
        for minute in 3...Int64(Limits.heldCandlesMax + 100) { accept(&table, minute) }
        #expect(table.held.count <= Limits.heldCandlesMax && table.closed.isFull)
        #expect(table.checkInvariants() == nil)
        #expect(counters.value(.closedQueueOverflow) > 64)
        // What is neither in the queue nor waiting is listed.
        table.releaseEverything()
        let (last, kept) = (Int64(Limits.heldCandlesMax + 100), queued(table))
        #expect(kept == kept.sorted() && kept.count == 64)
        #expect(Set(missing).isDisjoint(with: kept) && missing.count + kept.count + table.held.count == Int(last) - 1)
    }

    @Test("A closing event that comes after its bar was healed may say something else, however late it is", arguments: [true, false])
    func theLateEventItself(isWatched: Bool) {
        var table = table()
        accept(&table, 10, 11)
        // Told by the watch, or seen by the next one's close.
        if isWatched { table.want(Gap(series: series, fromMs: 12 * Self.minuteMs, untilMs: 13 * Self.minuteMs, cause: .late)) }
        if !isWatched { accept(&table, 13) }
        accept(&table, 12, healed: true)
        if isWatched { accept(&table, 13) }
        accept(&table, 14, 15)
        if !isWatched { #expect(merged(&table) == [12]) }
        #expect(merged(&table).isEmpty && counters.value(.duplicates) == 0)
        accept(&table, 12)
        #expect(merged(&table) == [12])
        accept(&table, 12, 11)
        #expect(merged(&table).isEmpty && counters.value(.duplicates) == 2)
    }

    @Test("A series that is followed anew: older candles than those that it has left in the queue are written after these, by the script")
    func followedAnew() {
        var table = table(holdNs: 1 << 60)
        check(&table, newest: 4, present: 10)
        accept(&table, 10, 11)
        #expect(queued(table) == [] && table.held.count == 2)
        table.unfollow(0)
        #expect(queued(table) == [10, 11])
        table.follow(series, 1, generation: 1)
        var checked = CheckedSeries(handle: SeriesHandle(id: 1, generation: 1), newestMs: 4 * Self.minuteMs)
        checked.presentMs = 13 * Self.minuteMs
        table.take(checked, queuedMs: table.queuedOpenTimes(of: [series])[series] ?? [])
        #expect(missing == [5, 6, 7, 8, 9, 12])
        var record = CandleRecord()
        (record.seriesID, record.generation, record.intervalRawValue, record.isClosed) = (1, 1, Interval.m1.rawValue, true)
        (record.openTimeMs, record.closeTimeMs, record.source) = (5 * Self.minuteMs, 6 * Self.minuteMs - 1, .backfill)
        table.accept(record)
        #expect(queued(table) == [10, 11] && merged(&table) == [5])
    }

    @Test("Bars for which the board had no room are wanted with the next ones, though nothing had come when they were told")
    func wantedOnAFullBoard() {
        let full = GapBoard(countMax: 1)
        var table = CandleTable(seriesMax: 8, closedMax: 64, counters: counters, gaps: full)
        table.follow(series, 0, generation: 1)
        func gap(_ minutes: Range<Int64>) -> Gap {
            Gap(series: series, fromMs: minutes.lowerBound * Self.minuteMs, untilMs: minutes.upperBound * Self.minuteMs, cause: .late)
        }
        full.add(gap(1..<2))
        table.want(gap(10..<14))
        accept(&table, 10)
        accept(&table, 11, closed: false)
        full.remove(series, fromMs: Self.minuteMs, untilMs: 2 * Self.minuteMs)
        #expect(full.open.isEmpty)
        table.want(gap(14..<15))
        #expect(full.open.map(\.fromMs) == [11 * Self.minuteMs] && full.open.map(\.untilMs) == [15 * Self.minuteMs])
    }

    @Test("Candles that have waited long enough go as the queue has room, and none is left behind")
    func noneIsLeftWaiting() {
        var table = table(closedMax: 16, holdNs: 1_000)
        table.held.nowNs = 1
        // The healer has not looked: everything waits.
        for minute in 0..<40 as Range<Int64> { accept(&table, minute) }
        #expect(queued(table) == [] && table.held.count == 40)
        var seen: [Int64] = []
        for turn in 1...4 as ClosedRange<UInt64> {
            table.held.nowNs = 1 + turn * 1_000
            table.releaseDue()
            seen += queued(table)
            for position in table.closed.head..<table.closed.tail { table.closed.mark(position, .acknowledged) }
            table.closed.advance()
        }
        #expect(seen == Array(0..<40) && table.held.count == 0)
    }

    @Test("A series that is followed anew owes nothing to the holes that it had before")
    func anotherLife() {
        var table = table()
        accept(&table, 10, 14)
        board.markAbsent(series, fromMs: 11 * Self.minuteMs, untilMs: 13 * Self.minuteMs)
        table.unfollow(0)
        table.follow(series, 0, generation: 1)
        accept(&table, 20, 23)
        for series in board.takeChanged() { table.onGapsChanged(series) }
        #expect(missing == [21, 22])
        accept(&table, 21, 22, healed: true)
        #expect(missing == [])
    }
}
