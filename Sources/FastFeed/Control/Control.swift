// The control thread: it turns its desks and waits until a message comes, an agent or the exchange says something, or something
// is due. Plain and synchronous; the data path is touched only through the agents' mailboxes. While Redis is away the line
// connects anew, and the data path goes on. What commands do is in `Control+Commands`, who may take them in `Control+Lease`.

import Glibc
import Synchronization

package final class Control: @unchecked Sendable {
    // Shared: `stopping`, `leaving`, `left`, `wakeUp`, `counters`, `meter`, `durations`, `exchangeAnswers`. All else is the control
    // thread's alone once it runs.
    package let counters = CounterBank()
    package let meter: ThreadMeter
    package let durations = Dictionary(uniqueKeysWithValues: CommandKind.allCases.map { ($0, LatencyHistogram()) })
    /// One answer for each question, and questions are bounded: it is never full.
    package let exchangeAnswers: Mailbox<ExchangeAnswer>
    private let stopping = Atomic<Bool>(false)
    private let leaving = Atomic<Bool>(false)
    private let left = Atomic<Bool>(false)
    private let isMember: Bool
    private let wakeUp: WakeUp
    private var thread: PinnedThread?

    let engine: EngineHandles
    let journal: Journal
    var line: RedisLine
    var commands: CommandDesk
    var fluxes: FluxBook
    var symbols = SymbolList()
    var catalogue: Catalogue
    var data: DataDesk
    /// Nil: the primary alone is read from.
    var replica: ReplicaReader?
    let redis: RedisEndpoint
    var heal: HealDesk
    var status: StatusDesk
    var lease: Lease
    /// The exchange's clock should be ours.
    private let watchesClock: Bool
    /// When the lease was asked for by a question that Redis answers late.
    var lateLeaseNs: UInt64?
    var upkeep: Upkeep
    /// Nil without a group.
    var group: GroupDesk?
    /// Redis lets this user ask for INFO, as far as is known of this connection.
    var mayAskInfo = true
    /// Commands are taken, the status is written, the registry is ours.
    var isServing = false
    /// What a standby has read last: who keeps the registry, and its entries.
    var registryReading: [RedisReply] = []
    /// Fluxes that were stopped last: a failover may have lost that.
    var erased: [Flux] = []
    private var ledger: ConnectLedger
    /// The subscriber was not read to its end: it may hold messages that the socket does not show.
    private var mayHoldMoreCommands = false

    /// - Parameters:
    ///   - fluxes: those of the configuration, which the agents follow already.
    ///   - group: who we are in a group; nil without one.
    package init(
        _ engine: EngineHandles, redis: RedisEndpoint, schema: KeySchema, fluxes: FluxBook, leaseMs: Int, watchesClock: Bool,
        group: (settings: Membership.Settings, facts: MemberFacts, agreed: String, pulse: Pulse)? = nil, journal: Journal, seed: UInt64
    ) throws(SystemError) {
        (self.engine, self.fluxes, self.watchesClock, self.journal) = (engine, fluxes, watchesClock, journal)
        isMember = group != nil
        // Of a group each member has its share of the attempts.
        let ledgerKey = group.map { schema.memberConnectsKey($0.settings.name) } ?? schema.connectsKey
        ledger = ConnectLedger(key: ledgerKey, nowNs: MonotonicClock.nowNs(), nowMs: WallClock.nowMs())
        commands = CommandDesk(schema: schema, counters: counters, durations: durations, journal: journal)
        line = RedisLine(redis, channels: commands.channels + (group == nil ? [] : [schema.membersKey]), journal: journal, seed: seed)
        data = DataDesk(schema: schema)
        replica = engine.replicas.map { ReplicaReader($0, of: redis) }
        self.redis = redis
        catalogue = Catalogue(schema: schema)
        heal = HealDesk(market: schema.market, gaps: engine.gaps)
        status = StatusDesk(
            schema: schema, board: engine.standings, troubles: engine.troubles, healing: engine.healer == nil ? nil : engine.gaps,
            startedAtMs: WallClock.nowMs())
        (status.redis, status.updates) = (RedisStanding(redis), engine.sink.updates)
        lease = Lease(key: schema.leaseKey, lifeMs: leaseMs, host: StatusDesk.hostName, pid: getpid(), nonce: seed, isNeeded: group == nil)
        upkeep = Upkeep(schema: schema)
        self.group = group.map { GroupDesk($0.settings, facts: $0.facts, agreed: $0.agreed, schema: schema, pulse: $0.pulse) }
        wakeUp = try WakeUp()
        meter = ThreadMeter(name: "control", wakeUp: wakeUp)
        exchangeAnswers = Mailbox(capacity: Limits.dataQuestionsMax + 2, receiver: wakeUp)
        for reader in engine.readers { reader.refusedStreams.setReceiver(wakeUp) }
        engine.sink.events.setReceiver(wakeUp)
        engine.healer?.events.setReceiver(wakeUp)
        engine.budget.setKeeper(wakeUp)
    }

    package func start() throws(SystemError) {
        thread = try PinnedThread.start(name: meter.name) { [self] in run() }
    }

    /// Says `stopped` and ends the thread: at once, unless Redis does not answer. Then the question that is being asked has its second
    /// (`controlRedisTimeoutMs`), and the last words have theirs.
    package func stop() {
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
        thread?.join()
        thread = nil
    }

    /// Before `stop`, in a group: waits until the others follow what this member follows, for `Limits.leavingMs` at most.
    package func leave() {
        guard isMember, thread != nil else { return }
        leaving.store(true, ordering: .releasing)
        wakeUp.signal()
        let untilNs = MonotonicClock.nowNs() + .ns(ms: Limits.leavingMs + Limits.beatMs)
        while !left.load(ordering: .acquiring) && MonotonicClock.nowNs() < untilNs { usleep(2_000) }
    }

    var isLeaving: Bool { leaving.load(ordering: .acquiring) }
    var hasLeft: Bool { left.load(ordering: .relaxed) }
    func noteLeft() { left.store(true, ordering: .releasing) }

    /// Any thread: Redis's primary is another server now. The line sees it when it is turned.
    package func noteMove() { wakeUp.signal() }

    var nowNs: UInt64 { MonotonicClock.nowNs() }
    /// False once the thread is to end: then nothing is begun that waits.
    var isWanted: Bool { !stopping.load(ordering: .acquiring) }

    /// Asked while it waits for a connection: that is not standing still.
    func waitsOn() -> Bool {
        meter.add(0)
        noteAwake()
        return isWanted
    }

    private func run() {
        while !stopping.load(ordering: .acquiring) {
            let turnNs = nowNs
            noteAwake()
            let isNew = line.connectIfDue(nowNs, isWanted: { waitsOn() })
            keepLedger()
            if isNew { greetRedis() }
            line.takeReplies()
            takeLateLease()
            if beatIsDue { beat() }
            endAsking()
            leaveIfDue()
            claimAgain()
            takeMessages()
            line.watchSubscriber(nowNs)
            takeEvents()
            takeExchangeAnswers()
            takeWaiters()
            keepCatalogue()
            askWhatIsDue()
            line.flush()
            meter.add(nowNs &- turnNs)
            wait()
        }
        if isServing && lease.isHeld(nowNs) && group == nil {
            line.post(status.end(fluxes, nowNs: nowNs, nowMs: WallClock.nowMs()) + lease.release)
        }
        line.finish()
    }

    private func wait() {
        let waitersNs = isServing && lease.isHeld(nowNs) ? min(symbols.waitersDueNs, catalogue.workDueNs) : .max
        let beatNs = line.isReady ? min(group?.dueNs ?? lease.dueNs, waitersNs) : .max
        // A member's thread shows that it is awake.
        let awakeNs = group.map { nowNs + .ns(ms: isLeaving ? Limits.claimAgainMs : $0.membership.settings.ttlMs / 4) } ?? .max
        wakeUp.park(line.pollEntries, untilNs: min(line.dueNs, status.dueNs, beatNs, awakeNs)) {
            stopping.load(ordering: .acquiring) || line.isOutdated || engine.haveSaidSomething || exchangeAnswers.isWaiting
                || isLeaving && !hasLeft && line.isReady && group?.membership.state != .leaving || mayHoldMoreCommands && line.isReady
        }
    }

    // MARK: Redis

    /// Attempts to connect, for the process that follows this one. The first thing of all: until it is read nobody connects to the
    /// exchange.
    private func keepLedger() {
        guard line.isReady else { return }
        if let question = ledger.question(nowNs: nowNs) {
            guard let reply = line.ask([question])?[0] else { return }
            if let agesNs = ledger.take(reply, nowNs: nowNs) { engine.budget.learn(agesNs: agesNs, nowNs: nowNs) }
            if ledger.isRefused, case .error(let message) = reply {
                journal.note(
                    .warning, "Redis refuses the ledger of connection attempts: this process keeps to the exchange's limit by itself",
                    ("reply", message), ("see", "deploy/redis-acl.conf"))
            }
        }
        // While Redis is away they wait in the budget.
        if ledger.isKept { line.post(ledger.writes(engine.budget.takeNews())) }
    }

    private func takeMessages() {
        // So many, and then what they ask is sent; the rest comes with the next turn.
        for _ in 0..<Limits.commandsPerTurnMax {
            guard line.isReady && isWanted else { return }
            mayHoldMoreCommands = true
            switch line.next() {
            case .message(let channel, let payload):
                if let channel = group.map({ $0.membership.channel == channel ? $0.membership.channel : "" }), !channel.isEmpty {
                    hearGroup(payload)
                    break
                }
                // The clock is read behind the message: what another may have heard as well is not answered here.
                guard mayAnswer() else { return }
                if group != nil {
                    if let heard = commands.hear(channel, payload, nowNs: nowNs) { claim(heard) }
                    break
                }
                switch commands.take(channel, payload, nowNs: nowNs) {
                case .carryOut(let request, let command): carryOut(request, command)
                case .publish(let answer): line.post([answer])
                case .nothing: break
                }
            case .tooLong(let channel, let bytes): commands.skip(channel, bytes: bytes)
            case .subscribed, .unsubscribed, .pong: break
            case .nothing, .lost, .refused:
                mayHoldMoreCommands = false
                return
            }
        }
    }

    // MARK: Agents and the exchange

    private func takeEvents() {
        for reader in engine.readers {
            for stream in reader.refusedStreams.takeAll() { fluxes.refuse(stream) }
        }
        for event in engine.sink.events.takeAll() {
            switch event {
            case .released(let ids):
                fluxes.release(ids)
                for change in fluxes.placeMissing() { engine.tell(change) }
            case .report(let reports): takeStandings(reports)
            case .silent(let ids): takeSilent(ids)
            }
        }
        for event in engine.healer?.events.takeAll() ?? [] {
            switch event {
            case .audited(let token, let result):
                if let (request, result) = heal.answer(token, result) { answer(request, result) }
            case .mute(let series, let times): subscribeAnew(series, times)
            }
        }
    }

    /// Its stream is mute: where it is, and from the second time on elsewhere.
    private func subscribeAnew(_ series: Series, _ times: Int) {
        guard fluxes.placement.handle(series) != nil else { return }
        counters.add(.muteStreams)
        journal.note(
            .warning, "a stream brings nothing though its bars move; it is subscribed anew", key: "mute", ("series", "\(series)"),
            ("times", "\(times)"))
        engine.tell(times > 1 ? fluxes.move(series) : fluxes.renew(series))
    }

    private func takeStandings(_ reports: [SeriesReport]) {
        guard let figures = engine.figures() else { return }
        let (nowNs, nowMs) = (nowNs, WallClock.nowMs())
        status.redis = RedisStanding(redis, replicas: status.redis.replicas)
        status.takeStandings(
            reports, fluxes, figures, quiet: engine.healer?.quiet.withLock { $0 } ?? [], isConnected: line.isReady,
            isRegistryRead: fluxes.isResumed, nowNs: nowNs, nowMs: nowMs)
        if let behindMs = status.clockDifferenceMs { engine.clock.learn(behindMs: behindMs) }
        if watchesClock, let apartMs = status.clockDifferenceMs, apartMs.magnitude > Limits.clockDifferenceMs.magnitude {
            journal.note(
                .warning, "the exchange's clock and ours differ; is this machine's clock synchronised?", key: "clocks",
                ("exchange_behind_ms", "\(apartMs)"))
        }
        guard line.isReady && isServing && lease.isHeld(nowNs) else { return }
        if group != nil { return writeGroupStatus(figures, nowMs: nowMs) }
        lookForRival()
        line.post(status.writes(fluxes, figures, nowNs: nowNs, nowMs: nowMs))
    }

    private func takeExchangeAnswers() {
        for answer in exchangeAnswers.takeAll() {
            switch answer {
            case .symbols(let result): learnSymbols(result)
            case .figures(let result): learnFigures(result)
            case .candles(let query, let result):
                let stored = storedRows(query)
                let (answers, cached) = data.answerWaiters(query, result, stored: stored, nowMs: engine.clock.nowMs, nowNs: nowNs)
                if let cached, line.isReady { line.post([cached]) }
                for (request, result) in answers { self.answer(request, result) }
            }
        }
    }

    private func learnSymbols(_ result: Result<ExchangeInformation, RestFailure>) {
        switch result {
        case .success(let found) where found.instruments.isEmpty:
            // As in the exchange's maintenance: that says nothing about any symbol.
            learnSymbols(.failure(.unavailable("the exchange lists no symbols")))
        case .success(let found):
            symbols.learn(found.instruments, nowNs: nowNs)
            let left = catalogue.learn(found.instruments)
            for change in fluxes.judge(by: symbols) { engine.tell(change) }
            status.markDue()
            journal.note(
                .info, "symbols of the exchange", key: "symbols", ("count", "\(found.instruments.count - left)"),
                ("skipped", "\(found.skipped + left)"))
        case .failure(let failure):
            symbols.fail(nowNs: nowNs)
            catalogue.failList()
            journal.note(
                .warning, "no list of symbols comes; names are checked by the last one, or by their form", key: "no-symbols",
                ("reason", "\(failure)"))
        }
    }

    /// Commands that have waited for the list. One at a time: each may cost a question to Redis, and the lease with it. (Without it they
    /// wait until it is renewed, or until another has it.)
    private func takeWaiters() {
        for _ in 0..<Limits.commandsPerTurnMax {
            guard line.isReady && isWanted && isServing && lease.isHeld(nowNs) else { return }
            guard let (request, command, isLate) = symbols.takeWaiters(nowNs: nowNs, max: 1).first else { return }
            if isLate { journal.note(.warning, "the list of symbols does not come; a command is judged without it", key: "late-symbols") }
            carryOut(request, command, mayWait: false)
        }
    }

    private func askWhatIsDue() {
        if let rest = engine.rest {
            if symbols.isDue(nowNs, isWatched: fluxes.waitsForList) {
                rest.exchangeInfo(patienceMs: 50_000) { [exchangeAnswers] in _ = exchangeAnswers.offer(.symbols($0)) }
            }
            askForFigures(rest)
        }
        if let ids = status.question(fluxes, nowNs: nowNs), !engine.sink.commands.offer(.report(ids: ids)) { status.askLater(nowNs) }
    }
}
