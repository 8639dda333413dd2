// A small client that blocks, for views, commands and tests: `RoutedConnection` turned until the answer is there. Not for the
// data path. One thread at a time; each call blocks up to its time-out.

/// A connection to Redis whose calls block, up to the time-out. One thread at a time.
///
/// In a Redis Cluster each command goes to the node of its first key, and one without a key to a single node: KEYS, SCAN, DBSIZE and
/// FLUSHALL are about that node's keys alone. MULTI, EXEC, DISCARD, WATCH and UNWATCH are answered with an error there, and so is what a
/// node owes that is silent for the time-out.
public final class RedisClient {
    private let connection: RoutedConnection
    private let timeout: Duration

    private init(_ connection: RoutedConnection, _ timeout: Duration) { (self.connection, self.timeout) = (connection, timeout) }

    /// Connects, authenticates and selects.
    /// - Throws: one sentence saying what failed.
    public static func connect(_ endpoint: RedisEndpoint, timeout: Duration = .seconds(5)) throws(FeedError) -> RedisClient {
        let connection = try RoutedConnection.connect(
            endpoint, timeoutMs: timeout.milliseconds, stringBytesMax: Limits.clientBytesMax, outboxBytesMax: Limits.clientBytesMax,
            silenceMs: timeout.milliseconds)
        return RedisClient(connection, timeout)
    }

    /// Ends our side of the connection; what is under way is lost.
    public func close() { connection.close() }

    /// One command, one reply. An error reply is a value, not a throw.
    public func command(_ arguments: [String]) throws(FeedError) -> RedisReply { try pipeline([arguments])[0] }

    /// One command, one reply. An error reply is a value, not a throw.
    public func command(_ arguments: String...) throws(FeedError) -> RedisReply { try pipeline([arguments])[0] }

    /// Many commands in one go; replies in the same order.
    public func pipeline(_ commands: [[String]]) throws(FeedError) -> [RedisReply] {
        guard connection.send(commands) else { throw FeedError(.redis, connection.loss ?? "too many bytes for one command to Redis") }
        return try commands.map { _ throws(FeedError) in
            guard let reply = try receive(timeout: timeout) else {
                throw FeedError(.redis, "no reply from Redis within \(timeout.milliseconds) ms")
            }
            return reply
        }
    }

    /// The next reply or pushed message; nil when none comes in time.
    public func receive(timeout: Duration) throws(FeedError) -> RedisReply? {
        switch connection.next(timeoutMs: timeout.milliseconds) {
        case .reply(let reply): return reply
        case .nothing: return nil
        case .lost(let reason): throw FeedError(.redis, reason)
        }
    }
}
