// `feedd run`: the service. The main thread starts everything, prints, and waits for the signal to end.

import ArgumentParser
import FastFeed
import FoundationEssentials
import Glibc
import Logging
import RedisServer

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the service: follow klines and write them into Redis.",
        discussion: """
            Each setting is a flag, an environment variable (--batch-size: FEEDD_BATCH_SIZE) and a key of the --config file \
            ("batch-size"); a flag wins over the environment, that over the file. FEEDD_FLUX and "flux" may hold several, \
            separated by spaces or semicolons, FEEDD_VENUE_WS and "venue-ws" several separated by commas; both keys may also \
            have a list.

            SIGTERM or Ctrl-C: stop reading, write what is held, wait for Redis, end within five seconds: with 0, or with 4 when \
            closed candles that came are not in Redis. A second one ends at once. A member of a group first waits until the others \
            follow what it follows, a second or two, and 20 s at most.

              feedd run --flux btcusdt,ethusdt:1m --redis embedded:/var/lib/feedd
              feedd run --flux btcusdt:1m --redis rediss://feed@redis.internal:6380 --redis-password-file /run/secrets/redis
            """
    )

    @OptionGroup var options: RunOptions
    @OptionGroup var parent: ParentOption

    func run() throws {
        try parent.apply()
        let environment = ProcessInfo.processInfo.environment
        let plan = try ConfigurationLoader.load(flags: options.values, environment: environment)
        var service = try Service(plan, Notify(environment))
        try service.run()
    }
}

/// Engine, Redis of our own if wanted, and the log.
struct Service {
    private let plan: RunPlan
    private let logger: Logger
    private let warnings = WarningBoard()
    private let redis: RedisServerProcess?
    private let engine: Engine
    private let configuration: EngineConfiguration
    private var supervisor: SupervisorTalk
    private var ops: OpsServer?
    private var reporter: Reporter
    private var nextRedisStartNs: UInt64 = 0

    /// All of it within the five seconds that a stop may take; a Redis that does not answer costs two more.
    private static let flushTimeout = Duration.milliseconds(3_200)
    private static let redisStopTimeoutMs = 1_200
    /// By then settings are read and connections open, and the exchange's list of symbols has been asked for: half of the
    /// memory that this took is not used again.
    private static let startNs: [UInt64] = [2_000_000_000, 60_000_000_000]
    /// Threads that had much to do in an outage have nothing to do with the allocator afterwards, and so would keep what they freed. The
    /// data path has freed nothing meanwhile, and is not disturbed.
    private static let giveBackNs: UInt64 = 60_000_000_000

    init(_ plan: RunPlan, _ notify: Notify) throws {
        self.plan = plan
        supervisor = SupervisorTalk(notify)
        logger = Log.make(plan.logFormat, level: plan.logLevel, board: warnings)
        for remark in plan.remarks { logger.warning("\(remark)") }
        var configuration = plan.engine
        switch plan.redis {
        case .endpoint(let endpoint):
            // Refused for good it would be tried for ever; one that is away may come.
            try RedisConnection.check(endpoint)
            redis = nil
            configuration.redis = endpoint
        case .embedded(let directory, let password):
            var options = RedisServerProcess.Options(directory: directory)
            options.password = password
            let server = try RedisServerProcess(options)
            redis = server
            configuration.redis = server.endpoint
            let lifetime = directory == nil ? "temporary" : "kept"
            logger.info(
                "embedded Redis is up",
                metadata: ["socket": .string(server.socketPath), "pid": .stringConvertible(server.pid ?? 0), "data": .string(lifetime)])
        }
        engine = try Engine(configuration)
        self.configuration = configuration
        reporter = Reporter(format: plan.logFormat)
        var start: Logger.Metadata = [
            "series": .stringConvertible(configuration.seriesList.count),
            "venue": .string(configuration.venueEndpoints.map(\.description).joined(separator: " ")),
            "redis": .string("\(configuration.redis)"), "pid": .stringConvertible(Int(getpid())),
        ]
        // The environment may have different ones.
        let (streams, rest) = (try configuration.streamProxies.lazy.compactMap { $0 }.first, try configuration.restProxy)
        if streams != nil || rest != nil {
            start["proxy"] = .string(streams.map { "\($0)" } ?? "none")
            if configuration.venueREST != nil, rest != streams { start["rest_proxy"] = .string(rest.map { "\($0)" } ?? "none") }
        }
        logger.info("starting", metadata: start)
    }

    mutating func run() throws {
        let logger = logger
        if let ops = plan.ops {
            // Before the engine: a place that is taken ends the program before it has begun.
            self.ops = try OpsServer.make(ops, engine, configuration, warnings, settings: plan.settings) { logger.warning("\($0)") }
        }
        try engine.start()
        try ops?.start()
        if let url = ops?.url { logger.info("page, metrics and probes", metadata: ["url": .string(url)]) }
        // An embedded Redis is nowhere in particular: commands without --redis find it by this.
        let announcement = redis.flatMap {
            Discovery.announce($0.endpoint, keyPrefix: plan.engine.keyPrefix, market: plan.engine.market)
        }
        defer { announcement?.withdraw() }
        let reportNs = UInt64(plan.reportSeconds) * 1_000_000_000
        var nextReportNs = MonotonicClock.nowNs() + reportNs
        var giveBackNs = Service.startNs.map { MonotonicClock.nowNs() + $0 }
        var nextGiveBackNs = MonotonicClock.nowNs() + Service.giveBackNs
        var reason: String?
        while reason == nil {
            reason = Signals.wait(milliseconds: 100)
            logger.drain(engine, warnings)
            supervisor.turn(engine, ops)
            if let due = giveBackNs.first, MonotonicClock.nowNs() >= due {
                giveBackNs.removeFirst()
                ProcessMemory.giveBackStart()
            }
            if MonotonicClock.nowNs() >= nextGiveBackNs {
                nextGiveBackNs = MonotonicClock.nowNs() + Service.giveBackNs
                ProcessMemory.giveBackHeap()
            }
            restartRedisIfEnded()
            if reportNs > 0, MonotonicClock.nowNs() >= nextReportNs {
                nextReportNs += reportNs
                reporter.report(engine.snapshot(), to: logger)
            }
        }
        try stop(reason ?? "")
    }

    /// Our own server is ours to bring back; the engine reconnects by itself and sends again what was not acknowledged.
    /// Nothing waits for it here: signals are answered in time, however long it loads.
    private mutating func restartRedisIfEnded() {
        guard let redis, redis.pid == nil, MonotonicClock.nowNs() >= nextRedisStartNs else { return }
        logger.error("the embedded Redis has ended: starting it again", metadata: ["log": .string(redis.logPath)])
        // One that ends at once (a full disk, a broken file) is tried again without haste.
        nextRedisStartNs = MonotonicClock.nowNs() + 5_000_000_000
        do {
            try redis.restart(waitsForAnswer: false)
            logger.notice("embedded Redis is started", metadata: ["pid": .stringConvertible(redis.pid ?? 0)])
        } catch {
            logger.error("the embedded Redis does not start", metadata: ["reason": .string("\(error)")])
        }
    }

    /// - Throws: when closed candles that came are not in Redis: a supervisor shall see it.
    private mutating func stop(_ reason: String) throws {
        logger.info("stopping: \(reason)")
        supervisor.end()
        ops?.beginStop()
        Signals.endAtOnceOnNext()
        let left = engine.stop(timeout: Service.flushTimeout)
        logger.drain(engine, warnings)
        ops?.stop()
        reporter.report(engine.snapshot(), to: logger, isFinal: true)
        redis?.stop(timeoutMs: Service.redisStopTimeoutMs)
        if left.isClean && left.closedLost == 0 {
            logger.info("stopped: everything received is in Redis")
        } else {
            logger.warning(
                "stopped: not everything received is in Redis",
                metadata: [
                    "closed_unwritten": .stringConvertible(left.closedUnwritten), Field.closedLost: .stringConvertible(left.closedLost),
                    "forming_unwritten": .stringConvertible(left.formingUnwritten),
                ])
        }
        if left.closedUnwritten + left.closedLost > 0 { throw ExitCode(Failure.incomplete) }
    }
}
