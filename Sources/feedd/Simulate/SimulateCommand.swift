// `feedd simulate`: the local exchange as a program of its own.

import ArgumentParser
import FastFeed
import VenueSimulator

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a local exchange: the same protocol, deterministic prices, faults on demand.",
        discussion: """
            Listens on 127.0.0.1 only. Streams (/ws, /stream), REST (/api/v3/klines, exchangeInfo, …) share one port.

              feedd simulate --symbols 200 --speed 10
              feedd simulate --tls --fault drop,after=30000 --fault lose,probability=0.001,count=0
              feedd run --flux btcusdt,ethusdt:1m --venue-ws ws://127.0.0.1:9443
            """
    )

    @Option(help: "Port of 127.0.0.1; 0: any free one.")
    var port: UInt16 = 9_443

    @Option(help: "How many symbols: btcusdt, ethusdt, … then sim0001usdt, …")
    var symbols = 20

    @Option(help: ArgumentHelp("One more symbol, by its name: 币安人生usdt. May be repeated.", valueName: "symbol"))
    var extraSymbol: [String] = []

    @Option(help: "Prices, trades and faults are a function of this number.")
    var seed: UInt64 = 1

    @Option(help: "spot or um.")
    var market = "spot"

    @Option(help: "The exchange's clock against ours: 60 makes an hour a minute.")
    var speed = 1.0

    @Flag(help: "As fast as the slowest subscriber reads, instead of --speed.")
    var flatOut = false

    @Option(
        help: ArgumentHelp(
            "So many frames a second in all, evenly, the streams taking turns, whatever becomes of them.", valueName: "frames/s"))
    var openLoop: Int?

    @Flag(help: "For measurements: instead of first and last trade id, when the event was due and when it was made (monotonic clock, µs).")
    var stampTrades = false

    @Option(
        help: ArgumentHelp(
            "Milliseconds from a bar's end to its closing event. (default: the market's habit, by the bar)", valueName: "ms"))
    var closeDelayMs: Int64?

    @Option(
        help: ArgumentHelp(
            "Milliseconds between pushes of a stream, on the exchange's clock. (default: the market's habit)",
            valueName: "ms"))
    var pushMs: Int64?

    @Flag(help: "Speak TLS, with an authority made for this run.")
    var tls = false

    @Option(help: ArgumentHelp("Minutes of history before the start.", valueName: "n"))
    var historyMinutes = 180

    @Option(help: ArgumentHelp("The exchange's time at the start, Unix milliseconds. (default: now)", valueName: "ms"))
    var startTime: Int64?

    @Option(help: ArgumentHelp("Every n-th generated symbol hardly trades; 0: none.", valueName: "n"))
    var illiquidEvery = 4

    @Option(help: ArgumentHelp("Streams one connection may carry.", valueName: "n"))
    var streamsPerConnection = 1_024

    @Option(help: ArgumentHelp("So many of the last generated symbols never trade, and count as trading.", valueName: "n"))
    var quietSymbols = 0

    @Flag(help: "Push a bar only when it has changed, or closes: a stream without trades is silent in between. (um: always)")
    var onlyChanges = false

    @Option(help: ArgumentHelp("Seconds after which the exchange ends a connection.", valueName: "s"))
    var connectionLifetime: Int64 = 86_400

    @Option(
        help: ArgumentHelp(
            "Milliseconds of the exchange's clock for which REST, after a bar's end, lacks the bar or has it unfinished.", valueName: "ms"))
    var restLag: Int64 = 0

    @Option(help: ArgumentHelp("Request weight per minute and address. (default: 6000, um 2400)", valueName: "n"))
    var restWeight: Int?

    @Option(
        help: ArgumentHelp(
            "Seconds of the first ban of an address that goes on after 429. Each further one is twice as long.", valueName: "s"))
    var restBan = 120

    @Option(
        help: ArgumentHelp(
            "A fault: KIND[,stream=S][,connection=N][,after=MS][,duration=MS][,count=N][,probability=P][,value=N][,retry=S]. "
                + "Several: FAULT;FAULT…, or the option repeated. Kinds: "
                + FaultKind.allCases.map(\.rawValue).joined(separator: " "),
            valueName: "fault"))
    var fault: [String] = []

    @Option(
        help: ArgumentHelp(
            "At the end, write what was announced as JSON lines: closed candles, then each stream's newest state.", valueName: "file"))
    var truthFile: String?

    @Option(
        help: ArgumentHelp(
            "The truth file has all bars of each stream from this open time (Unix ms) on, announced or not. (default: those announced)",
            valueName: "ms"))
    var truthSince: Int64?

    @Option(help: ArgumentHelp("Closed candles remembered for the truth (144 bytes each); older ones are forgotten.", valueName: "n"))
    var truthCandles = 1_000_000

    @Option(help: ArgumentHelp("Seconds between status lines; 0: none.", valueName: "s"))
    var statusSeconds = 10

    @OptionGroup var parent: ParentOption

    func run() throws {
        try parent.apply()
        let simulator = try start()
        let market = simulator.configuration.market == .um ? "um" : "spot"
        var line = "simulating \(market): \(simulator.webSocketBase)  rest \(simulator.restBase)"
        if let file = simulator.certificateAuthorityFile { line += "  ca-file \(file)" }
        let failure: Failure?
        do throws(Failure) {
            // Who reads nothing any more may still be connected: the exchange goes on.
            try Terminal.print(line + "\n")
            try printStatus(simulator)
            failure = nil
        } catch {
            failure = error
        }
        Signals.endAtOnceOnNext()
        simulator.stop()
        if let reason = simulator.truthFileFailure { throw Failure(Failure.refused, "the truth file is not whole: \(reason)") }
        if let failure { throw failure }
    }

    /// Until a signal asks for the end.
    private func printStatus(_ simulator: VenueSimulator) throws(Failure) {
        var before = simulator.statistics()
        var waitedMs = 0
        while Signals.wait(milliseconds: 200) == nil {
            waitedMs += 200
            guard statusSeconds > 0, waitedMs >= statusSeconds * 1_000 else { continue }
            let now = simulator.statistics()
            try Terminal.print(Simulate.statusLine(now, before, seconds: Double(waitedMs) / 1_000) + "\n")
            (before, waitedMs) = (now, 0)
        }
    }

    private func start() throws -> VenueSimulator {
        do {
            let simulator = try VenueSimulator(configuration: makeConfiguration())
            try simulator.start()
            return simulator
        } catch let error as SimulatorConfigurationError {
            throw Failure.usage("\(Simulate.flags[error.field] ?? error.field) \(error.reason)")
        } catch let error as SystemError {
            throw Failure(Failure.refused, "cannot listen on 127.0.0.1:\(port): \(error)")
        }
    }

    /// What sets the fields of the configuration.
    private static let flags = [
        "symbolCount": "--symbols", "extraSymbols": "--extra-symbol", "illiquidEvery": "--illiquid-every",
        "historyMinutes": "--history-minutes",
        "startTimeMs": "--start-time", "speed": "--speed", "openLoop": "--open-loop", "stampsTrades": "--stamp-trades",
        "pushPeriodMs": "--push-ms", "closeDelayMs": "--close-delay-ms", "streamsPerConnectionMax": "--streams-per-connection",
        "connectionAgeMaxMs": "--connection-lifetime", "truthFile": "--truth-file", "truthCandlesMax": "--truth-candles",
        "quietSymbols": "--quiet-symbols", "restLagMs": "--rest-lag", "weightPerMinuteMax": "--rest-weight", "banSeconds": "--rest-ban",
    ]

    private func makeConfiguration() throws -> SimulatorConfiguration {
        guard (0...86_400).contains(statusSeconds) else { throw Failure.usage("--status-seconds must be 0 to 86400, not \(statusSeconds)") }
        guard (1...31_536_000).contains(connectionLifetime) else {
            throw Failure.usage("--connection-lifetime must be 1 to 31536000, not \(connectionLifetime)")
        }
        var configuration = SimulatorConfiguration()
        guard let market = Market(rawValue: market) else { throw Failure.usage("--market '\(market)': must be spot or um") }
        configuration.market = market
        configuration.port = port
        configuration.symbolCount = symbols
        for name in extraSymbol {
            guard let symbol = Symbol(name) else { throw Failure.usage("--extra-symbol \(Symbol.refusal(name))") }
            configuration.extraSymbols.append(symbol)
        }
        configuration.seed = seed
        guard !(flatOut && openLoop != nil) else { throw Failure.usage("--open-loop and --flat-out exclude each other") }
        configuration.pace = flatOut ? .flatOut : openLoop.map { .openLoop(framesPerSecond: $0) } ?? .realTime(speed: speed)
        configuration.stampsTrades = stampTrades
        if let closeDelayMs { configuration.closeDelayMs = closeDelayMs...closeDelayMs }
        configuration.pushPeriodMs = pushMs
        configuration.usesTLS = tls
        configuration.historyMinutes = historyMinutes
        configuration.startTimeMs = startTime
        configuration.illiquidEvery = illiquidEvery
        configuration.streamsPerConnectionMax = streamsPerConnection
        configuration.connectionAgeMaxMs = connectionLifetime * 1_000
        configuration.quietSymbols = quietSymbols
        if onlyChanges { configuration.pushOnlyOnChange = true }
        configuration.restLagMs = restLag
        configuration.weightPerMinuteMax = restWeight
        configuration.banSeconds = restBan
        configuration.truthFile = truthFile
        configuration.truthCandlesMax = truthCandles
        configuration.truthSinceMs = truthSince
        do {
            configuration.faults = try fault.flatMap { try Fault.plan(text: $0) }
        } catch {
            throw Failure.usage("--\(error)")
        }
        return configuration
    }

    static func statusLine(_ now: SimulatorStatistics, _ before: SimulatorStatistics, seconds: Double) -> String {
        let perSecond = Double(now.klineFrames - before.klineFrames) / seconds
        let open = now.connectionsAccepted - now.connectionsClosed
        return Numbers.grouped(Int(perSecond.rounded())).right(9) + " frames/s  " + Numbers.grouped(now.klineFrames).right(12) + " frames  "
            + Numbers.grouped(now.closedKlineFrames).right(9) + " closed  \(open) connections  \(now.faultsApplied) faults  "
            + "exchange time \(LogText.time(now.virtualTimeMs, withDate: true))"
    }
}
