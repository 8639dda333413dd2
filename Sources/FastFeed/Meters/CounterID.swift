// The list of all counters: name, unit and one sentence each. What a counter means is said here and
// nowhere else. Plain values, any thread.

/// A monotonic counter, or a gauge where its sentence says "now".
public enum CounterID: Int, CaseIterable, Sendable {
    // Wire and readers
    case bytesReceived, messagesReceived, noticesReceived, layoutMisses
    case connectionsOpened, connectionsClosed, connectFailures, reconnects, rollovers
    case protocolViolations, subscribeRequests, subscribeErrors, backPressureStalls
    // Rejections: one per reason
    case rejectedMalformed, rejectedNotUTF8, rejectedMissing, rejectedType, rejectedLong, rejectedNumber
    case rejectedRepeated, rejectedInterval, rejectedContradiction, rejectedUnknownSeries, rejectedBinary
    // Candles
    case recordsTaken, duplicates, coalesced, closedReceived, gapsSeen, gapCandlesMissing, gapCandlesFilled
    case closedQueueOverflow, staleGeneration
    // Store
    case candlesWritten, closedWritten, batchesSent, bytesSent, repliesReceived, redisReconnects
    case redisErrorsRetried, redisRejected, closedRejected, historyScripts, updatesRefused, closedPending, seriesActive, connectionsLive
    // Control
    case commandsReceived, commandsAnswered, commandsRefused, commandsRepeated, commandsUnanswered, cacheHits, cacheMisses
    // Threads
    case mailboxRefusals

    public var name: String { CounterID.descriptions[rawValue].name }
    public var unit: String { CounterID.descriptions[rawValue].unit }
    public var sentence: String { CounterID.descriptions[rawValue].sentence }

    /// True for the counters of frames that were refused.
    package var isRejection: Bool { rawValue >= CounterID.rejectedMalformed.rawValue && rawValue <= CounterID.rejectedBinary.rawValue }

    // In the order of the cases; a test pins the correspondence.
    package static let descriptions: [(name: String, unit: String, sentence: String)] = [
        ("bytes_received", "bytes", "Bytes read from exchange connections, after TLS."),
        ("messages_received", "messages", "Complete WebSocket data messages from the exchange."),
        ("notices_received", "messages", "Messages that are no klines: acknowledgements, errors, shutdown notices."),
        ("layout_misses", "messages", "Messages not in the exchange's usual layout: the general parser read them."),
        ("connections_opened", "connections", "Exchange connections that completed TCP, TLS and upgrade."),
        ("connections_closed", "connections", "Exchange connections that ended, whoever ended them."),
        ("connect_failures", "attempts", "Attempts that ended before the upgrade was complete."),
        ("reconnects", "attempts", "Attempts after the first one of a connection."),
        ("rollovers", "connections", "Connections replaced by a new one before they ended (age, shutdown notice)."),
        ("protocol_violations", "connections", "Connections closed by us because the peer broke RFC 6455 or a limit."),
        ("subscribe_requests", "messages", "SUBSCRIBE messages sent."),
        ("subscribe_errors", "messages", "SUBSCRIBE messages that the exchange refused or did not answer in time."),
        ("back_pressure_stalls", "turns", "Turns in which a reader left its sockets unread because its ring was full."),
        ("rejected_malformed", "messages", "Not JSON, or deeper or longer than the limits."),
        ("rejected_not_utf8", "messages", "Text that is not UTF-8; the connection is closed with 1007."),
        ("rejected_missing", "messages", "A kline without a field that every kline has."),
        ("rejected_type", "messages", "A kline field of the wrong JSON type."),
        ("rejected_long", "messages", "A decimal or symbol longer than its field."),
        ("rejected_number", "messages", "A decimal or integer that is not one, or out of range."),
        ("rejected_repeated", "messages", "The same kline field twice in one message."),
        ("rejected_interval", "messages", "An interval token that does not exist."),
        ("rejected_contradiction", "messages", "Fields that contradict each other: two symbols, close before open."),
        ("rejected_unknown_series", "messages", "A kline of a series that nobody asked for."),
        ("rejected_binary", "messages", "A binary message on a stream of JSON text."),
        ("records_taken", "records", "Kline records the sink took from the rings."),
        ("duplicates", "records", "Records not newer than what was known: repeated or late."),
        ("coalesced", "records", "Forming states replaced by a newer one before they were written."),
        ("closed_received", "candles", "Closed candles taken from the rings, without duplicates."),
        ("gaps_seen", "gaps", "Runs of missing closed candles seen between two known ones."),
        ("gap_candles_missing", "candles", "Closed candles in all gaps seen."),
        ("gap_candles_filled", "candles", "Of these, closed candles that arrived later; only for gaps still listed one by one."),
        ("closed_queue_overflow", "candles", "Closed candles pushed out of the full queue while Redis was away; each became a gap."),
        ("stale_generation", "records", "Records of a series that had been stopped meanwhile."),
        ("candles_written", "candles", "Candle states acknowledged by Redis, forming and closed."),
        ("closed_written", "candles", "Closed candles acknowledged by Redis in their history."),
        ("batches_sent", "batches", "Pipelined batches handed to Redis."),
        ("bytes_sent", "bytes", "RESP bytes handed to Redis."),
        ("replies_received", "replies", "Replies read from Redis."),
        ("redis_reconnects", "attempts", "Attempts to connect to Redis after the first."),
        (
            "redis_errors_retried", "replies",
            "Error replies that say `not now` (OOM, LOADING, READONLY, MISCONF ...); the commands were sent again."
        ),
        ("redis_rejected", "candles", "Candle states that Redis refused for good (WRONGTYPE ...), each logged."),
        ("closed_rejected", "candles", "Of these, closed candles; each is a gap."),
        ("history_scripts", "scripts", "Closed candles that needed the history script: present already, corrected, or put in their place."),
        ("updates_refused", "replies", "Update messages that Redis refused to publish; the candles themselves are stored."),
        ("closed_pending", "candles", "Closed candles not yet acknowledged, now."),
        ("series_active", "series", "Series followed, now."),
        ("connections_live", "connections", "Exchange connections open and subscribed, now."),
        ("commands_received", "requests", "Requests on the command channels."),
        ("commands_answered", "answers", "Answers published, errors and repetitions included."),
        ("commands_refused", "answers", "Of these, errors."),
        ("commands_repeated", "requests", "Requests with an id that was used within the last minute; they had no second effect."),
        ("commands_unanswered", "requests", "Requests without a readable request_id: nobody could be told."),
        ("cache_hits", "requests", "Requests for data answered from the cache of the exchange's answers."),
        ("cache_misses", "requests", "Requests for data that had to ask the exchange."),
        ("mailbox_refusals", "messages", "Messages between the engine's threads that found their mailbox full."),
    ]
}
