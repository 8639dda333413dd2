// Frames out. A client masks every frame with a fresh unpredictable key (RFC 6455, 5.3); a server never does. Pure.

package enum FrameOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
}

/// A frame's header as bytes.
package struct FrameHeader {
    private var bytes = InlineArray<14, UInt8>(repeating: 0)
    package private(set) var count = 2

    /// The payload that follows must be masked with `mask` by the caller, if there is one.
    package init(_ opcode: FrameOpcode, isFinal: Bool = true, payloadCount: Int, mask: UInt32?) {
        bytes[0] = opcode.rawValue | (isFinal ? 0x80 : 0)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        if payloadCount < 126 {
            bytes[1] = UInt8(payloadCount) | maskBit
        } else if payloadCount <= 0xFFFF {
            bytes[1] = 126 | maskBit
            bytes[2] = UInt8(payloadCount >> 8)
            bytes[3] = UInt8(payloadCount & 0xFF)
            count = 4
        } else {
            bytes[1] = 127 | maskBit
            for index in 0..<8 { bytes[2 + index] = UInt8(truncatingIfNeeded: payloadCount >> (56 - 8 * index)) }
            count = 10
        }
        guard let mask else { return }
        for index in 0..<4 { bytes[count + index] = UInt8(truncatingIfNeeded: mask >> UInt32(8 * index)) }
        count += 4
    }

    package subscript(index: Int) -> UInt8 { bytes[index] }
}

package enum FrameEncoder {
    /// The longest header: 2 bytes, 8 of length, 4 of mask.
    package static let headerBytesMax = 14

    /// Appends one whole frame.
    package static func append(_ opcode: FrameOpcode, _ payload: Span<UInt8>, mask: UInt32?, to bytes: inout [UInt8]) {
        let header = FrameHeader(opcode, payloadCount: payload.count, mask: mask)
        for index in 0..<header.count { bytes.append(header[index]) }
        let start = bytes.count
        unsafe payload.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
        guard let mask else { return }
        unsafe bytes.withUnsafeMutableBufferPointer { unsafe FrameMask.apply(mask, offset: 0, $0.baseAddress! + start, payload.count) }
    }

    /// One whole frame as bytes; for the control path.
    package static func frame(_ opcode: FrameOpcode, _ payload: Span<UInt8>, mask: UInt32?) -> [UInt8] {
        var bytes: [UInt8] = []
        append(opcode, payload, mask: mask, to: &bytes)
        return bytes
    }

    /// A close frame's payload: code and at most 123 bytes of reason. 1005 stands for "no code".
    package static func closePayload(code: UInt16, reason: String = "") -> [UInt8] {
        code == 1005 ? [] : [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8.prefix(123))
    }

    /// A mask no observer can predict.
    package static func freshMask() -> UInt32 { UInt32(truncatingIfNeeded: SystemRandom.word()) }
}
