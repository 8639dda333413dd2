// A member of a group of services, as it stands in `members:{feedd}`: a field named by the member, `<beat> <state> <done> <JSON>`. Plain
// values, any thread. What others have written is checked before anything depends on it.

/// How a member of a group stands.
package enum MemberState: String, CaseIterable, Sendable {
    /// It follows its symbols, and not all of them bring something yet.
    case joining
    case member
    /// It has had no connection to the exchange for a while.
    case blind
    /// It is about to end; it goes on until the others have what it has.
    case leaving
    case left
    /// The others have declared it dead.
    case gone

    package var isHere: Bool { self != .left && self != .gone }
}

/// What a member says of itself.
package struct MemberFacts: Sendable, Equatable {
    /// A number that no other process has.
    package var nonce: String
    package var host: String
    package var pid: Int32
    package var version: String
    /// Members with the same one share an address, and with it the exchange's limits.
    package var addressGroup: String
    /// Series that it follows; symbols of which it is the writer.
    package var series = 0, units = 0

    package init(nonce: String, host: String, pid: Int32, version: String, addressGroup: String) {
        (self.nonce, self.host, self.pid, self.version, self.addressGroup) = (nonce, host, pid, version, addressGroup)
    }

    package init(_ value: JSONValue) throws(Malformed) {
        self.init(
            nonce: try value.text(Field.nonce), host: try value.text(Field.host), pid: Int32(clamping: try value.number(Field.pid)),
            version: try value.text(Field.version), addressGroup: try value.text(Field.addressGroup))
        (series, units) = (Int(try value.number(Field.series)), Int(try value.number(Field.units)))
    }

    package var members: [(String, JSONValue)] {
        [
            (Field.nonce, .string(nonce)), (Field.host, .string(host)), (Field.pid, .integer(Int64(pid))),
            (Field.version, .string(version)), (Field.addressGroup, .string(addressGroup)), (Field.series, .integer(Int64(series))),
            (Field.units, .integer(Int64(units))),
        ]
    }
}

/// One member, as its last beat has left it.
package struct GroupMember: Sendable, Equatable {
    package let name: String
    /// Moves with each second of its life.
    package let beat: UInt64
    package let state: MemberState
    /// All that it follows since this epoch brings something.
    package let done: Int64
    package let facts: MemberFacts

    package init(name: String, beat: UInt64, state: MemberState, done: Int64, facts: MemberFacts) {
        (self.name, self.beat, self.state, self.done, self.facts) = (name, beat, state, done, facts)
    }

    /// Nil for what this version cannot read.
    package init?(name: String, text: String) {
        guard GroupMember.isName(name), text.utf8.count <= Limits.memberTextBytesMax else { return nil }
        let words = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 4, let beat = UInt64(words[0]), String(beat) == words[0],
            let state = MemberState(rawValue: String(words[1])), let done = Int64(words[2]), done >= 0,
            let value = try? JSONValue(message: Array(words[3].utf8)), let facts = try? MemberFacts(value)
        else { return nil }
        self.init(name: name, beat: beat, state: state, done: done, facts: facts)
    }

    /// `[A-Za-z0-9_.-]{1,64}`
    package static func isName(_ text: String) -> Bool {
        (1...Limits.memberNameBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                Ascii.isDigit($0) || Ascii.isLetter($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
                    || $0 == UInt8(ascii: "-")
            }
    }

    package static let nameRule = "1 to \(Limits.memberNameBytesMax) of A-Z a-z 0-9 _ . -"

    /// Those of a hash that can be read, by their names; no more than a group may have.
    package static func read(_ pairs: [(String, String)]) -> [GroupMember] {
        pairs.prefix(2 * Limits.membersMax).compactMap { GroupMember(name: $0.0, text: $0.1) }.sorted { $0.name < $1.name }
            .prefix(Limits.membersMax).map { $0 }
    }
}
