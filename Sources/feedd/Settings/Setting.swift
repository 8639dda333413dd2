// What feedd can be told, by one name everywhere: the flag `--batch-size`, the variable
// FEEDD_BATCH_SIZE and the key "batch-size" of the configuration file.

/// Every setting. The raw value is the flag's name without its dashes.
enum Setting: String, CaseIterable {
    case flux, market
    case venueWS = "venue-ws"
    case venueREST = "venue-rest"
    case authorityFile = "ca-file"
    case allowPlainRemote = "allow-plain-remote"
    case proxy
    case proxyPasswordFile = "proxy-password-file"
    case subscribe
    case rawStreams = "raw-streams"
    case streamsPerConnection = "streams-per-connection"
    case redundancy
    case connectionLifetime = "connection-lifetime"
    case readers, threading, idle
    case redis
    case redisPasswordFile = "redis-password-file"
    case redisUser = "redis-user"
    case redisAuthorityFile = "redis-ca-file"
    case redisCertificateFile = "redis-cert-file"
    case redisKeyFile = "redis-key-file"
    case sentinelUser = "sentinel-user"
    case sentinelPasswordFile = "sentinel-password-file"
    case readFrom = "read-from"
    case redisReplica = "redis-replica"
    case keyPrefix = "key-prefix"
    case batchSize = "batch-size"
    case history, backfill
    case healHold = "heal-hold"
    case closeGrace = "close-grace"
    case auditPercent = "audit-percent"
    case rewriteSeconds = "rewrite-seconds"
    case leaseSeconds = "lease-seconds"
    case group, member, copies
    case memberTTL = "member-ttl"
    case addressGroup = "address-group"
    case closedQueue = "closed-queue"
    case updates
    case noCoalesce = "no-coalesce"
    case reportSeconds = "report-seconds"
    case ops
    case opsHost = "ops-host"
    case opsTokenFile = "ops-token-file"
    case opsRedisUser = "ops-redis-user"
    case opsRedisPasswordFile = "ops-redis-password-file"
    case metricsFluxes = "metrics-fluxes"
    case logFormat = "log-format"
    case logLevel = "log-level"
    /// How long a command waits for the running service that it talks to.
    case timeout
    case config

    var flag: String { "--\(rawValue)" }

    var variable: String {
        "FEEDD_" + String(rawValue.uppercased().map { $0 == "-" ? "_" : $0 })
    }
}
