// What INFO says of replication: of a primary, how far its replicas are behind; of a replica, how well it follows. And what of it the
// status shows. Pure.

package struct ReplicationInfo: Sendable, Equatable {
    /// `master` or `slave`.
    package let role: String
    package let replicaCount: Int
    /// How far the slowest replica is behind, in bytes; 0 without one.
    package let lagBytes: UInt64
    /// Which history of writes it has, and how far it has come in it.
    private let history: String?
    private let offset: UInt64?
    /// Of a replica: what its primary writes reaches it, and for how long it has heard nothing.
    private let isLinked: Bool
    private let silenceSeconds: UInt64?

    package static let question = ["INFO", "replication"]
    /// To a node of a cluster, before keys are read from it that its primary owns.
    package static let permission = ["READONLY"]

    /// - Parameter text: the answer to INFO, or the part of it.
    package init(_ text: String) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        func number(_ name: Substring) -> UInt64? { fields[name].flatMap { UInt64($0) } }
        role = fields["role"].map(String.init) ?? ""
        let count = min(number("connected_slaves") ?? 0, 64)
        replicaCount = Int(count)
        let offsets = (0..<count).compactMap { index -> UInt64? in
            let parts = fields["slave\(index)"]?.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1) }
            return parts?.first { $0.first == "offset" }.flatMap { $0.count == 2 ? UInt64($0[1]) : nil }
        }
        let written = number("master_repl_offset") ?? 0
        lagBytes = written - min(written, offsets.min() ?? written)
        history = fields["master_replid"].map(String.init)
        offset = number(role == "slave" ? "slave_repl_offset" : "master_repl_offset")
        isLinked = fields["master_link_status"] == "up"
        silenceSeconds = number("master_last_io_seconds_ago")
    }

    /// Why a replica may not be read from; nil when it follows closely. What it has heard last may be old though it hears something: so it
    /// must have what its primary had. (One that has all of it may have heard nothing for long: a primary that writes nothing says something
    /// every ten seconds.)
    /// - Parameter primary: what that one has said a moment before; nil when it has not: then it must have heard of it in the last seconds.
    package func staleness(behind primary: ReplicationInfo?) -> String? {
        guard role == "slave" else { return "it is not a replica" }
        guard isLinked, let silenceSeconds else { return "it has no connection to its primary" }
        if let primary, primary.role != "master" { return "its primary is not one any more" }
        guard let primary, let had = primary.offset, let offset else {
            return silenceSeconds <= Limits.replicaSilenceSeconds ? nil : "it has not heard of its primary for \(silenceSeconds) s"
        }
        guard history == primary.history else { return "it does not have the primary's history" }
        return offset >= had ? nil : "it lacks \(had - offset) bytes of what its primary had a second ago"
    }
}

/// How Redis stands, for status.
package struct RedisStanding: Sendable, Equatable {
    /// `single`, `sentinel` or `cluster`.
    package var mode = ""
    /// Where the server is that is written to, of a cluster all that are; empty while nobody knows.
    package var primary = ""
    /// What it says of its replicas; nil while it has not.
    package var replicas: ReplicationInfo?

    package init() {}

    package init(_ endpoint: RedisEndpoint, replicas: ReplicationInfo? = nil) {
        self.replicas = replicas
        switch endpoint.place {
        case .tcp(let authority): (mode, primary) = ("single", "\(authority)")
        case .unix(let path): (mode, primary) = ("single", path)
        case .sentinel(let sentinels): (mode, primary) = ("sentinel", sentinels.board.primary.map { "\($0.authority)" } ?? "")
        case .cluster(let seeds):
            (mode, primary) = ("cluster", (seeds.board.map?.primaries ?? []).map(\.description).joined(separator: ","))
        }
    }
}
