// The flags that all commands to a running service share, and what they come to together with environment, file and discovery.

import ArgumentParser
import FastFeed
import FoundationEssentials

struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The service's Redis: redis://[user@]host:port/db, rediss://…, unix:///path, redis+sentinel://host,host,host/NAME/db, redis+cluster://host,host,host or embedded:DIR. (default: that of your running 'feedd demo' or 'feedd run --redis embedded', else redis://127.0.0.1:6379)",
            valueName: "url"))
    var redis: String?

    @OptionGroup var connection: RedisOptions

    @Option(help: ArgumentHelp("The service's market: spot or um (USD-M futures). (default: spot)", valueName: "market"))
    var market: String?

    @Option(help: ArgumentHelp("Seconds to wait for an answer, 0.1 to 3600. (default: 5)", valueName: "s"))
    var timeout: String?

    @Option(help: ArgumentHelp("JSON file with any of these settings, keys named as the flags.", valueName: "file"))
    var config: String?

    @Flag(help: "Print JSON, for programs.")
    var json = false

    var values: [Setting: String] {
        var values: [Setting: String] = [:]
        let texts = connection.texts + [(.redis, redis), (.market, market), (.timeout, timeout), (.config, config)]
        for case (let setting, let text?) in texts { values[setting] = text }
        return values
    }
}

/// How to reach the service.
struct ClientPlan {
    let redis: RedisEndpoint
    let keyPrefix: String
    let timeout: Duration
    let market: Market
    /// How a service is told of the same Redis, with a blank before; empty when nobody has named one.
    let redisFlag: String

    init(flags: [Setting: String], environment: [String: String]) throws {
        let settings = try Settings(flags: flags, environment: environment)
        let running = try ClientPlan.find(settings)
        let place = try ClientPlan.readRedis(settings, running)
        // An address of a server is shown without its password.
        redisFlag = try settings[.redis].map { " --redis " + ($0.text.hasPrefix("embedded") ? $0.text : "\(place)") } ?? ""
        redis = place
        keyPrefix = try settings.text(.keyPrefix) ?? running?.keyPrefix ?? ""
        market = try settings.choice(.market) ?? running?.market ?? .spot
        guard let found = try settings[.timeout] else {
            timeout = FluxClient.timeoutDefault
            return
        }
        guard let seconds = Double(found.text), (0.1...3_600).contains(seconds) else {
            throw found.refused("must be 0.1 to 3600 seconds")
        }
        timeout = .milliseconds(Int64((seconds * 1_000).rounded()))
    }

    /// With nothing named: the process of ours that has its own Redis. A command must not reach another one than was meant.
    private static func find(_ settings: Settings) throws -> Discovery.Service? {
        guard try settings[.redis] == nil else { return nil }
        let running = Discovery.find()
        guard running.count > 1 else { return running.first }
        let places = running.map {
            "--redis \($0.redis)\(ClientPlan.flags($0.keyPrefix, $0.market)) (process \($0.pid))"
        }
        throw Failure.usage("\(running.count) services of yours have a Redis of their own, name one: \(places.joined(separator: ", "))")
    }

    /// What must be named besides Redis, with a blank before.
    static func flags(_ keyPrefix: String, _ market: Market) -> String {
        (keyPrefix.isEmpty ? "" : " --key-prefix \(keyPrefix)") + (market == .spot ? "" : " --market \(market.rawValue)")
    }

    /// A service of the same configuration file may have its Redis embedded: the client goes to its socket.
    private static func readRedis(_ settings: Settings, _ running: Discovery.Service?) throws -> RedisEndpoint {
        var found = try settings[.redis]
        let password = try settings.file(.redisPasswordFile).map(ConfigurationLoader.readPassword)
        let user = try ConfigurationLoader.readUser(settings)
        var fallback = running?.redis ?? .local
        if let text = found?.text, text == "embedded" || text.hasPrefix("embedded:") {
            let directory = text.dropFirst("embedded:".count)
            if directory.isEmpty {
                throw found!.refused("such a Redis has no fixed place: name its socket, as in --redis unix:///tmp/…/redis.sock")
            }
            let path = directory.hasPrefix("/") ? String(directory) : FileManager.default.currentDirectoryPath + "/" + directory
            guard SocketAddress(unixPath: path + "/redis.sock") != nil else {
                throw found!.refused("the directory is too long for a socket path (107 bytes)")
            }
            fallback = RedisEndpoint(place: .unix(path: path + "/redis.sock"))
            found = nil
        }
        return try ConfigurationLoader.readEndpoint(settings, found, else: fallback, password: password, user: user)
    }
}

extension Failure {
    /// Looks into Redis for the cause, where there are several.
    /// - Parameter plan: where it was tried.
    init(_ error: FluxError, _ plan: ClientPlan) {
        switch error {
        case .serviceNotRunning: self.init(Failure.unreachable, ServiceSearch(plan).whyNobodyListens)
        case .timeout: self.init(Failure.unreachable, "\(error) (\(plan.redis)): \(ServiceSearch(plan).whyNobodyAnswers)")
        case .disconnected(let reason):
            self.init(Failure.unreachable, reason.contains("\(plan.redis)") ? reason : "\(plan.redis): \(reason)")
        case .refused, .badAnswer, .noUpdates, .cancelled: self.init(Failure.refused, "\(error)")
        case .badArgument: self.init(Failure.usage, "\(error)")
        }
    }
}

extension FluxError {
    /// As JSON output shows it: `"error":{"code":…,"message":…}`.
    func member(_ message: String) -> (String, JSONValue) {
        (Field.error, .members([(Field.code, .string(code)), (Field.message, .string(message))]))
    }

    private var code: String {
        switch self {
        case .serviceNotRunning: "not_running"
        case .timeout: "timeout"
        case .refused(let code, _): code?.rawValue ?? "refused"
        case .disconnected: "unreachable"
        case .badAnswer: "bad_answer"
        case .badArgument: "bad_argument"
        case .noUpdates: "no_updates"
        case .cancelled: "cancelled"
        }
    }
}
