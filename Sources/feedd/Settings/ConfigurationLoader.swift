// From settings as text to a checked plan. Every refusal is one sentence that names the setting, its place
// and what is wrong with it; a password is never repeated.

import FastFeed
import FoundationEssentials
import Logging

enum LogFormat: String, CaseIterable { case text, json }

/// Where candles go.
enum RedisPlace {
    case endpoint(RedisEndpoint)
    /// A server of our own; nil: in a temporary directory.
    case embedded(directory: String?, password: String?)
}

/// What `feedd run` is going to do.
struct RunPlan {
    var engine = EngineConfiguration()
    var redis = RedisPlace.endpoint(.local)
    /// Nil: no ops server.
    var ops: OpsPlan? = OpsPlan()
    var reportSeconds = 10
    var logFormat = LogFormat.text
    var logLevel = Logger.Level.info
    /// What is set, for the ops server to show.
    var settings: [(String, String)] = []
    /// Things to say once the log is there.
    var remarks: [String] = []
}

enum ConfigurationLoader {
    static func load(flags: [Setting: String], environment: [String: String]) throws -> RunPlan {
        let settings = try Settings(flags: flags, environment: environment)
        var plan = RunPlan()
        plan.remarks = settings.unknownVariables.map { "the environment variable \($0) means nothing to feedd" }
        plan.settings = settings.shown
        try readProgram(settings, &plan)
        try readFluxes(settings, &plan.engine)
        try readVenue(settings, &plan.engine)
        try readProxy(settings, environment, &plan)
        try readThreads(settings, &plan.engine)
        plan.redis = try readRedis(settings)
        if case .endpoint(let endpoint) = plan.redis { plan.engine.redis = endpoint }
        try readReplica(settings, &plan.engine)
        try readStore(settings, &plan.engine)
        try readHealing(settings, &plan.engine)
        try readGroup(settings, &plan.engine)
        try readOps(settings, &plan)
        try plan.engine.validate()
        return plan
    }

    private static func readProgram(_ settings: Settings, _ plan: inout RunPlan) throws {
        plan.logFormat = try settings.choice(.logFormat) ?? plan.logFormat
        plan.logLevel = try settings.choice(.logLevel) ?? plan.logLevel
        if let seconds = try settings.integer(.reportSeconds) {
            guard (0...86_400).contains(seconds) else { throw Failure.usage("report-seconds must be 0 to 86400, not \(seconds)") }
            plan.reportSeconds = seconds
        }
    }

    private static func readFluxes(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        // None is fine: fluxes are also created by commands.
        engine.takesCommands = true
        guard let found = try settings[.flux] else { return }
        let texts = found.text.split(whereSeparator: { $0 == " " || $0 == ";" || $0 == "\n" || $0 == "\t" })
        // An empty variable of a script, written between quotes.
        if texts.isEmpty, found.isFlag { throw found.refused("names no flux, as in btcusdt:1m") }
        for text in texts {
            engine.fluxes.append(try FluxDefinition(String(text)))
        }
    }

    private static func readVenue(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        engine.market = try settings.choice(.market) ?? engine.market
        if let found = try settings[.venueWS] {
            do {
                let urls = found.text.split(separator: ",", omittingEmptySubsequences: false)
                engine.venues = try urls.map { url throws(FeedError) in
                    try WebSocketEndpoint(url: String(url.trimmingPrefix(while: { $0 == " " })))
                }
                _ = try engine.venueBases
            } catch {
                throw Failure.usage("\(found.origin): \(error.message)")
            }
        }
        engine.venueREST = try readREST(settings, engine)
        engine.venueAuthorityFile = try settings.file(.authorityFile)
        if let file = engine.venueAuthorityFile {
            _ = try TLSContext.client(authorityFile: file)
            guard engine.venueEndpoints.contains(where: \.isSecure) || engine.venueREST?.isSecure == true else {
                throw Failure.usage("\(try settings[.authorityFile]!.origin) needs TLS: a wss:// or https:// URL of the exchange")
            }
        }
        engine.allowsPlainRemote = try settings.truth(.allowPlainRemote) ?? false
        engine.subscribeForm = try settings.choice(.subscribe) ?? engine.subscribeForm
        engine.usesCombinedStreams = try !(settings.truth(.rawStreams) ?? false)
        engine.streamsPerConnectionMax = try settings.integer(.streamsPerConnection) ?? engine.streamsPerConnectionMax
        engine.redundancy = try settings.integer(.redundancy) ?? engine.redundancy
        if let seconds = try settings.integer(.connectionLifetime) { engine.connectionLifetime = .seconds(seconds) }
    }

    /// The market's own, unless the streams come from elsewhere: then only what is named.
    private static func readREST(_ settings: Settings, _ engine: EngineConfiguration) throws -> RestEndpoint? {
        guard let found = try settings[.venueREST] else { return engine.venues.isEmpty ? engine.market.dialect.restEndpoint : nil }
        guard found.text != "off" else { return nil }
        do {
            return try RestEndpoint(url: found.text)
        } catch {
            throw Failure.usage("\(found.origin) \(error.message); expected https://host[:port], http://host[:port] or off")
        }
    }

    private static func readProxy(_ settings: Settings, _ environment: [String: String], _ plan: inout RunPlan) throws {
        let found = try settings[.proxy]
        let file = try settings[.proxyPasswordFile]
        switch found?.text {
        case nil, "off":
            if let file { throw Failure.usage("\(file.origin) has no meaning without a proxy") }
            // Who has set the variable expects it to be used; who has said off does not.
            let variables = plan.engine.venueEndpoints.lazy.filter { !$0.authority.isLoopback }.compactMap {
                ProxyChoice.variable(for: $0.authority, isSecure: $0.isSecure, in: environment)
            }
            if found == nil, let variable = variables.first {
                plan.remarks.append(
                    "\(variable.name) in the environment is not used: --proxy env uses it, --proxy off says that none is wanted")
            }
        case "env":
            if let file { throw Failure.usage("\(file.origin) has no meaning with a proxy of the environment") }
            plan.engine.proxy = .environment(environment)
        case let url?:
            plan.engine.proxy = .server(try proxyEndpoint(url, found!, password: try settings.file(.proxyPasswordFile).map(readPassword)))
        }
    }

    private static func proxyEndpoint(_ url: String, _ found: Found, password: String?) throws -> ProxyEndpoint {
        let endpoint: ProxyEndpoint
        do {
            endpoint = try ProxyEndpoint(url: url, password: password)
        } catch {
            throw Failure.usage("\(found.origin): \(error.message)")
        }
        if found.isFlag, endpoint.isSecretURL { throw secretInFlag(.proxy, .proxyPasswordFile) }
        return endpoint
    }

    private static func readThreads(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        engine.readerCount = try settings.integer(.readers) ?? engine.readerCount
        engine.threading = try settings.choice(.threading)
        guard let found = try settings[.idle] else { return }
        switch found.text {
        case "park": engine.idle = .park
        case "spin": engine.idle = .spin
        default:
            guard found.text.hasPrefix("pause:"), let micros = UInt64(found.text.dropFirst(6)), (1...100_000).contains(micros) else {
                throw found.refused("must be park, spin, or pause:MICROS with 1 to 100000 microseconds")
            }
            engine.idle = .pause(nanoseconds: micros * 1_000)
        }
    }

    private static func readStore(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        engine.keyPrefix = try settings.text(.keyPrefix) ?? engine.keyPrefix
        if let seconds = try settings.integer(.leaseSeconds) { engine.lease = .seconds(seconds) }
        engine.batchSize = try settings.integer(.batchSize) ?? engine.batchSize
        engine.history = try settings.integer(.history) ?? engine.history
        engine.closedQueueCount = try settings.integer(.closedQueue) ?? engine.closedQueueCount
        engine.updates = try settings.choice(.updates) ?? engine.updates
        engine.coalesces = try !(settings.truth(.noCoalesce) ?? false)
    }

    private static func readHealing(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        engine.backfill = try settings.integer(.backfill)
        engine.healHold = try settings.seconds(.healHold) ?? engine.healHold
        engine.rewrite = try settings.seconds(.rewriteSeconds) ?? engine.rewrite
        engine.closeGrace = try settings.seconds(.closeGrace) ?? engine.closeGrace
        engine.auditPercent = try settings.integer(.auditPercent) ?? engine.auditPercent
    }

    private static func readGroup(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        guard let name = try settings.text(.group) else {
            for setting in [Setting.member, .copies, .memberTTL, .addressGroup] {
                if let found = try settings[setting] { throw Failure.usage("\(found.origin) has no meaning without a group") }
            }
            return
        }
        var group = GroupConfiguration(
            name: name, member: try settings.text(.member), addressGroup: try settings.text(.addressGroup))
        group.copies = try settings.integer(.copies) ?? group.copies
        group.memberTTL = try settings.seconds(.memberTTL) ?? group.memberTTL
        engine.group = group
    }

    // MARK: Ops

    private static func readOps(_ settings: Settings, _ plan: inout RunPlan) throws {
        var ops = OpsPlan()
        if let found = try settings[.ops] {
            if found.text == "off" {
                for setting in [Setting.opsHost, .opsTokenFile, .opsRedisUser, .opsRedisPasswordFile, .metricsFluxes] {
                    if let other = try settings[setting] { throw Failure.usage("\(other.origin) has no meaning with \(found.origin) off") }
                }
                plan.ops = nil
                return
            }
            (ops.address, ops.port, ops.isDefault) = try opsPlace(found)
        }
        ops.rules = try readRules(settings, address: ops.address)
        ops.redisUser = try settings.text(.opsRedisUser)
        ops.redisPasswordFile = try settings.file(.opsRedisPasswordFile)
        ops.redisPassword = try ops.redisPasswordFile.map(readPassword)
        guard (ops.redisUser == nil) == (ops.redisPassword == nil) else {
            throw Failure.usage("ops-redis-user and ops-redis-password-file belong together: one of them is missing")
        }
        if let count = try settings.integer(.metricsFluxes) {
            guard (0...OpsLimits.fluxesExportedMax).contains(count) else {
                throw Failure.usage("metrics-fluxes must be 0 to \(OpsLimits.fluxesExportedMax), not \(count)")
            }
            ops.fluxesExportedMax = count
        }
        plan.ops = ops
    }

    /// Host and port; port 0 is a free one.
    static func opsPlace(_ found: Found) throws -> (address: String, port: UInt16, isDefault: Bool) {
        let isFree = found.text.hasSuffix(":0")
        let text = isFree ? String(found.text.dropLast(2)) : found.text
        let parsed = Authority(text[...], portElse: isFree ? 1 : 0)
        guard let place = parsed, place.numericAddress != nil || place.host == "localhost" else {
            throw found.refused("must be an address and a port, as in 127.0.0.1:8090 or [::1]:8090, or off")
        }
        return (place.host == "localhost" ? "127.0.0.1" : place.host, isFree ? 0 : place.port, false)
    }

    private static func readRules(_ settings: Settings, address: String) throws -> AccessRules {
        var rules = AccessRules()
        rules.token = try settings.file(.opsTokenFile).map(readPassword)
        if let token = rules.token, token.utf8.count < 16 {
            throw Failure.usage("the token of ops-token-file is shorter than 16 bytes: anybody could guess it")
        }
        if let found = try settings[.opsHost] {
            let names = found.text.split(separator: ",").map { $0.trimmingPrefix(while: { $0 == " " }) }
            for name in names {
                guard let host = AccessRules.name(of: String(name)) else { throw found.refused("'\(name)' is not a host's name") }
                rules.hosts.insert(host)
            }
        }
        let isLoopback = SocketAddress(numericHost: address, port: 0)?.isLoopback ?? false
        guard isLoopback || rules.token != nil else {
            throw Failure.usage("--ops \(address) can be reached from other machines: that needs --ops-token-file")
        }
        return rules
    }

    // MARK: Redis

    private static func readRedis(_ settings: Settings) throws -> RedisPlace {
        let found = try settings[.redis]
        let password = try settings.file(.redisPasswordFile).map(readPassword)
        let user = try readUser(settings)
        if let text = found?.text, text == "embedded" || text.hasPrefix("embedded:") {
            let others = [
                Setting.redisUser, .redisAuthorityFile, .redisCertificateFile, .redisKeyFile, .sentinelUser, .sentinelPasswordFile,
                .readFrom,
                .redisReplica,
            ]
            for setting in others {
                if let other = try settings[setting] { throw Failure.usage("\(other.origin) has no meaning with an embedded Redis") }
            }
            let directory = text.dropFirst("embedded:".count)
            guard text == "embedded" || !directory.isEmpty else { throw Failure.usage("\(found!.origin) 'embedded:' names no directory") }
            return .embedded(directory: directory.isEmpty ? nil : String(directory), password: password)
        }
        return .endpoint(try readEndpoint(settings, found, else: .local, password: password, user: user))
    }

    /// Whose password it is, and what TLS needs, is said once for all servers.
    private static func readReplica(_ settings: Settings, _ engine: inout EngineConfiguration) throws {
        engine.readFrom = try settings.choice(.readFrom) ?? engine.readFrom
        guard let found = try settings[.redisReplica] else { return }
        let password = try settings.file(.redisPasswordFile).map(readPassword)
        engine.redisReplica = try readEndpoint(
            settings, found, else: .local, password: password, user: readUser(settings), isReplica: true)
    }

    /// A server that somebody else runs.
    /// - Parameter fallback: when nobody names one.
    static func readEndpoint(
        _ settings: Settings, _ found: Found?, else fallback: RedisEndpoint, password: String?, user: String?, isReplica: Bool = false
    ) throws -> RedisEndpoint {
        var endpoint = fallback
        if let found { endpoint = try RedisEndpoint(url: found.text) }
        if found?.isFlag == true, endpoint.password != nil {
            throw secretInFlag(isReplica ? .redisReplica : .redis, .redisPasswordFile)
        }
        endpoint.password = password ?? endpoint.password
        endpoint.passwordFile = try settings.file(.redisPasswordFile)
        endpoint.user = user ?? endpoint.user
        if endpoint.user != nil, endpoint.password == nil {
            throw Failure.usage("a Redis user is named, but no password: use --redis-password-file")
        }
        try readRedisTLS(settings, &endpoint, isReplica: isReplica)
        if !isReplica { try readSentinels(settings, &endpoint) }
        return endpoint
    }

    private static func readSentinels(_ settings: Settings, _ endpoint: inout RedisEndpoint) throws {
        guard case .sentinel(var sentinels) = endpoint.place else {
            for setting in [Setting.sentinelUser, .sentinelPasswordFile] {
                if let found = try settings[setting] { throw Failure.usage("\(found.origin) needs Sentinels: a redis+sentinel:// URL") }
            }
            return
        }
        sentinels.user = try settings.text(.sentinelUser)
        sentinels.passwordFile = try settings.file(.sentinelPasswordFile)
        sentinels.password = try sentinels.passwordFile.map(readPassword)
        if sentinels.user != nil, sentinels.password == nil {
            throw Failure.usage("a user of the Sentinels is named, but no password: use --sentinel-password-file")
        }
        endpoint.place = .sentinel(sentinels)
    }

    /// - Parameter isReplica: TLS files that the primary alone needs are not a mistake.
    private static func readRedisTLS(_ settings: Settings, _ endpoint: inout RedisEndpoint, isReplica: Bool) throws {
        if isReplica && !endpoint.isSecure { return }
        endpoint.authorityFile = try settings.file(.redisAuthorityFile)
        endpoint.certificateFile = try settings.file(.redisCertificateFile)
        endpoint.keyFile = try settings.file(.redisKeyFile)
        for setting in [Setting.redisAuthorityFile, .redisCertificateFile, .redisKeyFile] where !endpoint.isSecure {
            if let found = try settings[setting] { throw Failure.usage("\(found.origin) needs TLS: a rediss:// URL") }
        }
        guard (endpoint.certificateFile == nil) == (endpoint.keyFile == nil) else {
            throw Failure.usage("redis-cert-file and redis-key-file belong together: one of them is missing")
        }
        _ = try endpoint.tlsContext()
    }

    static func readUser(_ settings: Settings) throws -> String? {
        let found = try settings[.redisUser]
        if let found, found.text.isEmpty { throw found.refused("names no user") }
        return found?.text
    }

    private static func secretInFlag(_ setting: Setting, _ file: Setting) -> Failure {
        .usage(
            "\(setting.flag) has a password in its URL, which the process list would show: use \(file.flag), or \(setting.variable) in the environment"
        )
    }

    static func readPassword(_ path: String) throws -> String {
        guard let line = SmallFile.line(path) else {
            throw Failure.usage("the password file '\(path)' cannot be read as text of at most 4096 bytes, or is empty")
        }
        return line
    }
}
