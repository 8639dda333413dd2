// A symbol's price over time as a pure function: value noise of several octaves, in integers.
//
// Any instant can be asked for without replay, and two questions about one instant have one answer,
// which is what lets REST and the live streams agree about every bar.

import FastFeed

enum PricePath {
    /// One layer of noise: lattice points every `periodMs`, each up to ± `amplitudePpb` (parts per billion
    /// of the base price).
    private struct Octave {
        let periodMs: Int64
        let amplitudePpb: Int64
    }

    // The amplitudes sum to 3.2 %, so a price stays positive and its integer part keeps its width.
    private static let slow = Octave(periodMs: 21_600_000, amplitudePpb: 20_000_000)
    private static let hourly = Octave(periodMs: 3_600_000, amplitudePpb: 8_000_000)
    private static let tenMinutes = Octave(periodMs: 600_000, amplitudePpb: 3_000_000)
    private static let minute = Octave(periodMs: 90_000, amplitudePpb: 800_000)
    private static let seconds = Octave(periodMs: 15_000, amplitudePpb: 250_000)

    /// Price in the symbol's price units, not yet rounded to its tick.
    static func price(of spec: TapeParameters, atMs instantMs: Int64) -> Int64 {
        var deviation = value(slow, key: spec.key, salt: 1, atMs: instantMs)
        deviation += value(hourly, key: spec.key, salt: 2, atMs: instantMs)
        deviation += value(tenMinutes, key: spec.key, salt: 3, atMs: instantMs)
        deviation += value(minute, key: spec.key, salt: 4, atMs: instantMs)
        deviation += value(seconds, key: spec.key, salt: 5, atMs: instantMs)
        return spec.basePrice + spec.basePrice * deviation / 1_000_000_000
    }

    /// Noise between two lattice points along a smoothstep, in parts per billion.
    @inline(__always)
    private static func value(_ octave: Octave, key: UInt64, salt: UInt64, atMs instantMs: Int64) -> Int64 {
        let lattice = instantMs / octave.periodMs
        let fraction = ((instantMs - lattice * octave.periodMs) << 16) / octave.periodMs
        let eased = (((fraction * fraction) >> 16) * (196_608 - 2 * fraction)) >> 16
        let left = latticeValue(lattice, key: key, salt: salt)
        let right = latticeValue(lattice + 1, key: key, salt: salt)
        let noise = (left * (65_536 - eased) + right * eased) >> 16
        return (noise * octave.amplitudePpb) >> 15
    }

    /// −32768 … 32767.
    @inline(__always)
    private static func latticeValue(_ lattice: Int64, key: UInt64, salt: UInt64) -> Int64 {
        let hash = SplitMix64.mix(key &+ salt &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: lattice) &* 0xD6E8_FEB8_6659_FD93)
        return Int64(Int16(truncatingIfNeeded: hash >> 40))
    }
}
