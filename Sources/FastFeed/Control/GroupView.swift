// Who follows what and who writes it, as one member of a group sees it. Pure: each member decides alone, from what all have in Redis.
//
// Every unit (a symbol at all its intervals) ranks the members by a score that depends on both names alone, so that another member, or one
// less, moves its own units and no others. The first ones follow the unit, as many as there are to be copies; the first one writes it.

package struct GroupView: Sendable, Equatable {
    /// What one member has to do with a unit.
    package enum Role: Sendable, Equatable {
        case none
        /// It follows the unit, so that it can go on with it.
        case copy
        case writer
    }

    /// By name of the member; only members that are here.
    package let states: [String: MemberState]
    package let copies: Int
    /// In the order of their names.
    private let names: [String]
    /// Who may write, by what there is: the best state that anybody has.
    private let writing: Set<MemberState>

    package init(_ states: [String: MemberState], copies: Int) {
        self.states = states.filter(\.value.isHere)
        self.copies = copies
        names = self.states.keys.sorted()
        let present = Set(self.states.values)
        // What a joining one would write, another may still be writing; who is blind has nothing to write.
        writing = [[MemberState.member, .leaving], [.joining], [.blind]].lazy.map(Set.init).first { !$0.isDisjoint(with: present) } ?? []
    }

    /// The view while no member is here: nobody writes anything.
    package static func empty(copies: Int) -> GroupView { GroupView([:], copies: copies) }

    /// Members that are here.
    package var count: Int { names.count }
    /// Members that write, if there is enough to write.
    package var writerCount: Int { states.values.count { writing.contains($0) } }
    package var blindCount: Int { states.values.count { $0 == .blind } }

    /// The member who alone writes it; nil where nobody is.
    package func writer(of unit: String) -> String? { best(unit) { writing.contains($0) } }

    package func role(of member: String, in unit: String) -> Role {
        guard let state = states[member] else { return .none }
        if writer(of: unit) == member { return .writer }
        return state != .leaving && isAmongFirst(member, unit) ? .copy : .none
    }

    private func best(_ unit: String, _ mayBe: (MemberState) -> Bool) -> String? {
        var found: (name: String, score: UInt64)?
        for name in names where mayBe(states[name]!) {
            let score = GroupView.score(name, unit)
            // Of equal ones the first name.
            if found == nil || score > found!.score { found = (name, score) }
        }
        return found?.name
    }

    /// Among the first `copies` of those that are to stay.
    private func isAmongFirst(_ member: String, _ unit: String) -> Bool {
        let own = GroupView.score(member, unit)
        var better = 0
        for name in names where name != member && states[name] != .leaving {
            let score = GroupView.score(name, unit)
            if score > own || score == own && name < member { better += 1 }
            if better >= copies { return false }
        }
        return true
    }

    /// How much a unit belongs to a member: FNV-1a over both names with a zero between, mixed.
    package static func score(_ member: String, _ unit: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        for byte in member.utf8 { add(byte) }
        add(0)
        for byte in unit.utf8 { add(byte) }
        return SplitMix64.mix(hash)
    }
}
