// What is alive, ready, healthy: a table of facts and what each probe says to them.

import FastFeed
import Testing

struct HealthJudgeTests {
    typealias Case = (what: String, change: @Sendable (inout HealthFacts) -> Void, live: Bool, ready: Bool, healthy: Bool, line: String)

    static let cases: [Case] = [
        ("nothing is wrong", { _ in }, true, true, true, "[+]threads ok"),
        ("a thread is slow", { $0.stalled = [("sink", 9)] }, true, true, true, "[+]threads ok"),
        (
            "a thread stands still", { $0.stalled = [("heal", 0), ("sink", 10)] }, false, false, false,
            "[-]threads sink has not answered for 10 s"
        ),
        ("nothing is acknowledged for a while", { $0.unacknowledgedSeconds = 59 }, true, true, true, "[+]progress ok"),
        ("nothing is acknowledged", { $0.unacknowledgedSeconds = 60 }, false, false, false, "has not answered for 60 s"),
        ("not started", { $0.isStarted = false }, true, false, false, "[-]started the registry"),
        ("stopping", { $0.isStopping = true }, true, false, false, "[-]started stopping"),
        (
            "Redis is away",
            {
                ($0.isDataLinkUp, $0.isControlLinkUp) = (false, false)
                $0.redisReason = "refused"
            }, true, false, false, "[-]redis no connection: refused"
        ),
        (
            "a primary of a cluster is away",
            {
                $0.isDataLinkUp = false
                ($0.lanesUp, $0.lanes) = (2, 3)
                $0.redisReason = "refused"
            }, true, false, false, "[-]redis 2 of 3 connections: refused"
        ),
        ("no commands", { $0.isControlLinkUp = false }, true, false, false, "[-]redis no connection for commands"),
        (
            "the exchange is away",
            {
                ($0.connectionsLive, $0.connectionsWanted) = (1, 3)
                $0.exchangeReason = "silent"
            }, true, false, false, "[-]exchange 1 of 3 connections: silent"
        ),
        ("a flux is stale", { $0.staleFluxes = [("1m_btcusdt", 83)] }, true, true, false, "[-]fluxes stale: 1m_btcusdt silent for 83 s"),
        (
            "many fluxes are stale", { $0.staleFluxes = (0..<7).map { ("f\($0)", 20) } }, true, true, false, "f4 silent for 20 s and 2 more"
        ),
        ("a series is silent", { $0.staleSeries = (["btcusdt@1m"], 3) }, true, true, false, "[-]series silent: btcusdt@1m and 2 more"),
        ("a candle waits", { $0.oldestPendingSeconds = 30 }, true, true, false, "[-]candles a closed candle has waited for 30 s"),
        ("candles are lost", { $0.lostLately = 2 }, true, true, false, "[-]candles 2 closed candles lost"),
        ("Redis is risky", { $0.redisRemarks = ["no log"] }, true, true, true, "[!]redis-store no log"),
    ]

    @Test func whatCountsAsStandingStill() {
        var watch = WedgeWatch()
        func silent(
            _ taken: UInt64, written: UInt64, rejected: UInt64 = 0, held: UInt64 = 0, watched: UInt64 = 0, pending: UInt64 = 0,
            replies: UInt64, connected: Bool = true, _ nowNs: UInt64
        )
            -> UInt64
        {
            let counters = CounterSnapshot { id in
                switch id {
                case .messagesReceived: taken
                case .closedHeld: held
                case .seriesWatched: watched
                case .closedPending: pending
                case .candlesWritten: written
                case .redisRejected: rejected
                case .repliesReceived: replies
                default: 0
                }
            }
            return watch.silentNs(counters, isConnected: connected, nowNs: nowNs)
        }
        #expect(silent(0, written: 0, replies: 0, 100) == 0)
        // All has come to an end: silence is peace.
        #expect(silent(5, written: 4, rejected: 1, replies: 9, 200) == 0 && silent(5, written: 4, rejected: 1, replies: 9, 300) == 0)
        // Something waits and nothing is said.
        #expect(silent(6, written: 5, replies: 9, 400) == 100 && silent(7, written: 5, replies: 9, 500) == 200)
        // What waits for a hole waits for the exchange.
        #expect(silent(7, written: 5, held: 2, replies: 9, 550) == 0)
        // Newest states that another member writes wait for nobody; a closed candle of ours does, though there may be many of those.
        #expect(silent(7, written: 5, watched: 2, replies: 9, 560) == 0)
        #expect(silent(7, written: 5, watched: 9, pending: 1, replies: 9, 570) == 10)
        // A refusal is an answer.
        #expect(silent(8, written: 5, replies: 10, 600) == 0)
        // Away is not wedged.
        #expect(silent(9, written: 5, replies: 10, 700) == 100 && silent(9, written: 5, replies: 10, connected: false, 800) == 0)
        #expect(silent(9, written: 5, replies: 10, 900) == 100)
    }

    @Test(arguments: cases.indices) func eachFact(_ index: Int) {
        let one = HealthJudgeTests.cases[index]
        var facts = HealthFacts()
        one.change(&facts)
        let report = HealthJudge.judge(facts)
        #expect((report.isGood(.live), report.isGood(.ready), report.isGood(.healthy)) == (one.live, one.ready, one.healthy), "\(one.what)")
        #expect(report.lines(.healthy).contains { $0.contains(one.line) }, "\(one.what): \(report.lines(.healthy))")
        // What is wrong is said by the probe that fails.
        for scope in [HealthReport.Scope.live, .ready, .healthy] {
            #expect(report.isGood(scope) == !report.lines(scope).contains { $0.hasPrefix("[-]") }, "\(one.what)")
        }
    }
}
