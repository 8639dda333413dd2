// How many messages a client sent within the last second. A plain value with a bound.

/// Times of the newest messages, as many as are allowed in a second.
package struct MessageRate {
    private var times: [Int64] = []
    private let perSecondMax: Int

    package init(perSecondMax: Int) { self.perSecondMax = perSecondMax }

    /// Counts a message (text, ping or pong); false when it is one too many within a second.
    package mutating func admit(nowMs: Int64) -> Bool {
        times.removeAll { $0 <= nowMs - 1_000 }
        guard times.count < perSecondMax else { return false }
        times.append(nowMs)
        return true
    }
}
