// Reads what Redis has, for the healer: a connection that is opened when it is needed and again when it is lost, with pauses between. The
// healer's thread alone, except `stop`. A call blocks for `Limits.healerRedisTimeoutMs` at most, and not much longer than a tenth of a
// second once `stop` was called.

import Synchronization

package final class RedisHistoryReader: HistoryReader, @unchecked Sendable {
    private let endpoint: RedisEndpoint
    private var connection: RoutedConnection?
    private var backoff: Backoff
    private var notBeforeNs: UInt64 = 0
    private let stopping = Atomic<Bool>(false)

    package init(_ endpoint: RedisEndpoint, seed: UInt64) {
        self.endpoint = endpoint
        backoff = Backoff(Limits.redisBackoffMs, seed: seed)
    }

    /// Any thread: nobody waits any more.
    package func stop() { stopping.store(true, ordering: .relaxed) }

    private var isStopping: Bool { stopping.load(ordering: .relaxed) }

    package func ask(_ commands: [[String]]) -> [RedisReply]? {
        if isStopping { return nil }
        if commands.isEmpty { return [] }
        let untilNs = MonotonicClock.nowNs() + .ns(ms: Limits.healerRedisTimeoutMs)
        guard let connection = connected(), connection.send(commands) else { return lose() }
        var replies: [RedisReply] = []
        replies.reserveCapacity(commands.count)
        while replies.count < commands.count {
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < untilNs, !isStopping else { return lose() }
            switch connection.next(timeoutMs: Int(min(100, (untilNs - nowNs) / 1_000_000 + 1))) {
            case .reply(let reply): replies.append(reply)
            case .nothing: continue
            case .lost: return lose()
            }
        }
        backoff.succeeded()
        return replies
    }

    private func connected() -> RoutedConnection? {
        if let connection { return connection }
        guard MonotonicClock.nowNs() >= notBeforeNs else { return nil }
        do {
            connection = try RoutedConnection.connect(endpoint, timeoutMs: Limits.healerRedisTimeoutMs) { !self.isStopping }
        } catch {
            // The sink says what is wrong with Redis.
            notBeforeNs = MonotonicClock.nowNs() + backoff.nextDelayNs()
        }
        return connection
    }

    /// What is under way is lost; replies that still come are nobody's.
    private func lose() -> [RedisReply]? {
        connection?.close()
        connection = nil
        return nil
    }
}
