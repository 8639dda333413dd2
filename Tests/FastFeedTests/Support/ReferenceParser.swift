// The obvious second parser: reads the whole message into a tree first (RFC 8259, strict, nothing clever), then
// applies the rules of a kline one by one. It shares no code with the library; `JSONSerialization` in turn checks
// its idea of well-formed JSON. Keys are compared as written: an escaped key is an unknown key.

import FastFeed

indirect enum ReferenceJSON {
    case object([(key: String, value: ReferenceJSON)])
    case array([ReferenceJSON])
    /// The body as written, escapes and all.
    case string(String)
    case number(String)
    case bool(Bool)
    case null

    /// Nil when the bytes are not JSON, or nested deeper than `depthMax`.
    static func read(_ bytes: [UInt8], depthMax: Int = 64) -> ReferenceJSON? {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var reader = ReferenceReader(bytes: bytes, depthMax: depthMax)
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        return reader.place == bytes.count ? value : nil
    }
}

private struct ReferenceReader {
    let bytes: [UInt8]
    let depthMax: Int
    var place = 0

    var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    mutating func skipSpace() { while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 } }

    mutating func take(_ text: String) -> Bool {
        guard bytes[place...].starts(with: Array(text.utf8)) else { return false }
        place += text.utf8.count
        return true
    }

    mutating func value(depth: Int) -> ReferenceJSON? {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return depth < depthMax ? object(depth: depth + 1) : nil
        case UInt8(ascii: "["): return depth < depthMax ? array(depth: depth + 1) : nil
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return take("null") ? .null : nil
        default: return number()
        }
    }

    mutating func object(depth: Int) -> ReferenceJSON? {
        place += 1
        var members: [(key: String, value: ReferenceJSON)] = []
        skipSpace()
        if take("}") { return .object([]) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\""), let key = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value(depth: depth) else { return nil }
            members.append((key, value))
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { return nil }
        }
    }

    mutating func array(depth: Int) -> ReferenceJSON? {
        place += 1
        var values: [ReferenceJSON] = []
        skipSpace()
        if take("]") { return .array([]) }
        while true {
            guard let value = value(depth: depth) else { return nil }
            values.append(value)
            skipSpace()
            if take("]") { return .array(values) }
            guard take(",") else { return nil }
        }
    }

    mutating func string() -> String? {
        place += 1
        let start = place
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                place += 1
                return String(decoding: bytes[start..<place - 1], as: UTF8.self)
            }
            if byte < 0x20 { return nil }
            place += 1
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = next else { return nil }
            place += 1
            if escape == UInt8(ascii: "u") {
                let digits = bytes[place...].prefix(4)
                guard digits.count == 4, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit && $0 < 0x80 }) else { return nil }
                place += 4
            } else if !Array("\"\\/bfnrt".utf8).contains(escape) {
                return nil
            }
        }
        return nil
    }

    mutating func digits() -> Bool {
        let start = place
        while let byte = next, (0x30...0x39).contains(byte) { place += 1 }
        return place > start
    }

    mutating func number() -> ReferenceJSON? {
        let start = place
        _ = take("-")
        if !take("0") { guard digits() else { return nil } }
        if take(".") { guard digits() else { return nil } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return nil }
        }
        return .number(String(decoding: bytes[start..<place], as: UTF8.self))
    }
}

/// The same three outcomes as the library's, without its reasons.
enum ReferenceVerdict: Equatable {
    case kline(ParsedKline)
    case notice
    case rejected

    init(_ parsed: Parsed) {
        switch parsed {
        case .kline(let kline): self = .kline(kline)
        case .notice: self = .notice
        case .rejected: self = .rejected
        }
    }

    /// What a message is, by the slow way.
    static func of(_ bytes: [UInt8]) -> ReferenceVerdict {
        guard let json = ReferenceJSON.read(bytes) else { return .rejected }
        guard case .object(let top) = json else { return .notice }
        var members = top
        // The envelope: what is under the first `data` counts as if it stood here.
        var repeated = top.count(where: { $0.key == "data" }) > 1 || top.count(where: { $0.key == "stream" }) > 1
        if let place = top.firstIndex(where: { $0.key == "data" }), case .object(let inner) = top[place].value {
            members.replaceSubrange(place...place, with: inner)
        }
        func all(_ key: String, in list: [(key: String, value: ReferenceJSON)]) -> [ReferenceJSON] {
            list.filter { $0.key == key }.map(\.value)
        }
        guard case .string("kline")? = all("e", in: members).first else { return .notice }
        for key in ["e", "E", "s", "k"] where all(key, in: members).count > 1 { repeated = true }
        guard !repeated, case .object(let bar)? = all("k", in: members).first else { return .rejected }
        for key in KlineText.barFields where all(key, in: bar).count != 1 { return .rejected }
        return judge(event: members, bar: bar).map { .kline($0) } ?? .rejected
    }

    private static func judge(event: [(key: String, value: ReferenceJSON)], bar: [(key: String, value: ReferenceJSON)]) -> ParsedKline? {
        func field(_ key: String) -> ReferenceJSON { bar.first { $0.key == key }!.value }
        func time(_ value: ReferenceJSON?) -> Int64? { integer(value).map { $0 >= 100_000_000_000_000 ? $0 / 1_000 : $0 } }
        guard let eventTime = time(event.first { $0.key == "E" }?.value), let open = time(field("t")), let close = time(field("T")),
            let first = integer(field("f")), let last = integer(field("L")), let count = integer(field("n"))
        else { return nil }
        guard case .bool(let isClosed) = field("x"), case .string(let symbol) = field("s"), case .string(let token) = field("i"),
            let interval = Interval(token: token)
        else { return nil }
        guard (1...255).contains(symbol.utf8.count) else { return nil }
        if let other = event.first(where: { $0.key == "s" })?.value {
            guard case .string(let name) = other, name.utf8.count <= 255, Array(plain(name).utf8) == Array(plain(symbol).utf8) else {
                return nil
            }
        }
        let decimals = KlineText.decimalFields.compactMap { decimal(field($0)) }
        guard decimals.count == 8, open >= 0, eventTime >= 0, count >= 0 else { return nil }
        // At most the longest month, and opened before the event, a second of clock error forgiven.
        guard close >= open, close - open < 31 * 86_400_000, open <= eventTime + 1_000 else { return nil }
        return ParsedKline(
            symbol: plain(symbol), interval: interval.rawValue, isClosed: isClosed, open: open, close: close, event: eventTime,
            first: first,
            last: last, count: count, decimals: decimals)
    }

    /// A name without its escapes, unless one stands for a control character or for half a character.
    private static func plain(_ name: String) -> String {
        let text = (try? JSONValue(parsing: Array("\"\(name)\"".utf8)))?.string
        return text.flatMap { $0.utf8.allSatisfy { $0 >= 0x20 } ? $0 : nil } ?? name
    }

    /// A JSON integer of at most 18 digits.
    private static func integer(_ value: ReferenceJSON?) -> Int64? {
        guard case .number(let text)? = value, text.allSatisfy({ $0 == "-" || $0.isNumber }) else { return nil }
        return text.drop { $0 == "-" }.utf8.count <= 18 ? Int64(text) : nil
    }

    /// A string `-?digits[.digits]` of at most 31 bytes.
    private static func decimal(_ value: ReferenceJSON) -> String? {
        guard case .string(let text) = value, text.utf8.count <= 31, text.wholeMatch(of: /-?[0-9]+(\.[0-9]+)?/) != nil else { return nil }
        return text
    }
}
