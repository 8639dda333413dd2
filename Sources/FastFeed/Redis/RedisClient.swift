// A small client that blocks, for views, commands and tests: `RedisConnection` turned until the answer is there. Not for the
// data path. One thread at a time; each call blocks up to its time-out.

public final class RedisClient {
    private let connection: RedisConnection
    private let timeoutMs: Int

    private init(_ connection: RedisConnection, timeoutMs: Int) {
        self.connection = connection
        self.timeoutMs = timeoutMs
    }

    /// Connects, authenticates and selects.
    /// - Throws: one sentence saying what failed.
    public static func connect(_ endpoint: RedisEndpoint, timeoutMs: Int = 5_000) throws(FeedError) -> RedisClient {
        let connection = try RedisConnection.connect(
            endpoint, timeoutMs: timeoutMs, stringBytesMax: Limits.clientBytesMax, outboxBytesMax: Limits.clientBytesMax)
        return RedisClient(connection, timeoutMs: timeoutMs)
    }

    /// Ends our side of the connection; what is under way is lost.
    public func close() { connection.close() }

    /// One command, one reply. An error reply is a value, not a throw.
    public func command(_ arguments: [String]) throws(FeedError) -> RedisReply { try pipeline([arguments])[0] }

    public func command(_ arguments: String...) throws(FeedError) -> RedisReply { try pipeline([arguments])[0] }

    /// Many commands in one go; replies in the same order.
    public func pipeline(_ commands: [[String]]) throws(FeedError) -> [RedisReply] {
        guard connection.send(commands) else { throw FeedError(.redis, connection.loss ?? "too many bytes for one command to Redis") }
        return try commands.map { _ throws(FeedError) in
            guard let reply = try receive(timeoutMs: timeoutMs) else {
                throw FeedError(.redis, "no reply from Redis within \(timeoutMs) ms")
            }
            return reply
        }
    }

    /// The next reply or pushed message; nil when none comes in time.
    public func receive(timeoutMs: Int) throws(FeedError) -> RedisReply? {
        switch connection.next(timeoutMs: timeoutMs) {
        case .reply(let reply): return reply
        case .nothing: return nil
        case .lost(let reason): throw FeedError(.redis, reason)
        }
    }
}
