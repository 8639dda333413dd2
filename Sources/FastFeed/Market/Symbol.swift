// The name of an instrument, checked once. A plain value, any thread.

/// The exchange's instrument, lower case as in stream names and keys: `btcusdt`.
///
/// Only `[a-z0-9_]{1,32}` passes, so that a symbol can stand in a key, a channel, a URL and a log line.
public struct Symbol: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let name: String

    package static let lengthMax = 32

    /// Lower-cases ASCII letters; nil when the text is not a symbol.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8.map { Ascii.isLetter($0) ? $0 | 0x20 : $0 }
        let isName = bytes.allSatisfy { Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == UInt8(ascii: "_") }
        guard isName, (1...Symbol.lengthMax).contains(bytes.count) else { return nil }
        name = String(decoding: bytes, as: UTF8.self)
    }

    /// As the exchange writes it in payloads and REST parameters: `BTCUSDT`.
    public var upperCased: String {
        String(decoding: name.utf8.map { Ascii.isLetter($0) ? $0 & 0xDF : $0 }, as: UTF8.self)
    }

    public var description: String { name }
    public static func < (a: Symbol, b: Symbol) -> Bool { a.name < b.name }
}
