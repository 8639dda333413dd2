// A Redis Cluster of real redis-servers on free ports of 127.0.0.1: primaries, each with a replica. Whatever a test has done to them, all
// of them end with the object.

import FastFeed
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

/// One node. The bus listens 10,000 ports above.
final class ClusterNode {
    let port: UInt16
    let server: RedisServerProcess
    let id: String

    /// - Parameter tls: it listens with this alone, at a port of its own.
    init(_ arguments: [String] = [], tls: RedisTLS? = nil) throws {
        port = try FreePort.find()
        var options = RedisServerProcess.Options()
        options.arguments =
            ["--port", "\(port)", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"]
            + arguments
        if var tls {
            tls.port = port
            options.arguments += ["--port", "0", "--tls-cluster", "yes", "--tls-replication", "yes"] + tls.arguments
        }
        server = try RedisServerProcess(options)
        id = try #require(try RedisClient.connect(server.endpoint).command("CLUSTER", "MYID").text)
    }

    deinit { resume() }

    var isReady: Bool {
        get throws { try ask("CLUSTER", "INFO").text?.contains("cluster_state:ok") == true }
    }

    /// On a connection of its own.
    @discardableResult
    func command(_ words: [String]) throws -> RedisReply { try RedisClient.connect(server.endpoint).command(words) }
    func ask(_ words: String...) throws -> RedisReply { try command(words) }
    func knows(_ count: Int) throws -> Bool {
        try ask("CLUSTER", "INFO").text?.split(whereSeparator: \.isNewline).contains("cluster_known_nodes:\(count)") == true
    }
    var isPrimary: Bool { (try? ask("ROLE"))?.elements.first?.text == "master" }
    /// A replica that has all.
    var follows: Bool { (try? ask("INFO", "replication"))?.text?.contains("master_link_status:up") == true }
    /// Connections to its port; ours are to its socket.
    var guests: [String] {
        let list = (try? ask("CLIENT", "LIST", "TYPE", "normal"))?.text ?? ""
        return list.split(separator: "\n").map(String.init).filter { $0.contains(" addr=127.0.0.1:") }
    }
    var address: Authority { Authority(host: "127.0.0.1", port: port) }
    /// As it knows it; nil while it is dead, or knows no owner of some slot.
    var map: SlotMap? {
        guard server.pid != nil, let reply = try? ask("CLUSTER", "SLOTS"),
            case .map(let map) = SlotMap.read(reply, askedHost: "127.0.0.1")
        else { return nil }
        return map
    }

    func pause() { if let pid = server.pid { kill(pid, SIGSTOP) } }
    func resume() { if let pid = server.pid { kill(pid, SIGCONT) } }
}

final class ClusterSet {
    /// The primaries at the start, then the replica of each in the same order, then what was added.
    private(set) var nodes: [ClusterNode]
    private let arguments: [String]
    private let tls: RedisTLS?
    let shardCount: Int

    /// - Parameters:
    ///   - fullCoverage: as Redis's default has it, one third that is away stops all.
    ///   - tls: all listen with this alone. It must be good for a client, too: nodes show it to one another.
    init(primaries count: Int = 3, fullCoverage: Bool = false, tls: RedisTLS? = nil, arguments: [String] = []) throws {
        // Who gives its last slot away stays a primary.
        let all =
            ["--cluster-require-full-coverage", fullCoverage ? "yes" : "no", "--cluster-replica-validity-factor", "0"]
            + ["--cluster-allow-replica-migration", "no"] + arguments
        let nodes = try (0..<2 * count).map { _ in try ClusterNode(all, tls: tls) }
        (self.nodes, self.arguments, self.tls, shardCount) = (nodes, all, tls, count)
        for (place, node) in nodes.enumerated() {
            #expect(try node.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(place + 1)").text == "OK")
            if place > 0 { #expect(try node.ask("CLUSTER", "MEET", "127.0.0.1", "\(nodes[0].port)").text == "OK") }
        }
        for (place, node) in nodes.prefix(count).enumerated() {
            #expect(try node.command(["CLUSTER", "ADDSLOTS"] + slots(ofShard: place).map(String.init)).text == "OK")
        }
        try eventually(30, "nodes that know one another") {
            try nodes.allSatisfy { try $0.knows(2 * count) }
        }
        for (place, node) in nodes.dropFirst(count).enumerated() {
            try eventually(30, "a replica") { try node.ask("CLUSTER", "REPLICATE", nodes[place].id).text == "OK" }
        }
        try eventually(30, "a cluster, and replicas that follow") {
            try nodes.allSatisfy { try $0.isReady } && nodes.dropFirst(count).allSatisfy(\.follows)
        }
    }

    /// By name where a certificate has to be good for it.
    func url(_ seeds: some Collection<ClusterNode>) -> String {
        let (scheme, host) = tls == nil ? ("redis+cluster", "127.0.0.1") : ("rediss+cluster", "localhost")
        return "\(scheme)://" + seeds.map { "\(host):\($0.port)" }.joined(separator: ",")
    }
    var url: String { url(nodes) }

    /// Each time one that knows nothing yet.
    func endpoint(_ seeds: [ClusterNode]? = nil) throws -> RedisEndpoint {
        var endpoint = try RedisEndpoint(url: url(seeds ?? nodes))
        endpoint.authorityFile = tls?.authorityFile
        return endpoint
    }

    func client(_ seeds: [ClusterNode]? = nil) throws -> RedisClient { try RedisClient.connect(toAllOf: try endpoint(seeds)) }

    /// As a node that lives says it.
    func map() throws -> SlotMap {
        for node in nodes { if let map = node.map { return map } }
        throw FeedError(.redis, "no node says who owns what")
    }

    /// All nodes say so. After a failover some know no owner for a moment.
    func isOwned(_ key: String, by node: ClusterNode) -> Bool {
        nodes.allSatisfy { $0.map?.owner(HashSlot(key: key)) == node.address }
    }

    /// Keys that a primary has and another one owns: nobody would find them. After a failover its nodes need a moment to agree.
    func strays() throws -> [String] {
        var found: [String] = []
        _ = try comesTrue(within: 30, everyMicroseconds: 100_000) {
            found = try straysNow()
            return found.isEmpty
        }
        return found
    }

    private func straysNow() throws -> [String] {
        let map = try map()
        return try nodes.filter(\.isPrimary).flatMap { node in
            try node.ask("KEYS", "*").strings.filter { map.owner(HashSlot(key: $0)).port != node.port }.map { "\(node.port) \($0)" }
        }
    }

    func owner(of key: String) throws -> ClusterNode {
        let owner = try map().owner(HashSlot(key: key))
        return try #require(nodes.first { $0.address == owner })
    }

    // MARK: Shards and their slots

    /// As they were at the start: a primary of the same place, and its replica.
    func slots(ofShard place: Int) -> Range<Int> { place * HashSlot.count / shardCount..<(place + 1) * HashSlot.count / shardCount }

    func shard(of key: String) -> Int {
        let slot = HashSlot(key: key).place
        return (0..<shardCount).first { slots(ofShard: $0).contains(slot) } ?? 0
    }

    /// The replica takes its primary's place, by plan. Redis gives up after 5 s where the two cannot agree, and is asked again.
    func failOver(to replica: ClusterNode) throws {
        for _ in 0..<6 {
            try eventually(60, "the replica to take the order") { try replica.ask("CLUSTER", "FAILOVER").text == "OK" }
            if (try? eventually(10, "it to be the primary") { replica.isPrimary }) != nil { return }
        }
        throw FeedError(.redis, "the replica does not become the primary")
    }

    /// One that was killed is there again, as the replica of who has its place.
    func restart(_ node: ClusterNode) throws {
        try node.server.restart()
        try eventually(60, "it to follow its successor") { node.follows }
    }

    /// One more primary, without slots.
    func add() throws -> ClusterNode {
        let node = try ClusterNode(arguments, tls: tls)
        #expect(try node.ask("CLUSTER", "MEET", "127.0.0.1", "\(nodes[0].port)").text == "OK")
        nodes.append(node)
        try eventually(30, "a node that all know") {
            try nodes.allSatisfy { try $0.knows(nodes.count) && $0.isReady }
        }
        return node
    }

    /// One without slots ends, and is forgotten.
    func remove(_ node: ClusterNode) throws {
        nodes.removeAll { $0 === node }
        for other in nodes { #expect(try other.ask("CLUSTER", "FORGET", node.id).text == "OK") }
        node.server.stop()
    }

    /// All of it, with its keys.
    func move(_ slot: HashSlot, from: ClusterNode, to: ClusterNode) throws {
        try beginMove(slot, from: from, to: to, keys: [])
        try endMove(slot, from: from, to: to)
    }

    /// Each shard has a primary, and all others are replicas that have all.
    var isWhole: Bool {
        nodes.count(where: \.isPrimary) == shardCount && nodes.count(where: \.follows) == nodes.count - shardCount
            && nodes.allSatisfy { (try? $0.isReady) == true }
    }

    /// Others are primaries of all shards.
    func waitForSuccessor(of node: ClusterNode) throws {
        try eventually(60, "a replica in its place") { nodes.count { $0 !== node && $0.isPrimary } == shardCount }
    }

    /// Begins to move a slot; keys that are named move at once, the others stay until `end`.
    func beginMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode, keys: [String]) throws {
        #expect(try to.command(["CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", from.id]).text == "OK")
        #expect(try from.command(["CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", to.id]).text == "OK")
        try move(keys, from: from, to: to)
    }

    func endMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode) throws {
        var keys: [String] = []
        repeat {
            keys = try from.ask("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").strings
            try move(keys, from: from, to: to)
        } while !keys.isEmpty
        for node in [to, from] { #expect(try node.command(["CLUSTER", "SETSLOT", "\(slot)", "NODE", to.id]).text == "OK") }
    }

    /// Before a key has gone: there is no way back for keys.
    func giveUpMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode) throws {
        for node in [to, from] { #expect(try node.command(["CLUSTER", "SETSLOT", "\(slot)", "STABLE"]).text == "OK") }
    }

    private func move(_ keys: [String], from: ClusterNode, to: ClusterNode) throws {
        for key in keys {
            let said = try from.ask("MIGRATE", "127.0.0.1", "\(to.port)", key, "0", "5000")
            guard ["OK", "NOKEY"].contains(said.text) else { throw FeedError(.redis, "\(key) does not move: \(said)") }
        }
    }
}

extension RedisClient {
    /// With a cluster, the connections to all nodes stand: a command that has to open one first may time out.
    static func connect(toAllOf endpoint: RedisEndpoint) throws -> RedisClient {
        let client = try RedisClient.connect(endpoint, timeout: .seconds(20))
        try eventually(30, "an answer of each node") {
            try (0..<64).allSatisfy { if case .error = try client.command("EXISTS", "k\($0)") { false } else { true } }
        }
        return client
    }
}
