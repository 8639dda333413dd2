// Which connections to the exchange are live, and since when. Written by readers when one becomes live or is lost, never for a message;
// read by any thread. Bounded: the connections that are live.

package final class ConnectionBoard: Sendable {
    /// By the number of a connection's key, monotonic.
    private let liveSinceNs = Lock<[UInt32: UInt64]>([:])

    package init() {}

    /// Open, and every stream acknowledged. One that is live already stays so: another socket has taken its place.
    package func noteLive(_ number: UInt32, nowNs: UInt64) {
        liveSinceNs.withLock { if $0[number] == nil { $0[number] = nowNs } }
    }

    package func noteLost(_ number: UInt32) { liveSinceNs.withLock { $0[number] = nil } }

    /// Since when the connection is live; nil while it is not.
    package subscript(number: UInt32) -> UInt64? { liveSinceNs.withLock { $0[number] } }
}
