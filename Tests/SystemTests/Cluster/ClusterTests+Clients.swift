// Others at a cluster that the engine fills: redis-cli, which follows redirects; and nodes that speak TLS alone.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

extension ClusterTests {
    private func redisCLI(_ port: UInt16, _ words: [String]) throws -> ProgramRun {
        try ProgramRun(["redis-cli", "-p", "\(port)"] + words, of: URL(fileURLWithPath: "/usr/bin/env"))
    }

    private func answer(_ port: UInt16, _ words: [String]) throws -> String {
        let run = try redisCLI(port, words)
        #expect(run.end() == 0, "\(words): \(run.errorText)")
        return run.outputText
    }

    @Test("redis-cli -c at any node has the answers of a single server with the same keys, and hears all messages at each")
    func redisCLI() throws {
        let set = try ClusterSet()
        let rig = try rig(set, symbols: 20)
        let symbol = rig.venue.symbols[0].symbol.name
        let listeners = try set.nodes.map { try redisCLI($0.port, ["-c", "SUBSCRIBE", Keys.updates(symbol, .s1)]) }
        for listener in listeners {
            try eventually(30, "a closed candle: \(listener.errorText)") { listener.outputText.contains("\"closed\":true") }
            listener.signal(SIGKILL)
        }
        let histories = [Keys.history(symbol, .s1), Keys.history(symbol, .m1)]
        rig.wait(seconds: 60, "candles of both intervals") {
            histories.allSatisfy { (try? rig.client.command("XLEN", $0))?.integer ?? 0 > 2 }
        }
        try expectWhole(rig, set)

        let port = try FreePort.find()
        var options = RedisServerProcess.Options()
        options.arguments = ["--port", "\(port)"]
        let single = try RedisServerProcess(options)
        defer { single.stop() }
        for key in histories + [Keys.latest(.s1)] {
            let copied = try set.owner(of: key).ask("MIGRATE", "127.0.0.1", "\(port)", key, "0", "5000", "COPY")
            #expect(copied.text == "OK", "\(key): \(copied)")
        }
        let questions = [
            ["HGET", Keys.latest(.s1), symbol], ["HLEN", Keys.latest(.s1)], ["XREVRANGE", histories[0], "+", "-", "COUNT", "5"],
            ["XREAD", "COUNT", "3", "STREAMS"] + histories + ["0", "0"],
        ]
        for question in questions {
            let wanted = try answer(port, question)
            #expect(wanted.count > 2, "\(question): nothing is proven")
            for node in set.nodes { #expect(try answer(node.port, ["-c"] + question) == wanted, "\(question) at \(node.port)") }
        }
    }

    /// All under the rights of deploy/redis-acl.conf.
    @Test("Data from the replicas of a history and of the newest states while they follow and have the slot; else from the primaries")
    func readReplicas() throws {
        let set = try ClusterSet()
        for node in set.nodes {
            for user in try AccessTests.users() { #expect(try node.command(["ACL", "SETUSER"] + user).text == "OK") }
        }
        let rig = try rig(set, symbols: 20) {
            $0.readFrom = .replica
            $0.redis = AccessTests.endpoint($0.redis, "service")
        }
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        waitForCloses(rig, 100)
        let newest = set.shard(of: Keys.latest(.s1))
        // Neither where the newest states are, nor where commands are heard.
        let others = [newest, set.shard(of: "status:service")]
        let symbol = try #require(
            rig.venue.symbols.map(\.symbol.name).first { !others.contains(set.shard(of: Keys.history($0, .s1))) })
        let history = set.shard(of: Keys.history(symbol, .s1))
        let caller = try CommandCaller(try set.endpoint())
        /// A replica has three bars without a hole and, of what is closed, what the primary has.
        func source() throws -> String {
            let answer = try caller.call("data:get", #""symbol":"\#(symbol)","interval":"1s","limit":3"#)
            guard answer["source"] as? String == "replica" else { return answer["source"] as? String ?? "\(answer)" }
            let rows = answer["rows"] as? [[String: Any]] ?? []
            let opens = rows.compactMap { $0["open_time"] as? Int64 }
            #expect(opens.count == 3 && zip(opens, opens.dropFirst()).allSatisfy { $1 - $0 == 1_000 }, "\(answer)")
            for (open, row) in zip(opens, rows) where row["closed"] as? Bool == true {
                let stored = try rig.client.command("XRANGE", Keys.history(symbol, .s1), "\(open)-0", "\(open)-0").elements.first
                let fields = Dictionary(stored?.elements.last?.pairs ?? []) { first, _ in first }
                #expect(fields["close"] != nil && fields["close"] == row["close"] as? String, "\(row) \(fields)")
            }
            return "replica"
        }
        func reads(of node: ClusterNode, _ command: String) throws -> Bool {
            try node.ask("INFO", "commandstats").text?.contains("cmdstat_\(command):") == true
        }
        try eventually(20, "an answer of replicas") { try source() == "replica" }
        #expect(try reads(of: set.nodes[3 + history], "xrevrange") && reads(of: set.nodes[3 + newest], "hget"))

        set.nodes[3 + newest].server.kill9()
        #expect(try source() == "redis")
        var warning: JournalLine?
        rig.wait(seconds: 60, "a warning") {
            warning = rig.engine.drainJournal().first { $0.message.hasPrefix("no replica can be read from") }
            return warning != nil
        }
        let primary = warning?.fields.first?.1
        #expect(primary == "redis://\(set.nodes[newest].address)/0" && !rig.engine.isReplicaRead, "\(String(describing: warning))")
        try set.restart(set.nodes[3 + newest])
        for user in try AccessTests.users() { try set.nodes[3 + newest].command(["ACL", "SETUSER"] + user) }
        try eventually(30, "an answer of replicas") { try source() == "replica" && rig.engine.isReplicaRead }

        // The new primary's replica is the one that had been the primary.
        try set.failOver(to: set.nodes[3 + history])
        try eventually(30, "it to follow") { set.nodes[history].follows }
        #expect(try set.nodes[history].ask("CONFIG", "RESETSTAT").text == "OK")
        try eventually(30, "an answer of replicas") { try source() == "replica" && reads(of: set.nodes[history], "xrevrange") }
        try eventually(30, "nodes that know of it") { set.isOwned(Keys.history(symbol, .s1), by: set.nodes[3 + history]) }

        // Replicas say nothing of a slot that is half moved: what has gone is not there.
        for key in [Keys.history(symbol, .s1), Keys.latest(.s1)] {
            let from = try set.owner(of: key)
            let to = try #require(set.nodes.first { $0.isPrimary && $0 !== from })
            try set.beginMove(HashSlot(key: key), from: from, to: to, keys: [key])
            try eventually(30, "an answer of the primaries") { try source() == "redis" }
            for _ in 0..<20 { #expect(try source() == "redis", "\(key)") }
            try set.endMove(HashSlot(key: key), from: from, to: to)
            try eventually(30, "an answer of replicas") { try source() == "replica" }
        }
        waitForLanes(rig)
        waitForCloses(rig, 100)
        for node in set.nodes {
            let log = try node.ask("ACL", "LOG").elements
            #expect(log.isEmpty, "\(log.first.map { "\($0)" } ?? "")")
        }
        try expectWhole(rig, set)
    }

    // MARK: TLS

    /// - Parameter names: what the certificate of all nodes is good for.
    private func tls(_ authority: TestAuthority, names: String) throws -> RedisTLS {
        let certificate = try authority.issue("node") {
            $0.names = names
            $0.purpose = "serverAuth,clientAuth"
        }
        return try RedisTLS(
            certificateFile: certificate.certificate, keyFile: certificate.key, authorityFile: authority.root.certificate)
    }

    @Test("Nodes that speak TLS alone and announce their names: data, commands and a failover")
    func secured() async throws {
        let authority = try TestAuthority()
        let set = try ClusterSet(
            tls: try tls(authority, names: "DNS:localhost"),
            arguments: ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"])
        #expect(set.url.hasPrefix("rediss+cluster://localhost:"))
        let rig = try rig(set) { $0.readFrom = .replica }
        waitForCloses(rig, 300)
        rig.wait(seconds: 30, "the service to take commands") { rig.isServing }
        let client = try await FluxClient.connect(try set.endpoint(), timeout: .seconds(20))
        #expect(try await client.status().redisMode == "cluster")
        rig.wait(seconds: 30, "replicas that may be read from") { rig.engine.isReplicaRead }
        var source: DataSource?
        // One that did not answer in time is asked again a second later.
        for _ in 0..<300 where source != .replica {
            source = try await client.data(symbol: rig.venue.symbols[0].symbol.name, interval: .s1, limit: 2).source
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(source == .replica)
        client.close()
        try set.failOver(to: set.nodes[3])
        waitForLanes(rig)
        waitForCloses(rig, 300)
        try expectWhole(rig, set)
    }

    /// The names of the seeds are in the certificate; the addresses that the nodes announce are not.
    @Test("Nodes that announce addresses which their certificate does not have are refused, in a sentence that says what to set")
    func announcedAddresses() throws {
        let authority = try TestAuthority()
        let set = try ClusterSet(tls: try tls(authority, names: "DNS:localhost"))
        func expectAdvice(_ reason: String) {
            #expect(
                reason.contains("127.0.0.1: ") && reason.contains("mismatch")
                    && reason.contains("`cluster-announce-hostname NAME` and `cluster-preferred-endpoint-type hostname`"), "\(reason)")
        }
        let error = #expect(throws: FeedError.self) { try RedisClient.connect(try set.endpoint()) }
        expectAdvice(error?.message ?? "")
        let command = try ProgramRun(["status", "--redis", set.url, "--redis-ca-file", authority.root.certificate])
        #expect(command.end(within: 30) != 0)
        expectAdvice(command.errorText)

        // The service tries again, as with any certificate: it may be mended there.
        let service = try ProgramRun([
            "run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1", "--redis", set.url, "--redis-ca-file",
            authority.root.certificate,
        ])
        #expect(service.shows("cluster-announce-hostname", within: 30), "\(service.errorText)")
        service.signal(SIGTERM)
        _ = service.end(within: 30)
        // The same nodes with the address in their certificate would be right: what is refused is the name alone.
        let addressed = try ClusterSet(primaries: 1, tls: try tls(authority, names: "DNS:localhost,IP:127.0.0.1"))
        #expect(try addressed.client().command("PING").text == "PONG")
    }
}
