// Slots, maps and redirects of a Redis Cluster, and its URLs. The slots were asked of redis-server 7 (CLUSTER KEYSLOT).

import FastFeed
import Testing

struct ClusterTests {
    @Test(
        "The slot of a key is that of its tag",
        arguments: [
            ("123456789", 12_739), ("", 0), ("foo", 12_182), ("latest:1m", 11_515), ("candles:{btcusdt}:1m", 8_543),
            ("status:service", 5_272), ("{}foo", 9_500), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015), ("foo{bar}{zap}", 5_061),
            ("{a", 10_276),
        ])
    func slot(_ key: String, _ slot: Int) { #expect(HashSlot(key: key).place == slot) }

    @Test("What is not a slot")
    func noSlot() {
        #expect(HashSlot(-1) == nil && HashSlot(16_384) == nil && HashSlot(Int64.max) == nil)
        #expect(HashSlot(0)?.number == 0 && HashSlot(16_383)?.number == 16_383)
        #expect(HashSlot(key: "candles:{btcusdt}:1m") == HashSlot(key: "updates:{btcusdt}:5m"))
    }

    // MARK: Maps

    private func node(_ host: RedisReply, _ port: Int64) -> RedisReply {
        .array([host, .integer(port), .bytes(Array("07c37dfeb235213a872192d90877d0cd55635b91".utf8)), .array([])])
    }
    private func node(_ host: String, _ port: Int64) -> RedisReply { node(.bytes(Array(host.utf8)), port) }
    private func range(_ first: Int64, _ last: Int64, _ nodes: RedisReply...) -> RedisReply {
        .array([.integer(first), .integer(last)] + nodes)
    }
    private func read(_ ranges: RedisReply...) -> SlotMap.Reading { SlotMap.read(.array(ranges), askedHost: "seed") }
    private func map(_ ranges: RedisReply...) throws -> SlotMap {
        guard case .map(let map) = SlotMap.read(.array(ranges), askedHost: "seed") else { throw Unusable() }
        return map
    }
    private struct Unusable: Error {}
    private func slot(_ number: Int64) throws -> HashSlot { try #require(HashSlot(number)) }

    @Test("Owners, replicas, and the host that was asked where none is named")
    func owners() throws {
        let map = try map(
            range(0, 100, node("10.0.0.1", 7_000), node("10.0.0.4", 7_003), node("?", 7_009)), range(101, 8_000, node("::1", 7_001)),
            range(8_001, 9_000, node("10.0.0.1", 7_000)), range(9_001, 16_383, node(.null, 7_002)))
        #expect(map.owner(try slot(0)) == Authority(host: "10.0.0.1", port: 7_000))
        #expect(try map.owner(slot(100)).host == "10.0.0.1" && map.owner(slot(101)) == Authority(host: "::1", port: 7_001))
        #expect(try map.owner(slot(8_500)).port == 7_000 && map.owner(slot(16_383)) == Authority(host: "seed", port: 7_002))
        #expect(map.primaries.map(\.port) == [7_000, 7_001, 7_002])
        #expect(map.node(try slot(1)).replicas == [Authority(host: "10.0.0.4", port: 7_003)])
    }

    @Test("MOVED moves one slot; what has changed is seen; who has lost the last slot owns nothing")
    func moves() throws {
        let before = try map(range(0, 0, node("a", 1)), range(1, 16_383, node("b", 2)))
        var after = before
        #expect(after.move(try slot(0), to: Authority(host: "c", port: 3)))
        #expect(after.changed(since: before) == [try slot(0)] && before.changed(since: before).isEmpty)
        #expect(after.primaries.map(\.host) == ["b", "c"] && before.primaries.map(\.host) == ["a", "b"])
        for number in 0..<Limits.clusterNodesMax { _ = after.move(try slot(5), to: Authority(host: "n\(number)", port: 1)) }
        #expect(!after.move(try slot(6), to: Authority(host: "one-more", port: 1)), "there is no room for it")
        #expect(after.owner(try slot(6)).host == "b")
    }

    @Test("Answers that are of no use")
    func hostile() {
        let all = range(0, 16_383, node("a", 1))
        let useless = [
            SlotMap.read(.null, askedHost: "s"), SlotMap.read(.integer(1), askedHost: "s"),
            SlotMap.read(.array(Array(repeating: all, count: 16_385)), askedHost: "s"), read(),
            read(range(0, 16_382, node("a", 1))), read(range(1, 16_383, node("a", 1))), read(all, range(7, 7, node("b", 2))),
            read(range(0, 16_384, node("a", 1))), read(range(-1, 16_383, node("a", 1))), read(range(9, 8, node("a", 1)), all),
            read(range(0, 16_383)), read(range(0, 16_383, node("a", 0))), read(range(0, 16_383, node("a", 65_536))),
            read(range(0, 16_383, node("a b", 1))), read(range(0, 16_383, node("a:b", 1))), read(range(0, 16_383, node(.integer(1), 1))),
            read(range(0, 16_383, .null)), read(.array([.bytes([0x30]), .integer(16_383), node("a", 1)])), read(.null),
        ]
        for (place, reading) in useless.enumerated() {
            guard case .unusable = reading else {
                Issue.record("answer \(place) was believed")
                continue
            }
        }
        let many = (0..<100).map { range($0, $0 == 99 ? 16_383 : $0, node("n\($0)", 1)) }
        #expect(SlotMap.read(.array(many), askedHost: "s") == .unusable("it names more than \(Limits.clusterNodesMax) primaries"))
        #expect(read(range(0, 16_383, node("?", 1))) == .unusable("the owner of slot 0 announces no host name (cluster-announce-hostname)"))
        #expect(SlotMap.read(.error("ERR x"), askedHost: "s") == .unusable("ERR x"))
    }

    // MARK: Redirects

    @Test("Redirects, and what only looks like one")
    func redirects() throws {
        func to(_ text: String, kept: Int = .max) -> String? {
            Redirect(error: text, bytesKept: kept).map { "\($0.kind) \($0.slot) \($0.node.map(\.description) ?? "?")" }
        }
        #expect(to("MOVED 3999 127.0.0.1:6381") == "moved 3999 127.0.0.1:6381" && to("ASK 0 ::1:6381") == "ask 0 [::1]:6381")
        #expect(to("MOVED 3999 redis-1.example.org:1") == "moved 3999 redis-1.example.org:1")
        for node in [":6381", "?:6381", "h", "h:", "h:0", "h:65536", "h:+1", "h:1 x"] {
            #expect(to("MOVED 1 \(node)") == "moved 1 ?", "\(node)")
        }
        #expect(to("MOVED 3999 127.0.0.1:6381", kept: 25) == "moved 3999 ?", "its port may have been cut")
        let none = [
            "", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED -1 h:1", "MOVED +1 h:1", "MOVED  1 h:1", "ASKING 1 h:1",
        ]
        for text in none { #expect(to(text) == nil, "\(text)") }
        #expect(ReplyVerdict(error: "MOVED 3999 127.0.0.1:6381", isCluster: true) == .moved)
        #expect(ReplyVerdict(error: "ASK 3999 127.0.0.1:6381", isCluster: true) == .ask)
        #expect(ReplyVerdict(error: "TRYAGAIN Multiple keys request during rehashing of slot", isCluster: true) == .ask)
    }

    @Test("The board keeps what was believed, and what MOVED has said since")
    func board() throws {
        let board = ClusterBoard()
        let moved = try #require(Redirect(error: "MOVED 5 b:2"))
        board.take(moved)
        #expect(board.map == nil && board.version == 0)
        let first = SlotMap(one: Authority(host: "a", port: 1))
        #expect(board.take(first) && board.take(first) && board.version == 1)
        board.take(try #require(Redirect(error: "ASK 5 b:2")))
        #expect(board.version == 1, "one key alone")
        board.take(moved)
        board.take(moved)
        #expect(try board.version == 2 && board.owner(slot(5))?.host == "b" && board.owner(slot(6))?.host == "a")
    }

    @Test("A node that has hung and wakes is not believed")
    func epochs() {
        let (board, old, new) = (ClusterBoard(), SlotMap(one: Authority(host: "a", port: 1)), SlotMap(one: Authority(host: "b", port: 2)))
        #expect(board.take(old, epoch: 6) && board.take(new, epoch: 7) && !board.take(old, epoch: 6) && board.map == new)
        #expect(board.take(old, epoch: 7), "slots may move without a failover")
        #expect(board.take(new) && board.map == new, "who may not ask for the epoch believes")
        #expect(ClusterBoard.epoch(ofInfo: "cluster_state:ok\r\ncluster_current_epoch:12\r\ncluster_my_epoch:3\r\n") == 12)
        for number in ["", "x", "-1", "99999999999999999999"] {
            #expect(ClusterBoard.epoch(ofInfo: "cluster_current_epoch:\(number)") == 0)
        }
        #expect(ClusterBoard.epoch(ofInfo: "") == 0)
    }

    @Test("An earlier epoch is believed after some rounds, a second apart, in which nobody knew a later one")
    func madeAnew() {
        let second: UInt64 = 1_000_000_000
        let (old, new) = (SlotMap(one: Authority(host: "a", port: 1)), SlotMap(one: Authority(host: "b", port: 2)))
        /// - Parameter atRound: then somebody knows the epoch after all.
        func board(rounds: Int, roundNs: UInt64, interruptedAt atRound: Int = -1) -> ClusterBoard {
            let board = ClusterBoard()
            board.take(old, epoch: 7)
            for round in 0..<rounds {
                if round == atRound { board.take(old, epoch: 7) }
                board.notePast(nowNs: UInt64(round + 1) * roundNs)
            }
            return board
        }
        let rounds = Limits.clusterPastRounds
        let anew = board(rounds: rounds, roundNs: second)
        #expect(anew.take(new, epoch: 2) && anew.map == new && !anew.take(old, epoch: 1), "it is the cluster now")
        #expect(!board(rounds: rounds - 1, roundNs: second).take(new, epoch: 2))
        #expect(!board(rounds: 5 * rounds, roundNs: second / 10).take(new, epoch: 2), "in five seconds")
        #expect(!board(rounds: rounds, roundNs: second, interruptedAt: rounds / 2).take(new, epoch: 2))
    }

    // MARK: URLs

    @Test("URLs of a cluster")
    func urls() throws {
        let plain = try RedisEndpoint(url: "redis+cluster://u:p%40@h1:7000,h2,[::1]:7002/")
        #expect(plain.cluster?.addresses.map(\.description) == ["h1:7000", "h2:6379", "[::1]:7002"])
        #expect(plain.user == "u" && plain.password == "p@" && !plain.isSecure && plain.database == 0 && plain.sentinels == nil)
        #expect("\(plain)" == "redis+cluster://h1:7000,h2:6379,[::1]:7002")
        #expect(try RedisEndpoint(url: "rediss+cluster://h").isSecure)
        #expect(try RedisEndpoint(url: "redis+cluster://h/0").cluster != nil)
        for wrong in ["", "h1,,h2", "h1,h1", "h/1", "h/name", "h:0", "h?db=1", "u@", (0...64).map { "h\($0)" }.joined(separator: ",")] {
            #expect(throws: FeedError.self, "\(wrong)") { try RedisEndpoint(url: "redis+cluster://\(wrong)") }
        }
    }

    // MARK: Settings

    @Test("Long histories: the log says what they cost when slots move", arguments: [("redis+cluster://h", 1), ("redis://h", 0)])
    func longHistories(_ url: String, _ warningCount: Int) throws {
        for (history, count) in [(100_000, 0), (100_001, warningCount)] {
            var configuration = EngineConfiguration()
            configuration.takesCommands = true
            (configuration.redis, configuration.history) = (try RedisEndpoint(url: url), history)
            let lines = try Engine(configuration).drainJournal()
            #expect(lines.count { $0.level == .warning } == count, "\(history): \(lines)")
        }
    }
}
