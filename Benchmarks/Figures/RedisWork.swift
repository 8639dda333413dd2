// What Redis did until an instant, by its own account: its time for each command, and commands that took long. Plain values.

import FastFeed

struct RedisWork {
    let ns = MonotonicClock.nowNs()
    /// By command, microseconds.
    private let spent: [String: Double]

    /// What a command that holds everybody up takes at least.
    static let slowMicroseconds = 5_000
    /// For redis-server: such commands are kept, all of them.
    static let arguments = ["--slowlog-log-slower-than", "\(slowMicroseconds)", "--slowlog-max-len", "10000"]

    init(_ client: RedisClient) throws {
        var spent: [String: Double] = [:]
        for line in (try client.command("INFO", "commandstats").text ?? "").split(whereSeparator: \.isNewline) {
            guard let match = line.firstMatch(of: /cmdstat_([^:]+):calls=\d+,usec=(\d+)/), let time = Double(match.2) else { continue }
            spent[String(match.1)] = time
        }
        guard !spent.isEmpty else { throw FeedError(.redis, "Redis does not say what its commands take") }
        self.spent = spent
    }

    /// In all commands since the server's start, microseconds.
    var timeInAll: Double { spent.values.reduce(0, +) }

    /// Percent of the time since an earlier look that all commands took, or some.
    func share(since before: RedisWork, of commands: [String]? = nil) -> Double {
        let names = commands ?? Array(spent.keys)
        let microseconds = names.reduce(0) { $0 + (spent[$1] ?? 0) - (before.spent[$1] ?? 0) }
        return microseconds / (Double(ns - before.ns) / 1_000) * 100
    }

    /// Commands that took more than `slowMicroseconds` since the server's start, as it counts them.
    static func slowCommands(_ client: RedisClient) throws -> Double {
        guard let count = try client.command("SLOWLOG", "LEN").integer else { throw FeedError(.redis, "Redis has no slow log") }
        return Double(count)
    }
}
