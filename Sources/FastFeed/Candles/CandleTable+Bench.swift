// A concrete driver for the benchmarks, inside the module: the sink's table fed with the updates of many series.
// The caller's thread.

package enum TableBench {
    /// Updates of one bar, the closing one included, as in the exchange's own cadence for 1m.
    package static let updatesPerBar = 60

    /// Feeds `bars` bars of every series, in turns. Dirty series are taken out once a second's worth of updates and
    /// closed candles after each bar, as a sink with a quick Redis would.
    /// - Returns: the thread's CPU nanoseconds in `accept` alone, and the records; nil when the table's books are wrong.
    @inline(never)
    package static func run(series: Int, bars: Int) -> (cpuNs: UInt64, records: Int)? {
        let counters = CounterBank()
        var table = CandleTable(seriesMax: 1 << 16, closedMax: 1 << 16, counters: counters, gaps: GapBoard())
        let records = MappedArray<CandleRecord>(zeroed: series)
        follow(records, &table)
        var spentNs: UInt64 = 0
        let emptyNs = ThreadClock.emptySpanNs()
        for bar in 0..<bars {
            for update in 0..<updatesPerBar {
                for id in 0..<series {
                    let record = records.row(id)
                    record.openTimeMs = Int64(bar) * 60_000
                    record.eventTimeMs = Int64(bar) * 60_000 + Int64(update + 1) * 1_000
                    record.tradeCount = Int64(update)
                    record.isClosed = update == updatesPerBar - 1
                }
                spentNs += max(acceptAll(records, &table), emptyNs) - emptyNs
                while table.popDirty() != nil {}
            }
            while table.closed.count > 0 {
                table.closed.mark(table.closed.head, .acknowledged)
                table.closed.advance()
            }
        }
        let isRight = counters.value(.closedReceived) == UInt64(series * bars) && counters.value(.duplicates) == 0
        return isRight && counters.value(.gapsSeen) == 0 ? (spentNs, series * bars * updatesPerBar) : nil
    }

    private static func follow(_ records: borrowing MappedArray<CandleRecord>, _ table: inout CandleTable) {
        for id in 0..<records.count {
            table.follow(Series(symbol: Symbol("sim\(id)usdt")!, interval: .m1), UInt32(id), generation: 1)
            records[id].seriesID = UInt32(id)
            records[id].generation = 1
            records[id].intervalRawValue = Interval.m1.rawValue
        }
    }

    @inline(never)
    private static func acceptAll(_ records: borrowing MappedArray<CandleRecord>, _ table: inout CandleTable) -> UInt64 {
        let startNs = ThreadClock.nowNs()
        for id in 0..<records.count { table.accept(records.lent(id)) }
        return ThreadClock.nowNs() - startNs
    }
}
