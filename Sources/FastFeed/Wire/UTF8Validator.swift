// UTF-8 checked as it arrives: a text message may be cut anywhere, and the first impossible byte already
// decides (RFC 3629; Autobahn's fail-fast cases). Pure.

package struct UTF8Validator {
    /// Continuation bytes still owed, and the range the next one must be in.
    private var owed = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    package init() {}

    /// True when no character is cut in the middle.
    package var isComplete: Bool { owed == 0 }

    /// False as soon as the bytes so far can no longer become valid text.
    package mutating func accept(_ bytes: Span<UInt8>) -> Bool {
        var index = 0
        while index < bytes.count {
            if owed == 0 {
                // Eight ASCII bytes at a time.
                while index + 8 <= bytes.count,
                    unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                { index += 8 }
                guard index < bytes.count else { return true }
                guard begin(bytes[index]) else { return false }
            } else {
                guard bytes[index] >= lower, bytes[index] <= upper else { return false }
                (lower, upper) = (0x80, 0xBF)
                owed -= 1
            }
            index += 1
        }
        return true
    }

    /// A lead byte narrows what may follow: no overlong forms, no surrogates, nothing above U+10FFFF.
    private mutating func begin(_ lead: UInt8) -> Bool {
        switch lead {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: owed = 1
        case 0xE0: (owed, lower) = (2, 0xA0)
        case 0xED: (owed, upper) = (2, 0x9F)
        case 0xE1...0xEF: owed = 2
        case 0xF0: (owed, lower) = (3, 0x90)
        case 0xF1...0xF3: owed = 3
        case 0xF4: (owed, upper) = (3, 0x8F)
        default: return false
        }
        return true
    }

    package static func isValid(_ bytes: Span<UInt8>) -> Bool {
        var validator = UTF8Validator()
        return validator.accept(bytes) && validator.isComplete
    }
}
