// What one thread may ask of another: a bounded queue of plain commands into one agent. Control path: a lock
// is fine, but looking whether there is anything costs one relaxed load.

import Synchronization

package final class CommandQueue<Command: Sendable>: Sendable {
    private let waiting = Mutex<[Command]>([])
    private let count = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    package init() {}

    /// Any thread. False when the queue is full: the command was not taken.
    package func offer(_ command: Command, waking wakeUp: WakeUp?) -> Bool {
        let taken = waiting.withLock { commands in
            guard commands.count < Limits.commandCountMax else { return false }
            commands.append(command)
            count.store(commands.count, ordering: .releasing)
            return true
        }
        if taken { wakeUp?.signal() } else { refused.add(1, ordering: .relaxed) }
        return taken
    }

    /// The agent: true when there is something to take.
    @inline(__always)
    package var isWaiting: Bool { count.load(ordering: .acquiring) > 0 }

    /// The agent: everything offered so far, in order.
    package func takeAll() -> [Command] {
        waiting.withLock { commands in
            let taken = commands
            commands.removeAll(keepingCapacity: true)
            count.store(0, ordering: .releasing)
            return taken
        }
    }

    package var refusedCount: Int { refused.load(ordering: .relaxed) }
}
