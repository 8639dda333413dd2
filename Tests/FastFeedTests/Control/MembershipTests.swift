// One member as a machine, and worlds of several that join, leave, die, sleep and lose what they have in Redis: every unit has a writer,
// and not two for long.

import FastFeed
import TestKit
import Testing

struct MembershipTests {
    private static let second: UInt64 = 1_000_000_000
    private static let schema = KeySchema(prefix: "p:")

    private func make(_ name: String, copies: Int = 1, ttlMs: Int = 5_000, nonce: String? = nil) -> Membership {
        let facts = MemberFacts(nonce: nonce ?? name, host: "h", pid: 1, version: "1", addressGroup: name)
        return Membership(Membership.Settings(name: name, copies: copies, ttlMs: ttlMs), facts: facts, schema: MembershipTests.schema)
    }

    /// One beat, answered at once.
    @discardableResult
    private func beat(_ member: inout Membership, _ redis: inout GroupModel, at seconds: Double) -> Membership.Event {
        let nowNs = UInt64(seconds * 1e9)
        let (reply, _) = redis.beat(member.question(nowNs: nowNs))
        return member.take(reply, nowNs: nowNs)
    }

    @Test("It joins, is ready, and is a member; what it asks says so")
    func joins() {
        var (redis, member) = (GroupModel(), make("a"))
        #expect(member.dueNs == 0 && !member.hasView && member.role(in: "u") == .none)
        let question = member.question(nowNs: 0)
        #expect(question[2...7].map(\.self) == ["2", "p:members:{feedd}", "p:members:{feedd}:epoch", "a", "joining", "0"])
        #expect(member.dueNs == MembershipTests.second)
        #expect(member.take(redis.beat(question).reply, nowNs: 5) == .answered(.init(hasChanged: true)))
        #expect(member.epoch == 1 && member.isUnready && member.role(in: "u") == .writer, "alone it writes at once")
        member.noteReady(epoch: 1)
        #expect(member.state == .member && !member.isUnready && member.dueNs == 0)
        #expect(beat(&member, &redis, at: 1) == .answered(.init(hasChanged: true)))
        #expect(redis.members["a"]!.hasPrefix("2 member 1 "))
        #expect(beat(&member, &redis, at: 2) == .answered(.init()))
    }

    @Test("What Redis says instead of an answer changes nothing")
    func refusals() {
        var (redis, member) = (GroupModel(), make("a"))
        beat(&member, &redis, at: 0)
        let view = member.view
        for reply in [RedisReply.null, .integer(1), .array([]), .array([.integer(1), .null, .array([])]), .bytes([1]), .tooLong(9)] {
            _ = member.question(nowNs: 1)
            #expect(member.take(reply, nowNs: 2) == .refused("an answer that is not a group's"))
        }
        #expect(member.take(.error("NOPERM"), nowNs: 3) == .refused("NOPERM") && member.take(nil, nowNs: 4) == .noAnswer)
        #expect(member.view == view && member.role(in: "u") == .writer)
    }

    /// Both members, ready.
    private func pair(_ redis: inout GroupModel) -> (Membership, Membership) {
        var (a, b) = (make("a"), make("b"))
        beat(&a, &redis, at: 0)
        a.noteReady(epoch: a.epoch)
        beat(&a, &redis, at: 0.1)
        beat(&b, &redis, at: 0.2)
        b.noteReady(epoch: b.epoch)
        beat(&b, &redis, at: 0.3)
        beat(&a, &redis, at: 0.4)
        #expect(a.state == .member && b.state == .member && a.view == b.view && a.view.count == 2)
        return (a, b)
    }

    @Test("Dead is whose beat stands still for the TTL; who then moves was only slow, and who was declared dead joins again")
    func death() {
        var redis = GroupModel()
        var (a, b) = pair(&redis)
        for tick in 1...5 { beat(&a, &redis, at: Double(tick)) }
        #expect(a.view.count == 2 && a.dueNs > 0, "not yet")
        beat(&a, &redis, at: 5.4)
        #expect(a.view.count == 2 && a.dueNs == 0, "seen, and said at once")
        // Slow: it moves after it was seen still, and before Redis was told.
        let question = a.question(nowNs: UInt64(5.5e9))
        #expect(question.suffix(2) == ["b", "2 member"])
        beat(&b, &redis, at: 5.5)
        #expect(a.take(redis.beat(question).reply, nowNs: UInt64(5.5e9)) == .answered(.init()))
        for tick in 6...12 { beat(&a, &redis, at: Double(tick)) }
        #expect(a.view.states == ["a": .member])
        b.noteSleep()
        #expect(beat(&b, &redis, at: 12.5) == .answered(.init(hasChanged: true, wasGone: true)))
        #expect(b.state == .joining && b.view.states == ["a": .member, "b": .joining])
        // Gone and forgotten.
        for tick in 13...30 { beat(&a, &redis, at: Double(tick)) }
        #expect(redis.members.keys.sorted() == ["a"])
    }

    @Test("A Redis that takes its time hides no death; one that was not asked for long does")
    func slowRedis() {
        /// Each beat is answered late, or comes late.
        func isDead(askedAt: (Int) -> Double, answeredAfter wait: Double) -> Bool {
            var (redis, a, b) = (GroupModel(), make("a", ttlMs: 2_000), make("b", ttlMs: 2_000))
            beat(&a, &redis, at: 0)
            beat(&b, &redis, at: 0.1)
            for tick in 1...8 {
                let question = a.question(nowNs: UInt64(askedAt(tick) * 1e9))
                _ = a.take(redis.beat(question).reply, nowNs: UInt64((askedAt(tick) + wait) * 1e9))
            }
            return redis.members["b"]?.contains(" gone ") ?? true
        }
        #expect(isDead(askedAt: { 2 * Double($0) }, answeredAfter: 0.9) && !isDead(askedAt: { 3 * Double($0) }, answeredAfter: 0))
    }

    @Test("An entry that Redis does not take for what it is costs one beat at once, and no more")
    func foreignEntry() {
        var redis = GroupModel()
        var (a, _) = pair(&redis)
        let text = redis.members["b"]!
        #expect(GroupMember(name: "b", text: text) != nil && GroupMember(name: "b", text: "00" + text) == nil)
        for tick in 1...5 { beat(&a, &redis, at: Double(tick)) }
        beat(&a, &redis, at: 5.4)
        #expect(a.dueNs == 0)
        // It is not declared dead, whatever is asked.
        let question = a.question(nowNs: UInt64(5.5e9))
        #expect(a.take(redis.beat(Array(question.prefix(12))).reply, nowNs: UInt64(5.5e9)) == .answered(.init()))
        #expect(a.dueNs == UInt64(6.5e9))
    }

    @Test("What came before a member joined anew proves nothing")
    func joinedAnew() {
        var redis = GroupModel()
        var (a, _) = pair(&redis)
        #expect(a.joinedNs == 0)
        a.note(isConnected: false, nowNs: MembershipTests.second)
        a.note(isConnected: false, nowNs: 11 * MembershipTests.second)
        beat(&a, &redis, at: 11)
        a.note(isConnected: true, nowNs: 12 * MembershipTests.second)
        #expect(a.state == .joining && a.joinedNs == 12 * MembershipTests.second)
        redis.members["a"] = redis.members["a"]!.replacing(" blind ", with: " gone ")
        beat(&a, &redis, at: 13)
        #expect(a.joinedNs == 13 * MembershipTests.second, "declared dead, and taken in again")
        beat(&a, &redis, at: 14)
        #expect(a.joinedNs == 13 * MembershipTests.second)
    }

    @Test("Redis is away for long: nobody's time passes. It comes back empty: all stay what they were")
    func outage() {
        var redis = GroupModel()
        var (a, b) = pair(&redis)
        let view = a.view
        for tick in 1...30 {
            // What Redis carries out when it goes on again declares nobody dead.
            #expect(a.question(nowNs: UInt64(tick) * MembershipTests.second).count == 12)
            #expect(a.take(nil, nowNs: UInt64(tick) * MembershipTests.second) == .noAnswer)
        }
        beat(&a, &redis, at: 31)
        #expect(a.view == view)
        beat(&b, &redis, at: 31.5)
        redis = GroupModel()
        let epoch = a.epoch
        #expect(beat(&a, &redis, at: 32) == .answered(.init(wasForgotten: true)))
        #expect(a.view == view && a.state == .member, "the other is not there yet, and is not dead")
        #expect(beat(&b, &redis, at: 32.4) == .answered(.init(wasForgotten: true)))
        beat(&a, &redis, at: 33)
        #expect(a.view == view && b.view == view && redis.epoch > epoch && redis.epoch <= epoch + 3, "\(redis.epoch)")
        // One that does not come back is dead in the end.
        redis = GroupModel()
        for tick in 34...40 { beat(&a, &redis, at: Double(tick)) }
        #expect(a.view.states == ["a": .member])
    }

    @Test("Blind after ten seconds without the exchange; joining when it sees again")
    func blind() {
        var redis = GroupModel()
        var (a, b) = pair(&redis)
        a.note(isConnected: false, nowNs: MembershipTests.second)
        a.note(isConnected: false, nowNs: 10 * MembershipTests.second)
        #expect(a.state == .member)
        a.note(isConnected: false, nowNs: 11 * MembershipTests.second)
        #expect(a.state == .blind && a.dueNs == 0)
        beat(&a, &redis, at: 11)
        beat(&b, &redis, at: 11.1)
        #expect(b.role(in: "u") == .writer && b.view.blindCount == 1)
        a.noteReady(epoch: a.epoch)
        #expect(a.state == .blind)
        a.note(isConnected: true, nowNs: 12 * MembershipTests.second)
        beat(&a, &redis, at: 12)
        a.noteReady(epoch: a.epoch)
        #expect(a.state == .member)
    }

    @Test("Who leaves waits until the others have what it has, and not for ever")
    func leaves() {
        var redis = GroupModel()
        var (a, b) = pair(&redis)
        #expect(!a.mayGo(nowNs: 0))
        a.leave(nowNs: MembershipTests.second)
        #expect(a.state == .leaving && !a.mayGo(nowNs: MembershipTests.second))
        beat(&a, &redis, at: 1)
        #expect(!a.mayGo(nowNs: MembershipTests.second), "the other does not know yet")
        beat(&b, &redis, at: 1.2)
        #expect(["u", "v", "w"].allSatisfy { b.role(in: $0) != .none })
        beat(&a, &redis, at: 1.3)
        #expect(!a.mayGo(nowNs: 2 * MembershipTests.second) && a.mayGo(nowNs: 21 * MembershipTests.second))
        b.noteReady(epoch: b.epoch)
        beat(&b, &redis, at: 1.4)
        beat(&a, &redis, at: 1.5)
        #expect(a.mayGo(nowNs: 2 * MembershipTests.second))
        a.go()
        beat(&a, &redis, at: 1.6)
        beat(&b, &redis, at: 1.7)
        #expect(b.view.states == ["b": .member] && redis.members["a"]!.contains(" left "))
        // Alone, and without Redis.
        b.leave(nowNs: 2 * MembershipTests.second)
        beat(&b, &redis, at: 2)
        #expect(b.mayGo(nowNs: 2 * MembershipTests.second))
        var lost = make("c")
        lost.leave(nowNs: 0)
        #expect(lost.mayGo(nowNs: 0))
    }

    @Test("Two processes of one name: each sees that its beat moves by itself")
    func rival() {
        var redis = GroupModel()
        var (one, two) = (make("a"), make("a", nonce: "two"))
        beat(&one, &redis, at: 0)
        // An entry of before may be that of a process that has ended.
        #expect(beat(&two, &redis, at: 0.5) == .answered(.init(hasChanged: true)))
        #expect(beat(&one, &redis, at: 1) == .answered(.init(rival: two.facts)))
        #expect(beat(&two, &redis, at: 1.5) == .answered(.init(rival: one.facts)))
        beat(&one, &redis, at: 2)
        // An answer that never came is not a rival's.
        _ = redis.beat(one.question(nowNs: 2 * MembershipTests.second))
        #expect(beat(&one, &redis, at: 3) == .answered(.init()))
    }

    @Test func addresses() {
        var redis = GroupModel()
        let facts = MemberFacts(nonce: "n", host: "h", pid: 1, version: "1", addressGroup: "same")
        var members = ["a", "b"].map { Membership(.init(name: $0), facts: facts, schema: MembershipTests.schema) }
        var other = make("c")
        for round in 0..<2 {
            for place in members.indices { beat(&members[place], &redis, at: Double(round)) }
            beat(&other, &redis, at: Double(round) + 0.5)
        }
        #expect(members.map(\.addressCount) == [2, 2] && other.addressCount == 1)
    }

    @Test("Worlds of members", arguments: seeds)
    func worlds(seed: UInt64) {
        for round in 0..<40 {
            var world = GroupWorld(seed: seed &* 1_000 &+ UInt64(round))
            world.run(seconds: 240)
            if !world.complaints.isEmpty { Issue.record("seed \(seed), round \(round): \(world.complaints.summary)") }
        }
    }

    @Test("A planted fault is found: who has slept and does not ask, and who takes Redis's silence for death")
    func planted() {
        func found(_ fault: GroupWorld.Fault) -> Bool {
            (0..<40).contains { round in
                var world = GroupWorld(seed: UInt64(round), fault: fault)
                world.run(seconds: 240)
                return !world.complaints.isEmpty
            }
        }
        #expect(found(.writesAfterSleep) && found(.takesNobodyForDead))
    }
}
