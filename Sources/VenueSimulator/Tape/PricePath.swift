// A symbol's price over time as a pure function: value noise of several octaves, in integers.
//
// Any instant can be asked for without replay, and two questions about one instant have one answer,
// which is what lets REST and the live streams agree about every bar.

import FastFeed

enum PricePath {
    /// Price in the symbol's price units, not yet rounded to its tick.
    ///
    /// The amplitudes (parts per billion of the base price) sum to 3.2 %, so a price stays positive and its
    /// integer part keeps its width. Periods are literals so that the divisions become multiplications.
    static func price(of spec: TapeParameters, atMs instantMs: Int64) -> Int64 {
        var deviation = noise(21_600_000, 20_000_000, key: spec.key, salt: 1, atMs: instantMs)
        deviation += noise(3_600_000, 8_000_000, key: spec.key, salt: 2, atMs: instantMs)
        deviation += noise(600_000, 3_000_000, key: spec.key, salt: 3, atMs: instantMs)
        deviation += noise(90_000, 800_000, key: spec.key, salt: 4, atMs: instantMs)
        deviation += noise(15_000, 250_000, key: spec.key, salt: 5, atMs: instantMs)
        return spec.basePrice + spec.basePrice * deviation / 1_000_000_000
    }

    /// One octave: lattice points every `periodMs`, each up to ± `amplitude`, joined by a smoothstep.
    @inline(__always)
    private static func noise(_ periodMs: Int64, _ amplitude: Int64, key: UInt64, salt: UInt64, atMs instantMs: Int64) -> Int64 {
        let lattice = instantMs / periodMs
        let fraction = ((instantMs - lattice * periodMs) << 16) / periodMs
        let eased = (((fraction * fraction) >> 16) * (196_608 - 2 * fraction)) >> 16
        let left = latticeValue(lattice, key: key, salt: salt)
        let right = latticeValue(lattice + 1, key: key, salt: salt)
        let value = (left * (65_536 - eased) + right * eased) >> 16
        return (value * amplitude) >> 15
    }

    /// A hash of the lattice point, −32768 … 32767.
    @inline(__always)
    private static func latticeValue(_ lattice: Int64, key: UInt64, salt: UInt64) -> Int64 {
        let hash = SplitMix64.mix(key &+ salt &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: lattice) &* 0xD6E8_FEB8_6659_FD93)
        return Int64(Int16(truncatingIfNeeded: hash >> 40))
    }
}
