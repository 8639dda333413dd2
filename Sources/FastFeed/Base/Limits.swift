// Every bound of the engine in one place, with its unit in its name. What happens at each bound is stated
// beside it; `verify()` asserts the relations between them at start. Constants.

/// Bounds that are not configuration. A number that a user may change lives in `EngineConfiguration`.
package enum Limits {
    // MARK: Wire

    /// Bytes a reader takes from one connection per turn, and the size of its one receive buffer.
    package static let receiveBytesMax = 256 * 1024
    /// Readable bytes behind every receive and message buffer: simdjson looks 64 bytes ahead, the layout parser some
    /// fields before it asks where the end is.
    package static let paddingBytes = 256
    /// The whole HTTP answer to an upgrade. Beyond: the connection is refused.
    package static let handshakeBytesMax = 16 * 1024
    /// One line of it.
    package static let handshakeLineBytesMax = 8 * 1024
    package static let handshakeHeaderCountMax = 128
    /// What is kept of a refusal's body, its chunks' sizes included, and what of it is shown.
    package static let refusalBodyBytesMax = 1_024
    package static let refusalShownBytesMax = 200
    /// What is kept of the reason why something does not work, for the status.
    package static let troubleBytesMax = 256
    /// How long a refusal's body may take to come; then the refusal is told without it.
    package static let refusalBodyTimeoutMs = 1_000
    /// A longer `Retry-After` is not believed: the usual backoff is used instead. The exchange bans for 3 days at most.
    package static let retryAfterSecondsMax = 3 * 86_400
    /// From the start of TCP connect to the end of TLS and upgrade.
    package static let handshakeTimeoutMs = 10_000
    /// A proxy's URL, and a user or a password in it (a byte has its length in SOCKS). Beyond: refused at the start.
    package static let proxyURLBytesMax = 2_048
    package static let proxyCredentialBytesMax = 255
    /// What is said to a proxy at once: CONNECT names a host twice, and the credentials in base 64.
    package static let proxyRequestBytesMax = 2_048
    /// How long a proxy may take from the connection to its word that the exchange is reached; at most half of the time above.
    package static let proxyTimeoutMs = 5_000
    /// What a sentence shows of a proxy's words.
    package static let proxyPhraseShownBytesMax = 60
    /// A venue message, whole or assembled. Klines have about 370 bytes. Beyond: close 1009.
    package static let venueMessageBytesMax = 64 * 1024
    /// Fragments of one message. Beyond: close 1008.
    package static let fragmentCountMax = 1024
    /// Bytes waiting to be sent on one exchange connection (pongs, subscriptions). Beyond: reconnect.
    package static let outboundBytesMax = 256 * 1024
    /// Pings of one read that are answered one by one. Beyond: only the last of them is, as RFC 6455 (5.5.3) allows, so
    /// that a flood costs a read and not a system call for each of them.
    package static let pongsPerReadMax = 16
    /// How long an address of a name may say nothing to a connection before the next one is tried.
    package static let addressPatienceMs = 1_000
    /// After our close frame, how long the peer may take to answer it.
    package static let closeTimeoutMs = 2_000
    /// A peer that says nothing for this long is asked by the kernel, so often, and is gone when it does not answer so many times.
    package static let keepAliveIdleSeconds: Int32 = 30
    package static let keepAliveProbeSeconds: Int32 = 10
    package static let keepAliveProbeCount: Int32 = 3
    /// Reads from a connection that takes no bytes any more, before it is given up.
    package static let readsAfterWriteFailureMax = 16
    /// The smallest text that can be a kline event; what bounds records per received byte.
    package static let klineBytesMin = 128

    /// No byte from the exchange for this long: we ping, and count on the pong.
    package static let venueSilencePingMs = 15_000
    /// No byte for this long: the connection is taken for dead.
    package static let venueSilenceDropMs = 45_000
    /// The exchange cuts at 24 h; we replace the connection before.
    package static let venueConnectionAgeMs = 23 * 3_600_000
    /// A connection that held this long has proven itself: after its loss the backoff
    /// begins anew.
    package static let connectionProvenMs = 60_000
    /// The first pause before another attempt to connect, and the longest. The exchange allows 300 attempts per 5 minutes and address; one
    /// connection at its ceiling makes 10 to 20 of them.
    package static let venueBackoffMs: ClosedRange<UInt64> = 250...30_000
    /// A SUBSCRIBE message without an answer for this long is sent again.
    package static let subscribeTimeoutMs = 10_000
    /// Connection attempts to the exchange in any five minutes, all readers together; it allows 300.
    package static let connectAttemptsPer5MinMax = 280
    /// Attempts at a time.
    package static let connectsUnderWayMax = 12
    /// After so many failed attempts in a row nobody seems to answer: one at a time tries for all, with these pauses.
    package static let connectFailuresMax = 3
    /// Of the attempts in five minutes, so many follow one another freely; then, while no connection is open, they become rare.
    package static let connectAttemptsFreelyMax = 60
    package static let venueProbePauseMs: ClosedRange<UInt64> = 250...3_000
    /// Connections one reader may own, those being replaced included.
    package static let connectionsPerReaderMax = 256

    // MARK: Threads

    /// Records between one reader and the sink. Full: the reader stops reading (TCP back-pressure).
    package static let ringRecordCount = 2_048
    /// Commands waiting for one agent. Full: the offer is refused and counted.
    package static let commandCountMax = 4_096
    /// Refused streams of one reader that the control thread has not taken. Full: the rest is only in the log, and counted.
    package static let refusedStreamCountMax = 65_536
    /// Log lines waiting for the main thread. Full: the oldest fall out, counted.
    package static let journalLineCountMax = 1_024

    // MARK: Candles and store

    package static let seriesCountMax = 65_536
    /// Instants that are believed, Unix ms, to the end of the year 9999: of what lies outside the calendar makes no sense, and its
    /// arithmetic might overflow. Candles with others are refused or left out.
    package static let instantsMs: ClosedRange<Int64> = 0...253_402_300_799_999
    /// Closed candles waiting for Redis. Full: the oldest become gaps for the healer, counted.
    package static let closedQueueCountMax = 131_072
    /// Batches written and not yet acknowledged.
    package static let batchesInFlightMax = 4
    /// The same where every update is written: a batch ends where a series comes again, so they are many and small.
    package static let uncoalescedBatchesInFlightMax = 64
    /// From this many candles in flight on, the next batch waits for Redis's answers, and forming states coalesce meanwhile. As many
    /// waiting closed candles end the waiting.
    package static let candlesInFlightSoftMax = 128
    /// States in one write where every update is written: the bytes of the batches stay in the second-level cache until the kernel
    /// has copied them.
    package static let uncoalescedStatesPerWriteMax = 192
    /// A closed candle up to this many bars before the first record of its series is late. An older one is a duplicate.
    package static let lateClosedBarsMax = 16
    /// Closed candles whose keys Redis refuses, waiting apart from the others (1.3 MB). Full: refused for good, each a gap.
    package static let refusedCandlesMax = 4_096
    /// The first pause before a refused key is tried again, and the longest.
    package static let refusedKeyPauseMs: ClosedRange<UInt64> = 500...15_000
    /// A Redis that refuses because of what it is (a replica, one that loads) gets this long; then its name is asked for again.
    package static let redisElsewhereMs = 2_000
    /// The longest pause until then.
    package static let redisElsewherePauseMs = 250
    /// Stopped series whose field in `latest:*` is removed by one batch; the others wait for the next.
    package static let removalsPerBatchMax = 64
    /// Gaps remembered one by one; beyond, they are only counted.
    package static let gapCountMax = 16_384
    /// The most RESP bytes one candle can need in a batch: XADD, HSET field and its share of PUBLISH.
    package static let candleRespBytesMax = 3_584
    /// A Redis reply that is longer than this is a protocol error.
    package static let replyBytesMax = 1024 * 1024
    /// What may wait to be sent to Redis by those who do not block.
    package static let redisOutboxBytesMax = 4 * 1024 * 1024
    /// The longest string that the blocking client keeps, and what it may send in one go.
    package static let clientBytesMax = 64 * 1024 * 1024
    /// Redis has this long to answer a batch; then the connection is taken for dead.
    package static let redisReplyTimeoutMs = 15_000
    package static let redisConnectTimeoutMs = 5_000
    /// The first pause and the longest, as above: Redis is ours and near, so we come back fast.
    package static let redisBackoffMs: ClosedRange<UInt64> = 50...1_000

    // MARK: Control

    /// Requests carried out per second on average, and at once. Beyond: answered with `busy`.
    package static let commandsPerSecondMax = 1_000.0
    package static let commandBurstMax = 20_000.0
    /// Silence of the connection that listens for commands before it is asked whether it is there, and again before it is given up; and
    /// of a Redis that owes control replies before it is given up.
    package static let controlSilenceNs: UInt64 = 5_000_000_000
    /// Requests taken before their answers are sent.
    package static let commandsPerTurnMax = 64
    package static let fluxCountMax = 10_000
    /// What has not come so long after the start of a flux or of the service is missing; before, it is still starting.
    package static let startingMs: Int64 = 60_000
    /// Clocks that differ by more are worth a warning.
    package static let clockDifferenceMs: Int64 = 2_000
    /// Different questions for candles that the exchange has not answered yet. Beyond: `busy`.
    package static let dataQuestionsMax = 1_000
    /// The list of symbols is not asked for again sooner, whatever names commands bring.
    package static let symbolListPauseNs: UInt64 = 10_000_000_000
    /// So long a command waits for the list, and then is judged by what is known. Clients wait for 5 s unless told otherwise.
    package static let symbolListWaitNs: UInt64 = 4_000_000_000
    /// Commands that wait for the list. Beyond: judged at once by what is known.
    package static let symbolWaitersMax = 1_000
    /// Symbols remembered as delisted. Beyond: as if they had never been listed.
    package static let delistedCountMax = 65_536
    /// Refused symbols of one flux that the log names; the others are counted.
    package static let symbolsNamedMax = 8
    /// Names that look like an unknown one are looked for among all, which takes its time: so many times for one list of the exchange.
    /// The other unknown ones are named without.
    package static let symbolHintsMax = 8
    /// Fluxes that one list of the exchange lets the log name one by one. The lines of the others count as repetitions of one line.
    package static let fluxesNamedMax = 64
    /// What the exchange's clock has closed so long ago is in Redis; before, it may be on its way.
    package static let closedOnItsWayMs: Int64 = 5_000
    /// What it has closed so long ago, its REST interface shows.
    package static let restSettledMs: Int64 = 60_000
    /// Series of which is known which bars the exchange lacks, and ranges of such bars in each. Beyond: forgotten, and asked for again.
    package static let absentSeriesMax = 4_096
    package static let absentRangesMax = 32
    /// The time in which the exchange counts them.
    package static let connectWindowMs = 300_000
    /// So long the first attempt waits for the ledger of earlier ones, which is in Redis.
    package static let connectLedgerWaitMs = 1_000
    /// Each question of the control thread to Redis. Beyond: the request is refused, the next ones wait.
    package static let controlRedisTimeoutMs = 1_000
    /// How long the lease of commands may last. It is asked for at each third of that, and given up an eighth before its end.
    package static let leaseMs: ClosedRange<Int> = 1_000...60_000
    /// Where that has no reply that says whose it is, it is asked for again so soon: a server that is none any more shows by its refusals.
    package static let leaseRetryMs = 1_000
    /// Entries of the registry that are looked at each time it is asked whether Redis still has it; the others have their turn later.
    package static let registryChecksMax = 32

    /// Asserts what the parts rely on.
    package static func verify() {
        precondition(ringRecordCount.nonzeroBitCount == 1, "the ring masks its cursors")
        precondition(closedQueueCountMax.nonzeroBitCount == 1, "the closed queue masks its cursors")
        precondition(venueMessageBytesMax <= receiveBytesMax, "a message fits the receive buffer")
        precondition(
            ringRecordCount * klineBytesMin >= receiveBytesMax,
            "an empty ring takes all the klines of one full read")
        precondition(handshakeLineBytesMax <= handshakeBytesMax)
        precondition(proxyRequestBytesMax >= 2 * 262 + 4 * (2 * proxyCredentialBytesMax + 3) / 3 + 256, "CONNECT fits")
    }
}
