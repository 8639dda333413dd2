// The list of all counters: kind, unit and one sentence each. What a counter means is said here and nowhere else. Plain values,
// any thread.

/// A number that a bank keeps. The raw value is its place there.
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

    /// A counter only grows; a gauge is how it stands now.
    public enum Kind: Sendable { case counter, gauge }

    /// As metrics and logs have it: the case's name in snake case, `rejected_not_utf8`.
    public var name: String {
        var (name, isInWord) = ("", false)
        for letter in "\(self)" {
            name += (letter.isUppercase && isInWord ? "_" : "") + letter.lowercased()
            isInWord = letter.isLowercase
        }
        return name
    }
    public var kind: Kind { row.kind }
    public var unit: String { row.unit }
    public var sentence: String { row.sentence }

    /// True for the counters of frames that were refused.
    package var isRejection: Bool { rawValue >= CounterID.rejectedMalformed.rawValue && rawValue <= CounterID.rejectedBinary.rawValue }

    private var row: (kind: Kind, unit: String, sentence: String) {
        switch self {
        case .bytesReceived: (.counter, "bytes", "Bytes read from exchange connections, after TLS.")
        case .messagesReceived: (.counter, "messages", "Complete WebSocket data messages from the exchange.")
        case .noticesReceived: (.counter, "messages", "Messages that are not klines: acknowledgements, errors, shutdown notices.")
        case .layoutMisses: (.counter, "messages", "Messages not in the exchange's usual layout: the general parser read them.")
        case .connectionsOpened: (.counter, "connections", "Exchange connections that completed TCP, TLS and upgrade.")
        case .connectionsClosed: (.counter, "connections", "Exchange connections that ended, whoever ended them.")
        case .connectFailures: (.counter, "attempts", "Attempts that ended before the upgrade was complete.")
        case .reconnects: (.counter, "attempts", "Attempts after the first one of a connection.")
        case .rollovers: (.counter, "connections", "Connections replaced by a new one before they ended (age, shutdown notice).")
        case .protocolViolations: (.counter, "connections", "Connections closed by us because the peer broke RFC 6455 or a limit.")
        case .subscribeRequests: (.counter, "messages", "SUBSCRIBE messages sent.")
        case .subscribeErrors: (.counter, "messages", "SUBSCRIBE messages that the exchange refused or did not answer in time.")
        case .backPressureStalls: (.counter, "turns", "Turns in which a reader left its sockets unread because its ring was full.")
        case .rejectedMalformed: (.counter, "messages", "Not JSON, or deeper or longer than the limits.")
        case .rejectedNotUTF8: (.counter, "messages", "Text that is not UTF-8; the connection is closed with 1007.")
        case .rejectedMissing: (.counter, "messages", "A kline without a field that every kline has.")
        case .rejectedType: (.counter, "messages", "A kline field of the wrong JSON type.")
        case .rejectedLong: (.counter, "messages", "A decimal or symbol longer than its field.")
        case .rejectedNumber: (.counter, "messages", "A decimal or integer that is not one, or out of range.")
        case .rejectedRepeated: (.counter, "messages", "The same kline field twice in one message.")
        case .rejectedInterval: (.counter, "messages", "An interval token that does not exist.")
        case .rejectedContradiction: (.counter, "messages", "Fields that contradict each other: two symbols, close before open.")
        case .rejectedUnknownSeries: (.counter, "messages", "A kline of a series that nobody asked for.")
        case .rejectedBinary: (.counter, "messages", "A binary message on a stream of JSON text.")
        case .recordsTaken: (.counter, "records", "Kline records the sink took from the rings.")
        case .duplicates: (.counter, "records", "Records not newer than what was known: repeated or late.")
        case .coalesced: (.counter, "records", "Forming states replaced by a newer one before they were written.")
        case .closedReceived: (.counter, "candles", "Closed candles taken from the rings, without duplicates.")
        case .gapsSeen: (.counter, "gaps", "Runs of missing closed candles seen between two known ones.")
        case .gapCandlesMissing: (.counter, "candles", "Closed candles in all gaps seen.")
        case .gapCandlesFilled: (.counter, "candles", "Of these, closed candles that arrived later; only for gaps still listed one by one.")
        case .closedQueueOverflow:
            (.counter, "candles", "Closed candles pushed out of the full queue while Redis was away; each became a gap.")
        case .staleGeneration: (.counter, "records", "Records of a series that had been stopped meanwhile.")
        case .candlesWritten: (.counter, "candles", "Candle states acknowledged by Redis, forming and closed.")
        case .closedWritten: (.counter, "candles", "Closed candles acknowledged by Redis in their history.")
        case .batchesSent: (.counter, "batches", "Pipelined batches handed to Redis.")
        case .bytesSent: (.counter, "bytes", "RESP bytes handed to Redis.")
        case .repliesReceived: (.counter, "replies", "Replies read from Redis.")
        case .redisReconnects: (.counter, "attempts", "Attempts to connect to Redis after the first.")
        case .redisErrorsRetried:
            (.counter, "replies", "Error replies that say `not now` (OOM, LOADING, READONLY, MISCONF ...); the commands were sent again.")
        case .redisRejected: (.counter, "candles", "Candle states that Redis refused for good (WRONGTYPE ...), each logged.")
        case .closedRejected: (.counter, "candles", "Of these, closed candles; each is a gap.")
        case .historyScripts:
            (.counter, "scripts", "Closed candles that needed the history script: present already, corrected, or put in their place.")
        case .updatesRefused: (.counter, "replies", "Update messages that Redis refused to publish; the candles themselves are stored.")
        case .closedPending: (.gauge, "candles", "Closed candles not yet acknowledged.")
        case .seriesActive: (.gauge, "series", "Series followed.")
        case .connectionsLive: (.gauge, "connections", "Exchange connections open and subscribed.")
        case .commandsReceived: (.counter, "requests", "Requests on the command channels.")
        case .commandsAnswered: (.counter, "answers", "Answers published, errors and repetitions included.")
        case .commandsRefused: (.counter, "answers", "Of these, errors.")
        case .commandsRepeated:
            (.counter, "requests", "Requests with an id that was used within the last minute; they had no second effect.")
        case .commandsUnanswered: (.counter, "requests", "Requests without a readable request_id: nobody could be told.")
        case .cacheHits: (.counter, "requests", "Requests for data answered from the cache of the exchange's answers.")
        case .cacheMisses: (.counter, "requests", "Requests for data that had to ask the exchange.")
        case .mailboxRefusals: (.counter, "messages", "Messages between the engine's threads that found their mailbox full.")
        }
    }
}
