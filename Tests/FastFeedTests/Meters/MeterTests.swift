// Counters, histograms and the journal.

import FastFeed
import TestKit
import Testing

struct MeterTests {
    @Test func everyCounterIsDescribedOnce() {
        #expect(Set(CounterID.allCases.map(\.name)).count == CounterID.allCases.count)
        #expect(Set(CounterID.allCases.map(\.sentence)).count == CounterID.allCases.count)
        #expect(CounterID.bytesReceived.name == "bytes_received" && CounterID.rejectedNotUTF8.name == "rejected_not_utf8")
        #expect(CounterID.tradeIDBreaks.name == "trade_id_breaks")
        for id in CounterID.allCases {
            #expect(id.name.wholeMatch(of: /[a-z]+(_[a-z0-9]+)*/) != nil, "\(id.name)")
            #expect(!id.unit.isEmpty && id.sentence.hasSuffix("."), "\(id)")
            #expect(id.isRejection == id.name.hasPrefix("rejected_"), "\(id)")
        }
        #expect(
            CounterID.allCases.filter { $0.kind == .gauge } == [
                .closedHeld, .gapsOpen, .gapCandlesAbsent, .redisLanes, .redisLanesUp, .closedPending, .seriesActive,
                .seriesWatched, .connectionsLive, .groupMembers, .groupWriters, .groupBlind, .groupEpoch, .groupUnits,
            ])
    }

    /// A snapshot with these values, and zero in all others.
    private func snapshot(_ values: [CounterID: UInt64]) -> CounterSnapshot { CounterSnapshot { values[$0] ?? 0 } }

    @Test func booksBalanceOnlyWhenEveryMessageHasOneEnd() {
        // A different value for every place a message may end: two errors cannot cancel out.
        var values: [CounterID: UInt64] = [.noticesReceived: 1 << 40]
        for (index, id) in CounterID.allCases.filter(\.isRejection).enumerated() { values[id] = 1 << index }
        for (index, id) in CounterSnapshot.ends.enumerated() { values[id] = 1 << (20 + index) }
        values[.messagesReceived] = values.values.reduce(0, +)
        values[.closedWritten] = 1 << 30
        values[.closedRejected] = 1 << 31
        values[.closedReceived] = CounterSnapshot.closedEnds.reduce(0) { $0 + (values[$1] ?? 0) }
        let good = snapshot(values)
        #expect(good.isBalanced && good.unaccounted == 0 && good.closedUnaccounted == 0, "\(good.books)")
        #expect(good.klinesReceived == values[.messagesReceived]! - 1 << 40)
        #expect(!good.books.contains("unaccounted") && good.books.contains("\(1 << 20) duplicates + "))
        let places: Set<CounterID> = Set(CounterSnapshot.ends).union(CounterID.allCases.filter(\.isRejection))
        for id in CounterID.allCases {
            var changed = values
            changed[id, default: 0] += 1
            let off = snapshot(changed)
            let isReceived = [.messagesReceived, .healRecords].contains(id) ? 1 : places.contains(id) || id == .noticesReceived ? -1 : 0
            #expect(off.unaccounted == Int64(isReceived), "\(id)")
            let isClosed = id == .closedReceived ? 1 : CounterSnapshot.closedEnds.contains(id) ? -1 : 0
            #expect(off.closedUnaccounted == Int64(isClosed), "\(id)")
            #expect(off.isBalanced == (isReceived == 0 && isClosed == 0) && off.books.contains("unaccounted") == !off.isBalanced, "\(id)")
        }
    }

    @Test func banksAddUp() {
        let (a, b) = (CounterBank(), CounterBank())
        for (index, id) in CounterID.allCases.enumerated() {
            a.add(id, index)
            a.add(id)
            b.set(id, 1_000)
        }
        let snapshot = CounterSnapshot([a, b])
        for (index, id) in CounterID.allCases.enumerated() { #expect(snapshot[id] == UInt64(1_001 + index)) }
        #expect(snapshot.rejected == CounterID.allCases.filter(\.isRejection).reduce(0) { $0 + snapshot[$1] })
    }

    @Test(arguments: seeds) func quantilesAgainstSortedValues(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<20_000 {
            let value = random.next() >> UInt64(24 + random.below(40))
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        let snapshot = histogram.snapshot()
        #expect(snapshot.count == 20_000)
        for share in [0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1] {
            let exact = values[max(1, Int((share * 20_000).rounded(.up))) - 1]
            let seen = try #require(snapshot.quantile(share))
            // Never below, and at most one part in 64 above.
            #expect(seen >= exact && seen - exact <= exact / 64, "seed \(seed): \(share) is \(seen), not \(exact)")
        }
    }

    @Test func histogramEdges() {
        let histogram = LatencyHistogram()
        #expect(histogram.snapshot().quantile(0.5) == nil)
        for value: UInt64 in [0, 1, 63, 64, 65, 127, 128, 1 << 20, (1 << 40) - 1] {
            let single = LatencyHistogram()
            single.record(value)
            let seen = single.snapshot().quantile(1)!
            #expect(seen >= value && seen - value <= value / 64, "\(value) is kept as \(seen)")
        }
        for value: UInt64 in [1 << 40, .max] { histogram.record(value, count: 3) }
        let end: UInt64 = (1 << 40) - 1
        #expect(histogram.snapshot().quantile(0)! == end, "everything above the range counts as its end")
        let earlier = histogram.snapshot()
        histogram.record(5, count: 2)
        let between = histogram.snapshot() - earlier
        #expect(between.count == 2 && between.quantile(1) == 5)
        let buckets = histogram.snapshot().buckets
        #expect(buckets.map(\.upperBoundNs) == [5, (1 << 40) - 1] && buckets.map(\.count) == [2, 6])
    }

    @Test func journalHoldsRepeatsBack() {
        let journal = Journal()
        for number in 0..<100 {
            journal.note(.warning, "same", key: "a", ("number", "\(number)"))
            journal.note(.info, "free")
        }
        journal.note(.error, "other", key: "b")
        let (lines, dropped) = journal.drain()
        #expect(lines.count { $0.message == "same" } == 1 && lines.first?.fields.first?.1 == "0")
        #expect(lines.count { $0.message == "free" } == 100)
        #expect(lines.last?.message == "other" && lines.last?.level == .error)
        #expect(dropped == 0)
        #expect(journal.drain().lines.isEmpty)
    }

    @Test func journalIsBounded() {
        let journal = Journal()
        for number in 0..<Limits.journalLineCountMax + 10 { journal.note(.info, "\(number)", key: "key \(number)") }
        let (lines, dropped) = journal.drain()
        #expect(lines.count == Limits.journalLineCountMax && dropped == 10)
        #expect(lines.first?.message == "10", "the oldest fall out")
        #expect(journal.drain().dropped == 0)
    }

    @Test func limitsHoldTogether() { Limits.verify() }
}
