// Bars at random: any interval, any range, from the tape. One thread owns it (it keeps minute sums).
//
// The sums of whole minutes are kept once computed, so that long bars and repeated pages cost a merge
// per minute rather than a walk over every trade. A kept sum and a walk give the same numbers; the
// store is bounded per symbol, and what does not fit is walked. Hours of the last day are kept apart: for a day's sum of every symbol.

import FastFeed

package struct BarHistory {
    private static let (minuteMs, hourMs): (Int64, Int64) = (60_000, 3_600_000)
    /// Per symbol: two weeks of minutes, about 2.5 MB.
    package static let keptMinutesMax = 20_160

    package let tape: Tape
    private var minutes: [TradeSum] = []
    private let firstMinute: Int64
    /// By number; those that a sum has asked for last.
    private var hours: [Int64: TradeSum] = [:]
    /// When the symbol did not trade. Kept sums are the tape's and know nothing of it.
    var pauses = TradingPauses()

    package init(_ tape: Tape) {
        self.tape = tape
        firstMinute = tape.listingMs / BarHistory.minuteMs
    }

    /// First instant with trades; `.max` before the listing.
    var listingMs: Int64 { pauses.listingMs(on: tape) }

    /// Midnight of the listing day, from which three-day bars are cut.
    var listingDayMs: Int64 { (listingMs == .max ? tape.listingMs : listingMs) / 86_400_000 * 86_400_000 }

    /// Which bars are wanted; bounds are on open times, both inclusive.
    package struct Range {
        package var fromMs: Int64?
        package var throughMs: Int64?
        package var limit: Int

        package init(fromMs: Int64?, throughMs: Int64?, limit: Int) {
            (self.fromMs, self.throughMs, self.limit) = (fromMs, throughMs, limit)
        }
    }

    /// Bars ascending by open time. The last one is the current, unfinished bar when the range reaches
    /// `nowMs`. Without `fromMs` the newest `limit` bars are given, otherwise the oldest.
    package mutating func bars(on grid: BarGrid, in range: Range, nowMs: Int64) -> [Bar] {
        guard range.limit > 0, nowMs >= listingMs else { return [] }
        let oldest = grid.openTime(containing: listingMs)
        let newest = grid.openTime(containing: min(nowMs, max(range.throughMs ?? nowMs, 0)))
        var first: Int64
        if let from = range.fromMs {
            let containing = grid.openTime(containing: max(from, oldest))
            first = containing < from ? grid.nextOpen(after: containing) : containing
        } else {
            first = newest
            var found = pauses.hasBar(fromMs: first, untilMs: grid.nextOpen(after: first)) ? 1 : 0
            while found < range.limit && first > oldest {
                let next = first
                first = grid.previousOpen(before: first)
                if pauses.hasBar(fromMs: first, untilMs: next) { found += 1 }
            }
        }
        first = max(first, oldest)
        var result: [Bar] = []
        var open = first
        while open <= newest && result.count < range.limit {
            let next = grid.nextOpen(after: open)
            guard pauses.hasBar(fromMs: open, untilMs: next) else {
                open = next
                continue
            }
            let sum = sum(fromMs: open, untilMs: min(next, nowMs))
            if sum.isEmpty {
                let price = result.last?.sum.close ?? lastPrice(beforeMs: min(open, nowMs))
                result.append(Bar(openTimeMs: open, nextOpenMs: next, sum: .flat(at: price)))
            } else {
                result.append(Bar(openTimeMs: open, nextOpenMs: next, sum: sum))
            }
            open = next
        }
        return result
    }

    /// Price of the last trade before an instant.
    func lastPrice(beforeMs instantMs: Int64) -> Int64 {
        var end = instantMs
        for pause in pauses.list.reversed() where pause.fromMs < end {
            if pause.untilMs < end, let price = tape.lastPrice(beforeMs: end, notBeforeMs: pause.untilMs) { return price }
            end = pause.fromMs
        }
        if end > tape.listingMs { return tape.lastPrice(beforeMs: end) }
        // The price of the first trade to come, nearly.
        return tape.rounded(PricePath.price(of: tape.spec, atMs: min(listingMs, max(instantMs, tape.listingMs))))
    }

    /// Everything traded in `[fromMs, untilMs)`.
    package mutating func sum(fromMs: Int64, untilMs: Int64) -> TradeSum {
        sum(fromMs: fromMs, untilMs: untilMs, byHours: false)
    }

    /// The same for a range of hours that is asked for again and again as it moves on: of the minutes nothing is kept.
    mutating func hourlySum(fromMs: Int64, untilMs: Int64) -> TradeSum {
        let firstHour = fromMs / BarHistory.hourMs
        hours = hours.filter { $0.key >= firstHour }
        return sum(fromMs: fromMs, untilMs: untilMs, byHours: true)
    }

    private mutating func sum(fromMs: Int64, untilMs: Int64, byHours: Bool) -> TradeSum {
        func part(_ from: Int64, _ until: Int64) -> TradeSum {
            byHours ? tapeHours(fromMs: from, untilMs: until) : tapeSum(fromMs: from, untilMs: until)
        }
        var total = TradeSum()
        var (at, withheld) = (max(fromMs, tape.listingMs), Int64(0))
        for pause in pauses.list where at < untilMs {
            if pause.fromMs > at {
                total.merge(part(at, min(untilMs, pause.fromMs)).withIDs(loweredBy: withheld))
            }
            (at, withheld) = (max(at, pause.untilMs), pause.removed)
        }
        guard at < untilMs else { return total }
        total.merge(part(at, untilMs).withIDs(loweredBy: withheld))
        return total
    }

    /// By whole hours, as if there were no pauses.
    private mutating func tapeHours(fromMs: Int64, untilMs: Int64) -> TradeSum {
        let from = max(fromMs, tape.listingMs)
        let (first, end) = ((from + BarHistory.hourMs - 1) / BarHistory.hourMs, untilMs / BarHistory.hourMs)
        guard end > first else { return tape.sum(fromMs: from, untilMs: untilMs) }
        var total = tape.sum(fromMs: from, untilMs: first * BarHistory.hourMs)
        for hour in first..<end {
            let sum = hours[hour] ?? tape.sum(fromMs: hour * BarHistory.hourMs, untilMs: (hour + 1) * BarHistory.hourMs)
            hours[hour] = sum
            total.merge(sum)
        }
        total.merge(tape.sum(fromMs: end * BarHistory.hourMs, untilMs: untilMs))
        return total
    }

    /// As if there were no pauses.
    private mutating func tapeSum(fromMs: Int64, untilMs: Int64) -> TradeSum {
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
