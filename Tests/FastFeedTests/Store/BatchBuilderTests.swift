// The bytes of a batch, read back and compared with the contract's table.

import FastFeed
import Testing

/// A table, its builder and one batch, as the sink holds them.
struct BuilderRig: ~Copyable {
    var table: CandleTable
    var builder: BatchBuilder
    var batch: Batch

    init(
        batchSize: Int = 100, prefix: String = "", market: Market = .spot, history: Int = 1_500, updates: UpdateMode = .classic
    ) {
        table = CandleTable(seriesMax: 256, closedMax: 4_096, counters: CounterBank(), gaps: GapBoard())
        builder = BatchBuilder(
            schema: KeySchema(prefix: prefix), history: history, updates: updates, market: market, batchSize: batchSize, seriesMax: 256)
        batch = Batch(capacity: batchSize)
    }

    mutating func follow(_ series: Series, _ id: UInt32) {
        table.follow(series, id, generation: 1)
        builder.follow(series, id)
    }

    mutating func accept(_ candle: CandleRecord) { table.accept(candle) }

    var bytes: [UInt8] { builder.out.bytes.copy }

    /// The commands of the next batch; empty when there is nothing to write, nil when the bytes are no RESP.
    mutating func build() -> [[String]]? { builder.build(&table, into: &batch) ? RESPText.commands(bytes) : [] }

    /// As if Redis had said yes to everything in the batch.
    mutating func acknowledge() {
        for index in 0..<batch.closedCount { table.closed.mark(batch.closedPositions[index], .acknowledged) }
        table.closed.advance()
    }
}

struct BatchBuilderTests {
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let eth = Series(symbol: Symbol("ethusdt")!, interval: .m1)
    private let month = Series(symbol: Symbol("btcusdt")!, interval: .month1)

    private func update(_ series: Series, updates: Int, _ candles: [CandleRecord]) -> String {
        "{\"symbol\":\"\(series.symbol)\",\"interval\":\"\(series.interval.token)\",\"rows\":\(candles.count),\"updates\":\(updates),\"candles\":["
            + candles.map { RESPText.json($0, series) }.joined(separator: ",") + "]}"
    }

    @Test func oneFormingCandle() {
        var rig = BuilderRig()
        rig.follow(btc, 0)
        rig.accept(.sample(2))
        var newer = CandleRecord.sample(2)
        newer.eventTimeMs += 1
        rig.accept(newer)
        let commands = rig.build()
        #expect(
            commands == [
                ["HSET", "latest:1m", "btcusdt", RESPText.json(newer, btc)],
                ["PUBLISH", "updates:{btcusdt}:1m", update(btc, updates: 2, [newer])],
            ])
        let (hash, publish, wasForming) = (rig.batch.command(0), rig.batch.command(1), rig.batch.seriesWasForming[0])
        #expect(hash == .hash(0) && publish == .publish && wasForming)
        let again = rig.build()
        #expect(again == [], "nothing is written twice")
    }

    @Test func closedCandleGoesFirst() {
        var rig = BuilderRig(history: 77)
        rig.follow(btc, 0)
        let (closed, next) = (CandleRecord.sample(2, closed: true), CandleRecord.sample(3))
        rig.accept(closed)
        rig.accept(next)
        let commands = rig.build()
        #expect(
            commands == [
                ["XADD", "candles:{btcusdt}:1m", "MAXLEN", "~", "77", "120000-0"] + RESPText.fields(closed),
                ["HSET", "latest:1m", "btcusdt", RESPText.json(next, btc)],
                ["PUBLISH", "updates:{btcusdt}:1m", update(btc, updates: 2, [closed, next])],
            ])
        let (first, rows) = (rig.batch.command(0), rig.batch.commandCount)
        #expect(first == .closed(0) && rows == 3)
    }

    /// The closed candle is the newest state as well: listed once in the message, written to both keys.
    @Test func newestClosedIsListedOnce() {
        var rig = BuilderRig()
        rig.follow(btc, 0)
        let candles = (2..<5).map { CandleRecord.sample($0, closed: true) }
        for candle in candles { rig.accept(candle) }
        let commands = rig.build() ?? []
        #expect(commands.count == 5)
        #expect(commands.prefix(3).map { $0[5] } == ["120000-0", "180000-0", "240000-0"])
        #expect(commands[3] == ["HSET", "latest:1m", "btcusdt", RESPText.json(candles[2], btc)])
        #expect(commands[4][2] == update(btc, updates: 3, candles))
    }

    @Test func hashesAreGroupedByInterval() {
        var rig = BuilderRig(prefix: "p:", market: .um)
        let series = [btc, eth, month].map { Series(market: .um, symbol: $0.symbol, interval: $0.interval) }
        for (id, one) in series.enumerated() {
            rig.follow(one, UInt32(id))
            rig.accept(.sample(2, series: UInt32(id), interval: one.interval))
        }
        let commands = rig.build() ?? []
        #expect(commands.count == 5)
        #expect(commands[0][0...1] == ["HSET", "p:latest:um:1m"] && commands[1][0...1] == ["HSET", "p:latest:um:1M"])
        #expect(Set([commands[0][2], commands[0][4]]) == ["btcusdt", "ethusdt"] && commands[1][2] == "btcusdt")
        #expect(
            Set(commands[2...].map { $0[1] }) == ["p:updates:{um:btcusdt}:1m", "p:updates:{um:ethusdt}:1m", "p:updates:{um:btcusdt}:1M"])
        let ranges = (0..<2).map { rig.batch.seriesRange(ofHash: $0) }
        #expect(ranges == [0..<2, 2..<3])
        let schema = KeySchema(prefix: "p:")
        #expect(schema.historyKey(series[2]) == "p:candles:{um:btcusdt}:1M")
    }

    @Test func sources() {
        var rig = BuilderRig()
        rig.follow(btc, 0)
        var built: [CandleRecord] = []
        for (index, source) in [CandleSource.live, .backfill, .built].enumerated() {
            var candle = CandleRecord.sample(Int64(index + 2), closed: true)
            candle.source = source
            (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (-1, -1, 0)
            built.append(candle)
            rig.accept(candle)
        }
        let commands = rig.build() ?? []
        for (index, candle) in built.enumerated() { #expect(Array(commands[index][6...]) == RESPText.fields(candle)) }
        #expect(commands.last?[2] == update(btc, updates: 3, built))
    }

    @Test(arguments: [nil, "abc"]) func scriptForWhatCannotBeAppended(sha: String?) {
        var rig = BuilderRig(history: 9)
        rig.follow(btc, 0)
        let candles = (2..<5).map { CandleRecord.sample($0, closed: true) }
        rig.builder.begin()
        rig.batch.clear()
        rig.builder.writeMerge(.candles(candles.map { LateCandle($0) }), rig.table, sha: sha, to: &rig.batch)
        let commands = RESPText.commands(rig.bytes)
        let rows = candles.flatMap { candle in
            ["\(candle.openTimeMs)-0"] + CandleField.allCases.map { $0.text(of: candle) }
        }
        let head = sha.map { ["EVALSHA", $0] } ?? ["EVAL", MergeScript.source]
        #expect(commands?.first == head + ["2", "candles:{btcusdt}:1m", "changes:{btcusdt}:1m", "9", "1000"] + rows)
        #expect(commands?.last?[2] == update(btc, updates: 3, candles))
        #expect(commands?.count == rig.batch.commandCount)
    }

    @Test("A bar that another member has written stays: of what was taken over, and of what is late when the series is given away")
    func scriptForWhatOthersWrite() {
        var rig = BuilderRig(history: 9)
        rig.follow(btc, 0)
        let candles = (2..<4).map { CandleRecord.sample($0, closed: true) }
        let whole = RESPText.merge(candles, btc, KeySchema(prefix: ""), history: 9)
        for isTakeOver in [true, false] {
            rig.builder.begin()
            rig.batch.clear()
            if isTakeOver {
                rig.builder.writeTakeOver(candles, btc, sha: nil, to: &rig.batch)
            } else {
                rig.table.disown([SeriesHandle(id: 0, generation: 1)])
                rig.builder.writeMerge(.candles(candles.map { LateCandle($0) }), rig.table, sha: nil, to: &rig.batch)
            }
            let commands = RESPText.commands(rig.bytes)
            #expect(commands?.first == whole + ["NX"])
            #expect(commands?.count == rig.batch.commandCount)
        }
    }

    /// The reserve per candle must hold for the longest of everything; the writer behind it does not check.
    @Test func longestCandlesFitTheReserve() {
        let size = 64
        for isMerged in [false, true] {
            let prefix = String(repeating: "p", count: 64)
            var rig = BuilderRig(batchSize: size, prefix: prefix, market: .um, history: 10_000_000)
            let long = DecimalText(String(repeating: "9", count: 31))!
            var longest = 0
            for id in 0..<UInt32(size) {
                let name = "s\(id)_" + String(repeating: "x", count: 32 - "s\(id)_".utf8.count)
                rig.follow(Series(market: .um, symbol: Symbol(name)!, interval: .m15), id)
                var candle = CandleRecord.sample(1, series: id, interval: .m15, closed: true)
                (candle.open, candle.high, candle.low, candle.close) = (long, long, long, long)
                (candle.volume, candle.quoteVolume, candle.takerBuyVolume, candle.takerBuyQuoteVolume) = (long, long, long, long)
                (candle.closeTimeMs, candle.eventTimeMs, candle.openTimeMs) = (
                    999_999_999_999_999_999, 999_999_999_999_999_999, 99_999_999_999_999
                )
                (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (
                    -999_999_999_999_999_999, -999_999_999_999_999_999, 999_999_999_999_999_999
                )
                candle.source = .backfill
                rig.accept(candle)
                longest = max(longest, RESPText.json(candle, Series(symbol: Symbol(name)!, interval: .m15)).utf8.count)
            }
            if isMerged {
                rig.builder.begin()
                rig.batch.clear()
                let run = (0..<Limits.mergeRunMax).map { _ in LateCandle(rig.table.closed[rig.table.closed.head]) }
                rig.builder.writeMerge(.candles(run), rig.table, sha: nil, to: &rig.batch)
                let bytes = rig.builder.out.count
                #expect(bytes <= Limits.mergeRunMax * Limits.candleRespBytesMax + Limits.mergeHeadBytesMax, "\(bytes) bytes of a run")
                continue
            }
            let commands = rig.build()
            let (count, closed) = (rig.builder.out.count, rig.batch.closedCount)
            #expect(commands != nil && closed == size)
            #expect(count <= size * Limits.candleRespBytesMax, "\(count / size) bytes per candle")
            #expect(longest + 32 <= CandleEncoder.jsonBytesMax, "\(longest)")
        }
    }

}
