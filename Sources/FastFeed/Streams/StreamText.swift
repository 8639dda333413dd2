// Entries as people read them and as JSON, and JSON as fields. Pure.
//
// Nothing is lost: a name that comes twice has a list of values, bytes that are not UTF-8 are `{"base64":"…"}`, and what was printed as
// JSON can be added again as it is. (But names that are not UTF-8, which become texts, `base64:…`.)

/// How entries are shown.
package enum StreamText {
    private static let base64Name = "base64"

    // MARK: For people

    /// `order_id=123 amount=99.99`; odd names and values as JSON strings.
    package static func line(_ fields: StreamFields) -> String {
        var line = ""
        for place in 0..<fields.count {
            let (name, value) = fields.bytes(at: place)
            line += (place > 0 ? " " : "") + word(name, isName: true) + "=" + word(value)
        }
        return line
    }

    /// Bytes as a word of a line: as they are where nobody can misread them.
    package static func word(_ bytes: [UInt8], isName: Bool = false) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { return json(bytes).text }
        let isPlain =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy { scalar in
                guard scalar.isASCII else { return isVisible(scalar) }
                return scalar.value > 0x20 && scalar.value < 0x7F && scalar != "\"" && scalar != "\\" && !(isName && scalar == "=")
            }
        return isPlain ? text : quoted(text)
    }

    /// A JSON string in which nothing can move the cursor.
    private static func quoted(_ text: String) -> String {
        var quoted = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case " ": quoted += " "
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where isVisible(scalar): quoted.unicodeScalars.append(scalar)
            default: for unit in String(scalar).utf16 { quoted += "\\u" + Ascii.hex(unit) }
            }
        }
        return "\"" + quoted + "\""
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: false
        default: true
        }
    }

    // MARK: JSON

    /// `{"id":"1702301234567-0","fields":{"order_id":"123"}}`
    package static func json(_ entry: StreamEntry) -> JSONValue {
        .members([("id", .string("\(entry.id)")), ("fields", json(entry.fields))])
    }

    /// Fields in order of their first appearance.
    package static func json(_ fields: StreamFields) -> JSONValue {
        var names: [String] = []
        var values: [String: [JSONValue]] = [:]
        for place in 0..<fields.count {
            let (name, value) = fields.bytes(at: place)
            let text = String(validating: name, as: UTF8.self) ?? "\(base64Name):\(Base64.text(name))"
            if values[text] == nil { names.append(text) }
            values[text, default: []].append(json(value))
        }
        return .members(names.map { name in (name, values[name]!.count == 1 ? values[name]![0] : .array(values[name]!)) })
    }

    /// A string; bytes that are not UTF-8 as `{"base64":"…"}`.
    package static func json(_ bytes: [UInt8]) -> JSONValue {
        guard let text = String(validating: bytes, as: UTF8.self) else { return .members([(base64Name, .string(Base64.text(bytes)))]) }
        return .string(text)
    }

    /// The fields of a JSON object. Values are strings, numbers, `true`, `false`, what `json` makes of bytes, or lists of these.
    /// - Throws: one sentence.
    package static func fields(_ object: [UInt8]) throws(Malformed) -> StreamFields {
        let value: JSONValue
        do throws(JSONValue.SyntaxError) {
            value = try JSONValue(parsing: object)
        } catch {
            throw Malformed("not JSON (column \(error.column))")
        }
        guard let members = value.members else { throw Malformed("not a JSON object") }
        var pairs: [(name: [UInt8], value: [UInt8])] = []
        for member in members {
            let name = Array(member.key.utf8)
            for one in member.value.array ?? [member.value] {
                guard let bytes = bytes(one) else { throw Malformed("\(Ascii.printable(name, limit: 60)) is not a text or a number") }
                pairs.append((name, bytes))
            }
        }
        guard !pairs.isEmpty else { throw Malformed("no field") }
        return StreamFields(bytes: pairs)
    }

    private static func bytes(_ value: JSONValue) -> [UInt8]? {
        switch value {
        case .string(let text): return Array(text.utf8)
        case .integer, .unsigned, .number, .bool: return Array(value.text.utf8)
        case .object(let members):
            guard members.count == 1, members[0].key == base64Name, let text = members[0].value.string else { return nil }
            return Base64.bytes(text)
        case .null, .array, .rendered: return nil
        }
    }
}

/// RFC 4648, section 4.
package enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let pad = UInt8(ascii: "=")

    package static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 { text.append(place <= group.count ? letters[Int(word >> UInt32(18 - 6 * place) & 63)] : pad) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for what is not base 64 with its padding.
    package static func bytes(_ text: String) -> [UInt8]? {
        let text = Array(text.utf8)
        guard text.count % 4 == 0 else { return nil }
        let padding = text.reversed().prefix { $0 == pad }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var (word, bits) = (UInt32(0), 0)
        for letter in text.dropLast(padding) {
            guard let value = value(letter) else { return nil }
            (word, bits) = (word << 6 | value, bits + 6)
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
                word &= 1 << UInt32(bits) - 1
            }
        }
        return word == 0 ? bytes : nil
    }

    private static func value(_ letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
