// The flags of `feedd run`, as text: what they mean is decided in one place for flags, environment and file
// (ConfigurationLoader), so that all three are read alike.

import ArgumentParser

struct RunOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Symbols and intervals to follow, as in btcusdt,ethusdt:1m,5m. May be repeated.",
            valueName: "symbols:intervals"))
    var flux: [String] = []

    @Option(help: ArgumentHelp("spot or um (USD-M futures). (default: spot)", valueName: "market"))
    var market: String?

    @Option(
        help: ArgumentHelp(
            "Scheme, host and port of the streams; a /ws or /stream behind them is left out. May be repeated: connections take turns. (default: the market's, wss://stream.binance.com:9443)",
            valueName: "url"))
    var venueWs: [String] = []

    @Option(
        help: ArgumentHelp(
            "Scheme, host and port of the REST interface, or off: the list of symbols, candles that no flux covers, and those that the streams have missed. (default: the market's own, with its own --venue-ws)",
            valueName: "url"))
    var venueRest: String?

    @Option(
        help: ArgumentHelp(
            "PEM file to trust for the exchange instead of the system's store. If it holds revocation lists (CRL), whole chains are checked against them; without any, revocation is not checked.",
            valueName: "file"))
    var caFile: String?

    @Flag(help: "Allow ws:// (no TLS) to another machine.")
    var allowPlainRemote = false

    @Option(
        help: ArgumentHelp(
            "On the way to the exchange, streams and REST alike: http://[user@]host:port (CONNECT), socks5://[user@]host[:1080] (names are resolved here), socks5h://… (at the proxy); env: by https_proxy, http_proxy, all_proxy and no_proxy; or off. A password does not belong here. (default: off)",
            valueName: "url"))
    var proxy: String?

    @Option(help: ArgumentHelp("File whose first line is the proxy's password.", valueName: "file"))
    var proxyPasswordFile: String?

    @Option(help: ArgumentHelp("How streams are asked for: auto, url or message. (default: auto)", valueName: "form"))
    var subscribe: String?

    @Flag(help: "Raw streams (/ws) instead of combined ones (/stream).")
    var rawStreams = false

    @Option(help: ArgumentHelp("Streams per connection, at most 1024. (default: 1024)", valueName: "n"))
    var streamsPerConnection: String?

    @Option(
        help: ArgumentHelp(
            "Connections on which each stream comes, 1 or 2: at different readers and --venue-ws hosts, where there are two. (default: 1)",
            valueName: "n"))
    var redundancy: String?

    @Option(
        help: ArgumentHelp(
            "A connection is replaced when it has been open for so long, one after the other, 10 to 86400. (default: 82800, 23 hours)",
            valueName: "s"))
    var connectionLifetime: String?

    @Option(help: ArgumentHelp("Reader threads. (default: 1)", valueName: "n"))
    var readers: String?

    @Option(
        help: ArgumentHelp(
            "dedicated (a thread per reader and one for the sink) or shared (one for all). (default: by cores)",
            valueName: "mode"))
    var threading: String?

    @Option(
        help: ArgumentHelp(
            "When there is nothing to do: park, spin, or pause:MICROS after each busy turn. (default: park)",
            valueName: "strategy"))
    var idle: String?

    @Option(
        help: ArgumentHelp(
            "redis://[user@]host:port/db, rediss://…, unix:///path, redis+sentinel://[user@]host,host,host/NAME/db (the Sentinels say which server is the primary), rediss+sentinel://…, redis+cluster://[user@]host,host,host (nodes of a Redis Cluster), rediss+cluster://…, or embedded[:DIR]. A password does not belong here. (default: redis://127.0.0.1:6379)",
            valueName: "url"))
    var redis: String?

    @OptionGroup var connection: RedisOptions

    @Option(
        help: ArgumentHelp(
            "Where data:get reads candles: primary, or replica: one that follows its primary closely, else the primary. (default: primary)",
            valueName: "server"))
    var readFrom: String?

    @Option(
        help: ArgumentHelp(
            "A replica to read from, besides those that Sentinels know (not with a cluster): redis://host:port, same user, password and TLS files.",
            valueName: "url"))
    var redisReplica: String?

    @Option(help: ArgumentHelp("Candle states per pipelined batch, at most. (default: 1500)", valueName: "n"))
    var batchSize: String?

    @Option(help: ArgumentHelp("Closed candles kept per series. (default: 1500)", valueName: "n"))
    var history: String?

    @Option(
        help: ArgumentHelp(
            "Of these, so many are there from the start of a series, at most --history: older ones come from the REST interface. (default: 1000)",
            valueName: "n"))
    var backfill: String?

    @Option(
        help: ArgumentHelp(
            "A closed candle waits so long for a hole before it to be filled, 0 to 300; 0: never. (default: 5)", valueName: "s"))
    var healHold: String?

    @Option(
        help: ArgumentHelp(
            "A bar that has not closed so long after its end is asked for, 0.5 to 60. (default: 2)", valueName: "s"))
    var closeGrace: String?

    @Option(
        help: ArgumentHelp(
            "What comparing histories with the exchange's own may take of its weight limit, in percent, at most 20; 0: none. (default: 5)",
            valueName: "n"))
    var auditPercent: String?

    @Option(
        help: ArgumentHelp(
            "After a new connection to Redis, candles that it had acknowledged so lately are written once more, 0 to 600. (default: 60)",
            valueName: "s"))
    var rewriteSeconds: String?

    @Option(
        help: ArgumentHelp(
            "Closed candles that wait while Redis is away, a power of two; beyond, the oldest become gaps. (default: 131072)",
            valueName: "n"))
    var closedQueue: String?

    @Option(
        help: ArgumentHelp(
            "Of several services with one market and key prefix one takes commands; another takes over when it was silent for so long, 1 to 60. (default: 6)",
            valueName: "s"))
    var leaseSeconds: String?

    @Option(
        help: ArgumentHelp(
            "Be a member of this group: services that share one Redis's fluxes, each symbol written by one. (docs/scale-out.md)",
            valueName: "name"))
    var group: String?

    @Option(
        help: ArgumentHelp(
            "This member's name in its group, the same after a restart: 1 to 64 of A-Z a-z 0-9 _ . - (default: the host's)",
            valueName: "name"))
    var member: String?

    @Option(
        help: ArgumentHelp(
            "Members of the group that follow a symbol, 1 to 8: with two nothing is missing when one of them dies. (default: 1)",
            valueName: "n"))
    var copies: String?

    @Option(
        help: ArgumentHelp(
            "A member of the group that was not heard for so long is taken for dead, 2 to 60. (default: 5)", valueName: "s"))
    var memberTtl: String?

    @Option(
        help: ArgumentHelp(
            "Members with the same one leave the exchange by one address and share its limits. (default: the host's name)",
            valueName: "name"))
    var addressGroup: String?

    @Option(
        help: ArgumentHelp(
            "How updates are published: classic (PUBLISH), sharded (SPUBLISH, in a Redis Cluster alone; listeners use SSUBSCRIBE), or off. (default: classic)",
            valueName: "mode"))
    var updates: String?

    @Flag(help: "Write every update, also those already replaced by a newer one.")
    var noCoalesce = false

    @Option(help: ArgumentHelp("Seconds between reports; 0: only at the end. (default: 10)", valueName: "s"))
    var reportSeconds: String?

    @Option(
        help: ArgumentHelp(
            "Where the page, metrics and probes are served, 127.0.0.1:8090 say, port 0 for a free one; or off. (default: 127.0.0.1:8090, if it is free)",
            valueName: "address:port"))
    var ops: String?

    @Option(
        help: ArgumentHelp(
            "Names by which that server is reached besides localhost and its address, separated by commas: others are refused.",
            valueName: "names"))
    var opsHost: String?

    @Option(
        help: ArgumentHelp(
            "File whose first line is a token, 16 bytes or more. Who does not send it gets /livez and /readyz only; who does may also create and stop fluxes.",
            valueName: "file"))
    var opsTokenFile: String?

    @Option(help: ArgumentHelp("Redis ACL user that the ops server reads with. (default: the service's)", valueName: "name"))
    var opsRedisUser: String?

    @Option(help: ArgumentHelp("File whose first line is that user's password.", valueName: "file"))
    var opsRedisPasswordFile: String?

    @Option(help: ArgumentHelp("Fluxes with series of their own in /metrics, the oldest ones, 0 to 250. (default: 150)", valueName: "n"))
    var metricsFluxes: String?

    @Option(help: ArgumentHelp("text, or json: one object per line. (default: text)", valueName: "format"))
    var logFormat: String?

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical. (default: info)", valueName: "level"))
    var logLevel: String?

    @Option(help: ArgumentHelp("JSON file with any of these settings, keys named as the flags.", valueName: "file"))
    var config: String?

    /// What was written on the command line, by setting.
    var values: [Setting: String] {
        var values: [Setting: String] = [:]
        if !flux.isEmpty { values[.flux] = flux.joined(separator: " ") }
        if !venueWs.isEmpty { values[.venueWS] = venueWs.joined(separator: ",") }
        if allowPlainRemote { values[.allowPlainRemote] = "true" }
        if rawStreams { values[.rawStreams] = "true" }
        if noCoalesce { values[.noCoalesce] = "true" }
        let texts: [(Setting, String?)] =
            connection.texts + [
                (.market, market), (.venueREST, venueRest), (.authorityFile, caFile), (.proxy, proxy),
                (.proxyPasswordFile, proxyPasswordFile), (.subscribe, subscribe),
                (.streamsPerConnection, streamsPerConnection), (.redundancy, redundancy),
                (.connectionLifetime, connectionLifetime), (.readers, readers), (.threading, threading), (.idle, idle),
                (.redis, redis), (.readFrom, readFrom), (.redisReplica, redisReplica), (.batchSize, batchSize), (.history, history),
                (.backfill, backfill),
                (.healHold, healHold), (.closeGrace, closeGrace), (.rewriteSeconds, rewriteSeconds), (.auditPercent, auditPercent),
                (.closedQueue, closedQueue), (.updates, updates),
                (.leaseSeconds, leaseSeconds), (.group, group), (.member, member), (.copies, copies), (.memberTTL, memberTtl),
                (.addressGroup, addressGroup), (.ops, ops), (.opsHost, opsHost), (.opsTokenFile, opsTokenFile),
                (.opsRedisUser, opsRedisUser), (.opsRedisPasswordFile, opsRedisPasswordFile), (.metricsFluxes, metricsFluxes),
                (.reportSeconds, reportSeconds),
                (.logFormat, logFormat), (.logLevel, logLevel), (.config, config),
            ]
        for case (let setting, let text?) in texts { values[setting] = text }
        return values
    }
}
