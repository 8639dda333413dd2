// The coalescer against the naive model, over thousands of seeds.

import FastFeed
import TestKit
import Testing

struct CandleTableTests {
    private static let intervals: [Interval] = [.s1, .m1, .h4, .w1, .month1]

    private func follow(_ table: inout CandleTable, _ id: UInt32, _ interval: Interval, generation: UInt16 = 1) -> Series {
        let series = Series(symbol: Symbol("symbol\(id)")!, interval: interval)
        table.follow(series, id, generation: generation)
        return series
    }

    private func opens(_ gaps: [Gap], _ series: Series) -> [Int64] {
        gaps.filter { $0.series == series }.flatMap { gap in
            var list: [Int64] = []
            var open = gap.fromMs
            while open < gap.untilMs {
                list.append(open)
                open = series.interval.nextOpenTime(after: open)
            }
            return list
        }
    }

    /// One life of a few series; what is wrong with it, if anything.
    private func run(seed: UInt64, _ complaints: inout Complaints) {
        var random = SplitMix64(seed: seed)
        let counters = CounterBank()
        let board = GapBoard()
        var table = CandleTable(seriesMax: 8, closedMax: 512, counters: counters, gaps: board)
        let count = 1 + random.below(4)
        var models: [CandleModel] = []
        var streams: [CandleStream] = []
        var series: [Series] = []
        for id in 0..<count {
            let interval = random.pick(CandleTableTests.intervals)
            series.append(follow(&table, UInt32(id), interval))
            models.append(CandleModel(interval: interval))
            streams.append(CandleStream(id: UInt32(id), generation: 1, interval: interval, from: 1_700_000_000_000))
        }
        var books = CandleModel.Books()
        var inOrder: [CandleRecord] = []
        let total = 20 + random.below(200)
        var stale = 0
        var touched: Set<Int> = []
        for _ in 0..<total {
            let id = random.below(count)
            var record = streams[id].next(&random)
            if random.chance(2) {
                record.generation = 2
                stale += 1
                table.accept(record)
                continue
            }
            let before = (models[id].updates, models[id].closed.count, models[id].late.count)
            models[id].accept(record, &books)
            table.accept(record)
            if models[id].closed.count > before.1 { inOrder.append(record) }
            if models[id].late.count > before.2 {
                // A correction: what waits of the same bar says the same.
                for place in inOrder.indices
                where inOrder[place].seriesID == record.seriesID && inOrder[place].openTimeMs == record.openTimeMs {
                    inOrder[place] = record
                }
            }
            if models[id].newest?.openTimeMs == record.openTimeMs && models[id].updates > before.0 { touched.insert(id) }
            if random.chance(5), let popped = table.popDirty() {
                complaints.check(touched.remove(popped) != nil, "seed \(seed): series \(popped) was dirty for nothing")
            }
        }
        let value = { Int(counters.value($0)) }
        let seen = CandleModel.Books(
            duplicates: value(.duplicates), coalesced: value(.coalesced), closedReceived: value(.closedReceived),
            gapsSeen: value(.gapsSeen),
            missing: value(.gapCandlesMissing), filled: value(.gapCandlesFilled))
        complaints.check(seen == books, "seed \(seed): \(seen), not \(books)")
        complaints.check(value(.staleGeneration) == stale, "seed \(seed): stale")
        // (Dirty series were taken here, and no batch has taken their states.)
        let wrong = table.closed.checkInvariants() ?? table.merges.checkInvariants() ?? board.checkInvariants()
        complaints.check(wrong == nil, "seed \(seed): \(wrong ?? "")")
        complaints.check(
            total == stale + books.duplicates + books.coalesced + books.closedReceived + table.formingPendingCount,
            "seed \(seed): the books do not balance")
        complaints.check(table.closed.count == inOrder.count, "seed \(seed): closed candles lost or invented")
        for (index, candle) in inOrder.enumerated() where index < table.closed.count {
            complaints.check(same(table.closed[table.closed.head + index], candle), "seed \(seed): closed candle \(index)")
        }
        var merged: [UInt32: [CandleRecord]] = [:]
        while case .candles(let run)? = table.merges.take(most: 3) {
            complaints.check(zip(run, run.dropFirst()).allSatisfy { $0.record.openTimeMs < $1.record.openTimeMs }, "seed \(seed): a run")
            merged[run[0].record.seriesID, default: []] += run.map(\.record)
        }
        for id in 0..<count {
            func opens(_ list: [CandleRecord]) -> [Int64] { list.map(\.openTimeMs).sorted() }
            let late = merged[UInt32(id)] ?? []
            complaints.check(opens(late) == opens(models[id].late), "seed \(seed): late candles of \(id)")
            for candle in models[id].late {
                complaints.check(late.contains { same($0, candle) }, "seed \(seed): late candle \(candle.openTimeMs) of \(id)")
            }
        }
        for id in 0..<count {
            if let newest = models[id].newest { complaints.check(same(table.newest[id], newest), "seed \(seed): newest of \(id)") }
            complaints.check(opens(board.open, series[id]).sorted() == models[id].missing.sorted(), "seed \(seed): gaps of \(id)")
        }
        while let popped = table.popDirty() { complaints.check(touched.remove(popped) != nil, "seed \(seed): dirty twice") }
        complaints.check(touched.isEmpty, "seed \(seed): changed and not dirty: \(touched)")
    }

    private func same(_ a: CandleRecord, _ b: CandleRecord) -> Bool {
        a.hasSameValues(as: b) && a.isClosed == b.isClosed && a.eventTimeMs == b.eventTimeMs && a.seriesID == b.seriesID
    }

    @Test func thousandsOfLives() {
        var complaints = Complaints()
        for seed in 0..<5_000 { run(seed: UInt64(seed), &complaints) }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    private func record(_ open: Int64, event: Int64 = 0, trades: Int64 = 0, closed: Bool = false) -> CandleRecord {
        var candle = CandleRecord()
        (candle.generation, candle.intervalRawValue) = (1, Interval.m1.rawValue)
        (candle.openTimeMs, candle.closeTimeMs) = (open * 60_000, open * 60_000 + 59_999)
        (candle.eventTimeMs, candle.tradeCount, candle.isClosed) = (event, trades, closed)
        return candle
    }

    private func accept(_ table: inout CandleTable, _ records: [CandleRecord]) {
        for record in records { table.accept(record) }
    }

    /// Minutes of the candles that are appended.
    private func queued(_ table: borrowing CandleTable) -> [Int64] {
        (0..<table.closed.count).map { table.closed[$0].openTimeMs / 60_000 }
    }

    /// Of those that the script puts in their place, taken out.
    private func lateOpens(_ table: inout CandleTable) -> [Int64] {
        var opens: [Int64] = []
        while case .candles(let run)? = table.merges.take(most: 100) { opens += run.map(\.record.openTimeMs) }
        return opens
    }

    private func merged(_ table: inout CandleTable) -> [Int64] { lateOpens(&table).map { $0 / 60_000 } }

    @Test func holeIsSeenAndFilledByALateCandle() {
        let board = GapBoard()
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: board)
        let series = follow(&table, 0, .m1)
        accept(&table, [record(10, closed: true), record(15)])
        #expect(board.open == [Gap(series: series, fromMs: 660_000, untilMs: 900_000, cause: .missed)])
        accept(&table, [record(12, closed: true)])
        #expect(opens(board.open, series).sorted() == [660_000, 780_000, 840_000])
        accept(
            &table,
            [
                record(12, closed: true), record(10, closed: true), record(11, closed: true), record(14, closed: true),
                record(13, closed: true),
            ])
        #expect(board.open.isEmpty)
        #expect(queued(table) == [10, 12, 14])
        #expect(merged(&table) == [11, 13], "older than what their history has")
        #expect(counters.value(.gapCandlesFilled) == 4 && counters.value(.duplicates) == 2)
        let newest = table.newest[0].openTimeMs
        #expect(newest == 900_000, "a late candle never becomes the newest")
    }

    /// Each record comes by two ways, however far one is behind, and now and then one of them loses a part.
    @Test(arguments: [false, true]) func twoCopiesMakeOneHistory(isCut: Bool) {
        for seed in 0..<500 {
            var random = SplitMix64(seed: UInt64(seed))
            let (counters, board) = (CounterBank(), GapBoard())
            var table = CandleTable(seriesMax: 8, closedMax: 64, counters: counters, gaps: board)
            _ = follow(&table, 0, .m1)
            var bars: [CandleRecord] = []
            for bar in 0..<30 as Range<Int64> {
                for step in 0...3 as ClosedRange<Int64> {
                    bars.append(record(bar, event: bar * 10 + step, trades: step, closed: step == 3))
                }
            }
            var ways = [bars, bars]
            // The last bar comes on both; what one way loses, the other does not.
            if isCut {
                ways[0].removeSubrange(10..<10 + random.below(50))
                ways[1].removeSubrange(60..<60 + random.below(50))
            }
            while ways.contains(where: { !$0.isEmpty }) {
                let way = ways[0].isEmpty ? 1 : ways[1].isEmpty ? 0 : random.below(2)
                let count = min(ways[way].count, 1 + random.below(20))
                accept(&table, Array(ways[way].prefix(count)))
                ways[way].removeFirst(count)
            }
            let opens = queued(table)
            let all = (opens + merged(&table)).map { $0 * 60_000 }
            #expect(all.sorted() == bars.filter(\.isClosed).map(\.openTimeMs) && board.open.isEmpty, "seed \(seed)")
            if !isCut { #expect(opens == opens.sorted() && counters.value(.gapsSeen) == 0, "seed \(seed)") }
        }
    }

    @Test func aClosedCandleOvertakenByTheFirstRecordIsTaken() {
        let board = GapBoard()
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: board)
        let series = follow(&table, 0, .m1)
        accept(&table, [record(10), record(9, closed: true), record(9, closed: true), record(6, closed: true)])
        #expect(opens(board.open, series).sorted() == [420_000, 480_000])
        // Not late but lost in time: it may open no gap of years.
        accept(&table, [record(7, closed: true), record(-100_000, closed: true), record(10, closed: true)])
        #expect(queued(table) == [9, 10])
        #expect(merged(&table) == [6, 7])
        #expect(opens(board.open, series) == [480_000])
        #expect(counters.value(.duplicates) == 2 && counters.value(.gapCandlesFilled) == 1)
        let newest = table.newest[0].openTimeMs
        #expect(newest == 600_000)
    }

    /// The board is full: a repeated candle must not pass for one that was missing, or the missing one would be
    /// refused as a repetition when it comes.
    @Test func repetitionsDoNotFillForgottenGaps() {
        let counters = CounterBank()
        let gaps = GapBoard()
        var table = CandleTable(seriesMax: 16, closedMax: 64, counters: counters, gaps: gaps)
        let series = follow(&table, 0, .m1)
        for place in 0..<Int64(Limits.gapCountMax) {
            gaps.add(Gap(series: series, fromMs: -2 * place - 2, untilMs: -2 * place - 1, cause: .missed))
        }
        accept(&table, [record(1, closed: true), record(3, closed: true)])
        #expect(gaps.forgottenCount == 1 && counters.value(.gapCandlesMissing) == 1)
        accept(&table, Array(repeating: record(3, closed: true), count: 3))
        #expect(counters.value(.gapCandlesFilled) == 0)
        let before = table.merges.count
        accept(&table, [record(2, closed: true)])
        let after = table.merges.count
        #expect(after == before + 1)
    }

    /// BTCUSDT 1h of February 2018: after an outage the bars began between two hours, and then on the hour again, half an hour later.
    @Test func barsThatComeBackToTheGridEarlyAreTaken() {
        let board = GapBoard()
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: board)
        _ = follow(&table, 0, .h1)
        let opens: [Int64] = [1_518_315_600_000, 1_518_319_694_789, 1_518_321_600_000, 1_518_325_200_000]
        func bar(_ open: Int64, _ event: Int64) -> CandleRecord {
            var candle = record(0, event: event, closed: true)
            (candle.openTimeMs, candle.closeTimeMs, candle.intervalRawValue) = (open, open + 1_905_210, Interval.h1.rawValue)
            return candle
        }
        // The third one is late; and then each comes once more.
        for place in [0, 1, 3, 2, 0, 1, 2, 3] { accept(&table, [bar(opens[place], Int64(place))]) }
        let taken = (0..<table.closed.count).map { table.closed[$0].openTimeMs }
        #expect(taken == [opens[0], opens[1], opens[3]])
        #expect(Set(lateOpens(&table)).isSuperset(of: [opens[2]]))
    }

    @Test func aLaterWordOnAClosedBarIsACorrection() {
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: GapBoard())
        _ = follow(&table, 0, .m1)
        accept(&table, [record(10, event: 100, trades: 5, closed: true)])
        // The same again; the same words later; other words that are older.
        accept(&table, [record(10, event: 100, trades: 5, closed: true), record(10, event: 101, trades: 5, closed: true)])
        accept(&table, [record(10, event: 99, trades: 6, closed: true)])
        #expect(counters.value(.duplicates) == 3)
        accept(&table, [record(10, event: 102, trades: 7, closed: true)])
        let trades = (0..<table.closed.count).map { table.closed[$0].tradeCount }
        #expect(trades == [7], "whatever is sent once more says the newest")
        #expect(merged(&table) == [10])
        let newest = table.newest[0].tradeCount
        #expect(newest == 7 && counters.value(.duplicates) == 3)
        // Of a bar that is over for long.
        accept(&table, [record(11, event: 200, closed: true), record(10, event: 150, trades: 8, closed: true)])
        #expect(counters.value(.duplicates) == 4, "made before the newest closed one: a repetition that is late")
        accept(&table, [record(10, event: 201, trades: 9, closed: true)])
        let count = table.closed.count
        #expect(count == 2 && counters.value(.duplicates) == 4)
        #expect(merged(&table) == [10])
    }

    @Test func overflowBecomesAGap() {
        let board = GapBoard()
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 4, counters: counters, gaps: board)
        let series = follow(&table, 0, .m1)
        accept(&table, (10..<17).map { record($0, closed: true) })
        #expect(opens(board.open, series).sorted() == [600_000, 660_000, 720_000])
        #expect(board.open.allSatisfy { $0.cause == .overflow })
        #expect(counters.value(.closedQueueOverflow) == 3 && counters.value(.closedReceived) == 7)
        let head = table.closed.head
        #expect(table.closed.count == 4 && head == 3)
    }

    @Test func stoppedSeriesAreStale() {
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: GapBoard())
        _ = follow(&table, 0, .m1)
        accept(&table, [record(10)])
        table.unfollow(0)
        accept(&table, [record(10, event: 5)])
        #expect(counters.value(.staleGeneration) == 1 && counters.value(.coalesced) == 1 && counters.value(.seriesActive) == 0)
        _ = follow(&table, 0, .m1, generation: 2)
        accept(&table, [record(10, event: 6)])
        #expect(counters.value(.staleGeneration) == 2, "a late frame of the former life")
        var fresh = record(10, event: 7)
        fresh.generation = 2
        accept(&table, [fresh])
        let (pending, dirty) = (table.formingPendingCount, table.dirtyCount)
        #expect(pending == 1 && dirty == 1 && counters.value(.seriesActive) == 1)
    }

    @Test func failedWritesComeBack() {
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 8, closedMax: 16, counters: counters, gaps: GapBoard())
        for id in 0..<3 { _ = follow(&table, UInt32(id), .m1) }
        accept(&table, [record(10)])
        let popped = table.popDirty()
        table.restore(0, wasForming: true)
        let dirty = table.dirtyCount
        #expect(popped == 0 && dirty == 1)
        table.markAllDirty()
        let all = table.dirtyCount
        #expect(all == 1, "each series once, and only those with a candle")
        let would = lend(record(10)) { table.wouldCoalesce($0) }
        #expect(would)
    }
}
