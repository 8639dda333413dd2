// The bounds of what works on streams in groups (`StreamConsumer`). Constants.

extension Limits {
    /// What a user may choose: messages in hand, and the time after which a message that nobody holds is taken over.
    package static let consumerPrefetch: ClosedRange<Int> = 1...10_000
    package static let consumerClaimAfterMs: ClosedRange<Int> = 100...86_400_000
    /// Handlers of one `run` at a time.
    package static let consumerParallel: ClosedRange<Int> = 1...10_000
    /// An acknowledgement waits so long for others to go with it, unless a read goes out, or there are so many.
    package static let ackPauseMs = 10
    package static let acksPerFlushMax = 100
    /// A read of many streams that waits costs Redis about 0.7 us a stream (`Benchmarks groups/`), for one message as for one of each. So
    /// the next one comes after this for each stream that brought nothing, if so many did: 10 ms at most, with `streamKeysMax`.
    package static let vainKeyPauseNs: UInt64 = 10_000
    package static let vainKeysMin = 50
    /// A consumer whose acknowledgements Redis does not answer reads no more beyond so many, besides its prefetch.
    package static let acksOwedMax = 4_096
    /// Messages of one script: it must not hold the server up.
    package static let holdsPerScriptMax = 200
    /// Entries of one look for messages of other consumers, of one page of one's own, and of what is looked for after a loss.
    package static let claimPageMax = 100
    /// Longest pause between two looks for messages that nobody holds.
    package static let claimPauseMs = 5_000
    /// Entries that are fetched in one write after a loss.
    package static let fetchesAtOnceMax = 16
    /// Names of dead consumers that one script deletes.
    package static let namesForgottenMax = 1_000
    /// What a stream of dead letters keeps, about.
    package static let deadLettersMax = 10_000
    /// What is kept of the reason why a message is there.
    package static let deadReasonBytesMax = 256
    /// How long what is under way at the end of a stop may still be answered, and a read that cannot be ended.
    package static let stopGraceMs = 1_000
    package static let stopReadMs = 7_000
    /// The longest pause between two attempts while a consumer stops: of the little time that is left a longer one would take too much.
    package static let stopPauseMs = 100
    /// The pause before a look for messages that nobody holds goes on where the one before has ended without coming to the end of what is
    /// pending: soon, so that what others have left is found, and not at once, so that thousands that are held do not keep Redis busy.
    package static let claimOnMs = 50
    /// Answers in a row to one command that Redis does not give. Beyond: the consumer ends with `.refused`. So many pauses outlive a proxy
    /// that is confused for a moment; one that is not Redis at all is told within half a minute.
    package static let strangeAnswersMax = 8
    /// The first pause before a handler that has failed gets the message again, and the longest.
    package static let retryPauseMs: ClosedRange<UInt64> = 1_000...30_000
    /// A consumer's name.
    package static let consumerNameBytesMax = 4_096
}
