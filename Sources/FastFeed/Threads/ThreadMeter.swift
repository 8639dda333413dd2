// How busy a thread is, and whether it answers. Written by the thread once a turn, read by any.

import Synchronization

package final class ThreadMeter: Sendable {
    package let name: String
    /// Wakes the thread: one that has nothing to do makes a turn all the same.
    package let wakeUp: WakeUp
    private let busy = Atomic<UInt64>(0)

    init(name: String, wakeUp: WakeUp) { (self.name, self.wakeUp) = (name, wakeUp) }

    /// Time spent in turns, waiting left out. Every turn adds to it: when it stands still, the thread does.
    package var busyNs: UInt64 { busy.load(ordering: .relaxed) }

    /// Owner thread only: a turn has taken so long.
    func add(_ turnNs: UInt64) { busy.store(busyNs &+ max(turnNs, 1), ordering: .relaxed) }
}
