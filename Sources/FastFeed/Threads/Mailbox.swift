// What one thread may say to another: a bounded queue of plain messages with one receiver, whose thread each of them wakes.
// Commands go to an agent in one, what the agent answers comes back in another. Any thread offers, the receiver takes. A lock
// is fine here, but looking whether there is anything costs one load. Bound: the capacity that its maker names (an agent's commands:
// `Limits.commandCountMax`). Full: the message is refused, and counted.

import Glibc
import Synchronization

package final class Mailbox<Message: Sendable>: Sendable {
    private struct State {
        var messages: [Message] = []
        var receiver: WakeUp?
    }

    private let capacity: Int
    private let state: Lock<State>
    private let count = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    /// - Parameter receiver: wakes the thread that takes; nil while there is none, or when it looks by itself.
    package init(capacity: Int, receiver: WakeUp? = nil) {
        self.capacity = capacity
        state = Lock(State(receiver: receiver))
    }

    /// From now on messages wake this thread. (What has come before, it must look for itself.)
    package func setReceiver(_ receiver: WakeUp) { state.withLock { $0.receiver = receiver } }

    /// Any thread. False when there is no room: the message was not taken.
    package func offer(_ message: Message) -> Bool {
        let (isTaken, receiver) = state.withLock { state -> (Bool, WakeUp?) in
            guard state.messages.count < capacity else { return (false, nil) }
            state.messages.append(message)
            count.store(state.messages.count, ordering: .releasing)
            return (true, state.receiver)
        }
        if isTaken { receiver?.signal() } else { refused.add(1, ordering: .relaxed) }
        return isTaken
    }

    /// The same until there is room, which a receiver makes within a turn. False: it had made none by then.
    package func offer(_ message: Message, untilNs: UInt64) -> Bool {
        while !offer(message) {
            guard MonotonicClock.nowNs() < untilNs else { return false }
            usleep(1_000)
        }
        return true
    }

    /// The receiver: true when there is something to take.
    @inline(__always)
    package var isWaiting: Bool { count.load(ordering: .acquiring) > 0 }

    /// The receiver: everything offered so far, in order.
    package func takeAll() -> [Message] {
        guard isWaiting else { return [] }
        return state.withLock { state in
            defer { state.messages = [] }
            count.store(0, ordering: .releasing)
            return state.messages
        }
    }

    package var refusedCount: Int { refused.load(ordering: .relaxed) }
}
