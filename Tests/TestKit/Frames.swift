// WebSocket frames written byte by byte, with every liberty a bad peer takes, and those of a client taken apart. Pure.

/// Server frames, right and wrong.
package enum Frames {
    /// Any first byte; the length in its shortest form unless told otherwise.
    package static func raw(_ first: UInt8, _ payload: [UInt8], lengthBytes: Int? = nil) -> [UInt8] {
        header(first, UInt64(payload.count), lengthBytes: lengthBytes) + payload
    }

    /// - Parameter lengthBytes: 0, 2 or 8 instead of the shortest form.
    package static func header(_ first: UInt8, _ length: UInt64, isMasked: Bool = false, lengthBytes: Int? = nil) -> [UInt8] {
        let maskBit: UInt8 = isMasked ? 0x80 : 0
        let width = lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8)
        if width == 0 { return [first, maskBit | UInt8(length)] }
        var made = [first, maskBit | (width == 2 ? 126 : 127)]
        for index in 0..<width { made.append(UInt8(truncatingIfNeeded: length >> UInt64(8 * (width - 1 - index)))) }
        return made
    }

    package static func text(_ text: String) -> [UInt8] { raw(0x81, Array(text.utf8)) }
    package static func close(_ payload: [UInt8]) -> [UInt8] { raw(0x88, payload) }
    package static func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        close([UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }
}

/// One frame in parts; the defaults make an honest server frame.
package struct RawFrame {
    package var opcode: UInt8 = 1
    package var isFinal = true
    package var reserved: UInt8 = 0
    package var payload: [UInt8] = []
    package var mask: UInt32?
    /// Announced instead of the payload's count.
    package var announced: UInt64?
    /// 0, 2 or 8 instead of the shortest form.
    package var lengthBytes: Int?

    package init(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, mask: UInt32? = nil) {
        (self.opcode, self.payload, self.isFinal, self.mask) = (opcode, payload, isFinal, mask)
    }

    package init(_ opcode: UInt8, _ text: String, isFinal: Bool = true, mask: UInt32? = nil) {
        self.init(opcode, Array(text.utf8), isFinal: isFinal, mask: mask)
    }

    package func changed(_ change: (inout RawFrame) -> Void) -> RawFrame {
        var copy = self
        change(&copy)
        return copy
    }

    package var bytes: [UInt8] {
        let first = (isFinal ? 0x80 : 0) | reserved << 4 | opcode
        let head = Frames.header(first, announced ?? UInt64(payload.count), isMasked: mask != nil, lengthBytes: lengthBytes)
        guard let mask else { return head + payload }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> UInt32(8 * $0)) }
        return head + key + payload.enumerated().map { $1 ^ key[$0 & 3] }
    }
}

/// A frame as a client sent it, unmasked.
package struct ClientFrame: Sendable {
    package let opcode: UInt8
    package let isFinal: Bool
    /// The four key bytes; nil when the frame was not masked.
    package let maskKey: [UInt8]?
    package let payload: [UInt8]

    /// The code of a close frame; 1005 when it has none.
    package var closeCode: UInt16? {
        guard opcode == 8 else { return nil }
        return payload.count < 2 ? 1005 : UInt16(payload[0]) << 8 | UInt16(payload[1])
    }

    /// The first whole frame, taken off; nil when there is none.
    package static func take(_ input: inout [UInt8]) -> ClientFrame? {
        guard input.count >= 2 else { return nil }
        let isMasked = input[1] & 0x80 != 0
        var length = Int(input[1] & 0x7F)
        var place = 2
        if length >= 126 {
            let wide = length == 126 ? 2 : 8
            guard input.count >= 2 + wide else { return nil }
            length = input[2..<2 + wide].reduce(0) { $0 << 8 | Int($1) }
            place += wide
        }
        let keyBytes = isMasked ? 4 : 0
        guard input.count >= place + keyBytes + length else { return nil }
        let key = Array(input[place..<place + keyBytes])
        place += keyBytes
        var payload = Array(input[place..<place + length])
        if isMasked { for index in payload.indices { payload[index] ^= key[index & 3] } }
        let frame = ClientFrame(opcode: input[0] & 0x0F, isFinal: input[0] & 0x80 != 0, maskKey: isMasked ? key : nil, payload: payload)
        input.removeFirst(place + length)
        return frame
    }
}
