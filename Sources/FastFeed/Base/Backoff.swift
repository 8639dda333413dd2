// How long to wait before the next attempt: exponential, capped, with full jitter, for ever. Pure.

package struct Backoff: Sendable {
    package struct Policy: Sendable {
        package var firstMs: UInt64
        package var longestMs: UInt64

        package init(firstMs: UInt64, longestMs: UInt64) {
            self.firstMs = firstMs
            self.longestMs = longestMs
        }

        /// The exchange: 300 attempts per 5 minutes and address are allowed; one connection at its ceiling makes
        /// 10 to 20 of them.
        package static let venue = Policy(firstMs: 250, longestMs: 30_000)
        /// Redis is ours and near: come back fast.
        package static let redis = Policy(firstMs: 50, longestMs: 1_000)
    }

    private let policy: Policy
    private var random: SplitMix64
    private var failures: UInt64 = 0

    package init(_ policy: Policy, seed: UInt64) {
        self.policy = policy
        random = SplitMix64(seed: seed)
    }

    /// The pause before the next attempt: between half and all of `first · 2^failures`, at most `longest`; never
    /// shorter than what the server asked for (`Retry-After`).
    package mutating func nextDelayNs(atLeastSeconds: Int = 0) -> UInt64 {
        let exponential = policy.firstMs << min(failures, 20)
        let ceilingMs = min(exponential, policy.longestMs)
        failures += 1
        let jittered = ceilingMs / 2 + UInt64.random(in: 0...(ceilingMs - ceilingMs / 2), using: &random)
        return max(jittered, UInt64(clamping: min(atLeastSeconds, Limits.retryAfterSecondsMax)) * 1_000) * 1_000_000
    }

    package mutating func succeeded() { failures = 0 }
}
