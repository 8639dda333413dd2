// What Redis says of streams, groups and consumers. Plain values, any thread.

/// A stream (XINFO STREAM, MEMORY USAGE).
public struct StreamInfo: Sendable, Equatable {
    /// How many entries there are.
    public let length: Int
    /// The oldest entry; nil where there is none, or where it cannot be read (longer than 8 MiB).
    public let first: StreamEntry?
    /// The newest entry; nil as for `first`.
    public let last: StreamEntry?
    /// The last id that was given, whether its entry is still there or not.
    public let lastID: StreamID
    /// The largest id that was deleted (not trimmed). Nil before Redis 7.0.
    public let maxDeletedID: StreamID?
    /// Entries ever added. Nil before Redis 7.0.
    public let entriesAdded: Int?
    /// How many consumer groups there are.
    public let groups: Int
    /// Bytes of the server's memory. Nil where we may not ask.
    public let memory: Int?
}

/// A group (XINFO GROUPS).
public struct GroupInfo: Sendable, Equatable {
    /// Unique within its stream.
    public let name: String
    /// Names of consumers, of those that are gone, too, unless they were forgotten.
    public let consumers: Int
    /// Entries that were delivered and not acknowledged.
    public let pending: Int
    /// The last id that a consumer got: the next one gets what lies behind it.
    public let lastDelivered: StreamID
    /// Entries ever delivered, where Redis knows.
    public let entriesRead: Int?
    /// Entries that are not delivered yet, where Redis knows; never a guess. Nil before Redis 7.0.
    public let lag: Int?
}

/// A consumer of a group (XINFO CONSUMERS).
public struct ConsumerInfo: Sendable, Equatable {
    /// Unique within its group.
    public let name: String
    /// Entries that it got and has not acknowledged.
    public let pending: Int
    /// Time since it last asked for something.
    public let idle: Duration
    /// Time since it last got something; nil before Redis 7.2, and when it never has.
    public let inactive: Duration?
}

/// What a group has not acknowledged (XPENDING).
public struct PendingSummary: Sendable, Equatable {
    /// Entries, of all consumers together.
    public let count: Int
    /// The smallest id; nil where nothing is pending.
    public let min: StreamID?
    /// The largest id; nil where nothing is pending.
    public let max: StreamID?
    /// Entries by consumer; those without any are not in it.
    public let byConsumer: [String: Int]
}

/// An entry that was delivered and not acknowledged (XPENDING with a range).
public struct PendingEntry: Sendable, Equatable {
    /// The entry's id; the entry itself may be gone.
    public let id: StreamID
    /// Who got it last.
    public let consumer: String
    /// Time since its last delivery.
    public let idle: Duration
    /// How often it was delivered; 0 when it was given back.
    public let deliveries: Int
}

/// What remains of a stream when something is cut off it.
public enum StreamKeep: Sendable, Hashable {
    /// About so many, never fewer: whole nodes go (`MAXLEN ~`).
    case newest(Int)
    /// Ids from here on, and perhaps a few before (`MINID ~`).
    case from(StreamID)
    /// What is not older, by our clock and the ids' milliseconds, and perhaps a few more (`MINID ~`).
    case age(Duration)
    /// Exactly so many (`MAXLEN =`).
    case exactlyNewest(Int)
    /// Ids from here on and nothing else (`MINID =`).
    case exactlyFrom(StreamID)
    /// What some group has not read or not acknowledged. For `trim` only; without a group nothing goes.
    case unacknowledged
}

extension StreamKeep {
    /// Its words in XADD and XTRIM.
    /// - Throws: `.badArgument`.
    func arguments(nowMs: Int64) throws(StreamError) -> (isExact: Bool, words: [String]) {
        func checked(_ count: Int) throws(StreamError) -> String {
            guard count >= 0 else { throw .badArgument("a stream cannot keep \(count) entries") }
            return String(count)
        }
        switch self {
        case .newest(let count): return (false, ["MAXLEN", "~", try checked(count)])
        case .exactlyNewest(let count): return (true, ["MAXLEN", "=", try checked(count)])
        case .from(let id): return (false, ["MINID", "~", id.description])
        case .exactlyFrom(let id): return (true, ["MINID", "=", id.description])
        case .age(let age):
            guard age >= .zero else { throw .badArgument("a stream cannot keep what is \(age) old") }
            let beginMs = max(0, nowMs - Int64(clamping: age.milliseconds))
            return (false, ["MINID", "~", String(beginMs)])
        case .unacknowledged: throw .badArgument("'unacknowledged' is for trim only")
        }
    }
}
