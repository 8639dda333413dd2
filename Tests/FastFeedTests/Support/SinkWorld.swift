// Sinks of one or more members of a group on one ClusterStage, fed with the same random candles of twelve symbols; what must be so at the
// end. One thread.

import FastFeed
import TestKit

final class SinkWorld {
    static let ports: [UInt16] = [7_001, 7_002, 7_003]
    private static let beginMs: Int64 = 1_790_000_040_000

    /// One process: a sink with its ring.
    final class Member {
        let sink: Sink
        let journal = Journal()
        let producer: FixedSlot<SPSCRing<CandleRecord>.Producer>
        /// What the exchange has sent and the ring had no room for.
        var backlog: [CandleRecord] = []

        init(_ settings: SinkSettings, _ series: [Series], _ stage: ClusterStage) throws {
            let ring = SPSCRing<CandleRecord>(zeroed: 256)
            producer = FixedSlot(SPSCRing.Producer(ring))
            // The last one is the healer's, if there is one.
            let rings = [ring] + (settings.healHoldMs == nil ? [] : [SPSCRing(zeroed: 256)])
            sink = Sink(settings: settings, rings: rings, journal: journal, gaps: GapBoard())
            sink.prepare(.follow(series.enumerated().map { ($1, SeriesHandle(id: UInt32($0), generation: 1)) }))
            sink.onStart(PollerPort(poller: Poller(stage), wakeUp: try WakeUp(), agent: 0))
        }

        func takeBacklog() {
            let count = min(backlog.count, producer.value.room())
            for record in backlog.prefix(count) {
                producer.value.slot.value = record
                producer.value.keep()
            }
            backlog.removeFirst(count)
            _ = producer.value.publish()
        }
    }

    let stage: ClusterStage
    private(set) var members: [Member] = []
    let schema = KeySchema(prefix: "")
    var random: SplitMix64
    var complaints = Complaints()
    let series: [Series]
    private let settings: SinkSettings
    /// By series: the bar that forms, the newest event, and what has closed.
    private var openMs: [Int64]
    private(set) var eventMs: [Int64]
    private(set) var closed: [[Int64]]

    /// - Parameters:
    ///   - isCluster: false: one server, which is named as one.
    ///   - heals: somebody asks the sinks, and hears what they have to say.
    init(
        seed: UInt64, members count: Int = 1, isCluster: Bool = true, updates: UpdateMode = .classic, heals: Bool = false,
        rewriteMs: Int = 60_000, closedMax: Int = Limits.closedQueueCountMax
    ) throws {
        random = SplitMix64(seed: seed)
        stage = ClusterStage(ports: isCluster ? SinkWorld.ports : [7_001], seed: seed ^ 1)
        let url = isCluster ? "redis+cluster://127.0.0.1:7001" : "redis://127.0.0.1:7001"
        var settings = SinkSettings(
            redis: try RedisLinkSettings(try RedisEndpoint(url: url)), market: .spot, schema: schema, history: 100_000, batchSize: 64,
            coalesces: true, seed: seed ^ 2)
        settings.updates = updates
        (settings.rewriteMs, settings.closedMax) = (rewriteMs, closedMax)
        if heals { settings.healHoldMs = 0 }
        self.settings = settings
        series = (0..<12).flatMap { place in [Interval.m1, .h1].map { Series(symbol: Symbol("s\(place)usdt")!, interval: $0) } }
        openMs = series.map { $0.interval.openTime(containing: SinkWorld.beginMs) }
        eventMs = openMs
        closed = series.map { _ in [] }
        for _ in 0..<count { members.append(try Member(settings, series, stage)) }
    }

    var sink: Sink { members[0].sink }

    func route() { for member in members { _ = member.sink.commands.offer(.route(stage.map)) } }

    func feed(_ count: Int) {
        for _ in 0..<count where members.allSatisfy({ $0.backlog.count < 256 }) {
            let record = next()
            for member in members { member.backlog.append(record) }
        }
        for member in members { member.takeBacklog() }
    }

    private func next() -> CandleRecord {
        let id = random.below(series.count)
        let interval = series[id].interval
        var record = CandleRecord()
        (record.seriesID, record.generation, record.intervalRawValue) = (UInt32(id), 1, interval.rawValue)
        (record.openTimeMs, record.closeTimeMs) = (openMs[id], interval.closeTime(ofBarOpening: openMs[id]))
        record.isClosed = random.chance(30)
        eventMs[id] = record.isClosed ? record.closeTimeMs + 1 : eventMs[id] + 1
        record.eventTimeMs = eventMs[id]
        record.receivedNs = stage.nowNs
        let price = DecimalText("1.5")!
        (record.open, record.high, record.low, record.close) = (price, price, price, price)
        (record.volume, record.quoteVolume, record.takerBuyVolume, record.takerBuyQuoteVolume) = (price, price, price, price)
        if record.isClosed {
            closed[id].append(openMs[id])
            openMs[id] = interval.nextOpenTime(after: openMs[id])
        }
        return record
    }

    /// - Parameter sleeper: it is not scheduled.
    func turn(_ what: String, but sleeper: Int? = nil) {
        stage.nowNs += UInt64(random.below(3_000_000))
        if random.chance(80) { stage.serve() }
        for (place, member) in members.enumerated() where place != sleeper {
            member.takeBacklog()
            stage.client = place
            for token in stage.tokens() { member.sink.onReady(token, [.readable, .writable], nowNs: stage.nowNs) }
            member.sink.doWork(nowNs: stage.nowNs)
            if let wrong = member.sink.checkInvariants() { complaints.check(false, "\(what), \(place): \(wrong)") }
        }
    }

    /// Two records each, until enough has happened.
    func turns(_ most: Int, _ what: String, until isEnough: () -> Bool = { false }) {
        for _ in 0..<most where !isEnough() {
            feed(2)
            turn(what)
        }
    }

    /// `kill -9`, and a process that begins anew.
    func replace(_ place: Int) throws {
        stage.drop(clientsOf: place)
        members[place] = try Member(settings, series, stage)
    }

    /// Turns until all that came is written.
    func settle(_ what: String) {
        for member in members { _ = member.sink.commands.offer(.drain) }
        for _ in 0..<20_000 where !members.allSatisfy({ $0.sink.isDrained && $0.backlog.isEmpty }) { turn(what) }
        complaints.check(members.allSatisfy { $0.sink.isDrained && $0.backlog.isEmpty }, "\(what): something waits for ever")
    }

    /// All that closed is there, once, in order, and the newest states are the newest.
    func check(_ what: String) {
        // Of two writers in a row the first one's last words may come behind the second one's first.
        for line in stage.complaints where members.count == 1 { complaints.check(false, "\(what): \(line)") }
        for (id, series) in series.enumerated() {
            let stored = stage.histories[schema.historyKey(series)]?.map(\.openMs) ?? []
            complaints.check(stored == closed[id], "\(what): \(series) has \(stored.count) of \(closed[id].count)")
            let hasCome = eventMs[id] > series.interval.openTime(containing: SinkWorld.beginMs)
            let latest = stage.latest[schema.latestKey(.spot, series.interval)]?[series.symbol.name]
            complaints.check(
                latest == (hasCome ? eventMs[id] : nil), "\(what): the newest of \(series) is \(latest ?? -1), not \(eventMs[id])")
        }
    }

    var anyKey: String {
        let one = random.pick(series)
        return random.chance(30) ? schema.latestKey(.spot, one.interval) : schema.historyKey(one)
    }
}
