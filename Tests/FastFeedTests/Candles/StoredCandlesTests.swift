// What Redis has acknowledged a moment ago, kept and handed out again.

import FastFeed
import Testing

private let second: UInt64 = 1_000_000_000

private func candle(_ id: UInt32, _ minute: Int64, generation: UInt16 = 1, close: String = "1", source: CandleSource = .live)
    -> CandleRecord
{
    var record = CandleRecord()
    (record.seriesID, record.generation, record.source) = (id, generation, source)
    (record.openTimeMs, record.closeTimeMs) = (minute * 60_000, minute * 60_000 + 59_999)
    record.close = DecimalText(close)!
    return record
}

struct StoredCandlesTests {
    /// Runs as `id:minute,minute`.
    private func words(_ stored: inout StoredCandles, at seconds: UInt64, most: Int = 100) -> [String] {
        stored.runs(nowNs: seconds * second, most: most).map { run in
            "\(run.series.id):" + run.candles.map { "\($0.openTimeMs / 60_000)" }.joined(separator: ",")
        }
    }

    @Test func theyAreKeptForAWhile() {
        var stored = StoredCandles(keepNs: 60 * second)
        // Many more than at first there is room for, over many rounds of the ring.
        for minute in 0..<5_000 { stored.put(candle(7, Int64(minute)), nowNs: UInt64(minute) * second / 10) }
        #expect(words(&stored, at: 500, most: 1_000) == ["7:" + (4_400..<5_000).map(String.init).joined(separator: ",")])
        #expect(words(&stored, at: 559, most: 4) == ["7:4990,4991,4992,4993", "7:4994,4995,4996,4997", "7:4998,4999"])
        #expect(words(&stored, at: 600).isEmpty && stored.count == 0)
        stored.put(candle(8, 9), nowNs: 600 * second)
        #expect(words(&stored, at: 600) == ["8:9"])
    }

    @Test func oneRunASeriesAscendingAndOfEachBarTheLastWord() {
        var stored = StoredCandles(keepNs: 60 * second)
        for one in [candle(2, 5), candle(1, 3), candle(2, 4), candle(1, 4), candle(2, 5, close: "9"), candle(1, 1, generation: 2)] {
            stored.put(one, nowNs: second)
        }
        #expect(words(&stored, at: 2) == ["2:4,5", "1:3,4", "1:1"], "another series may have had the id before")
        let runs = stored.runs(nowNs: 2 * second, most: 100)
        #expect(runs[0].candles[1].close == DecimalText("9")! && runs.map(\.series.generation) == [1, 1, 2])
        // A later word does not make an earlier one come back.
        stored.correct(candle(1, 3, close: "8"))
        #expect(stored.runs(nowNs: 2 * second, most: 100)[1].candles[0].close == DecimalText("8")!)
        stored.correct(candle(3, 3))
        #expect(stored.count == 6)
    }

    @Test func theHealersAndNothingAreNotKept() {
        var stored = StoredCandles(keepNs: 60 * second)
        var none = StoredCandles(keepNs: 0)
        stored.put(candle(1, 1, source: .backfill), nowNs: second)
        none.put(candle(1, 1), nowNs: second)
        #expect(stored.count == 0 && none.count == 0 && words(&none, at: 1).isEmpty)
    }

    @Test func whoseTheyAreAndWhen() {
        var stored = StoredCandles(keepNs: 60 * second)
        for one in [candle(1, 3), candle(2, 3), candle(1, 4), candle(1, 9, generation: 2)] { stored.put(one, nowNs: second) }
        stored.put(candle(3, 3), nowNs: second, isWatched: true)
        let (first, other) = (SeriesHandle(id: 1, generation: 1), SeriesHandle(id: 3, generation: 1))
        #expect(stored.openTimes(of: [first, other]) == [first: [180_000, 240_000], other: [180_000]])
        #expect(stored.openTimes(of: []).isEmpty)
        #expect(stored.runs(nowNs: second, most: 1).map(\.isWatched) == [false, false, false, false, true])
    }

    /// What is too much pushes out the oldest.
    @Test func theBound() {
        var stored = StoredCandles(keepNs: 60 * second)
        for minute in 0..<Limits.storedCandlesMax + 10 { stored.put(candle(1, Int64(minute)), nowNs: second) }
        #expect(stored.count == Limits.storedCandlesMax)
        #expect(stored.runs(nowNs: second, most: 1).first?.candles.first?.openTimeMs == 600_000)
    }
}
