// Members of one group on one model of Redis, in steps of time, with whatever may befall them. What is judged:
//   - TTL + 2 s after the last misfortune no unit has been without a writer for so long, unless there is nobody, or Redis is away;
//   - no unit has two writers for longer than two beats and a moment (two messages may be lost, one behind the other);
//   - who has slept for longer than the TTL writes nothing before it has asked.

import FastFeed
import TestKit

struct GroupWorld {
    enum Fault { case none, writesAfterSleep, takesNobodyForDead }

    private struct Process {
        var machine: Membership
        var isAlive = true
        var asleepUntilMs = 0
        /// When it was last awake; and whether it has asked since it slept.
        var awakeMs = 0
        var owesBeat = false
        /// All that it follows brings something from then on.
        var readyMs = 0
        var readyEpoch: Int64 = 0
        var isLeaving = false
    }

    private static let stepMs = 50
    private static let ttlMs = 5_000
    private static let units = (0..<8).map { "unit\($0)" }

    private var random: SplitMix64
    private let fault: Fault
    private let copies: Int
    private var redis = GroupModel()
    private var isAway = false
    /// A Redis that stood still carries these out when it goes on; nobody waits for the answers any more. Nil: they are lost.
    private var late: [[String]]?
    private var awayUntilMs = 0
    private var processes: [Process] = []
    private var nextName = 0
    private var nowMs = 0
    /// When something last befell them.
    private var befellMs = 0
    private var silentMs: [Int]
    private var doubledMs: [Int]
    private(set) var complaints = Complaints()

    init(seed: UInt64, fault: Fault = .none) {
        random = SplitMix64(seed: seed)
        self.fault = fault
        copies = 1 + random.below(2)
        (silentMs, doubledMs) = (GroupWorld.units.map { _ in 0 }, GroupWorld.units.map { _ in 0 })
        for _ in 0..<(1 + random.below(3)) { join() }
    }

    private mutating func join(_ name: String? = nil) {
        let name = name ?? "m\(nextName)"
        nextName += 1
        let facts = MemberFacts(nonce: "\(nextName)", host: "h", pid: 1, version: "1", addressGroup: "g")
        let settings = Membership.Settings(name: name, copies: copies, ttlMs: GroupWorld.ttlMs)
        var process = Process(machine: Membership(settings, facts: facts, schema: KeySchema(prefix: "")))
        process.awakeMs = nowMs
        processes.append(process)
    }

    mutating func run(seconds: Int) {
        while nowMs < seconds * 1_000 {
            nowMs += GroupWorld.stepMs
            befall()
            for place in processes.indices where isAwake(place) { turn(place) }
            processes.removeAll { !$0.isAlive }
            judge()
        }
    }

    private func isAwake(_ place: Int) -> Bool { processes[place].isAlive && nowMs >= processes[place].asleepUntilMs }

    // MARK: What may happen

    private mutating func befall() {
        if isAway && nowMs >= awayUntilMs {
            (isAway, befellMs) = (false, nowMs)
            for question in late ?? [] { _ = redis.beat(question) }
            late = nil
        }
        // Somebody wakes up.
        func wakes(_ process: Process) -> Bool { process.asleepUntilMs > 0 && abs(process.asleepUntilMs - nowMs) <= GroupWorld.stepMs }
        if processes.contains(where: wakes) { befellMs = nowMs }
        guard random.below(120) == 0 else { return }
        let kind = random.below(10)
        if !(0...1).contains(kind) && kind != 3 { befellMs = nowMs }
        switch kind {
        case 0, 1: if processes.count < 5 { join() }
        case 2: if !processes.isEmpty { processes[random.below(processes.count)].isAlive = false }
        case 3: if processes.count > 1 { processes[random.below(processes.count)].isLeaving = true }
        case 4, 5:
            guard !processes.isEmpty else { return }
            processes[random.below(processes.count)].asleepUntilMs = nowMs + random.below(4 * GroupWorld.ttlMs)
        case 6: redis.members = [:]
        case 7: redis = GroupModel()
        case 8 where !isAway:
            (isAway, awayUntilMs) = (true, nowMs + random.below(40_000))
            late = random.chance(50) ? [] : nil
            // As it was, or empty.
            if late == nil && random.chance(50) { redis = GroupModel() }
        default: break
        }
    }

    // MARK: A member's turn, as control has it

    private mutating func turn(_ place: Int) {
        var process = processes[place]
        defer { processes[place] = process }
        let nowNs = UInt64(nowMs) * 1_000_000
        if nowMs - process.awakeMs > GroupWorld.ttlMs {
            process.machine.noteSleep()
            process.owesBeat = fault != .writesAfterSleep
            if !process.owesBeat { judgeSleeper(place) }
        }
        process.awakeMs = nowMs
        if process.isLeaving { process.machine.leave(nowNs: nowNs) }
        if process.machine.isUnready && process.machine.hasView {
            if process.readyEpoch < process.machine.epoch {
                (process.readyEpoch, process.readyMs) = (process.machine.epoch, nowMs + random.below(2_000))
            } else if nowMs >= process.readyMs {
                process.machine.noteReady(epoch: process.readyEpoch)
            }
        }
        if nowNs >= process.machine.dueNs || process.owesBeat {
            var question = process.machine.question(nowNs: nowNs)
            if fault == .takesNobodyForDead { question = Array(question.prefix(12)) }
            if isAway {
                _ = process.machine.take(nil, nowNs: nowNs)
                late?.append(question)
            } else {
                let (reply, published) = redis.beat(question)
                _ = process.machine.take(reply, nowNs: nowNs)
                if let published { tell(published, but: place) }
            }
            process.owesBeat = false
        }
        if process.machine.mayGo(nowNs: nowNs) {
            process.machine.go()
            if !isAway, let published = redis.beat(process.machine.question(nowNs: nowNs)).published { tell(published, but: place) }
            process.isAlive = false
        }
    }

    /// Most messages come.
    private mutating func tell(_ epoch: Int64, but place: Int) {
        for other in processes.indices where other != place && isAwake(other) && random.chance(90) {
            processes[other].machine.hear(epoch: epoch)
        }
    }

    // MARK: Judging

    /// It writes what it wrote before it slept.
    private mutating func judgeSleeper(_ place: Int) {
        let others = processes.indices.filter { $0 != place && isAwake($0) }
        for unit in GroupWorld.units where processes[place].machine.role(in: unit) == .writer {
            let isTaken = others.contains { processes[$0].machine.role(in: unit) == .writer }
            complaints.check(!isTaken, "\(nowMs) ms: \(unit) is written by one that was declared dead")
        }
    }

    private mutating func judge() {
        let awake = processes.indices.filter(isAwake)
        for (index, unit) in GroupWorld.units.enumerated() {
            let writers = awake.count { place in
                !(processes[place].owesBeat || slept(place)) && processes[place].machine.role(in: unit) == .writer
            }
            let isSomebodyThere = awake.contains { processes[$0].machine.hasView }
            silentMs[index] = writers == 0 && isSomebodyThere && !isAway ? silentMs[index] + GroupWorld.stepMs : 0
            let mostMs = GroupWorld.ttlMs + 2_000 + GroupWorld.stepMs
            complaints.check(
                silentMs[index] <= mostMs || nowMs - befellMs <= mostMs,
                "\(nowMs) ms: nobody has written \(unit) for \(silentMs[index]) ms")
            // While Redis is away views may differ for as long as that.
            doubledMs[index] = writers > 1 && !isAway ? doubledMs[index] + GroupWorld.stepMs : 0
            complaints.check(
                doubledMs[index] <= 2 * Limits.beatMs + 2 * GroupWorld.stepMs,
                "\(nowMs) ms: \(writers) write \(unit) for \(doubledMs[index]) ms")
        }
    }

    /// The sink would not write: it has not seen control since.
    private func slept(_ place: Int) -> Bool { fault != .writesAfterSleep && nowMs - processes[place].awakeMs > GroupWorld.ttlMs }
}
