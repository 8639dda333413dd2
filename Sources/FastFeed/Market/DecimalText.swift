// A decimal number kept as the text it arrived in. Never converted to a binary float anywhere. A plain value.

/// Exact decimal text of at most 31 ASCII bytes, inline: 31 text bytes followed by one length byte.
///
/// The fixed 32 bytes let the encoder copy a number with one wide load and store and then advance by its
/// length. Layout is shared with the parser shim (`ff_decimal`) and pinned by a test.
public struct DecimalText: BitwiseCopyable, Sendable, Hashable {
    @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)

    /// The most bytes a decimal may have. The exchange's longest (a month's volume of a micro-priced
    /// coin, eight digits after the point) has 25.
    package static let capacity = 31

    /// The empty text: not a number; what a record holds before it is filled.
    package init() { words = (0, 0, 0, 0) }

    /// The text as given, or nil when it is not a plain decimal (`-?digits[.digits]`) of at most 31 bytes.
    public init?(_ text: some StringProtocol) {
        self.init()
        let bytes = Array(text.utf8)
        let digits = bytes.first == UInt8(ascii: "-") ? bytes.dropFirst() : bytes[...]
        let parts = digits.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        let isDecimal = parts.allSatisfy { !$0.isEmpty && $0.allSatisfy(Ascii.isDigit) }
        guard isDecimal, bytes.count <= DecimalText.capacity else { return nil }
        unsafe withUnsafeMutableBytes(of: &words) { raw in
            unsafe raw.copyBytes(from: bytes)
            unsafe raw[31] = UInt8(bytes.count)
        }
    }

    /// Number of text bytes; the length byte is the last of the 32.
    @inlinable
    public var count: Int { Int(words.3 &>> 56) }

    /// Compares the texts: `1.0` and `1` are not equal.
    public static func == (a: DecimalText, b: DecimalText) -> Bool { a.words == b.words }

    /// Bytes that sort as the values do, exactly: `9.5` before `10`, and `1.0` like `1`.
    package var orderKey: [UInt8] {
        let (zero, bytes) = (UInt8(ascii: "0"), Array(description.utf8))
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        // Without the zeros that say nothing. As many digits before the point, then digit by digit.
        let whole = parts[0].drop { $0 == UInt8(ascii: "-") || $0 == zero }
        var fraction = parts.count > 1 ? parts[1] : []
        while fraction.last == zero { fraction.removeLast() }
        let magnitude = [UInt8(whole.count)] + whole + fraction
        guard bytes.first == UInt8(ascii: "-"), magnitude != [0] else { return [1] + magnitude }
        return [0] + magnitude.map { ~$0 } + [.max]
    }

    /// Hashes the text, as `==` compares it.
    public func hash(into hasher: inout Hasher) {
        unsafe withUnsafeBytes(of: words) { unsafe hasher.combine(bytes: $0) }
    }
}

extension DecimalText: CustomStringConvertible {
    /// The text as the exchange sent it.
    public var description: String {
        unsafe withUnsafeBytes(of: words) { unsafe String(decoding: $0.prefix(count), as: UTF8.self) }
    }
}
