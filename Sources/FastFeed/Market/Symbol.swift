// The name of an instrument, checked once. A plain value, any thread.

/// The exchange's instrument, lower case as in stream names and keys: `btcusdt`, `币安人生usdt`.
///
/// Letters and digits of any script and `_` pass, at most 32 bytes of UTF-8, so that a symbol can stand in a key, a channel and a log
/// line; in a URL it is percent-encoded.
public struct Symbol: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Lower case, 1 to 32 bytes of UTF-8.
    public let name: String

    /// Bytes: four words of the readers' index of series.
    package static let lengthMax = 32

    /// Lower-cases ASCII letters, as the exchange does, and no others; nil when the text is not a symbol.
    public init?(_ text: some StringProtocol) {
        let bytes = text.utf8.map { Ascii.isLetter($0) ? $0 | 0x20 : $0 }
        guard (1...Symbol.lengthMax).contains(bytes.count) else { return nil }
        let isPlain = bytes.allSatisfy { Ascii.isLetter($0) || Ascii.isDigit($0) || $0 == UInt8(ascii: "_") }
        guard isPlain || text.unicodeScalars.allSatisfy(Symbol.isPart) else { return nil }
        name = String(decoding: bytes, as: UTF8.self)
    }

    /// True for what a symbol may be made of: letters and digits of any script, and `_`.
    package static func isPart(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.isASCII else { return scalar.isPlainLetterOrNumber }
        let byte = UInt8(truncatingIfNeeded: scalar.value)
        return Ascii.isLetter(byte) || Ascii.isDigit(byte) || byte == UInt8(ascii: "_")
    }

    /// Why a text is not a symbol, and which one is probably meant by it: `BTC/USDT`, `BTC-USDT` and `BTC/USDT:USDT` are other
    /// programs' ways to write `btcusdt`.
    package static func refusal(_ text: some StringProtocol) -> String {
        let joined = text.unicodeScalars.prefix { $0 != ":" }.filter { !"/-. ".unicodeScalars.contains($0) }
        let hint = Symbol(String(String.UnicodeScalarView(joined))).map { "; did you mean \($0)?" }
        return "'\(Ascii.printable(text.utf8, limit: 40))' is not a symbol"
            + (hint ?? " (letters, digits and _, at most \(lengthMax) bytes)")
    }

    /// As the exchange writes it in payloads and REST parameters: `BTCUSDT`.
    public var upperCased: String {
        String(decoding: name.utf8.map { Ascii.isLetter($0) ? $0 & 0xDF : $0 }, as: UTF8.self)
    }

    /// The name, lower case.
    public var description: String { name }
    /// By the names' characters, as Swift orders texts.
    public static func < (a: Symbol, b: Symbol) -> Bool { a.name < b.name }
}
