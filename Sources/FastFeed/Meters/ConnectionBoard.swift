// Which connections to the exchange are live, and since when. Written by readers when one becomes live or is lost, never for a message;
// read by any thread. Bounded: the connections that are live.

/// One connection as its reader sees it. Instants are monotonic, 0 or `.max` for none.
package struct ConnectionReport: Sendable {
    package let label: String
    package let host: String
    /// `live`, a phase of its opening or ending, or `waiting` for the next attempt.
    package let state: String
    package let streams: Int
    package let attempts: Int
    package let openedNs, lastReceivedNs, rollAtNs: UInt64
    package let bytesReceived: UInt64
    /// Why it ended the last time; empty when it never did.
    package let lastLoss: String

    package init(
        label: String, host: String, state: String, streams: Int, attempts: Int, openedNs: UInt64, lastReceivedNs: UInt64,
        rollAtNs: UInt64, bytesReceived: UInt64, lastLoss: String
    ) {
        (self.label, self.host, self.state, self.streams, self.attempts) = (label, host, state, streams, attempts)
        (self.openedNs, self.lastReceivedNs, self.rollAtNs) = (openedNs, lastReceivedNs, rollAtNs)
        (self.bytesReceived, self.lastLoss) = (bytesReceived, lastLoss)
    }
}

package final class ConnectionBoard: Sendable {
    /// By the number of a connection's key: since when it is live, monotonic.
    private let liveSinceNs = Lock<[UInt32: UInt64]>([:])

    /// By reader: its connections, as it has said it last.
    private let reported = Lock<[Int: [ConnectionReport]]>([:])

    package init() {}

    package func show(_ reports: [ConnectionReport], of reader: Int) { reported.withLock { $0[reader] = reports } }
    package var reports: [ConnectionReport] { reported.withLock { $0.sorted { $0.key < $1.key }.flatMap(\.value) } }

    /// Open, and every stream acknowledged. One that is live already stays so: another socket has taken its place.
    package func noteLive(_ number: UInt32, nowNs: UInt64) {
        liveSinceNs.withLock { if $0[number] == nil { $0[number] = nowNs } }
    }

    package func noteLost(_ number: UInt32) { liveSinceNs.withLock { $0[number] = nil } }

    /// Since when the connection is live; nil while it is not.
    package subscript(number: UInt32) -> UInt64? { liveSinceNs.withLock { $0[number] } }
}
