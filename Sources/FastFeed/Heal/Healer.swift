// The agent that fills holes: it takes them from the board, asks the exchange, and hands candles to the sink through its ring. It looks
// at Redis's histories, at series that are overdue or silent, and compares what is stored with what the exchange has. Thread: its
// runner's; only `store` blocks it, for `Limits.healerRedisTimeoutMs`. Everything is bounded: requests at a time, bars of each,
// candles on the way to the ring by both, weight by the REST client's budget.

import Synchronization

@safe package final class Healer: Agent, @unchecked Sendable {
    // Its thread's alone, except the mailboxes, the counters and the board, which are made for sharing.
    package let counters = CounterBank()
    package let commands = Mailbox<HealCommand>(capacity: Limits.commandCountMax)
    package let events = Mailbox<HealEvent>(capacity: Limits.commandCountMax)
    /// Series of which nothing comes because nobody trades them, as the exchange says. (Its lock: the healer writes, control reads.)
    package let quiet = Lock<Set<Series>>([])
    private var shownQuiet: [UInt32: Series] = [:]
    /// The thread that takes the records, if it is not this one.
    package var sinkWakeUp: WakeUp?

    /// A series that is healed.
    struct Followed {
        let series: Series
        let handle: SeriesHandle
        let connections: [UInt32]
        var backfill: Int
    }

    struct Answer: Sendable {
        let number: UInt64
        let result: Result<[CandleRecord], RestFailure>
    }

    /// Why the exchange was asked.
    enum Question {
        case heal(HealPlan.Request)
        case watch(SeriesHandle, Series)
        case audit(AuditDesk.Question)
        /// Whether the exchange is back.
        case probe
    }

    let settings: HealSettings
    let schema: KeySchema
    let source: any KlineSource
    let store: any HistoryReader
    let sink: Sink
    let gaps: GapBoard
    let journal: Journal
    /// The exchange's clock, Unix ms.
    let clock: @Sendable () -> Int64
    private let connectionLiveSinceNs: @Sendable (UInt32) -> UInt64?

    var followed: [UInt32: Followed] = [:]
    /// Ids of the followed series, ascending: the same order in every run.
    var ids: [UInt32] = []
    var plan: HealPlan
    var watch = WatchDesk()
    var audit: AuditDesk
    var checks = CheckQueue()

    /// Asked and not answered, by the question's number.
    var flying: [UInt64: Question] = [:]
    private var questionCount: UInt64 = 0
    let answers = Mailbox<Answer>(capacity: 4 * Limits.healRequestsMax)
    /// Requests in a row that found the exchange unable.
    var outages = 0
    /// Series that are to be asked whether their bars move.
    var silent: [(handle: SeriesHandle, sinceNs: UInt64)] = []

    let ring: SPSCRing<CandleRecord>
    let producer: FixedSlot<SPSCRing<CandleRecord>.Producer>
    /// Candles that the ring has had no room for yet, and how many have ever been put here.
    private var outbox: [CandleRecord] = []
    private var outboxHead = 0
    private var queuedCount = 0
    /// Requests whose candles the sink has not taken yet, by the count that tells when it has.
    private var untaken: [(count: Int, request: HealPlan.Request)] = []
    /// What the sink's mailbox had no room for.
    private var toSink: [SinkCommand] = []

    var seenVersion = -1
    private var nextSyncNs: UInt64 = 0
    private var nextWatchNs: UInt64 = 0
    var watchSentNs: UInt64?
    var wordsRefused = 0
    private var dueNs: UInt64 = 0
    var nowNs: UInt64 = 0

    /// - Parameters:
    ///   - clock: the exchange's, as far as it is known; Unix ms.
    ///   - connectionLiveSinceNs: by the number of a connection; nil while it is not live.
    package init(
        settings: HealSettings, schema: KeySchema, source: any KlineSource, store: any HistoryReader, sink: Sink,
        ring: SPSCRing<CandleRecord>, gaps: GapBoard, journal: Journal, clock: @escaping @Sendable () -> Int64,
        connectionLiveSinceNs: @escaping @Sendable (UInt32) -> UInt64?
    ) {
        (self.settings, self.schema, self.source, self.store, self.sink) = (settings, schema, source, store, sink)
        (self.ring, self.gaps, self.journal, self.clock) = (ring, gaps, journal, clock)
        self.connectionLiveSinceNs = connectionLiveSinceNs
        plan = HealPlan(holdMs: settings.holdMs)
        audit = AuditDesk(market: schema.market, percent: settings.auditPercent, history: settings.history)
        producer = FixedSlot(SPSCRing.Producer(ring))
        // Until it has shown that it cannot be asked.
        sink.canHeal = true
    }

    package var roleName: String { "heal" }

    package func onStart(_ port: PollerPort) {
        commands.setReceiver(port.wakeUp)
        answers.setReceiver(port.wakeUp)
        sink.words.setReceiver(port.wakeUp)
    }

    package func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) {}

    package func onClose() {}

    package func hasWork() -> Bool {
        commands.isWaiting || answers.isWaiting || sink.words.isWaiting || hasOutbox && producer.value.room() > 0
    }

    package func nextDeadlineNs() -> UInt64 { dueNs }

    package func doWork(nowNs: UInt64) {
        self.nowNs = nowNs
        if commands.isWaiting { for command in commands.takeAll() { carryOut(command) } }
        if sink.words.isWaiting { for word in sink.words.takeAll() { take(word) } }
        lookAtRefusals()
        if answers.isWaiting { for answer in answers.takeAll() { settle(answer.number, answer.result, nowNs: nowNs) } }
        noteTaken()
        check(nowNs: nowNs)
        syncHoles()
        sendWatch()
        ask()
        fillRing()
        tellSink()
        dueNs = nextTurnNs()
    }

    /// The series of a handle, if the handle is the one in force.
    func entry(_ handle: SeriesHandle) -> Followed? {
        followed[handle.id].flatMap { $0.handle == handle ? $0 : nil }
    }

    func entry(of series: Series) -> Followed? { ids.lazy.compactMap { self.followed[$0] }.first { $0.series == series } }

    // MARK: Holes

    /// The board wakes nobody: it is looked at now and then, more rarely the more it has.
    private func syncHoles() {
        guard gaps.version != seenVersion, nowNs >= nextSyncNs else { return }
        seenVersion = gaps.version
        let all = gaps.all
        nextSyncNs = nowNs &+ .ns(ms: Limits.gapPollMs + all.count / 32)
        plan.sync(all, nowNs: nowNs)
        for series in gaps.takeForgotten() { if let entry = entry(of: series) { checks.add(entry.handle) } }
        counters.set(.gapCandlesAbsent, all.reduce(0) { $1.state == .absent ? $0 + $1.candleCount : $0 })
    }

    // MARK: Watching

    private func sendWatch() {
        guard !ids.isEmpty, nowNs >= nextWatchNs else { return }
        // One at a time, unless the sink has lost it.
        if let watchSentNs, nowNs &- watchSentNs < 10_000_000_000 { return }
        guard sink.commands.offer(.watch(beforeMs: clock() - Int64(settings.closeGraceMs))) else { return }
        watchSentNs = nowNs
        nextWatchNs = nowNs &+ .ns(ms: Limits.watchPeriodMs)
    }

    func look(at list: [WatchedSeries]) {
        let verdicts = watch.look(at: list, nowNs: nowNs, nowMs: clock(), graceMs: settings.closeGraceMs) { handle in
            guard let entry = self.entry(handle) else { return nil }
            return (entry.series, entry.connections.compactMap { self.connectionLiveSinceNs($0) }.min())
        }
        for verdict in verdicts {
            switch verdict {
            case .overdue(let gap, let lateBars):
                // No more than Redis keeps.
                let bars = gap.candleCount
                let from =
                    bars > settings.history ? HealPlan.open(bars - settings.history, after: gap.fromMs, gap.series.interval) : gap.fromMs
                counters.add(.lateCloses, lateBars)
                send(.want(gap.with(fromMs: from)))
            case .ask(let handle): silent.append((handle, nowNs))
            case .mute(let series, let times): _ = events.offer(.mute(series, times: times))
            }
        }
        if watch.dueNs != .max { nextWatchNs = min(nextWatchNs, max(watch.dueNs, nowNs)) }
        if watch.quiet != shownQuiet {
            shownQuiet = watch.quiet
            let series = Set(shownQuiet.values)
            quiet.withLock { $0 = series }
        }
    }

    // MARK: Asking

    private func ask() {
        // What waits for the ring, and what is under way, is bounded by this.
        while flying.count < Limits.healRequestsMax, outbox.count - outboxHead <= Limits.healPageBars {
            guard nowNs >= plan.pausedUntilNs else { return }
            // Silent series have their turn with late closes; one whose own late closes leave it none for long comes before them.
            if let handle = nextSilent(afterNs: .ns(ms: Limits.silenceWaitMs)) {
                askWhetherItMoves(handle)
            } else if let request = plan.next(nowNs: nowNs, atLeast: silent.isEmpty ? .backfill : .newest) {
                send(request)
            } else if let handle = nextSilent(afterNs: 0) {
                askWhetherItMoves(handle)
            } else if !silent.isEmpty, let request = plan.next(nowNs: nowNs) {
                send(request)
            } else if let question = nextAudit() {
                if let handle = question.handle { plan.setAsked(handle, true) }
                send(.audit(question), question.series, question.startMs, question.endMs, question.limit)
            } else if outages >= Healer.outagesMax, flying.isEmpty, let first = ids.first {
                send(.probe, followed[first]!.series, nil, nil, 1)
            } else {
                return
            }
        }
    }

    private func nextSilent(afterNs: UInt64) -> SeriesHandle? {
        guard let place = silent.firstIndex(where: { nowNs &- $0.sinceNs >= afterNs && plan.isFree($0.handle.id) }) else { return nil }
        return silent.remove(at: place).handle
    }

    private func askWhetherItMoves(_ handle: SeriesHandle) {
        let series = followed[handle.id]!.series
        plan.setAsked(handle, true)
        send(.watch(handle, series), series, nil, nil, 2)
    }

    private func nextAudit() -> AuditDesk.Question? {
        audit.next(
            ids, nowNs: nowNs, series: { id in self.followed[id].map { ($0.series, $0.handle) } },
            isFree: { [plan] in $0.map { plan.isFree($0.id) } ?? true })
    }

    private func send(_ request: HealPlan.Request) {
        gaps.mark(request.series, fromMs: request.fromMs, untilMs: request.untilMs, .healing)
        send(.heal(request), request.series, request.fromMs, nil, request.limit)
    }

    private func send(_ question: Question, _ series: Series, _ startMs: Int64?, _ endMs: Int64?, _ limit: Int) {
        questionCount += 1
        flying[questionCount] = question
        counters.add(.healRequests)
        source.klines(series, startMs: startMs, endMs: endMs, limit: limit, patienceMs: Limits.healPatienceMs) {
            [answers, number = questionCount] in _ = answers.offer(Answer(number: number, result: $0))
        }
    }

    // MARK: To the sink

    private var hasOutbox: Bool { outboxHead < outbox.count }

    /// Candles of one series, ascending.
    func hand(_ rows: [CandleRecord], to handle: SeriesHandle, for request: HealPlan.Request? = nil) {
        for row in rows {
            var record = row
            (record.seriesID, record.generation, record.receivedNs) = (handle.id, handle.generation, 0)
            // As in a history: a live event of the same bar is a later word.
            record.eventTimeMs = record.closeTimeMs
            outbox.append(record)
        }
        queuedCount += rows.count
        if let request, !rows.isEmpty { untaken.append((queuedCount, request)) }
    }

    private func fillRing() {
        guard hasOutbox else { return }
        while hasOutbox, producer.value.room() > 0 {
            producer.value.slot.value = outbox[outboxHead]
            producer.value.keep()
            outboxHead += 1
        }
        if producer.value.publish() { sinkWakeUp?.signal() }
        if !hasOutbox { (outbox, outboxHead) = ([], 0) }
    }

    private func noteTaken() {
        guard !untaken.isEmpty else { return }
        let takenCount = queuedCount - (outbox.count - outboxHead) - ring.count
        while let (count, request) = untaken.first, count <= takenCount {
            untaken.removeFirst()
            plan.noteTaken(request, nowNs: nowNs)
        }
    }

    func send(_ command: SinkCommand) {
        toSink.append(command)
        tellSink()
    }

    private func tellSink() {
        while let command = toSink.first, sink.commands.offer(command) { toSink.removeFirst() }
    }

    /// The sink's mailbox is full: nothing more is found out meanwhile.
    var isSinkBusy: Bool { toSink.count >= Limits.checksPerBatch }

    // MARK: Time

    private func nextTurnNs() -> UInt64 {
        let isFull = flying.count >= Limits.healRequestsMax
        var due = ids.isEmpty ? .max : nowNs &+ .ns(ms: Limits.gapPollMs)
        if hasOutbox || !toSink.isEmpty || !untaken.isEmpty { due = min(due, nowNs &+ 2_000_000) }
        if gaps.version != seenVersion { due = min(due, nextSyncNs) }
        if !ids.isEmpty { due = min(due, nextWatchNs) }
        due = min(due, checks.dueNs)
        let auditNs = audit.dueNs(ids.count, nowNs: nowNs)
        if !isFull { due = min(due, plan.dueNs(nowNs: nowNs), max(auditNs, plan.pausedUntilNs)) }
        return max(due, nowNs &+ 1_000_000)
    }
}
