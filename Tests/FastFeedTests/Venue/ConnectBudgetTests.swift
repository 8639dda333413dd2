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
            budget.end(.opened, madeNs: nowNs, nowNs: nowNs)
        }
        let wait = budget.take(nowNs: 30)
        #expect(wait?.isSpent == true && wait!.untilNs >= 10 + ConnectBudgetTests.window)
        #expect(budget.take(nowNs: 9 + ConnectBudgetTests.window)?.isSpent == true)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window) == nil)
        // What never left this machine is not counted.
        budget.end(.failed(.here), madeNs: 10 + ConnectBudgetTests.window, nowNs: 10 + ConnectBudgetTests.window)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window) == nil)
        #expect(budget.take(nowNs: 10 + ConnectBudgetTests.window)?.isSpent == true, "refused attempts are not counted, granted ones are")
    }

    @Test func oneConnectionAtATimeIsReplacedForItsAge() {
        let budget = ConnectBudget(limit: 8, seed: 1)
        let firstNs = ConnectBudgetTests.window
        #expect(budget.beginRoll(nowNs: firstNs) == nil)
        #expect(budget.beginRoll(nowNs: firstNs + 1)! > firstNs + 1)
        budget.endRoll()
        #expect(budget.beginRoll(nowNs: firstNs + 2) == nil)
        budget.endRoll()
        // Half of the attempts are for connections that are lost.
        for _ in 0..<4 {
            #expect(budget.take(nowNs: firstNs + 3) == nil)
            budget.end(.opened, madeNs: firstNs + 3, nowNs: firstNs + 3)
        }
        #expect(budget.beginRoll(nowNs: firstNs + 4) != nil && budget.take(nowNs: firstNs + 4) == nil)
        #expect(budget.beginRoll(nowNs: firstNs + 4 + ConnectBudgetTests.window) == nil)
    }

    /// A process that crashes and is started again, and again.
    @Test func theLedgerOutlivesTheProcess() throws {
        var ledger: [UInt64] = []
        var nowNs = ConnectBudgetTests.window
        for _ in 0..<12 {
            let budget = ConnectBudget(seed: nowNs)
            budget.setKeeper(try WakeUp())
            budget.awaitLedger(untilNs: nowNs + ConnectBudgetTests.second)
            #expect(budget.take(nowNs: nowNs) != nil, "not before the ledger is known")
            budget.learn(agesNs: ledger.map { nowNs - $0 }, nowNs: nowNs)
            for _ in 0..<50 {
                nowNs += 90_000_000
                guard budget.take(nowNs: nowNs) == nil else { continue }
                budget.end(.opened, madeNs: nowNs, nowNs: nowNs)
                ledger += budget.takeNews().madeNs
            }
        }
        #expect(ledger.count == Limits.connectAttemptsPer5MinMax)
        let late = ConnectBudget(seed: 1)
        late.awaitLedger(untilNs: nowNs + 5)
        #expect(late.take(nowNs: nowNs)?.untilNs == nowNs + 5)
        #expect(late.take(nowNs: nowNs + 5) == nil, "a ledger that does not come is not waited for")
    }

    /// What never left this machine is taken back, from the ledger, too; and what went out beside it stays.
    @Test func whatFailedHereIsNotInTheLedger() throws {
        let budget = ConnectBudget(limit: 2, seed: 1)
        budget.setKeeper(try WakeUp())
        for nowNs in [10, 20] as [UInt64] { #expect(budget.take(nowNs: nowNs) == nil) }
        #expect(budget.takeNews().madeNs == [10, 20])
        budget.end(.failed(.here), madeNs: 10, nowNs: 30)
        #expect(budget.takeNews() == ConnectBudget.LedgerNews(unmadeNs: [10]))
        #expect(budget.take(nowNs: ConnectBudgetTests.second) == nil)
        budget.end(.failed(.here), madeNs: ConnectBudgetTests.second, nowNs: ConnectBudgetTests.second)
        #expect(budget.takeNews().isEmpty, "nobody has been told of it")
        budget.end(.opened, madeNs: 20, nowNs: ConnectBudgetTests.second)
        #expect(budget.take(nowNs: 2 * ConnectBudgetTests.second) == nil)
        #expect(budget.take(nowNs: 3 * ConnectBudgetTests.second)?.isSpent == true, "one at 20 ns, one after 2 s")
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
            let outcome = random.pick([0, 1, 2, 3])
            budget.end([.opened, .failed(.noAnswer), .failed(.server), .abandoned][outcome], madeNs: nowNs, nowNs: nowNs)
            if outcome == 0 && random.chance(50) { budget.close() }
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

        init(connections: Int, outageSeconds: UInt64, attemptMs: UInt64, reach: WebSocketConnection.Reach, seed: UInt64) {
            let budget = ConnectBudget(seed: seed)
            let stepNs: UInt64 = 5_000_000
            let returnNs = outageSeconds * ConnectBudgetTests.second
            struct Connection {
                var backoff: Backoff
                var retryNs: UInt64
                var endNs: UInt64?
                var attempts = 0
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
                        budget.end(list[index].isLive ? .opened : .failed(reach), madeNs: endNs - attemptMs * 1_000_000, nowNs: nowNs)
                        list[index].attempts += 1
                        let pauseNs = min(list[index].backoff.nextDelayNs(), budget.longestPauseNs)
                        list[index].retryNs = nowNs + pauseNs
                    } else if nowNs >= list[index].retryNs {
                        if let wait = budget.take(nowNs: nowNs, attempts: list[index].attempts) {
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

    /// Where some fail for reasons of their own, the others get through; and while one is open, each has its own pauses.
    @Test func theGoodOneIsNotHeldUp() {
        let budget = ConnectBudget(seed: 3)
        var bad = (0..<30).map { _ in (retryNs: UInt64(0), attempts: 0) }
        var nowNs: UInt64 = 0
        var good: UInt64?
        while good == nil, nowNs < 20 * ConnectBudgetTests.second {
            nowNs += 5_000_000
            for index in bad.indices where nowNs >= bad[index].retryNs {
                if let wait = budget.take(nowNs: nowNs, attempts: bad[index].attempts) {
                    bad[index].retryNs = wait.untilNs
                } else {
                    budget.end(.failed(.noAnswer), madeNs: nowNs, nowNs: nowNs)
                    bad[index] = (nowNs + budget.longestPauseNs, bad[index].attempts + 1)
                }
            }
            // It comes late, behind all the others.
            if nowNs > 5 * ConnectBudgetTests.second, budget.take(nowNs: nowNs) == nil {
                budget.end(.opened, madeNs: nowNs, nowNs: nowNs)
                good = nowNs
            }
        }
        #expect(good != nil && good! < 10 * ConnectBudgetTests.second)
        #expect(budget.longestPauseNs == .max)
        let after = (0..<10).count { _ in
            nowNs += ConnectBudgetTests.second
            guard budget.take(nowNs: nowNs, attempts: 9) == nil else { return false }
            budget.end(.failed(.noAnswer), madeNs: nowNs, nowNs: nowNs)
            return true
        }
        #expect(after == 10, "one is open: the exchange answers")
    }

    @Test(arguments: [1, 20, 50], [1, 10, 60, 600] as [UInt64])
    func soonBackAfterAnOutage(connections: Int, outageSeconds: UInt64) {
        for (seed, attemptMs) in zip(1...6 as ClosedRange<UInt64>, [5, 5, 200, 200, 900, 900] as [UInt64]) {
            let storm = Storm(
                connections: connections, outageSeconds: outageSeconds, attemptMs: attemptMs, reach: seed % 2 == 0 ? .server : .noAnswer,
                seed: seed)
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
