// The agent behind the rings: takes records into the candle table, writes what is to be written to Redis, and
// settles the replies. Thread: its runner's. Everything is bounded: records per turn by the ring, a batch by its size
// (`SinkSettings.batchSize`), batches in flight by `Limits.batchesInFlightMax`, closed candles by their queue (`SinkSettings.closedMax`).

import CShims
import Synchronization

package struct SinkSettings: Sendable {
    package var redis: RedisLinkSettings
    package var market: Market
    package var schema: KeySchema
    /// Entries of a series to keep, about.
    package var history: Int
    package var batchSize: Int
    package var coalesces: Bool
    package var updates = UpdateMode.classic
    package var seed: UInt64
    package var closedMax = Limits.closedQueueCountMax
    package var replyTimeoutMs = Limits.redisReplyTimeoutMs
    /// A healer is there: closed candles wait so long for a hole before them. Nil: nobody heals.
    package var healHoldMs: Int?
    /// Closed candles that were acknowledged so lately are written again on a new connection.
    package var rewriteMs = 60_000
    /// In a group: nothing is written while it stands still.
    package var pulse: Pulse?

    package init(
        redis: RedisLinkSettings, market: Market, schema: KeySchema, history: Int, batchSize: Int, coalesces: Bool, seed: UInt64
    ) {
        (self.redis, self.market, self.schema, self.history) = (redis, market, schema, history)
        (self.batchSize, self.coalesces, self.seed) = (batchSize, coalesces, seed)
    }
}

package enum SinkCommand: Sendable {
    case follow([(Series, SeriesHandle)])
    /// Take no more records of these; their newest states are removed, their ids come back as `released`.
    case unfollow([SeriesHandle])
    /// Say how these series stand (`report`).
    case report(ids: [UInt32])
    /// Other members of the group write these.
    case disown([SeriesHandle])
    /// These are ours to write: newest states, and what has closed lately.
    case own([SeriesHandle])
    /// Say which of these ids nothing has come of since this instant.
    case askSilent(ids: [UInt32], sinceNs: UInt64)
    /// Redis has lost newest states: write all of them again.
    case rewriteNewest
    /// What the healer has found in Redis. Closed candles of these series have waited for it.
    case checked([CheckedSeries])
    /// The healer has changed holes on the board (`GapBoard`): who waits for them may go on.
    case gapsChanged
    /// A hole that somebody wants filled.
    case want(Gap)
    /// Say which series' bars should have closed before this instant, and of which nothing has come (`SinkWord.watched`).
    case watch(beforeMs: Int64)
    /// Redis's primary is another server, perhaps.
    case followPrimary
    /// Who owns what in the Redis Cluster.
    case route(SlotMap)
    /// Entries of a history that are not candles of the exchange.
    case removeEntries(Series, ids: [String])
    /// Nothing more will come: write all there is and say so.
    case drain
}

/// What the sink tells the control thread.
package enum SinkEvent: Sendable {
    /// Nothing mentions these ids of stopped series any more.
    case released([UInt32])
    /// The answer to a `report`, in the order of its ids.
    case report([SeriesReport])
    /// The answer to `askSilent`.
    case silent([UInt32])
}

/// What the sink tells the healer.
package enum SinkWord: Sendable {
    /// Redis is there, anew: what it has may be less than what it acknowledged.
    case connected
    /// The histories of these series may be more than they were, because their keys are decided about after a refusal, what was given up
    /// is stored all the same, or the last candles of an id that the series had before are stored; or less, because their slots have gone to
    /// another node. A series may be stopped meanwhile, or followed anew by another id.
    case lookAt(Set<Series>)
    /// The answer to `watch`.
    case watched([WatchedSeries])
    /// Their trade ids do not chain.
    case suspect(SeriesHandle, fromMs: Int64, untilMs: Int64)
}

@safe package final class Sink: Agent, @unchecked Sendable {
    // Its thread's alone, except the mailboxes, the meters and the flags, which are made for sharing.
    package let counters = CounterBank()
    package let latency = LatencyMeter()
    package let commands = Mailbox<SinkCommand>(capacity: Limits.commandCountMax)
    /// Never full: an id is released once before it is given out again, and one report and one list of the silent are asked for at a time.
    package let events = Mailbox<SinkEvent>(capacity: Limits.seriesCountMax + 2)
    /// For the healer. Full: it looks at the histories again by itself.
    package let words = Mailbox<SinkWord>(capacity: Limits.commandCountMax)
    /// The exchange can be asked, as far as is known: only then does a closed candle wait for a hole before it. Written by the healer.
    package var canHeal: Bool {
        get { healable.load(ordering: .relaxed) }
        set { healable.store(newValue, ordering: .relaxed) }
    }
    private let healable = Atomic<Bool>(true)
    private let drained = Atomic<Bool>(false)
    private let connected = Atomic<Bool>(false)
    private let formingLeft = Atomic<Int>(0)

    let writer: FixedSlot<CandleWriter>
    private var port: PollerPort?
    private var isDraining = false
    private let hasHealer: Bool
    private let pulse: Pulse?
    /// How it publishes.
    package let updates: UpdateMode

    package init(
        settings: SinkSettings, rings: [SPSCRing<CandleRecord>], journal: Journal, gaps: GapBoard, troubles: TroubleBoard = TroubleBoard()
    ) {
        hasHealer = settings.healHoldMs != nil
        (pulse, updates) = (settings.pulse, settings.updates)
        writer = FixedSlot(
            CandleWriter(
                settings: settings, rings: rings, counters: counters, latency: latency, journal: journal, gaps: gaps, troubles: troubles,
                words: words))
    }

    package var roleName: String { "sink" }
    /// After `.drain`: everything is acknowledged.
    package var isDrained: Bool { drained.load(ordering: .acquiring) }
    package var isConnected: Bool { connected.load(ordering: .relaxed) }
    /// Forming states not written, as of the last turn while draining.
    package var formingUnwritten: Int { formingLeft.load(ordering: .relaxed) }

    package func onStart(_ port: PollerPort) {
        self.port = port
        commands.setReceiver(port.wakeUp)
    }

    package func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) {
        let lane = Int(token.slot)
        guard lane < writer.value.lanes.count, token.matches(writer.value.lanes[lane].link.generation) else { return }
        writer.value.lanes[lane].isReadable = true
    }

    package func hasWork() -> Bool { commands.isWaiting || writer.value.hasWork() }

    package func nextDeadlineNs() -> UInt64 { writer.value.nextDeadlineNs }

    package func doWork(nowNs: UInt64) {
        // Before the commands: what the group has said meanwhile is among them.
        if let pulse { writer.value.isHeldBack = pulse.isLate }
        if commands.isWaiting { for command in commands.takeAll() { carryOut(command) } }
        if hasHealer && !isDraining { writer.value.table.held.canHeal = canHeal }
        writer.value.turn(nowNs: nowNs, port: port!)
        if writer.value.isConnected != isConnected { connected.store(writer.value.isConnected, ordering: .relaxed) }
        let released = writer.value.takeReleased()
        if !released.isEmpty { _ = events.offer(.released(released)) }
        if isDraining {
            formingLeft.store(writer.value.formingUnwritten, ordering: .relaxed)
            drained.store(writer.value.isSettled, ordering: .releasing)
        }
    }

    /// Carries a command out at once; only before the thread starts.
    package func prepare(_ command: SinkCommand) { carryOut(command) }

    private func carryOut(_ command: SinkCommand) {
        switch command {
        case .follow(let list): for (series, handle) in list { writer.value.follow(series, handle) }
        case .unfollow(let list): for handle in list { writer.value.unfollow(handle) }
        case .report(let ids): _ = events.offer(.report(ids.map { writer.value.report($0) }))
        case .disown(let handles): writer.value.disown(handles)
        case .own(let handles): writer.value.own(handles)
        case .askSilent(let ids, let sinceNs):
            _ = events.offer(.silent(ids.filter { writer.value.table.report($0).receivedNs < max(sinceNs, 1) }))
        case .rewriteNewest: writer.value.table.markAllDirty()
        case .checked(let list): writer.value.take(list)
        case .gapsChanged: break
        case .want(let gap): writer.value.table.want(gap)
        case .watch(let beforeMs):
            _ = words.offer(.watched(writer.value.table.watched(beforeMs: beforeMs, nowNs: writer.value.table.held.nowNs)))
        case .removeEntries(let series, let ids): writer.value.table.merges.remove(series, ids: ids)
        case .route(let map): writer.value.take(map, MonotonicClock.nowNs())
        case .followPrimary: writer.value.followPrimary(MonotonicClock.nowNs())
        case .drain:
            isDraining = true
            writer.value.drain()
        }
    }

    package func onClose() { for lane in 0..<writer.value.lanes.count { writer.value.lanes[lane].link.close() } }
}
