// Everything a user may decide about the engine, as plain values. Loading them from flags, environment and
// file is the program's business. Any thread.

/// How the engine's agents share threads (ARCHITECTURE.md, "Threads").
public enum ThreadingMode: String, CaseIterable, Sendable {
    /// One thread per reader and one for the sink, each pinned to a core.
    case dedicated
    /// All on one thread: on few cores a hand-off costs more than the work.
    case shared
}

/// Which servers of Redis the service reads candles from when it is asked for data.
public enum ReadFrom: String, CaseIterable, Sendable {
    /// The server that is written to.
    case primary
    /// A replica that follows the primary; the primary while there is none.
    case replica
}

/// Symbols to follow, each at each of the intervals.
public struct FluxDefinition: Sendable, Hashable {
    /// Each once, in any order.
    public var symbols: [Symbol]
    /// Each once, in any order.
    public var intervals: [Interval]

    /// Each symbol at each interval.
    public init(symbols: [Symbol], intervals: [Interval]) {
        (self.symbols, self.intervals) = (symbols, intervals)
    }

    /// - Parameter text: `btcusdt,ethusdt:1m` or `btcusdt:1m,5m`.
    /// - Throws: one sentence naming the part that is wrong.
    public init(_ text: String) throws(FeedError) {
        func refuse(_ why: String) -> FeedError { FeedError(.configuration, "flux '\(Ascii.printable(text.utf8))': \(why)") }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw refuse("expected SYMBOLS:INTERVALS, as in btcusdt,ethusdt:1m") }
        func list<Value: Equatable>(
            _ text: Substring, _ read: (Substring) -> Value?, orElse refusal: (Substring) -> String
        ) throws(FeedError) -> [Value] {
            var values: [Value] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let value = read(part) else { throw refuse(refusal(part)) }
                if !values.contains(value) { values.append(value) }
            }
            return values
        }
        let known = Interval.allCases.map(\.token).joined(separator: " ")
        let symbols = try list(parts[0], { Symbol($0) }, orElse: { Symbol.refusal($0) })
        let intervals = try list(parts[1], { Interval(token: $0) }) {
            "'\(Ascii.printable($0.utf8, limit: 40))' is not an interval (\(known))"
        }
        self.init(symbols: symbols, intervals: intervals)
    }
}

/// What an engine follows, from where, to which Redis, and within which bounds. The defaults: the spot market, no flux, and
/// a Redis on this machine.
public struct EngineConfiguration: Sendable {
    /// Decides hosts, routes and key prefixes.
    public var market = Market.spot
    /// What is followed from the start; commands may add more.
    public var fluxes: [FluxDefinition] = []

    // The exchange
    /// Scheme, host and port of the streams, and of other hosts that have the same streams: connections take turns. None means the
    /// market's production host. A plain `/ws` or `/stream` behind them is left out, with a line in the log; any other path, and a query,
    /// is refused.
    public var venues: [WebSocketEndpoint] = []
    /// The first of them, and the only one when it is set.
    public var venue: WebSocketEndpoint? {
        get { venues.first }
        set { venues = newValue.map { [$0] } ?? [] }
    }
    /// Base of the REST interface: the list of symbols, and candles that no flux covers. Nil: it is not asked.
    public var venueREST: RestEndpoint?
    /// PEM file to trust for the exchange instead of the system's store.
    public var venueAuthorityFile: String?
    /// Allow `ws://` to a host that is not this machine.
    public var allowsPlainRemote = false
    /// The proxy on the way to the exchange, for streams and REST alike; none by default.
    public var proxy = ProxyChoice.off
    /// Whether streams are asked for in the connection's URL or by messages; by default in the URL where the names fit.
    public var subscribeForm = SubscribeForm.automatic
    /// Combined streams (`/stream`) or raw ones (`/ws`).
    public var usesCombinedStreams = true
    /// Streams of one connection, at most.
    public var streamsPerConnectionMax = 1_024
    /// Each stream comes on so many connections, 1 or 2: on different readers and hosts, where there are two. What comes first counts.
    public var redundancy = 1
    /// A connection is replaced when it has been open for so long, 10 s to 24 h, one after the other. The exchange cuts at 24 h.
    public var connectionLifetime = Duration.milliseconds(Limits.venueConnectionAgeMs)
    /// Serve commands and publish status over Redis. Without it the fluxes of the configuration are all there ever is.
    public var takesCommands = false
    /// Of several services with this market and key prefix one takes commands. When it has died, another takes over after this long, 1 s
    /// to a minute.
    public var lease = Duration.seconds(6)
    /// The group that this service is a member of. Nil: it is alone, or stands by for another one.
    public var group: GroupConfiguration?
    /// For tests, which cannot wait as long as a user can: TCP, TLS and upgrade together; the answer to a SUBSCRIBE; the same two for Redis.
    package var handshakeTimeoutMs = Limits.handshakeTimeoutMs
    package var subscribeTimeoutMs = Limits.subscribeTimeoutMs
    /// False where the exchange's clock runs at its own pace (the demo's): that it differs from ours is not news then.
    package var watchesClock = true
    package var connectLedgerWaitMs = Limits.connectLedgerWaitMs
    package var redisConnectTimeoutMs = Limits.redisConnectTimeoutMs
    package var redisReplyTimeoutMs = Limits.redisReplyTimeoutMs

    // Threads
    /// Readers, which share the connections: one thread each, where threads are dedicated.
    public var readerCount = 1
    /// Nil means by the number of cores: `shared` below three.
    public var threading: ThreadingMode?
    /// What a thread does when there is nothing to do.
    public var idle = IdleStrategy.park

    // Redis
    /// The Redis that candles go to; this machine's by default.
    public var redis = RedisEndpoint.local
    /// Which servers `data` is read from.
    public var readFrom = ReadFrom.primary
    /// A replica that is read from, besides those that Sentinels know.
    public var redisReplica: RedisEndpoint?
    /// Stands in front of all keys and channels; empty: nothing does.
    public var keyPrefix = ""
    /// Candle states per pipelined batch, at most.
    public var batchSize = 1_500
    /// Entries kept in each history stream (approximately, as `MAXLEN ~` does).
    public var history = 1_500
    /// Of these, so many are there from the start of a series, at most `history`; nil: 1,000, or `history` where that is less. A flux may
    /// ask for another number. Older candles come from the REST interface.
    public var backfill: Int?
    /// A closed candle waits so long for a hole before it to be filled, up to five minutes, so that a history grows in order; zero: never.
    public var healHold = Duration.seconds(5)
    /// A bar that has not closed so long after its end, half a second to a minute, is asked for.
    public var closeGrace = Duration.seconds(2)
    /// What the comparison of histories with the exchange's own may take of the exchange's weight limit, in percent, at most 20; 0: none.
    public var auditPercent = 5
    /// After a new connection to Redis, closed candles that it had acknowledged so lately are written once more, at most ten minutes; zero:
    /// none. A failover may lose what a server has acknowledged.
    public var rewrite = Duration.seconds(60)
    /// Closed candles that may wait while Redis is away, a power of two; beyond, the oldest become gaps.
    public var closedQueueCount = Limits.closedQueueCountMax
    /// How updates are published; `sharded` with a Redis Cluster alone.
    public var updates = UpdateMode.classic
    /// Off: every update is written (for comparison).
    package var coalesces = true

    /// The defaults: the spot market, no flux, a Redis on this machine.
    public init() {}

    /// - Throws: one sentence naming the value that is out of range.
    package func validate() throws(FeedError) {
        func check(_ ok: Bool, _ sentence: String) throws(FeedError) { if !ok { throw FeedError(.configuration, sentence) } }
        try check(!fluxes.isEmpty || takesCommands, "no flux: name at least one, as in --flux btcusdt:1m")
        try check((1...64).contains(readerCount), "readers must be 1 to 64, not \(readerCount)")
        try check((1...65_536).contains(batchSize), "batch-size must be 1 to 65536, not \(batchSize)")
        try check(
            (256...Limits.closedQueueCountMax).contains(closedQueueCount) && closedQueueCount.nonzeroBitCount == 1,
            "closed-queue must be a power of two from 256 to \(Limits.closedQueueCountMax), not \(closedQueueCount)")
        try check((1...Limits.historyMax).contains(Int64(history)), "history must be 1 to \(Limits.historyMax), not \(history)")
        try check((0...history).contains(heal.backfill), "backfill must be 0 to \(history) (history), not \(heal.backfill)")
        try check(Limits.healHoldMs.contains(heal.holdMs), "heal-hold must be 0 to 300 seconds")
        try check(Limits.closeGraceMs.contains(heal.closeGraceMs), "close-grace must be 0.5 to 60 seconds")
        try check(Limits.rewriteMs.contains(rewrite.milliseconds), "rewrite-seconds must be 0 to 600")
        try check(Limits.auditPercent.contains(auditPercent), "audit-percent must be 0 to 20, not \(auditPercent)")
        try check((1...1_024).contains(streamsPerConnectionMax), "streams-per-connection must be 1 to 1024, not \(streamsPerConnectionMax)")
        try check(Limits.redundancy.contains(redundancy), "redundancy must be 1 or 2, not \(redundancy)")
        try check(
            Limits.connectionLifetimeMs.contains(connectionLifetime.milliseconds),
            "connection-lifetime must be 10 to 86400 seconds, not \(connectionLifetime.milliseconds / 1_000)")
        try check(KeySchema.isPrefix(keyPrefix), KeySchema.prefixRule)
        try check(Limits.leaseMs.contains(lease.milliseconds), "lease-seconds must be 1 to 60, not \(lease.milliseconds / 1_000)")
        for flux in fluxes where market == .um && flux.intervals.contains(.s1) {
            throw FeedError(.configuration, "interval 1s does not exist on the um market (\(flux.symbols[0]))")
        }
        if let group {
            try check(takesCommands, "a group needs commands")
            // Who only watches a series writes none of its updates: the second one would wait for the first for ever.
            try check(coalesces, "no-coalesce, which is for comparison, has no meaning in a group")
            try group.validate(rewriteMs: rewrite.milliseconds)
        }
        try checkVenue()
        try check(redis.user == nil || redis.password != nil, "a Redis user is named, but no password")
        try checkReplica()
        try checkCluster()
        try check(
            placement.fits(seriesList),
            "\(seriesList.count) series are more than \(readerCount) readers take; raise streams-per-connection or readers")
    }

    private func checkReplica() throws(FeedError) {
        func check(_ ok: Bool, _ sentence: String) throws(FeedError) { if !ok { throw FeedError(.configuration, sentence) } }
        if let redisReplica {
            try check(readFrom == .replica, "redis-replica has no meaning without read-from replica")
            try check(
                redisReplica.sentinels == nil && redisReplica.cluster == nil,
                "redis-replica must be one server: redis://, rediss:// or unix://")
        } else {
            try check(
                readFrom == .primary || redis.sentinels != nil || redis.cluster != nil,
                "read-from replica needs Sentinels (redis+sentinel://…), a cluster (redis+cluster://…) or redis-replica")
        }
    }

    private func checkCluster() throws(FeedError) {
        func check(_ ok: Bool, _ sentence: String) throws(FeedError) { if !ok { throw FeedError(.configuration, sentence) } }
        guard redis.cluster != nil else {
            return try check(updates != .sharded, "updates sharded needs a Redis Cluster (redis+cluster://…)")
        }
        // Each update would be a system call to one node, and another to the next.
        try check(coalesces, "no-coalesce, which is for comparison, has no meaning with a Redis Cluster")
        try check(redisReplica == nil, "redis-replica has no meaning with a Redis Cluster, whose nodes say which replicas there are")
    }

    /// A placement of these readers that carries nothing yet.
    package var placement: Placement {
        Placement(readerCount: readerCount, streamsPerConnectionMax: streamsPerConnectionMax, redundancy: redundancy)
    }

    private func checkVenue() throws(FeedError) {
        func check(_ ok: Bool, _ sentence: String) throws(FeedError) { if !ok { throw FeedError(.configuration, sentence) } }
        try check(venues.count <= Limits.venueHostsMax, "\(venues.count) hosts are named; at most \(Limits.venueHostsMax) can be")
        _ = try venueBases
        for endpoint in venueEndpoints {
            try check(
                endpoint.isSecure || endpoint.authority.isLoopback || allowsPlainRemote,
                "venue '\(endpoint)' is plain ws:// to another machine; use wss://, or --allow-plain-remote if you mean it")
        }
        if let venueREST {
            try check(
                venueREST.isSecure || venueREST.authority.isLoopback || allowsPlainRemote,
                "venue-rest '\(venueREST)' is plain http:// to another machine; use https://, or --allow-plain-remote if you mean it")
        }
        _ = (try streamProxies, try restProxy)
        // The exchange upgrades a connection for streams that its host does not have, and never sends anything.
        for other in Market.allCases where other != market {
            let (host, restHost) = (other.dialect.productionEndpoint.authority.host, other.dialect.restEndpoint.authority.host)
            for endpoint in venueEndpoints where endpoint.authority.host == host {
                try check(false, "venue '\(endpoint)' is the \(other.rawValue) market's, and market is \(market.rawValue)")
            }
            try check(
                venueREST?.authority.host != restHost,
                "venue-rest '\(restHost)' is the \(other.rawValue) market's, and market is \(market.rawValue)")
        }
    }

    /// Holes are filled: the exchange may be asked.
    package var heals: Bool { takesCommands && venueREST != nil }

    package var heal: HealSettings {
        var settings = HealSettings()
        (settings.holdMs, settings.closeGraceMs) = (healHold.milliseconds, closeGrace.milliseconds)
        (settings.history, settings.auditPercent) = (history, auditPercent)
        settings.backfill = backfill ?? min(settings.backfill, history)
        return settings
    }

    package var schema: KeySchema { KeySchema(prefix: keyPrefix, market: market) }

    /// Hosts of the streams, checked. None means the market's production host.
    package var venueBases: [VenueBase] {
        get throws(FeedError) {
            let dialect = market.dialect
            return try venues.map { venue throws(FeedError) in try VenueBase(venue, dialect) }
        }
    }

    /// The exchange's base URLs in force, at least one; of a configuration that is not valid, what was named.
    package var venueEndpoints: [WebSocketEndpoint] {
        venues.isEmpty ? [market.dialect.productionEndpoint] : (try? venueBases)?.map(\.endpoint) ?? venues
    }

    /// The proxy for each of `venueEndpoints`. Nil: it is reached directly.
    package var streamProxies: [ProxyEndpoint?] {
        get throws(FeedError) {
            try venueEndpoints.map { venue throws(FeedError) in try proxy.endpoint(for: venue.authority, isSecure: venue.isSecure) }
        }
    }

    /// The proxy for the REST interface, which is at another host than the streams.
    package var restProxy: ProxyEndpoint? {
        get throws(FeedError) {
            guard let venueREST else { return nil }
            return try proxy.endpoint(for: venueREST.authority, isSecure: venueREST.isSecure)
        }
    }

    /// The fluxes as they are listed: one for each interval; two with one id are one.
    package func configuredFluxes(createdAtMs: Int64) -> [Flux] {
        var seen: Set<String> = []
        return fluxes.flatMap { definition in
            definition.intervals.map {
                Flux(
                    symbols: definition.symbols, interval: $0, name: nil, history: 0, createdAtMs: createdAtMs,
                    // A group has one configuration: what a member is told all keep.
                    origin: group == nil ? .configuration : .command)
            }
        }.filter { seen.insert($0.id).inserted }
    }

    /// Every series of all fluxes, once.
    package var seriesList: [Series] { Array(Set(configuredFluxes(createdAtMs: 0).flatMap { $0.series(market) })) }
}
