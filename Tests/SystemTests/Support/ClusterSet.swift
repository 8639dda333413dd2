// A Redis Cluster of real redis-servers on free ports of 127.0.0.1: primaries, each with a replica. Whatever a test has done to them, all of
// them end with the object.

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
    private(set) var client: RedisClient

    init(_ arguments: [String] = []) throws {
        var found = try FreePort.find()
        while found > 55_000 { found = try FreePort.find() }
        port = found
        var options = RedisServerProcess.Options()
        options.arguments =
            ["--port", "\(port)", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"]
            + arguments
        server = try RedisServerProcess(options)
        client = try RedisClient.connect(server.endpoint)
    }

    deinit { resume() }

    var isReady: Bool {
        get throws { try client.command("CLUSTER", "INFO").text?.contains("cluster_state:ok") == true }
    }

    /// On a connection of its own.
    @discardableResult
    func command(_ words: [String]) throws -> RedisReply { try RedisClient.connect(server.endpoint).command(words) }
    func ask(_ words: String...) throws -> RedisReply { try command(words) }
    var id: String { get throws { try #require(try ask("CLUSTER", "MYID").text) } }
    var isPrimary: Bool { (try? ask("ROLE"))?.elements.first?.text == "master" }
    var address: Authority { Authority(host: "127.0.0.1", port: port) }

    func pause() { if let pid = server.pid { kill(pid, SIGSTOP) } }
    func resume() { if let pid = server.pid { kill(pid, SIGCONT) } }
}

final class ClusterSet {
    /// The primaries at the start, then the replica of each in the same order.
    let nodes: [ClusterNode]

    /// - Parameter fullCoverage: as Redis's default has it, one third that is away stops all.
    init(primaries count: Int = 3, fullCoverage: Bool = false, arguments: [String] = []) throws {
        let all = ["--cluster-require-full-coverage", fullCoverage ? "yes" : "no", "--cluster-replica-validity-factor", "0"] + arguments
        let nodes = try (0..<2 * count).map { _ in try ClusterNode(all) }
        self.nodes = nodes
        for (place, node) in nodes.enumerated() {
            #expect(try node.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(place + 1)").text == "OK")
            if place > 0 { #expect(try node.ask("CLUSTER", "MEET", "127.0.0.1", "\(nodes[0].port)").text == "OK") }
        }
        for (place, node) in nodes.prefix(count).enumerated() {
            let slots = place * HashSlot.count / count..<(place + 1) * HashSlot.count / count
            #expect(try node.command(["CLUSTER", "ADDSLOTS"] + slots.map(String.init)).text == "OK")
        }
        try eventually(30, "nodes that know one another") {
            try nodes.allSatisfy { try $0.ask("CLUSTER", "INFO").text?.contains("cluster_known_nodes:\(2 * count)") == true }
        }
        for (place, node) in nodes.dropFirst(count).enumerated() {
            let id = try nodes[place].id
            try eventually(30, "a replica") { try node.ask("CLUSTER", "REPLICATE", id).text == "OK" }
        }
        try eventually(30, "a cluster, and replicas that follow") {
            try nodes.allSatisfy { try $0.isReady }
                && nodes.dropFirst(count).allSatisfy { try $0.ask("INFO", "replication").text?.contains("master_link_status:up") == true }
        }
    }

    var url: String { "redis+cluster://" + nodes.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") }

    /// Each time one that knows nothing yet.
    func endpoint() throws -> RedisEndpoint { try RedisEndpoint(url: url) }

    func client() throws -> RedisClient { try RedisClient.connect(try endpoint()) }

    /// As a node that lives says it.
    func map() throws -> SlotMap {
        for node in nodes where node.server.pid != nil {
            guard let reply = try? node.ask("CLUSTER", "SLOTS") else { continue }
            if case .map(let map) = SlotMap.read(reply, askedHost: "127.0.0.1") { return map }
        }
        throw FeedError(.redis, "no node says who owns what")
    }

    func owner(of key: String) throws -> ClusterNode {
        let owner = try map().owner(HashSlot(key: key))
        return try #require(nodes.first { $0.address == owner })
    }

    /// Begins to move a slot; keys that are named move at once, the others stay until `end`.
    func beginMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode, keys: [String]) throws {
        #expect(try to.command(["CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", try from.id]).text == "OK")
        #expect(try from.command(["CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", try to.id]).text == "OK")
        try move(keys, from: from, to: to)
    }

    func endMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode) throws {
        var keys: [String] = []
        repeat {
            keys = try from.ask("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").strings
            try move(keys, from: from, to: to)
        } while !keys.isEmpty
        let owner = try to.id
        for node in [to, from] { #expect(try node.command(["CLUSTER", "SETSLOT", "\(slot)", "NODE", owner]).text == "OK") }
    }

    /// The keys that have gone come back. The one that was to have them takes no more first, or it would make new ones.
    func giveUpMove(_ slot: HashSlot, from: ClusterNode, to: ClusterNode) throws {
        #expect(try to.command(["CLUSTER", "SETSLOT", "\(slot)", "STABLE"]).text == "OK")
        try move(try to.ask("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").strings, from: to, to: from)
        #expect(try from.command(["CLUSTER", "SETSLOT", "\(slot)", "STABLE"]).text == "OK")
    }

    private func move(_ keys: [String], from: ClusterNode, to: ClusterNode) throws {
        for key in keys {
            let said = try from.ask("MIGRATE", "127.0.0.1", "\(to.port)", key, "0", "5000")
            guard ["OK", "NOKEY"].contains(said.text) else { throw FeedError(.redis, "\(key) does not move: \(said)") }
        }
    }

    /// By plan. Redis gives up after 5 s where the two cannot agree, and is asked again.
    func failOver(to replica: ClusterNode) throws {
        for _ in 0..<6 {
            try eventually(60, "the replica to take the order") { try replica.ask("CLUSTER", "FAILOVER").text == "OK" }
            if (try? eventually(10, "it to be the primary") { replica.isPrimary }) != nil { return }
        }
        throw FeedError(.redis, "the replica does not become the primary")
    }
}
