// Two members of a group whose series change hands, by seed: planned, because one sleeps, because one dies; on one server and on a cluster
// whose primaries die, too. What a writer had in its hands is stored by the other one, which has kept it.

import FastFeed
import TestKit
import Testing

struct GroupSinkTests {
    private struct Hands {
        let world: SinkWorld
        /// By series: who writes it.
        var writer: [Int]
        /// What is told to a member in that turn.
        private var due: [(turn: Int, member: Int, command: SinkCommand)] = []
        private var turn = 0
        private var sleeper: (member: Int, untilTurn: Int)?
        /// What must be stored before a member or a primary may die again: nobody else has it.
        private var mustHave: [Int]
        private var diedTurn = 0

        init(_ world: SinkWorld) {
            self.world = world
            writer = world.series.map { _ in 0 }
            mustHave = writer
            tell(1, .disown(handles(world.series.indices)))
        }

        private func handles(_ ids: some Sequence<Int>) -> [SeriesHandle] { ids.map { SeriesHandle(id: UInt32($0), generation: 1) } }
        private func tell(_ member: Int, _ command: SinkCommand) { _ = world.members[member].sink.commands.offer(command) }

        private var isStored: Bool {
            world.series.indices.allSatisfy { id in
                let stored = world.stage.histories[world.schema.historyKey(world.series[id])]?.map(\.openMs) ?? []
                // Later ones may be there already.
                return Set(stored).isSuperset(of: world.closed[id].prefix(mustHave[id]))
            }
        }

        /// - Parameter isHeard: false: who is to write these is not told.
        mutating func give(_ ids: [Int], to member: Int, after turns: Int, isHeard: Bool = true) {
            for id in ids { writer[id] = member }
            guard isHeard else { return }
            // Once more when what the other one had under way has come for certain, as the control thread does it.
            for wait in [turns, turns + 200] { due.append((turn + wait, member, .own(handles(ids)))) }
        }

        mutating func kill(_ member: Int, isHeard: Bool = true) throws {
            try world.replace(member)
            due.removeAll { $0.member == member }
            tell(member, .disown(handles(world.series.indices)))
            world.route()
            give(writer.indices.filter { writer[$0] == member }, to: 1 - member, after: world.random.below(100), isHeard: isHeard)
            mustHave = world.closed.map(\.count)
            diedTurn = turn
        }

        mutating func befall() throws {
            let member = world.random.below(2)
            let ids = writer.indices.filter { writer[$0] == member }
            switch world.random.below(4) {
            case 0, 1:
                let some = ids.filter { _ in world.random.chance(50) }
                tell(member, .disown(handles(some)))
                give(some, to: 1 - member, after: world.random.below(3))
            case 2:
                guard sleeper == nil, isStored else { return }
                sleeper = (member, turn + 150)
                give(ids, to: 1 - member, after: 50)
                // Before it writes it has asked.
                tell(member, .disown(handles(ids)))
                due.removeAll { $0.member == member }
            default:
                guard sleeper == nil, isStored, turn - diedTurn > 300 else { return }
                if world.stage.ports.count > 1, world.random.chance(50) {
                    let ports = world.stage.ports
                    let (port, successor) = (world.random.pick(ports), world.random.pick((7_001...7_005).filter { !ports.contains($0) }))
                    world.stage.revive(successor)
                    world.stage.failOver(port, to: successor, losing: world.random.below(40))
                    world.route()
                    mustHave = world.closed.map(\.count)
                    diedTurn = turn
                } else {
                    try kill(member)
                }
            }
        }

        mutating func run(_ what: String) {
            turn += 1
            if let asleep = sleeper, asleep.untilTurn <= turn { sleeper = nil }
            let now = due.filter { $0.turn <= turn }
            due.removeAll { $0.turn <= turn }
            for one in now { tell(one.member, one.command) }
            world.turn("\(what), turn \(turn)", but: sleeper?.member)
        }

        mutating func end(_ what: String) { while !due.isEmpty || sleeper != nil { run(what) } }
    }

    @Test(
        "Hands change, members sleep and die, primaries die: all that closed is there, once, and the newest states are the newest",
        arguments: sinkSeeds)
    func hands(_ seed: UInt64) throws {
        let world = try SinkWorld(seed: seed, members: 2, isCluster: seed % 2 == 0)
        var group = Hands(world)
        world.route()
        for _ in 0..<2_500 {
            world.feed(world.random.below(5))
            if world.random.chance(1) { try group.befall() }
            group.run("seed \(seed)")
        }
        group.end("seed \(seed)")
        world.settle("seed \(seed)")
        world.check("seed \(seed)")
        #expect(world.complaints.isEmpty, "\(world.complaints.summary)")
    }

    @Test("Where nobody takes over what was a dead member's, candles are missing")
    func planted() throws {
        let world = try SinkWorld(seed: 5, members: 2)
        var group = Hands(world)
        world.route()
        for turn in 0..<600 {
            world.feed(3)
            if turn == 300 { try group.kill(0, isHeard: false) }
            group.run("planted")
        }
        world.settle("planted")
        world.check("planted")
        #expect(!world.complaints.isEmpty)
    }
}
