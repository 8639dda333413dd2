// What each part of the engine is told of the configuration. Pure, but for files of certificates, any thread.

extension EngineConfiguration {
    func readerSettings(seed: UInt64) throws(FeedError) -> ReaderSettings {
        let endpoints = venueEndpoints
        let hosts = zip(endpoints, try streamProxies).map { ReaderSettings.Host(base: $0, proxy: $1) }
        let isSecure = endpoints.contains(where: \.isSecure)
        let tls = isSecure ? try TLSContext.client(authorityFile: venueAuthorityFile) : nil
        var settings = ReaderSettings(hosts: hosts, dialect: market.dialect, tls: tls, seed: seed)
        settings.subscribeForm = subscribeForm
        settings.usesCombinedStreams = usesCombinedStreams
        settings.connection.allowsPlainRemote = allowsPlainRemote
        settings.connection.handshakeTimeoutMs = handshakeTimeoutMs
        settings.connectionAgeMs = connectionLifetime.milliseconds
        settings.subscribeTimeoutMs = subscribeTimeoutMs
        return settings
    }

    /// - Parameter pulse: nil without a group.
    func sinkSettings(_ pulse: Pulse?, seed: UInt64) throws(FeedError) -> SinkSettings {
        var redis = try RedisLinkSettings(self.redis)
        redis.connectTimeoutMs = redisConnectTimeoutMs
        var settings = SinkSettings(
            redis: redis, market: market, schema: schema, history: history, batchSize: batchSize, coalesces: coalesces, seed: seed ^ 0x51)
        (settings.pulse, settings.updates) = (pulse, updates)
        settings.closedMax = closedQueueCount
        settings.replyTimeoutMs = redisReplyTimeoutMs
        settings.rewriteMs = rewrite.milliseconds
        settings.healHoldMs = heals ? healHold.milliseconds : nil
        return settings
    }

    /// Nil where the exchange's history is not asked.
    func restClient(troubles: TroubleBoard) throws(FeedError) -> RestClient? {
        guard heals, let base = venueREST else { return nil }
        var settings = RestSettings()
        settings.allowsPlainRemote = allowsPlainRemote
        settings.proxy = try restProxy
        return try RestClient(base: base, market: market, authorityFile: venueAuthorityFile, settings: settings, troubles: troubles)
    }
}
