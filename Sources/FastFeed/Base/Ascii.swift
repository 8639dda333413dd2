// Bytes as text without String: scanning for the control path, digits for the hot one. Pure.

package enum Ascii {
    /// Printable ASCII of foreign bytes: everything else becomes `?`, and at most `limit` bytes are kept.
    /// What a log line may show of a peer's text.
    package static func printable(_ bytes: some Sequence<UInt8>, limit: Int = 160) -> String {
        let shown = bytes.prefix(limit + 1).map { $0 >= 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "?") }
        return String(decoding: shown.prefix(limit), as: UTF8.self) + (shown.count > limit ? "..." : "")
    }

    /// Without spaces and tabs around it.
    package static func trimmed(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }

    @inline(__always)
    package static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    package static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    /// All hexadecimal digits that the type has: four of a `UInt16`.
    package static func hex<Word: FixedWidthInteger & UnsignedInteger>(_ word: Word) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: Word.bitWidth / 4 - digits.count) + digits
    }
}

extension String {
    /// A Swift name in snake case: `rejectedNotUTF8` is `rejected_not_utf8`.
    package var snakeCased: String {
        var (name, isInWord) = ("", false)
        for letter in self {
            name += (letter.isUppercase && isInWord ? "_" : "") + letter.lowercased()
            isInWord = letter.isLowercase
        }
        return name
    }
}

/// Integers to decimal digits, two at a time, into memory the caller has measured.
package enum DigitWriter {
    /// The most bytes an Int64 takes.
    package static let bytesMax = 20

    /// Writes `value` at `out` and returns the number of bytes.
    @inline(__always)
    package static func write(_ value: Int64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        if value < 0 {
            unsafe out[0] = UInt8(ascii: "-")
            return unsafe 1 + write(magnitude: value.magnitude, to: out + 1)
        }
        return unsafe write(magnitude: UInt64(bitPattern: value), to: out)
    }

    /// Eight digits at a time; up to seven bytes behind the number are written, too, within `bytesMax`.
    @inline(__always)
    package static func write(magnitude value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        if value < 10 {
            unsafe out[0] = 0x30 &+ UInt8(truncatingIfNeeded: value)
            return 1
        }
        if value < 100_000_000 { return unsafe write(short: value, to: out) }
        guard value < 10_000_000_000_000_000 else { return unsafe write(long: value, to: out) }
        let (high, low) = value.quotientAndRemainder(dividingBy: 100_000_000)
        let count = unsafe write(short: high, to: out)
        unsafe UnsafeMutableRawPointer(out + count).storeBytes(of: (eight(low) | zeros).littleEndian, as: UInt64.self)
        return count &+ 8
    }

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    @inline(__always)
    private static func write(short value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let digits = eight(value)
        let leading = leadingZeros(digits)
        unsafe UnsafeMutableRawPointer(out).storeBytes(of: ((digits | zeros) &>> UInt64(8 &* leading)).littleEndian, as: UInt64.self)
        return 8 &- leading
    }

    @inline(never)
    private static func write(long value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let count = digitCount(value)
        var rest = value
        for place in (0..<count).reversed() {
            unsafe out[place] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        return count
    }

    /// Of eight digits, the first in the lowest byte; the last one is never a leading zero.
    @inline(__always)
    private static func leadingZeros(_ digits: UInt64) -> Int { (digits | 1 &<< 56).trailingZeroBitCount &>> 3 }

    /// The digits of a number below 10^8, the first in the lowest byte: halved three times, each time in all lanes at once
    /// (a division by 100 or 10 is a multiplication and a shift).
    @inline(__always)
    private static func eight(_ value: UInt64) -> UInt64 {
        let halves = value / 10_000 | (value % 10_000) &<< 32
        let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007F_0000_007F
        let pairs = hundreds | (halves &- 100 &* hundreds) &<< 16
        let tens = (pairs &* 103) &>> 10 & 0x000F_000F_000F_000F
        return tens | (pairs &- 10 &* tens) &<< 8
    }

    @inline(__always)
    package static func digitCount(_ value: UInt64) -> Int {
        if value < 10 { return 1 }
        if value < 100_000_000 { return 8 &- leadingZeros(eight(value)) }
        if value < 10_000_000_000_000_000 { return 16 &- leadingZeros(eight(value / 100_000_000)) }
        return value < 100_000_000_000_000_000 ? 17 : value < 1_000_000_000_000_000_000 ? 18 : value < 10_000_000_000_000_000_000 ? 19 : 20
    }
}
