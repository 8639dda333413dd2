// The agent behind the rings: takes records into the candle table, writes what is to be written to Redis, and
// settles the replies. Thread: its runner's. Everything is bounded: records per turn by the ring, a batch by its
// size, batches in flight by the window, closed candles by their queue.

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
    package var seed: UInt64
    package var closedMax = Limits.closedQueueCountMax
    package var replyTimeoutMs = Limits.redisReplyTimeoutMs

    package init(
        redis: RedisLinkSettings, market: Market, schema: KeySchema, history: Int, batchSize: Int, coalesces: Bool, seed: UInt64
    ) {
        self.redis = redis
        self.market = market
        self.schema = schema
        self.history = history
        self.batchSize = batchSize
        self.coalesces = coalesces
        self.seed = seed
    }
}

package enum SinkCommand: Sendable {
    case follow([(Series, SeriesHandle)])
    /// Take no more records of these; their newest states are removed, their ids come back by `takeReleased`.
    case unfollow([SeriesHandle])
    /// Say how these series stand (`takeReport`).
    case report(ids: [UInt32])
    /// Nothing more will come: write all there is and say so.
    case drain
}

@safe package final class Sink: Agent, @unchecked Sendable {
    // Its thread's alone, except `commands`, `counters`, `latency` and the two flags, which are made for sharing.
    let settings: SinkSettings
    let journal: Journal
    package let counters: CounterBank
    package let latency = LatencyMeter()
    package let commands = CommandQueue<SinkCommand>()
    private let drained = Atomic<Bool>(false)
    private let connected = Atomic<Bool>(false)
    private let formingLeft = Atomic<Int>(0)
    private let report = Mutex<[SeriesReport]?>(nil)
    private let released = Mutex<[UInt32]>([])

    let core: UnsafeMutablePointer<CandleWriter>
    private var port: PollerPort?
    private var isDraining = false

    package init(settings: SinkSettings, rings: [SPSCRing<CandleRecord>], journal: Journal, gaps: GapBoard) {
        self.settings = settings
        self.journal = journal
        counters = CounterBank()
        unsafe core = .allocate(capacity: 1)
        unsafe core.initialize(
            to: CandleWriter(settings: settings, rings: rings, counters: counters, latency: latency, journal: journal, gaps: gaps))
    }

    deinit {
        unsafe core.deinitialize(count: 1)
        unsafe core.deallocate()
    }

    package var roleName: String { "sink" }
    /// After `.drain`: everything is acknowledged.
    package var isDrained: Bool { drained.load(ordering: .acquiring) }
    package var isConnected: Bool { connected.load(ordering: .relaxed) }
    /// Forming states not written, as of the last turn while draining.
    package var formingUnwritten: Int { formingLeft.load(ordering: .relaxed) }

    package func onStart(_ port: PollerPort) { self.port = port }

    package func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) {
        guard unsafe token.generation == core.pointee.link.generation & 0xFF_FFFF else { return }
        unsafe core.pointee.onReady(readiness)
    }

    package func hasWork() -> Bool { unsafe commands.isWaiting || core.pointee.hasWork() }

    package func nextDeadlineNs() -> UInt64 { unsafe core.pointee.nextDeadlineNs }

    package func doWork(nowNs: UInt64) {
        if commands.isWaiting { for command in commands.takeAll() { carryOut(command) } }
        unsafe core.pointee.turn(nowNs: nowNs, port: port!)
        if unsafe core.pointee.link.isReady != isConnected { unsafe connected.store(core.pointee.link.isReady, ordering: .relaxed) }
        if unsafe core.pointee.isRetiring { release() }
        if isDraining {
            unsafe formingLeft.store(core.pointee.formingUnwritten, ordering: .relaxed)
            unsafe drained.store(core.pointee.isSettled, ordering: .releasing)
        }
    }

    private func release() {
        let ids = unsafe core.pointee.takeReleased()
        if !ids.isEmpty { released.withLock { $0 += ids } }
    }

    /// Any thread: the ids of stopped series that nothing mentions any more.
    package func takeReleased() -> [UInt32] {
        released.withLock { ids in
            defer { ids = [] }
            return ids
        }
    }

    /// Any thread: the answer to the last `.report`, in the order of its ids; nil while there is none.
    package func takeReport() -> [SeriesReport]? {
        report.withLock { report in
            defer { report = nil }
            return report
        }
    }

    /// Carries a command out at once; only before the thread starts.
    package func prepare(_ command: SinkCommand) { carryOut(command) }

    private func carryOut(_ command: SinkCommand) {
        switch command {
        case .follow(let list): for (series, handle) in list { unsafe core.pointee.follow(series, handle) }
        case .unfollow(let list): for handle in list { unsafe core.pointee.unfollow(handle) }
        case .report(let ids):
            let made = ids.map { unsafe core.pointee.table.report($0) }
            report.withLock { $0 = made }
        case .drain: isDraining = true
        }
    }

    package func onClose() { unsafe core.pointee.link.close() }
}
