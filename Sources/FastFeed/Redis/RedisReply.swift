// What Redis answers or pushes, as a value: for everything but the data path. Pure.

/// A reply, or one part of an array.
public enum RedisReply: Sendable, Equatable {
    /// Bulk and status strings.
    case bytes([UInt8])
    /// A whole number (`:`).
    case integer(Int64)
    /// Nothing: null strings and null arrays alike.
    case null
    /// What Redis says is wrong, printable; of a long text the beginning.
    case error(String)
    /// An array, whose parts may be arrays themselves.
    case array([RedisReply])
    /// A string of this many bytes, which is longer than its reader keeps.
    case tooLong(Int)

    /// A string's bytes; nil for everything else.
    public var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
    /// A string as text; bytes that are not UTF-8 are repaired.
    public var text: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
    /// A number; nil for everything else.
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    /// An array's parts; none for everything else.
    public var elements: [RedisReply] { if case .array(let values) = self { values } else { [] } }
    /// The strings of an array as texts; its other parts are left out.
    public var strings: [String] { elements.compactMap(\.text) }
    /// The names and values of an array that alternates between them: a hash, or the fields of a stream's entry.
    public var pairs: [(String, String)] {
        let parts = elements
        return stride(from: 0, to: parts.count - 1, by: 2).compactMap { place in
            guard let name = parts[place].text, let value = parts[place + 1].text else { return nil }
            return (name, value)
        }
    }

    /// True for an error's text that says: this user has no right to that. It says so until its rights are changed.
    package static func isForbidden(_ message: String) -> Bool {
        // What a script may not do has no word in front. Servers before 7.0 put the words behind the script's place.
        if ["user executing the script can't", "ACL failure in script"].contains(where: message.contains) { return true }
        return message.split(separator: " ").contains { $0 == "NOPERM" || $0 == "-NOPERM" }
    }
}
