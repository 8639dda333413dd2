// Bytes as text without String: scanning for the control path, digits for the hot one. Pure.

package enum Ascii {
    /// What a log line may show of foreign bytes: printable ASCII, and the letters and numbers of other scripts, which names of
    /// instruments have. Everything else becomes `?`, and at most `limit` bytes are kept.
    package static func printable(_ bytes: some Sequence<UInt8>, limit: Int = 160) -> String {
        var kept = Array(bytes.prefix(limit + 1))
        let isCut = kept.count > limit
        if isCut {
            // Not in the middle of a character, which has four bytes at most.
            var end = limit
            while end > max(0, limit - 3), kept[end] & 0xC0 == 0x80 { end -= 1 }
            kept.removeSubrange(end...)
        }
        var shown = ""
        for scalar in String(decoding: kept, as: UTF8.self).unicodeScalars {
            let isShown = scalar.isASCII ? scalar.value >= 0x20 && scalar.value < 0x7F : scalar.isPlainLetterOrNumber
            shown.unicodeScalars.append(isShown ? scalar : "?")
        }
        return shown + (isCut ? "..." : "")
    }

    /// Printable; white space of any kind and length is one space, as in a page's source.
    package static func words(_ bytes: some Sequence<UInt8>, limit: Int) -> String {
        let parts = bytes.split { $0 == 0x20 || (0x09...0x0D).contains($0) }
        return printable(parts.joined(separator: [0x20]), limit: limit)
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

extension Unicode.Scalar {
    /// A letter or number of any script that is seen and is written in one way only: no mark, nothing invisible, nothing that
    /// canonical composition (NFC) writes differently. Of two texts of these, equal ones are equal byte by byte.
    package var isPlainLetterOrNumber: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber,
            .otherNumber:
            break
        default: return false
        }
        // Hangul fillers are invisible letters; its vowels and finals join the letter in front.
        return !properties.isDefaultIgnorableCodePoint && !properties.isFullCompositionExclusion && !(0x1161...0x11FF).contains(value)
    }
}

extension String {
    /// A Swift name in snake case: `rejectedNotUTF8` is `rejected_not_utf8`.
    package var snakeCased: String {
        var (name, before) = ("", Character("_"))
        for (place, letter) in zip(indices, self) {
            // A word begins behind a small letter, and with the last of several capitals: trade_id_breaks.
            let isLast = self[index(after: place)...].first?.isLowercase ?? false
            let begins = letter.isUppercase && (before.isLowercase || before.isUppercase && isLast)
            name += (begins ? "_" : "") + letter.lowercased()
            before = letter
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
