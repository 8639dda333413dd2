// Which of the 16,384 parts of a Redis Cluster a key or a channel belongs to. A plain value, any thread; worked out once for each key.

/// A slot of a Redis Cluster, as the cluster specification has it: CRC16 of the key's tag, modulo 16,384.
package struct HashSlot: Hashable, Sendable, Comparable, CustomStringConvertible {
    package static let count = 16_384
    package let number: UInt16

    /// - Parameter number: nil for what is not a slot.
    package init?(_ number: Int64) {
        guard (0..<Int64(HashSlot.count)).contains(number) else { return nil }
        self.number = UInt16(number)
    }

    /// What stands between the first `{` and the next `}` counts alone, unless nothing stands there.
    package init(key: String) {
        let bytes = Array(key.utf8)
        var tag = bytes[...]
        if let open = bytes.firstIndex(of: UInt8(ascii: "{")), let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")),
            close > open + 1
        {
            tag = bytes[(open + 1)..<close]
        }
        number = HashSlot.checksum(tag) % UInt16(HashSlot.count)
    }

    package var place: Int { Int(number) }
    package var description: String { String(number) }
    package static func < (one: HashSlot, other: HashSlot) -> Bool { one.number < other.number }

    /// CRC-16/XMODEM: polynomial 0x1021, from 0, nothing reflected.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.reduce(0) { sum, byte in
            (0..<8).reduce(sum ^ UInt16(byte) << 8) { sum, _ in sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
        }
    }
}
