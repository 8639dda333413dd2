// The strict reader of commands and control messages against the slow parser's tree, and against Foundation.

import FastFeed
import Foundation

/// The same texts are accepted with the same values, whatever is accepted is the same again when written out and read
/// back, and every refusal names a place in the text.
func fuzzJSON(_ bytes: [UInt8]) {
    let expected = ReferenceJSON.read(bytes, depthMax: JSONValue.depthMax).flatMap { SlowJSON.text(of: $0, depth: 0) }
    let value: JSONValue
    do throws(JSONValue.SyntaxError) {
        value = try JSONValue(parsing: bytes)
    } catch {
        require(expected == nil, "refused: \(error), slow: \(String(decoding: expected!, as: UTF8.self))")
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        require((1...lines.count).contains(error.line), "\(error) of \(lines.count) lines")
        require(
            (1...(lines[error.line - 1].count + 1)).contains(error.column), "\(error) in a line of \(lines[error.line - 1].count) bytes")
        return
    }
    let text = Array(value.text.utf8)
    require(
        text == expected,
        "\(String(decoding: text, as: UTF8.self)), slow: \(expected.map { String(decoding: $0, as: UTF8.self) } ?? "none")")
    guard let again = try? JSONValue(parsing: text) else { fatalError("written and refused: \(String(decoding: text, as: UTF8.self))") }
    require(Array(again.text.utf8) == text, "written, it reads differently: \(String(decoding: text, as: UTF8.self))")
    // Foundation refuses numbers that no double holds.
    if !SlowJSON.hasNumber(value) {
        for one in [bytes, text] {
            let read = try? JSONSerialization.jsonObject(with: Data(one), options: .fragmentsAllowed)
            require(read != nil, "Foundation refuses \(String(decoding: one, as: UTF8.self))")
        }
    }
    requireEnds(value, bytes)
}

/// A member ends where the object, closed there, has all members up to it and nothing else.
private func requireEnds(_ value: JSONValue, _ bytes: [UInt8]) {
    guard case .object(let members) = value else { return }
    for (index, member) in members.enumerated() {
        require(member.end <= bytes.count, "an end at \(member.end) of \(bytes.count)")
        let cut = try? JSONValue(parsing: Array(bytes[..<member.end]) + [UInt8(ascii: "}")])
        require(cut == .object(Array(members[...index])), "cut at \(member.end): \(cut.map { "\($0)" } ?? "no JSON")")
    }
}

/// Trees as text without white space, escaped no more than needed. As bytes, because strings that differ in bytes may
/// be equal.
private enum SlowJSON {
    /// Nil where the strict reader must refuse: half a surrogate pair, or a value inside the deepest list.
    static func text(of json: ReferenceJSON, depth: Int) -> [UInt8]? {
        guard depth < JSONValue.depthMax else { return nil }
        switch json {
        case .null: return Array("null".utf8)
        case .bool(let isTrue): return Array("\(isTrue)".utf8)
        // A zero has no sign, as an integer.
        case .number(let text): return Array(text == "-0" ? "0".utf8 : text.utf8)
        case .string(let body): return quoted(body)
        case .array(let values):
            var texts: [[UInt8]] = []
            for value in values {
                guard let text = text(of: value, depth: depth + 1) else { return nil }
                texts.append(text)
            }
            return list("[", texts, "]")
        case .object(let members):
            var texts: [[UInt8]] = []
            for member in members {
                guard let key = quoted(member.key), let value = text(of: member.value, depth: depth + 1) else { return nil }
                texts.append(key + [UInt8(ascii: ":")] + value)
            }
            return list("{", texts, "}")
        }
    }

    static func hasNumber(_ value: JSONValue) -> Bool {
        switch value {
        case .number: true
        case .array(let values): values.contains(where: hasNumber)
        case .object(let members): members.contains { hasNumber($0.value) }
        default: false
        }
    }

    private static func list(_ open: String, _ texts: [[UInt8]], _ close: String) -> [UInt8] {
        Array(open.utf8) + Array(texts.joined(separator: ",".utf8)) + Array(close.utf8)
    }

    /// A string's body as written, decoded by way of UTF-16 and quoted again.
    private static func quoted(_ body: String) -> [UInt8]? {
        let named: [UInt16: UInt16] = [0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9]
        let written = Array(body.utf16)
        var units: [UInt16] = []
        var place = 0
        while place < written.count {
            guard written[place] == 0x5C else {
                units.append(written[place])
                place += 1
                continue
            }
            let kind = written[place + 1]
            if kind == 0x75 {
                units.append(UInt16(String(decoding: written[(place + 2)..<(place + 6)], as: UTF16.self), radix: 16)!)
                place += 6
            } else {
                units.append(named[kind] ?? kind)
                place += 2
            }
        }
        guard let text = String(validating: units, as: UTF16.self) else { return nil }
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        let short: [UInt8: String] = [0x22: "\\\"", 0x5C: "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"]
        for byte in text.utf8 {
            if let escape = short[byte] {
                bytes += Array(escape.utf8)
            } else if byte < 0x20 {
                bytes += Array((byte < 0x10 ? "\\u000" : "\\u00").utf8) + Array(String(byte, radix: 16).utf8)
            } else {
                bytes.append(byte)
            }
        }
        return bytes + [UInt8(ascii: "\"")]
    }
}
