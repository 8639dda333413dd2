// What a thread does between its turns. A plain value, any thread.

/// What a thread does when there is nothing to do.
public enum IdleStrategy: Sendable, Equatable {
    /// Wait in the poller: no CPU, 15–25 µs to wake on a virtual machine.
    case park
    /// Never wait: the lowest latency, a whole core.
    case spin
    /// Sleep this long after each busy turn, then wait: fewer, larger turns. Throughput over latency.
    case pause(nanoseconds: UInt64)
}
