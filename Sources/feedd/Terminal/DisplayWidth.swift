// How many columns of a terminal a text takes. Pure.

extension String {
    /// Two columns for a wide character of East Asia, none for a mark on another one, else one.
    var displayWidth: Int {
        if utf8.allSatisfy({ $0 < 0x80 }) { return utf8.count }
        return unicodeScalars.reduce(0) { $0 + $1.displayWidth }
    }

    /// As many whole characters from the beginning as a number of columns takes.
    func cut(to width: Int) -> String {
        if displayWidth <= width { return self }
        var room = width
        return String(
            prefix { character in
                room -= character.unicodeScalars.reduce(0) { $0 + $1.displayWidth }
                return room >= 0
            })
    }

    /// To the right of a column, or to the left of it.
    func right(_ width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - displayWidth)) + self }
    func left(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - displayWidth)) }
}

extension Unicode.Scalar {
    fileprivate var displayWidth: Int {
        guard value >= 0x300 else { return 1 }
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return Unicode.Scalar.isWide(value) ? 2 : 1
        }
    }

    /// East_Asian_Width W or F (Unicode Standard Annex 11), by blocks.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18CFF, 0x1AFF0...0x1B2FF, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
            0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}
