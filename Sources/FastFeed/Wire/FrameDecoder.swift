// RFC 6455 frames out of a byte stream, without copying where it can be helped. Pure; one owner.
//
//   0               1               2 ... 9          (+4)
//  +-+-+-+-+-------+-+-------------+----------------+----------+---------+
//  |F|R R R|opcode |M| length 7    | length 16 / 64 | mask key | payload |
//  +-+-+-+-+-------+-+-------------+----------------+----------+---------+
//
// The caller supplies a window of received bytes and takes events until `.needMore`. A whole, unfragmented
// message is handed out in place, inside the window. Whatever the window's end cuts through is kept here: up
// to 13 bytes of a header, or the payload so far. So a connection owns no receive buffer, and nothing a peer
// announces sizes an allocation: the message buffer grows with the bytes that have really come, up to
// `Options.messageBytesMax`, in at most `Options.fragmentCountMax` fragments.

/// What the decoder found. Payloads are valid until the next call.
package enum FrameEvent {
    case needMore
    /// A complete message.
    case message(isText: Bool, PaddedBytes)
    case ping(PaddedBytes)
    case pong(PaddedBytes)
    /// The peer's close frame; code 1005 when it had none.
    case close(code: UInt16, reason: PaddedBytes)
    /// The peer broke the protocol or a limit: close with this code.
    case violation(code: UInt16, reason: StaticString)
}

@safe package struct FrameDecoder: ~Copyable {
    /// Which side we are: a client refuses masked frames, a server refuses unmasked ones.
    package enum Role: Sendable { case client, server }

    package struct Options: Sendable {
        package var role: Role = .client
        package var messageBytesMax = Limits.venueMessageBytesMax
        package var fragmentCountMax = Limits.fragmentCountMax
        /// Check text that is handed out in place. Off where the consumer's parser does it.
        package var checksTextInPlace = true

        package init() {}
    }

    private let options: Options

    private var window = FrameWindow()

    // The header being collected when a window ends inside it.
    private var header: (UInt64, UInt64) = (0, 0)
    private var headerCount = 0

    // The frame whose payload is being taken in pieces.
    private var inFrame = false
    private var opcode: UInt8 = 0
    private var isFinal = false
    private var remaining = 0
    private var maskKey: UInt32 = 0
    private var maskOffset = 0

    // The message being assembled from pieces or fragments.
    private var message: MessageBuffer
    private var messageOpcode: UInt8 = 0
    private var fragmentCount = 0
    private var validator = UTF8Validator()
    /// What broke the rules is a text message that is not UTF-8: a message to be counted as such.
    package private(set) var isTextAtFault = false
    private var messageHandedOut = false

    private var isFinished = false
    /// The payload of a control frame; 125 bytes are its law.
    private var control = MessageBuffer(bytesMax: 125)

    package init(_ options: Options = Options()) {
        self.options = options
        message = MessageBuffer(bytesMax: options.messageBytesMax)
    }

    /// Gives the next bytes of the stream. The former window must be used up. Masked payloads are unmasked in
    /// place.
    package mutating func supply(_ bytes: UnsafeMutableRawPointer, count: Int) {
        assert(window.count == 0 || isFinished)
        unsafe window = FrameWindow(bytes, count: count)
    }

    /// The same from a buffer, which stays as it is until the window is used up.
    package mutating func supply(_ buffer: borrowing PaddedBuffer, from place: Int = 0, count: Int) {
        precondition(place >= 0 && count >= 0 && place + count <= buffer.count)
        unsafe supply(buffer.base + place, count: count)
    }

    /// Takes nothing more, neither of the window nor of what comes: the owner gives the stream up.
    package mutating func finish() { isFinished = true }

    /// Bytes of the window not yet taken.
    package var unread: Int { window.count }

    /// True between the first and the last fragment of a message, or inside a frame.
    package var isMidMessage: Bool { inFrame || headerCount > 0 || messageOpcode != 0 }

    @inline(__always)
    package mutating func takeEvent() -> FrameEvent {
        // The common case, kept small: a short or medium unmasked final text frame, whole in the window.
        if !inFrame && headerCount == 0 && messageOpcode == 0 && !isFinished && options.role == .client {
            let available = window.count
            if available >= 4 && window[0] == 0x81 {
                var headerBytes = 2
                var length = Int(window[1])
                if length == 126 {
                    length = Int(window[2]) << 8 | Int(window[3])
                    headerBytes = 4
                    if length < 126 { return takeEventSlowly() }
                }
                if length <= 0xFFFF && window[1] < 127 && headerBytes + length <= available
                    && length <= options.messageBytesMax && !options.checksTextInPlace
                {
                    return .message(isText: true, window.take(length, behind: headerBytes))
                }
            }
        }
        return takeEventSlowly()
    }

    @inline(never)
    private mutating func takeEventSlowly() -> FrameEvent {
        if messageHandedOut {
            message.reset()
            messageHandedOut = false
        }
        while !isFinished {
            if !inFrame {
                if let event = takeHeader() { return event }
                if let whole = takeWholeMessage() { return whole }
            }
            if let event = takePayload() { return event }
        }
        window.drop()  // after close or violation nothing is read any more
        return .needMore
    }

    private mutating func textViolation(_ reason: StaticString) -> FrameEvent {
        isTextAtFault = true
        return violation(1007, reason)
    }

    private mutating func violation(_ code: UInt16, _ reason: StaticString) -> FrameEvent {
        isFinished = true
        return .violation(code: code, reason: reason)
    }
}

// MARK: - Header

extension FrameDecoder {
    /// Collects and checks one header. Nil: the frame's fields are set.
    private mutating func takeHeader() -> FrameEvent? {
        guard collectHeader(upTo: 2) else { return .needMore }
        let first = headerByte(0)
        let second = headerByte(1)
        if let fault = FrameDecoder.fault(first, second, options.role, messageOpcode) { return violation(1002, fault) }
        let short = Int(second & 0x7F)
        let lengthBytes = short == 126 ? 2 : short == 127 ? 8 : 0
        let maskBytes = second & 0x80 != 0 ? 4 : 0
        guard collectHeader(upTo: 2 + lengthBytes + maskBytes) else { return .needMore }
        var length = UInt64(short)
        if lengthBytes > 0 {
            length = 0
            for index in 0..<lengthBytes { length = length << 8 | UInt64(headerByte(2 + index)) }
            if length >> 63 != 0 { return violation(1002, "a frame length with the highest bit set") }
            if length < (lengthBytes == 2 ? 126 : 65_536) { return violation(1002, "a frame length not in its shortest form") }
        }
        let isControl = first & 0x08 != 0
        if !isControl && length > UInt64(options.messageBytesMax - message.count) {
            return violation(1009, "a message longer than the limit")
        }
        opcode = first & 0x0F
        isFinal = first & 0x80 != 0
        remaining = Int(length)
        maskKey = 0
        for index in 0..<maskBytes { maskKey |= UInt32(headerByte(2 + lengthBytes + index)) << UInt32(8 * index) }
        maskOffset = 0
        headerCount = 0
        header = (0, 0)
        return beginFrame(isControl: isControl)
    }

    private mutating func beginFrame(isControl: Bool) -> FrameEvent? {
        inFrame = true
        if isControl {
            control.reset()
            return nil
        }
        if opcode != 0 {
            messageOpcode = opcode
            fragmentCount = 0
            validator = UTF8Validator()
        }
        fragmentCount += 1
        return fragmentCount > options.fragmentCountMax ? violation(1008, "too many fragments in one message") : nil
    }

    /// What is wrong with the first two header bytes, if anything.
    private static func fault(_ first: UInt8, _ second: UInt8, _ role: Role, _ messageOpcode: UInt8) -> StaticString? {
        if first & 0x70 != 0 { return "a reserved bit is set" }
        let opcode = first & 0x0F
        let isMasked = second & 0x80 != 0
        if isMasked != (role == .server) { return role == .server ? "an unmasked client frame" : "a masked server frame" }
        switch opcode {
        case 0: return messageOpcode == 0 ? "a continuation without a message" : nil
        case 1, 2: return messageOpcode != 0 ? "a new message inside a fragmented one" : nil
        case 8, 9, 10:
            if first & 0x80 == 0 { return "a fragmented control frame" }
            return second & 0x7F > 125 ? "a control frame longer than 125 bytes" : nil
        default: return "a reserved opcode"
        }
    }

    /// Moves window bytes into `header` until it holds `count`; false when the window ends before.
    private mutating func collectHeader(upTo count: Int) -> Bool {
        while headerCount < count {
            guard window.count > 0 else { return false }
            let byte = UInt64(window.take(1)[0])
            if headerCount < 8 { header.0 |= byte << UInt64(8 * headerCount) } else { header.1 |= byte << UInt64(8 * (headerCount - 8)) }
            headerCount += 1
        }
        return true
    }

    private func headerByte(_ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: index < 8 ? header.0 >> UInt64(8 * index) : header.1 >> UInt64(8 * (index - 8)))
    }
}

// MARK: - Payload

extension FrameDecoder {
    /// The frame just begun as a message in place, if it is one: final, unfragmented, whole in the window.
    private mutating func takeWholeMessage() -> FrameEvent? {
        guard opcode == 1 || opcode == 2, isFinal, remaining <= window.count else { return nil }
        let payload = takeUnmasked(remaining)
        inFrame = false
        messageOpcode = 0
        if opcode == 1 && options.checksTextInPlace && !UTF8Validator.isValid(payload.span) {
            return textViolation("text that is not UTF-8")
        }
        return .message(isText: opcode == 1, payload)
    }

    /// Takes what the window has of the current frame; an event when that completes something.
    private mutating func takePayload() -> FrameEvent? {
        let piece = takeUnmasked(min(remaining, window.count))
        remaining -= piece.count
        if opcode & 0x08 != 0 {
            control.append(piece)
            guard remaining == 0 else { return .needMore }
            inFrame = false
            return controlEvent()
        }
        if messageOpcode == 1 && !validator.accept(piece.span) { return textViolation("text that is not UTF-8") }
        message.append(piece)
        guard remaining == 0 else { return .needMore }
        inFrame = false
        guard isFinal else { return nil }
        let isText = messageOpcode == 1
        messageOpcode = 0
        messageHandedOut = true
        if isText && !validator.isComplete { return textViolation("text that ends inside a character") }
        return .message(isText: isText, message.bytes)
    }

    private mutating func controlEvent() -> FrameEvent {
        switch opcode {
        case 9: return .ping(control.bytes)
        case 10: return .pong(control.bytes)
        default: return closeEvent()
        }
    }

    private mutating func closeEvent() -> FrameEvent {
        let bytes = control.bytes
        guard bytes.count > 0 else {
            isFinished = true
            return .close(code: 1005, reason: bytes)
        }
        guard bytes.count > 1 else { return violation(1002, "a close frame with half a code") }
        let code = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let reason = bytes.dropping(2)
        guard FrameDecoder.isCloseCode(code) else { return violation(1002, "a close code that must not be sent") }
        guard UTF8Validator.isValid(reason.span) else { return violation(1007, "a close reason that is not UTF-8") }
        isFinished = true
        return .close(code: code, reason: reason)
    }

    /// Codes a peer may send (RFC 6455, 7.4; IANA registry).
    static func isCloseCode(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    private mutating func takeUnmasked(_ count: Int) -> PaddedBytes {
        if maskKey != 0 {
            window.unmask(count, maskKey, offset: maskOffset)
            maskOffset = (maskOffset + count) & 3
        }
        return window.take(count)
    }
}
