// The sink against a cluster whose slots and keys move and whose primaries die, by seed: nothing that closed is lost or stands twice, no newest
// state goes back, and what is always so of the sink is so after each turn.

import FastFeed
import TestKit
import Testing

struct ClusterSinkTests {
    private static let ports: [UInt16] = [7_001, 7_002, 7_003]
    private static let minute: Int64 = 60_000
    private static let beginMs: Int64 = 1_790_000_040_000

    private final class World {
        let stage: ClusterStage
        let sink: Sink
        let schema = KeySchema(prefix: "")
        var random: SplitMix64
        var complaints = Complaints()
        private let ring = SPSCRing<CandleRecord>(zeroed: 256)
        private let producer: FixedSlot<SPSCRing<CandleRecord>.Producer>
        let series: [Series]
        /// By series: the bar that forms, the newest event, and what has closed.
        private var openMs: [Int64]
        private(set) var eventMs: [Int64]
        private(set) var closed: [[Int64]]

        init(seed: UInt64) throws {
            random = SplitMix64(seed: seed)
            stage = ClusterStage(ports: ports, seed: seed ^ 1)
            producer = FixedSlot(SPSCRing.Producer(ring))
            sink = Sink(
                settings: SinkSettings(
                    redis: try RedisLinkSettings(try RedisEndpoint(url: "redis+cluster://127.0.0.1:7001")), market: .spot, schema: schema,
                    history: 100_000, batchSize: 64, coalesces: true, seed: seed ^ 2), rings: [ring], journal: Journal(), gaps: GapBoard())
            series = (0..<12).flatMap { place in [Interval.m1, .h1].map { Series(symbol: Symbol("s\(place)usdt")!, interval: $0) } }
            openMs = series.map { $0.interval.openTime(containing: beginMs) }
            eventMs = openMs
            closed = series.map { _ in [] }
            sink.prepare(.follow(series.enumerated().map { ($1, SeriesHandle(id: UInt32($0), generation: 1)) }))
            sink.onStart(PollerPort(poller: Poller(stage), wakeUp: try WakeUp(), agent: 0))
        }

        func route() { _ = sink.commands.offer(.route(stage.map)) }

        func feed(_ count: Int) {
            for _ in 0..<count where producer.value.room() > 0 {
                let id = random.below(series.count)
                let interval = series[id].interval
                var record = CandleRecord()
                (record.seriesID, record.generation, record.intervalCode) = (UInt32(id), 1, interval.rawValue)
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
                producer.value.slot.value = record
                producer.value.keep()
            }
            _ = producer.value.publish()
        }

        func turn(_ what: String) {
            stage.nowNs += UInt64(random.below(3_000_000))
            if random.chance(80) { stage.serve() }
            for token in stage.tokens() { sink.onReady(token, [.readable, .writable], nowNs: stage.nowNs) }
            sink.doWork(nowNs: stage.nowNs)
            if let wrong = sink.checkInvariants() { complaints.check(false, "\(what): \(wrong)") }
        }

        /// Turns until all that came is written.
        func settle(_ what: String) {
            _ = sink.commands.offer(.drain)
            for _ in 0..<20_000 where !sink.isDrained { turn(what) }
            complaints.check(sink.isDrained, "\(what): something waits for ever")
        }

        func check(_ what: String) {
            for line in stage.complaints { complaints.check(false, "\(what): \(line)") }
            for (id, series) in series.enumerated() {
                let stored = stage.histories[schema.historyKey(series)]?.map(\.openMs) ?? []
                complaints.check(stored == closed[id], "\(what): \(series) has \(stored.count) of \(closed[id].count)")
                let hasCome = eventMs[id] > series.interval.openTime(containing: beginMs)
                let latest = stage.latest[schema.latestKey(.spot, series.interval)]?[series.symbol.name]
                complaints.check(
                    latest == (hasCome ? eventMs[id] : nil), "\(what): the newest of \(series) is \(latest ?? -1), not \(eventMs[id])")
            }
            let counters = sink.counters
            complaints.check(counters.value(.closedPending) == 0 && counters.value(.redisRejected) == 0, "\(what): counters")
            complaints.check(counters.value(.closedWritten) == UInt64(closed.reduce(0) { $0 + $1.count }), "\(what): written")
        }

        var anyKey: String {
            let one = random.pick(series)
            return random.chance(30) ? schema.latestKey(.spot, one.interval) : schema.historyKey(one)
        }
    }

    @Test("Each node gets what it owns, and nothing is redirected")
    func steady() throws {
        let world = try World(seed: 1)
        world.feed(20)
        for _ in 0..<20 { world.turn("no map") }
        #expect(world.stage.openPorts.isEmpty && world.stage.histories.isEmpty)
        world.route()
        for _ in 0..<600 {
            world.feed(world.random.below(4))
            world.turn("steady")
        }
        #expect(world.stage.openPorts == ClusterSinkTests.ports && world.sink.isConnected)
        world.settle("steady")
        world.check("steady")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
        #expect(world.stage.redirectCount == 0 && world.stage.messageCount > 100 && world.sink.counters.value(.redisRedirects) == 0)
    }

    @Test("A key that is half moved is written behind ASKING, and the map stays")
    func asked() throws {
        let world = try World(seed: 2)
        world.route()
        for _ in 0..<50 { world.turn("start") }
        for one in world.series.prefix(2) {
            let keys = [world.schema.historyKey(one), world.schema.latestKey(.spot, one.interval)]
            for key in keys { world.stage.moveKey(key, to: ClusterSinkTests.ports.first { $0 != world.stage.owner(key) }!) }
        }
        for _ in 0..<300 {
            world.feed(3)
            world.turn("asked")
        }
        #expect(world.stage.redirectCount > 0)
        world.stage.giveUpMoves()
        world.settle("asked")
        world.check("asked")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("A node that hangs is not waited for once its slots are another's; no lane is left behind")
    func hung() throws {
        let world = try World(seed: 3)
        world.route()
        for _ in 0..<100 {
            world.feed(2)
            world.turn("start")
        }
        world.stage.hung = [7_002]
        for _ in 0..<50 {
            world.feed(2)
            world.turn("hung")
        }
        world.stage.failOver(7_002, to: 7_004, losing: 20)
        world.route()
        world.settle("hung")
        world.check("hung")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
        #expect(world.stage.openPorts == [7_001, 7_003, 7_004] && world.sink.counters.value(.redisLanes) == 3)
    }

    @Test("Slots and keys move, nodes hang and die, maps come late", arguments: seeds + Array(10..<40))
    func storm(_ seed: UInt64) throws {
        let world = try World(seed: seed)
        let all: [UInt16] = [7_001, 7_002, 7_003, 7_004, 7_005]
        world.route()
        for step in 0..<1_500 {
            world.feed(world.random.below(5))
            if world.random.chance(3) {
                let living = all.filter { !world.stage.dead.contains($0) }
                let (key, to) = (world.anyKey, world.random.pick(living))
                switch world.random.below(6) {
                case 0: world.stage.moveSlot(of: key, to: to)
                case 1, 2: world.stage.moveKey(key, to: to)
                case 3: world.stage.giveUpMoves()
                case 4: world.stage.hung = world.random.chance(50) ? [to] : []
                default:
                    let port = world.stage.owner(key)
                    if port != to { world.stage.failOver(port, to: to, losing: world.random.below(40)) }
                }
            }
            if world.random.chance(2), let port = world.stage.dead.sorted().first { world.stage.revive(port) }
            if world.random.chance(4) { world.route() }
            world.turn("seed \(seed), step \(step)")
        }
        world.stage.hung = []
        world.stage.giveUpMoves()
        for port in world.stage.dead { world.stage.revive(port) }
        world.route()
        world.settle("seed \(seed)")
        world.check("seed \(seed)")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }
}
