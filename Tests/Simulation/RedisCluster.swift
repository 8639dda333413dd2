// The Redis Cluster of a simulated world: servers that each own slots, as each of them knows it, and what they say about keys of others.
// What goes wrong with it: RedisCluster+Trouble.swift. One thread.

import FastFeed

final class RedisCluster {
    /// Who owns what, by slot, as somebody knows it.
    struct View {
        var owners: [Int]
        var epoch: Int64 = 1
    }

    unowned let kernel: SimulatedKernel
    let scenario: ClusterScenario
    let fault: PlantedFault?
    let nodes: [RedisServer]
    /// Slots with keys of the world.
    let slots: [Int]
    var random: SplitMix64
    var truth: View
    var views: [View]
    /// Slots on their way, key by key.
    var moves: [Int: (from: Int, to: Int, number: Int)] = [:]
    var moveCount = 0
    /// Slots that nobody owns for a moment.
    var unserved: Set<Int> = []
    /// Some slot has lost its owner, and then nobody serves any.
    var isDown = false
    /// Nodes that are about to be failed over, or have been; they take part in nothing else.
    var busy: Set<Int> = []
    /// Those of them that have not heard of their successors.
    var deaf: Set<Int> = []
    var isCalm = false
    /// A successor has lost what its primary had acknowledged last.
    var onLoss: () -> Void = {}
    /// Refused and sent again too late (`PlantedFault.redirectBehind`), by key.
    private var late: [String: [String]] = [:]

    static let portOfFirst: UInt16 = 7_001

    init(_ world: Scenario, _ cluster: ClusterScenario, _ schema: KeySchema, kernel: SimulatedKernel, fault: PlantedFault?) {
        (self.kernel, scenario, self.fault) = (kernel, cluster, fault)
        random = SplitMix64(seed: world.seed ^ 0xC7)
        nodes = (0..<cluster.nodeCount).map { RedisServer(world, kernel: kernel, number: $0 + 1) }
        let keys = world.series.flatMap { [schema.historyKey($0), schema.latestKey(.spot, $0.interval)] }
        slots = Set(keys.map { HashSlot(key: $0).place }).sorted()
        truth = View(owners: (0..<HashSlot.count).map { $0 * cluster.primaryCount / HashSlot.count })
        views = nodes.map { [truth] _ in truth }
        for node in nodes { node.cluster = self }
    }

    func node(at address: SocketAddress) -> RedisServer? {
        nodes.first { SocketAddress(numericHost: "127.0.0.1", port: RedisCluster.port($0)) == address }
    }

    static func port(_ node: RedisServer) -> UInt16 { portOfFirst + UInt16(node.number - 1) }
    private func address(_ place: Int) -> String { "127.0.0.1:\(RedisCluster.port(nodes[place]))" }
    func place(_ node: RedisServer) -> Int { node.number - 1 }
    func isBusy(_ node: RedisServer) -> Bool { busy.contains(place(node)) }

    // MARK: Keys

    /// Where a key is, or would be.
    func holder(_ key: String) -> RedisServer {
        let slot = HashSlot(key: key).place
        if let move = moves[slot], !nodes[move.from].database.holds(key) { return nodes[move.to] }
        return nodes[truth.owners[slot]]
    }

    /// What it is told is told to the cluster, and not to one that has slept while another took its place.
    func isHeard(_ node: RedisServer, _ command: [String]) -> Bool {
        guard let slot = CommandKey.slot(command)?.place else { return true }
        return truth.owners[slot] == place(node) || moves[slot]?.to == place(node)
    }

    /// Why a node does not carry a command out; nil: it does.
    func refusal(_ command: [String], at node: RedisServer, isAsking: Bool) -> String? {
        guard let slot = CommandKey.slot(command)?.place else { return nil }
        if isDown { return "-CLUSTERDOWN The cluster is down\r\n" }
        if unserved.contains(slot) { return "-CLUSTERDOWN Hash slot not served\r\n" }
        let (place, owner) = (place(node), views[place(node)].owners[slot])
        let keys = RedisCluster.keys(command)
        let missing = keys.count { !node.database.holds($0) }
        let move = moves[slot]
        if owner == place {
            guard let move, move.from == place, missing > 0 else { return nil }
            return missing < keys.count ? RedisCluster.tryAgain : "-ASK \(slot) \(address(move.to))\r\n"
        }
        if isAsking, move?.to == place { return keys.count > 1 && missing > 0 ? RedisCluster.tryAgain : nil }
        if fault == .laneStale { return ":0\r\n" }
        if fault == .redirectBehind, command[0] == "HSET" { late[command[1]] = command }
        return "-MOVED \(slot) \(address(owner))\r\n"
    }

    private static let tryAgain = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"

    private static func keys(_ command: [String]) -> [String] {
        command[0].hasPrefix("EVAL") ? Array(command[3..<(3 + Int(command[2])!)]) : [command[1]]
    }

    /// What a client that follows each redirect by itself would have sent behind this one.
    func takeLate(behind command: [String], at node: RedisServer) -> [String]? {
        guard command[0] == "HSET", isHeard(node, command) else { return nil }
        return late.removeValue(forKey: command[1])
    }

    /// Questions of somebody who follows redirects and waits.
    func ask(_ commands: [[String]]) -> [RedisReply]? {
        commands.map { command in
            let slot = CommandKey.slot(command)?.place
            if isDown || slot.map(unserved.contains) ?? false { return .error("CLUSTERDOWN Hash slot not served") }
            return holder(command[1]).ask([command])?.first ?? .error("CLUSTERDOWN the node is away")
        }
    }

    // MARK: Maps

    /// What any one of them answers to CLUSTER SLOTS and CLUSTER INFO; nil: it is away.
    func askForMap() -> (slots: RedisReply, info: String)? {
        let place = random.number(0...nodes.count - 1)
        guard nodes[place].isThere else { return nil }
        let view = views[place]
        var ranges: [RedisReply] = []
        var first = 0
        for slot in view.owners.indices {
            let (isUnserved, next) = (unserved.contains(slot), slot + 1)
            if next < HashSlot.count, view.owners[next] == view.owners[slot], unserved.contains(next) == isUnserved { continue }
            let port = RedisReply.integer(Int64(RedisCluster.port(nodes[view.owners[slot]])))
            if !isUnserved {
                ranges.append(
                    .array([.integer(Int64(first)), .integer(Int64(slot)), .array([.bytes(Array("127.0.0.1".utf8)), port])]))
            }
            first = slot + 1
        }
        return (.array(ranges), "cluster_state:ok\r\ncluster_current_epoch:\(view.epoch)\r\n")
    }

    func heal() {
        isCalm = true
        for slot in moves.keys.sorted() { giveUp(slot) }
        (isDown, unserved, busy, deaf) = (false, [], [], [])
        for place in nodes.indices {
            views[place] = truth
            if !truth.owners.contains(place) { nodes[place].database.forgetKeys() }
            nodes[place].heal()
        }
    }
}

extension RedisDatabase {
    func holds(_ key: String) -> Bool {
        streams[key] != nil || hashes[key]?.isEmpty == false || changes[key]?.isEmpty == false || foreignKeys.contains(key)
    }

    func keys(in slot: Int) -> [String] {
        let all = foreignKeys.union(streams.keys).union(hashes.keys).union(changes.keys)
        return all.filter { HashSlot(key: $0).place == slot }.sorted()
    }

    /// MIGRATE: it is there, and no longer here.
    mutating func give(_ key: String, to other: inout RedisDatabase) {
        other.streams[key] = streams.removeValue(forKey: key)
        other.hashes[key] = hashes.removeValue(forKey: key)
        other.changes[key] = changes.removeValue(forKey: key)
        other.foreignKeys.remove(key)
        if foreignKeys.remove(key) != nil { other.foreignKeys.insert(key) }
    }

    /// Another's are taken, as a replica does. The scripts stay.
    mutating func takeKeys(of other: RedisDatabase) {
        let known = scripts
        self = other
        scripts = known
    }

    mutating func forgetKeys() { takeKeys(of: RedisDatabase()) }
}
