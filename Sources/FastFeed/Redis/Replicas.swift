// Replicas that may be read from: which of them follows its primary is shown on a board, once a second, by who watches (`RedisWatch`);
// a reader of one thread asks the one that does, in a cluster, for each key, a replica of the key's owner. A question blocks for
// `Limits.replicaTimeoutMs`, connecting included, and after one that failed no replica of that primary is asked until the board says anew
// that there is one.

/// Primaries go by `host:port`; where there is one alone, whichever server it is, by no name.
package final class ReplicaBoard: Sendable {
    private struct Entry {
        /// Nil: none of that primary's may be read from.
        let replica: RedisEndpoint?
        let seenNs: UInt64
    }
    private let entries = Lock<[String: Entry]>([:])

    package init() {}

    /// - Parameter seenNs: when it was asked.
    package func show(_ replica: RedisEndpoint?, of primary: String = "", seenNs: UInt64) {
        entries.withLock { $0[primary] = Entry(replica: replica, seenNs: seenNs) }
    }

    /// These are the primaries; others are none any more.
    package func keep(_ primaries: [String]) {
        entries.withLock { entries in
            let none = Entry(replica: nil, seenNs: 0)
            entries = Dictionary(primaries.map { ($0, entries[$0] ?? none) }) { first, _ in first }
        }
    }

    /// A replica that followed its primary a moment ago, and after that instant.
    package func replica(of primary: String = "", afterNs: UInt64 = 0, nowNs: UInt64) -> RedisEndpoint? {
        entries.withLock { entries in
            guard let entry = entries[primary], entry.seenNs > afterNs, nowNs &- entry.seenNs <= Limits.replicaTrustNs else { return nil }
            return entry.replica
        }
    }

    /// Each primary has one that may be read from.
    package func isComplete(nowNs: UInt64) -> Bool {
        let primaries = entries.withLock { Array($0.keys) }
        return !primaries.isEmpty && primaries.allSatisfy { replica(of: $0, nowNs: nowNs) != nil }
    }
}

package struct ReplicaReader {
    private let board: ReplicaBoard
    /// Nil: Redis is not a cluster.
    private let cluster: ClusterBoard?
    /// By the primary that they follow.
    private var links: [String: (to: RedisEndpoint, connection: RedisConnection)] = [:]
    /// When the replica of a primary failed.
    private var failedNs: [String: UInt64] = [:]

    package init(_ board: ReplicaBoard, of endpoint: RedisEndpoint) { (self.board, cluster) = (board, endpoint.cluster?.board) }

    /// The replies; nil when some of the commands have no replica that may be asked, and when one does not answer, or with an error.
    package mutating func ask(_ commands: [[String]]) -> [RedisReply]? {
        let nowNs = MonotonicClock.nowNs()
        let untilNs = nowNs + .ns(ms: Limits.replicaTimeoutMs)
        failedNs = failedNs.filter { nowNs &- $0.value <= Limits.replicaTrustNs }
        func replica(of primary: String) -> RedisEndpoint? {
            board.replica(of: primary, afterNs: failedNs[primary] ?? 0, nowNs: nowNs)
        }
        for (primary, link) in links where replica(of: primary) != link.to { close(primary) }
        let primaries = commands.map { cluster == nil ? "" : CommandKey.slot($0).flatMap { cluster?.owner($0) }?.description ?? "" }
        var replicas: [String: RedisEndpoint] = [:]
        for primary in primaries {
            guard let replica = replica(of: primary) else { return nil }
            replicas[primary] = replica
        }
        var replies = [RedisReply](repeating: .null, count: commands.count)
        for (primary, replica) in replicas {
            let places = primaries.indices.filter { primaries[$0] == primary }
            do throws(FeedError) {
                let answers = try open(primary, replica, untilNs: untilNs).ask(places.map { commands[$0] }, untilNs: untilNs)
                for (place, answer) in zip(places, answers) {
                    if case .error(let message) = answer { throw FeedError(.redis, message) }
                    replies[place] = answer
                }
            } catch {
                close(primary)
                failedNs[primary] = MonotonicClock.nowNs()
                if Redirect(error: error.message) != nil { cluster?.want() }
                return nil
            }
        }
        return replies
    }

    private mutating func open(_ primary: String, _ replica: RedisEndpoint, untilNs: UInt64) throws(FeedError) -> RedisConnection {
        if let link = links[primary] { return link.connection }
        let leftNs = untilNs - min(untilNs, MonotonicClock.nowNs())
        let connection = try RedisConnection.connect(
            replica, timeoutMs: Int(leftNs / 1_000_000), stringBytesMax: Limits.clientBytesMax, outboxBytesMax: Limits.clientBytesMax)
        links[primary] = (replica, connection)
        if cluster != nil { _ = try connection.ask([ReplicationInfo.permission], untilNs: untilNs) }
        return connection
    }

    private mutating func close(_ primary: String) { links.removeValue(forKey: primary)?.connection.close() }
}
