// What the event faults make of an event's text. Pure; works on whole messages, wrapped or bare.

package enum DamagedText {
    /// The message a fault turns another into, or nil when the kind does not touch the text.
    /// - Parameter pick: a number below its argument; decides where.
    package static func apply(_ kind: FaultKind, to text: [UInt8], pick: (Int) -> Int) -> [UInt8]? {
        switch kind {
        case .corruptJSON:
            // A colon outside of all strings always breaks the text when it becomes something else.
            let colons = text.indices.filter { text[$0] == UInt8(ascii: ":") && text[$0 - 1] == UInt8(ascii: "\"") }
            guard !colons.isEmpty else { return nil }
            var damaged = text
            damaged[colons[pick(colons.count)]] = UInt8(ascii: ";")
            return damaged
        case .truncateJSON: return Array(text.prefix(1 + pick(text.count - 1)))
        case .unknownEvent: return replacing("\"e\":\"kline\"", with: "\"e\":\"klineSummary\"", in: text)
        case .unknownFields:
            let inside = replacing("\"k\":{", with: "\"zz\":[1,{\"t\":\"}\"},null],\"k\":{\"y\":{\"x\":true},", in: text)
            return inside
        case .extraZeros: return lengtheningDecimals(in: text, by: "0000")
        case .longDecimals: return lengtheningDecimals(in: text, by: String(repeating: "0123456789", count: 6))
        // A digit in front: more was traded than REST will say, and never less than the takers bought.
        case .alteredClose: return replacing("\"v\":\"", with: "\"v\":\"1", in: replacing("\"q\":\"", with: "\"q\":\"1", in: text))
        case .nonASCIISymbol: return replacingSymbol(with: "币安人生USDT", in: text)
        default: return nil
        }
    }

    /// Replaces every occurrence.
    private static func replacing(_ old: String, with new: String, in text: [UInt8]) -> [UInt8] {
        let (pattern, replacement) = (Array(old.utf8), Array(new.utf8))
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index...].starts(with: pattern) {
                result += replacement
                index += pattern.count
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }

    /// Puts digits behind every quoted number with a point.
    private static func lengtheningDecimals(in text: [UInt8], by digits: String) -> [UInt8] {
        var result: [UInt8] = []
        var isDecimal = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""):
                if isDecimal, let last = result.last, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last) {
                    result += Array(digits.utf8)
                }
                isDecimal = false
            case UInt8(ascii: "."): isDecimal = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): break
            default: isDecimal = false
            }
            result.append(byte)
        }
        return result
    }

    private static func replacingSymbol(with symbol: String, in text: [UInt8]) -> [UInt8] {
        let key = Array("\"s\":\"".utf8)
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            guard text[index...].starts(with: key) else {
                result.append(text[index])
                index += 1
                continue
            }
            result += key + Array(symbol.utf8)
            index += key.count
            while index < text.count, text[index] != UInt8(ascii: "\"") { index += 1 }
        }
        return result
    }
}
