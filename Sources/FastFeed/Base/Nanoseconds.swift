// Milliseconds, as settings and limits say them, and durations, as public functions take them, in the nanoseconds that clocks and
// deadlines count. Pure.

extension UInt64 {
    /// - Parameter ms: below 0 it counts as 0.
    @inline(__always)
    package static func ns(ms: some BinaryInteger) -> UInt64 { UInt64(clamping: ms) * 1_000_000 }
}

extension Duration {
    /// A negative duration is 0; a longer one than a century is a century, so that a deadline made of it does not overflow.
    package var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, 3_155_760_000)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }

    /// Rounded up, so that a wait is never shorter than asked for.
    package var milliseconds: Int { Int((nanoseconds + 999_999) / 1_000_000) }
}
