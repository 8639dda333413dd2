// A small strict JSON reader for control messages, which are rare and at most a few kilobytes. Keeps the
// column where things end, because the exchange's error messages name it. Pure.

/// A JSON value as far as control messages need to tell values apart.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// Integers of 64 bits, signed or unsigned.
    case integer(Int64)
    case unsigned(UInt64)
    /// A number with a fraction or an exponent, or beyond 64 bits, as it was written.
    case number(String)
    case string(String)
    case array([JSONValue])
    /// Members in order; a key may come twice. `end` is the column behind the value.
    case object([Member])
    /// JSON already, on one line: only to be written.
    case rendered(String)

    package struct Member: Equatable, Sendable {
        package let key: String
        package let value: JSONValue
        package let end: Int
    }

    /// A text that is not JSON: the column (from 1) where reading stopped.
    package struct SyntaxError: Error, Equatable {
        package let line: Int
        package let column: Int
    }

    package static let depthMax = 32

    /// Reads a whole text.
    package init(parsing bytes: [UInt8]) throws(SyntaxError) {
        var reader = JSONReader(bytes)
        self = try reader.document()
    }

    /// The last value under a key, as most readers have it.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }
}

private struct JSONReader {
    typealias Fault = JSONValue.SyntaxError

    private let bytes: [UInt8]
    private var index = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(Fault) -> JSONValue {
        let value = try value()
        skipSpace()
        guard index == bytes.count else { throw failure() }
        return value
    }

    private func failure() -> Fault {
        let lines = bytes.prefix(index).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return Fault(line: lines.count, column: lines.last!.count + 1)
    }

    // MARK: Bytes

    /// A byte, as the character that it is in ASCII.
    private var current: Unicode.Scalar? { index < bytes.count ? Unicode.Scalar(bytes[index]) : nil }

    private mutating func take(_ wanted: Unicode.Scalar) -> Bool {
        guard current == wanted else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ wanted: Unicode.Scalar) throws(Fault) { if !take(wanted) { throw failure() } }

    private mutating func skipSpace() { while take(" ") || take("\n") || take("\r") || take("\t") {} }

    // MARK: Values

    private mutating func value() throws(Fault) -> JSONValue {
        skipSpace()
        guard let first = current, depth < JSONValue.depthMax else { throw failure() }
        switch first {
        case "{":
            var members: [JSONValue.Member] = []
            try list("{", "}") { reader throws(Fault) in members.append(try reader.member()) }
            return .object(members)
        case "[":
            var values: [JSONValue] = []
            try list("[", "]") { reader throws(Fault) in values.append(try reader.value()) }
            return .array(values)
        case "\"": return .string(try string())
        case "t": return try word("true", .bool(true))
        case "f": return try word("false", .bool(false))
        case "n": return try word("null", .null)
        default: return try number()
        }
    }

    /// What stands between two brackets, with commas between.
    private mutating func list(
        _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ element: (inout JSONReader) throws(Fault) -> Void
    ) throws(Fault) {
        try expect(open)
        depth += 1
        defer { depth -= 1 }
        skipSpace()
        if take(close) { return }
        repeat {
            try element(&self)
            skipSpace()
        } while take(",")
        try expect(close)
    }

    private mutating func member() throws(Fault) -> JSONValue.Member {
        skipSpace()
        let key = try string()
        skipSpace()
        try expect(":")
        return JSONValue.Member(key: key, value: try value(), end: index)
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(Fault) -> JSONValue {
        guard bytes[index...].starts(with: text.utf8) else { throw failure() }
        index += text.utf8.count
        return value
    }

    private mutating func number() throws(Fault) -> JSONValue {
        let start = index
        _ = take("-")
        if take("0") {
            if hasDigit { throw failure() }
        } else {
            try takeDigits()
        }
        let end = index
        if take(".") { try takeDigits() }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            try takeDigits()
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard index == end else { return .number(text) }
        return Int64(text).map { .integer($0) } ?? UInt64(text).map { .unsigned($0) } ?? .number(text)
    }

    private var hasDigit: Bool { index < bytes.count && Ascii.isDigit(bytes[index]) }

    private mutating func takeDigits() throws(Fault) {
        guard hasDigit else { throw failure() }
        while hasDigit { index += 1 }
    }

    private mutating func string() throws(Fault) -> String {
        try expect("\"")
        var text: [UInt8] = []
        while !take("\"") {
            guard index < bytes.count, bytes[index] >= 0x20 else { throw failure() }
            if take("\\") {
                text += Array(try escape().utf8)
            } else {
                text.append(bytes[index])
                index += 1
            }
        }
        guard let string = String(validating: text, as: UTF8.self) else { throw failure() }
        return string
    }

    private mutating func escape() throws(Fault) -> String {
        guard let kind = current else { throw failure() }
        index += 1
        switch kind {
        case "\"", "\\", "/": return String(kind)
        case "b": return "\u{8}"
        case "f": return "\u{C}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "u":
            var units = [try hexUnit()]
            if UTF16.isLeadSurrogate(units[0]) {
                try expect("\\")
                try expect("u")
                units.append(try hexUnit())
            }
            guard let text = String(validating: units, as: UTF16.self) else { throw failure() }
            return text
        default: throw failure()
        }
    }

    private mutating func hexUnit() throws(Fault) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = current.flatMap({ Character($0).hexDigitValue }) else { throw failure() }
            value = value << 4 | UInt16(digit)
            index += 1
        }
        return value
    }
}
