// What Redis says of itself, as the ops server shows it. Plain values, any thread.

import FastFeed

/// The fields of INFO.
struct RedisInfo: Sendable {
    private let fields: [String: String]
    private let replication: ReplicationInfo

    init(_ text: String) {
        replication = ReplicationInfo(text)
        var fields: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
        self.fields = fields
    }

    subscript(name: String) -> String? { fields[name] }
    func number(_ name: String) -> UInt64? { fields[name].flatMap { UInt64($0) } }

    var version: String { fields["redis_version"] ?? "" }
    var role: String { fields["role"] ?? "" }
    var policy: String { fields["maxmemory_policy"] ?? "" }
    var isAOFEnabled: Bool { fields["aof_enabled"] == "1" }
    var isLastWriteGood: Bool { fields["aof_last_write_status"] != "err" }

    /// How far its slowest replica is behind, in bytes; 0 without one.
    var replicationLag: UInt64 { replication.lagBytes }

    /// What is risky, in sentences.
    var remarks: [String] {
        var found: [String] = []
        if !isAOFEnabled { found.append("Redis writes no log of its own (appendonly no): a crash loses what it has acknowledged") }
        if !isLastWriteGood { found.append("Redis cannot write its log: it loses what it acknowledges when it crashes") }
        if !policy.isEmpty && policy != "noeviction" { found.append("maxmemory-policy \(policy) evicts candles when memory is short") }
        if let used = number("used_memory"), let most = number("maxmemory"), most > 0, used > most / 10 * 9 {
            found.append("Redis uses more than 90 % of its maxmemory")
        }
        return found
    }
}

/// What was seen of Redis the last time.
struct RedisSight: Sendable {
    var isConnected = false
    /// Nil while it is not known, or INFO is refused.
    var info: RedisInfo?
    /// Why there is nothing.
    var reason: String?
    /// Entries of the slow log since the server's start.
    var slowCount: UInt64?
    /// The newest of them, and events of the latency monitor.
    var slowLog: [JSONValue] = []
    var latencyEvents: [JSONValue] = []
    var seenMs: Int64 = 0
}
