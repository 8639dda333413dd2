// The sign that a thread is awake and has asked what it had to ask. One thread beats, any thread looks.

import Synchronization

package final class Pulse: Sendable {
    private let ttlNs: UInt64
    private let beatNs: Atomic<UInt64>

    /// - Parameter ttlMs: so old it is late.
    package init(ttlMs: Int) {
        ttlNs = .ns(ms: ttlMs)
        beatNs = Atomic(MonotonicClock.nowNs())
    }

    package func beat(_ nowNs: UInt64) { beatNs.store(nowNs, ordering: .releasing) }

    /// Reads the clock itself: whoever asks may have stood still since it last did.
    package var isLate: Bool {
        let beatNs = beatNs.load(ordering: .acquiring)
        let nowNs = MonotonicClock.nowNs()
        return nowNs > beatNs && nowNs - beatNs > ttlNs
    }
}
