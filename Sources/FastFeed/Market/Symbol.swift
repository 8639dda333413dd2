// The name of an instrument, checked once. A plain value, any thread.

/// The exchange's instrument, lower case as in stream names and keys: `btcusdt`.
///
/// Only `[a-z0-9_]{1,32}` passes, so that a symbol can stand in a key, a channel, a URL and a log line.
public struct Symbol: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let name: String

    package static let lengthMax = 32

    /// Lower-cases ASCII letters; nil when the text is not a symbol.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8.map { byte in
            byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
        }
        guard !bytes.isEmpty, bytes.count <= Symbol.lengthMax, bytes.allSatisfy(Symbol.isAllowed) else { return nil }
        name = String(decoding: bytes, as: UTF8.self)
    }

    static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// As the exchange writes it in payloads and REST parameters: `BTCUSDT`.
    public var upperCased: String {
        let bytes = name.utf8.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 & 0xDF : $0 }
        return String(decoding: bytes, as: UTF8.self)
    }

    public var description: String { name }
    public static func < (a: Symbol, b: Symbol) -> Bool { a.name < b.name }
}
