// The tape: determinism, consecutive ids, and the same bars by every way of adding up.

import FastFeed
import Testing
import VenueSimulator

struct TapeTests {
    static let specs = SymbolSpec.list(seed: 7, market: .spot, count: 20, illiquidEvery: 4)
    static let listing = testStartMs - 180 * 60_000

    @Test func theFirstNamesAreReal() {
        let names = TapeTests.specs.prefix(3).map(\.symbol.name)
        #expect(names == ["btcusdt", "ethusdt", "bnbusdt"])
        #expect(TapeTests.specs[12].symbol.name == "sim0001usdt")
        #expect(TapeTests.specs[15].isIlliquid)
        #expect(Set(TapeTests.specs.map(\.symbol)).count == 20)
    }

    @Test(arguments: specs)
    func tradesAreConsecutiveOrderedAndPriced(_ spec: SymbolSpec) {
        let tape = Tape(spec: spec, listingMs: TapeTests.listing)
        var cursor = TapeCursor(tape, fromMs: 0)
        var before = cursor.next()
        #expect(before.timeMs >= tape.listingMs)
        for _ in 0..<5_000 {
            let trade = cursor.next()
            #expect(trade.id == before.id + 1)
            #expect(trade.timeMs >= before.timeMs)
            #expect(trade.price > 0 && trade.price % spec.tickUnits == 0)
            #expect(abs(trade.price - spec.basePrice) < max(spec.basePrice / 20, 10))
            #expect(trade.quantity > 0)
            before = trade
        }
    }

    @Test(arguments: [specs[0], specs[11], specs[12], specs[15]])
    func enteringAnywhereGivesTheSameTrades(_ spec: SymbolSpec) {
        let tape = Tape(spec: spec, listingMs: TapeTests.listing)
        var walked = TapeCursor(tape, fromMs: 0)
        for _ in 0..<2_000 {
            let trade = walked.next()
            var entered = TapeCursor(tape, fromMs: trade.timeMs)
            var same = entered.next()
            while same.id < trade.id { same = entered.next() }
            #expect(same == trade)
        }
    }

    @Test func seedsDiffer() {
        let other = SymbolSpec.list(seed: 8, market: .spot, count: 1, illiquidEvery: 4)[0]
        let mine = Tape(spec: TapeTests.specs[0], listingMs: TapeTests.listing)
        let same = Tape(spec: TapeTests.specs[0], listingMs: TapeTests.listing)
        let theirs = Tape(spec: other, listingMs: TapeTests.listing)
        let range = (from: testStartMs - 60_000, until: testStartMs)
        #expect(mine.sum(fromMs: range.from, untilMs: range.until) == same.sum(fromMs: range.from, untilMs: range.until))
        #expect(mine.sum(fromMs: range.from, untilMs: range.until) != theirs.sum(fromMs: range.from, untilMs: range.until))
    }

    @Test func bothTakerSidesAndMovingPricesOccur() {
        let tape = Tape(spec: TapeTests.specs[0], listingMs: TapeTests.listing)
        let sum = tape.sum(fromMs: testStartMs - 3_600_000, untilMs: testStartMs)
        #expect(sum.count > 20_000)
        #expect(sum.takerBuyVolume > sum.volume / 3 && sum.takerBuyVolume < sum.volume * 2 / 3)
        #expect(sum.high - sum.low > TapeTests.specs[0].basePrice / 1_000)
    }

    @Test(arguments: [specs[0], specs[12], specs[15]], Interval.allCases)
    func everyIntervalAddsUpFromTheTrades(_ spec: SymbolSpec, _ interval: Interval) {
        let tape = Tape(spec: spec, listingMs: TapeTests.listing)
        var history = BarHistory(tape)
        let grid = BarGrid(interval, anchorMs: TapeTests.listing / 86_400_000 * 86_400_000)
        let bars = history.bars(on: grid, in: .init(fromMs: nil, throughMs: nil, limit: 40), nowMs: testStartMs)
        #expect(!bars.isEmpty)
        #expect(bars.last!.openTimeMs <= testStartMs && bars.last!.nextOpenMs > testStartMs)
        var previous: Bar?
        for bar in bars {
            let walked = tape.sum(fromMs: bar.openTimeMs, untilMs: min(bar.nextOpenMs, testStartMs))
            if walked.isEmpty {
                #expect(bar.sum == .flat(at: tape.lastPrice(beforeMs: bar.openTimeMs)))
                #expect(bar.sum.firstID == -1 && bar.sum.lastID == -1 && bar.sum.count == 0)
            } else {
                #expect(bar.sum == walked)
                #expect(bar.sum.low <= min(bar.sum.open, bar.sum.close))
                #expect(bar.sum.high >= max(bar.sum.open, bar.sum.close))
            }
            if let previous {
                #expect(bar.openTimeMs == previous.nextOpenMs)
                if !previous.sum.isEmpty && !bar.sum.isEmpty { #expect(bar.sum.firstID == previous.sum.lastID + 1) }
                if bar.sum.isEmpty { #expect(bar.sum.open == previous.sum.close) }
            }
            previous = bar
        }
    }

    @Test func illiquidSymbolsHaveEmptyMinutes() {
        var history = BarHistory(Tape(spec: TapeTests.specs[15], listingMs: TapeTests.listing))
        let bars = history.bars(on: BarGrid(.m1), in: .init(fromMs: nil, throughMs: nil, limit: 100), nowMs: testStartMs)
        #expect(bars.contains { $0.sum.isEmpty } && bars.contains { !$0.sum.isEmpty })
    }

    @Test func pagesByOpenTime() {
        var history = BarHistory(Tape(spec: TapeTests.specs[0], listingMs: TapeTests.listing))
        let grid = BarGrid(.m5)
        let open = testStartMs / 300_000 * 300_000 - 3_000_000
        func opens(_ from: Int64?, _ through: Int64?, _ limit: Int) -> [Int64] {
            history.bars(on: grid, in: .init(fromMs: from, throughMs: through, limit: limit), nowMs: testStartMs).map(\.openTimeMs)
        }
        #expect(opens(open, open, 10) == [open])
        #expect(opens(open + 1, open + 300_000, 10) == [open + 300_000])
        #expect(opens(open + 1, open + 2, 10) == [])
        #expect(opens(open, nil, 2) == [open, open + 300_000])
        #expect(opens(nil, open + 17, 2) == [open - 300_000, open])
        #expect(opens(nil, TapeTests.listing - 86_400_000, 5) == [])
        #expect(opens(0, nil, 1)[0] <= TapeTests.listing)
    }

    @Test func otherTimeZonesCutAtLocalMidnight() {
        let grid = BarGrid(.d1, offsetMs: 28_800_000)
        #expect(grid.openTime(containing: testStartMs) % 86_400_000 == 57_600_000)
        #expect(grid.nextOpen(after: grid.openTime(containing: testStartMs)) - grid.openTime(containing: testStartMs) == 86_400_000)
    }
}
