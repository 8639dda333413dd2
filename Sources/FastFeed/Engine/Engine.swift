// The wiring: who is made, on which thread it runs, who feeds whom, and in which order all of it ends.

import Glibc
import Synchronization

/// One reading of the engine's meters.
public struct EngineSnapshot: Sendable {
    /// Nanoseconds since the start; 0 before it.
    public var uptimeNs: UInt64
    /// All counters and gauges, by name.
    public var counters: CounterSnapshot
    /// From the turn that saw the socket readable to Redis's acknowledgement, per candle state written.
    public var latency: HistogramSnapshot
    /// The same states on each part of that way.
    public var stages: StageSnapshots
    /// Memory of the process as the kernel counts it.
    public var residentBytes: UInt64
    /// Bytes in live allocations of the process; nil in a program that does not link jemalloc, which alone says it.
    public var heapAllocatedBytes: UInt64?
    /// Bytes ever allocated by the data path's threads: does not grow while nothing but data flows. Nil as above.
    package var dataThreadsAllocatedBytes: UInt64?
    /// True while the Redis connection is up.
    public var isRedisConnected: Bool
}

/// What an orderly stop could not finish.
public struct StopReport: Sendable {
    /// Closed candles that Redis has not acknowledged yet.
    public var closedUnwritten: Int
    /// Closed candles that were given up before: `CounterSnapshot.closedLost`.
    public var closedLost: Int
    /// Series whose newest forming state was not acknowledged.
    public var formingUnwritten: Int
    /// All that came is in Redis.
    public var isClean: Bool { closedUnwritten == 0 && formingUnwritten == 0 }
}

/// The healer, and what it runs on and asks.
private struct Healing {
    let healer: Healer
    let runner: AgentRunner
    let rest: RestClient
    let store: RedisHistoryReader
}

/// From the exchange's sockets to Redis. Make it, `start` it, `stop` it; once.
public final class Engine: Sendable {
    private let configuration: EngineConfiguration
    private let journal = Journal()
    private let gaps = GapBoard()
    /// Why something does not work.
    package let troubles = TroubleBoard()
    /// Which connections to the exchange are live, and since when.
    package let connections = ConnectionBoard()
    private let budget: ConnectBudget
    private let readers: [KlineReader]
    private let sink: Sink
    private let threading: ThreadingMode
    private let rings: [KlineTrack.Ring]
    private let runners = Lock<[AgentRunner]>([])
    /// Nil where the exchange is not asked.
    private let healing = Lock<Healing?>(nil)
    private let healRing: KlineTrack.Ring?
    /// The exchange's clock, as control learns it.
    private let clock = ExchangeClock()
    private let control = Lock<Control?>(nil)
    /// Nil where Redis is one server, and the only one that is read from.
    private let watch = Lock<RedisWatch?>(nil)
    /// Nil where Redis is not a cluster.
    private let clusterWatch = Lock<ClusterWatch?>(nil)
    private let replicas: ReplicaBoard?
    /// Nil without a group.
    private let pulse: Pulse?
    /// How the service, each flux and each series stands. Empty unless commands are taken.
    package let standings = StandingsBoard()
    /// What the configuration asks for, until control takes it over.
    private let fluxes: Lock<FluxBook?>
    private let startedNs = Atomic<UInt64>(0)

    /// Checks the configuration and makes everything; opens no connection yet.
    /// - Throws: one sentence naming what is wrong (a value, an unreadable certificate).
    public init(_ configuration: EngineConfiguration) throws(FeedError) {
        Limits.verify()
        try configuration.validate()
        var configuration = configuration
        configuration.redis = configuration.redis.home(at: configuration.schema.serviceStatusKey)
        self.configuration = configuration
        replicas = configuration.readFrom == .replica ? ReplicaBoard() : nil
        threading = configuration.threading ?? (Cores.usableCount() < 3 ? .shared : .dedicated)
        let seed = SystemRandom.word()
        pulse = configuration.group.map { Pulse(ttlMs: $0.memberTTL.milliseconds) }
        rings = (0..<configuration.readerCount).map { _ in KlineTrack.Ring(zeroed: Limits.ringRecordCount) }
        let settings = try configuration.readerSettings(seed: seed)
        budget = ConnectBudget(seed: seed ^ 0xB)
        let rings = rings
        readers = rings.enumerated().map { [journal, troubles, connections, budget] in
            KlineReader(
                index: $0, settings: settings, ring: $1, journal: journal, budget: budget, troubles: troubles, board: connections)
        }
        healRing = configuration.heals ? KlineTrack.Ring(zeroed: Limits.healRingRecordCount) : nil
        sink = Sink(
            settings: try configuration.sinkSettings(pulse, seed: seed), rings: rings + (healRing.map { [$0] } ?? []),
            journal: journal,
            gaps: gaps, troubles: troubles)
        var book = FluxBook(
            market: configuration.market, schema: configuration.schema, placement: configuration.placement, journal: journal)
        // Nothing is followed before the group was seen.
        book.share = configuration.group.map { GroupShare(member: $0.member, view: .empty(copies: $0.copies)) }
        for flux in configuration.configuredFluxes(createdAtMs: WallClock.nowMs()) {
            do {
                Engine.prepare(try book.add(flux), readers, sink)
            } catch {
                throw FeedError(.configuration, error.message)
            }
        }
        fluxes = Lock(book)
        for base in try configuration.venueBases {
            guard let leftOut = base.leftOut else { continue }
            journal.note(
                .notice, "the exchange's base needs no path: it is left out", ("venue", "\(base.endpoint)"), ("left_out", leftOut))
        }
        if configuration.redis.cluster != nil, configuration.history > Limits.historyOfClusterMax {
            journal.note(
                .warning, "when slots of the cluster move, each of such long histories stops both nodes for as long as it takes",
                ("history", "\(configuration.history)"))
        }
    }

    /// Tells the agents what is followed from the start. Before any thread runs.
    private static func prepare(_ change: Placement.Change, _ readers: [KlineReader], _ sink: Sink) {
        for command in change.before { sink.prepare(command) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands { readers[reader].prepare(command) }
        }
    }

    /// Starts the threads; from now on connections are opened and candles written.
    public func start() throws(FeedError) {
        try configuration.enterGroup(journal)
        pulse?.beat(MonotonicClock.nowNs())
        startedNs.store(MonotonicClock.nowNs(), ordering: .relaxed)
        let rest = try configuration.restClient(troubles: troubles)
        if configuration.takesCommands {
            budget.awaitLedger(untilNs: MonotonicClock.nowNs() + .ns(ms: configuration.connectLedgerWaitMs))
        }
        do {
            let started = try startThreads()
            runners.withLock { $0 = started }
            if let rest { try startHealer(rest) }
            if configuration.takesCommands { try startControl() }
            try startWatch()
        } catch {
            throw FeedError(.system, "cannot start threads: \(error)")
        }
    }

    private func startThreads() throws(SystemError) -> [AgentRunner] {
        func start(_ agents: [any Agent], name: String? = nil, core: Int? = nil) throws(SystemError) -> AgentRunner {
            let runner = try AgentRunner(agents: agents, name: name, idle: configuration.idle)
            try runner.start(core: core)
            return runner
        }
        guard threading == .dedicated else { return [try start(readers + [sink], name: "feed")] }
        // The sink takes the last core, readers the first ones; with fewer cores than threads nothing is pinned. Under a quota neither:
        // the cores are shared with other containers, and each of them would take the same ones.
        let cores = Cores.allowed()
        let pins = cores.count > readers.count && Cores.usableCount() == cores.count
        var started = [try start([sink], core: pins ? cores.last : nil)]
        for (index, reader) in readers.enumerated() {
            reader.sinkWakeUp = started[0].wakeUp
            started.append(try start([reader], core: pins ? cores[index] : nil))
        }
        return started
    }

    /// Where servers change their roles, all that write learn it from one place.
    private func startWatch() throws(SystemError) {
        if let seeds = configuration.redis.cluster {
            let made = try ClusterWatch(configuration.redis, seeds, journal: journal) { [weak self] map in
                guard let self else { return true }
                control.withLock { $0 }?.noteMove()
                return sink.commands.offer(.route(map))
            }
            try made.start()
            clusterWatch.withLock { $0 = made }
        }
        guard configuration.redis.sentinels != nil || replicas != nil else { return }
        let made = try RedisWatch(configuration.redis, replica: configuration.redisReplica, board: replicas, journal: journal) {
            [weak self] in
            guard let self else { return true }
            control.withLock { $0 }?.noteMove()
            return sink.commands.offer(.followPrimary)
        }
        try made.start()
        watch.withLock { $0 = made }
    }

    /// On a thread of its own: it waits for Redis.
    private func startHealer(_ rest: RestClient) throws(SystemError) {
        guard let healRing else { preconditionFailure("who asks the exchange heals") }
        let store = RedisHistoryReader(configuration.redis, seed: SystemRandom.word())
        let healer = Healer(
            settings: configuration.heal, schema: configuration.schema, source: rest, store: store,
            sink: sink, ring: healRing, gaps: gaps, journal: journal, clock: { [clock] in clock.nowMs },
            connectionLiveSinceNs: { [connections] in connections[$0] })
        healer.sinkWakeUp = runners.withLock { $0.first?.wakeUp }
        let runner = try AgentRunner(agents: [healer], idle: .park)
        try runner.start()
        healing.withLock { $0 = Healing(healer: healer, runner: runner, rest: rest, store: store) }
    }

    private func startControl() throws(SystemError) {
        guard let book = fluxes.withLock({ $0.take() }) else { preconditionFailure("an engine is started once") }
        let healing = healing.withLock { $0 }
        let handles = EngineHandles(
            readers: readers, sink: sink, budget: budget, rest: healing?.rest, healer: healing?.healer, heal: configuration.heal,
            gaps: gaps, clock: clock, standings: standings, troubles: troubles, replicas: replicas,
            figures: { [weak self] in
                self.map {
                    (
                        $0.counters, $0.sink.latency.total.snapshot(), $0.sink.latency.snapshot(), ProcessMemory.residentBytes(),
                        $0.healing.withLock { $0 }?.rest.statistics
                    )
                }
            })
        handles.follow(book.followed)
        let seed = SystemRandom.word()
        let made = try Control(
            handles, redis: configuration.redis, schema: configuration.schema, fluxes: book, leaseMs: configuration.lease.milliseconds,
            watchesClock: configuration.watchesClock, group: configuration.member(nonce: seed, pulse: pulse), journal: journal, seed: seed)
        try made.start()
        control.withLock { $0 = made }
    }

    /// Stops reading, writes what is there, waits for the acknowledgements, and ends the threads.
    /// - Parameter timeout: how long all of that may take, behind the end of the command channels: that takes about two seconds where
    ///   Redis does not answer, and no time otherwise. A member of a group first waits until the others follow what it follows: a second or
    ///   two, and 20 s at most.
    public func stop(timeout: Duration = .seconds(4)) -> StopReport {
        control.withLock { $0 }?.leave()
        let (running, healing) = (runners.withLock { $0 }, healing.withLock { $0 })
        // Both may be waiting for Redis: at the same time. What the healer has handed over is written like all else.
        healing?.store.stop()
        healing?.runner.askToEnd()
        control.withLock { $0 }?.stop()
        healing?.runner.stop()
        healing?.rest.stop()
        let deadlineNs = MonotonicClock.nowNs() + timeout.nanoseconds
        let readersNs = min(deadlineNs, MonotonicClock.nowNs() + 1_500_000_000)
        for reader in readers where !reader.commands.offer(.stop, untilNs: readersNs) { noteDeaf(reader) }
        waitUntil(readersNs) { readers.allSatisfy(\.isStopped) }
        if !sink.commands.offer(.drain, untilNs: deadlineNs) { noteDeaf(sink) }
        waitUntil(deadlineNs) { sink.isDrained }
        let counters = CounterSnapshot([sink.counters])
        let report = StopReport(
            closedUnwritten: Int(counters[.closedPending]), closedLost: Int(counters.closedLost),
            formingUnwritten: sink.isDrained ? 0 : sink.formingUnwritten)
        watch.withLock { $0.take() }?.stop()
        clusterWatch.withLock { $0.take() }?.stop()
        for runner in running.reversed() { runner.stop() }
        runners.withLock { $0 = [] }
        return report
    }

    private func noteDeaf(_ agent: any Agent) {
        journal.note(.error, "an agent takes no commands; it is ended without having been asked", ("agent", agent.roleName))
    }

    private func waitUntil(_ deadlineNs: UInt64, _ condition: () -> Bool) {
        while !condition() && MonotonicClock.nowNs() < deadlineNs { usleep(2_000) }
    }

    // MARK: Looking at it

    private var counters: CounterSnapshot {
        let (control, healer) = (control.withLock { $0 }, healing.withLock { $0?.healer })
        let others = [control?.counters, healer?.counters].compactMap { $0 }
        var sum = CounterSnapshot(readers.map(\.counters) + [sink.counters] + others)
        sum[.gapsOpen] = UInt64(gaps.counts.open)
        let refusals =
            readers.map { $0.commands.refusedCount + $0.refusedStreams.refusedCount }
            + [sink.commands.refusedCount, sink.events.refusedCount, sink.words.refusedCount, control?.exchangeAnswers.refusedCount ?? 0]
            + (healer.map { [$0.commands.refusedCount, $0.events.refusedCount] } ?? [])
        sum[.mailboxRefusals] = UInt64(refusals.reduce(0, +))
        return sum
    }

    /// Nanoseconds; 0 before the start.
    private var uptimeNs: UInt64 {
        let (startedNs, nowNs) = (startedNs.load(ordering: .relaxed), MonotonicClock.nowNs())
        return startedNs == 0 ? 0 : nowNs &- min(startedNs, nowNs)
    }

    /// Reads all meters. Any thread.
    public func snapshot() -> EngineSnapshot {
        let heapAllocatedBytes = HeapStatistics.allocatedBytes()
        return EngineSnapshot(
            uptimeNs: uptimeNs,
            counters: counters,
            latency: sink.latency.total.snapshot(),
            stages: sink.latency.snapshot(),
            residentBytes: ProcessMemory.residentBytes(),
            heapAllocatedBytes: heapAllocatedBytes,
            dataThreadsAllocatedBytes: heapAllocatedBytes.map { _ in runners.withLock { $0.reduce(0) { $0 + $1.threadAllocatedBytes } } },
            isRedisConnected: sink.isConnected)
    }

    /// Closed candles acknowledged so far, and when the newest acknowledgement was seen (monotonic). Two words, read one after
    /// the other.
    package var closedAcks: (count: UInt64, newestNs: UInt64) { (sink.counters.value(.closedWritten), sink.latency.closedAckNs) }

    // MARK: For the ops server

    /// All threads that must go on: those of the data path, the healer's, control's, and the one that watches Redis's servers.
    package var threads: [ThreadMeter] {
        (runners.withLock { $0 } + [healing.withLock { $0?.runner }].compactMap(\.self)).map(\.meter)
            + [control.withLock { $0?.meter }, watch.withLock { $0?.meter }, clusterWatch.withLock { $0?.meter }].compactMap(\.self)
    }

    /// Sentinels of the URL, and of these the ones whose last word was believed.
    package var sentinels: (named: Int, answering: Int) {
        (configuration.redis.sentinels?.addresses.count ?? 0, watch.withLock { $0?.answeringCount } ?? 0)
    }

    /// Each primary has a replica that follows closely enough that `data:get` asks it.
    package var isReplicaRead: Bool { replicas?.isComplete(nowNs: MonotonicClock.nowNs()) ?? false }

    /// Of each reader's ring, how many records are in it.
    package var ringCounts: [Int] { rings.map(\.count) }

    package var delays: (closed: HistogramSnapshot, exchange: HistogramSnapshot) {
        (sink.latency.closedDelay.snapshot(), sink.latency.exchangeDelay.snapshot())
    }

    /// For how long the oldest closed candle in the queue has waited; 0 when it is empty.
    package var oldestPendingNs: UInt64 {
        let (oldestNs, nowNs) = (sink.latency.oldestPendingNs, MonotonicClock.nowNs())
        return oldestNs == 0 ? 0 : nowNs &- min(oldestNs, nowNs)
    }

    /// How long each kind of command took until its answer.
    package func commandDurations(_ kind: CommandKind) -> HistogramSnapshot? { control.withLock { $0 }?.durations[kind]?.snapshot() }

    package var restStatistics: RestStatistics? { healing.withLock { $0 }?.rest.statistics }

    /// Candles of holes that are listed, by what becomes of them.
    package var gapTally: GapBoard.Tally { gaps.tally }

    /// All holes, by open time, absent ones among them.
    package var allGaps: [Gap] { gaps.all }

    package func gaps(of series: Series) -> [Gap] { gaps.gaps(of: series) }

    /// Holes that have ended, newest endings first.
    package var endedGaps: [EndedGap] { gaps.ended }

    /// The connections to the exchange, as their readers said it the last time; and asks them to say it again.
    package func connectionReports() -> [ConnectionReport] {
        for reader in readers where !reader.isStopped { _ = reader.commands.offer(.describe) }
        return connections.reports
    }

    /// The gaps not filled yet, those of the oldest candles first.
    public var openGaps: [Gap] { gaps.open }

    /// Gaps that no longer fit the list and are only counted.
    public var unlistedGaps: Int { gaps.forgottenCount }

    /// Log lines since the last call; new gaps are among them.
    public func drainJournal() -> [JournalLine] {
        let (new, more) = gaps.takeNews()
        for gap in new {
            journal.note(
                .warning, "closed candles are missing", ("series", "\(gap.series)"), ("cause", gap.cause.rawValue),
                ("from_ms", "\(gap.fromMs)"), ("until_ms", "\(gap.untilMs)"),
                ("count", "\(gap.series.interval.barCount(from: gap.fromMs, until: gap.untilMs))"))
        }
        if more > 0 { journal.note(.warning, "closed candles are missing in further series", ("gaps", "\(more)")) }
        let (lines, dropped) = journal.drain()
        guard dropped > 0 else { return lines }
        return lines + [JournalLine(level: .warning, message: "log lines were dropped", fields: [("count", "\(dropped)")], suppressed: 0)]
    }
}
