// One run: the engine's own agents on a simulated kernel, an exchange and a Redis that misbehave as the seed says,
// then calm, then the reckoning.

public import FastFeed

public struct Outcome {
    public let seed: UInt64
    /// What was wrong; empty when all is well.
    public var complaints: [String]
    /// The same for every run of a seed.
    public let trace: UInt64
    public let counters: CounterSnapshot
    public let virtualNs: UInt64
    public let closedStored: Int
    public let turns: Int
}

public final class World {
    let scenario: Scenario
    let kernel: SimulatedKernel
    let exchange: Exchange
    let redis: RedisServer
    let schema = KeySchema(prefix: "")
    let readers: [Reader]
    let sink: Sink
    let gaps = GapBoard()
    private let journal = Journal()
    private let agents: [any Agent]
    private var placement: Placement
    private var releasedCount = 0
    private var stoppedCount = 0
    private var random: SplitMix64
    /// An agent whose thread is not scheduled until then.
    private var sleepsUntilNs: [UInt64]
    private var turns = 0
    private var isSpinning = false
    /// The agent that is being turned.
    private var turning = 0
    /// By series: the readers that take its records. An exchange that has not heard an UNSUBSCRIBE may send them to others, too.
    private var takers: [Set<Int>]
    let ledger: Ledger
    var complaints: [String] = []

    /// Wake-ups mean nothing here: agents are asked whether they have work.
    private static let wakeUp = try! WakeUp()

    /// - Parameter tell: takes the story of the run, line by line, with the virtual time.
    public static func run(seed: UInt64, tell: ((String) -> Void)? = nil) -> Outcome {
        let world = World(Scenario(seed: seed))
        if let tell { world.kernel.tell = { [unowned world] in tell("\(Double(world.kernel.nowNs / 1_000) / 1e6) \($0())") } }
        world.kernel.tell? { "\(world.scenario)" }
        return world.run()
    }

    init(_ scenario: Scenario) {
        self.scenario = scenario
        random = SplitMix64(seed: scenario.seed ^ 0xA)
        var accept: (SocketAddress) -> Acceptance = { _ in .swallow }
        let kernel = SimulatedKernel(seed: scenario.seed ^ 0xC, latencyNs: scenario.latencyNs) { accept($0) }
        self.kernel = kernel
        let exchange = Exchange(scenario, kernel: kernel)
        let redis = RedisServer(scenario, kernel: kernel)
        let exchangeAddress = SocketAddress(numericHost: "127.0.0.1", port: 9_443)!
        accept = { [unowned exchange, unowned redis] in $0 == exchangeAddress ? exchange.accept() : redis.accept() }
        (self.exchange, self.redis) = (exchange, redis)

        let rings = (0..<scenario.readerCount).map { _ in SPSCRing<CandleRecord>(zeroed: scenario.ringCount) }
        var settings = ReaderSettings(
            base: WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: 9_443), profile: .of(.spot), tls: nil, seed: scenario.seed)
        settings.subscribeForm = scenario.subscribeForm
        settings.usesCombinedStreams = scenario.usesCombinedStreams
        settings.connectionAgeMs = scenario.connectionAgeMs
        let budget = ConnectBudget(seed: scenario.seed ^ 0xB)
        let journal = journal
        readers = rings.enumerated().map {
            Reader(index: $0.offset, settings: settings, ring: $0.element, journal: journal, budget: budget)
        }
        let place: ServerPlace = scenario.usesUnixSocket ? .unix(path: "/redis") : .tcp(Authority(host: "127.0.0.1", port: 6_379))
        var sinkSettings = SinkSettings(
            redis: try! RedisLinkSettings(RedisEndpoint(place: place)), market: .spot, schema: schema, history: 100_000,
            batchSize: scenario.batchSize,
            coalesces: scenario.coalesces, seed: scenario.seed ^ 0x51)
        sinkSettings.closedMax = scenario.closedMax
        sink = Sink(settings: sinkSettings, rings: rings, journal: journal, gaps: gaps)
        agents = readers + [sink]
        sleepsUntilNs = Array(repeating: 0, count: agents.count)
        takers = Array(repeating: [], count: scenario.series.count)
        placement = Placement(readerCount: scenario.readerCount, streamsPerConnectionMax: scenario.streamsPerConnection)
        ledger = Ledger(scenario, schema)
        deal()
    }

    /// Series and streams to connections and readers, as the engine does.
    private func deal() {
        let change = placement.add(scenario.series)!
        noteTakers(change)
        for command in change.before { sink.prepare(command) }
        for (reader, commands) in change.readers.enumerated() { for command in commands { readers[reader].prepare(command) } }
        if scenario.isDoubled {
            let stable = scenario.series.dropLast(scenario.changingCount)
            for index in stable.indices { takers[index].insert(readers.count - 1) }
            readers[readers.count - 1].prepare(.follow(stable.map { ($0, placement.handle($0)!) }))
            readers[readers.count - 1].prepare(.connect(ConnectionKey(.max), streams: stable.map(VenueProfile.streamName)))
        }
        exchange.onKline = { [unowned self] state in
            kernel.tell? {
                "read \(scenario.series[state.series]) \(state.openMs) \(state.isClosed ? "closed" : "forming") E=\(state.eventMs)"
            }
            ledger.onDelivered(state, isTaken: takers[state.series].contains(turning))
        }
        redis.onNewest = { [unowned self] in ledger.onNewest(key: $0, field: $1, json: $2) }
        redis.onPublish = { [unowned self] in ledger.onPublish(channel: $0, message: $1) }
        redis.onUnknown = { [unowned self] in complaints.append("a command nobody knows: \($0.prefix(3))") }
    }

    // MARK: Running

    private func run() -> Outcome {
        let poller = Poller(kernel)
        for (index, agent) in agents.enumerated() { agent.onStart(PollerPort(poller: poller, wakeUp: World.wakeUp, agent: index)) }
        exchange.start()
        planTrouble()
        turnUntil(kernel.nowNs + scenario.troubleNs) { false }
        // Calm: everything works, and in good time everything is live.
        exchange.heal()
        redis.heal()
        for index in sleepsUntilNs.indices { sleepsUntilNs[index] = 0 }
        let isLive = turnUntil(kernel.nowNs + 700_000_000_000) { [unowned self] in
            counters[.connectionsLive] == connectionCount && sink.isConnected
        }
        if !isLive { complaints.append("not live again: \(counters[.connectionsLive]) of \(connectionCount), Redis \(sink.isConnected)") }
        turnUntil(kernel.nowNs + 5_000_000_000) { false }
        exchange.fallSilent()
        turnUntil(kernel.nowNs + 3_000_000_000) { false }
        for reader in readers { _ = reader.commands.offer(.stop) }
        let isStopped = turnUntil(kernel.nowNs + 10_000_000_000) { [unowned self] in readers.allSatisfy(\.isStopped) }
        if !isStopped { complaints.append("readers do not stop") }
        _ = sink.commands.offer(.drain)
        let isDrained = turnUntil(kernel.nowNs + 60_000_000_000) { [unowned self] in sink.isDrained }
        if !isDrained { complaints.append("the sink does not drain: \(counters[.closedPending]) closed pending") }
        release()
        if releasedCount != stoppedCount { complaints.append("ids released \(releasedCount), series stopped \(stoppedCount)") }
        for agent in agents { agent.onClose() }
        if !isSpinning { check() }
        return Outcome(
            seed: scenario.seed, complaints: complaints, trace: kernel.trace, counters: counters, virtualNs: kernel.nowNs,
            closedStored: ledger.closedStored, turns: turns)
    }

    var counters: CounterSnapshot { CounterSnapshot(readers.map(\.counters) + [sink.counters]) }

    private var connectionCount: Int { placement.connectionCount + (scenario.isDoubled ? 1 : 0) }

    private func planTrouble() {
        let endNs = kernel.nowNs + scenario.troubleNs
        func every(_ meanNs: UInt64?, _ fault: @escaping () -> Void) {
            guard let meanNs else { return }
            let afterNs = UInt64.random(in: 0...2 * meanNs, using: &random)
            guard kernel.nowNs + afterNs < endNs else { return }
            kernel.plan(afterNs: afterNs) {
                fault()
                every(meanNs, fault)
            }
        }
        let keys = scenario.series.map(schema.historyKey)
        every(scenario.exchangeFaultNs) { [unowned self] in exchange.misbehave() }
        every(scenario.redisFaultNs) { [unowned self] in redis.misbehave(keys) }
        // The whole process is not scheduled for a while.
        every(scenario.processPauseNs) { [unowned self] in
            let untilNs = kernel.nowNs + UInt64(random.number(1...20_000)) * 1_000_000
            for index in sleepsUntilNs.indices { sleepsUntilNs[index] = untilNs }
        }
        if scenario.changingCount > 0 { every(scenario.troubleNs / 12) { [unowned self] in changeOne() } }
        if scenario.hasOtherWriter { every(scenario.troubleNs / 20) { [unowned self] in writeAsAnother() } }
    }

    /// A series is stopped, or followed again. The agents learn of it at this instant, so that the ledger knows who wanted what.
    private func changeOne() {
        guard kernel.nowNs >= sleepsUntilNs.max()! else { return }
        let index = scenario.series.count - 1 - random.number(0...scenario.changingCount - 1)
        let series = scenario.series[index]
        let change: Placement.Change
        if ledger.isFollowed[index] {
            kernel.tell? { "stop \(series)" }
            change = placement.remove([series])
            stoppedCount += 1
        } else {
            kernel.tell? { "follow \(series)" }
            change = placement.add([series])!
        }
        noteTakers(change)
        for command in change.before { _ = sink.commands.offer(command) }
        for (reader, commands) in change.readers.enumerated() {
            for command in commands { _ = readers[reader].commands.offer(command) }
        }
        for command in change.after { _ = sink.commands.offer(command) }
        // Before anything more is read: what is read now counts as before or after.
        for agent in [sink as any Agent] + readers { agent.doWork(nowNs: kernel.nowNs) }
        if ledger.isFollowed[index] {
            let stored = redis.database.entries(schema.historyKey(series)).map(\.openMs)
            ledger.onStopped(index, stored: Set(stored))
        } else {
            ledger.onFollowed(index)
        }
        release()
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

    private func release() {
        for case .released(let ids) in sink.events.takeAll() {
            releasedCount += ids.count
            placement.release(ids)
        }
    }

    /// Another engine (or a backfill) appends a candle of its own, with our values or with others.
    private func writeAsAnother() {
        guard !exchange.closedStates.isEmpty else { return }
        let state = random.pick(exchange.closedStates)
        let key = schema.historyKey(scenario.series[state.series])
        var fields = state.fields
        let differs = random.chance(0.3)
        if differs { fields[9] = "0.00000001" }
        guard !database(holds: state, key), !redis.database.foreignKeys.contains(key) else { return }
        _ = redis.database.run(["EVAL", "", "1", key, "\(state.openMs)", "100000"] + fields + ["revision", "0"])
        ledger.onOther(state, differs: differs)
    }

    private func database(holds state: KlineState, _ key: String) -> Bool {
        redis.database.entries(key).contains { $0.openMs == state.openMs }
    }

    /// Lets agents work and time pass until the condition holds or the time is up. Agents take turns as threads
    /// would: all of one thread at once, or each by itself in any order.
    @discardableResult
    private func turnUntil(_ endNs: UInt64, _ condition: () -> Bool) -> Bool {
        while kernel.nowNs < endNs {
            if kernel.tell != nil { tellJournal() }
            if condition() { return true }
            let runnable = agents.indices.filter(isRunnable)
            guard !runnable.isEmpty else {
                kernel.advance(toNs: max(kernel.nowNs + 1, min(endNs, nextNs())))
                continue
            }
            turns += 1
            guard turns < 1_000_000 else {
                if isSpinning { return false }
                isSpinning = true
                complaints.append("agents turn without end: \(runnable.map(why).joined(separator: ", "))")
                return false
            }
            if scenario.isShared {
                turn(Array(agents.indices))
            } else {
                let index = random.pick(runnable)
                turn([index])
                // Its thread may lose its core.
                if random.chance(0.01) { sleepsUntilNs[index] = kernel.nowNs + UInt64(random.number(1...300_000)) * 100 }
            }
            kernel.advance(toNs: kernel.nowNs + UInt64(random.number(500...20_000)))
        }
        return condition()
    }

    /// The engine's own log becomes part of the story.
    private func tellJournal() {
        for line in journal.drain().lines {
            kernel.tell? { "engine: \(line.message) \(line.fields.map { "\($0)=\($1)" }.joined(separator: " "))" }
        }
    }

    private func isRunnable(_ index: Int) -> Bool {
        guard kernel.nowNs >= sleepsUntilNs[index] else { return false }
        return agents[index].hasWork() || agents[index].nextDeadlineNs() <= kernel.nowNs || kernel.hasReports(agent: index)
    }

    private func why(_ index: Int) -> String {
        let agent = agents[index]
        let reports = kernel.reports(agent: index).map { "slot \($0.token.slot) \($0.readiness.rawValue)" }
        let due = agent.nextDeadlineNs() <= kernel.nowNs
        return "\(agent.roleName) \(agent.hasWork() ? "has work " : "")\(due ? "is due " : "")\(reports)"
    }

    private func nextNs() -> UInt64 {
        var next = kernel.events.nextNs ?? .max
        for (index, agent) in agents.enumerated() {
            next = min(next, max(agent.nextDeadlineNs(), sleepsUntilNs[index]))
            if sleepsUntilNs[index] > kernel.nowNs { next = min(next, sleepsUntilNs[index]) }
        }
        return next
    }

    private func turn(_ indices: [Int]) {
        let nowNs = kernel.nowNs
        for index in indices {
            for (token, readiness) in kernel.reports(agent: index) { agents[index].onReady(token, readiness, nowNs: nowNs) }
        }
        for index in indices {
            turning = index
            agents[index].doWork(nowNs: nowNs)
        }
    }
}
