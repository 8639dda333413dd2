// Where a piece of foreign JSON can stand in a kline message, and what must become of the message. The outcome is
// worked out by hand, place by place, from the slow parser's idea of the piece.

import FastFeed

/// What a reader makes of a frame.
enum FrameOutcome: Equatable {
    case kline, notice
    case rejected(CounterID)

    init(_ parsed: Parsed) {
        switch parsed {
        case .kline: self = .kline
        case .notice: self = .notice
        case .rejected(let reason): self = .rejected(reason)
        }
    }
}

enum JSONPlace: Equatable {
    case whole, data
    case eventField(String)
    case barField(String)
    case unknownMember
    case unknownKey

    struct Frame {
        let place: JSONPlace
        let bytes: [UInt8]
        let name: String
    }

    private static let mark = "\"@@\""

    /// Every frame that carries a case.
    static func frames(_ json: JSONCase) -> [Frame] {
        var frames = [
            Frame(place: .whole, bytes: json.bytes, name: "whole"),
            Frame(place: .data, bytes: wrap("{\"stream\":\"btcusdt@kline_1m\",\"data\":", json.bytes, "}"), name: "data"),
        ]
        func add(_ text: KlineText, _ place: JSONPlace, _ name: String) {
            for text in [text, text.combined()] {
                let parts = text.text.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
                let bytes = wrap(String(parts[0]), json.bytes, String(parts[1]))
                frames.append(Frame(place: place, bytes: bytes, name: name + (text.isCombined ? ", combined" : "")))
            }
        }
        for key in ["e", "E", "s", "k"] { add(KlineText().withEvent(key, mark), .eventField(key), key) }
        for key in KlineText.barFields { add(KlineText().with(key, mark), .barField(key), "k." + key) }
        // As a member that nobody reads, and as such a member's name.
        for (place, member) in [(JSONPlace.unknownMember, ("zz", mark)), (.unknownKey, ("@@", "1"))]
        where place == .unknownMember || json.isString {
            for index in [0, 8, KlineText().bar.count] {
                var text = KlineText()
                text.bar.insert(member, at: index)
                add(text, place, "\(place) \(index) of the bar")
            }
            for index in [0, 2, KlineText().event.count] {
                var text = KlineText()
                text.event.insert(member, at: index)
                add(text, place, "\(place) \(index) of the event")
            }
        }
        let bare = KlineText().text
        frames.append(Frame(place: .unknownMember, bytes: wrap("{\"zz\":", json.bytes, ",\"data\":\(bare)}"), name: "before data"))
        frames.append(Frame(place: .unknownMember, bytes: wrap("{\"data\":\(bare),\"zz\":", json.bytes, "}"), name: "behind data"))
        if json.isString {
            frames.append(Frame(place: .unknownKey, bytes: wrap("{", json.bytes, ":1,\"data\":\(bare)}"), name: "key before data"))
            frames.append(Frame(place: .unknownKey, bytes: wrap("{\"data\":\(bare),", json.bytes, ":1}"), name: "key behind data"))
        }
        return frames
    }

    private static func wrap(_ head: String, _ value: [UInt8], _ tail: String) -> [UInt8] { Array(head.utf8) + value + Array(tail.utf8) }

    // MARK: What must become of it

    static func outcome(_ frame: Frame, _ json: JSONCase) -> FrameOutcome {
        guard ReferenceJSON.read(frame.bytes) != nil, let value = ReferenceJSON.read(json.bytes) else {
            return .rejected(String(validating: frame.bytes, as: UTF8.self) == nil ? .rejectedNotUTF8 : .rejectedMalformed)
        }
        let fault: CounterID?
        switch frame.place {
        case .whole, .data, .eventField("e"): return .notice
        case .unknownMember, .unknownKey: return .kline
        case .eventField("k"): fault = barFault(value)
        case .eventField("E"), .barField("t"), .barField("T"): fault = fieldFault(frame.key, value) ?? timeFault(frame.key, value)
        case .barField("n"): fault = fieldFault("n", value) ?? (value.digits! < 0 ? .rejectedNumber : nil)
        case .eventField("s"), .barField("s"):
            fault = fieldFault("s", value) ?? (value.body == "BTCUSDT" ? nil : .rejectedContradiction)
        case .eventField(let key), .barField(let key): fault = fieldFault(key, value)
        }
        return fault.map { .rejected($0) } ?? .kline
    }

    /// What is wrong with a field's value, looked at alone.
    private static func fieldFault(_ key: String, _ value: ReferenceJSON) -> CounterID? {
        switch key {
        case "x":
            if case .bool = value { return nil }
            return .rejectedType
        case "E", "t", "T", "f", "L", "n":
            guard case .number = value else { return .rejectedType }
            return value.digits == nil ? .rejectedNumber : nil
        case "i":
            guard let body = value.body else { return .rejectedType }
            return Interval(token: body) == nil ? .rejectedInterval : nil
        case "s":
            guard let body = value.body else { return .rejectedType }
            return (1...255).contains(body.utf8.count) ? nil : .rejectedLong
        default:
            guard let body = value.body else { return .rejectedType }
            return body.utf8.count > DecimalText.capacity ? .rejectedLong : DecimalText(body) == nil ? .rejectedNumber : nil
        }
    }

    /// The faults of times that are numbers: below zero, or against the other times of `KlineText`.
    private static func timeFault(_ key: String, _ value: ReferenceJSON) -> CounterID? {
        let number = value.digits!
        let time = number >= 100_000_000_000_000 ? number / 1_000 : number
        let usual = KlineText.expected
        let (open, close, event) = (key == "t" ? time : usual.open, key == "T" ? time : usual.close, key == "E" ? time : usual.event)
        if open < 0 || event < 0 { return .rejectedNumber }
        return close < open || close - open >= 31 * 86_400_000 || open > event + 1_000 ? .rejectedContradiction : nil
    }

    /// A bar that is none: the first fault in the order of its members, or else that fields are missing.
    private static func barFault(_ value: ReferenceJSON) -> CounterID? {
        guard case .object(let members) = value else { return .rejectedType }
        var seen = Set<String>()
        for (key, value) in members where KlineText.barFields.contains(key) {
            if !seen.insert(key).inserted { return .rejectedRepeated }
            if let fault = fieldFault(key, value) { return fault }
        }
        return .rejectedMissing
    }
}

extension JSONPlace.Frame {
    fileprivate var key: String {
        switch place {
        case .eventField(let key), .barField(let key): key
        default: ""
        }
    }
}

extension ReferenceJSON {
    /// A string's body as written.
    fileprivate var body: String? { if case .string(let body) = self { body } else { nil } }

    /// An integer of at most 18 digits.
    fileprivate var digits: Int64? {
        guard case .number(let text) = self, let number = Int64(text), text.drop(while: { $0 == "-" }).utf8.count <= 18 else { return nil }
        return number
    }
}
