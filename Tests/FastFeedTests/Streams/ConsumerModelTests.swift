// Two consumers' machines against a model of a stream and its group, with losses, trims, lost groups, failing handlers and pauses: every
// entry is handled, nothing stays pending, nothing in hand is handed out twice.

import FastFeed
import TestKit
import Testing

/// A stream with one group as Redis 7 has it, as far as the machine's commands see it.
private struct GroupModel {
    struct Pending {
        var owner: Int
        var sinceNs: UInt64
        var count: Int
    }

    var entries: [UInt64] = []
    var lastID: UInt64 = 0
    /// Nil: there is no group.
    var place: UInt64?
    var pending: [UInt64: Pending] = [:]
    var buried: [UInt64] = []

    mutating func add() {
        lastID += 1
        entries.append(lastID)
    }

    /// - Returns: nil for a read that goes on waiting.
    mutating func run(_ command: ConsumerCommand, _ me: Int, _ nowNs: UInt64, claimAfterNs: UInt64) -> ConsumerAnswer? {
        if case .makeGroup(_, let seen) = command {
            if place != nil { return .count(0) }
            place = seen.map { lastID < $0.milliseconds ? 0 : $0.milliseconds } ?? 0
            return .count(1)
        }
        switch command {
        case .ack(_, let ids, _, _), .ackVanished(_, let ids):
            return .count(ids.count { pending.removeValue(forKey: $0.milliseconds) != nil })
        case .fetch(_, let row): return .pages([(0, MachineBench.page(entries.filter { $0 == row.id.milliseconds }))])
        default: break
        }
        guard place != nil else { return .failed(.noSuchGroup(key: "s", group: "g")) }
        switch command {
        case .fresh(let count, let blockMs):
            let new = Array(entries.filter { $0 > place! }.prefix(count))
            guard !new.isEmpty else { return blockMs == nil ? .pages([]) : nil }
            for id in new { pending[id] = Pending(owner: me, sinceNs: nowNs, count: 1) }
            place = new.last!
            return .pages([(0, MachineBench.page(new))])
        case .history(_, let after, let count):
            let own = rows(me, from: after.milliseconds + 1, through: .max, count)
            for id in own {
                pending[id]!.count += 1
                pending[id]!.sinceNs = nowNs
            }
            return .pages([(0, MachineBench.page(own.filter(entries.contains), vanished: own.filter { !entries.contains($0) }))])
        case .assigned(_, let after, let count): return counts(rows(me, from: after.milliseconds + 1, through: .max, count))
        case .counts(_, let from, let through, let count):
            return counts(rows(me, from: from.milliseconds + (from.sequence > 0 ? 1 : 0), through: through.milliseconds, count))
        case .claim(_, let from, let count):
            let idle = pending.keys.filter { $0 >= from.milliseconds && pending[$0]!.sinceNs + claimAfterNs <= nowNs }.sorted()
            let taken = Array(idle.prefix(count))
            for id in taken where entries.contains(id) {
                pending[id] = Pending(owner: me, sinceNs: nowNs, count: pending[id]!.count + 1)
            }
            let gone = taken.filter { !entries.contains($0) }
            for id in gone { pending[id] = nil }
            let cursor = idle.count > count ? StreamID(taken.last! + 1) : .min
            return .claimed(cursor: cursor, page: MachineBench.page(taken.filter(entries.contains), vanished: gone), unnamed: 0)
        case .hold(let hold): return .codes(hold.items.map { self.hold($0, hold, me, nowNs, claimAfterNs) })
        case .bury(_, _, let id, _, _):
            guard let row = pending[id.milliseconds] else { return .count(ConsumerScripts.HoldCode.missing) }
            guard row.owner == me else { return .count(ConsumerScripts.HoldCode.other) }
            pending[id.milliseconds] = nil
            guard entries.contains(id.milliseconds) else { return .count(ConsumerScripts.HoldCode.trimmed) }
            buried.append(id.milliseconds)
            return .count(ConsumerScripts.HoldCode.ours)
        default: return .count(0)
        }
    }

    private func rows(_ me: Int, from: UInt64, through: UInt64, _ count: Int) -> [UInt64] {
        Array(pending.filter { $0.value.owner == me && $0.key >= from && $0.key <= through }.keys.sorted().prefix(count))
    }

    private func counts(_ ids: [UInt64]) -> ConsumerAnswer {
        .rows(ids.map { PendingRow(id: StreamID($0), deliveries: pending[$0]!.count) })
    }

    private mutating func hold(_ item: ConsumerHold.Item, _ hold: ConsumerHold, _ me: Int, _ nowNs: UInt64, _ claimAfterNs: UInt64) -> Int {
        let id = item.id.milliseconds
        let sinceNs = hold.kind == .giveBack ? nowNs - claimAfterNs : nowNs
        guard let row = pending[id] else {
            guard hold.putsBack, entries.contains(id) else { return ConsumerScripts.HoldCode.missing }
            pending[id] = Pending(owner: me, sinceNs: sinceNs, count: item.deliveries)
            return ConsumerScripts.HoldCode.ours
        }
        guard row.owner == me else { return ConsumerScripts.HoldCode.other }
        guard entries.contains(id) else {
            pending[id] = nil
            return ConsumerScripts.HoldCode.trimmed
        }
        pending[id] = Pending(owner: me, sinceNs: sinceNs, count: hold.kind == .lease ? row.count : item.deliveries)
        return ConsumerScripts.HoldCode.ours
    }
}

/// One consumer: its machine, its tasks, its two connections.
private struct ModelConsumer {
    var machine: ConsumerMachine
    /// Waiting for a task, or with one.
    var inHand: [ConsumerDelivery] = []
    /// Sent and not answered.
    var sent: [ConsumerCommand] = []
    var read: ConsumerCommand?
    var readUntilNs: UInt64 = 0

    init(_ settings: ConsumerMachine.Settings, _ nowNs: UInt64) {
        machine = ConsumerMachine(settings)
        machine.want(true, nowNs)
    }
}

private struct ModelRun {
    static let ms: UInt64 = 1_000_000
    static let claimAfterNs = 2_000 * ms

    var model = GroupModel()
    var consumers: [ModelConsumer] = []
    var random: SplitMix64
    var nowNs = 100_000 * ModelRun.ms
    var handled: Set<UInt64> = []
    var trimmed: Set<UInt64> = []
    /// Handed out while in hand already.
    var doubled = 0
    let staysCalm: Bool

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        staysCalm = seed % 5 == 0
        for index in 0..<2 {
            var settings = ConsumerMachine.Settings()
            settings.prefetch = [1, 3, 8, 40].randomElement(using: &random)!
            settings.claimAfterNs = ModelRun.claimAfterNs
            settings.isNamed = index == 0
            settings.seed = random.next()
            consumers.append(ModelConsumer(settings, nowNs))
        }
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func step(isCalm: Bool) {
        nowNs += ModelRun.ms * .random(in: 0...(isCalm ? 40 : 20), using: &random)
        if !isCalm {
            for _ in 0..<Int.random(in: 0...3, using: &random) { model.add() }
            if !staysCalm { harm() }
        }
        for index in consumers.indices { step(index, isCalm: isCalm) }
    }

    private mutating func harm() {
        if chance(1), let first = model.entries.randomElement(using: &random) {
            trimmed.formUnion(model.entries.filter { $0 < first })
            model.entries.removeAll { $0 < first }
        }
        if chance(1) {
            // What was assigned and had not arrived goes with its group, as what dead consumers have.
            for (id, row) in model.pending where !consumers[row.owner].machine.hand.ids(of: 0).contains(StreamID(id)) { trimmed.insert(id) }
            (model.place, model.pending) = (nil, [:])
        }
        for index in consumers.indices where chance(2) {
            // The shared connection: some of what was sent was carried out.
            for command in consumers[index].sent {
                if chance(50) { _ = model.run(command, index, nowNs, claimAfterNs: ModelRun.claimAfterNs) }
                consumers[index].machine.answered(command, .lost, nowNs)
            }
            consumers[index].sent = []
            consumers[index].machine.lost(nowNs)
        }
        for index in consumers.indices where chance(2) {
            guard let read = consumers[index].read else { continue }
            if chance(50) { _ = model.run(read, index, nowNs, claimAfterNs: ModelRun.claimAfterNs) }
            consumers[index].read = nil
            consumers[index].machine.answered(read, .lost, nowNs)
        }
    }

    private mutating func step(_ index: Int, isCalm: Bool) {
        // Replies: those on the shared connection in order, perhaps later.
        if isCalm || chance(70) {
            for command in consumers[index].sent {
                let answer = model.run(command, index, nowNs, claimAfterNs: ModelRun.claimAfterNs)
                consumers[index].machine.answered(command, answer ?? .lost, nowNs)
            }
            consumers[index].sent = []
        }
        if let read = consumers[index].read {
            var answer = model.run(read, index, nowNs, claimAfterNs: ModelRun.claimAfterNs)
            if answer == nil, nowNs >= consumers[index].readUntilNs { answer = .pages([]) }
            if let answer {
                consumers[index].read = nil
                consumers[index].machine.answered(read, answer, nowNs)
            }
        }
        work(index, isCalm: isCalm)
        turn(index)
    }

    private mutating func work(_ index: Int, isCalm: Bool) {
        var kept: [ConsumerDelivery] = []
        for delivery in consumers[index].inHand {
            if !isCalm, chance(60) {
                kept.append(delivery)
                continue
            }
            if !isCalm, chance(3) {
                consumers[index].machine.settle(delivery.slot, .reject(reason: "bad"), nowNs)
            } else if isCalm || chance(80) {
                handled.insert(delivery.entry.id.milliseconds)
                consumers[index].machine.acknowledge([Int32(delivery.slot)], nowNs)
            } else {
                let afterNs = ModelRun.ms * .random(in: 0...500, using: &random)
                consumers[index].machine.settle(delivery.slot, .retry(afterNs: afterNs, reason: "", delivery.entry), nowNs)
            }
        }
        consumers[index].inHand = kept
    }

    private mutating func turn(_ index: Int) {
        let turn = consumers[index].machine.turn(nowNs, canSend: consumers[index].sent.isEmpty || chance(80))
        let withdrawn = Set(turn.withdrawn)
        for slot in withdrawn where chance(50) {
            if let place = consumers[index].inHand.firstIndex(where: { $0.slot == slot }) {
                consumers[index].inHand.remove(at: place)
                consumers[index].machine.withdrawn(slot)
            }
        }
        let ids = Set(consumers[index].inHand.map(\.entry.id))
        doubled += turn.deliveries.count { ids.contains($0.entry.id) }
        consumers[index].inHand += turn.deliveries
        consumers[index].sent += turn.commands
        if let read = turn.read, case .fresh(_, let blockMs?) = read {
            precondition(consumers[index].read == nil)
            consumers[index].read = read
            consumers[index].readUntilNs = nowNs + .ns(ms: blockMs)
        }
    }
}

struct ConsumerModelTests {
    @Test("Everything is handled once at least, and nothing stays pending", arguments: 0..<8)
    func random(block: Int) {
        for seed in UInt64(block * 25)..<UInt64(block * 25 + 25) {
            var run = ModelRun(seed: seed)
            for _ in 0..<300 { run.step(isCalm: false) }
            for _ in 0..<600 where !run.isDone { run.step(isCalm: true) }
            #expect(run.isDone, "seed \(seed): \(run.left)")
            #expect(run.doubled == 0, "seed \(seed)")
            for consumer in run.consumers {
                #expect(consumer.machine.hand.isEmpty, "seed \(seed)")
                #expect(consumer.machine.hand.slotCount <= 200, "seed \(seed)")
            }
            if run.staysCalm {
                let counters = run.consumers.map(\.machine.counters)
                #expect(counters.allSatisfy { $0.ackMisses == 0 && $0.vanished == 0 && $0.groupsMade == 0 }, "seed \(seed): \(counters)")
            }
        }
    }
}

extension ModelRun {
    /// What was neither handled nor buried nor trimmed.
    fileprivate var left: [UInt64] {
        model.lastID == 0 ? [] : (1...model.lastID).filter { !handled.contains($0) && !trimmed.contains($0) && !model.buried.contains($0) }
    }

    fileprivate var isDone: Bool {
        left.isEmpty && model.pending.isEmpty && consumers.allSatisfy { $0.machine.hand.isEmpty && $0.sent.isEmpty }
    }
}
