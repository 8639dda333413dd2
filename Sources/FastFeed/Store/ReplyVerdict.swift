// What a reply means for the command it answers. Pure.

/// Redis's error replies, sorted by what to do about them.
package enum ReplyVerdict: Equatable {
    case done
    /// XADD: the entry is not newer than the newest; the merge script decides.
    case notNewest
    /// Not now: send the command again later (out of memory, not enough replicas, ...).
    case later
    /// Not now, and perhaps never here: another server may have become the one that takes writes (read-only, loading, ...).
    case elsewhere
    /// Not this key: the others are taken (an ACL, a slot of another node), or nobody knows. Send it again apart from them.
    case apart
    /// Not on this connection: connect and authenticate anew.
    case reconnect
    /// Another node owns the key's slot from now on. (Of a server that is not named as a cluster: `apart`.)
    case moved
    /// The key is on its way to another node, which takes the command behind ASKING.
    case ask
    /// The server does not know the script by its name: somebody has flushed them.
    case noScript
    /// Never: the command would be refused each time.
    case never

    /// - Parameters:
    ///   - error: the reply's text after `-`.
    ///   - isCluster: redirects are obeyed.
    package init(error: some StringProtocol, isCluster: Bool = false) {
        let word = error.prefix { $0 != " " }
        switch word {
        case "NOAUTH", "WRONGPASS": self = .reconnect
        case "OOM", "MISCONF", "NOREPLICAS", "BUSY", "CLUSTERDOWN", "UNBLOCKED": self = .later
        case "READONLY", "MASTERDOWN", "LOADING": self = .elsewhere
        case "MOVED": self = isCluster ? .moved : .apart
        case "ASK": self = isCluster ? .ask : .apart
        // A script's keys are at two nodes for a moment.
        case "TRYAGAIN": self = isCluster ? .ask : .later
        case "NOPERM": self = .apart
        case "WRONGTYPE": self = .never
        case "NOSCRIPT": self = .noScript
        case "ERR" where error.hasPrefix("ERR Error running script"):
            // Servers before 7.0 put what a script's command was refused with behind the script's place: `…: 12: -READONLY You can't …`,
            // `…: 4: WRONGTYPE Operation …`.
            let words = error.split(separator: " ").map { $0.hasPrefix("-") ? $0.dropFirst() : $0[...] }
            let place = words.indices.dropFirst().first { at in
                words[at - 1].hasSuffix(":") && words[at].count > 1 && words[at].utf8.allSatisfy { (0x41...0x5A).contains($0) }
            }
            self = place.map { ReplyVerdict(error: words[$0...].joined(separator: " ")) } ?? .apart
        default: self = ReplyVerdict.byWords(error.lowercased())
        }
    }

    /// A proxy or a hosted Redis speaks for a server that is away in words of its own. What nobody has heard of may be said of one key
    /// alone, and may pass.
    private static func byWords(_ error: String) -> ReplyVerdict {
        if error.hasPrefix("err the id specified in xadd ") { return .notNewest }
        if error.hasPrefix("err max number of clients") { return .reconnect }
        if ["err unknown command", "err wrong number", "err syntax error", "err protocol error"].contains(where: error.hasPrefix) {
            return .never
        }
        let away = [
            "connection refused", "connection reset", "connection closed", "closed the connection", "connection lost", "host is down",
            "host is unreachable", "upstream", "backend", "timed out", "timeout", "request limit", "requests limit", "unavailable",
        ]
        return away.contains(where: error.contains) ? .later : .apart
    }
}

/// How long a server has refused because of what it is: a replica that was the master stays one until somebody looks for the new master.
package struct ElsewhereWatch {
    private let patienceNs: UInt64
    private var (firstNs, lastNs): (UInt64, UInt64) = (0, 0)

    /// - Parameter isFound: Sentinels say where the primary is, and they are asked at once. A name may need a while to lead elsewhere.
    package init(isFound: Bool = false) { patienceNs = isFound ? 0 : .ns(ms: Limits.redisElsewhereMs) }

    /// One more such answer. True once they have come for that long: then it is to be asked again where the server is.
    package mutating func note(_ nowNs: UInt64) -> Bool {
        // After a long silence a new story begins.
        if nowNs &- lastNs > 4 * patienceNs { firstNs = nowNs }
        lastNs = nowNs
        return nowNs &- firstNs >= patienceNs
    }

    package mutating func end() { (firstNs, lastNs) = (0, 0) }
}
