// Series that another member of the group writes: nothing of them becomes dirty, all that closes is kept, and who takes them over has it.

import FastFeed
import TestKit
import Testing

struct CandleTableGroupTests {
    private static let m1: Int64 = 60_000

    private func make(_ counters: CounterBank, holdMs: Int = 0) -> CandleTable {
        var table = CandleTable(seriesMax: 8, closedMax: 512, counters: counters, gaps: GapBoard())
        table.stored = StoredCandles(keepNs: .max)
        (table.held.holdNs, table.held.canHeal) = (UInt64(holdMs) * 1_000_000, holdMs > 0)
        return table
    }

    private func follow(_ table: inout CandleTable, _ id: UInt32) -> SeriesHandle {
        table.follow(Series(symbol: Symbol("symbol\(id)")!, interval: .m1), id, generation: 1)
        return SeriesHandle(id: id, generation: 1)
    }

    private func record(_ id: UInt32, _ bar: Int64, event: Int64 = 0, closed: Bool = false) -> CandleRecord {
        var record = CandleRecord()
        (record.seriesID, record.generation, record.intervalRawValue) = (id, 1, Interval.m1.rawValue)
        record.openTimeMs = bar * CandleTableGroupTests.m1
        record.closeTimeMs = record.openTimeMs + CandleTableGroupTests.m1 - 1
        (record.eventTimeMs, record.isClosed) = (record.openTimeMs + event, closed)
        record.close = DecimalText("\(bar).\(event)")!
        return record
    }

    @Test("It is taken and kept, and nobody writes it, until it is ours")
    func takenOver() {
        let counters = CounterBank()
        var table = make(counters)
        let handle = follow(&table, 0)
        table.accept(record(0, 10, event: 1))
        #expect(table.dirtyCount == 1)
        table.disown([handle])
        #expect(table.isForeign(0) && table.isGivenAway(0) && counters.value(.seriesWatched) == 1)
        #expect(table.dirtyCount == 0, "what was to be written is the other's to write")
        for bar in Int64(10)..<20 { table.accept(record(0, bar, event: 50, closed: true)) }
        table.accept(record(0, 25, event: 3))
        #expect(table.dirtyCount == 0 && table.closed.count == 0 && table.merges.count == 0)
        #expect(counters.value(.closedWatched) == 10 && counters.value(.gapsSeen) == 0, "holes are the other's to find")
        table.markAllDirty()
        #expect(table.checkInvariants() == nil)
        #expect(table.popDirty() == nil)
        table.own([handle])
        #expect(table.checkInvariants() == nil)
        #expect(!table.isForeign(0) && !table.isGivenAway(0) && counters.value(.seriesWatched) == 0)
        #expect(table.popDirty() == 0 && table.popDirty() == nil && table.newest[0].openTimeMs == 25 * CandleTableGroupTests.m1)
        let runs = table.stored.runs(nowNs: 0, most: 100, of: [handle])
        #expect(runs.flatMap { $0.candles.map(\.openTimeMs) } == (10..<20).map { $0 * CandleTableGroupTests.m1 })
        #expect(runs.allSatisfy(\.isWatched) && table.stored.openTimes(of: [handle])[handle]?.count == 10)
        #expect(table.stored.runs(nowNs: 0, most: 100, of: []).isEmpty)
        // It goes on as any other.
        table.accept(record(0, 25, event: 60, closed: true))
        #expect(table.closed.count == 1 && table.popDirty() == 0)
        table.own([handle])
        #expect(table.popDirty() == 0, "once more, as it is asked a TTL later")
    }

    @Test("What waits to be sent when a series is given away is sent; newest states are not")
    func givenAway() {
        let counters = CounterBank()
        var table = make(counters)
        let (mine, theirs) = (follow(&table, 0), follow(&table, 1))
        for bar in Int64(1)...3 { for id in UInt32(0)...1 { table.accept(record(id, bar, closed: true)) } }
        #expect(table.closed.count == 6 && table.dirtyCount == 2)
        table.disown([theirs, theirs, SeriesHandle(id: 7, generation: 1)])
        #expect(table.closed.pendingCount == 6 && table.stored.count == 0 && counters.value(.closedWatched) == 0)
        #expect(table.popDirty() == 0 && table.popDirty() == nil && !table.isGivenAway(mine.id))
        table.disown([theirs])
        #expect(counters.value(.seriesWatched) == 1, "it was given away before")
        // One that is lost after all is nobody's hole here.
        table.noteLost(record(1, 2, closed: true), .refused)
        #expect(table.report(1).missingCount == 0)
        table.accept(record(1, 4, closed: true))
        #expect(table.closed.count == 6 && counters.value(.closedWatched) == 1)
        table.unfollow(1)
        #expect(table.isGivenAway(1) && table.checkInvariants() == nil, "what is still to be sent of it is another's word")
        _ = follow(&table, 1)
        let isStill = table.isGivenAway(1)
        #expect(!isStill)
    }

    @Test("What closes of a series that was taken over goes behind what its writer may not have stored; other series do not wait")
    func behindTheTakeOver() {
        var table = make(CounterBank())
        let (taken, other) = (follow(&table, 0), follow(&table, 1))
        table.disown([taken])
        for bar in Int64(1)...3 { table.accept(record(0, bar, closed: true)) }
        table.own([taken])
        table.merges.takeOver(table.stored.runs(nowNs: 0, most: 2, of: [taken]).map(\.candles))
        for id in [taken.id, other.id] { table.accept(record(id, 4, closed: true)) }
        #expect(table.closed.count == 1 && table.closed[table.closed.head].seriesID == other.id && table.merges.count == 1)
        #expect(table.merges.hasWaiting && !table.merges.isEmpty && table.checkInvariants() == nil)
        #expect(table.merges.nextTakeOver(at: 1, most: 1) == nil, "it has two")
        #expect(table.merges.nextTakeOver(at: 1, most: 2)?.map(\.openTimeMs) == [1, 2].map { $0 * CandleTableGroupTests.m1 })
        #expect(table.merges.nextTakeOver(at: 0, most: 2)?.map(\.openTimeMs) == [3].map { $0 * CandleTableGroupTests.m1 })
        table.accept(record(0, 5, closed: true))
        #expect(table.merges.count == 2 && table.closed.count == 1, "one before it still waits")
        guard let run = table.merges.take(most: 10), case .candles(let candles) = run else {
            Issue.record("nothing waits")
            return
        }
        #expect(candles.map(\.record.openTimeMs) == [4, 5].map { $0 * CandleTableGroupTests.m1 })
        table.accept(record(0, 6, closed: true))
        #expect(table.closed.count == 2 && !table.merges.hasWaiting)
        table.merges.end(run)
        #expect(table.merges.isEmpty && table.checkInvariants() == nil)
        // A lost connection: a new one writes all of it.
        table.merges.takeOver([[record(0, 1, closed: true)]])
        table.merges.endTakeOvers()
        #expect(!table.merges.hasWaiting && table.merges.isEmpty)
        table.accept(record(0, 7, closed: true))
        #expect(table.closed.count == 3)
    }

    @Test("A closed candle that was overtaken while another wrote the series is kept, and written when it comes after that")
    func overtaken() {
        let counters = CounterBank()
        var table = make(counters)
        let handle = follow(&table, 0)
        table.disown([handle])
        for bar in [1, 3, 2, 2, 6] as [Int64] { table.accept(record(0, bar, closed: true)) }
        #expect(counters.value(.closedWatched) == 4 && counters.value(.duplicates) == 1)
        table.own([handle])
        let kept = table.stored.runs(nowNs: 0, most: 10, of: [handle]).first?.candles.map(\.openTimeMs)
        #expect(kept == [1, 2, 3, 6].map { $0 * CandleTableGroupTests.m1 })
        for bar in [4, 2, 4] as [Int64] { table.accept(record(0, bar, closed: true)) }
        #expect(table.merges.count == 1 && counters.value(.duplicates) == 3)
        for bar in [7, 8, 7] as [Int64] { table.accept(record(0, bar, closed: true)) }
        #expect(table.merges.count == 1 && counters.value(.duplicates) == 4, "what is not acknowledged yet is known all the same")
        // Listed while we wrote it.
        table.accept(record(0, 10, closed: true))
        table.disown([handle])
        let before = counters.value(.closedWatched)
        for bar in [9, 9] as [Int64] { table.accept(record(0, bar, closed: true)) }
        #expect(counters.value(.closedWatched) == before + 1 && counters.value(.duplicates) == 5 && table.checkInvariants() == nil)
    }

    @Test("A series that was taken over twice waits for both, whatever lies between its runs")
    func takenOverTwice() {
        var merges = MergeQueue()
        func runs(_ bar: Int64) -> [[CandleRecord]] { [UInt32(0), 1].map { [record($0, bar, closed: true)] } }
        merges.takeOver(runs(1))
        merges.takeOver(runs(2))
        #expect(merges.nextTakeOver(at: 3, most: 1)?.first?.seriesID == 0)
        #expect(merges.takesOver(0) && merges.takesOver(1) && merges.checkInvariants() == nil)
        for place in [2, 1, 0] { _ = merges.nextTakeOver(at: place, most: 1) }
        #expect(!merges.takesOver(0) && !merges.takesOver(1) && merges.isEmpty && merges.checkInvariants() == nil)
    }

    @Test("Of a bar that its writer has corrected the later word is kept, and the healer has no say about it")
    func watched() {
        let counters = CounterBank()
        var table = make(counters)
        let handle = follow(&table, 0)
        table.disown([handle])
        for bar in Int64(1)...3 { table.accept(record(0, bar, event: 60_000, closed: true)) }
        table.accept(record(0, 2, event: 300_000, closed: true))
        let runs = table.stored.runs(nowNs: 0, most: 100)
        #expect(runs.count == 1 && runs[0].candles.map(\.close) == ["1.60000", "2.300000", "3.60000"].map { DecimalText($0)! })
        table.take(CheckedSeries(handle: handle, newestMs: 9 * CandleTableGroupTests.m1))
        table.own([handle])
        table.accept(record(0, 4, closed: true))
        #expect(table.closed.count == 1, "what the healer found while another wrote it says nothing")
    }

    @Test("Candles that wait for the healer do not when another heals; of a series of which nothing is known they wait again")
    func held() {
        let counters = CounterBank()
        var table = make(counters, holdMs: 5_000)
        let handle = follow(&table, 0)
        table.accept(record(0, 1, closed: true))
        #expect(table.held.count == 1)
        table.disown([handle])
        #expect(table.held.count == 0 && table.closed.pendingCount == 1 && counters.value(.closedWatched) == 0)
        let other = follow(&table, 1)
        table.disown([other])
        table.own([other])
        table.accept(record(1, 1, closed: true))
        #expect(table.held.count == 1 && table.closed.count == 1)
    }

    @Test("An id that was somebody else's serves another series")
    func reused() {
        let counters = CounterBank()
        var table = make(counters)
        let handle = follow(&table, 0)
        table.accept(record(0, 1, event: 1))
        table.disown([handle])
        table.unfollow(0)
        #expect(counters.value(.seriesWatched) == 0)
        table.follow(Series(symbol: Symbol("other")!, interval: .m1), 0, generation: 1)
        table.accept(record(0, 5, event: 1))
        #expect(table.popDirty() == 0)
    }

    @Test("The books balance, whoever writes when", arguments: seeds)
    func books(seed: UInt64) {
        var complaints = Complaints()
        for round in 0..<500 {
            var random = SplitMix64(seed: seed &* 10_000 &+ UInt64(round))
            let counters = CounterBank()
            var table = make(counters)
            let handles = (0..<3).map { follow(&table, UInt32($0)) }
            var streams = handles.map { CandleStream(id: $0.id, generation: 1, interval: .m1, from: 1_700_000_000_000) }
            var foreign: Set<Int> = []
            let total = 20 + random.below(200)
            for _ in 0..<total {
                let id = random.below(3)
                table.accept(streams[id].next(&random))
                if random.chance(5) {
                    if foreign.contains(id) { table.own([handles[id]]) } else { table.disown([handles[id]]) }
                    foreign.formSymmetricDifference([id])
                }
                if random.chance(10), let popped = table.popDirty() {
                    complaints.check(!foreign.contains(popped), "seed \(seed), round \(round): \(popped) is another's and is dirty")
                }
            }
            while let popped = table.popDirty() {
                complaints.check(!foreign.contains(popped), "seed \(seed), round \(round): \(popped) is another's and is dirty")
            }
            func value(_ id: CounterID) -> Int { Int(counters.value(id)) }
            complaints.check(
                value(.closedReceived) == value(.closedWatched) + table.closed.pendingCount + table.merges.count,
                "seed \(seed), round \(round): closed candles")
            complaints.check(
                total == value(.duplicates) + value(.coalesced) + value(.closedReceived) + table.formingPendingCount,
                "seed \(seed), round \(round): all records")
            complaints.check(value(.seriesWatched) == foreign.count, "seed \(seed), round \(round): series watched")
            table.endWatching()
            complaints.check(
                table.formingPendingCount <= 3 - foreign.count, "seed \(seed), round \(round): a state of another's is still to be written")
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }
}
