// How the members of a message are read: each is there and of its type, or the message is malformed. Pure, any thread.

/// A message that is not what the contract says; one sentence.
package struct Malformed: Error, Equatable {
    package let what: String

    package init(_ what: String) { self.what = what }
}

extension JSONValue {
    /// Reads a whole message as JSON.
    package init(message bytes: [UInt8]) throws(Malformed) {
        do throws(JSONValue.SyntaxError) {
            self = try JSONValue(parsing: bytes)
        } catch {
            throw Malformed("not JSON from line \(error.line), column \(error.column) on")
        }
    }

    /// Nil when it is not there.
    package func optional<Value>(_ key: String, _ what: String, _ read: (JSONValue) -> Value?) throws(Malformed) -> Value? {
        guard let member = self[key] else { return nil }
        guard let value = read(member) else { throw Malformed("\(key) is not \(what)") }
        return value
    }

    package func member<Value>(_ key: String, _ what: String, _ read: (JSONValue) -> Value?) throws(Malformed) -> Value {
        guard let value = try optional(key, what, read) else { throw Malformed("\(key) is missing") }
        return value
    }

    package func text(_ key: String) throws(Malformed) -> String { try member(key, "a text", \.string) }

    package func number(_ key: String) throws(Malformed) -> Int64 { try member(key, "a whole number", \.integer) }

    package func truth(_ key: String) throws(Malformed) -> Bool { try member(key, "true or false", \.bool) }

    package func list<Element>(
        _ key: String, of read: (JSONValue) throws(Malformed) -> Element
    ) throws(Malformed) -> [Element] {
        try member(key, "a list", \.array).map(read)
    }

    /// An instant that may not have come yet: absent, null and 0 mean never.
    package func instant(_ key: String) throws(Malformed) -> Int64? {
        let number = try optional(key, "a whole number") { $0 == .null ? 0 : $0.integer }
        return number == 0 ? nil : number
    }

    /// One of the exchange's sixteen; a value without its calendar would be of no use to anybody.
    package func interval(_ key: String) throws(Malformed) -> Interval {
        try member(key, "an interval") { $0.string.flatMap { Interval(token: $0) } }
    }

    package func symbol(_ key: String) throws(Malformed) -> Symbol { try member(key, "a symbol") { $0.string.flatMap { Symbol($0) } } }

    package func symbols(_ key: String) throws(Malformed) -> [Symbol] { try names(key) { Symbol($0) } }

    package func refusedSymbols(_ key: String) throws(Malformed) -> [RefusedSymbol] { try names(key) { RefusedSymbol($0) } }

    /// A list has them one by one, a status as one text with commas.
    private func names<Name>(_ key: String, _ read: (String) -> Name?) throws(Malformed) -> [Name] {
        let texts = try member(key, "a list of symbols") { $0.array ?? $0.string?.split(separator: ",").map { .string(String($0)) } }
        let names = texts.compactMap { $0.string.flatMap(read) }
        guard names.count == texts.count else { throw Malformed("one of its \(key) is not a symbol") }
        return names
    }
}
