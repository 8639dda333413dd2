// What a consumer has done since it was made. A plain value, any thread.

/// What a `StreamConsumer` has done since it was made. All of them only grow.
public struct ConsumerCounters: Sendable, Equatable {
    /// Messages that came into this consumer's hands: new ones, its own from before, and those that it took over.
    public internal(set) var received: UInt64 = 0
    /// Messages of which Redis has confirmed that they are acknowledged.
    public internal(set) var acked: UInt64 = 0
    /// Messages that were delivered again by this consumer, after `retry`, a failure, or because nobody had answered them.
    public internal(set) var retried: UInt64 = 0
    /// Messages that went to the dead letters, or stay pending instead of that.
    public internal(set) var buried: UInt64 = 0
    /// Messages that were taken over from other consumers, or found again after nobody held them.
    public internal(set) var claimed: UInt64 = 0
    /// Pending entries that were deleted or trimmed before anybody had acknowledged them: acknowledged, and handed to nobody.
    public internal(set) var vanished: UInt64 = 0
    /// Messages that were not this consumer's any more when it acknowledged, delivered or buried them: somebody had taken them over, or the
    /// group was gone.
    public internal(set) var ackMisses: UInt64 = 0
    /// Groups that were there, were gone, and were made anew by this consumer.
    public internal(set) var groupsMade: UInt64 = 0
    /// Connections that were lost.
    public internal(set) var interruptions: UInt64 = 0
}
