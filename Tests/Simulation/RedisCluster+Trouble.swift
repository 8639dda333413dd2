// What goes wrong with a cluster, and what is done to it: slots move whole or key by key, primaries die or hang and their replicas take
// over, slots have no owner for a moment. One thread.

import FastFeed

extension RedisCluster {
    /// What is lost with a primary is less old than what the sink writes again (60 s), the time until then included.
    private static let lagMs = 1...15_000
    private static let detectionMs = 200...8_000
    private static let spareNs: UInt64 = 45_000_000_000

    func misbehave() {
        guard !isCalm else { return }
        let kind = random.number(0...9)
        kernel.note(UInt64(kind) << 8 | 11)
        kernel.tell? { "cluster: trouble \(kind)" }
        switch kind {
        case 0, 1: if let (slot, to) = anyMove() { move(slot, to: to) }
        case 2, 3, 4: if let (slot, to) = anyMove() { beginMove(slot, to: to) }
        case 5: moveAll()
        case 6: failOver(isHanging: false)
        case 7: failOver(isHanging: true)
        case 8: handOver()
        default: leaveUnserved(random.pick(slots))
        }
    }

    private func afterNs(_ milliseconds: ClosedRange<Int>) -> UInt64 { UInt64(random.number(milliseconds)) * 1_000_000 }

    private func plan(_ milliseconds: ClosedRange<Int>, _ action: @escaping () -> Void) {
        kernel.plan(afterNs: afterNs(milliseconds)) { [unowned self] in if !isCalm { action() } }
    }

    private func isIdle(_ place: Int) -> Bool { !busy.contains(place) && nodes[place].isThere }

    /// Those who learn it at once; the others hear of it.
    private func tellViews(first: [Int]) {
        for place in first { views[place] = truth }
        for place in nodes.indices where !first.contains(place) {
            plan(0...1_000) { [unowned self] in if !deaf.contains(place) { views[place] = truth } }
        }
    }

    // MARK: Slots move

    private func anyMove() -> (slot: Int, to: Int)? {
        let slot = random.pick(slots)
        let targets = nodes.indices.filter { $0 != truth.owners[slot] && isIdle($0) }
        guard moves[slot] == nil, isIdle(truth.owners[slot]), !targets.isEmpty else { return nil }
        return (slot, random.pick(targets))
    }

    private func clear(_ slot: Int, at place: Int) {
        var nowhere = RedisDatabase()
        for key in nodes[place].database.keys(in: slot) { nodes[place].database.give(key, to: &nowhere) }
    }

    private func move(_ slot: Int, to place: Int) {
        let from = truth.owners[slot]
        kernel.tell? { "cluster: slot \(slot) goes from \(from + 1) to \(place + 1)" }
        if moves.removeValue(forKey: slot) == nil { clear(slot, at: place) }
        for key in nodes[from].database.keys(in: slot) { nodes[from].database.give(key, to: &nodes[place].database) }
        truth.owners[slot] = place
        truth.epoch += 1
        tellViews(first: [from, place])
    }

    /// A node is taken out, or all its slots go to one that had none.
    private func moveAll() {
        guard let (slot, place) = anyMove() else { return }
        let from = truth.owners[slot]
        for slot in moves.keys.sorted() where moves[slot]!.from == from || moves[slot]!.to == from { giveUp(slot) }
        for slot in slots where truth.owners[slot] == from { move(slot, to: place) }
        for slot in truth.owners.indices where truth.owners[slot] == from { truth.owners[slot] = place }
        tellViews(first: [from, place])
    }

    private func beginMove(_ slot: Int, to place: Int) {
        let from = truth.owners[slot]
        kernel.tell? { "cluster: slot \(slot) begins to go from \(from + 1) to \(place + 1)" }
        clear(slot, at: place)
        moveCount += 1
        let number = moveCount
        moves[slot] = (from, place, number)
        for key in nodes[from].database.keys(in: slot) where random.chance(0.8) {
            plan(0...2_000) { [unowned self] in
                guard moves[slot]?.number == number, nodes[from].isThere, nodes[place].isThere else { return }
                kernel.tell? { "cluster: \(key) goes to \(place + 1)" }
                nodes[from].database.give(key, to: &nodes[place].database)
            }
        }
        endMove(slot, number, isGivenUp: random.chance(0.3))
    }

    private func endMove(_ slot: Int, _ number: Int, isGivenUp: Bool) {
        plan(random.pick([1...100, 100...2_000, 1_000...10_000])) { [unowned self] in
            guard let now = moves[slot], now.number == number else { return }
            if isGivenUp { return giveUp(slot) }
            guard nodes[now.from].isThere && nodes[now.to].isThere else { return endMove(slot, number, isGivenUp: isGivenUp) }
            move(slot, to: now.to)
        }
    }

    func giveUp(_ slot: Int) {
        guard let now = moves.removeValue(forKey: slot) else { return }
        kernel.tell? { "cluster: slot \(slot) stays at \(now.from + 1)" }
        // A key that its owner has again, having come back with what it had before, is written there: MIGRATE without REPLACE leaves it.
        for key in nodes[now.to].database.keys(in: slot) where !nodes[now.from].database.holds(key) {
            nodes[now.to].database.give(key, to: &nodes[now.from].database)
        }
        clear(slot, at: now.to)
    }

    private func leaveUnserved(_ slot: Int) {
        unserved.insert(slot)
        kernel.tell? { "cluster: slot \(slot) has no owner" }
        plan(10...3_000) { [unowned self] in unserved.remove(slot) }
    }

    // MARK: Primaries die

    /// One that owns something, and one that has nothing and takes its place.
    private func anyFailover() -> (from: Int, to: Int)? {
        let owners = Set(slots.map { truth.owners[$0] }).sorted().filter { isIdle($0) && !nodes[$0].isSpared }
        let free = nodes.indices.filter { place in
            isIdle(place) && !truth.owners.contains(place) && !moves.values.contains { $0.to == place }
        }
        guard !owners.isEmpty, !free.isEmpty else { return nil }
        let (from, to) = (random.pick(owners), random.pick(free))
        for slot in moves.keys.sorted() where moves[slot]!.from == from || moves[slot]!.to == from { giveUp(slot) }
        return (from, to)
    }

    private func takeOver(from: Int, to: Int, _ memory: RedisDatabase) {
        kernel.tell? { "cluster: \(to + 1) takes the place of \(from + 1)" }
        nodes[to].database.takeKeys(of: memory)
        for slot in truth.owners.indices where truth.owners[slot] == from { truth.owners[slot] = to }
        truth.epoch += 1
        tellViews(first: [to])
        isDown = false
    }

    private func failOver(isHanging: Bool) {
        guard let (from, to) = anyFailover() else { return }
        busy.formUnion([from, to])
        // From now on the replica hears nothing.
        let memory = nodes[from].database
        plan(RedisCluster.lagMs) { [unowned self] in
            kernel.tell? { "cluster: \(from + 1) \(isHanging ? "hangs" : "dies")" }
            let (detectionNs, restNs) = (afterNs(RedisCluster.detectionMs), afterNs(1...20_000))
            deaf.insert(from)
            if isHanging { nodes[from].hang(ns: detectionNs + restNs) } else { nodes[from].die(ns: detectionNs + restNs) }
            if scenario.coversFully { plan(100...200) { [unowned self] in isDown = deaf.contains { truth.owners.contains($0) } } }
            kernel.plan(afterNs: detectionNs) { [unowned self] in
                guard !isCalm else { return }
                takeOver(from: from, to: to, memory)
                busy.remove(to)
                nodes[to].spare(ns: RedisCluster.spareNs)
                onLoss()
                comeBack(from, afterNs: restNs)
            }
        }
    }

    /// Who has hung takes what comes for a while, as the primary that it was; then it becomes a replica.
    private func comeBack(_ place: Int, afterNs: UInt64) {
        kernel.plan(afterNs: afterNs) { [unowned self] in
            plan(10...3_000) { [unowned self] in
                kernel.tell? { "cluster: \(place + 1) is a replica" }
                nodes[place].database.forgetKeys()
                views[place] = truth
                busy.remove(place)
                deaf.remove(place)
            }
        }
    }

    /// A planned failover: the primary stands still until its replica has all.
    private func handOver() {
        guard let (from, to) = anyFailover() else { return }
        busy.formUnion([from, to])
        let stillNs = afterNs(1...300)
        nodes[from].hang(ns: stillNs)
        kernel.plan(afterNs: stillNs) { [unowned self] in
            guard !isCalm else { return }
            takeOver(from: from, to: to, nodes[from].database)
            nodes[from].database.forgetKeys()
            views[from] = truth
            busy.subtract([from, to])
        }
    }
}
