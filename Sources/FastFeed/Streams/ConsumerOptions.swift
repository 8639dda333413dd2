// How a consumer works, as its user chooses it. Plain values, any thread.

/// How a `StreamConsumer` works. What is outside of the bounds is `.badArgument` when the consumer begins.
public struct ConsumerOptions: Sendable, Equatable {
    /// Messages in hand at most: those that wait for a task, those that tasks have, those that wait for another attempt. 1 to 10,000. A
    /// read asks for what there is room for; for the highest throughput let it be twice what one read should bring. With several streams
    /// each may bring one message more.
    public var prefetch = 100
    /// A message that nobody holds is taken over after this time: its consumer has crashed, or is cut off. 100 ms to 1 day. As long as a
    /// task holds a message it stays this consumer's, however long that takes.
    public var claimAfter = Duration.seconds(60)
    /// Deliveries of a message, by all consumers of its group together. One that was not acknowledged after so many goes to the dead
    /// letters. At least 1.
    public var maxDeliveries = 5
    /// Where a message goes that was delivered too often, or rejected.
    public var deadLetter = DeadLetter.standard
    /// Where a group begins that is made because there is none.
    public var start = StreamPosition.start
    /// Consumers of the group without anything pending are forgotten when they were not seen for so long.
    package var forgetAfter = Duration.seconds(3_600)

    /// What is left out is as the properties' defaults say.
    public init(
        prefetch: Int = 100, claimAfter: Duration = .seconds(60), maxDeliveries: Int = 5, deadLetter: DeadLetter = .standard,
        start: StreamPosition = .start
    ) {
        (self.prefetch, self.claimAfter, self.maxDeliveries) = (prefetch, claimAfter, maxDeliveries)
        (self.deadLetter, self.start) = (deadLetter, start)
    }

    /// What is wrong with them, as one sentence; nil when nothing is.
    var refusal: String? {
        if !Limits.consumerPrefetch.contains(prefetch) {
            return "prefetch is \(prefetch), not \(Limits.consumerPrefetch.lowerBound) to \(Limits.consumerPrefetch.upperBound)"
        }
        if !Limits.consumerClaimAfterMs.contains(claimAfter.milliseconds) {
            return "claimAfter is \(claimAfter.milliseconds) ms, not 100 ms to 1 day"
        }
        if maxDeliveries < 1 { return "maxDeliveries is \(maxDeliveries), not 1 or more" }
        if deadLetter == .to("") { return "the dead letters' key is empty" }
        return nil
    }
}

/// Where messages go that were delivered too often, or rejected.
public enum DeadLetter: Sendable, Hashable {
    /// To `dead:<key>:<group>`. A key without a hash tag stands in braces, so that both are in the same slot: `dead:{orders}:payment`.
    case standard
    /// To the stream with this key. In a cluster it must be in the same slot.
    case to(String)
    /// Nowhere: they stay pending, and are not delivered again.
    case stayPending

    /// The stream that gets them; nil when they stay.
    package func key(of stream: String, group: String) -> String? {
        switch self {
        case .standard: "dead:\(DeadLetter.hasHashTag(stream) ? stream : "{\(stream)}"):\(group)"
        case .to(let key): key
        case .stayPending: nil
        }
    }

    /// As Redis cluster defines it: the first `{` has a `}` somewhere behind it, and something stands between.
    private static func hasHashTag(_ key: String) -> Bool {
        let bytes = key.utf8
        guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return false }
        let inner = bytes[bytes.index(after: open)...]
        guard let close = inner.firstIndex(of: UInt8(ascii: "}")) else { return false }
        return close > inner.startIndex
    }
}
