// All that the ops server shows, read at one instant from the engine's meters and boards. The ops thread's alone.

import FastFeed
import Glibc

struct OpsFacts {
    var nowNs: UInt64
    var nowMs: Int64
    var snapshot: EngineSnapshot
    var delays: (closed: HistogramSnapshot, exchange: HistogramSnapshot)
    var threads: [(name: String, busyNs: UInt64, stalledNs: UInt64)]
    var ringCounts: [Int]
    var oldestPendingNs: UInt64
    var service: ServiceOnBoard
    var fluxes: [FluxOnBoard]
    var series: SeriesTally
    var gaps: GapBoard.Tally
    var unlistedGaps: Int
    var rest: RestStatistics?
    var sentinels: (named: Int, answering: Int)
    var isReplicaRead: Bool
    var redis: RedisSight
    var health: HealthReport
}

/// How many series stand in which way, each counted once.
struct SeriesTally {
    private(set) var (live, waiting, stale, refused) = (0, 0, 0, 0)
    /// Some of the silent ones.
    private(set) var staleNames: [String] = []

    init() {}

    init(_ fluxes: [FluxOnBoard]) {
        var seen: Set<Series> = []
        for one in fluxes {
            for (symbol, standing) in one.series {
                // The market is the same for all.
                guard seen.insert(Series(market: .spot, symbol: symbol, interval: one.flux.interval)).inserted else { continue }
                switch SeriesTally.condition(standing) {
                case .live: live += 1
                case .waiting: waiting += 1
                case .refused: refused += 1
                case .stale:
                    stale += 1
                    if staleNames.count < 5 { staleNames.append("\(symbol)@\(one.flux.interval.token)") }
                }
            }
        }
    }

    enum Condition: String, CaseIterable { case live, waiting, stale, refused }

    static func condition(_ standing: FluxStanding) -> Condition {
        switch standing.state {
        case .live, .healing: .live
        case .starting: .waiting
        case .stale: .stale
        case .halted, .delisted, .stopped: .refused
        }
    }
}

/// Reads the facts, and remembers what only shows over time: threads that stand still, candles that nobody acknowledges, what was lost.
struct OpsWatch {
    private let engine: Engine
    /// The meter of the ops thread itself.
    var ops: ThreadMeter?
    private var seen: [String: (busyNs: UInt64, askedNs: UInt64)] = [:]
    private var tally: (judgedNs: UInt64, series: SeriesTally) = (.max, SeriesTally())
    private var wedge = WedgeWatch()
    /// Closed candles lost so far, a value each ten seconds of the last ten minutes.
    private var losses: [(atNs: UInt64, count: UInt64)] = []
    private var isStopping = false

    init(_ engine: Engine) { self.engine = engine }

    mutating func beginStop() { isStopping = true }

    mutating func look(_ redis: RedisSight) -> OpsFacts {
        let (nowNs, nowMs) = (MonotonicClock.nowNs(), WallClock.nowMs())
        let (snapshot, service, fluxes) = (engine.snapshot(), engine.standings.service, engine.standings.fluxes)
        if tally.judgedNs != service.judgedNs { tally = (service.judgedNs, SeriesTally(fluxes)) }
        let threads = engine.threads.map { (name: $0.name, busyNs: $0.busyNs, stalledNs: stalledNs($0, nowNs)) }
        let own = ops.map { [(name: $0.name, busyNs: $0.busyNs, stalledNs: UInt64(0))] } ?? []
        var facts = OpsFacts(
            nowNs: nowNs, nowMs: nowMs, snapshot: snapshot, delays: engine.delays, threads: threads + own, ringCounts: engine.ringCounts,
            oldestPendingNs: engine.oldestPendingNs, service: service, fluxes: fluxes, series: tally.series, gaps: engine.gapTally,
            unlistedGaps: engine.unlistedGaps, rest: engine.restStatistics, sentinels: engine.sentinels,
            isReplicaRead: engine.isReplicaRead,
            redis: redis, health: HealthReport(checks: []))
        facts.health = HealthJudge.judge(health(facts))
        return facts
    }

    /// A thread with nothing to do waits for ever: it is woken, and then it must move.
    private mutating func stalledNs(_ thread: ThreadMeter, _ nowNs: UInt64) -> UInt64 {
        let busyNs = thread.busyNs
        // Rung each time: a ring is lost on a thread that is about to wait.
        defer { thread.wakeUp.signal() }
        if let known = seen[thread.name], known.busyNs == busyNs {
            let forNs = nowNs &- known.askedNs
            return forNs < 1_000_000_000 ? 0 : forNs
        }
        seen[thread.name] = (busyNs, nowNs)
        return 0
    }

    private mutating func health(_ facts: OpsFacts) -> HealthFacts {
        let counters = facts.snapshot.counters
        var health = HealthFacts()
        health.stalled = facts.threads.map { ($0.name, Int($0.stalledNs / 1_000_000_000)) }
        let silentNs = wedge.silentNs(counters, isConnected: facts.snapshot.isRedisConnected, nowNs: facts.nowNs)
        health.unacknowledgedSeconds = Int(silentNs / 1_000_000_000)
        health.isStarted = facts.service.judgedNs > 0 && facts.service.isRegistryRead
        health.isStopping = isStopping || facts.service.state == .stopped
        health.isDataLinkUp = facts.snapshot.isRedisConnected
        health.isControlLinkUp = facts.service.isRedisConnected
        (health.lanesUp, health.lanes) = (Int(counters[.redisLanesUp]), Int(counters[.redisLanes]))
        health.redisReason = engine.troubles[.redis]?.reason
        (health.connectionsLive, health.connectionsWanted) = (Int(counters[.connectionsLive]), facts.service.connectionsWanted)
        health.exchangeReason = engine.troubles.ofConnections?.reason
        health.staleFluxes = facts.fluxes.filter { $0.standing.state == .stale }.map { one in
            let sinceMs = one.standing.lastUpdateMs > 0 ? one.standing.lastUpdateMs : one.flux.createdAtMs
            return (one.flux.id, Int(max(0, facts.nowMs - sinceMs) / 1_000))
        }
        health.staleSeries = (facts.series.staleNames, facts.series.stale)
        health.oldestPendingSeconds = Int(facts.oldestPendingNs / 1_000_000_000)
        health.lostLately = lostLately(counters.closedLost, facts.nowNs)
        health.redisRemarks = facts.redis.info?.remarks ?? []
        return health
    }

    private mutating func lostLately(_ count: UInt64, _ nowNs: UInt64) -> UInt64 {
        losses.removeAll { nowNs &- $0.atNs > 600_000_000_000 }
        let before = losses.first?.count ?? 0
        if losses.last.map({ nowNs &- $0.atNs >= 10_000_000_000 }) ?? true { losses.append((nowNs, count)) }
        return count - min(before, count)
    }
}
