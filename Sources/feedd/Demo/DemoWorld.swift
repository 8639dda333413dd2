// The parts of the demo and their order of coming and going.

import FastFeed
import Logging
import RedisServer
import VenueSimulator

final class DemoWorld {
    let simulator: VenueSimulator
    let redis: RedisServerProcess
    let engine: Engine
    let configuration: EngineConfiguration
    let speed: Double
    /// What the table shows.
    let shownInterval: Interval
    private let logger: Logger
    private let warnings = WarningBoard()
    /// Nil before `start`, and where it cannot serve.
    private(set) var ops: OpsServer?

    /// - Parameter logsToFile: beside the data instead of over the view.
    init(symbols: Int, intervals: String, speed: Double, logsToFile: Bool) throws {
        guard (1...500).contains(symbols) else { throw Failure.usage("--symbols must be 1 to 500, not \(symbols)") }
        self.speed = speed
        var venue = SimulatorConfiguration()
        venue.symbolCount = symbols
        venue.pace = .realTime(speed: speed)
        venue.illiquidEvery = 0
        do {
            simulator = try VenueSimulator(configuration: venue)
        } catch let error as SimulatorConfigurationError {
            throw Failure.usage("--\(error.field) \(error.reason)")
        } catch let error as SystemError {
            throw Failure(Failure.refused, "the simulated exchange cannot start: \(error)")
        }
        try simulator.start()
        redis = try RedisServerProcess()
        let sink = logsToFile ? try LogSink(file: redis.directory + "/feedd.log") : .standardError
        logger = Log.make(.text, level: logsToFile ? .debug : .warning, to: sink, board: warnings)
        var configuration = EngineConfiguration()
        let names = simulator.symbols.map(\.symbol.name).joined(separator: ",")
        let flux = try FluxDefinition("\(names):\(intervals)")
        configuration.fluxes = [flux]
        configuration.venue = try WebSocketEndpoint(url: simulator.webSocketBase)
        configuration.redis = redis.endpoint
        configuration.history = 5_000
        configuration.takesCommands = true
        configuration.watchesClock = speed == 1
        configuration.venueREST = try RestEndpoint(url: simulator.restBase)
        try configuration.validate()
        self.configuration = configuration
        shownInterval = flux.intervals.contains(.m1) ? .m1 : flux.intervals[0]
        engine = try Engine(configuration)
    }

    func start() throws {
        var plan = OpsPlan()
        // Several demos may run.
        plan.port = 0
        ops = try OpsServer.make(plan, engine, configuration, warnings, settings: []) { logger.warning("\($0)") }
        try engine.start()
        try ops?.start()
    }

    func drainLog() { logger.drain(engine, warnings) }

    func stopEngine() -> StopReport {
        ops?.beginStop()
        let left = engine.stop(timeout: .seconds(3))
        ops?.stop()
        drainLog()
        return left
    }

    func stop() {
        simulator.stop()
        redis.stop(timeoutMs: 1_500)
    }

    var symbols: [Symbol] { configuration.fluxes[0].symbols }
}
