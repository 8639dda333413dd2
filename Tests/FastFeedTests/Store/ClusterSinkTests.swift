// The sink against a cluster whose slots and keys move and whose primaries die, by seed: nothing that closed is lost or stands twice, no
// newest state goes back, and what is always so of the sink is so after each turn.

import FastFeed
import TestKit
import Testing

struct ClusterSinkTests {
    private func finish(_ world: SinkWorld, _ what: String) {
        world.settle(what)
        world.check(what)
        let counters = world.sink.counters
        #expect(counters.value(.closedPending) == 0 && counters.value(.redisRejected) == 0)
        #expect(counters.value(.closedWritten) == UInt64(world.closed.reduce(0) { $0 + $1.count }))
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("Each node gets what it owns, and nothing is redirected")
    func steady() throws {
        let world = try SinkWorld(seed: 1)
        world.feed(20)
        for _ in 0..<20 { world.turn("no map") }
        #expect(world.stage.openPorts.isEmpty && world.stage.histories.isEmpty)
        world.route()
        for _ in 0..<600 {
            world.feed(world.random.below(4))
            world.turn("steady")
        }
        #expect(world.stage.openPorts == SinkWorld.ports && world.sink.isConnected)
        finish(world, "steady")
        #expect(world.stage.redirectCount == 0 && world.stage.messageCount > 100 && world.sink.counters.value(.redisRedirects) == 0)
    }

    @Test(
        "A key that is half moved is written behind ASKING, and the map stays; sharded messages go to the owner",
        arguments: UpdateMode.allCases)
    func asked(_ updates: UpdateMode) throws {
        let world = try SinkWorld(seed: 2, updates: updates)
        world.route()
        for _ in 0..<50 { world.turn("start") }
        for one in world.series.prefix(2) {
            let keys = [world.schema.historyKey(one), world.schema.latestKey(.spot, one.interval)]
            for key in keys { world.stage.moveKey(key, to: SinkWorld.ports.first { $0 != world.stage.owner(key) }!) }
        }
        for _ in 0..<300 {
            world.feed(3)
            world.turn("asked")
        }
        #expect(world.stage.redirectCount > 0)
        // The newest state of each is told while it is so, and not only afterwards.
        for _ in 0..<100 { world.turn("asked") }
        let told = world.series.map { world.stage.told[world.schema.updatesChannel($0)] }
        #expect(told == (updates == .sharded ? world.eventMs : world.series.map { _ in nil }))
        #expect((world.stage.messageCount > 0) == (updates != .off))
        world.stage.giveUpMoves()
        finish(world, "asked")
    }

    @Test(
        "More classic messages than a cluster's bus should have are a warning, sharded ones are not",
        arguments: [UpdateMode.classic, .sharded])
    func messageRate(_ updates: UpdateMode) throws {
        let world = try SinkWorld(seed: 4, updates: updates)
        world.route()
        let untilNs = world.stage.nowNs + Limits.messageRateNs + 1_500_000_000
        while world.stage.nowNs < untilNs {
            world.feed(60)
            world.stage.nowNs += 500_000
            world.turn("rate")
        }
        #expect(world.stage.messageCount > 10 * Limits.classicMessagesPerSecond, "nothing is proven")
        let warnings = world.members[0].journal.drain().lines.count { $0.message.contains("--updates sharded") }
        #expect((warnings > 0) == (updates == .classic))
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("A node that hangs is not waited for once its slots are another's; no lane is left behind")
    func hung() throws {
        let world = try SinkWorld(seed: 3)
        world.route()
        world.turns(100, "start")
        world.stage.hung = [7_002]
        world.turns(50, "hung")
        world.stage.failOver(7_002, to: 7_004, losing: 20)
        world.route()
        finish(world, "hung")
        #expect(world.stage.openPorts == [7_001, 7_003, 7_004])
        #expect(world.sink.counters.value(.redisLanes) == 3 && world.sink.counters.value(.redisLanesUp) == 3)
    }

    @Test(
        "The healer hears of series whose slots go to a node that is connected already: what it has brought is written by nobody else",
        arguments: [60_000, 0])
    func gained(_ rewriteMs: Int) throws {
        let world = try SinkWorld(seed: 6, heals: true, rewriteMs: rewriteMs)
        world.route()
        world.turns(200, "gained")
        #expect(world.sink.isConnected)
        _ = world.sink.words.takeAll()
        let key = world.schema.historyKey(world.series[3])
        let alike = Set(world.series.filter { HashSlot(key: world.schema.historyKey($0)) == HashSlot(key: key) })
        world.stage.moveSlot(of: key, to: SinkWorld.ports.first { $0 != world.stage.owner(key) }!)
        world.route()
        world.turns(200, "gained")
        let said = world.sink.words.takeAll()
        #expect(said.compactMap { if case .lookAt(let series) = $0 { series } else { nil } } == [alike])
        #expect(said.allSatisfy { if case .connected = $0 { false } else { true } })
        finish(world, "gained")
    }

    @Test("A node dies before it owns what has gone to it: that is written again where it belongs, and the healer looks")
    func diedAhead() throws {
        let world = try SinkWorld(seed: 8, heals: true)
        world.route()
        world.turns(200, "died ahead")
        let series = world.series[5]
        for key in [world.schema.historyKey(series), world.schema.latestKey(.spot, series.interval)] { world.stage.moveKey(key, to: 7_004) }
        world.turns(300, "died ahead")
        #expect(world.stage.openPorts.contains(7_004), "nothing is proven")
        _ = world.sink.words.takeAll()
        world.stage.die(7_004)
        world.turns(300, "died ahead")
        let looksAt = world.sink.words.takeAll().map { word -> Set<Series>? in
            switch word {
            case .connected: Set(world.series)
            case .lookAt(let list): list
            default: nil
            }
        }
        #expect(looksAt.contains { $0?.contains(series) == true }, "\(looksAt)")
        finish(world, "died ahead")
    }

    @Test("The healer looks again when Redis takes what was pushed out of the full queue while it was on its way")
    func takenAfterAll() throws {
        let world = try SinkWorld(seed: 7, isCluster: false, heals: true, closedMax: 16)
        world.turns(200, "taken after all")
        // It refuses, and what is sent then waits in a server that hangs.
        world.stage.isLoading = true
        world.turns(1_000, "taken after all") { world.sink.counters.value(.redisErrorsRetried) > 0 }
        (world.stage.isLoading, world.stage.hung) = (false, [7_001])
        world.turns(1_000, "taken after all") { world.sink.counters.value(.closedQueueOverflow) > 50 }
        #expect(world.sink.counters.value(.closedQueueOverflow) > 50, "nothing is proven")
        _ = world.sink.words.takeAll()
        world.stage.hung = []
        world.turns(20, "taken after all")
        let said = world.sink.words.takeAll()
        #expect(said.contains { if case .lookAt(let series) = $0 { series == Set(world.series) } else { false } }, "\(said)")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("The healer looks again at a series that was stopped and followed anew, once all of the former id is there")
    func returned() throws {
        let world = try SinkWorld(seed: 9, isCluster: false, heals: true)
        world.turns(200, "returned")
        world.stage.hung = [7_001]
        world.turns(100, "returned")
        #expect(world.sink.counters.value(.closedPending) > 0, "nothing is proven")
        _ = world.sink.words.takeAll()
        let anew = SeriesHandle(id: UInt32(world.series.count), generation: 1)
        _ = world.sink.commands.offer(.unfollow([SeriesHandle(id: 5, generation: 1)]))
        _ = world.sink.commands.offer(.follow([(world.series[5], anew)]))
        world.turns(100, "returned")
        #expect(world.sink.words.takeAll().isEmpty)
        world.stage.hung = []
        world.turns(100, "returned")
        let said = world.sink.words.takeAll()
        let looks = said.compactMap { word -> Set<Series>? in if case .lookAt(let series) = word { series } else { nil } }
        #expect(looks == [[world.series[5]]], "\(said)")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("Slots and keys move, nodes hang and die, maps come late", arguments: sinkSeeds)
    func storm(_ seed: UInt64) throws { try run(seed, .classic) }

    @Test("The same with other messages, and without", arguments: [UpdateMode.sharded, .off], Array(50..<60) as [UInt64])
    func stormOfMessages(_ updates: UpdateMode, _ seed: UInt64) throws { try run(seed, updates) }

    private func run(_ seed: UInt64, _ updates: UpdateMode) throws {
        let world = try SinkWorld(seed: seed, updates: updates)
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
        finish(world, "seed \(seed)")
        #expect((world.stage.messageCount > 0) == (updates != .off) && (world.stage.told.isEmpty == (updates != .sharded)))
    }
}
