// A connection to a Redis's streams. Any task, any number of them; one thread of its own carries everything out (StreamLoop).

/// Streams of a Redis: to add to, to read, to follow, and to work on in groups.
///
///     let orders = try await RedisStreams.connect()["orders"]
///     let id = try await orders.add(["order_id": "123", "amount": "99.99"], keep: .newest(100_000))
///     for try await entry in orders.follow(after: .end) { print(entry.id, entry["amount"] ?? "") }
///
/// Each call has `timeout` to come to its end and throws a `StreamError`. Cancelling the task ends the call at once. A connection that is
/// lost is made again by itself. It needs Redis 6.2 or newer, or Valkey; without a cluster. It closes itself when nobody holds it or
/// anything that was made of it any more.
public final class RedisStreams: Sendable {
    let core: StreamCore

    /// The time-out of calls where none is named.
    public static let timeoutDefault = Duration.seconds(5)

    /// Connects, and stays connected.
    /// - Parameters:
    ///   - redis: where.
    ///   - keyPrefix: the service's `--key-prefix`: stands before the keys of series (`streams[series]`), and of nothing else.
    ///   - timeout: of every call, 100 ms to an hour.
    /// - Throws: `.disconnected` with the reason, `.badArgument`, `.cancelled`.
    public static func connect(
        _ redis: RedisEndpoint = .local, keyPrefix: String = "", timeout: Duration = timeoutDefault
    ) async throws(StreamError) -> RedisStreams {
        guard (.milliseconds(100) ... .seconds(3_600)).contains(timeout) else {
            throw .badArgument("the time-out must be 100 ms to an hour, not \(timeout)")
        }
        guard KeySchema.isPrefix(keyPrefix) else { throw .badArgument(KeySchema.prefixRule) }
        // The streams of one connection may be at several nodes.
        guard redis.cluster == nil else {
            throw .badArgument("a Redis Cluster is not possible here yet: name the node that has the stream, as redis://…")
        }
        let opening = StreamTicket(StreamBatch(), deadlineNs: .max)
        let streams = try RedisStreams(redis, KeySchema(prefix: keyPrefix), timeout, opening)
        switch await opening.wait() {
        case .success: return streams
        case .failure(let error):
            streams.close()
            throw error
        }
    }

    private init(_ redis: RedisEndpoint, _ keys: KeySchema, _ timeout: Duration, _ opening: StreamTicket) throws(StreamError) {
        do {
            let core = try StreamCore(keys: keys, timeout: timeout)
            var settings = try RedisLinkSettings(redis)
            settings.connectTimeoutMs = core.timeout.milliseconds
            let thread = try PinnedThread.start(name: "streams") { [settings] in
                StreamLoop(core, settings, opening: opening).run()
            }
            // It ends by itself when this is closed.
            thread.detach()
            self.core = core
        } catch {
            throw .disconnected("\(error)")
        }
    }

    deinit { core.close() }

    /// Ends everything at once: calls and iterations throw `.closed`. Consumers that should give back what they hold are to be stopped
    /// before.
    public func close() { core.close() }

    /// Runs tasks on the thread that reads from Redis, for who wants an entry in its handler some 30 µs sooner: no other thread has to wake
    /// up for it.
    ///
    ///     await withTaskExecutorPreference(streams.executor) {
    ///         for try await message in consumer { handle(message.entry); message.ack() }
    ///     }
    ///
    /// Child tasks, and what they await outside of actors, run there, too; after `close`, wherever tasks run. While such a task runs nothing
    /// else of this connection does: no reply is read, no lease renewed. It is for handlers that take microseconds and never block.
    public var executor: any TaskExecutor { core }

    /// Any stream, by its whole key. Asks nothing; the stream need not be there.
    public subscript(key: String) -> RedisStream { RedisStream(key: key, streams: self) }

    /// The stream of a series' closed candles: `candles:{btcusdt}:1m`, with the key prefix.
    public subscript(series: Series) -> RedisStream { self[core.keys.historyKey(series)] }

    /// What comes into several streams, each from its place on, in one reading: in the order of each stream; between streams as it comes.
    /// - Parameter places: by key; at most 1,024.
    public func follow(_ places: [String: StreamPosition]) -> StreamTail { StreamTail(self, places) }
}
