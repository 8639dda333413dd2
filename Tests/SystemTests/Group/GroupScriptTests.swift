// The scripts of a group in a real Redis: beats beside their model, claims, and a registry that knows whether it is whole.

import FastFeed
import RedisServer
import TestKit
import Testing

@Suite("Scripts of a group", .serialized)
struct GroupScriptTests {
    private let redis: RedisServerProcess
    private let client: RedisClient
    private let schema = Keys.schema

    init() throws {
        redis = try RedisServerProcess()
        client = try RedisClient.connect(redis.endpoint)
    }

    private func member(_ name: String) -> Membership {
        let facts = MemberFacts(nonce: name, host: "h 'quoted' 100%", pid: 1, version: "1", addressGroup: name)
        return Membership(Membership.Settings(name: name, ttlMs: 2_000), facts: facts, schema: schema)
    }

    /// A hash has no order.
    private func sorted(_ reply: RedisReply) -> [String] {
        [reply.elements[0].integer.map { "\($0)" } ?? "?", reply.elements[1].text ?? "?"]
            + reply.elements[2].pairs.map { "\($0.0)=\($0.1)" }.sorted()
    }

    @Test("Beats do what their model does", arguments: seeds)
    func beats(seed: UInt64) throws {
        var (random, model) = (SplitMix64(seed: seed), GroupModel())
        var members = ["a", "b", "c"].map(member)
        var nowNs: UInt64 = 0
        for step in 0..<400 {
            nowNs += UInt64(random.below(800)) * 1_000_000
            let place = random.below(members.count)
            switch random.below(30) {
            case 0:
                model = GroupModel()
                _ = try client.command("DEL", schema.membersKey, schema.epochKey)
            case 1:
                model.members = [:]
                _ = try client.command("DEL", schema.membersKey)
            case 2:
                let text = random.pick(["", "x", "7", "7 member", "7 gone 1 {}"])
                model.members["b"] = text
                _ = try client.command("HSET", schema.membersKey, "b", text)
            case 3: members[place] = member(members[place].name)
            case 4: members[place].noteSleep()
            case 5: members[place].leave(nowNs: nowNs)
            case 6: members[place].go()
            case 7...12: members[place].noteReady(epoch: members[place].epoch)
            default: break
            }
            let question = members[place].question(nowNs: nowNs)
            let (said, expected) = (try client.command(question), model.beat(question).reply)
            guard case .array = said else { return #expect(Bool(false), "seed \(seed), step \(step): \(said)") }
            #expect(sorted(said) == sorted(expected), "seed \(seed), step \(step)")
            _ = members[place].take(said, nowNs: nowNs)
        }
    }

    @Test("What no member has written does not stop the group: it begins again")
    func foreignNumbers() throws {
        let member = member("a")
        for text in ["1e300", "nan", "-5", "inf", "0x7fffffffffffffffff", "words", "1.5"] {
            _ = try client.command("SET", schema.epochKey, text)
            _ = try client.command("HSET", schema.membersKey, "a", "99999999999999999999 member 1 {}")
            var asked = member
            let said = try client.command(asked.question(nowNs: 0))
            #expect(said.elements.count == 4 && said.elements.first?.integer.map { (1...2).contains($0) } == true, "\(text): \(said)")
            #expect(try client.command("HGET", schema.membersKey, "a").text?.hasPrefix("1 joining ") == true, "\(text)")
        }
    }

    @Test("A claim is one member's; its answer is everybody's, once a second")
    func claims() throws {
        var desk = CommandDesk(schema: schema, counters: CounterBank(), journal: Journal())
        let key = RequestKey(kind: .stopFlux, id: "{odd} id")
        func claim(_ owner: String) throws -> RedisReply { try client.command(desk.claim(key, owner: owner)) }
        #expect(try claim("a 1") == .integer(1) && claim("b 1") == .integer(0) && claim("a 2") == .integer(0))
        #expect(try claim("a 1") == .integer(1), "whose claim was not answered asks again")
        desk.begin(key, nowNs: 0)
        let name = schema.claimKey(key.kind, requestID: key.id)
        func left(_ key: String) throws -> Int64 { try client.command("PTTL", key).integer ?? 0 }
        _ = try client.command("PEXPIRE", name, "9000")
        #expect(try client.command(desk.holds(owner: "a 1", nowNs: 2_000_000_000)[0]) == .integer(1) && left(name) > 9_000)
        #expect(try client.command(desk.holds(owner: "b 1", nowNs: 2_000_000_000)[0]) == .integer(0), "another's")
        let text = desk.answer(key, .success([]))[2]
        func settle(_ owner: String) throws -> RedisReply {
            try client.command(desk.settlement(key, .success([]), text, owner: owner, ttlMs: 2_000))
        }
        #expect(try settle("b 1") == .integer(0) && settle("a 1") == .integer(1) && settle("a 1") == .integer(0))
        #expect(try claim("c") == .integer(0), "who hears it late does not take it for a repetition")
        #expect(try left(name + ":again") > 2_000, "nor does one that was busy for a TTL")
        _ = try client.command("DEL", name + ":again")
        #expect(try claim("b").text == text, "the answer again")
        #expect(try claim("c") == .integer(0))
        // One whose answer is not kept is another's after a while.
        let other = RequestKey(kind: .stopFlux, id: "2")
        #expect(try client.command(desk.claim(other, owner: "a")) == .integer(1))
        let busy: CommandResult = .failure(CommandError(.busy, "x"))
        #expect(try client.command(desk.settlement(other, busy, "x", owner: "a", ttlMs: 2_000)) == .integer(1))
        #expect(try (1...Int64(Limits.claimUnkeptMs)).contains(left(schema.claimKey(other.kind, requestID: "2"))))
    }

    @Test("A registry that has lost something says so, until it is whole again")
    func registry() throws {
        func run(_ how: String, _ entries: String...) throws -> Int64? {
            try client.command(["EVAL", GroupScripts.register, "2", "r", "k", how] + entries).integer
        }
        func keeper() throws -> String? { try client.command(["EVAL", GroupScripts.registry, "2", "r", "k"]).elements[0].text }
        #expect(try run("1", "x", "1") == 1 && keeper() == "group 1", "the first of all")
        #expect(try run("0", "y", "2", "z", "3") == 3 && run("0", "x", "") == 2 && keeper() == "group 2")
        #expect(try run("1", "y", "9") == 2 && client.command("HGET", "r", "y").text == "2", "what is there stays")
        _ = try client.command("DEL", "r")
        #expect(try run("1", "w", "1") == 1 && keeper() == "group 2", "others may know of more")
        #expect(try run("2", "y", "2", "z", "3", "v", "1", "u", "1") == 5 && keeper() == "group 5")
        let both = try client.command(["EVAL", GroupScripts.registry, "2", "r", "k"]).elements
        #expect(both.count == 2 && both[1].pairs.count == 5)
        // Two create one name at the same moment: the second hears that there is another. What was not meant is taken back, if it is ours.
        #expect(try run("0", "n", "first") == 6 && run("0", "n", "second") == -1 && run("0", "n", "first") == 6)
        #expect(try run("3", "n", "second") == 6 && run("3", "n", "first") == 5 && run("3", "n", "first") == 5 && keeper() == "group 5")
    }
}
