// The sink's work as one plain value behind a pointer, so that its parts are reached without access checks. The
// sink's thread alone. Its bounds are those of its parts; what the sink promises stands in Sink.swift.

import CShims

@safe struct CandleWriter: ~Copyable {
    var table: CandleTable
    var builder: BatchBuilder
    var link: RedisLink
    let consumers: FixedSlots<SPSCRing<CandleRecord>.Consumer>
    /// Batches in flight, oldest first, as a ring of reusable ones.
    let batches: FixedSlots<Batch>
    var firstBatch = 0
    var batchCount = 0
    /// Candles of the batches in flight.
    var candlesInFlight = 0
    var unsentFrom = 0
    var unsentCount = 0
    /// The newest batches of which the kernel has not the last byte.
    var unwrittenCount = 0
    /// Batches answered or given up since the start.
    var endedCount = 0
    /// What is to be added to a monotonic instant to make it one of the wall clock; looked at once a second.
    private(set) var wallOffsetNs: Int64 = 0
    private var wallDueNs: UInt64 = 0
    /// The queue's head, and since when it is that.
    var oldest: (head: Int, sinceNs: UInt64) = (-1, 0)
    /// Stopped series whose field in `latest:*` is to be removed.
    var removals: [Series] = []
    /// Those whose field was removed a moment ago, and until when that may have to be done again. Bound: as many as there are ids.
    var removed: [Series: UInt64] = [:]
    /// Series whose holes are to be written anew, once the queue's head has passed: a hole ends when Redis has its last candle.
    var gapKeys = DueKeys()
    var gapsVersion = 0
    /// The merge script is paced: Redis is to spend a quarter of its time on it at most.
    var mergesDueNs: UInt64 = 0
    /// When healed candles are taken again; 0: now.
    var healDueNs: UInt64 = 0
    /// The merge script's name on this server; nil: its source is sent.
    var mergeSHA: String?
    /// What of `table.stored` is to be written again on this connection before all else, the next run last.
    var again: [[CandleRecord]] = []
    /// Whose ids those were that have been released while their candles may have to be written again.
    var former: [SeriesHandle: (series: Series, untilNs: UInt64)] = [:]
    /// Not all of that has been answered.
    var isRewriting = false
    /// Until then what is stored of a series is on its way, as far as the healer's look is concerned: it has just been taken over.
    var takenOverUntilNs: UInt64 = 0
    /// What has been, on this connection: candles, and how many of them Redis had not.
    var rewritten = (count: 0, missing: 0)
    /// How many candles of series that were taken over Redis had not.
    var takenOverMissing = 0
    /// In a group: the beat stands still, and nothing is written until it goes on.
    var isHeldBack = false
    /// A batch with asides is on its way: the next ones wait for its end.
    var asidesInFlight = 0
    /// Stopped series ids that may still be mentioned by a batch or a closed candle built before.
    private(set) var retiring: [(id: UInt32, untilEnded: Int, closedTail: Int)] = []
    var pausedUntilNs: UInt64 = 0
    var retryBackoff: Backoff
    /// The poller says that there are replies, or something to say about the connection.
    var isReadable = false
    /// Without coalescing: the next record must wait until the state before it is in a batch.
    var isBlocked = false
    /// Redis is there and refuses what it is given, for now.
    var isRefusing = false
    var elsewhere: ElsewhereWatch
    var refused: RefusedCandles
    /// What keys have refused: newest states, removals and lists of holes, and when it is tried again.
    var owed: (ids: Set<UInt32>, removals: Set<Series>, gaps: Set<Series>, dueNs: UInt64) = ([], [], [], .max)
    var owedBackoff: Backoff
    let schema: KeySchema
    let gaps: GapBoard
    let hasHealer: Bool
    /// For the healer.
    let words: Mailbox<SinkWord>
    let counters: CounterBank
    let latency: LatencyMeter
    let journal: Journal
    let troubles: TroubleBoard
    /// Redis has refused something since the last recovery.
    var hasTrouble = false
    private let coalesces: Bool
    private let replyTimeoutNs: UInt64
    private(set) var nextDeadlineNs: UInt64 = 0

    init(
        settings: SinkSettings, rings: [SPSCRing<CandleRecord>], counters: CounterBank, latency: LatencyMeter, journal: Journal,
        gaps: GapBoard, troubles: TroubleBoard, words: Mailbox<SinkWord>
    ) {
        table = CandleTable(closedMax: settings.closedMax, counters: counters, gaps: gaps)
        table.historyMax = settings.history
        table.held.holdNs = .ns(ms: settings.healHoldMs ?? 0)
        table.held.canHeal = settings.healHoldMs != nil
        table.stored = StoredCandles(keepNs: .ns(ms: settings.rewriteMs))
        let batchesMax = settings.coalesces ? Limits.batchesInFlightMax : Limits.uncoalescedBatchesInFlightMax
        builder = BatchBuilder(
            schema: settings.schema, history: settings.history, market: settings.market, batchSize: settings.batchSize,
            batchCountMax: batchesMax)
        var redis = settings.redis
        redis.script = MergeScript.source
        link = RedisLink(redis, seed: settings.seed)
        elsewhere = ElsewhereWatch(isFound: redis.endpoint.sentinels != nil)
        consumers = FixedSlots(count: rings.count) { SPSCRing.Consumer(rings[$0]) }
        batches = FixedSlots(count: batchesMax) { _ in Batch(capacity: settings.batchSize) }
        retryBackoff = Backoff(Limits.redisBackoffMs, seed: settings.seed ^ 1)
        refused = RefusedCandles(seed: settings.seed ^ 2)
        owedBackoff = Backoff(Limits.refusedKeyPauseMs, seed: settings.seed ^ 3)
        schema = settings.schema
        coalesces = settings.coalesces
        hasHealer = settings.healHoldMs != nil
        (self.gaps, self.words) = (gaps, words)
        replyTimeoutNs = .ns(ms: settings.replyTimeoutMs)
        (self.counters, self.latency, self.journal, self.troubles) = (counters, latency, journal, troubles)
    }

    mutating func follow(_ series: Series, _ handle: SeriesHandle) {
        table.follow(series, handle.id, generation: handle.generation)
        builder.follow(series, handle.id)
    }

    /// How a series stands, for status.
    func report(_ id: UInt32) -> SeriesReport {
        var report = table.report(id)
        if Int(id) < table.seriesCount { report.updateCount = builder.updateCount(id) }
        return report
    }

    /// Takes no more records of a series and removes its newest state; its history stays.
    mutating func unfollow(_ handle: SeriesHandle) {
        guard table.isFollowed(handle) else { return }
        let isForeign = table.isForeign(handle.id)
        table.unfollow(handle.id)
        // Its field is another's.
        if !isForeign, let series = table.series(handle.id) { removals.append(series) }
        retiring.append((handle.id, endedCount + batchCount, table.closed.tail))
    }

    /// Ids that nothing mentions any more: they may be given to other series.
    mutating func takeReleased() -> [UInt32] {
        if retiring.isEmpty { return [] }
        // In the order of their ends.
        let count = retiring.prefix {
            $0.untilEnded <= endedCount && $0.closedTail <= table.closed.head && !refused.mentions($0.id) && !table.merges.mentions($0.id)
        }.count
        let released = retiring.prefix(count).map(\.id)
        retiring.removeFirst(count)
        keepNames(released)
        return released
    }

    /// Something can be done without waiting.
    func hasWork() -> Bool {
        canTake && hasLiveRecords || canTakeHealed && hasHealedRecords || canBuild && hasUnwritten
            || table.held.isCrowded && !table.closed.isFull
    }

    /// The queue of closed candles may overflow only while Redis is away or refuses; otherwise the rings wait.
    private var canTake: Bool { !isBlocked && (isAway || !table.closed.isFull) }
    private var isAway: Bool { !link.isReady || isRefusing }
    private var canBuild: Bool {
        link.isReady && unsentCount == 0 && batchCount < batches.count && pausedUntilNs == 0 && !isHeldBack && !isBusy
            && (again.isEmpty || asidesInFlight == 0)
    }
    /// Redis has so much to do that what is written now would only wait there. Here a state may still become a newer one.
    /// (Closed candles do not become fewer by waiting: when they are many, nothing waits.)
    private var isBusy: Bool {
        coalesces && candlesInFlight >= Limits.candlesInFlightSoftMax && table.closed.unsentCount < Limits.candlesInFlightSoftMax
    }
    private var hasUnwritten: Bool { table.dirtyCount > 0 || table.closed.unsentCount > 0 || hasAsides }
    private var hasAsides: Bool { !again.isEmpty || !removals.isEmpty || mergeIsDue || gapKeyIsDue }
    var mergeIsDue: Bool { mergesDueNs == 0 && asidesInFlight == 0 && table.merges.isDue(head: table.closed.head) }
    private var gapKeyIsDue: Bool { asidesInFlight == 0 && gapKeys.dueHead <= table.closed.head }

    /// Nothing is waiting anywhere.
    var isSettled: Bool {
        batchCount == 0 && !hasUnwritten && table.closed.count == 0 && refused.count == 0 && table.merges.isEmpty && gapKeys.isEmpty
            && owed.ids.isEmpty && owed.removals.isEmpty && table.held.count == 0 && !isRewriting && !hasRecords
    }

    private var hasRecords: Bool { hasLiveRecords || hasHealedRecords }
    private var hasLiveRecords: Bool {
        for index in 0..<(hasHealer ? consumers.count - 1 : consumers.count) where consumers[index].available() > 0 {
            return true
        }
        return false
    }
    private var hasHealedRecords: Bool { hasHealer && consumers[consumers.count - 1].available() > 0 }
    /// Live candles must not wait behind what the healer brings.
    var canTakeHealed: Bool {
        healDueNs == 0 && link.isReady && !table.closed.isFull && table.closed.pendingCount + table.merges.count < Limits.healPendingMax
    }

    var formingUnwritten: Int {
        var count = table.formingPendingCount
        for index in 0..<batchCount {
            let batch = batches.row((firstBatch + index) % batches.count)
            for place in 0..<batch.value.seriesCount where batch.value.seriesWasForming[place] { count += 1 }
        }
        return count
    }

    // MARK: One turn

    mutating func turn(nowNs: UInt64, port: PollerPort) {
        table.held.nowNs = nowNs
        if healDueNs != 0 && nowNs >= healDueNs { healDueNs = 0 }
        if nowNs >= wallDueNs {
            wallOffsetNs = WallClock.nowMs() &* 1_000_000 &- Int64(bitPattern: MonotonicClock.nowNs())
            wallDueNs = nowNs + 1_000_000_000
        }
        takeRecords()
        table.releaseDue()
        if gaps.version != gapsVersion { noteGaps() }
        if link.isReady {
            turnReady(nowNs, port)
        } else {
            switch link.open(nowNs: nowNs, port: port) {
            case .pending: break
            case .opened:
                onConnected()
                turnReady(nowNs, port)
            case .failed(let reason, _): lose(reason, nowNs)
            }
        }
        counters.set(.closedPending, table.closed.pendingCount + refused.count + table.merges.count + table.held.count)
        noteOldestPending(nowNs)
        scheduleNext(nowNs)
    }

    private mutating func turnReady(_ nowNs: UInt64, _ port: PollerPort) {
        if isReadable {
            isReadable = false
            readReplies(nowNs, port)
            guard link.isReady else { return }
        }
        if unsentCount > 0 && !isHeldBack { sendRest(nowNs, port) }
        if pausedUntilNs != 0 && nowNs >= pausedUntilNs { pausedUntilNs = 0 }
        if mergesDueNs != 0 && nowNs >= mergesDueNs { mergesDueNs = 0 }
        if nowNs >= refused.nextDueNs { askAgain(nowNs) }
        if nowNs >= owed.dueNs { writeOwed() }
        while canBuild && hasUnwritten {
            guard buildBatches(nowNs, port) else { break }
            sendRest(nowNs, port)
        }
        if batchCount > 0, nowNs &- batches[firstBatch].sentNs > replyTimeoutNs,
            batches[firstBatch].sentNs < nowNs
        {
            lose("no reply within \(replyTimeoutNs / 1_000_000) ms", nowNs)
        }
    }

    private mutating func scheduleNext(_ nowNs: UInt64) {
        if !link.isReady {
            nextDeadlineNs = link.nextDeadlineNs(nowNs: nowNs)
        } else if pausedUntilNs != 0 {
            nextDeadlineNs = pausedUntilNs
        } else {
            nextDeadlineNs =
                batchCount > 0 ? batches[firstBatch].sentNs &+ replyTimeoutNs &+ 1 : .max
            // In a full queue there is no place for it before a reply has come.
            if !table.closed.isFull { nextDeadlineNs = min(nextDeadlineNs, refused.nextDueNs) }
            nextDeadlineNs = min(nextDeadlineNs, owed.dueNs)
            if mergesDueNs != 0 && table.merges.hasWaiting { nextDeadlineNs = min(nextDeadlineNs, mergesDueNs) }
            if healDueNs != 0 { nextDeadlineNs = min(nextDeadlineNs, healDueNs) }
        }
        // Nor for what is held.
        if !table.closed.isFull { nextDeadlineNs = min(nextDeadlineNs, table.held.nextDueNs) }
        if isHeldBack { nextDeadlineNs = min(nextDeadlineNs, nowNs &+ .ns(ms: Limits.pulsePauseMs)) }
    }

    /// Takes all records that the rings show now.
    private mutating func takeRecords() {
        var taken = 0
        if hasHealer { takeHealed(consumers.row(consumers.count - 1)) }
        for index in 0..<(hasHealer ? consumers.count - 1 : consumers.count) {
            guard canTake else { break }
            let consumer = consumers.row(index)
            let available = consumer.value.available()
            var done = 0
            while done < available {
                let record = consumer.value.record(done)
                if !coalesces && link.isReady && table.wouldCoalesce(record) {
                    isBlocked = true
                    break
                }
                if record.isClosed {
                    guard canTake else { break }
                    if !refused.isEmpty { refused.correct(record.value) }
                }
                table.accept(record, parsedAfterNs: consumer.value.stamp(done))
                done &+= 1
            }
            if done > 0 {
                let newest = consumer.value.record(done &- 1)
                latency.exchangeDelay.record(sinceNs(newest.eventTimeMs, newest.receivedNs))
                consumer.value.free(done)
            }
            taken &+= done
        }
        if taken > 0 { counters.add(.recordsTaken, taken) }
        if !table.suspects.isEmpty { tellSuspects() }
    }

    // MARK: Writing

    /// What is sent at once: a batch, or, when every update is written, as many as there are states for. Each of them ends
    /// where a series comes again. False when there is nothing to send.
    private mutating func buildBatches(_ nowNs: UInt64, _ port: PollerPort) -> Bool {
        builder.begin(most: coalesces ? .max : Limits.uncoalescedStatesPerWriteMax)
        let before = batchCount
        while hasUnwritten && batchCount < batches.count && builder.room > 0 {
            // The state that was waited for goes now, or its series is gone.
            isBlocked = false
            guard buildBatch(nowNs, port) else { break }
            if coalesces { break }
            takeRecords()
        }
        (unsentFrom, unsentCount) = (0, builder.out.count)
        return batchCount > before
    }

    private mutating func buildBatch(_ nowNs: UInt64, _ port: PollerPort) -> Bool {
        let batch = batches.row((firstBatch &+ batchCount) % batches.count)
        let takenNs = port.poller.nowNs
        // What Redis had acknowledged goes before what is new, so that a history grows in order.
        let isBuilt = again.isEmpty ? builder.append(&table, into: &batch.value) : builder.appendNothing(into: &batch.value)
        if hasAsides { buildAsides(&batch.value) }
        guard isBuilt || !batch.value.asides.isEmpty else { return false }
        batch.value.sentNs = nowNs
        candlesInFlight &+= batch.value.candleCount
        (batch.value.takenNs, batch.value.writtenNs, batch.value.end) = (takenNs, takenNs, builder.out.count)
        unwrittenCount &+= 1
        batchCount &+= 1
        counters.add(.batchesSent)
        return true
    }

    private mutating func sendRest(_ nowNs: UInt64, _ port: PollerPort) {
        guard let sent = builder.out.withBytes(from: unsentFrom, length: unsentCount, { link.write($0) }) else {
            return lose("write failed", nowNs, peerIsGone: true)
        }
        counters.add(.bytesSent, sent)
        unsentFrom &+= sent
        unsentCount &-= sent
        if sent > 0 { markWritten(port.poller.nowNs) }
    }

    /// The kernel has taken bytes: those of the oldest unwritten batch, and perhaps of the next ones.
    private mutating func markWritten(_ nowNs: UInt64) {
        // A server that answers before it is asked has ended some of them.
        unwrittenCount = min(unwrittenCount, batchCount)
        while unwrittenCount > 0 {
            let batch = batches.row((firstBatch &+ batchCount &- unwrittenCount) % batches.count)
            batch.value.writtenNs = nowNs
            guard batch.value.end <= unsentFrom else { return }
            unwrittenCount &-= 1
        }
    }
}
