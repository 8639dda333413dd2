// The exchange's clock, as far as it is known. Control learns it from the newest event; any thread reads it.

import Synchronization

package final class ExchangeClock: Sendable {
    private let behindMs = Atomic<Int64>(0)

    package init() {}

    /// Unix ms; by this machine's clock until an event has come.
    package var nowMs: Int64 { WallClock.nowMs() - behindMs.load(ordering: .relaxed) }

    /// - Parameter behindMs: how far it is behind ours.
    package func learn(behindMs: Int64) { self.behindMs.store(behindMs, ordering: .relaxed) }
}
