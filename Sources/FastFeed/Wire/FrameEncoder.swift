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

    /// One whole frame as bytes; for the control path.
    package static func frame(_ opcode: FrameOpcode, _ payload: UnsafeRawBufferPointer, mask: UInt32?) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: headerBytesMax + payload.count) { buffer, count in
            let out = buffer.baseAddress!
            let header = unsafe writeHeader(opcode, payloadCount: payload.count, mask: mask, to: out)
            if let source = payload.baseAddress {
                unsafe UnsafeMutableRawPointer(out + header).copyMemory(from: source, byteCount: payload.count)
            }
            if let mask { unsafe FrameMask.apply(mask, offset: 0, out + header, payload.count) }
            count = header + payload.count
        }
    }

    /// A close frame's payload: code and at most 123 bytes of reason. 1005 stands for "no code".
    package static func closePayload(code: UInt16, reason: String = "") -> [UInt8] {
        code == 1005 ? [] : [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8.prefix(123))
    }

    /// A mask no observer can predict.
    package static func freshMask() -> UInt32 { UInt32(truncatingIfNeeded: SystemRandom.word()) }
}
