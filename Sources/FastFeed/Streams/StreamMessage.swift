// A message as a task has it. Any thread.

import Synchronization

/// An entry that this consumer is to work on. Answer it once, with `ack`, `retry` or `reject`; what comes after the first answer changes
/// nothing. A message that is dropped without an answer comes again after a second. As long as somebody holds it, no other consumer gets
/// it.
public final class StreamMessage: Sendable {
    enum Answer: UInt8, AtomicRepresentable {
        case none, ack, retry, reject, returned
    }

    /// The entry as the stream has it.
    public let entry: StreamEntry
    /// 1 for the first delivery. More: it was delivered before, to this consumer or to others, and may have been worked on.
    public let deliveries: Int
    private let slot: Int
    private let desk: ConsumerDesk
    private let given = Atomic<Answer>(.none)

    static let pauseAfterDrop = Duration.seconds(1)

    @inline(__always)
    package init(_ delivery: ConsumerDelivery, _ desk: ConsumerDesk) {
        (entry, deliveries, slot, self.desk) = (delivery.entry, delivery.deliveries, delivery.slot, desk)
    }

    deinit {
        if given.load(ordering: .relaxed) == .none {
            desk.settle(slot, .retry(afterNs: StreamMessage.pauseAfterDrop.nanoseconds, reason: "dropped without an answer", entry))
        }
    }

    var answer: Answer { given.load(ordering: .relaxed) }

    /// True for the first one.
    @inline(__always)
    private func give(_ answer: Answer) -> Bool {
        given.compareExchange(expected: .none, desired: answer, ordering: .relaxed).exchanged
    }

    /// It is done. Redis is told with the next read, after 10 ms, or together with a hundred others, whatever happens to the connection.
    @inline(__always)
    public func ack() {
        if give(.ack) { desk.acknowledge(slot) }
    }

    /// It is to be delivered again, to this consumer, after this time. When it was delivered `maxDeliveries` times, it goes to the dead
    /// letters.
    public func retry(after delay: Duration = .seconds(1)) { fail("given back by its handler", retryAfter: delay) }

    /// It is never to be delivered again: it goes to the dead letters.
    /// - Parameter reason: stands there as `dead_reason`; the first 256 bytes of it.
    public func reject(_ reason: String) {
        if give(.reject) { desk.settle(slot, .reject(reason: StreamMessage.shown(reason))) }
    }

    func fail(_ reason: String, retryAfter delay: Duration) {
        if give(.retry) { desk.settle(slot, .retry(afterNs: delay.nanoseconds, reason: StreamMessage.shown(reason), entry)) }
    }

    /// Nobody has begun with it.
    func giveBack() {
        if give(.returned) { desk.settle(slot, .returned) }
    }

    private static func shown(_ reason: String) -> String { Ascii.printable(reason.utf8, limit: Limits.deadReasonBytesMax) }
}
