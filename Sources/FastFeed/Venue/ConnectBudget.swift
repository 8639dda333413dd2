// The exchange counts connection attempts by address: 300 in five minutes. All readers draw on one budget:
// any thread, under a lock, once for each attempt to connect.

package final class ConnectBudget: Sendable {
    private static let windowNs: UInt64 = 300 * 1_000_000_000
    private let limit: Int
    private let attemptsNs = Lock<[UInt64]>([])

    package init(limit: Int = Limits.connectAttemptsPer5MinMax) { self.limit = limit }

    /// Nil when an attempt may be made now (and is counted); otherwise the instant from which to ask again.
    package func take(nowNs: UInt64) -> UInt64? {
        attemptsNs.withLock { times in
            times.removeAll { $0 + ConnectBudget.windowNs <= nowNs }
            if times.count >= limit { return times[0] + ConnectBudget.windowNs }
            times.append(nowNs)
            return nil
        }
    }
}
