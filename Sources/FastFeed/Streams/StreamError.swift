// Why a call about streams came to nothing. A plain value, any thread.

/// Everything that `RedisStreams` and what is made of it throw.
public enum StreamError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Refused before anything was sent; one sentence.
    case badArgument(String)
    /// There is no stream under this key.
    case noSuchStream(key: String)
    /// The stream has no such group, or there is no such stream.
    case noSuchGroup(key: String, group: String)
    /// The key holds something else.
    case notAStream(key: String)
    /// The stream has that id already with other fields, or larger ones.
    case idNotNewer(StreamID)
    /// An entry does not hold what it should; one sentence.
    case badEntry(String)
    /// Redis says no, and will again: no right to do that, a command that it does not know, ...; its words.
    case refused(String)
    /// Redis cannot now: out of memory, loading, read-only, ...; its words.
    case unavailable(String)
    /// No answer in this time. What was asked for may have happened, or happen yet.
    case timeout(after: Duration)
    /// Redis cannot be reached, or was lost in the middle of the call. Then it may have been carried out.
    case disconnected(String)
    /// Of a batch some were added, and of some that is not known: each one's id, nil where there is none, and what happened to the first of
    /// these.
    indirect case partly(ids: [StreamID?], first: StreamError)
    /// The task was cancelled. What it had asked for may have been carried out.
    case cancelled
    /// `RedisStreams.close` was called; no call succeeds any more.
    case closed

    /// One sentence, for people: key and group are named, foreign bytes are printable.
    public var description: String {
        switch self {
        case .badArgument(let what), .badEntry(let what): what
        case .noSuchStream(let key): "there is no stream '\(StreamError.shown(key))'"
        case .noSuchGroup(let key, let group):
            "there is no group '\(StreamError.shown(group))' on a stream '\(StreamError.shown(key))'"
        case .notAStream(let key): "the key '\(StreamError.shown(key))' does not hold a stream"
        case .idNotNewer(let id): "the id \(id) is not larger than the newest one of the stream"
        case .refused(let words): "Redis refuses: \(words)"
        case .unavailable(let words): "Redis cannot now: \(words)"
        case .timeout(let time): "Redis did not answer within \(time.milliseconds) ms"
        case .disconnected(let reason): reason
        case .partly(let ids, let first):
            "\(ids.count { $0 != nil }) of \(ids.count) entries were added; the first of the others: \(first.description)"
        case .cancelled: "cancelled"
        case .closed: "the connection to Redis is closed"
        }
    }

    static func shown(_ name: String) -> String { Ascii.printable(name.utf8, limit: 80) }

    /// What may be different when it is tried again, without anybody doing anything about it.
    var isPassing: Bool {
        switch self {
        case .unavailable, .timeout, .disconnected: true
        default: false
        }
    }
}

extension StreamError {
    /// What an error reply means for a command about a key and a group. Pure.
    /// - Parameter id: the entry's own id, of XADD.
    package init(reply: String, key: String = "", group: String = "", id: StreamID? = nil) {
        let word = reply.prefix { $0 != " " }
        let words = Ascii.printable(reply.utf8)
        switch word {
        case "WRONGTYPE": self = .notAStream(key: key)
        case "NOGROUP": self = .noSuchGroup(key: key, group: group)
        case "OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "UNBLOCKED", "READONLY", "MASTERDOWN", "LOADING":
            self = .unavailable(words)
        case "NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK", "NOSCRIPT", "BUSYGROUP", "UNKILLABLE": self = .refused(words)
        default: self = StreamError(words: words, reply.lowercased(), key: key, group: group, id: id)
        }
    }

    /// What has no word of its own in front.
    private init(words: String, _ reply: String, key: String, group: String, id: StreamID?) {
        if reply.hasPrefix("err the id specified in xadd"), let id {
            self = .idNotNewer(id)
        } else if reply.hasPrefix("err no such key") || reply.hasPrefix("err the xgroup subcommand requires the key to exist") {
            self = .noSuchStream(key: key)
        } else if let inner = StreamError.innerError(words) {
            // What a command in a script was refused with.
            self = StreamError(reply: inner, key: key, group: group, id: id)
        } else {
            // A proxy or a hosted Redis speaks for a server that is away in words of its own.
            let away = [
                "connection refused", "connection reset", "connection closed", "closed the connection", "connection lost", "host is down",
                "host is unreachable", "upstream", "backend", "timed out", "timeout", "max number of clients", "unavailable",
            ]
            // (What it does not know it repeats, with its arguments.)
            let isAway = !reply.hasPrefix("err unknown") && away.contains(where: reply.contains)
            self = isAway ? .unavailable(words) : .refused(words)
        }
    }

    /// Servers before 7.0 put it behind the script's place: `ERR Error running script (call to f_…): @user_script:4: WRONGTYPE Operation
    /// …`.
    private static func innerError(_ words: String) -> String? {
        guard words.hasPrefix("ERR Error running script") else { return nil }
        let parts = words.split(separator: " ").map { $0.hasPrefix("-") ? $0.dropFirst() : $0[...] }
        let place = parts.indices.dropFirst().first { at in
            parts[at - 1].hasSuffix(":") && parts[at].count > 1 && parts[at].utf8.allSatisfy { (0x41...0x5A).contains($0) }
        }
        return place.map { parts[$0...].joined(separator: " ") }
    }
}
