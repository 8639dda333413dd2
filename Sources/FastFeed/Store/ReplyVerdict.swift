// What a reply means for the command it answers. Pure.

/// Redis's error replies, sorted by what to do about them.
package enum ReplyVerdict: Equatable {
    case done
    /// XADD: the entry is not newer than the newest; the history script decides.
    case notNewest
    /// Not now: send the command again later (out of memory, loading, read-only, ...).
    case later
    /// Not on this connection: connect and authenticate anew.
    case reconnect
    /// Never: the command would be refused each time.
    case never

    /// - Parameter error: the reply's text after `-`.
    package init(error: some StringProtocol) {
        let word = error.prefix { $0 != " " }
        switch word {
        case "NOAUTH", "WRONGPASS": self = .reconnect
        case "OOM", "LOADING", "MISCONF", "READONLY", "NOREPLICAS", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "NOPERM",
            "UNBLOCKED", "MOVED", "ASK":
            self = .later
        case "ERR":
            if error.hasPrefix("ERR The ID specified in XADD is equal or smaller")
                || error.hasPrefix("ERR The ID specified in XADD must be greater")
            {
                self = .notNewest
            } else if error.hasPrefix("ERR max number of clients") {
                self = .reconnect
            } else {
                self = .never
            }
        default: self = .never
        }
    }
}
