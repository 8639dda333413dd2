// The weight budget at every edge, with a clock that the test turns.

import FastFeed
import TestKit
import Testing

struct WeightBudgetTests {
    private let minute: Int64 = 60_000
    /// The start of a minute.
    private let t0: Int64 = 30_000_000 * 60_000

    private func answered(_ budget: inout WeightBudget, _ weight: Int, used: Int?, at ms: Int64) {
        budget.onAnswer(weight: weight, used: used, sentMs: ms, nowMs: ms)
    }

    @Test func shareOfAMinute() {
        var budget = WeightBudget(limit: 100, percent: 50)
        for _ in 0..<25 {
            #expect(budget.take(2, nowMs: t0) == .granted)
            answered(&budget, 2, used: nil, at: t0)
        }
        #expect(budget.take(1, nowMs: t0 + 59_999) == .wait(untilMs: t0 + minute))
        #expect(budget.take(1, nowMs: t0 + minute) == .granted)
        #expect(budget.spent == 1 && budget.minuteEndMs == t0 + 2 * minute)
        #expect(budget.take(51, nowMs: t0) == .never)
    }

    @Test func whatGivesWayLeavesHalf() {
        var budget = WeightBudget(limit: 100, percent: 50)
        #expect(budget.take(20, givesWay: true, nowMs: t0) == .granted)
        #expect(budget.take(6, givesWay: true, nowMs: t0) == .wait(untilMs: t0 + minute) && budget.take(6, nowMs: t0) == .granted)
        #expect(budget.take(26, givesWay: true, nowMs: t0) == .never)
    }

    /// Whatever happens, no minute of ours has more than the share, and no sliding minute more than twice that.
    @Test(arguments: seeds) func neverAboveTheShare(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var budget = WeightBudget(limit: 1_000, percent: 50)
        var now = t0
        var grants: [(ms: Int64, weight: Int)] = []
        for _ in 0..<5_000 {
            now += Int64(random.below(200))
            let weight = random.pick([1, 2, 5, 10, 20])
            if budget.take(weight, nowMs: now) == .granted {
                grants.append((now, weight))
                answered(&budget, weight, used: random.chance(50) ? random.below(1_000) : nil, at: now)
            }
        }
        for (index, grant) in grants.enumerated() where index % 7 == 0 {
            let sliding = grants.filter { $0.ms >= grant.ms && $0.ms < grant.ms + minute }.reduce(0) { $0 + $1.weight }
            let fixed = grants.filter { $0.ms / minute == grant.ms / minute }.reduce(0) { $0 + $1.weight }
            #expect(fixed <= 500 && sliding <= 1_000, "seed \(seed)")
        }
        #expect(grants.count > 100)
    }

    @Test func othersOnTheAddressCount() {
        var budget = WeightBudget(limit: 1_000, percent: 50)
        #expect(budget.take(2, nowMs: t0) == .granted)
        answered(&budget, 2, used: 899, at: t0)
        #expect(budget.take(2, nowMs: t0) == .wait(untilMs: t0 + minute), "901 of 1000 is beyond nine tenths")
        #expect(budget.take(1, nowMs: t0) == .granted)
        #expect(budget.take(1, nowMs: t0) == .wait(untilMs: t0 + minute), "what is in flight counts, too")
        #expect(budget.take(2, nowMs: t0 + minute) == .granted, "a new minute")
    }

    @Test func lateHeadersAndOutOfOrder() {
        var budget = WeightBudget(limit: 1_000, percent: 50)
        #expect(budget.take(2, nowMs: t0 + 59_900) == .granted)
        budget.onAnswer(weight: 2, used: 990, sentMs: t0 + 59_900, nowMs: t0 + minute + 100)
        #expect(budget.reported == 0, "said of the minute before")
        #expect(budget.take(2, nowMs: t0 + minute + 100) == .granted)
        answered(&budget, 2, used: 500, at: t0 + minute + 100)
        answered(&budget, 0, used: 400, at: t0 + minute + 100)
        #expect(budget.reported == 500, "an older answer that comes later takes nothing back")
        #expect(budget.inFlight == 0)
    }

    @Test(
        arguments: [
            (35, nil, false, 35_000), (nil, nil, false, 60_000), (nil, nil, true, 120_000), (0, nil, false, 1_000), (1, nil, false, 1_000),
            (600, 900_000, true, 900_000), (nil, 86_400_000, true, 86_400_000), (3 * 86_400, nil, true, 3 * 86_400_000),
            (3 * 86_400 + 1, nil, true, 120_000), (120, -5_000, true, 120_000), (nil, -5_000, true, 120_000),
            (nil, Int64.max, true, 120_000),
        ] as [(Int?, Int64?, Bool, Int64)])
    func refusals(_ seconds: Int?, _ banMs: Int64?, _ isBan: Bool, _ pauseMs: Int64) {
        var budget = WeightBudget(limit: 6_000, percent: 50)
        budget.onRefusal(isBan: isBan, retryAfterSeconds: seconds, banMs: banMs, sentMs: t0, nowMs: t0)
        #expect(budget.take(1, nowMs: t0 + pauseMs - 1) == .wait(untilMs: t0 + pauseMs))
        #expect(budget.take(1, nowMs: t0 + pauseMs) == .granted)
    }

    @Test func repeatedRefusalsGrow() {
        var budget = WeightBudget(limit: 6_000, percent: 50)
        var now = t0
        var pauses: [Int64] = []
        for _ in 0..<9 {
            budget.onRefusal(isBan: false, retryAfterSeconds: 0, banMs: nil, sentMs: now, nowMs: now)
            // Those that were on the wire at the same time say nothing new.
            budget.onRefusal(isBan: false, retryAfterSeconds: 0, banMs: nil, sentMs: now - 1, nowMs: now)
            pauses.append(budget.closedUntilMs - now)
            now = budget.closedUntilMs
        }
        #expect(pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000])
        budget.onServed()
        budget.onRefusal(isBan: false, retryAfterSeconds: 0, banMs: nil, sentMs: now, nowMs: now)
        #expect(budget.closedUntilMs - now == 1_000)
        budget.onRefusal(isBan: false, retryAfterSeconds: 3, banMs: nil, sentMs: now, nowMs: now)
        budget.onRefusal(isBan: false, retryAfterSeconds: 2, banMs: nil, sentMs: now, nowMs: now)
        #expect(budget.closedUntilMs - now == 3_000, "never shortened")
    }

    @Test("However many share an address, the dearest request fits a share; no share is more than all of it")
    func sharers() {
        var budget = WeightBudget(limit: 1_000, percent: 50)
        (budget.sharerCount, budget.shareMin) = (4, 80)
        #expect(budget.share == 125)
        budget.sharerCount = 64
        #expect(budget.share == 80 && budget.take(80, nowMs: 0) == .granted)
        budget.shareMin = 2_000
        #expect(budget.share == 500)
    }

    @Test func publishedLimits() {
        var budget = WeightBudget(limit: 6_000, percent: 50)
        budget.onPublished(limit: 1_200)
        #expect(budget.share == 600)
        for nonsense in [0, -1, 99, 100_001, .max] { budget.onPublished(limit: nonsense) }
        #expect(budget.limit == 1_200)
    }
}
