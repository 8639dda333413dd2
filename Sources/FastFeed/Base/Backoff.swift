// How long to wait before the next attempt: exponential, capped, with full jitter, for ever. Pure.

package struct Backoff: Sendable {
    /// The first pause and the longest, before jitter.
    private let pausesMs: ClosedRange<UInt64>
    private var random: SplitMix64
    private var failures: UInt64 = 0

    package init(_ pausesMs: ClosedRange<UInt64>, seed: UInt64) {
        self.pausesMs = pausesMs
        random = SplitMix64(seed: seed)
    }

    /// The pause before the next attempt: between half and all of `first · 2^failures`, at most `longest`; never
    /// shorter than what the server asked for (`Retry-After`).
    package mutating func nextDelayNs(atLeastSeconds: Int = 0) -> UInt64 {
        let ceilingMs = min(pausesMs.lowerBound << min(failures, 20), pausesMs.upperBound)
        failures += 1
        let jittered = ceilingMs / 2 + UInt64.random(in: 0...(ceilingMs - ceilingMs / 2), using: &random)
        return max(jittered, UInt64(clamping: min(atLeastSeconds, Limits.retryAfterSecondsMax)) * 1_000) * 1_000_000
    }

    package mutating func succeeded() { failures = 0 }
}
