// The two parsers of the exchange's messages against the obvious second parser of the tests.

import FastFeed

// libFuzzer has one thread.
nonisolated(unsafe) private let bench = ParserBench()

/// A kline message: same outcome and same fields as the slow way, whatever stands behind its last byte.
func fuzzKline(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let colour = input.byte()
    let message = Array(input.rest)
    let parsed = bench.parse(message, padding: [colour])
    require(ReferenceVerdict(parsed) == ReferenceVerdict.of(message), "\(parsed), but the slow way says \(ReferenceVerdict.of(message))")
    // The bytes that could complete the message, and those that could spoil it.
    for padding in [Array("\"}}0,:".utf8), [0xE2, 0x82], [0x5C], [0x20]] {
        require(bench.parse(message, padding: padding) == parsed, "other padding, other outcome: \(padding)")
    }
    let isText = String(validating: message, as: UTF8.self) != nil
    require((parsed == .rejected(.rejectedNotUTF8)) == !isText, "\(parsed), but UTF-8: \(isText)")
}

/// A message about the connection, and the same facts looked up in the slow parser's tree.
func fuzzNotice(_ bytes: [UInt8]) {
    let notice = withPadded(bytes) { Binance(.spot).notice($0) }
    let json = ReferenceJSON.read(bytes, depthMax: 1_024)
    guard let json else {
        require(notice == nil, "\(notice!) out of what is no JSON")
        return
    }
    // This parser decodes escapes and numbers; the slow one leaves them as written.
    guard !bytes.contains(UInt8(ascii: "\\")), !json.hasLongNumber else { return }
    require(notice == SlowNotice.read(json), "\(notice.map { "\($0)" } ?? "nothing"), slow: \(SlowNotice.read(json))")
}

extension ReferenceJSON {
    /// A number that 64 bits or a double might not hold.
    fileprivate var hasLongNumber: Bool {
        switch self {
        case .object(let members): members.contains { $0.value.hasLongNumber }
        case .array(let values): values.contains(where: \.hasLongNumber)
        case .number(let text): text.utf8.count > 18 || text.contains { "eE".contains($0) }
        default: false
        }
    }

    fileprivate subscript(key: String) -> ReferenceJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { Array($0.key.utf8) == Array(key.utf8) }?.value
    }

    fileprivate var integer: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
    fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }
    fileprivate var isObject: Bool { if case .object = self { true } else { false } }
}

private enum SlowNotice {
    static func read(_ json: ReferenceJSON) -> VenueNotice {
        guard json.isObject else { return .other("") }
        var object = json
        if let data = json["data"], data.isObject { object = data }
        let id = object["id"]?.integer
        var error = object
        if let inner = object["error"], inner.isObject { error = inner }
        if let code = error["code"]?.integer, let text = error["msg"]?.text {
            return .error(id: id, code: code, message: Ascii.printable(text.utf8.prefix(160)))
        }
        if let event = object["e"]?.text {
            return switch event {
            case "serverShutdown": .serverShutdown
            case "kline": .incompleteKline
            default: .other(Ascii.printable(event.utf8.prefix(32)))
            }
        }
        return object["result"] == nil ? .other("") : .result(id: id)
    }
}
