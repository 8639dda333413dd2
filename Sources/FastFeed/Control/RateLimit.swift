// So many a second on average, more at once. Pure.

package struct RateLimit {
    private let perSecond: Double
    private let burst: Double
    private var tokens: Double
    private var lastNs: UInt64 = 0

    package init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
        tokens = burst
    }

    package mutating func take(_ nowNs: UInt64) -> Bool {
        tokens = min(burst, tokens + Double(nowNs &- lastNs) / 1e9 * perSecond)
        lastNs = nowNs
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
