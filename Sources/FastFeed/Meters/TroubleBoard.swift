// What is wrong now, in words: the last reason of each part that has failed and is not back. Written on failures and recoveries, never
// for a message; read by any thread. Bounded: a part has one reason, of `Limits.troubleBytesMax`, and parts are REST,
// Redis and the connections that the readers have room for (`Limits.connectionsPerReaderMax` each), which are labelled by their slots.

package struct Trouble: Sendable, Equatable {
    /// Printable: ASCII, and letters and numbers of other scripts.
    package let reason: String
    /// When it was last seen, Unix ms.
    package let atMs: Int64
}

package final class TroubleBoard: Sendable {
    package enum Part: Hashable, Sendable {
        /// A connection to the exchange, as the log labels it.
        case connection(String)
        case rest, redis
    }

    private let troubles = Lock<[Part: Trouble]>([:])

    package init() {}

    package func note(_ part: Part, _ reason: String) {
        let trouble = Trouble(reason: Ascii.printable(reason.utf8, limit: Limits.troubleBytesMax), atMs: WallClock.nowMs())
        troubles.withLock { $0[part] = trouble }
    }

    package func clear(_ part: Part) { troubles.withLock { $0[part] = nil } }

    package subscript(part: Part) -> Trouble? { troubles.withLock { $0[part] } }

    /// The newest of the connections to the exchange.
    package var ofConnections: Trouble? {
        troubles.withLock { troubles in
            let found = troubles.filter { if case .connection = $0.key { true } else { false } }
            return found.values.max { $0.atMs < $1.atMs }
        }
    }
}
