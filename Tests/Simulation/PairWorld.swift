// A group of two in one world: each member a process with its own readers, table and sink, and all that surrounds them misbehaves as the
// seed says. Series change hands: planned, because their writer sleeps, because it is killed. What is judged: each closed candle that its
// writer has read, or whoever became it and had a Redis that answers within half a minute, is stored with the exchange's values unless all
// of them were killed since; and no newest state is older than what its writer has read last. Told from outside is only what the control
// threads would tell. One thread.

import FastFeed

public final class PairWorld {
    /// A closed candle that somebody has read.
    private struct Receipt {
        let state: KlineState
        /// By member: when it has read it; nil: not, or it was killed since.
        var readNs: [UInt64?] = [nil, nil]
        /// By member: it has had it to write.
        var isOwed = [false, false]
    }

    private static let ttlMs = 2_000
    /// What a member has for certain kept of what another one writes, and writes when a Redis answers: half of `SinkSettings.rewriteMs`.
    private static let keptNs: UInt64 = .ns(ms: 30_000)

    private let scenario: Scenario
    private let servers: Servers
    private let schema = KeySchema(prefix: "")
    private var random: SplitMix64
    /// Nil: dead.
    private var members: [EngineProcess?] = [nil, nil]
    /// By series.
    private var writer: [Int]
    /// Whose agents have their turn.
    private var reading = 0
    private var receipts: [[Int64: Receipt]]
    /// By member and series: the newest state that it has read.
    private var newest: [[KlineState?]]
    private var stateOfJSON: [String: KlineState] = [:]
    /// Told, and not answered by Redis yet: with what had been written before.
    private var takeOvers: [(member: EngineProcess, indices: [Int], written: UInt64)] = []
    /// By series: open times of candles that Redis has refused, as a process listed them that was killed, or has been told something since.
    private var refused: [Series: Set<Int64>] = [:]
    /// Candles that had no room any more: of a series that was given away meanwhile nobody lists them, and the healer, who is not here, finds
    /// what is missing.
    private var overflowCount: UInt64 = 0
    private var complaints: [String] = []
    /// Closed candles that had to be stored.
    private var judgedCount = 0
    private var turns = 0
    /// When the present second has begun, and how many turns there were before it.
    private var second: (startNs: UInt64, turns: Int) = (0, 0)
    /// A member sleeps, or is dead, or has not had what it took over for long.
    private var busyUntilNs: UInt64 = 0
    private let fault: PlantedFault?

    public static func run(seed: UInt64, fault: PlantedFault? = nil, tell: ((String) -> Void)? = nil) -> Outcome {
        // Without a healer: what the group keeps is not brought back by another hand. (And a group always coalesces.)
        let scenario = (0...).lazy.map { Scenario(seed: seed &* 1_000 &+ $0) }.first {
            $0.healing == nil && $0.changingCount == 0 && $0.coalesces
        }!
        let world = PairWorld(scenario, fault)
        let kernel = world.servers.kernel
        if let tell { kernel.tell = { [unowned kernel] in tell("\(Double(kernel.nowNs / 1_000) / 1e6) \($0())") } }
        kernel.tell? { "\(scenario)" }
        defer { kernel.end() }
        world.run()
        return Outcome(
            seed: seed, complaints: world.complaints, trace: kernel.trace,
            counters: CounterSnapshot(world.members.compactMap { $0 }.flatMap(\.banks)), virtualNs: kernel.nowNs,
            closedCompared: world.judgedCount, turns: world.turns)
    }

    private init(_ scenario: Scenario, _ fault: PlantedFault?) {
        (self.scenario, self.fault) = (scenario, fault)
        servers = Servers(scenario, schema, nil)
        random = SplitMix64(seed: scenario.seed ^ 0xAB)
        writer = scenario.series.map { _ in 0 }
        receipts = scenario.series.map { _ in [:] }
        newest = [0, 1].map { _ in scenario.series.map { _ in nil } }
        servers.exchange.onKline = { [unowned self] in onDelivered($0) }
        for redis in servers.cluster?.nodes ?? [servers.redis] {
            redis.onUnknown = { [unowned self] in complain("a command nobody knows: \($0.prefix(3))") }
        }
    }

    private var kernel: SimulatedKernel { servers.kernel }

    private func complain(_ sentence: String) { if complaints.count < 100 { complaints.append(sentence) } }

    private func onDelivered(_ state: KlineState) {
        let index = state.series
        stateOfJSON[state.json(scenario.series[index])] = state
        if newest[reading][index]?.isOlder(than: state) ?? true { newest[reading][index] = state }
        guard state.isClosed else { return }
        kernel.tell? { "member \(reading) reads \(scenario.series[index]) \(state.openMs), closed" }
        var receipt = receipts[index][state.openMs] ?? Receipt(state: state)
        receipt.readNs[reading] = receipt.readNs[reading] ?? kernel.nowNs
        if writer[index] == reading { receipt.isOwed[reading] = true }
        receipts[index][state.openMs] = receipt
    }

    // MARK: The group

    private func begin(_ place: Int) {
        kernel.tell? { "member \(place) starts" }
        let member = EngineProcess(
            scenario, schema, fault: nil, askRedis: { _ in nil }, exchange: servers.exchange, rest: nil, client: place)
        members[place] = member
        member.deal(scenario.series)
        member.start(kernel)
        disown(scenario.series.indices.filter { writer[$0] != place }, member)
    }

    private func handles(_ indices: [Int], _ member: EngineProcess) -> [SeriesHandle] {
        indices.compactMap { member.placement.handle(scenario.series[$0]) }
    }

    private func disown(_ indices: [Int], _ member: EngineProcess) {
        _ = member.sink.commands.offer(.disown(handles(indices, member)))
        // A sink whose queue is full has left the rest in its ring, and takes it as another's. (The new writer's healer finds what it lacks.)
        guard scenario.closedMax < PairWorld.roomyQueue else { return }
        for index in indices { for openMs in receipts[index].keys { receipts[index][openMs]!.isOwed[member.client] = false } }
    }

    private static let roomyQueue = 1_024

    /// Once more a TTL later, when what the other one had under way has come for certain, as the control thread does it.
    private func give(_ indices: [Int], to place: Int, afterMs: Int) {
        let member = members[place]
        for index in indices { writer[index] = place }
        for waitMs in [afterMs, afterMs + PairWorld.ttlMs] {
            kernel.plan(afterNs: .ns(ms: waitMs)) { [unowned self] in
                guard let member, members[place] === member else { return }
                own(indices.filter { writer[$0] == place }, place, member)
            }
        }
    }

    private func own(_ indices: [Int], _ place: Int, _ member: EngineProcess) {
        kernel.tell? { "member \(place) writes \(indices.map { "\(scenario.series[$0])" })" }
        _ = member.sink.commands.offer(.own(handles(indices, member)))
        takeOvers.append((member, indices, member.sink.counters.value(.candlesWritten)))
    }

    /// What was taken over is owed from the moment on at which Redis answers.
    private func noteAnswered(_ member: EngineProcess) {
        guard !takeOvers.isEmpty else { return }
        let written = member.sink.counters.value(.candlesWritten)
        let (place, answered) = (member.client, takeOvers.filter { $0.member === member && written > $0.written })
        for index in answered.flatMap(\.indices) where writer[index] == place {
            for (openMs, receipt) in receipts[index] {
                guard let readNs = receipt.readNs[place], readNs + PairWorld.keptNs >= kernel.nowNs else { continue }
                receipts[index][openMs]!.isOwed[place] = true
            }
        }
        takeOvers.removeAll { $0.member === member && written > $0.written || members[$0.member.client] !== $0.member }
    }

    private func befall() {
        let place = random.number(0...1)
        guard kernel.nowNs >= busyUntilNs, let member = members[place], members[1 - place] != nil else { return }
        let indices = writer.indices.filter { writer[$0] == place }
        switch random.number(0...3) {
        case 0, 1:
            let some = indices.filter { _ in random.chance(0.5) }
            disown(some, member)
            give(some, to: 1 - place, afterMs: random.number(0...50))
        case 2:
            let sleepMs = random.number(PairWorld.ttlMs + 500...4 * PairWorld.ttlMs)
            kernel.tell? { "member \(place) sleeps for \(sleepMs) ms" }
            for index in member.sleepsUntilNs.indices { member.sleepsUntilNs[index] = kernel.nowNs + .ns(ms: sleepMs) }
            // Before it writes it has asked.
            disown(indices, member)
            give(indices, to: 1 - place, afterMs: PairWorld.ttlMs + random.number(0...400))
            rest(sleepMs)
        default: kill(place, indices)
        }
    }

    private func rest(_ milliseconds: Int) { busyUntilNs = kernel.nowNs + .ns(ms: milliseconds + 2 * Limits.takenOverMs) }

    private func kill(_ place: Int, _ indices: [Int]) {
        kernel.tell? { "kill -9 of member \(place)" }
        let member = members[place]!
        noteRefused(member)
        overflowCount += member.counters[.closedQueueOverflow]
        kernel.killClient(place)
        members[place] = nil
        newest[place] = scenario.series.map { _ in nil }
        for index in scenario.series.indices {
            for openMs in receipts[index].keys {
                receipts[index][openMs]!.readNs[place] = nil
                receipts[index][openMs]!.isOwed[place] = false
            }
        }
        let awayMs = random.number(300...5_000)
        kernel.plan(afterNs: .ns(ms: awayMs)) { [unowned self] in begin(place) }
        if fault == .deathUnheard {
            for index in indices { writer[index] = 1 - place }
        } else {
            give(indices, to: 1 - place, afterMs: PairWorld.ttlMs + random.number(0...1_000))
        }
        rest(max(awayMs, PairWorld.ttlMs))
    }

    // MARK: Running

    private func run() {
        for place in members.indices { begin(place) }
        servers.exchange.start()
        planTrouble()
        turnUntil(kernel.nowNs + scenario.troubleNs) { false }
        servers.heal()
        // Of what is late in a dead member's socket only the next event makes the newest state again.
        servers.exchange.endDeafConnections()
        for member in members { for index in member?.sleepsUntilNs.indices ?? 0..<0 { member!.sleepsUntilNs[index] = 0 } }
        if !turnUntil(kernel.nowNs + 700_000_000_000, { [unowned self] in members.allSatisfy { $0?.isLive ?? false } }) {
            complain("not live again: \(members.map { $0?.isLive ?? false })")
        }
        turnUntil(kernel.nowNs + .ns(ms: 3 * Limits.takenOverMs)) { false }
        servers.exchange.fallSilent()
        turnUntil(kernel.nowNs + 3_000_000_000) { false }
        let processes = members.compactMap { $0 }
        for process in processes { for reader in process.readers { _ = reader.commands.offer(.stop) } }
        if !turnUntil(kernel.nowNs + 10_000_000_000, { processes.allSatisfy { $0.readers.allSatisfy(\.isStopped) } }) {
            complain("readers do not stop")
        }
        for process in processes { _ = process.sink.commands.offer(.drain) }
        if !turnUntil(kernel.nowNs + 60_000_000_000, { processes.allSatisfy(\.sink.isDrained) }) { complain("a sink does not drain") }
        for agent in processes.flatMap(\.agents) { agent.onClose() }
        for process in processes { noteRefused(process) }
        overflowCount += processes.reduce(0) { $0 + $1.counters[.closedQueueOverflow] }
        for index in scenario.series.indices { check(index) }
        for process in processes where !process.counters.isBalanced { complain("the books do not balance: \(process.counters.books)") }
    }

    private func planTrouble() {
        let endNs = kernel.nowNs + scenario.troubleNs
        func every(_ meanNs: UInt64?, _ fault: @escaping () -> Void) {
            kernel.every(meanNs, until: endNs, draw: { [unowned self] in .random(in: 0...2 * $0, using: &random) }, fault)
        }
        let keys = scenario.series.map(schema.historyKey)
        every(scenario.exchangeFaultNs) { [unowned self] in servers.exchange.misbehave() }
        every(scenario.redisFaultNs) { [unowned self] in servers.misbehave(keys, &random) }
        every(scenario.cluster?.troubleNs) { [unowned self] in servers.cluster?.misbehave() }
        every(scenario.troubleNs / UInt64(random.number(2...12))) { [unowned self] in befall() }
        guard let cluster = servers.cluster else { return }
        kernel.every(.ns(ms: Limits.clusterMapAgainMs), until: .max, draw: { $0 }) { [unowned self] in
            for (place, member) in members.enumerated() {
                member?.askForMap(
                    cluster, kernel, afterMs: { random.number(cluster.scenario.mapMs) },
                    isAlive: { [unowned self] in members[place] === member })
            }
        }
    }

    /// Agents take turns as threads of two processes would.
    @discardableResult
    private func turnUntil(_ endNs: UInt64, _ condition: () -> Bool) -> Bool {
        while kernel.nowNs < endNs {
            if condition() { return true }
            let all = members.indices.flatMap { place in (members[place]?.agents.indices ?? 0..<0).map { (place, $0) } }
            let runnable = all.filter { members[$0.0]!.isRunnable($0.1, kernel) }
            guard !runnable.isEmpty else {
                let dueNs = all.reduce(kernel.events.nextNs ?? .max) { min($0, members[$1.0]!.dueNs($1.1, kernel)) }
                kernel.advance(toNs: max(kernel.nowNs + 1, min(endNs, dueNs)))
                continue
            }
            turns += 1
            if kernel.nowNs &- second.startNs >= 1_000_000_000 { second = (kernel.nowNs, turns) }
            guard turns - second.turns < World.turnsPerSecondMax else {
                complain("agents turn without end: \(runnable)")
                return false
            }
            let (place, index) = random.pick(runnable)
            let member = members[place]!
            reading = place
            // Who gives a series away forgets its gaps.
            if index == member.readers.count, member.sink.commands.isWaiting { noteRefused(member) }
            member.turn([index], kernel) { _ in }
            noteAnswered(member)
            if let sentence = member.checkInvariants([index], isWhole: turns % World.turnsPerCheck == 0) {
                complain("after turn \(turns), member \(place): \(sentence)")
                return false
            }
            if kernel.tell != nil {
                for line in member.journal.drain().lines {
                    kernel.tell? { "member \(place): \(line.message) \(line.fields.map { "\($0)=\($1)" }.joined(separator: " "))" }
                }
            }
            if random.chance(0.01) { member.sleepsUntilNs[index] = kernel.nowNs + UInt64(random.number(1...300_000)) * 100 }
            kernel.advance(toNs: kernel.nowNs + UInt64(random.number(500...20_000)))
        }
        return condition()
    }

    private func noteRefused(_ member: EngineProcess) {
        for gap in member.gaps.open where gap.cause == .refused {
            var openMs = gap.fromMs
            while openMs < gap.untilMs {
                refused[gap.series, default: []].insert(openMs)
                openMs = gap.series.interval.nextOpenTime(after: openMs)
            }
        }
    }

    // MARK: The reckoning

    private func check(_ index: Int) {
        let (series, key) = (scenario.series[index], schema.historyKey(scenario.series[index]))
        let entries = servers.database(key).entries(key)
        for entry in entries {
            guard let receipt = receipts[index][entry.openMs] else {
                complain("\(series) \(entry.openMs): stored, never sent")
                continue
            }
            if entry.fields.dropLast(2) != receipt.state.fields[...] {
                complain("\(series) \(entry.openMs): stored \(entry.fields), sent \(receipt.state.fields)")
            }
        }
        let stored = Set(entries.map(\.openMs))
        if stored.count != entries.count { complain("\(series): an entry twice") }
        let (isJudged, refused) = (overflowCount == 0 && !servers.holds(key), refused[series] ?? [])
        for (openMs, receipt) in receipts[index].sorted(by: { $0.key < $1.key }) where isJudged && receipt.isOwed.contains(true) {
            judgedCount += 1
            if stored.contains(openMs) || refused.contains(openMs) { continue }
            complain("\(series) \(openMs): who writes it has read it, and it is not stored")
        }
        checkNewest(index)
    }

    private func checkNewest(_ index: Int) {
        let (series, key) = (scenario.series[index], schema.latestKey(.spot, scenario.series[index].interval))
        guard let state = newest[writer[index]][index], !servers.holds(key) else { return }
        let stored = servers.database(key).hashes[key]?[series.symbol.name]
        guard let known = stored.flatMap({ stateOfJSON[$0] }) else { return complain("\(series): the newest is \(stored ?? "nothing")") }
        if known.isOlder(than: state) { complain("\(series): the newest is \(stored!), its writer has read \(state.json(series))") }
    }
}
