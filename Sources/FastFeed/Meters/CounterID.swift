// The list of all counters: kind, unit and one sentence each. What a counter means is said here and nowhere else. Plain values,
// any thread.

/// A number that a bank keeps. The raw value is its place there. What each counts: docs/operations.md.
public enum CounterID: Int, CaseIterable, Sendable {
    // Wire and readers
    /// What came over the exchange's connections, and what of it was not a kline in the usual layout.
    case bytesReceived, messagesReceived, noticesReceived, layoutMisses
    /// How connections to the exchange came and went.
    case connectionsOpened, connectionsClosed, connectFailures, reconnects, rollovers
    /// Of the connections that ended: by whom or what.
    case endedByPeer, endedByNetwork, endedBySilence, endedByViolation, endedByRollover, endedByStop
    /// Of the attempts that failed: on which step.
    case connectFailedDns, connectFailedTcp, connectFailedProxy, connectFailedTls, connectFailedHttp, connectFailedTimeout
    /// What stood against reading: the peer, a subscription, a full ring.
    case protocolViolations, subscribeRequests, subscribeErrors, backPressureStalls
    // Rejections: one per reason
    /// Messages that were refused: as JSON, or in one of their values.
    case rejectedMalformed, rejectedNotUTF8, rejectedMissing, rejectedType, rejectedLong, rejectedNumber
    /// Messages that were refused: as a kline of ours.
    case rejectedRepeated, rejectedInterval, rejectedContradiction, rejectedUnknownSeries, rejectedBinary
    // Candles
    /// What became of the records of readers and healer, and which holes they left.
    case recordsTaken, duplicates, coalesced, closedReceived, gapsSeen, gapCandlesMissing, gapCandlesFilled
    /// Records and closed candles that did not go the straight way.
    case closedQueueOverflow, staleGeneration, closedHeld, closedWatched, tradeIDBreaks
    // Healing
    /// What the exchange was asked for, and what came of it.
    case healRequests, healRequestsFailed, healRecords, healedWritten, gapCandlesHealed, gapsOpen, gapCandlesAbsent
    /// What watching and audits have found.
    case lateCloses, muteStreams, auditChecked, auditMismatches
    // Store
    /// What went to Redis, and what came back.
    case candlesWritten, closedWritten, batchesSent, bytesSent, repliesReceived, redisReconnects
    /// What was written once more for a failover.
    case closedAgain, closedAgainMissing, redisFailovers
    /// How a cluster answers and stands, what Redis refused, what was merged.
    case redisRedirects, redisLanes, redisLanesUp, redisErrorsRetried, redisRejected, closedRejected, historyScripts, updatesRefused
    /// How much is on its way.
    case closedPending
    /// How many there are.
    case seriesActive, seriesWatched, connectionsLive
    // Control
    /// Commands by what became of them, and questions for data by where the rows were.
    case commandsReceived, commandsAnswered, commandsRefused, commandsRepeated, commandsUnanswered, cacheHits, cacheMisses
    // A group
    /// How the members of the group stand, and what this one writes.
    case groupMembers, groupWriters, groupBlind, groupEpoch, groupUnits
    // Threads
    /// Messages between threads that had no room.
    case mailboxRefusals

    /// A counter only grows; a gauge is how it stands now.
    package enum Kind: Sendable { case counter, gauge }

    /// As metrics and logs have it: `rejected_not_utf8`.
    public var name: String { "\(self)".snakeCased }
    package var kind: Kind {
        switch self {
        case .redisLanes, .redisLanesUp, .closedPending, .closedHeld, .gapsOpen, .gapCandlesAbsent: .gauge
        case .seriesActive, .seriesWatched, .connectionsLive: .gauge
        case .groupMembers, .groupWriters, .groupBlind, .groupEpoch, .groupUnits: .gauge
        default: .counter
        }
    }
    package var unit: String { row.unit }
    package var sentence: String { row.sentence }

    /// True for the counters of frames that were refused.
    package var isRejection: Bool { rawValue >= CounterID.rejectedMalformed.rawValue && rawValue <= CounterID.rejectedBinary.rawValue }

    private var row: (unit: String, sentence: String) {
        switch self {
        case .bytesReceived: ("bytes", "Bytes read from exchange connections, after TLS.")
        case .messagesReceived: ("messages", "Complete WebSocket data messages from the exchange.")
        case .noticesReceived: ("messages", "Messages that are not klines: acknowledgements, errors, shutdown notices.")
        case .layoutMisses: ("messages", "Messages not in the exchange's usual layout: the general parser read them.")
        case .connectionsOpened: ("connections", "Exchange connections that completed TCP, TLS and upgrade.")
        case .connectionsClosed: ("connections", "Exchange connections that ended, whoever ended them.")
        case .connectFailures: ("attempts", "Attempts that ended before the upgrade was complete.")
        case .endedByPeer: ("connections", "Of those that ended: the exchange closed them.")
        case .endedByNetwork: ("connections", "Of those that ended: a read or a write failed.")
        case .endedBySilence: ("connections", "Of those that ended: nothing came for too long.")
        case .endedByViolation: ("connections", "Of those that ended: closed by us, see `protocol_violations`.")
        case .endedByRollover: ("connections", "Of those that ended: another had taken their place.")
        case .endedByStop: ("connections", "Of those that ended: nobody wanted their streams any more.")
        case .connectFailedDns: ("attempts", "Of the failed attempts: the name was not resolved.")
        case .connectFailedTcp: ("attempts", "Of the failed attempts: no address could be reached.")
        case .connectFailedProxy: ("attempts", "Of the failed attempts: the proxy did not connect us.")
        case .connectFailedTls: ("attempts", "Of the failed attempts: the TLS handshake failed.")
        case .connectFailedHttp: ("attempts", "Of the failed attempts: the upgrade was refused.")
        case .connectFailedTimeout: ("attempts", "Of the failed attempts: no answer in time.")
        case .reconnects: ("attempts", "Attempts after the first one of a connection.")
        case .rollovers: ("connections", "Connections replaced by a new one before they ended (age, shutdown notice).")
        case .protocolViolations: ("connections", "Connections closed by us because the peer broke RFC 6455 or a limit.")
        case .subscribeRequests: ("messages", "SUBSCRIBE messages sent.")
        case .subscribeErrors: ("messages", "SUBSCRIBE messages that the exchange refused or did not answer in time.")
        case .backPressureStalls: ("turns", "Turns in which a reader left its sockets unread because its ring was full.")
        case .rejectedMalformed: ("messages", "Not JSON, or deeper or longer than the limits.")
        case .rejectedNotUTF8: ("messages", "Text that is not UTF-8; the connection is closed with 1007.")
        case .rejectedMissing: ("messages", "A kline without a field that every kline has.")
        case .rejectedType: ("messages", "A kline field of the wrong JSON type.")
        case .rejectedLong: ("messages", "A decimal or symbol longer than its field.")
        case .rejectedNumber: ("messages", "A decimal or integer that is not one, or out of range.")
        case .rejectedRepeated: ("messages", "The same kline field twice in one message.")
        case .rejectedInterval: ("messages", "An interval token that does not exist.")
        case .rejectedContradiction: ("messages", "Fields that contradict each other: two symbols, close before open.")
        case .rejectedUnknownSeries: ("messages", "A kline of a series that nobody asked for.")
        case .rejectedBinary: ("messages", "A binary message on a stream of JSON text.")
        case .recordsTaken: ("records", "Kline records the sink took from the rings.")
        case .duplicates: ("records", "Records not newer than what was known: repeated or late.")
        case .coalesced:
            ("records", "Forming states replaced by a newer one before they were written, or that another member of the group writes.")
        case .closedReceived: ("candles", "Closed candles taken from the rings, without duplicates.")
        case .gapsSeen: ("gaps", "Runs of missing closed candles seen between two known ones.")
        case .gapCandlesMissing: ("candles", "Closed candles in all gaps seen.")
        case .gapCandlesFilled: ("candles", "Of these, closed candles that arrived later; only for gaps still listed one by one.")
        case .closedQueueOverflow: ("candles", "Closed candles pushed out of the full queue while Redis was away; each became a gap.")
        case .staleGeneration: ("records", "Records of a series that had been stopped meanwhile.")
        case .closedHeld: ("candles", "Closed candles that wait for a hole before them to be filled.")
        case .closedWatched: ("candles", "Closed candles of series that another member of the group writes: kept, not written.")
        case .tradeIDBreaks: ("candles", "Closed candles whose first trade id does not follow the last one of the bar before.")
        case .healRequests: ("requests", "Requests for klines sent to the exchange to fill holes, to watch and to audit.")
        case .healRequestsFailed: ("requests", "Of these, requests that brought nothing.")
        case .healRecords: ("records", "Candles of the exchange's history that the sink took from the healer.")
        case .healedWritten: ("candles", "Of `candles_written`, what the healer has brought.")
        case .gapCandlesHealed: ("candles", "Missing closed candles that the healer has brought.")
        case .gapsOpen: ("gaps", "Holes that are not filled yet.")
        case .gapCandlesAbsent: ("candles", "Open times of which the exchange has said that it has no bar.")
        case .lateCloses: ("candles", "Bars whose end had passed without a closing event: the exchange was asked.")
        case .muteStreams: ("streams", "Streams that brought nothing though their bars moved; each was subscribed anew.")
        case .auditChecked: ("candles", "Stored candles compared with the exchange's own history.")
        case .auditMismatches: ("candles", "Of these, candles that were missing, different or foreign.")
        case .candlesWritten: ("candles", "Candle states acknowledged by Redis, forming and closed.")
        case .closedWritten: ("candles", "Closed candles acknowledged by Redis in their history.")
        case .batchesSent: ("batches", "Pipelined batches handed to Redis.")
        case .bytesSent: ("bytes", "RESP bytes handed to Redis.")
        case .repliesReceived: ("replies", "Replies read from Redis.")
        case .redisReconnects: ("attempts", "Attempts to connect to Redis after the first.")
        case .redisRedirects:
            ("replies", "Commands that a node of the Redis Cluster does not own the key of: written again at the right one.")
        case .redisLanes: ("connections", "Primaries of the Redis Cluster that the data path writes to; 0 without a cluster.")
        case .redisLanesUp: ("connections", "Of these, primaries that are connected.")
        case .redisErrorsRetried:
            ("replies", "Error replies that say `not now` (OOM, LOADING, READONLY, MISCONF ...); the commands were sent again.")
        case .redisRejected: ("candles", "Candle states that Redis refused for good (WRONGTYPE ...), each logged.")
        case .closedRejected: ("candles", "Of these, closed candles; each is a gap.")
        case .historyScripts:
            ("scripts", "Calls of the merge script: runs of closed candles that were present already, corrected, or put in their place.")
        case .closedAgain: ("candles", "Acknowledged candles that were written once more, because the connection to Redis was a new one.")
        case .redisFailovers: ("connections", "Connections to Redis that led to another primary than the one before, as its Sentinels say.")
        case .closedAgainMissing: ("candles", "Of these, candles that Redis had lost.")
        case .updatesRefused: ("replies", "Update messages that Redis refused to publish; the candles themselves are stored.")
        case .closedPending: ("candles", "Closed candles not yet acknowledged.")
        case .seriesActive: ("series", "Series followed.")
        case .seriesWatched: ("series", "Of these, series that another member of the group writes.")
        case .connectionsLive: ("connections", "Exchange connections open and subscribed.")
        case .commandsReceived: ("requests", "Requests on the command channels.")
        case .commandsAnswered: ("answers", "Answers published, errors and repetitions included.")
        case .commandsRefused: ("answers", "Of these, errors.")
        case .commandsRepeated: ("requests", "Requests with an id that was used within the last minute; they had no second effect.")
        case .commandsUnanswered: ("requests", "Requests without a readable request_id: nobody could be told.")
        case .cacheHits: ("requests", "Requests for data answered from the cache of the exchange's answers.")
        case .cacheMisses: ("requests", "Requests for data that had to ask the exchange.")
        case .groupMembers: ("members", "Members of the group that are here; 0 without a group.")
        case .groupWriters: ("members", "Of these, members that write.")
        case .groupBlind: ("members", "Of these, members without a connection to the exchange.")
        case .groupEpoch: ("changes", "How often the members of the group have changed.")
        case .groupUnits: ("symbols", "Symbols that this member writes.")
        case .mailboxRefusals: ("messages", "Messages between the engine's threads that found their mailbox full.")
        }
    }
}
