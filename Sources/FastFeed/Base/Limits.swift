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
    /// One line of that answer. Beyond: the connection is refused.
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
    /// Names that are being looked up at a time, each on a thread (the service's unit allows 64). Beyond: the question fails, and is asked
    /// again like one that nobody has answered.
    package static let resolverThreadsMax = 32
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
    /// The exchange cuts at 24 h; we replace the connection before. A user may have it sooner.
    package static let venueConnectionAgeMs = 23 * 3_600_000
    package static let connectionLifetimeMs: ClosedRange<Int> = 10_000...24 * 3_600_000
    /// A connection that is to be replaced because of its age has this long for it, as the next one must wait. Then it stays, and tries
    /// again after the pause.
    package static let rollPatienceMs = 30_000
    package static let rollPauseMs = 60_000
    /// Connections that may carry each stream.
    package static let redundancy: ClosedRange<Int> = 1...2
    /// Places of the streams that a user may name.
    package static let venueHostsMax = 16
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
    /// Attempts to connect to the exchange that are under way at a time, all readers together.
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
    /// Entries of a series that a user may have Redis keep.
    package static let historyMax: Int64 = 10_000_000
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
    /// The longest pause between two attempts until then.
    package static let redisElsewherePauseMs = 250
    /// Sentinels of one URL; each has so long to answer, connecting included.
    package static let sentinelsMax = 16
    package static let sentinelTimeoutMs = 300
    /// A server that they have named and that is not the primary, yet or any more, is asked again so soon.
    package static let primaryPauseMs = 200
    /// How often a Sentinel is asked for the primary, and a replica how well it follows.
    package static let redisWatchMs = 1_000
    /// So many such rounds without an answer of use, and the log says why.
    package static let redisOutageRounds = 10
    /// Replicas that are looked at; and when one may be read from: it has heard of its primary in the last seconds, and was asked for
    /// that a moment ago. It has so long to answer, then the primary is asked.
    package static let replicasMax = 8
    package static let replicaSilenceSeconds: UInt64 = 2
    package static let replicaTrustNs: UInt64 = 3_000_000_000
    package static let replicaTimeoutMs = 500
    /// Stopped series whose field in `latest:*` is removed by one batch; the others wait for the next.
    package static let removalsPerBatchMax = 64
    /// Gaps remembered one by one; beyond, they are only counted.
    package static let gapCountMax = 16_384
    /// Closed candles that are kept after Redis has acknowledged them: so many at first, and at most (20 MB; the oldest go first). A power
    /// of two each.
    package static let storedCandlesFirst = 256
    package static let storedCandlesMax = 65_536
    /// How long acknowledged closed candles may be kept.
    package static let rewriteMs: ClosedRange<Int> = 0...600_000
    /// Ended ones that are remembered (200 KB), and among how many of them a neighbour is looked for. Beyond: the oldest go.
    package static let gapsEndedMax = 1_024
    package static let gapsEndedJoinMax = 256
    /// The later one of two that are one was seen so long after the end of the other, at most.
    package static let gapsEndedJoinMs: Int64 = 60_000
    /// Closed candles that wait for a hole before them, of all series. Beyond: nothing waits any more.
    package static let heldCandlesMax = 16_384
    /// Live candles must not wait behind healed ones: so many are taken in one turn, each makes the next turn wait so long, and none is
    /// taken while so many closed ones wait for Redis. 25,000 a second at most.
    package static let healRecordsPerTurnMax = 8
    package static let healRecordPaceNs: UInt64 = 40_000
    package static let healPendingMax = 64
    /// Candles of one call of the merge script, and of all calls in one batch: what they take must not be felt. Each call costs what lies
    /// behind its candles, too: with much of that more of them go at once.
    package static let mergeRunMin = 16
    package static let mergeRunMax = 250
    /// The longest pause behind a call of the merge script.
    package static let mergePauseNsMax: UInt64 = 200_000_000
    /// Bytes of one call beside its candles, the script among them where the server does not know it yet.
    package static let mergeHeadBytesMax = 16 * 1024
    /// Bytes of what is rare in a batch: merges, holes, removals.
    package static let asideBytesMax = 1024 * 1024
    /// Histories that one batch may write the holes of.
    package static let gapKeysPerBatchMax = 64
    /// About so many entries of `changes:*` are kept (MAXLEN ~).
    package static let changesKeptMax = 1_000
    /// Fields of one `gaps:*`; of further holes the oldest are left out.
    package static let gapFieldsMax = 1_000
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

    // MARK: Healing

    /// Questions of the healer to Redis. Beyond: asked again later.
    package static let healerRedisTimeoutMs = 2_000
    /// Bars of one request: a page of the exchange.
    package static let healPageBars = 1_000
    /// Requests of the healer at a time; one place of the REST client is left to others.
    package static let healRequestsMax = 3
    /// The longest pause before a candle that Redis has refused for good is tried once more, as long as it is not there anew.
    package static let refusedHolePauseSecondsMax: UInt64 = 600
    /// The same bars of a series are not asked for again sooner.
    package static let healAgainMs = 500
    /// A bar is believed when its end lies so long before the answer's own date.
    package static let restTrustMs: Int64 = 1_000
    /// Pairs of bars whose trade ids do not chain and that the healer has not taken. Beyond: only counted.
    package static let suspectsMax = 64
    /// A series from which nothing has come for so long is looked at by the healer.
    package static let watchSilenceNs: UInt64 = 4_000_000_000
    /// Entries that one question about a history brings.
    package static let historyPageEntries = 500
    /// `MAXLEN ~` leaves so many entries more than it was told, about: holes so far behind the history's length still count.
    package static let historySlackBars = 128
    /// Time between two looks at series that are late or mute.
    package static let watchPeriodMs: Int64 = 500
    /// Time between two looks at the board of holes; many holes make it longer.
    package static let gapPollMs = 50
    /// How long a request of the healer may take altogether.
    package static let healPatienceMs: Int64 = 10_000
    /// The longest pause before the exchange is asked again, for a bar that it did not have yet or after failures.
    package static let healPauseSecondsMax: UInt64 = 60
    /// That pause for a symbol that the exchange does not know.
    package static let unknownSymbolPauseSeconds: UInt64 = 600
    /// A candle that the sink has taken so long ago and that is still missing is asked for again.
    package static let healUnfilledMs = 3_000
    /// Series whose histories are looked at by one batch of questions.
    package static let checksPerBatch = 64
    /// The pause before the next question to a Redis that did not answer.
    package static let checkRetryMs = 500
    /// An overdue bar that was told to the sink and is overdue still is told again after this.
    package static let lateAgainMs = 30_000
    /// Bars of a series whose closing event may still come though no hole is listed (`CandleTable.awaited`). Of older ones it counts as a
    /// repetition.
    package static let awaitedEventsMax = 64
    /// Questions whether a silent series' bar has moved: one so often on average, and so many at once. The others wait.
    package static let silencePauseMs = 1_000
    package static let silenceBurst = 20
    /// The first pause between two of one series, and the longest.
    package static let silenceAgainMs: ClosedRange<UInt64> = 4_000...300_000
    /// A silent series whose question has waited so long is asked about before its late closes.
    package static let silenceWaitMs: UInt64 = 5_000
    /// A stream that was subscribed anew has this long before it is judged again.
    package static let muteAgainMs = 5_000
    /// Bars that ended so long ago are audited, and what differs is looked at again after a while.
    package static let auditSettledMs: Int64 = 10_000
    package static let auditSecondLookMs = 2_000
    /// In this time every series is audited once, where the weight allows it.
    package static let auditRoundMs: UInt64 = 3_600_000
    /// Candles of one audit.
    package static let auditCandlesMax = 5_000
    /// Candles on their way from the healer to the sink: a page. Full: the healer waits.
    package static let healRingRecordCount = 1_024
    /// What a user may choose: how long closed candles wait for a hole, how long after a bar's end it is asked for, and the audit's part of
    /// the exchange's weight limit in percent.
    package static let healHoldMs: ClosedRange<Int> = 0...300_000
    package static let closeGraceMs: ClosedRange<Int> = 500...60_000
    package static let auditPercent: ClosedRange<Int> = 0...20
    /// A command's change waits so long for a place in the healer's mailbox: a healer that hangs must not hold up control.
    package static let healerPatienceMs = 3_000
    /// Holes, and findings of an audit, in one answer: it stays below a MiB. The others are counted.
    package static let gapsListedMax = 4_000
    package static let findingsListedMax = 4_000
    /// Audits that commands have asked for and that are not answered yet. Beyond: `busy`. And so many of bars that look wrong; beyond, they
    /// are left to the next round.
    package static let auditsWaitingMax = 64

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
    /// Symbols of the catalogue, more than twice as many as the exchange has ever listed. Beyond: left out, counted in the log. One script
    /// replaces an index of so many.
    package static let catalogueSymbolsMax = 8_192
    /// Entries of a list of symbols (10 MB). A longer one is refused.
    package static let instrumentsMax = 65_536
    /// Rows of the 24 h tickers. Beyond: the answer is refused.
    package static let dayTickersMax = 2 * catalogueSymbolsMax
    /// Members of one command that writes the catalogue, and commands in one turn: neither must be felt.
    package static let catalogueChunkMax = 500
    package static let catalogueWritesPerTurnMax = 64
    /// Rows of one answer: below a MiB.
    package static let symbolsListedMax = 1_500
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
    /// The time in which the exchange counts attempts to connect.
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
    /// Stopped fluxes that are erased again in a registry that may be from before. Older ones stay erased as far as Redis keeps it.
    package static let erasedFluxesMax = 1_024

    // MARK: Streams

    /// A reply about streams. Beyond: what else comes of it is left out, string by string (`ReplyBlock.Kind.tooLong`).
    package static let streamReplyBytesMax = 64 << 20
    /// A string of such a reply. A longer one is skipped as it comes.
    package static let streamStringBytesMax = 8 << 20
    /// Parts of such a reply. Beyond: the connection is given up.
    package static let streamReplyPartsMax = 8 << 20
    /// What may wait to be sent to Redis. Beyond: commands wait for room.
    package static let streamOutboxBytesMax = 8 << 20
    /// Commands and batches of tasks at a time. Beyond: `.unavailable`.
    package static let streamCallsMax = 65_536
    /// Reads that wait, of one `RedisStreams`. Beyond: `.badArgument`.
    package static let streamReadersMax = 256
    /// Keys of one tail or consumer.
    package static let streamKeysMax = 1_024
    /// How long a read waits at Redis for something to come; then it asks again.
    package static let streamBlockMs = 5_000
    /// Silence of a Redis that owes replies to commands, or to a read that waits. Then the connection is taken for dead.
    package static let streamSilenceMs = 15_000
    /// The first pause and the longest before a connection is tried again.
    package static let streamBackoffMs: ClosedRange<UInt64> = 100...5_000
    /// Entries of one question: a page.
    package static let streamPageEntries = 1_000
    /// Entries of one batch of XADD, and bytes, and how many batches are under way for one `add(contentsOf:)`.
    package static let streamAddsPerBatch = 1_000
    package static let streamAddBatchBytes = 256 << 10
    package static let streamAddBatchesMax = 8
    /// Ids of one command.
    package static let streamIDsPerCommand = 1_000
    /// Entries that a tail has read ahead of the task that takes them, and their replies' bytes. Beyond: it does not read.
    package static let tailEntriesMax = 2_000
    package static let tailBytesMax = 8 << 20

    /// Asserts what the parts rely on.
    package static func verify() {
        precondition(ringRecordCount.nonzeroBitCount == 1, "the ring masks its cursors")
        precondition(healRingRecordCount.nonzeroBitCount == 1 && healRingRecordCount >= healPageBars, "a page fits the healer's ring")
        precondition(closedQueueCountMax.nonzeroBitCount == 1, "the closed queue masks its cursors")
        precondition(venueMessageBytesMax <= receiveBytesMax, "a message fits the receive buffer")
        precondition(
            ringRecordCount * klineBytesMin >= receiveBytesMax,
            "an empty ring takes all the klines of one full read")
        precondition(handshakeLineBytesMax <= handshakeBytesMax)
        precondition(mergeRunMax * candleRespBytesMax + mergeHeadBytesMax <= asideBytesMax, "a run fits a batch")
        precondition(streamSilenceMs > 2 * streamBlockMs, "since 7.2 a read may wait for longer than it has asked")
        precondition(proxyRequestBytesMax >= 2 * 262 + 4 * (2 * proxyCredentialBytesMax + 3) / 3 + 256, "CONNECT fits")
    }
}
