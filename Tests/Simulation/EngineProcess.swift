// One life of the engine's process in a simulated world: its agents with what they share, until it is stopped or killed. One thread.

import FastFeed

final class EngineProcess {
    let readers: [KlineReader]
    let sink: Sink
    let healer: Healer?
    let rest: SimulatedRest?
    let gaps: GapBoard
    let board = ConnectionBoard()
    let journal = Journal()
    /// All that are turned: readers, sink, healer.
    let agents: [any Agent]
    private(set) var placement: Placement
    private var releasedCount = 0
    private var stoppedCount = 0
    /// An agent whose thread is not scheduled until then.
    var sleepsUntilNs: [UInt64]
    /// By series: the readers that take its records. An exchange that has not heard an UNSUBSCRIBE may send them to others, too.
    private(set) var takers: [Set<Int>]
    private var relay: FaultyRelay?
    /// What the control thread counts.
    private let controlCounters = CounterBank()
    /// Of a cluster.
    let clusterBoard: ClusterBoard?
    /// What the sink has been told last, and when a node is asked again.
    var toldMap: SlotMap?
    var mapDueNs: UInt64 = 0
    var isAskingForMap = false
    let scenario: Scenario
    let fault: PlantedFault?
    /// Of the kernel: 0, or which of a group's two members it is.
    let client: Int
    private var firstAgent: Int { client * EngineProcess.agentsMax }
    private static let agentsMax = 8

    /// Wake-ups mean nothing here: agents are asked whether they have work.
    private static let wakeUp = try! WakeUp()

    init(
        _ scenario: Scenario, _ schema: KeySchema, fault: PlantedFault?, askRedis: @escaping ([[String]]) -> [RedisReply]?,
        exchange: Exchange, rest: SimulatedRest?, client: Int = 0
    ) {
        (self.scenario, self.fault, self.rest, self.client) = (scenario, fault, rest, client)
        gaps = GapBoard(countMax: scenario.healing?.gapCountMax ?? Limits.gapCountMax)
        let rings = (0..<scenario.readerCount).map { _ in SPSCRing<CandleRecord>(zeroed: scenario.ringCount) }
        let budget = ConnectBudget(seed: scenario.seed ^ 0xB)
        let (journal, board) = (journal, board)
        readers = rings.enumerated().map {
            KlineReader(
                index: $0.offset, settings: EngineProcess.readerSettings(scenario), ring: $0.element, journal: journal, budget: budget,
                board: board)
        }
        let healRing = SPSCRing<CandleRecord>(zeroed: scenario.ringCount)
        let sinkRing = fault == nil ? healRing : SPSCRing<CandleRecord>(zeroed: scenario.ringCount)
        let endpoint = EngineProcess.endpoint(scenario)
        clusterBoard = endpoint.cluster?.board
        let settings = EngineProcess.sinkSettings(scenario, schema, fault, endpoint)
        sink = Sink(settings: settings, rings: scenario.healing == nil ? rings : rings + [sinkRing], journal: journal, gaps: gaps)
        if let healing = scenario.healing, let rest {
            if let fault { relay = FaultyRelay(fault, from: healRing, to: sinkRing) }
            var settings = HealSettings()
            (settings.holdMs, settings.backfill, settings.auditPercent) = (healing.holdMs, healing.backfill, healing.auditPercent)
            settings.history = EngineProcess.history
            let store = SimulatedHistory(askRedis, fault: fault)
            healer = Healer(
                settings: settings, schema: schema, source: rest, store: store, sink: sink, ring: healRing, gaps: gaps, journal: journal,
                clock: EngineProcess.clock(exchange), connectionLiveSinceNs: { board[$0] })
        } else {
            healer = nil
        }
        agents = readers as [any Agent] + [sink] + (healer.map { [$0] } ?? [])
        precondition(agents.count <= EngineProcess.agentsMax)
        sleepsUntilNs = Array(repeating: 0, count: agents.count)
        takers = Array(repeating: [], count: scenario.series.count)
        placement = Placement(readerCount: scenario.readerCount, streamsPerConnectionMax: scenario.streamsPerConnection)
    }

    private static let history = 100_000

    private static func readerSettings(_ scenario: Scenario) -> ReaderSettings {
        var settings = ReaderSettings(
            base: WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: 9_443), dialect: Binance(.spot), tls: nil, seed: scenario.seed
        )
        settings.subscribeForm = scenario.subscribeForm
        settings.usesCombinedStreams = scenario.usesCombinedStreams
        settings.connectionAgeMs = scenario.connectionAgeMs
        return settings
    }

    private static func sinkSettings(
        _ scenario: Scenario, _ schema: KeySchema, _ fault: PlantedFault?, _ endpoint: RedisEndpoint
    ) -> SinkSettings {
        var settings = SinkSettings(
            redis: try! RedisLinkSettings(endpoint), market: .spot, schema: schema, history: history,
            batchSize: scenario.batchSize, coalesces: scenario.coalesces, seed: scenario.seed ^ 0x51)
        settings.closedMax = scenario.closedMax
        if fault == .nothingAgain { settings.rewriteMs = 0 }
        settings.healHoldMs = scenario.healing.map { fault == .holdForgotten ? 0 : $0.holdMs }
        return settings
    }

    private static func endpoint(_ scenario: Scenario) -> RedisEndpoint {
        if scenario.cluster != nil { return try! RedisEndpoint(url: "redis+cluster://127.0.0.1:\(RedisCluster.portOfFirst)") }
        return RedisEndpoint(place: scenario.usesUnixSocket ? .unix(path: "/redis") : .tcp(Authority(host: "127.0.0.1", port: 6_379)))
    }

    private static func clock(_ exchange: Exchange) -> @Sendable () -> Int64 {
        // One thread runs the world, and the exchange lives as long as it.
        nonisolated(unsafe) let exchange = exchange
        return { exchange.nowMs }
    }

    func start(_ kernel: SimulatedKernel) {
        let poller = Poller(kernel)
        kernel.client = client
        for (index, agent) in agents.enumerated() {
            agent.onStart(PollerPort(poller: poller, wakeUp: EngineProcess.wakeUp, agent: firstAgent + index))
        }
    }

    // MARK: Turns

    func isRunnable(_ index: Int, _ kernel: SimulatedKernel) -> Bool {
        guard kernel.nowNs >= sleepsUntilNs[index] else { return false }
        return agents[index].hasWork() || agents[index].nextDeadlineNs() <= kernel.nowNs || kernel.hasReports(agent: firstAgent + index)
    }

    /// When an agent is runnable though nothing comes.
    func dueNs(_ index: Int, _ kernel: SimulatedKernel) -> UInt64 {
        sleepsUntilNs[index] > kernel.nowNs ? sleepsUntilNs[index] : agents[index].nextDeadlineNs()
    }

    /// - Parameter begins: hears whose work it is.
    func turn(_ indices: [Int], _ kernel: SimulatedKernel, _ begins: (_ index: Int) -> Void) {
        let nowNs = kernel.nowNs
        kernel.client = client
        for index in indices {
            for (token, readiness) in reports(index, kernel) { agents[index].onReady(token, readiness, nowNs: nowNs) }
        }
        for index in indices {
            begins(index)
            agents[index].doWork(nowNs: nowNs)
        }
    }

    func reports(_ index: Int, _ kernel: SimulatedKernel) -> [(token: PollToken, readiness: Readiness)] {
        kernel.reports(agent: firstAgent + index)
    }

    // MARK: Series

    /// Series and streams to connections and readers, as the engine does.
    func deal(_ followed: [Series]) {
        let change = placement.add(followed)!
        noteTakers(change)
        for command in change.before { sink.prepare(command) }
        for (reader, commands) in change.readers.enumerated() { for command in commands { readers[reader].prepare(command) } }
        tellHealer(following: followed)
        guard scenario.isDoubled else { return }
        let stable = scenario.series.dropLast(scenario.changingCount)
        for index in stable.indices { takers[index].insert(readers.count - 1) }
        readers[readers.count - 1].prepare(.follow(stable.map { ($0, placement.handle($0)!) }))
        readers[readers.count - 1].prepare(.connect(ConnectionKey(.max), streams: stable.map(Binance(.spot).streamName)))
    }

    private func tellHealer(following list: [Series]) {
        guard let healer, let healing = scenario.healing, fault != .commandsLost else { return }
        let followed = list.map { series in
            let connections = placement.connections(of: series).map(\.number)
            return (series: series, handle: placement.handle(series)!, connections: connections, backfill: healing.backfill)
        }
        _ = healer.commands.offer(.follow(followed))
    }

    /// The agents learn of it at this instant.
    func follow(_ series: Series, nowNs: UInt64) {
        offer(placement.add([series])!)
        tellHealer(following: [series])
        turnAll(nowNs)
    }

    func unfollow(_ series: Series, nowNs: UInt64) {
        let handle = placement.handle(series)!
        if fault != .commandsLost { _ = healer?.commands.offer(.unfollow([handle])) }
        offer(placement.remove([series]))
        stoppedCount += 1
        turnAll(nowNs)
    }

    private func offer(_ change: Placement.Change) {
        noteTakers(change)
        for command in change.before { _ = sink.commands.offer(command) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands where !isLost(command) { _ = readers[reader].commands.offer(command) }
        }
        for command in change.after { _ = sink.commands.offer(command) }
    }

    private func isLost(_ command: ReaderCommand) -> Bool {
        if case .unsubscribe = command { return fault == .unsubscribeLost }
        return false
    }

    /// Before anything more is read: what is read now counts as before or after.
    private func turnAll(_ nowNs: UInt64) {
        for agent in [sink as any Agent] + readers { agent.doWork(nowNs: nowNs) }
        healer?.doWork(nowNs: nowNs)
    }

    private func noteTakers(_ change: Placement.Change) {
        for (reader, commands) in change.readers.enumerated() {
            for command in commands {
                switch command {
                case .follow(let list): for (series, _) in list { takers[scenario.series.firstIndex(of: series)!].insert(reader) }
                case .unfollow(let list): for series in list { takers[scenario.series.firstIndex(of: series)!].remove(reader) }
                default: break
                }
            }
        }
    }

    // MARK: As the control thread

    /// What its agents have said is heard.
    func listen() {
        relay?.turn()
        guard let healer, healer.events.isWaiting else { return }
        for case .mute(let series, let times) in healer.events.takeAll() where placement.handle(series) != nil {
            controlCounters.add(.muteStreams)
            offer(times > 1 ? placement.move(series) : placement.renewal([series]))
            tellHealer(following: [series])
        }
    }

    func release() {
        for case .released(let ids) in sink.events.takeAll() {
            releasedCount += ids.count
            placement.release(ids)
        }
    }

    var releaseComplaint: String? {
        releasedCount == stoppedCount ? nil : "ids released \(releasedCount), series stopped \(stoppedCount)"
    }

    var connectionCount: Int { placement.connectionCount + (scenario.isDoubled ? 1 : 0) }
    var isLive: Bool { counters[.connectionsLive] == connectionCount && sink.isConnected }
    var banks: [CounterBank] { readers.map(\.counters) + [sink.counters, controlCounters] + (healer.map { [$0.counters] } ?? []) }
    var counters: CounterSnapshot { CounterSnapshot(banks) }

    /// Live, and not on the board of those that are.
    var deafSeries: Series? {
        scenario.series.first { placement.connections(of: $0).contains { board[$0.number] == nil } }
    }

    /// Nothing is missing that the exchange has, and nothing waits.
    var isWhole: Bool { gaps.counts.open == 0 && counters[.closedHeld] == 0 && counters[.closedPending] == 0 }
}
