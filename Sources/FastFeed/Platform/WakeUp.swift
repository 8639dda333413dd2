// Waking a parked thread, at most one system call per sleep and none while it is awake.
//
// The sleeper says `willPark`, looks at its queues once more, and only then waits; the waker publishes
// first and then looks at the flag. The two full fences make it impossible that both miss each other.

import CShims
import Glibc
import Synchronization

package final class WakeUp: Sendable {
    package let descriptorNumber: Int32
    private let parked = Atomic<Bool>(false)

    package init() throws(SystemError) {
        let created = ff_event_create()
        guard created >= 0 else { throw SystemError("eventfd", code: -created) }
        descriptorNumber = created
    }

    deinit { _ = Glibc.close(descriptorNumber) }

    /// Sleeper: call before the last look at the queues.
    @inline(__always)
    package func willPark() {
        parked.store(true, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// Sleeper: call after waking, whatever the reason.
    @inline(__always)
    package func didPark() { parked.store(false, ordering: .relaxed) }

    /// Sleeper: takes the signal off the descriptor after it was reported readable.
    package func drain() {
        var count: UInt64 = 0
        _ = unsafe Glibc.read(descriptorNumber, &count, 8)
    }

    /// Sleeper: waits until it is woken, one of the others is ready, or the time has come (in a minute it looks again). `hasNews` is the
    /// last look at the queues.
    func park(_ others: [pollfd], untilNs: UInt64, unless hasNews: () -> Bool) {
        willPark()
        defer { didPark() }
        if hasNews() { return }
        var entries = [pollfd(fd: descriptorNumber, events: Int16(POLLIN), revents: 0)] + others
        let nowNs = MonotonicClock.nowNs()
        let timeoutMs = untilNs > nowNs ? min(60_000, (untilNs - nowNs) / 1_000_000 + 1) : 0
        _ = unsafe poll(&entries, nfds_t(entries.count), Int32(timeoutMs))
        if entries[0].revents != 0 { drain() }
    }

    /// The same with nothing to wait for but a waker.
    package func park(untilNs: UInt64, unless hasNews: () -> Bool) { park([], untilNs: untilNs, unless: hasNews) }

    /// Waker: call after publishing.
    @inline(__always)
    package func signal() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if parked.load(ordering: .relaxed) { ring() }
    }

    @inline(never)
    private func ring() {
        guard parked.exchange(false, ordering: .relaxed) else { return }
        var one: UInt64 = 1
        _ = unsafe Glibc.write(descriptorNumber, &one, 8)
    }
}
