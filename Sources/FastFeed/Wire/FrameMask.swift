// The XOR mask of client frames (RFC 6455, 5.3). Pure.

package enum FrameMask {
    /// - Parameters:
    ///   - offset: position of the first byte in the payload, modulo 4.
    ///   - bytes: `count` of them are changed in place, and no other.
    package static func apply(_ key: UInt32, offset: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        let shift = UInt32(8 * (offset & 3))
        let rotated = shift == 0 ? key : key >> shift | key << (32 - shift)
        let wide = UInt64(rotated) | UInt64(rotated) << 32
        var index = 0
        let raw = UnsafeMutableRawPointer(bytes)
        while index + 8 <= count {
            unsafe raw.storeBytes(
                of: raw.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < count {
            unsafe bytes[index] ^= UInt8(truncatingIfNeeded: wide >> UInt64(8 * (index & 7)))
            index += 1
        }
    }
}
