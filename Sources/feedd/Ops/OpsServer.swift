// The ops server as `run` and `demo` hold it: made, started, asked for the health, stopped. Main thread.

import FastFeed
import Logging

/// Where the ops server listens, and whom it lets in.
struct OpsPlan {
    static let standard = Authority(host: "127.0.0.1", port: 8_090)

    var address = OpsPlan.standard.host
    /// 0: a free one.
    var port = OpsPlan.standard.port
    /// Nobody has named it: if the place is taken, the service runs without it.
    var isDefault = true
    var rules = AccessRules()
    /// Nil: the service's own.
    var redisUser: String?
    var redisPassword: String?
    var redisPasswordFile: String?
    var fluxesExportedMax = OpsLimits.fluxesExported

    /// How a server that listens on this address is reached from its own machine.
    static func host(here address: String) -> String {
        switch address {
        case "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        default: address
        }
    }
}

final class OpsServer {
    private let http: HTTPServer
    private let agent: OpsAgent
    private let runner: AgentRunner
    private let look: RedisLook
    private let bridge: CommandBridge
    /// Where a browser on this machine finds it.
    let url: String

    /// Takes its place; answers once it is started.
    /// - Parameters:
    ///   - warnings: where the log's are noted.
    ///   - settings: what is in force, for `/api/system`. No secrets.
    /// - Throws: a `Failure`. Nil when nobody has asked for it and it cannot be: `warn` says it.
    static func make(
        _ plan: OpsPlan, _ engine: Engine, _ configuration: EngineConfiguration, _ warnings: WarningBoard,
        settings: [(String, String)], warn: (String) -> Void
    ) throws -> OpsServer? {
        do {
            return try OpsServer(plan, engine, configuration, warnings, settings)
        } catch let error as HTTPServer.StartError {
            guard plan.isDefault else {
                throw Failure(Failure.refused, "--ops \(Authority(host: plan.address, port: plan.port)): \(error.sentence)")
            }
            warn(
                "no page, metrics and probes: \(error.sentence); --ops names another place than \(OpsPlan.standard), --ops off says that none is wanted"
            )
            return nil
        }
    }

    private init(
        _ plan: OpsPlan, _ engine: Engine, _ configuration: EngineConfiguration, _ warnings: WarningBoard, _ settings: [(String, String)]
    ) throws {
        http = try HTTPServer(address: plan.address, port: plan.port)
        url = "http://\(Authority(host: OpsPlan.host(here: plan.address), port: http.port))/"
        var redis = configuration.redis
        if let user = plan.redisUser {
            (redis.user, redis.password, redis.passwordFile) = (user, plan.redisPassword, plan.redisPasswordFile)
        }
        look = try RedisLook(redis, configuration.schema)
        bridge = CommandBridge(configuration.redis, keyPrefix: configuration.keyPrefix, market: configuration.market)
        agent = OpsAgent(
            http, engine, plan, look, bridge, warnings, closedQueueMax: configuration.closedQueueCount, settings: settings,
            schema: configuration.schema, redis: configuration.redis)
        runner = try AgentRunner(agents: [agent], idle: .park)
        agent.follow(runner.meter)
    }

    /// Behind the engine's start: whoever asks sees all of it.
    func start() throws {
        try look.start()
        try runner.start()
    }

    /// What was judged last; nil when that is long ago, because the server itself does not go on.
    var health: HealthReport? {
        let (report, atNs) = agent.health.withLock { $0 }
        return MonotonicClock.nowNs() &- atNs < 10_000_000_000 ? report : nil
    }

    /// From now on probes say that the service ends, and Redis is asked nothing more.
    func beginStop() {
        agent.beginStop()
        look.beginStop()
    }

    func stop() {
        runner.stop()
        look.stop()
        bridge.close()
    }
}
