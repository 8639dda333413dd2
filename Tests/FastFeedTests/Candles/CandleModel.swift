// The naive model of one series: plain collections, no flags, the rules as one would say them.

import FastFeed
import TestKit

struct CandleModel {
    let interval: Interval
    var newest: CandleRecord?
    /// The newest is forming and nobody has taken it.
    var isPending = false
    var nextClosedOpen: Int64 = 0
    /// The oldest bar that is accounted for.
    var oldest: Int64 = 0
    var missing: Set<Int64> = []
    /// Of the closed candles: the latest open time and the latest event.
    var last: (open: Int64, event: Int64) = (.min, .min)
    /// Closed candles that are appended, in the order they were taken.
    var closed: [CandleRecord] = []
    /// Those that open no later than one that was appended: the script puts them in their place.
    var late: [CandleRecord] = []
    var updates = 0

    struct Books: Equatable {
        var duplicates = 0
        var coalesced = 0
        var closedReceived = 0
        var gapsSeen = 0
        var missing = 0
        var filled = 0
    }

    private func opens(from: Int64, until: Int64) -> [Int64] {
        var list: [Int64] = []
        var open = from
        while open < until {
            list.append(open)
            open = interval.nextOpenTime(after: open)
        }
        return list
    }

    private mutating func expect(upTo open: Int64, _ books: inout Books) {
        let hole = opens(from: nextClosedOpen, until: open)
        if hole.isEmpty { return }
        books.gapsSeen += 1
        books.missing += hole.count
        missing.formUnion(hole)
        nextClosedOpen = open
    }

    /// An event from after all closed ones, about a bar that is closed.
    private func isCorrection(_ candle: CandleRecord) -> Bool {
        if let newest, newest.isClosed, newest.openTimeMs == candle.openTimeMs, newest.hasSameValues(as: candle) { return false }
        return candle.eventTimeMs > last.event
    }

    mutating func accept(_ candle: CandleRecord, _ books: inout Books) {
        let open = candle.openTimeMs
        if newest == nil { (nextClosedOpen, oldest) = (open, open) }
        if candle.isClosed {
            if open < oldest {
                guard opens(from: open, until: oldest).count <= Limits.lateClosedBarsMax else {
                    books.duplicates += 1
                    return
                }
                let hole = opens(from: interval.nextOpenTime(after: open), until: oldest)
                books.gapsSeen += hole.isEmpty ? 0 : 1
                books.missing += hole.count
                missing.formUnion(hole)
                oldest = open
            } else if open >= nextClosedOpen {
                expect(upTo: open, &books)
            } else if missing.remove(open) != nil {
                books.filled += 1
            } else if open <= last.open && !isCorrection(candle) {
                books.duplicates += 1
                return
            }
            last = (max(last.open, open), max(last.event, candle.eventTimeMs))
            nextClosedOpen = max(nextClosedOpen, interval.nextOpenTime(after: open))
            let isLate = open <= closed.last?.openTimeMs ?? .min
            for place in late.indices where late[place].openTimeMs == open { late[place] = candle }
            if isLate { late.append(candle) } else { closed.append(candle) }
            books.closedReceived += 1
            let isNewest = open >= newest?.openTimeMs ?? open
            if isNewest || !isLate { updates += 1 }
            guard isNewest else { return }
            if isPending { books.coalesced += 1 }
            (newest, isPending) = (candle, false)
        } else {
            if let newest {
                let isOlder = (open, candle.eventTimeMs, candle.tradeCount) <= (newest.openTimeMs, newest.eventTimeMs, newest.tradeCount)
                if isOlder || (newest.isClosed && open == newest.openTimeMs) {
                    books.duplicates += 1
                    return
                }
            }
            expect(upTo: open, &books)
            if isPending { books.coalesced += 1 }
            (newest, isPending) = (candle, true)
            updates += 1
        }
    }
}

/// A stream of records as a bad day makes them: bars in order, with repeats, late ones, holes and lost ends.
struct CandleStream {
    let id: UInt32
    let generation: UInt16
    let interval: Interval
    private var open: Int64
    private var event: Int64 = 0
    private var past: [CandleRecord] = []

    init(id: UInt32, generation: UInt16, interval: Interval, from: Int64) {
        (self.id, self.generation, self.interval) = (id, generation, interval)
        open = interval.openTime(containing: from)
        event = open
    }

    private mutating func candle(_ open: Int64, isClosed: Bool, _ random: inout SplitMix64) -> CandleRecord {
        event += Int64(random.below(3))
        var candle = CandleRecord()
        (candle.seriesID, candle.generation, candle.intervalRawValue) = (id, generation, interval.rawValue)
        (candle.openTimeMs, candle.closeTimeMs, candle.eventTimeMs) = (open, interval.closeTime(ofBarOpening: open), event)
        candle.tradeCount = Int64(random.below(4))
        candle.close = DecimalText("\(event).\(random.below(1_000))")!
        candle.isClosed = isClosed
        return candle
    }

    mutating func next(_ random: inout SplitMix64) -> CandleRecord {
        let record: CandleRecord
        switch random.below(100) {
        case 0..<55: record = candle(open, isClosed: false, &random)
        case 55..<75:
            record = candle(open, isClosed: true, &random)
            open = interval.nextOpenTime(after: open)
        case 75..<80:
            // The end of the bar was lost, perhaps more than one bar.
            for _ in 0..<1 + random.below(4) { open = interval.nextOpenTime(after: open) }
            record = candle(open, isClosed: random.chance(30), &random)
        case 80..<90 where !past.isEmpty: record = random.pick(past)
        default:
            // A bar of the recent past, closed or forming, whether it was seen or not.
            var back = open
            for _ in 0..<random.below(6) { back = interval.openTime(containing: back - 1) }
            record = candle(back, isClosed: random.chance(60), &random)
        }
        past.append(record)
        if past.count > 12 { past.removeFirst() }
        return record
    }
}
