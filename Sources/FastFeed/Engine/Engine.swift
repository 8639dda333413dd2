// placeholder while the rooms stand up: the public face of the engine
public struct EngineSnapshot: Sendable {
    public var uptimeNs: UInt64
    public var counters: CounterSnapshot
    /// Socket readable to acknowledged by Redis, per candle state written.
    public var latency: HistogramSnapshot
    public var residentBytes: UInt64
    public var heapAllocatedBytes: UInt64?
    /// True while the Redis connection is up.
    public var isRedisConnected: Bool
}
public struct StopReport: Sendable {
    /// Closed candles that Redis has not acknowledged.
    public var closedUnwritten: Int
    /// Series whose newest forming state was not acknowledged.
    public var formingUnwritten: Int
    public var isClean: Bool { closedUnwritten == 0 && formingUnwritten == 0 }
}
public final class Engine: Sendable {
    public init(_ configuration: EngineConfiguration) throws(FeedError) { fatalError() }
    public func start() throws(FeedError) {}
    /// Stops reading, flushes, waits for acknowledgements at most `timeoutMs`.
    public func stop(timeoutMs: Int = 4_000) -> StopReport { fatalError() }
    public func snapshot() -> EngineSnapshot { fatalError() }
    /// Log lines since the last call.
    public func drainJournal() -> [JournalLine] { [] }
}
