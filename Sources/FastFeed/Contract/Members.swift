// How the members of a message are read: each is there and of its type, or the message is malformed. Pure, any thread.

/// A message that is not what the contract says; one sentence.
package struct Malformed: Error, Equatable {
    package let what: String

    package init(_ what: String) { self.what = what }
}

extension JSONValue {
    /// A whole message.
    package init(message bytes: [UInt8]) throws(Malformed) {
        do throws(JSONValue.SyntaxError) {
            self = try JSONValue(parsing: bytes)
        } catch {
            throw Malformed("not JSON from line \(error.line), column \(error.column) on")
        }
    }

    // MARK: Members that must be there

    package func text(_ key: String) throws(Malformed) -> String {
        guard let text = self[key]?.string else { throw Malformed("\(key) is not a text") }
        return text
    }

    package func number(_ key: String) throws(Malformed) -> Int64 {
        guard let number = self[key]?.integer else { throw Malformed("\(key) is not a whole number") }
        return number
    }

    package func truth(_ key: String) throws(Malformed) -> Bool {
        guard let truth = self[key]?.bool else { throw Malformed("\(key) is neither true nor false") }
        return truth
    }

    package func list<Element>(
        _ key: String, of read: (JSONValue) throws(Malformed) -> Element
    ) throws(Malformed) -> [Element] {
        guard let list = self[key]?.array else { throw Malformed("\(key) is not a list") }
        return try list.map(read)
    }

    /// An instant that may not have come yet: absent, null and 0 mean never.
    package func instant(_ key: String) throws(Malformed) -> Int64? {
        guard let value = self[key], value != .null else { return nil }
        let number = try number(key)
        return number == 0 ? nil : number
    }

    /// One of the exchange's sixteen; a value without its calendar would be of no use to anybody.
    package func interval(_ key: String) throws(Malformed) -> Interval {
        guard let interval = Interval(token: try text(key)) else { throw Malformed("\(key) is not an interval") }
        return interval
    }

    /// A list has them one by one, a status as one text with commas.
    package func symbols(_ key: String) throws(Malformed) -> [Symbol] {
        if let text = self[key]?.string { return try text.split(separator: ",").map { name throws(Malformed) in try Symbol(name) } }
        return try list(key) { name throws(Malformed) in try Symbol(name.string) }
    }

    package func symbol(_ key: String) throws(Malformed) -> Symbol { try Symbol(self[key]?.string) }
}

extension Symbol {
    fileprivate init(_ text: (some StringProtocol)?) throws(Malformed) {
        guard let text, let symbol = Symbol(text) else { throw Malformed("one of its symbols is not valid") }
        self = symbol
    }
}
