// The queue of closed candles against an array.

import FastFeed
import TestKit
import Testing

struct ClosedQueueTests {
    private struct Entry {
        let number: Int64
        var state = ClosedQueue.EntryState.pending
        var waits: Bool { state == .pending }
    }

    private struct Model {
        var entries: [Entry] = []

        mutating func advance() { entries.removeFirst(entries.prefix { $0.state == .acknowledged }.count) }

        mutating func unsend(_ place: Int) {
            if entries[place].state == .sent { entries[place].state = .pending }
        }
    }

    /// Sends what waits up to a place, as the builder does.
    private func send(_ queue: inout ClosedQueue, _ model: inout Model, upTo place: Int) {
        for position in queue.sent..<queue.head + place {
            if queue.state(position) == .pending { queue.mark(position, .sent) }
        }
        queue.sent = max(queue.sent, queue.head + place)
        for index in 0..<place where model.entries[index].waits { model.entries[index].state = .sent }
    }

    /// After an outage the queue begins again at its first cells, and the others' memory goes back: what comes then is kept.
    @Test func whatAnOutageTouchedGoesBack() {
        var queue = ClosedQueue(capacity: 16_384)
        for round in 0..<3 {
            let first = queue.tail
            for number in 0..<10_000 {
                var candle = CandleRecord()
                candle.openTimeMs = Int64(round * 10_000 + number)
                queue.append(candle, parsedAfterNs: UInt32(number))
            }
            let positions = queue.head..<queue.tail
            #expect(positions.count == 10_000 && positions.lowerBound >= first)
            #expect(
                positions.enumerated().allSatisfy { number, position in
                    queue[position].openTimeMs == Int64(round * 10_000 + number)
                        && queue.parsedAfterNs(position) == UInt32(number) && queue.state(position) == .pending
                })
            for position in positions { queue.mark(position, .acknowledged) }
            queue.advance()
            #expect(queue.count == 0)
        }
    }

    @Test(arguments: seeds) func agreesWithAnArray(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        var queue = ClosedQueue(capacity: 64)
        var model = Model()
        var number: Int64 = 0
        for step in 0..<40_000 {
            switch random.below(10) {
            case 0..<4:
                if model.entries.count == 64 {
                    complaints.check(queue.dropOldest().openTimeMs == model.entries.removeFirst().number, "dropped at \(step)")
                    // What had been acknowledged behind it goes, too.
                    model.advance()
                }
                var candle = CandleRecord()
                candle.openTimeMs = number
                queue.append(candle)
                model.entries.append(Entry(number: number))
                number += 1
            case 4: send(&queue, &model, upTo: max(queue.sent - queue.head, random.below(model.entries.count + 1)))
            case 5..<8:
                let answered = model.entries.indices.filter { model.entries[$0].state == .sent }
                guard !answered.isEmpty else { break }
                let place = random.pick(answered)
                if random.chance(20) {
                    queue.unsend(queue.head + place)
                    model.unsend(place)
                } else {
                    queue.mark(queue.head + place, .acknowledged)
                    model.entries[place].state = .acknowledged
                }
            case 8:
                queue.advance()
                model.advance()
            default:
                if random.chance(10) {
                    queue.rewind()
                    for place in model.entries.indices { model.unsend(place) }
                } else if random.chance(10) {
                    // Everything is answered: the queue runs empty and may begin again at the front.
                    send(&queue, &model, upTo: model.entries.count)
                    for place in model.entries.indices { queue.mark(queue.head + place, .acknowledged) }
                    queue.advance()
                    model.entries = []
                }
                queue.mark(queue.head - 1, .acknowledged)  // late answers for what has left
                queue.unsend(queue.head - 1)
            }
            complaints.check(queue.count == model.entries.count && queue.isFull == (model.entries.count == 64), "count at \(step)")
            complaints.check(
                queue.sent >= queue.head && queue.sent <= queue.tail && queue.unsentCount == queue.tail - queue.sent, "cursors at \(step)")
            let firstWaiting = model.entries.firstIndex(where: \.waits) ?? model.entries.count
            complaints.check(queue.sent <= queue.head + firstWaiting, "entry \(firstWaiting) waits and would never be sent, at \(step)")
            guard step % 16 == 0 else { continue }
            let wrong = queue.checkInvariants()
            complaints.check(wrong == nil, "at \(step): \(wrong ?? "")")
            for (place, entry) in model.entries.enumerated() {
                let position = queue.head + place
                complaints.check(
                    queue[position].openTimeMs == entry.number && queue.state(position) == entry.state,
                    "entry \(place) at \(step)")
                complaints.check(queue.lent(offset: queue.offset(position)).openTimeMs == entry.number, "offset of \(place)")
            }
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
        #expect(number > 10_000)
    }

    /// A batch that is still in flight may name a position twice acknowledged: its late answer must not settle a candle
    /// that came afterwards, though the queue has run empty and begun again in between.
    @Test(arguments: [256, 2_048]) func lateAnswerDoesNotSettleANewerCandle(capacity: Int) {
        for lives in [1_025, 1_280, 2_047, 2_048, 2_049, 5_000] {
            var queue = ClosedQueue(capacity: capacity)
            let candle = CandleRecord()
            // One candle stays behind until the next has come, so that the queue never runs empty and positions grow.
            queue.append(candle)
            for _ in 0..<lives {
                queue.append(candle)
                queue.mark(queue.head, .acknowledged)
                queue.advance()
            }
            // The last one was sent in two batches; the answer of the first empties the queue.
            let position = queue.head
            queue.mark(position, .acknowledged)
            queue.advance()
            // The next candles come, and then the second batch is answered.
            for _ in 0..<capacity { queue.append(candle) }
            queue.mark(position, .acknowledged)
            let pending = (0..<queue.count).count { queue.state(queue.head + $0) == .pending }
            #expect(pending == capacity, "after \(lives) candles")
        }
    }

    @Test func gapBoardIsBounded() {
        let board = GapBoard()
        let series = Series(symbol: Symbol("btcusdt")!, interval: .month1)
        let january = Interval.month1.openTime(containing: 1_700_000_000_000)
        let march = Interval.month1.nextOpenTime(after: Interval.month1.nextOpenTime(after: january))
        board.add(Gap(series: series, fromMs: january, untilMs: march, cause: .missed))
        #expect(board.fill(series, openTimeMs: march) == nil)
        #expect(board.fill(Series(symbol: Symbol("ethusdt")!, interval: .month1), openTimeMs: january) == nil)
        #expect(board.fill(series, openTimeMs: january)?.cause == .missed && board.fill(series, openTimeMs: january) == nil)
        #expect(board.open == [Gap(series: series, fromMs: Interval.month1.nextOpenTime(after: january), untilMs: march, cause: .missed)])
        for place in 0..<Int64(Limits.gapCountMax + 5) {
            board.add(Gap(series: series, fromMs: -2 * place - 2, untilMs: -2 * place - 1, cause: .overflow))
        }
        #expect(board.open.count == Limits.gapCountMax && board.forgottenCount == 6)
        let news = board.takeNews()
        #expect(news.gaps.count == 16 && news.more == Limits.gapCountMax + 6 - 16)
        let rest = board.takeNews()
        #expect(rest.gaps.isEmpty && rest.more == 0)
    }
}
