// The bounds of a group of services. Constants.

extension Limits {
    /// A member whose beat has not moved for so long is taken for dead.
    package static let memberTTLMs: ClosedRange<Int> = 2_000...60_000
    /// Members that follow a symbol, the one that writes it among them.
    package static let copies: ClosedRange<Int> = 1...8
    /// Letters, digits, `_`, `.` and `-` of a member's name.
    package static let memberNameBytesMax = 64
    /// What a member says of itself. A longer text is somebody else's.
    package static let memberTextBytesMax = 2_048
    /// Members of one group. Further ones are not seen.
    package static let membersMax = 256
    /// Each member says so often that it lives, and what it has learned.
    package static let beatMs = 1_000
    /// Between two answers to beats; a longer silence was Redis's, or a sleep of our own, and nobody else's death.
    package static let beatSilenceMs = 1_500
    /// A newcomer looks for so long whether its name is taken, or other settings are in force.
    package static let newcomerWatchMs = 3_000
    /// Without any connection to the exchange for so long, a member is blind.
    package static let blindAfterMs = 10_000
    /// A stream that was asked for and of which nothing has come may be one that nobody trades.
    package static let firstFrameMs = 7_000
    /// Who ends waits so long for the others to follow what it follows; and so long for Redis to come back.
    package static let leavingMs = 20_000, leavingAwayMs = 3_000
    /// A command that somebody has begun is nobody else's for so long; its answer is kept for the second; and of a repeated request the
    /// same answer is published once in the third.
    package static let claimPendingMs = 10_000, claimKeptMs = 60_000, claimRepeatMs = 1_000
    /// Beside the TTL: so long a member that lives may be busy before it hears a request. Until then nobody takes it for a repetition.
    package static let claimHeardMs = 2_000
    /// Requests whose claim Redis has not answered. Beyond: the oldest is counted as not answered. And before they are claimed again.
    package static let claimsWaitingMax = 256
    package static let claimAgainMs = 100
    /// An answer that is not kept (it was long, or may be another one a moment later) is still nobody else's to give for so long.
    package static let claimUnkeptMs = 5_000
    /// A longer answer is not kept: it answers a question, which may be asked again.
    package static let claimAnswerBytesMax = 4_096
    /// A status of another service that moves again within this is that of one that lives; within twice as long it is forgotten.
    package static let rivalMs = 4_000
    /// The status of a flux that has not changed is written again after this.
    package static let sumRefreshMs: Int64 = 4_000
    /// A member looks so often whether Redis has its newest states.
    package static let upkeepMs = 2_000
    /// So long after a take-over what is stored of a series is on its way.
    package static let takenOverMs = 5_000
    /// Candles of series that were taken over that one batch has beside the flow, or one run of more of them: each is a call of the merge
    /// script (25 µs), and behind them the pause of all merges is kept.
    package static let takeOverCandlesPerBatchMax = 64
    /// Who cannot write because it may have been declared dead looks again after this.
    package static let pulsePauseMs = 5
    /// Fluxes that one script registers.
    package static let registeredPerScriptMax = 500
    /// Without a message about it the registry is read so often.
    package static let registryPeriodMs = 30_000
    /// A member's part of the status.
    package static let statusPartBytesMax = 8 * 1024 * 1024
    /// Keys of holes in one question.
    package static let gapKeysPerQuestionMax = 512
}
