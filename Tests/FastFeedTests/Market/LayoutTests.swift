// The sizes and places that the C shim, the ring and the encoder take for granted.

import FastFeed
import TestKit
import Testing

struct LayoutTests {
    @Test func candleIsFiveCacheLines() {
        #expect(MemoryLayout<CandleRecord>.size == 320)
        #expect(MemoryLayout<CandleRecord>.stride == 320)
        #expect(MemoryLayout<CandleRecord>.alignment == 8)
    }

    /// There are tens of thousands of them, in tables and dictionaries.
    @Test func aSeriesIsThreeWords() { #expect(MemoryLayout<Series>.stride == 24) }

    @Test func candleFieldsStandWhereTheShimWritesThem() {
        #expect(MemoryLayout<CandleRecord>.offset(of: \.seriesID) == 0)
        #expect(MemoryLayout<CandleRecord>.offset(of: \.generation) == 4)
        #expect(MemoryLayout<CandleRecord>.offset(of: \.flags) == 6)
        #expect(MemoryLayout<CandleRecord>.offset(of: \.intervalRawValue) == 7)
        let words: [PartialKeyPath<CandleRecord>] = [
            \.openTimeMs, \.closeTimeMs, \.eventTimeMs, \.firstTradeID, \.lastTradeID, \.tradeCount, \.receivedNs,
        ]
        for (index, path) in words.enumerated() { #expect(MemoryLayout<CandleRecord>.offset(of: path) == 8 + 8 * index) }
        let decimals: [PartialKeyPath<CandleRecord>] = [
            \.open, \.high, \.low, \.close, \.volume, \.quoteVolume, \.takerBuyVolume, \.takerBuyQuoteVolume,
        ]
        for (index, path) in decimals.enumerated() { #expect(MemoryLayout<CandleRecord>.offset(of: path) == 64 + 32 * index) }
    }

    @Test func decimalIsTextAndLength() throws {
        #expect(MemoryLayout<DecimalText>.size == 32)
        #expect(MemoryLayout<DecimalText>.stride == 32)
        let bytes = withUnsafeBytes(of: try #require(DecimalText("-12.50"))) { Array($0) }
        #expect(bytes == Array("-12.50".utf8) + [UInt8](repeating: 0, count: 25) + [6])
    }

    /// Each field of a parsed message must be found under its own name: a shim that disagrees about the layout fails here.
    @Test func shimFillsTheRecord() throws {
        let bench = ParserBench()
        var text = KlineText()
        let values = [
            "o": "1.1", "h": "2.2", "l": "3.3", "c": "4.4", "v": "5.5", "q": "6.6", "V": "7.7", "Q": "8.8",
        ]
        for (key, value) in values { text = text.with(key, "\"\(value)\"") }
        text = text.with("t", "11").with("T", "12").with("f", "13").with("L", "14").with("n", "15").with("x", "true").with("i", "\"1M\"")
        text = text.withEvent("E", "16")
        let kline = try #require(bench.parse(text.text).kline)
        #expect(
            kline
                == ParsedKline(
                    symbol: "BTCUSDT", interval: Interval.month1.rawValue, isClosed: true, open: 11, close: 12, event: 16, first: 13,
                    last: 14,
                    count: 15, decimals: ["1.1", "2.2", "3.3", "4.4", "5.5", "6.6", "7.7", "8.8"]))
    }

    /// The two cursors of a ring are two of these side by side: 128 bytes apart, never on one line nor on a prefetched pair.
    @Test func cursorsAreApart() {
        #expect(MemoryLayout<PaddedAtomic>.size == 128)
        #expect(MemoryLayout<PaddedAtomic>.stride == 128)
    }

    @Test func seriesStateIsOneCacheLine() {
        #expect(MemoryLayout<SeriesState>.size == 64)
        #expect(MemoryLayout<SeriesState>.stride == 64)
    }

    @Test func flagsDoNotDisturbEachOther() {
        var candle = CandleRecord()
        for source in [CandleSource.live, .backfill, .built] {
            for isClosed in [true, false] {
                candle.isClosed = isClosed
                candle.source = source
                #expect(candle.isClosed == isClosed && candle.source == source)
                candle.isClosed = !isClosed
                #expect(candle.source == source)
            }
        }
        #expect([CandleSource.live, .backfill, .built].map(\.name) == ["live", "backfill", "built"])
    }

    @Test func sameValuesLooksAtEveryValueAndNothingElse() {
        var candle = CandleRecord()
        candle.open = DecimalText("1")!
        var same = candle
        (same.seriesID, same.generation, same.receivedNs, same.eventTimeMs) = (9, 9, 9, 9)
        same.isClosed = true
        same.source = .backfill
        #expect(candle.hasSameValues(as: same))
        let other = DecimalText("2")!
        let changes: [(inout CandleRecord) -> Void] = [
            { $0.openTimeMs = 1 }, { $0.closeTimeMs = 1 }, { $0.firstTradeID = 1 }, { $0.lastTradeID = 1 }, { $0.tradeCount = 1 },
            { $0.open = other }, { $0.high = other }, { $0.low = other }, { $0.close = other }, { $0.volume = other },
            { $0.quoteVolume = other }, { $0.takerBuyVolume = other }, { $0.takerBuyQuoteVolume = other },
        ]
        for (index, change) in changes.enumerated() {
            var changed = candle
            change(&changed)
            #expect(!candle.hasSameValues(as: changed), "change \(index)")
        }
    }
}
