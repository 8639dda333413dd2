// The URLs of a Redis Cluster, and its map, which all connections of a process share that were made from one endpoint. Values, any thread;
// the board is under a lock.

import Synchronization

/// Some nodes of a Redis Cluster: any of them says which nodes there are.
public struct ClusterSeeds: Sendable, Equatable {
    /// Nodes of the cluster that may be asked, at least one.
    public let addresses: [Authority]
    package let board = ClusterBoard()
    /// Commands without a key go to the node that owns this one: PUBLISH tells how many listen at its own node alone.
    package var homeKey = "status:service"
    package var homeSlot: HashSlot { HashSlot(key: homeKey) }

    init(_ addresses: [Authority]) { self.addresses = addresses }

    /// Compares the places, whatever was heard there.
    public static func == (one: ClusterSeeds, other: ClusterSeeds) -> Bool { one.addresses == other.addresses }
}

/// The newest map that was believed, and what MOVED has said since.
package final class ClusterBoard: Sendable {
    private struct Entry {
        var map: SlotMap?
        /// Grows with each change.
        var version = 0
        /// Epoch of the newest map.
        var epoch: Int64 = 0
        /// Rounds in a row in which all that answered were of the past, and when the next one counts.
        var (pastCount, pastDueNs) = (0, UInt64(0))
        var receiver: WakeUp?
        var turn = 0
    }
    private let entry = Lock(Entry())
    private let wanted = Atomic<Bool>(true)

    package init() {}

    /// Nil before the first answer.
    package var map: SlotMap? { entry.withLock { $0.map } }
    package var version: Int { entry.withLock { $0.version } }

    /// What a node has said. False when that is of the past: it is not believed.
    /// - Parameter epoch: the cluster's, as the node knows it, which grows with each failover; 0: not known.
    @discardableResult
    package func take(_ map: SlotMap, epoch: Int64 = 0) -> Bool {
        entry.withLock { entry in
            guard epoch == 0 || epoch >= entry.epoch else { return false }
            (entry.epoch, entry.pastCount) = (max(entry.epoch, epoch), 0)
            guard entry.map != map else { return true }
            entry.map = map
            entry.version += 1
            return true
        }
    }

    /// All that have answered know an earlier epoch. When that goes on, it is a cluster that was made anew, and is believed.
    package func notePast(nowNs: UInt64 = MonotonicClock.nowNs()) {
        entry.withLock { entry in
            guard nowNs >= entry.pastDueNs else { return }
            (entry.pastCount, entry.pastDueNs) = (entry.pastCount + 1, nowNs + .ns(ms: Limits.clusterMapMs))
            if entry.pastCount >= Limits.clusterPastRounds { (entry.epoch, entry.pastCount) = (0, 0) }
        }
    }

    /// `cluster_current_epoch` of CLUSTER INFO; 0 where that is not said.
    package static func epoch(ofInfo text: String) -> Int64 {
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cluster_current_epoch:") }
        return max(0, line.flatMap { Int64($0.dropFirst("cluster_current_epoch:".count)) } ?? 0)
    }

    package func take(_ redirect: Redirect) {
        guard redirect.kind == .moved, let node = redirect.node else { return }
        entry.withLock { entry in
            // A copy: others may read the one that they were given.
            guard var map = entry.map, map.owner(redirect.slot) != node, map.move(redirect.slot, to: node) else { return }
            (entry.map, entry.version) = (map, entry.version + 1)
        }
    }

    /// Whoever writes has learned that the map is not what it was: it is to be asked for soon. Any thread.
    package func want() {
        wanted.store(true, ordering: .releasing)
        entry.withLock { $0.receiver }?.signal()
    }

    /// Whether it was wanted since the last call.
    package func takeWanted() -> Bool { wanted.exchange(false, ordering: .acquiring) }

    package var isWanted: Bool { wanted.load(ordering: .acquiring) }

    /// Grows with each question, so that each begins with another node.
    func nextTurn() -> Int {
        entry.withLock { entry in
            entry.turn += 1
            return entry.turn
        }
    }

    /// Somebody hears what is wanted.
    var isWatched: Bool { entry.withLock { $0.receiver != nil } }

    /// Who asks for it is woken by `want`.
    package func setReceiver(_ wakeUp: WakeUp?) { entry.withLock { $0.receiver = wakeUp } }

    /// The owner of what is asked first, as far as is known.
    package func owner(_ slot: HashSlot) -> Authority? { entry.withLock { $0.map?.owner(slot) } }
}

extension RedisEndpoint {
    static let clusterKind = URLKind(
        name: "Redis URL", schemes: ["redis+cluster://": 6_379, "rediss+cluster://": 6_379], schemesListed: schemesListed,
        endMarks: "/", hasCredentials: true)

    static func isClusterURL(_ url: String) -> Bool { clusterKind.schemes.contains { url.hasPrefix($0.key) } }

    /// `redis+cluster://[user:pass@]host[:port][,host[:port]…]`. The credentials are those of all nodes. A cluster has database 0 alone.
    init(clusterURL url: String) throws(FeedError) {
        let (parts, addresses) = try RedisEndpoint.clusterKind.parseHosts(url, most: Limits.clusterSeedsMax, of: "node")
        guard ["", "/", "/0"].contains(parts.rest) else {
            throw RedisEndpoint.clusterKind.refusal(url, "a Redis Cluster has database 0 alone: nothing stands behind its nodes")
        }
        self.init(place: .cluster(ClusterSeeds(addresses)))
        isSecure = parts.scheme == "rediss+cluster://"
        (user, password) = try RedisEndpoint.clusterKind.credentials(of: parts)
    }

    /// The same; of a cluster with that key's node for all that has none.
    package func home(at key: String) -> RedisEndpoint {
        guard case .cluster(var seeds) = place else { return self }
        seeds.homeKey = key
        var endpoint = self
        endpoint.place = .cluster(seeds)
        return endpoint
    }

    /// Nil where Redis is not a cluster.
    package var cluster: ClusterSeeds? { if case .cluster(let seeds) = place { seeds } else { nil } }
}

extension URLKind {
    /// A URL with several hosts, `scheme://[credentials@]host[:port],host[:port]…[rest]`; each once.
    func parseHosts(_ url: String, most: Int, of kind: String) throws(FeedError) -> (parts: Parts, addresses: [Authority]) {
        // The parser of one host: the first of the list stands for all of them.
        guard let scheme = schemes.first(where: { url.hasPrefix($0.key) })?.key else { throw refusal(url, "another scheme") }
        let all = url.dropFirst(scheme.count)
        let end = all.firstIndex(of: "/") ?? all.endIndex
        let hostsStart = all[..<end].lastIndex(of: "@").map { all.index(after: $0) } ?? all.startIndex
        let hosts = all[hostsStart..<end].split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count <= most else { throw refusal(url, "more than \(most) \(kind)s") }
        let parts = try parse(scheme + all[..<hostsStart] + (hosts.first ?? "") + all[end...])
        let port = schemes.first { $0.key == parts.scheme }?.value ?? 0
        let addresses = hosts.compactMap { Authority($0, portElse: port) }
        guard addresses.count == hosts.count else { throw refusal(url, "host or port of a \(kind) is missing or malformed") }
        guard Set(addresses.map(\.description)).count == addresses.count else { throw refusal(url, "a \(kind) is named twice") }
        return (parts, addresses)
    }
}
