// Is the service alive, ready, healthy? Judged from what is known, as lines that a person reads too. Pure.
//
// Redis or the exchange being away is never a reason to restart: a restart cannot help, and it loses what waits in memory.

package struct HealthFacts: Sendable {
    /// Threads that have not answered a wake-up, and for how many seconds.
    package var stalled: [(thread: String, seconds: Int)] = []
    /// For so long candles have waited, Redis was connected, and nothing was answered.
    package var unacknowledgedSeconds = 0
    /// The registry is read, and all was judged once.
    package var isStarted = true
    package var isStopping = false
    package var isDataLinkUp = true
    package var isControlLinkUp = true
    /// Of the primaries of a cluster that are written to; 0 without one.
    package var (lanesUp, lanes) = (0, 0)
    package var redisReason: String?
    package var (connectionsLive, connectionsWanted) = (0, 0)
    package var exchangeReason: String?
    package var staleFluxes: [(id: String, seconds: Int)] = []
    /// Some of them by name, and how many there are.
    package var staleSeries: (names: [String], count: Int) = ([], 0)
    package var oldestPendingSeconds = 0
    /// Closed candles given up in the last ten minutes.
    package var lostLately: UInt64 = 0
    /// What is risky about Redis itself.
    package var redisRemarks: [String] = []

    package init() {}
}

package struct HealthReport: Sendable {
    package enum Scope: Int, Sendable { case live, ready, healthy }
    package enum Verdict: String, Sendable { case ok = "+", bad = "-", remark = "!" }

    package struct Check: Sendable {
        package let name: String
        package let scope: Scope
        package let verdict: Verdict
        package let sentence: String
    }

    package let checks: [Check]

    package init(checks: [Check]) { self.checks = checks }

    /// What of the checks counts for a probe.
    package func checks(_ scope: Scope) -> [Check] { checks.filter { $0.scope.rawValue <= scope.rawValue } }

    package func isGood(_ scope: Scope) -> Bool { checks(scope).allSatisfy { $0.verdict != .bad } }

    package func lines(_ scope: Scope) -> [String] { checks(scope).map { "[\($0.verdict.rawValue)]\($0.name) \($0.sentence)" } }
}

/// For how long candles have waited for Redis's word, while Redis was there and said nothing at all. A Redis that refuses says something:
/// a restart would not make it take more, and would lose what waits.
package struct WedgeWatch: Sendable {
    private var replies: UInt64 = 0
    private var sinceNs: UInt64 = 0

    package init() {}

    package mutating func silentNs(_ counters: CounterSnapshot, isConnected: Bool, nowNs: UInt64) -> UInt64 {
        // What is held for a hole before it is not Redis's to answer.
        // Of what another member of the group writes, the newest state of each series is kept.
        let kept = counters[.closedHeld] &+ counters[.seriesWatched]
        // Not of each of those anything has come: closed candles are known by themselves.
        let closed = Int64(clamping: counters[.closedPending]) - Int64(clamping: counters[.closedHeld])
        let waiting = max(counters.unaccounted &- Int64(clamping: kept), closed)
        let isWaiting = isConnected && waiting > 0 && counters[.repliesReceived] == replies
        if !isWaiting { (replies, sinceNs) = (counters[.repliesReceived], nowNs) }
        return nowNs &- sinceNs
    }
}

package enum HealthJudge {
    package static let (stallSeconds, wedgeSeconds, pendingSeconds) = (10, 60, 30)

    package static func judge(_ facts: HealthFacts) -> HealthReport {
        var checks: [HealthReport.Check] = []
        func add(_ name: String, _ scope: HealthReport.Scope, _ complaint: String?) {
            checks.append(.init(name: name, scope: scope, verdict: complaint == nil ? .ok : .bad, sentence: complaint ?? "ok"))
        }
        let stalled = facts.stalled.filter { $0.seconds >= stallSeconds }
        add(
            "threads", .live,
            stalled.isEmpty ? nil : stalled.map { "\($0.thread) has not answered for \($0.seconds) s" }.joined(separator: ", "))
        add(
            "progress", .live,
            facts.unacknowledgedSeconds < wedgeSeconds
                ? nil : "candles wait and Redis is connected, but Redis has not answered for \(facts.unacknowledgedSeconds) s")
        add("started", .ready, facts.isStopping ? "stopping" : facts.isStarted ? nil : "the registry of fluxes is not read yet")
        let reason = facts.redisReason.map { ": \($0)" } ?? ""
        add(
            "redis", .ready,
            facts.isDataLinkUp
                ? facts.isControlLinkUp ? nil : "no connection for commands\(reason)"
                : facts.lanesUp > 0 ? "\(facts.lanesUp) of \(facts.lanes) connections\(reason)" : "no connection\(reason)")
        let why = facts.exchangeReason.map { ": \($0)" } ?? ""
        add(
            "exchange", .ready,
            facts.connectionsLive >= facts.connectionsWanted
                ? nil : "\(facts.connectionsLive) of \(facts.connectionsWanted) connections\(why)")
        let named = facts.staleFluxes.prefix(5).map { "\($0.id) silent for \($0.seconds) s" }
        let more = facts.staleFluxes.count > 5 ? " and \(facts.staleFluxes.count - 5) more" : ""
        add("fluxes", .healthy, named.isEmpty ? nil : "stale: " + named.joined(separator: ", ") + more)
        let series = facts.staleSeries
        let others = series.count > series.names.count ? " and \(series.count - series.names.count) more" : ""
        add("series", .healthy, series.count == 0 ? nil : "silent: " + series.names.joined(separator: " ") + others)
        add(
            "candles", .healthy,
            facts.lostLately > 0
                ? "\(facts.lostLately) closed candles lost in the last ten minutes"
                : facts.oldestPendingSeconds >= pendingSeconds ? "a closed candle has waited for \(facts.oldestPendingSeconds) s" : nil)
        for remark in facts.redisRemarks {
            checks.append(.init(name: "redis-store", scope: .healthy, verdict: .remark, sentence: remark))
        }
        return HealthReport(checks: checks)
    }
}
