// Milliseconds, as settings and limits say them, in the nanoseconds that clocks and deadlines count. Pure.

extension UInt64 {
    /// - Parameter ms: less than none is none.
    @inline(__always)
    package static func ns(ms: some BinaryInteger) -> UInt64 { UInt64(clamping: ms) * 1_000_000 }
}
