// What Sentinels and replicas say, read with suspicion, and which of it is believed.

import FastFeed
import Testing

struct SentinelTests {
    private func texts(_ texts: [String]) -> RedisReply { .array(texts.map { .bytes(Array($0.utf8)) }) }
    private func named(_ host: String, _ port: UInt16, _ epoch: Int64) -> SentinelReply.Primary {
        .named(NamedPrimary(Authority(host: host, port: port), epoch: epoch))
    }

    @Test("The address of the first answer, the epoch of the second: while a failover goes on, the second names the old server")
    func primary() {
        let master = texts(["name", "n", "ip", "10.0.0.1", "port", "6379", "flags", "master", "config-epoch", "7", "quorum", "2"])
        #expect(SentinelReply.primary([texts(["10.0.0.2", "6380"]), master]) == named("10.0.0.2", 6_380, 7))
        #expect(SentinelReply.primary([texts(["::1", "6380"]), master]) == named("::1", 6_380, 7))
        #expect(SentinelReply.primary([texts(["redis-2.example.org", "1"]), master]) == named("redis-2.example.org", 1, 7))
        let noSuch = RedisReply.error("ERR No such master with that name")
        #expect(SentinelReply.primary([.null, noSuch]) == .unknown && SentinelReply.primary([texts(["h", "1"]), noSuch]) == .unknown)
        #expect(SentinelReply.primary([.error("NOPERM x"), master]) == .unusable("NOPERM x"))
    }

    @Test("Answers that are none")
    func hostile() {
        let master = texts(["config-epoch", "7"])
        let addresses =
            [
                [], ["h"], ["h", "6379", "x"], ["", "6379"], ["h", ""], ["h", "0"], ["h", "65536"], ["h", "-1"], ["h", "+1"],
                ["h", "99999999999"],
                ["h\r\nFLUSHALL", "1"], ["h/x", "1"], ["u@h", "1"], ["h:1", "1"], ["[::1", "1"], [String(repeating: "h", count: 256), "1"],
            ].map(texts) + [.integer(1), .bytes([1]), .array([.null, .null]), .tooLong(1 << 30), .array([.array([]), .integer(1)])]
        for address in addresses where address != .array([]) {
            guard case .unusable = SentinelReply.primary([address, master]) else {
                Issue.record("\(address)")
                continue
            }
        }
        for epoch in [["config-epoch", "-1"], ["config-epoch", "x"], ["config-epoch"], ["config-epoch", "99999999999999999999"], []] {
            guard case .unusable = SentinelReply.primary([texts(["h", "1"]), texts(epoch)]) else {
                Issue.record("\(epoch)")
                continue
            }
        }
        #expect(SentinelReply.primary([]) == .unusable("it has not answered everything"))
    }

    @Test("Replicas that a Sentinel sees at work")
    func replicas() {
        func replica(_ port: String, _ flags: String) -> RedisReply { texts(["name", "x", "ip", "h", "port", port, "flags", flags]) }
        let reply = RedisReply.array([
            replica("1", "slave"), replica("2", "s_down,slave"), replica("3", "slave,disconnected"), replica("0", "slave"),
            replica("4", "slave"), .null, texts(["ip"]), texts(["ip", "a", "ip", "b", "port", "5"]),
        ])
        #expect(SentinelReply.replicas(reply).map(\.description) == ["h:1", "h:4", "a:5"])
        #expect(SentinelReply.replicas(.error("ERR")).isEmpty)
        let many = RedisReply.array((1...100).map { replica("\($0)", "slave") })
        #expect(SentinelReply.replicas(many).count == Limits.replicasMax)
    }

    @Test("What is believed never goes back to a lower epoch")
    func epochs() {
        let board = PrimaryBoard()
        func say(_ port: UInt16, _ epoch: Int64) -> Bool { board.take(NamedPrimary(Authority(host: "h", port: port), epoch: epoch)) }
        #expect(board.primary == nil && say(1, 3) && say(1, 3))
        #expect(!say(2, 2) && board.primary?.authority.port == 1)
        #expect(say(2, 4) && !say(1, 3) && board.primary?.authority.port == 2)
        #expect(!say(2, 0), "also by whom the address is right")
        let stays = board.take(NamedPrimary(Authority(host: "h", port: 3), epoch: 4), keepsEqual: true)
        #expect(!stays && board.primary?.authority.port == 2, "who is connected stays")
        #expect(say(3, 4) && board.primary?.authority.port == 3, "set up anew by hand")
    }

    @Test("Copies of an endpoint share what is known, equal ones do not")
    func sharing() throws {
        let one = try RedisEndpoint(url: "redis+sentinel://h/n")
        var copy = one
        copy.user = "ops"
        let other = try RedisEndpoint(url: "redis+sentinel://h/n")
        #expect(one.place == other.place && copy != one)
        #expect(one.sentinels!.board.take(NamedPrimary(Authority(host: "a", port: 1), epoch: 1)))
        #expect(copy.sentinels!.board.primary != nil && other.sentinels!.board.primary == nil)
        #expect(RedisStanding(copy).primary == "a:1" && RedisStanding(other).primary.isEmpty)
        #expect((RedisStanding(one).mode, RedisStanding(.local).mode) == ("sentinel", "single"))
    }

    @Test("Who follows closely may be read from")
    func replication() {
        func isFollowing(_ role: String, _ link: String, _ silence: String) -> Bool {
            ReplicationInfo("# Replication\r\nrole:\(role)\r\nmaster_link_status:\(link)\r\nmaster_last_io_seconds_ago:\(silence)\r\n")
                .staleness(behind: nil) == nil
        }
        #expect(isFollowing("slave", "up", "0") && isFollowing("slave", "up", "2"))
        #expect(!isFollowing("slave", "up", "3") && !isFollowing("slave", "down", "0") && !isFollowing("slave", "down", "-1"))
        #expect(!isFollowing("master", "up", "0") && !isFollowing("slave", "up", "") && !isFollowing("", "", ""))
        let info = ReplicationInfo(
            "role:master\r\nconnected_slaves:2\r\nslave0:ip=1,port=2,state=online,offset=70,lag=0\r\nslave1:ip=1,port=3,state=online,"
                + "offset=100,lag=1\r\nmaster_repl_offset:100\r\n")
        #expect((info.role, info.replicaCount, info.lagBytes) == ("master", 2, 30))
        #expect(ReplicationInfo("connected_slaves:999999999\r\nmaster_repl_offset:5").lagBytes == 0)
    }

    @Test("A replica that hears its primary and has not what it had a moment ago is behind")
    func behind() {
        func primary(_ history: String, _ offset: String, role: String = "master") -> ReplicationInfo {
            ReplicationInfo("role:\(role)\r\nmaster_replid:\(history)\r\nmaster_repl_offset:\(offset)\r\n")
        }
        let replica = ReplicationInfo(
            "role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\nslave_read_repl_offset:900\r\n"
                + "slave_repl_offset:100\r\nmaster_replid:a\r\nmaster_repl_offset:100\r\n")
        #expect(replica.staleness(behind: primary("a", "100")) == nil && replica.staleness(behind: primary("a", "99")) == nil)
        #expect(replica.staleness(behind: primary("a", "101")) == "it lacks 1 bytes of what its primary had a second ago")
        #expect(replica.staleness(behind: primary("b", "1")) == "it does not have the primary's history")
        #expect(replica.staleness(behind: primary("b", "x")) == nil, "not known")
        #expect(replica.staleness(behind: primary("b", "1", role: "slave")) == "its primary is not one any more")
        let quiet = ReplicationInfo(
            "role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:9\r\nslave_repl_offset:100\r\nmaster_replid:a\r\n")
        #expect(quiet.staleness(behind: primary("a", "100")) == nil, "a primary that writes nothing says nothing")
        #expect(quiet.staleness(behind: nil) == "it has not heard of its primary for 9 s")
    }

    @Test("An outage is told once, after its rounds, and its end once; what is shorter is not told")
    func outage() {
        var watch = OutageWatch()
        func news(_ rounds: [Bool]) -> [OutageWatch.News?] {
            rounds.map { watch.note(isGood: $0) }.filter { $0 != nil }
        }
        let bad = [Bool](repeating: false, count: Limits.redisOutageRounds)
        let short = news(bad.dropLast() + [true] + bad.dropLast() + [true, true])
        let long = news(bad + bad)
        let end = news([true, true])
        #expect(short.isEmpty && long == [.began] && end == [.ended])
    }

    @Test("Certificates: a name that the Sentinels told, and who was to show it")
    func advice() throws {
        let (fixed, told) = (try TLSContext.client(), try TLSContext.client(namedBy: .sentinels))
        let reason = "certificate refused: IP address mismatch"
        #expect(fixed.advised(reason, host: "10.0.0.1") == reason)
        #expect(
            told.advised(reason, host: "10.0.0.1")
                == "10.0.0.1: \(reason); the Sentinels name it so: `announce-hostnames yes` there, or put '10.0.0.1' into the certificate")
        #expect(
            try TLSContext.client(namedBy: .cluster).advised(reason, host: "10.0.0.1").contains(
                "`cluster-announce-hostname NAME` and `cluster-preferred-endpoint-type hostname` there"))
        #expect(
            told.advised("certificate refused: certificate has expired", host: "h") == "h: certificate refused: certificate has expired")
    }

    @Test("A replica is trusted for a moment, and after a failure not before it was seen anew")
    func trust() {
        let board = ReplicaBoard()
        let second: UInt64 = 1_000_000_000
        #expect(board.replica(nowNs: second) == nil)
        board.show(.local, seenNs: 10 * second)
        #expect(board.replica(nowNs: 10 * second) == .local && board.replica(nowNs: 13 * second) == .local)
        #expect(board.replica(nowNs: 14 * second) == nil && board.replica(afterNs: 10 * second, nowNs: 11 * second) == nil)
        board.show(nil, seenNs: 11 * second)
        #expect(board.replica(nowNs: 11 * second) == nil)
    }

    @Test("Of a cluster each primary has its replica; one that is a primary no more has none")
    func shards() {
        let board = ReplicaBoard()
        let second: UInt64 = 1_000_000_000
        #expect(!board.isComplete(nowNs: second))
        for primary in ["a:1", "b:1"] { board.show(.local, of: primary, seenNs: 10 * second) }
        #expect(board.replica(of: "b:1", nowNs: 11 * second) == .local && board.replica(nowNs: 11 * second) == nil)
        #expect(board.isComplete(nowNs: 11 * second) && !board.isComplete(nowNs: 14 * second))
        board.show(nil, of: "b:1", seenNs: 11 * second)
        #expect(!board.isComplete(nowNs: 11 * second))
        board.keep(["a:1"])
        #expect(board.isComplete(nowNs: 11 * second) && board.replica(of: "b:1", nowNs: 11 * second) == nil)
        board.keep(["a:1", "c:1"])
        #expect(!board.isComplete(nowNs: 11 * second) && board.replica(of: "a:1", nowNs: 11 * second) == .local)
    }

    @Test("A refusal because of what the server is: with Sentinels they are asked at once, a name is given two seconds")
    func elsewhere() {
        let second: UInt64 = 1_000_000_000
        var (found, fixed) = (ElsewhereWatch(isFound: true), ElsewhereWatch())
        let first = (found.note(100 * second), fixed.note(100 * second))
        let later = fixed.note(102 * second)
        #expect(first == (true, false) && later)
        fixed.end()
        let again = fixed.note(103 * second)
        #expect(!again)
    }
}
