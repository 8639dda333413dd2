// Attempts to connect, with a clock of the test's own: never too many, and soon back after an outage.

import FastFeed
import TestKit
import Testing

struct ConnectBudgetTests {
    private static let second: UInt64 = 1_000_000_000
    private static let window = 300 * second

    @Test func theWindow() {
        let budget = ConnectBudget(limit: 3, seed: 1)
        for nowNs in [10, 20, 20] as [UInt64] {
            #expect(budget.take(nowNs: nowNs) == nil)
            budget.end(.opened, nowNs: nowNs)
        }
        let wait = budget.take(nowNs: 30)
        #expect(wait?.isSpent == true && wait!.untilNs >= 10 + ConnectBudgetTests.window)
        #expect(budget.take(nowNs: 9 + ConnectBudgetTests.window)?.isSpent == true)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window) == nil)
        // What never left this machine is not counted.
        budget.end(.failedHere, nowNs: 10 + ConnectBudgetTests.window)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window) == nil)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window)?.isSpent == true, "refused attempts are not counted, granted ones are")
    }

    @Test(arguments: seeds) func neverMoreInAnyWindow(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let budget = ConnectBudget(seed: seed)
        var granted: [UInt64] = []
        var nowNs: UInt64 = 0
        for _ in 0..<3_000 {
            nowNs += UInt64(random.below(1_000_000_000))
            guard budget.take(nowNs: nowNs) == nil else { continue }
            granted.append(nowNs)
            budget.end(random.pick([.opened, .failed, .abandoned]), nowNs: nowNs)
        }
        for (index, at) in granted.enumerated() where index >= Limits.connectAttemptsPer5MinMax {
            #expect(at - granted[index - Limits.connectAttemptsPer5MinMax] >= ConnectBudgetTests.window, "seed \(seed)")
        }
        #expect(granted.count > Limits.connectAttemptsPer5MinMax)
    }

    /// Connections that try as readers do, an exchange that is away for a time, and an attempt that takes so long.
    private struct Storm {
        var attemptsNs: [UInt64] = []
        /// After the exchange's return.
        var allLiveNs: UInt64 = 0

        init(connections: Int, outageSeconds: UInt64, attemptMs: UInt64, seed: UInt64) {
            let budget = ConnectBudget(seed: seed)
            let stepNs: UInt64 = 5_000_000
            let returnNs = outageSeconds * ConnectBudgetTests.second
            struct Connection {
                var backoff: Backoff
                var retryNs: UInt64
                var endNs: UInt64?
                var isLive = false
            }
            var list = (0..<connections).map { number in
                var backoff = Backoff(Limits.venueBackoffMs, seed: seed &+ UInt64(number))
                let firstNs = backoff.nextDelayNs()
                return Connection(backoff: backoff, retryNs: firstNs)
            }
            var nowNs: UInt64 = 0
            while list.contains(where: { !$0.isLive }), nowNs < returnNs + 400 * ConnectBudgetTests.second {
                nowNs += stepNs
                for index in list.indices where !list[index].isLive {
                    if let endNs = list[index].endNs {
                        guard nowNs >= endNs else { continue }
                        list[index].endNs = nil
                        list[index].isLive = endNs - attemptMs * 1_000_000 >= returnNs
                        budget.end(list[index].isLive ? .opened : .failed, nowNs: nowNs)
                        let pauseNs = min(list[index].backoff.nextDelayNs(), Limits.venueProbePauseMs.upperBound * 1_000_000)
                        list[index].retryNs = nowNs + pauseNs
                    } else if nowNs >= list[index].retryNs {
                        if let wait = budget.take(nowNs: nowNs) {
                            list[index].retryNs = wait.untilNs
                        } else {
                            attemptsNs.append(nowNs)
                            list[index].endNs = nowNs + attemptMs * 1_000_000
                        }
                    }
                }
            }
            allLiveNs = nowNs - returnNs
        }
    }

    @Test(arguments: [1, 20, 50], [1, 10, 60, 600] as [UInt64])
    func soonBackAfterAnOutage(connections: Int, outageSeconds: UInt64) {
        for (seed, attemptMs) in zip(1...6 as ClosedRange<UInt64>, [5, 5, 200, 200, 900, 900] as [UInt64]) {
            let storm = Storm(connections: connections, outageSeconds: outageSeconds, attemptMs: attemptMs, seed: seed)
            let what =
                "seed \(seed), attempts of \(attemptMs) ms: \(storm.attemptsNs.count) attempts, live after \(storm.allLiveNs / 1_000_000) ms"
            #expect(storm.allLiveNs <= 10 * ConnectBudgetTests.second, "\(what)")
            for (index, at) in storm.attemptsNs.enumerated() {
                let later = storm.attemptsNs[index...]
                #expect(later.count { $0 - at < ConnectBudgetTests.window } <= Limits.connectAttemptsPer5MinMax, "\(what)")
                // Once the first have gone, no crowd.
                if index >= Limits.connectsUnderWayMax { #expect(later.count { $0 - at < 50_000_000 } <= 1, "\(what)") }
            }
        }
    }
}
