// Who follows and who writes what: the rules of a group, and how much moves when it changes.

import FastFeed
import TestKit
import Testing

struct GroupViewTests {
    private static let units = (0..<1_500).map { "symbol\($0)usdt" }

    private func view(_ states: [String: MemberState], copies: Int = 1) -> GroupView { GroupView(states, copies: copies) }

    private func members(_ names: [String], copies: Int = 1) -> GroupView {
        view(Dictionary(uniqueKeysWithValues: names.map { ($0, MemberState.member) }), copies: copies)
    }

    /// By the reference's own words: FNV-1a of 64 bits over both names with a zero between, mixed.
    @Test func scores() {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for byte in [UInt8](("a" + "\0" + "btcusdt").utf8) { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        #expect(GroupView.score("a", "btcusdt") == SplitMix64.mix(hash))
        #expect(GroupView.score("ab", "c") != GroupView.score("a", "bc"), "where one name ends counts")
    }

    @Test("Units are spread evenly, and another member or one less moves its own units alone")
    func spread() {
        let (three, four) = (members(["a", "b", "c"]), members(["a", "b", "c", "d"]))
        var counts: [String: Int] = [:]
        for unit in GroupViewTests.units {
            let (writer, next) = (three.writer(of: unit), four.writer(of: unit))
            counts[writer!, default: 0] += 1
            #expect(next == writer || next == "d")
        }
        #expect(counts.count == 3 && counts.values.allSatisfy { (400...600).contains($0) }, "\(counts)")
    }

    @Test func copies() {
        for copies in 1...4 {
            let view = members(["a", "b", "c"], copies: copies)
            for unit in GroupViewTests.units.prefix(100) {
                let roles = ["a", "b", "c"].map { view.role(of: $0, in: unit) }
                #expect(roles.count { $0 == .writer } == 1 && roles.count { $0 != .none } == min(copies, 3))
            }
        }
        // Whoever is next in line is a copy: the one that goes on.
        let (two, left) = (members(["a", "b", "c"], copies: 2), members(["b", "c"], copies: 2))
        for unit in GroupViewTests.units where two.writer(of: unit) == "a" {
            #expect(two.role(of: left.writer(of: unit)!, in: unit) == .copy)
        }
    }

    @Test("Who joins follows and does not write, who leaves goes on writing, who is blind writes only where all are")
    func states() {
        let unit = "btcusdt"
        let first = members(["a", "b"]).writer(of: unit)!
        let second = first == "a" ? "b" : "a"
        func roles(_ one: MemberState, _ other: MemberState, copies: Int = 1) -> [GroupView.Role] {
            let view = view([first: one, second: other], copies: copies)
            return [view.role(of: first, in: unit), view.role(of: second, in: unit)]
        }
        #expect(roles(.member, .member) == [.writer, .none])
        #expect(roles(.joining, .member) == [.copy, .writer], "it comes first, and is not ready")
        #expect(roles(.leaving, .member) == [.writer, .copy], "the other follows, until it has gone")
        #expect(roles(.leaving, .joining) == [.writer, .copy])
        #expect(roles(.blind, .member) == [.copy, .writer])
        #expect(roles(.blind, .joining) == [.copy, .writer] && roles(.joining, .blind) == [.writer, .none])
        #expect(roles(.joining, .joining) == [.writer, .none], "nobody else is there")
        #expect(roles(.blind, .blind) == [.writer, .none])
        #expect(roles(.gone, .member) == [.none, .writer] && roles(.left, .blind) == [.none, .writer])
        #expect(roles(.left, .gone) == [.none, .none])
        #expect(roles(.member, .leaving) == [.writer, .none], "what it does not write it need not follow")
        #expect(view([:]).writer(of: unit) == nil && view([:]).role(of: "a", in: unit) == .none)
    }

    @Test func counts() {
        let view = view(["a": .member, "b": .leaving, "c": .joining, "d": .blind, "e": .left, "f": .gone])
        #expect(view.count == 4 && view.writerCount == 2 && view.blindCount == 1)
    }
}

struct GroupMemberTests {
    private static let facts = MemberFacts(nonce: "ab", host: "h 1", pid: 7, version: "1", addressGroup: "x")

    @Test func roundTrip() throws {
        var facts = GroupMemberTests.facts
        (facts.series, facts.units) = (12, 3)
        let text = "5 member 9 " + JSONValue.members(facts.members).text
        #expect(GroupMember(name: "a", text: text) == GroupMember(name: "a", beat: 5, state: .member, done: 9, facts: facts))
    }

    /// Foreign bytes are nobody: names, words, numbers, JSON, lengths.
    @Test func others() {
        let json = JSONValue.members(GroupMemberTests.facts.members).text
        let texts = [
            "", " ", "5", "5 member", "5 member 9", "5 member 9 ", "5 member 9 {}", "5 member -1 \(json)", "-5 member 9 \(json)",
            "5 MEMBER 9 \(json)", "5 boss 9 \(json)", "x member 9 \(json)", "5 member y \(json)", "5 member 9 [\(json)]",
            "99999999999999999999 member 9 \(json)", "5 member 9 \(json)" + String(repeating: " ", count: 3_000),
        ]
        for text in texts { #expect(GroupMember(name: "a", text: text) == nil, "\(text)") }
        for name in ["", "a b", "ä", "a/b", "a\0", String(repeating: "a", count: 65)] {
            #expect(GroupMember(name: name, text: "5 member 9 \(json)") == nil, "\(name)")
        }
        #expect(GroupMember(name: "A-z_0.9", text: "5 member 9 \(json)") != nil)
        let many = (0..<1_000).map { ("m\($0)", "5 member 9 \(json)") }
        #expect(GroupMember.read(many).count == Limits.membersMax)
    }
}
