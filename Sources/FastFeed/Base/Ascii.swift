// Bytes as text without String: scanning for the control path, digits for the hot one.

package enum Ascii {
    /// Printable ASCII of foreign bytes: everything else becomes `?`, and at most `limit` bytes are kept.
    /// What a log line may show of a peer's text.
    package static func printable(_ bytes: some Sequence<UInt8>, limit: Int = 160) -> String {
        var kept: [UInt8] = []
        for byte in bytes {
            if kept.count == limit {
                kept.append(contentsOf: Array("...".utf8))
                break
            }
            kept.append(byte >= 0x20 && byte < 0x7F ? byte : UInt8(ascii: "?"))
        }
        return String(decoding: kept, as: UTF8.self)
    }

    @inline(__always)
    package static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    package static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
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

    @inline(__always)
    package static func write(magnitude value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let count = digitCount(value)
        var rest = value
        var place = count
        while rest >= 10 {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            place &-= 1
            unsafe out[place] = 0x30 &+ UInt8(truncatingIfNeeded: digit)
            rest = quotient
        }
        unsafe out[0] = 0x30 &+ UInt8(truncatingIfNeeded: rest)
        return count
    }

    @inline(__always)
    package static func digitCount(_ value: UInt64) -> Int {
        var count = 1
        var bound: UInt64 = 10
        while value >= bound {
            count &+= 1
            if count == 20 { break }
            bound &*= 10
        }
        return count
    }
}
