// Replicas that may be read from: which of them follows their primary is shown on a board, once a second, by who watches
// (`RedisWatch`); a reader of one thread asks the one that does. A question blocks for `Limits.replicaTimeoutMs`, connecting included,
// and after one that failed nobody is asked until the board has been written anew.

package final class ReplicaBoard: Sendable {
    private let entry = Lock<(replica: RedisEndpoint, seenNs: UInt64)?>(nil)

    package init() {}

    /// - Parameter seenNs: when it was asked.
    package func show(_ replica: RedisEndpoint?, seenNs: UInt64) { entry.withLock { $0 = replica.map { ($0, seenNs) } } }

    /// A replica that followed its primary a moment ago, and after that instant.
    package func replica(afterNs: UInt64 = 0, nowNs: UInt64) -> RedisEndpoint? {
        entry.withLock { entry in
            guard let entry, entry.seenNs > afterNs, nowNs &- entry.seenNs <= Limits.replicaTrustNs else { return nil }
            return entry.replica
        }
    }
}

package struct ReplicaReader {
    private let board: ReplicaBoard
    private var connection: (to: RedisEndpoint, link: RedisConnection)?
    private var failedNs: UInt64 = 0

    package init(_ board: ReplicaBoard) { self.board = board }

    /// The replies; nil when there is no replica that may be asked, or it does not answer.
    package mutating func ask(_ commands: [[String]]) -> [RedisReply]? {
        let nowNs = MonotonicClock.nowNs()
        guard let replica = board.replica(afterNs: failedNs, nowNs: nowNs) else {
            close()
            return nil
        }
        if connection?.to != replica { close() }
        do throws(FeedError) {
            let link: RedisConnection
            if let connection {
                link = connection.link
            } else {
                link = try RedisConnection.connect(
                    replica, timeoutMs: Limits.replicaTimeoutMs, stringBytesMax: Limits.clientBytesMax,
                    outboxBytesMax: Limits.clientBytesMax)
                connection = (replica, link)
            }
            return try link.ask(commands, untilNs: nowNs + .ns(ms: Limits.replicaTimeoutMs))
        } catch {
            close()
            failedNs = MonotonicClock.nowNs()
            return nil
        }
    }

    private mutating func close() {
        connection?.link.close()
        connection = nil
    }
}
