// Deterministic random numbers for jitter, simulation and tests. Not for secrets: masking keys and
// handshake keys come from the kernel (Platform/SystemRandom.swift).
// A plain value: each thread has its own.

/// Sebastiano Vigna's SplitMix64: 64 bits of state, every seed gives a full-period sequence.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return SplitMix64.mix(state)
    }

    /// The output function alone: a good 64-bit mixer, used where a random value must be a pure
    /// function of its coordinates.
    @inlinable
    @inline(__always)
    package static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }
}
