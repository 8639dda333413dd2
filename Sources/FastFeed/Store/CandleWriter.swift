// The sink's work as one plain value behind a pointer, so that its parts are reached without access checks. The
// sink's thread alone. Its bounds are those of its parts; what the sink promises stands in Sink.swift.

import CShims

@safe struct CandleWriter: ~Copyable {
    var table: CandleTable
    var builder: BatchBuilder
    /// One, or in a cluster one for each node, open or free; none before its first map.
    var lanes: FixedSlots<Lane>
    let cluster: ClusterSeeds?
    let isCluster: Bool
    /// Which lane has which slot, in a cluster.
    var route: LaneRoute
    /// The same: the newest map, as redirects have changed it.
    var moved: SlotMap?
    /// The same: messages since an instant.
    var messages = (count: 0, sinceNs: UInt64(0))
    let consumers: FixedSlots<SPSCRing<CandleRecord>.Consumer>
    /// Batches since the start.
    private(set) var builtCount = 0
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
    /// When healed candles are taken again; 0: now.
    var healDueNs: UInt64 = 0
    /// Whose ids those were that have been released while their candles may have to be written again.
    var former: [SeriesHandle: (series: Series, untilNs: UInt64)] = [:]
    /// Until then what is stored of a series is on its way, as far as the healer's look is concerned: it has just been taken over.
    var takenOverUntilNs: UInt64 = 0
    /// How many candles of series that were taken over Redis had not.
    var takenOverMissing = 0
    /// Redis has taken closed candles that were pushed out of the full queue while they were on their way, and so are listed as missing.
    var hasTakenLost = false
    /// In a group: the beat stands still, and nothing is written until it goes on.
    var isHeldBack = false
    /// Stopped series ids that may still be mentioned by a batch or a closed candle built before.
    private(set) var retiring: [(id: UInt32, builtBefore: Int, closedTail: Int)] = []
    /// Without coalescing: the next record must wait until the state before it is in a batch.
    var isBlocked = false
    var refused: RefusedCandles
    var owed = RefusedKeys()
    var owedBackoff: Backoff
    let schema: KeySchema
    let gaps: GapBoard
    let hasHealer: Bool
    /// What the sink tells the healer.
    let words: Mailbox<SinkWord>
    let counters: CounterBank
    let latency: LatencyMeter
    let journal: Journal
    let troubles: TroubleBoard
    /// Redis has refused something since the last recovery.
    var hasTrouble = false
    private let coalesces: Bool
    private let replyTimeoutNs: UInt64
    private let (redis, batchesMax, seed): (RedisLinkSettings, Int, UInt64)
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
        batchesMax = settings.coalesces ? Limits.batchesInFlightMax : Limits.uncoalescedBatchesInFlightMax
        builder = BatchBuilder(
            schema: settings.schema, history: settings.history, updates: settings.updates, market: settings.market,
            batchSize: settings.batchSize, batchCountMax: batchesMax)
        var redis = settings.redis
        redis.script = MergeScript.source
        (self.redis, seed) = (redis, settings.seed)
        cluster = redis.endpoint.cluster
        isCluster = cluster != nil
        route = LaneRoute(settings.schema, settings.market, updates: settings.updates, seriesMax: Limits.seriesCountMax)
        lanes = FixedSlots(capacity: isCluster ? Limits.clusterNodesMax : 1)
        consumers = FixedSlots(count: rings.count) { SPSCRing.Consumer(rings[$0]) }
        refused = RefusedCandles(seed: settings.seed ^ 2)
        owedBackoff = Backoff(Limits.refusedKeyPauseMs, seed: settings.seed ^ 3)
        schema = settings.schema
        coalesces = settings.coalesces
        hasHealer = settings.healHoldMs != nil
        (self.gaps, self.words) = (gaps, words)
        replyTimeoutNs = .ns(ms: settings.replyTimeoutMs)
        (self.counters, self.latency, self.journal, self.troubles) = (counters, latency, journal, troubles)
        table.isRouted = isCluster
        if !isCluster { lanes.append(makeLane(0, nil)) }
    }

    func makeLane(_ place: Int, _ node: String?) -> Lane {
        Lane(
            place: place, node: node, node.map(redis.at) ?? redis, batchCount: batchesMax, batchSize: builder.batchSize,
            seed: seed ^ UInt64(place) << 8)
    }

    mutating func follow(_ series: Series, _ handle: SeriesHandle) {
        table.follow(series, handle.id, generation: handle.generation)
        builder.follow(series, handle.id)
        if isCluster { route.follow(handle.id, HashSlot(key: schema.historyKey(series))) }
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
        retiring.append((handle.id, builtCount, table.closed.tail))
    }

    /// Ids that nothing mentions any more: they may be given to other series.
    mutating func takeReleased() -> [UInt32] {
        if retiring.isEmpty { return [] }
        var doneBefore = Int.max
        for place in 0..<lanes.count { doneBefore = min(doneBefore, lanes[place].doneBefore) }
        // In the order of their ends.
        let count = retiring.prefix {
            $0.builtBefore <= doneBefore && $0.closedTail <= table.closed.head && !refused.mentions($0.id) && !table.merges.mentions($0.id)
                && (!isCluster || route.marks[Int($0.id)] == 0)
        }.count
        let released = retiring.prefix(count).map(\.id)
        retiring.removeFirst(count)
        keepNames(released)
        lookAtReturned(released)
        return released
    }

    /// Something can be done without waiting.
    func hasWork() -> Bool {
        if canTake && hasLiveRecords || canTakeHealed && hasHealedRecords || table.held.isCrowded && !table.closed.isFull { return true }
        for place in 0..<lanes.count where canBuild(lanes.row(place)) && hasUnwritten(lanes.row(place)) { return true }
        return false
    }

    /// The queue of closed candles may overflow only while Redis is away or refuses; otherwise the rings wait.
    private var canTake: Bool { !isBlocked && (isAway || !table.closed.isFull) }
    private var isAway: Bool { isCluster ? isPartlyAway() : lanes.row(0).value.isAway }
    private func canBuild(_ lane: Row<Lane>) -> Bool {
        lane.value.link.isReady && lane.value.unsentCount == 0 && lane.value.batchCount < lane.value.batches.count
            && lane.value.pausedUntilNs == 0 && !isHeldBack && !isBusy(lane) && (lane.value.again.isEmpty || lane.value.asidesInFlight == 0)
            && !(isCluster && isBarred(lane))
    }
    /// Redis has so much to do that what is written now would only wait there. Here a state may still become a newer one.
    /// (Closed candles do not become fewer by waiting: when they are many, nothing waits.)
    private func isBusy(_ lane: Row<Lane>) -> Bool {
        coalesces && lane.value.candlesInFlight >= Limits.candlesInFlightSoftMax
            && (isCluster ? lane.value.queue.closed.count : table.closed.unsentCount) < Limits.candlesInFlightSoftMax
    }
    private func hasUnwritten(_ lane: Row<Lane>) -> Bool {
        isCluster ? hasWaiting(lane) : table.dirtyCount > 0 || table.closed.unsentCount > 0 || hasAsides(lane)
    }
    private func hasAsides(_ lane: Row<Lane>) -> Bool {
        !lane.value.again.isEmpty || !removals.isEmpty || mergeIsDue(lane) || gapKeyIsDue(lane)
    }
    func mergeIsDue(_ lane: Row<Lane>) -> Bool {
        lane.value.mergesDueNs == 0 && lane.value.asidesInFlight == 0 && table.merges.isDue(head: table.closed.head)
    }
    func gapKeyIsDue(_ lane: Row<Lane>) -> Bool { lane.value.asidesInFlight == 0 && gapKeys.dueHead <= table.closed.head }

    /// Nothing is waiting anywhere.
    var isSettled: Bool {
        for place in 0..<lanes.count {
            let lane = lanes.row(place)
            guard lane.value.batchCount == 0, lane.value.queue.isEmpty, lane.value.asking.isEmpty, lane.value.again.isEmpty,
                lane.value.againLater.isEmpty, !lane.value.isRewriting
            else { return false }
        }
        return table.dirtyCount == 0 && table.closed.count == 0 && removals.isEmpty && refused.count == 0 && table.merges.isEmpty
            && gapKeys.isEmpty && owed.ids.isEmpty && owed.removals.isEmpty && table.held.count == 0 && !hasRecords
    }

    private var hasRecords: Bool { hasLiveRecords || hasHealedRecords }
    private var hasLiveRecords: Bool {
        for index in 0..<(hasHealer ? consumers.count - 1 : consumers.count) where consumers[index].available() > 0 {
            return true
        }
        return false
    }
    private var hasHealedRecords: Bool { hasHealer && consumers[consumers.count - 1].available() > 0 }
    /// Every server that there is takes what is written.
    var isConnected: Bool { isCluster ? isWhole() : lanes.row(0).value.link.isReady }
    /// Live candles must not wait behind what the healer brings.
    var canTakeHealed: Bool {
        healDueNs == 0 && isConnected && !table.closed.isFull && table.closed.pendingCount + table.merges.count < Limits.healPendingMax
    }

    var formingUnwritten: Int {
        var count = table.formingPendingCount
        for place in 0..<lanes.count {
            let lane = lanes.row(place)
            for index in 0..<lane.value.batchCount {
                let batch = lane.value.batch(index)
                for place in 0..<batch.value.seriesCount where batch.value.seriesWasForming[place] { count += 1 }
            }
        }
        return count
    }

    // MARK: One turn

    mutating func turn(nowNs: UInt64, port: PollerPort) {
        table.held.nowNs = nowNs
        if healDueNs != 0 && nowNs >= healDueNs { healDueNs = 0 }
        if nowNs >= wallDueNs {
            wallOffsetNs = WallClock.nowNs() &- Int64(bitPattern: MonotonicClock.nowNs())
            wallDueNs = nowNs + 1_000_000_000
            if isCluster { noteMessageRate(nowNs) }
        }
        takeRecords()
        table.releaseDue()
        if gaps.version != gapsVersion { noteGaps() }
        nextDeadlineNs = .max
        for place in 0..<lanes.count { turn(lanes.row(place), nowNs, port) }
        // What the last ones have given back may be the first ones'.
        if isCluster {
            distribute()
            countLanes()
        }
        counters.set(.closedPending, table.closed.pendingCount + refused.count + table.merges.count + table.held.count)
        noteOldestPending(nowNs)
        for place in 0..<lanes.count { scheduleNext(lanes.row(place), nowNs) }
        // In a full queue there is no place for what is held.
        if !table.closed.isFull { nextDeadlineNs = min(nextDeadlineNs, table.held.nextDueNs) }
        if isHeldBack { nextDeadlineNs = min(nextDeadlineNs, nowNs &+ .ns(ms: Limits.pulsePauseMs)) }
    }

    private mutating func turn(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) {
        guard !lane.value.link.isReady else { return turnReady(lane, nowNs, port) }
        guard lane.value.isOpen else { return }
        switch lane.value.link.open(nowNs: nowNs, port: port) {
        case .pending: break
        case .opened:
            onConnected(lane)
            turnReady(lane, nowNs, port)
        case .failed(let reason, _): lose(lane, reason, nowNs)
        }
    }

    private mutating func turnReady(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) {
        if lane.value.isReadable {
            lane.value.isReadable = false
            readReplies(lane, nowNs, port)
            guard lane.value.link.isReady else { return }
        }
        if lane.value.unsentCount > 0 && !isHeldBack { sendRest(lane, nowNs, port) }
        if lane.value.pausedUntilNs != 0 && nowNs >= lane.value.pausedUntilNs { lane.value.pausedUntilNs = 0 }
        if lane.value.mergesDueNs != 0 && nowNs >= lane.value.mergesDueNs { lane.value.mergesDueNs = 0 }
        if nowNs >= refused.nextDueNs { askAgain(nowNs) }
        if nowNs >= owed.dueNs { writeOwed() }
        if isCluster { distribute() }
        while canBuild(lane) && hasUnwritten(lane) {
            guard buildBatches(lane, nowNs, port) else { break }
            sendRest(lane, nowNs, port)
        }
        if lane.value.batchCount > 0 {
            let sentNs = lane.value.batch(0).value.sentNs
            if nowNs &- sentNs > replyTimeoutNs, sentNs < nowNs { lose(lane, "no reply within \(replyTimeoutNs / 1_000_000) ms", nowNs) }
        }
    }

    private mutating func scheduleNext(_ lane: Row<Lane>, _ nowNs: UInt64) {
        var dueNs = UInt64.max
        if !lane.value.link.isReady {
            if lane.value.isOpen { dueNs = lane.value.link.nextDeadlineNs(nowNs: nowNs) }
        } else if lane.value.pausedUntilNs != 0 {
            dueNs = lane.value.pausedUntilNs
        } else {
            if lane.value.batchCount > 0 { dueNs = lane.value.batch(0).value.sentNs &+ replyTimeoutNs &+ 1 }
            // In a full queue there is no place for it before a reply has come.
            if !table.closed.isFull { dueNs = min(dueNs, refused.nextDueNs) }
            dueNs = min(dueNs, owed.dueNs)
            if lane.value.mergesDueNs != 0 && table.merges.hasWaiting { dueNs = min(dueNs, lane.value.mergesDueNs) }
            if healDueNs != 0 { dueNs = min(dueNs, healDueNs) }
            // Where nothing can be built a reply, or room in the socket, comes before the pace counts.
            if isCluster && canBuild(lane) { dueNs = min(dueNs, paceDueNs(lane)) }
        }
        nextDeadlineNs = min(nextDeadlineNs, dueNs)
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
                if !coalesces && lanes.row(0).value.link.isReady && table.wouldCoalesce(record) {
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
    private mutating func buildBatches(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) -> Bool {
        builder.begin(most: coalesces ? .max : Limits.uncoalescedStatesPerWriteMax)
        let before = lane.value.batchCount
        while hasUnwritten(lane) && lane.value.batchCount < lane.value.batches.count && builder.room > 0 {
            // The state that was waited for goes now, or its series is gone.
            isBlocked = false
            guard buildBatch(lane, nowNs, port) else { break }
            if coalesces { break }
            takeRecords()
        }
        (lane.value.unsentFrom, lane.value.unsentCount) = (0, builder.out.count)
        return lane.value.batchCount > before
    }

    private mutating func buildBatch(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) -> Bool {
        let batch = lane.value.batch(lane.value.batchCount)
        let takenNs = port.poller.nowNs
        let isBuilt: Bool
        if isCluster {
            isBuilt = append(from: lane, into: batch, nowNs)
        } else {
            // What Redis had acknowledged goes before what is new, so that a history grows in order.
            isBuilt =
                lane.value.again.isEmpty ? builder.append(&table, into: &batch.value) : builder.appendNothing(into: &batch.value)
            if hasAsides(lane) { buildAsides(lane, &batch.value) }
        }
        guard isBuilt || !batch.value.asides.isEmpty else { return false }
        batch.value.sentNs = nowNs
        batch.value.number = builtCount
        builtCount &+= 1
        lane.value.candlesInFlight &+= batch.value.candleCount
        (batch.value.takenNs, batch.value.writtenNs, batch.value.end) = (takenNs, takenNs, builder.out.count)
        lane.value.unwrittenCount &+= 1
        lane.value.batchCount &+= 1
        counters.add(.batchesSent)
        return true
    }

    private mutating func sendRest(_ lane: Row<Lane>, _ nowNs: UInt64, _ port: PollerPort) {
        let (from, count) = (lane.value.unsentFrom, lane.value.unsentCount)
        let sent =
            isCluster && !lane.value.rest.isEmpty
            ? lane.value.link.write(lane.value.rest.span.extracting(droppingFirst: from &- lane.value.restFrom))
            : builder.out.withBytes(from: from, length: count) { lane.value.link.write($0) }
        guard let sent else { return lose(lane, "write failed", nowNs, peerIsGone: true) }
        counters.add(.bytesSent, sent)
        lane.value.unsentFrom = from &+ sent
        lane.value.unsentCount = count &- sent
        if sent > 0 { markWritten(lane, port.poller.nowNs) }
        if isCluster { keepRest(lane) }
    }

    /// The kernel has taken bytes: those of the oldest unwritten batch, and perhaps of the next ones.
    private mutating func markWritten(_ lane: Row<Lane>, _ nowNs: UInt64) {
        // A server that answers before it is asked has ended some of them.
        lane.value.unwrittenCount = min(lane.value.unwrittenCount, lane.value.batchCount)
        while lane.value.unwrittenCount > 0 {
            let batch = lane.value.batch(lane.value.batchCount &- lane.value.unwrittenCount)
            batch.value.writtenNs = nowNs
            guard batch.value.end <= lane.value.unsentFrom else { return }
            lane.value.unwrittenCount &-= 1
        }
    }
}
