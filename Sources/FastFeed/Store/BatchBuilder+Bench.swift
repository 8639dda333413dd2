// Concrete drivers for the benchmarks, inside the module: candle states to RESP bytes, and Redis's replies back to
// verdicts. The benchmark's thread.

import CShims

package enum EncodeBench {
    /// Builds `rounds` batches, each with one new state of every series: a coalesced flush where there are many, and
    /// what every update costs by itself where there is one.
    /// - Parameter closed: every state is a closed one, with its history entry.
    /// - Returns: the thread's CPU nanoseconds in `build` alone and the bytes of all batches; nil when one came out wrong.
    @inline(never)
    package static func run(series: Int, closed: Bool, rounds: Int) -> (cpuNs: UInt64, bytes: Int)? {
        var table = CandleTable(seriesMax: 1 << 12, closedMax: 1 << 13, counters: CounterBank(), gaps: GapBoard())
        var builder = BatchBuilder(schema: KeySchema(prefix: ""), history: 1_500, market: .spot, batchSize: 1_500, seriesMax: 1 << 12)
        var batch = Batch(capacity: 1_500)
        for id in 0..<series {
            let name = Series(symbol: Symbol("sim\(1_000 + id)usdt")!, interval: .m1)
            table.follow(name, UInt32(id), generation: 1)
            builder.follow(name, UInt32(id))
        }
        let records = MappedArray<CandleRecord>(zeroed: 1)
        let record = records.row(0)
        record.value = sample
        var spentNs: UInt64 = 0
        let emptyNs = ThreadClock.emptySpanNs()
        var bytes = 0
        for round in 0..<rounds {
            let openMs = 1_790_001_240_000 + Int64(closed ? round : 0) * 60_000
            (record.openTimeMs, record.closeTimeMs, record.isClosed) = (openMs, openMs + 59_999, closed)
            record.eventTimeMs = openMs + 1_000 + Int64(closed ? 59_000 : round)
            for id in 0..<series {
                record.seriesID = UInt32(id)
                table.accept(record.lent)
            }
            let startNs = ThreadClock.nowNs()
            guard builder.build(&table, into: &batch) else { return nil }
            spentNs += max(ThreadClock.nowNs() - startNs, emptyNs) - emptyNs
            bytes += builder.out.count
            guard batch.seriesCount == series, batch.closedCount == (closed ? series : 0) else { return nil }
            for index in 0..<batch.closedCount { table.closed.mark(batch.closedPositions[index], .acknowledged) }
            table.closed.advance()
        }
        return (spentNs, bytes)
    }

    /// A candle with numbers as long as a large coin's.
    private static var sample: CandleRecord {
        var candle = CandleRecord()
        candle.generation = 1
        candle.intervalRawValue = Interval.m1.rawValue
        (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (4_100_000_000, 4_100_000_119, 120)
        (candle.open, candle.high) = (DecimalText("67120.10000000")!, DecimalText("67133.90000000")!)
        (candle.low, candle.close) = (DecimalText("67101.00000000")!, DecimalText("67125.44000000")!)
        (candle.volume, candle.takerBuyVolume) = (DecimalText("24.18273000")!, DecimalText("11.90132000")!)
        (candle.quoteVolume, candle.takerBuyQuoteVolume) = (DecimalText("1623148.27192740")!, DecimalText("798826.02934110")!)
        return candle
    }
}

package enum ReplyBench {
    /// Replies as Redis gives them to a batch: an entry id for each XADD, an integer for each HSET and PUBLISH, and
    /// now and then a status. They come in reads of 64 KiB, cut anywhere.
    /// - Returns: the thread's CPU nanoseconds and the replies read; nil on a protocol error.
    @inline(never)
    package static func run(batches: Int, rounds: Int) -> (cpuNs: UInt64, replies: Int)? {
        var text: [UInt8] = []
        for batch in 0..<batches {
            for index in 0..<100 { text += Array("$15\r\n\(1_790_001_240_000 + batch * 60_000 + index)-0\r\n".utf8) }
            text += Array(":0\r\n".utf8)
            for index in 0..<300 { text += Array(":\(index % 3)\r\n".utf8) }
            text += Array("+OK\r\n".utf8)
        }
        let reader = ReplyReader()
        let readBytes = 64 * 1024
        var replies = 0
        var check: Int64 = 0
        let startNs = ThreadClock.nowNs()
        for _ in 0..<rounds {
            var place = 0
            while place < text.count {
                let count = min(readBytes, text.count - place)
                guard reader.feed(text.span.extracting(place..<place + count)) else { return nil }
                place += count
                while true {
                    guard let got = reader.drain() else { return nil }
                    for index in 0..<got { check &+= reader.replies[index].isError ? 1 : 0 }
                    replies += got
                    if got < ReplyReader.capacity { break }
                }
            }
        }
        let cpuNs = ThreadClock.nowNs() - startNs
        return check == 0 && replies == batches * 402 * rounds ? (cpuNs, replies) : nil
    }
}
