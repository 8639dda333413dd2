// Bars at random: any interval, any range, from the tape. One thread owns it (it keeps minute sums).
//
// The sums of whole minutes are kept once computed, so that long bars and repeated pages cost a merge
// per minute rather than a walk over every trade. A kept sum and a walk give the same numbers; the
// store is bounded per symbol, and what does not fit is walked.

import FastFeed

struct BarHistory {
    private static let minuteMs: Int64 = 60_000
    /// Per symbol: two weeks of minutes, about 2.5 MB.
    static let keptMinutesMax = 20_160

    let tape: Tape
    private var minutes: [TradeSum] = []
    private let firstMinute: Int64

    init(_ tape: Tape) {
        self.tape = tape
        firstMinute = tape.listingMs / BarHistory.minuteMs
    }

    /// Which bars are wanted; bounds are on open times, both inclusive.
    struct Range {
        var fromMs: Int64?
        var throughMs: Int64?
        var limit: Int
    }

    /// Bars ascending by open time. The last one is the current, unfinished bar when the range reaches
    /// `nowMs`. Without `fromMs` the newest `limit` bars are given, otherwise the oldest.
    mutating func bars(on grid: BarGrid, in range: Range, nowMs: Int64) -> [Bar] {
        guard range.limit > 0, nowMs >= tape.listingMs else { return [] }
        let oldest = grid.openTime(containing: tape.listingMs)
        let newest = grid.openTime(containing: min(nowMs, max(range.throughMs ?? nowMs, 0)))
        var first: Int64
        if let from = range.fromMs {
            let containing = grid.openTime(containing: max(from, oldest))
            first = containing < from ? grid.nextOpen(after: containing) : containing
        } else {
            first = newest
            var steps = 1
            while steps < range.limit && first > oldest {
                first = grid.previousOpen(before: first)
                steps += 1
            }
        }
        first = max(first, oldest)
        var result: [Bar] = []
        var open = first
        while open <= newest && result.count < range.limit {
            let next = grid.nextOpen(after: open)
            let sum = sum(fromMs: open, untilMs: min(next, nowMs))
            if sum.isEmpty {
                let price = result.last?.sum.close ?? tape.lastPrice(beforeMs: min(open, nowMs))
                result.append(Bar(openTimeMs: open, nextOpenMs: next, sum: .flat(at: price)))
            } else {
                result.append(Bar(openTimeMs: open, nextOpenMs: next, sum: sum))
            }
            open = next
        }
        return result
    }

    /// Everything traded in `[fromMs, untilMs)`.
    mutating func sum(fromMs: Int64, untilMs: Int64) -> TradeSum {
        let from = max(fromMs, tape.listingMs)
        let wholeFrom = (from + BarHistory.minuteMs - 1) / BarHistory.minuteMs
        let wholeUntil = untilMs / BarHistory.minuteMs
        guard wholeUntil > wholeFrom else { return tape.sum(fromMs: from, untilMs: untilMs) }
        var total = tape.sum(fromMs: from, untilMs: wholeFrom * BarHistory.minuteMs)
        let keptUntil = keep(untilMinute: wholeUntil)
        if keptUntil > wholeFrom {
            for minute in wholeFrom..<min(wholeUntil, keptUntil) { total.merge(minutes[Int(minute - firstMinute)]) }
        }
        let walked = max(wholeFrom, min(wholeUntil, keptUntil)) * BarHistory.minuteMs
        total.merge(tape.sum(fromMs: walked, untilMs: untilMs))
        return total
    }

    /// Computes sums up to a minute, as far as the bound allows; returns the first minute not kept.
    private mutating func keep(untilMinute: Int64) -> Int64 {
        let until = min(untilMinute, firstMinute + Int64(BarHistory.keptMinutesMax))
        let kept = firstMinute + Int64(minutes.count)
        guard until > kept else { return kept }
        var cursor = TapeCursor(tape, fromMs: kept * BarHistory.minuteMs)
        for minute in kept..<until {
            var sum = TradeSum()
            cursor.take(until: (minute + 1) * BarHistory.minuteMs, into: &sum)
            minutes.append(sum)
        }
        return until
    }
}
