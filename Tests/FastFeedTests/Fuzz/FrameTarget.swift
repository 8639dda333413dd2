// The frame decoder: cut anywhere it gives what the slow decoder gives, which sees the whole input at once.

import FastFeed

func fuzzFrames(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    let choice = input.byte()
    var options = FrameDecoder.Options()
    options.role = choice & 1 == 0 ? .client : .server
    options.messageBytesMax = choice & 2 == 0 ? Limits.venueMessageBytesMax : 200
    options.fragmentCountMax = choice & 4 == 0 ? Limits.fragmentCountMax : 3
    options.checksTextInPlace = choice & 8 == 0
    let sizes = input.pieceSizes()
    let stream = Array(input.rest)
    let expected = SlowFrames.events(stream, options)
    let whole = untrusting(Decoding.events(stream, options: options))
    require(whole == expected, "whole: \(whole), slow: \(expected)")
    let cut = untrusting(Decoding.events(stream, pieces: FuzzInput.pieces(sizes, of: stream.count), options: options))
    require(cut == expected, "cut by \(sizes): \(cut), slow: \(expected)")
}

/// Text that was handed out unchecked is checked here, as the parser behind the decoder does.
private func untrusting(_ events: [SeenEvent]) -> [SeenEvent] {
    guard
        let bad = events.firstIndex(where: {
            if case .message(isText: true, let text) = $0 { String(validating: text, as: UTF8.self) == nil } else { false }
        })
    else { return events }
    return events[..<bad] + [.violation(1007)]
}

/// RFC 6455, section 5, read from top to bottom over the whole input.
enum SlowFrames {
    static func events(_ stream: [UInt8], _ options: FrameDecoder.Options) -> [SeenEvent] {
        var events: [SeenEvent] = []
        var place = 0
        var message: (isText: Bool, bytes: [UInt8], fragments: Int)?
        while place + 2 <= stream.count {
            let (first, second) = (stream[place], stream[place + 1])
            let (isFinal, opcode, isMasked) = (first >= 0x80, first & 0x0F, second >= 0x80)
            guard first & 0x70 == 0, isMasked == (options.role == .server), isAllowed(opcode, insideMessage: message != nil) else {
                return events + [.violation(1002)]
            }
            let isControl = opcode >= 8
            var length = UInt64(second & 0x7F)
            if isControl && (!isFinal || length > 125) { return events + [.violation(1002)] }
            let lengthBytes = length == 127 ? 8 : length == 126 ? 2 : 0
            let headBytes = 2 + lengthBytes + (isMasked ? 4 : 0)
            guard place + headBytes <= stream.count else { break }
            if lengthBytes > 0 {
                length = stream[(place + 2)..<(place + 2 + lengthBytes)].reduce(0) { $0 << 8 | UInt64($1) }
                if length >= 1 << 63 || length < (lengthBytes == 2 ? 126 : 65_536) { return events + [.violation(1002)] }
            }
            let key = isMasked ? Array(stream[(place + headBytes - 4)..<(place + headBytes)]) : [0, 0, 0, 0]
            place += headBytes
            let count = Int(min(length, UInt64(stream.count - place)))
            let isWhole = UInt64(count) == length
            let payload = (0..<count).map { stream[place + $0] ^ key[$0 % 4] }
            place += count
            if isControl {
                guard isWhole else { break }
                events.append(control(opcode, payload))
                switch events.last! {
                case .close, .violation: return events
                default: continue
                }
            }
            if length > UInt64(options.messageBytesMax - (message?.bytes.count ?? 0)) { return events + [.violation(1009)] }
            if message == nil { message = (opcode == 1, [], 0) }
            message!.fragments += 1
            if message!.fragments > options.fragmentCountMax { return events + [.violation(1008)] }
            message!.bytes += payload
            let isDone = isFinal && isWhole
            if message!.isText && !SlowText.isPossible(message!.bytes, isWhole: isDone) { return events + [.violation(1007)] }
            guard isDone else { continue }
            events.append(.message(isText: message!.isText, message!.bytes))
            message = nil
        }
        return events
    }

    private static func isAllowed(_ opcode: UInt8, insideMessage: Bool) -> Bool {
        switch opcode {
        case 0: insideMessage
        case 1, 2: !insideMessage
        case 8, 9, 10: true
        default: false
        }
    }

    private static func control(_ opcode: UInt8, _ payload: [UInt8]) -> SeenEvent {
        if opcode == 9 { return .ping(payload) }
        if opcode == 10 { return .pong(payload) }
        if payload.isEmpty { return .close(1005, []) }
        if payload.count == 1 { return .violation(1002) }
        let code = UInt16(payload[0]) * 256 + UInt16(payload[1])
        let mayBeSent: [ClosedRange<UInt16>] = [1000...1003, 1007...1014, 3000...4999]
        guard mayBeSent.contains(where: { $0.contains(code) }) else { return .violation(1002) }
        let reason = Array(payload[2...])
        return String(validating: reason, as: UTF8.self) == nil ? .violation(1007) : .close(code, reason)
    }
}

/// UTF-8 by the standard library, for text that may still go on.
enum SlowText {
    /// Every beginning of a character that is not the whole of it.
    private static let beginnings: Set<[UInt8]> = {
        var found: Set<[UInt8]> = []
        // The last byte takes 64 values, so every 64th character has all beginnings.
        for value in stride(from: UInt32(0x80), to: 0x110000, by: 64) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let bytes = Array(UTF8.encode(scalar)!)
            for count in 1..<bytes.count { found.insert(Array(bytes[..<count])) }
        }
        return found
    }()

    static func isPossible(_ bytes: [UInt8], isWhole: Bool) -> Bool {
        if String(validating: bytes, as: UTF8.self) != nil { return true }
        guard !isWhole else { return false }
        return (1...3).contains { cut in
            cut <= bytes.count && beginnings.contains(Array(bytes.suffix(cut)))
                && String(validating: bytes.dropLast(cut), as: UTF8.self) != nil
        }
    }
}
