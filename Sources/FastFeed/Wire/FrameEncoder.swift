// Frames out. A client masks every frame with a fresh unpredictable key (RFC 6455, 5.3); a server never does. Pure.

package enum FrameOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
}

package enum FrameEncoder {
    /// The longest header: 2 bytes, 8 of length, 4 of mask.
    package static let headerBytesMax = 14

    /// Writes a header at `out`, which holds `headerBytesMax`, and returns its length. The payload that follows
    /// must be masked with `mask` by the caller, if there is one.
    package static func writeHeader(
        _ opcode: FrameOpcode, isFinal: Bool = true, payloadCount: Int, mask: UInt32?, to out: UnsafeMutablePointer<UInt8>
    ) -> Int {
        unsafe out[0] = opcode.rawValue | (isFinal ? 0x80 : 0)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        var count = 2
        if payloadCount < 126 {
            unsafe out[1] = UInt8(payloadCount) | maskBit
        } else if payloadCount <= 0xFFFF {
            unsafe out[1] = 126 | maskBit
            unsafe out[2] = UInt8(payloadCount >> 8)
            unsafe out[3] = UInt8(payloadCount & 0xFF)
            count = 4
        } else {
            unsafe out[1] = 127 | maskBit
            for index in 0..<8 { unsafe out[2 + index] = UInt8(truncatingIfNeeded: payloadCount >> (56 - 8 * index)) }
            count = 10
        }
        guard let mask else { return count }
        for index in 0..<4 { unsafe out[count + index] = UInt8(truncatingIfNeeded: mask >> UInt32(8 * index)) }
        return count + 4
    }

    /// Appends one whole frame.
    package static func append(_ opcode: FrameOpcode, _ payload: UnsafeRawBufferPointer, mask: UInt32?, to bytes: inout [UInt8]) {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: headerBytesMax) { header in
            let count = unsafe writeHeader(opcode, payloadCount: payload.count, mask: mask, to: header.baseAddress!)
            unsafe bytes.append(contentsOf: header[..<count])
        }
        let start = bytes.count
        unsafe bytes.append(contentsOf: payload)
        guard let mask else { return }
        unsafe bytes.withUnsafeMutableBufferPointer { unsafe FrameMask.apply(mask, offset: 0, $0.baseAddress! + start, payload.count) }
    }

    /// One whole frame as bytes; for the control path.
    package static func frame(_ opcode: FrameOpcode, _ payload: UnsafeRawBufferPointer, mask: UInt32?) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe append(opcode, payload, mask: mask, to: &bytes)
        return bytes
    }

    /// A close frame's payload: code and at most 123 bytes of reason. 1005 stands for "no code".
    package static func closePayload(code: UInt16, reason: String = "") -> [UInt8] {
        code == 1005 ? [] : [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8.prefix(123))
    }

    /// A mask no observer can predict.
    package static func freshMask() -> UInt32 { UInt32(truncatingIfNeeded: SystemRandom.word()) }
}
