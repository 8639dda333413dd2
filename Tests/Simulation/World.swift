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
    /// Closed candles of the exchange, or of Redis, that were compared with the other side at the end.
    public let closedCompared: Int
    public let turns: Int
}

public final class World {
    let scenario: Scenario
    /// Planted into what surrounds the healer; nil: nothing is.
    let fault: PlantedFault?
    let servers: Servers
    let rest: RestServer?
    let schema = KeySchema(prefix: "")
    /// Nil while it is dead.
    private(set) var process: EngineProcess?
    var random: SplitMix64
    private var turns = 0
    private var isSpinning = false
    /// When the present second has begun, and how many turns there were before it.
    private var second: (startNs: UInt64, turns: Int) = (0, 0)
    /// The agent that is being turned.
    private var turning = 0
    /// The healer's thread has ended, as at a stop.
    private var hasHealerEnded = false
    let ledger: Ledger
    var complaints: [String] = []
    /// After how many turns the invariants between the parts are checked; 0: none is ever.
    private let turnsPerCheck: Int
    private var hasBrokenInvariant = false
    /// By history: when the healer has last looked at it, and when it has last found nothing in it.
    private(set) var lookedMs: [String: Int64] = [:]
    private(set) var emptyMs: [String: Int64] = [:]
    /// When nothing was missing any more.
    private(set) var wholeMs = Int64.max
    /// Candles that a script has put in front of newer ones.
    var insertedCount = 0

    /// - Parameters:
    ///   - fault: planted, and to be found.
    ///   - turnsPerCheck: after so many turns the invariants between the agents are checked; those of the agents that have had their turn
    ///     are after every turn. 0: none is ever.
    ///   - tell: takes the story of the run, line by line, with the virtual time.
    public static func run(
        seed: UInt64, fault: PlantedFault? = nil, turnsPerCheck: Int = World.turnsPerCheck, tell: ((String) -> Void)? = nil
    ) -> Outcome {
        let world = World(Scenario(seed: seed), fault, turnsPerCheck: turnsPerCheck)
        if let tell { world.kernel.tell = { [unowned world] in tell("\(Double(world.kernel.nowNs / 1_000) / 1e6) \($0())") } }
        world.kernel.tell? { "\(world.scenario)" }
        defer { world.kernel.end() }
        return world.run()
    }

    /// Whether the world of a seed has a healer in it.
    public static func heals(seed: UInt64) -> Bool { Scenario(seed: seed).healing != nil }

    /// Whether its Redis is a cluster.
    public static func hasCluster(seed: UInt64) -> Bool { Scenario(seed: seed).cluster != nil }

    /// A turn takes about ten microseconds: an agent that turns for nothing has a hundred thousand in a second.
    static let turnsPerSecondMax = 50_000

    /// So many that a world takes little longer. What is broken between agents stays broken.
    public static let turnsPerCheck = 8

    init(_ scenario: Scenario, _ fault: PlantedFault?, turnsPerCheck: Int = 0) {
        (self.scenario, self.fault, self.turnsPerCheck) = (scenario, fault, turnsPerCheck)
        random = SplitMix64(seed: scenario.seed ^ 0xA)
        servers = Servers(scenario, schema, fault)
        let exchange = servers.exchange
        rest = scenario.healing.map { RestServer(exchange, $0) }
        ledger = Ledger(scenario, schema)
        listenToServers()
    }

    var kernel: SimulatedKernel { servers.kernel }
    var exchange: Exchange { servers.exchange }
    var redis: RedisServer { servers.redis }
    var cluster: RedisCluster? { servers.cluster }

    private func listenToServers() {
        ledger.finalState = { [unowned self] series, openMs in exchange.tapes[series].history.last { $0.openMs == openMs } }
        exchange.onKline = { [unowned self] state in
            kernel.tell? {
                "read \(scenario.series[state.series]) \(state.openMs) \(state.isClosed ? "closed" : "forming") E=\(state.eventMs)"
            }
            ledger.onDelivered(state, isTaken: process?.takers[state.series].contains(turning) ?? false)
        }
        for redis in cluster?.nodes ?? [redis] { listen(to: redis) }
        cluster?.onLoss = { [unowned self] in if scenario.healing != nil { ledger.onForgotten() } }
    }

    private func listen(to redis: RedisServer) {
        redis.onNewest = { [unowned self] in ledger.onNewest(key: $0, field: $1, json: $2) }
        redis.onPublish = { [unowned self] in
            for (series, openMs) in ledger.onPublish(channel: $0, message: $1) { onClosedPublished(series, openMs) }
        }
        redis.onUnknown = { [unowned self] in complain("a command nobody knows: \($0.prefix(3).map { $0.prefix(60) })") }
        redis.onLooked = { [unowned self] key, isEmpty in
            lookedMs[key] = exchange.nowMs
            if isEmpty { emptyMs[key] = exchange.nowMs }
        }
        redis.onForgot = { [unowned self] in ledger.onForgotten() }
        redis.onScript = { [unowned self] key, before, after in onScript(key, before, &after) }
    }

    /// What is announced as closed is in the history.
    private func onClosedPublished(_ index: Int, _ openMs: Int64) {
        guard let healing = scenario.healing, healing.lossNs == nil, scenario.hasSteadyRedis, !scenario.hasOtherWriter else { return }
        let series = scenario.series[index]
        let entries = database(schema.historyKey(series)).entries(schema.historyKey(series))
        if !entries.reversed().contains(where: { $0.openMs == openMs }) {
            complain("\(series) \(openMs): announced as closed, and not stored")
        }
    }

    func complain(_ sentence: String) { if complaints.count < 100 { complaints.append(sentence) } }

    // MARK: Lives of the process

    func begin() {
        kernel.tell? { "the process starts" }
        let client = rest.map { SimulatedRest($0, fault: fault) { [unowned self] in complain($0) } }
        let process = EngineProcess(
            scenario, schema, fault: fault, askRedis: { [unowned self] in ask($0) }, exchange: exchange, rest: client)
        self.process = process
        process.deal(scenario.series.enumerated().filter { ledger.isFollowed[$0.offset] }.map(\.element))
        process.start(kernel)
    }

    /// `kill -9`; somebody starts it again.
    func kill() {
        guard let process else { return }
        kernel.tell? { "kill -9" }
        kernel.note(10)
        kernel.killClient()
        process.rest?.isDead = true
        self.process = nil
        exchange.forgetReaders()
        ledger.onKilled()
        kernel.plan(afterNs: UInt64(random.number(300...5_000)) * 1_000_000) { [unowned self] in begin() }
    }

    // MARK: Running

    private func run() -> Outcome {
        begin()
        exchange.start()
        planTrouble()
        planMaps()
        turnUntil(kernel.nowNs + scenario.troubleNs) { false }
        // Calm: everything works, and in good time everything is live.
        servers.heal()
        rest?.heal()
        for index in process?.sleepsUntilNs.indices ?? 0..<0 { process!.sleepsUntilNs[index] = 0 }
        if !turnUntil(kernel.nowNs + 700_000_000_000, { [unowned self] in process?.isLive ?? false }) {
            complain("not live again: \(counters[.connectionsLive]) of \(process?.connectionCount ?? 0)")
        }
        guard let process else { return outcome }
        if process.isLive, let deaf = process.deafSeries {
            complain("\(deaf) is on a connection that is not on the board, at \(exchange.nowMs)")
        }
        let settledMs = exchange.nowMs
        if scenario.healing != nil { turnUntilWhole(process) }
        turnUntil(kernel.nowNs + 5_000_000_000) { false }
        exchange.fallSilent()
        turnUntil(kernel.nowNs + 3_000_000_000) { false }
        hasHealerEnded = true
        for reader in process.readers { _ = reader.commands.offer(.stop) }
        let isStopped = turnUntil(kernel.nowNs + 10_000_000_000) { process.readers.allSatisfy(\.isStopped) }
        if !isStopped { complain("readers do not stop") }
        _ = process.sink.commands.offer(.drain)
        let isDrained = turnUntil(kernel.nowNs + 60_000_000_000) { process.sink.isDrained }
        if !isDrained { complain("the sink does not drain: \(counters[.closedPending]) closed pending, \(counters[.closedHeld]) held") }
        process.release()
        if let complaint = process.releaseComplaint { complain(complaint) }
        for agent in process.agents { agent.onClose() }
        if !isSpinning { check(process, settledMs: settledMs) }
        return outcome
    }

    /// Nothing is missing but what Redis will never take, and what nobody follows.
    private func lacksNothing(_ process: EngineProcess) -> Bool {
        if process.isWhole { return true }
        guard process.counters[.closedHeld] + process.counters[.closedPending] == 0 else { return false }
        return process.gaps.open.allSatisfy { gap in
            let index = scenario.series.firstIndex(of: gap.series)!
            return !ledger.isFollowed[index] || holds(schema.historyKey(gap.series))
        }
    }

    /// The healer has all the time that it needs, and then a little more to find that nothing is missing.
    private func turnUntilWhole(_ process: EngineProcess) {
        // Whoever was away while no bars were made must hear of it first.
        let followed = scenario.series.indices.filter { ledger.isFollowed[$0] }
        let isHeard = turnUntil(kernel.nowNs + 900_000_000_000) { [unowned self] in
            followed.allSatisfy { exchange.tapes[$0].openMs <= exchange.nowMs && ledger.newest[$0] != nil }
        }
        if !isHeard { complain("a series from which nothing is heard") }
        turnUntil(kernel.nowNs + 20_000_000_000) { false }
        let isWhole = turnUntil(kernel.nowNs + 900_000_000_000) { [unowned self] in
            process.isLive && lacksNothing(process) && !followed.contains(where: exchange.isMute)
        }
        // A stream that is mute is noticed within some seconds.
        wholeMs = exchange.nowMs - 5_000
        guard !isWhole else { return }
        let open = process.gaps.open.prefix(3).map { "\($0.series) \($0.fromMs)…\($0.untilMs) \($0.cause) \($0.state) \($0.tries)" }
        complain(
            "not healed: \(open), \(counters[.closedHeld]) held, \(counters[.closedPending]) pending, live \(process.isLive), "
                + "mute \(followed.filter(exchange.isMute))")
    }

    private var outcome: Outcome {
        Outcome(
            seed: scenario.seed, complaints: complaints, trace: kernel.trace, counters: counters, virtualNs: kernel.nowNs,
            closedCompared: ledger.closedCompared, turns: turns)
    }

    var counters: CounterSnapshot { process?.counters ?? CounterSnapshot([]) }

    /// Lets agents work and time pass until the condition holds or the time is up. Agents take turns as threads
    /// would: all of one thread at once, or each by itself in any order.
    @discardableResult
    private func turnUntil(_ endNs: UInt64, _ condition: () -> Bool) -> Bool {
        while kernel.nowNs < endNs {
            process?.listen()
            if kernel.tell != nil { tellJournal() }
            if condition() { return true }
            guard let process, let runnable = runnable(process) else {
                kernel.advance(toNs: max(kernel.nowNs + 1, min(endNs, nextNs())))
                continue
            }
            turns += 1
            if kernel.nowNs &- second.startNs >= 1_000_000_000 { second = (kernel.nowNs, turns) }
            guard turns - second.turns < World.turnsPerSecondMax else {
                if isSpinning { return false }
                isSpinning = true
                complain("agents turn without end: \(runnable.map { why(process, $0) }.joined(separator: ", "))")
                return false
            }
            if scenario.isShared {
                turn(process, Array(turnable(process)))
            } else {
                let index = random.pick(runnable)
                turn(process, [index])
                // Its thread may lose its core.
                if random.chance(0.01) { process.sleepsUntilNs[index] = kernel.nowNs + UInt64(random.number(1...300_000)) * 100 }
            }
            kernel.advance(toNs: kernel.nowNs + UInt64(random.number(500...20_000)))
        }
        return condition()
    }

    /// The engine's own log becomes part of the story.
    private func tellJournal() {
        for line in process?.journal.drain().lines ?? [] {
            kernel.tell? { "engine: \(line.message) \(line.fields.map { "\($0)=\($1)" }.joined(separator: " "))" }
        }
    }

    /// The healer is the last.
    private func turnable(_ process: EngineProcess) -> Range<Int> {
        0..<process.agents.count - (hasHealerEnded && process.healer != nil ? 1 : 0)
    }

    /// Nil when there is none.
    private func runnable(_ process: EngineProcess) -> [Int]? {
        let list = turnable(process).filter { process.isRunnable($0, kernel) }
        return list.isEmpty ? nil : list
    }

    private func why(_ process: EngineProcess, _ index: Int) -> String {
        let agent = process.agents[index]
        let reports = process.reports(index, kernel).map { "slot \($0.token.slot) \($0.readiness.rawValue)" }
        let due = agent.nextDeadlineNs() <= kernel.nowNs
        return "\(agent.roleName) \(agent.hasWork() ? "has work " : "")\(due ? "is due " : "")\(reports)"
    }

    private func nextNs() -> UInt64 {
        let eventNs = kernel.events.nextNs ?? .max
        guard let process else { return eventNs }
        return turnable(process).reduce(eventNs) { min($0, process.dueNs($1, kernel)) }
    }

    private func turn(_ process: EngineProcess, _ indices: [Int]) {
        process.turn(indices, kernel) { turning = $0 }
        if process.readers.count(where: \.isRolling) > 1 { complain("two connections are being replaced for their age") }
        if turnsPerCheck > 0 { checkInvariants(process, indices) }
    }

    /// The first that is broken is told; what follows from it is not.
    private func checkInvariants(_ process: EngineProcess, _ turned: [Int]) {
        let isWhole = turns % turnsPerCheck == 0
        guard !hasBrokenInvariant, let sentence = process.checkInvariants(turned, isWhole: isWhole) else { return }
        hasBrokenInvariant = true
        complain("after turn \(turns): \(sentence)")
    }
}
