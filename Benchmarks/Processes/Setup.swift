// One arrangement of exchange, program and Redis: what is fed, how fast, and over which transports. A plain value.

import FastFeed
import VenueSimulator

struct Setup {
    enum Load {
        /// As fast as the program takes; a bar has an update for each so many milliseconds of the exchange's clock.
        case flatOut(pushMs: Int = 1_000)
        /// So many frames a second, each at its instant whatever happens.
        case openLoop(Int)
        /// All series close at once, every second.
        case bursts
        /// By the clock: each series has an update every so many milliseconds.
        case pushed(everyMs: Int)
    }

    enum RedisTransport: String {
        case unix, tcp
        /// A Unix socket, and a server that keeps an append-only file, synced every second.
        case aof
    }

    /// The exchange's REST interface is asked, and what the streams did not bring comes from there.
    struct Healing {
        /// The exchange's clock at its start. Not before ours: a service believes its own until the first event has come.
        var startMs: Int64
        /// From this open time on the truth has all bars, announced or not.
        var truthSinceMs: Int64
        var historyMinutes = 180
        /// `--backfill`.
        var backfill = 0
        var restLagMs = 0
        /// Request weight per minute; nil: the exchange's own limit.
        var restWeight: Int?
    }

    var load: Load
    /// Each at all intervals.
    var symbols = 300
    /// Bars close by the hundred in every run: flat out a minute of the exchange's clock passes at once, with a clock only
    /// bars of a second close often enough.
    var intervals: [Interval]
    /// Symbols that are followed; the exchange has further ones.
    var followed: Int
    var isSecure = false
    var redis = RedisTransport.unix
    var redisArguments: [String] = []
    /// Off: every update is written.
    var coalesces = true
    var takesCommands = false
    var healing: Healing?
    var readers = 1
    var streamsPerConnection = 1_024
    /// Further flags of `feedd run`.
    var feedd: [String] = []
    /// A subscriber listens, and also tells how latencies went over the run.
    var subscribes = false
    var keepsTimeline = false
    /// The exchange leaves its truth, for the comparison at the end.
    var keepsTruth = true
    /// Entries of each series that Redis keeps: it must still have them all when they are compared.
    var history = 1_000_000
    /// Closed candles that the exchange remembers.
    var truthCandles = 1_000_000
    /// The exchange may have frames that have not left it yet when it is stopped. Flat out it always has.
    var endsInTheMiddle = false
    /// Every n-th symbol hardly trades. (Such ones close at no cost: in a burst the exchange must not be the one that is waited for.)
    var illiquidEvery = 0

    init(_ load: Load, symbols: Int = 300, intervals: [Interval]? = nil) {
        (self.load, self.symbols, followed) = (load, symbols, symbols)
        self.intervals = intervals ?? [.s1]
        if case .flatOut = load {
            endsInTheMiddle = true
            self.intervals = intervals ?? [.m1]
        }
        if case .bursts = load { illiquidEvery = 1 }
    }

    /// The same with other settings.
    func with(_ change: (inout Setup) -> Void) -> Setup {
        var setup = self
        change(&setup)
        return setup
    }

    var transports: String { "\(isSecure ? "wss" : "ws")+\(redis.rawValue)" }
    var series: Int { followed * intervals.count }
    var connections: Int { max((series + streamsPerConnection - 1) / streamsPerConnection, min(readers, series)) }
    /// Of all symbols, those that are followed first.
    var names: [Symbol] { SymbolSpec.list(seed: 1, market: .spot, count: symbols, illiquidEvery: illiquidEvery).map(\.symbol) }
    var followedNames: [Symbol] { Array(names.prefix(followed)) }

    /// Between two frames of one series, when there is a schedule.
    var seriesPeriodNs: UInt64 {
        if case .openLoop(let framesPerSecond) = load { UInt64(series) * 1_000_000_000 / UInt64(framesPerSecond) } else { 0 }
    }

    // MARK: For the programs

    /// As all programs have it by default.
    static let schema = KeySchema(prefix: "")

    /// Flags of `feedd simulate`. Where histories are healed, the exchange has a past and a clock of its own.
    var exchangeArguments: [String] {
        let past =
            healing.map {
                [
                    "--start-time", "\($0.startMs)", "--truth-since", "\($0.truthSinceMs)", "--history-minutes", "\($0.historyMinutes)",
                    "--rest-lag", "\($0.restLagMs)",
                ] + ($0.restWeight.map { ["--rest-weight", "\($0)"] } ?? [])
            } ?? []
        let onTime = ["--stamp-trades", "--close-delay-ms", "0"]
        let pace =
            switch load {
            case .flatOut(let pushMs): ["--flat-out", "--push-ms", "\(pushMs)"]
            case .openLoop(let framesPerSecond): ["--open-loop", "\(framesPerSecond)"] + onTime
            case .bursts: onTime
            case .pushed(let everyMs): ["--push-ms", "\(everyMs)"]
            }
        return ["--symbols", "\(symbols)", "--illiquid-every", "\(illiquidEvery)", "--truth-candles", "\(truthCandles)"] + pace + past
            + (isSecure ? ["--tls"] : [])
    }

    /// `SYMBOLS:INTERVALS`, as feedd and the reference take it.
    var flux: String { followedNames.map(\.name).joined(separator: ",") + ":" + intervals.map(\.token).joined(separator: ",") }

    /// Flags of `feedd run`.
    func feeddArguments(_ exchange: ExchangeProcess, _ redis: RedisEndpoint) -> [String] {
        let authority = exchange.authorityFile.map { ["--ca-file", $0] } ?? []
        return ["--flux", flux, "--venue-ws", exchange.webSocketBase, "--redis", "\(redis)", "--history", "\(history)"] + authority
            + (readers == 1 ? [] : ["--readers", "\(readers)"])
            + (streamsPerConnection == 1_024 ? [] : ["--streams-per-connection", "\(streamsPerConnection)"])
            + (coalesces ? [] : ["--no-coalesce"])
            + (healing.map { ["--venue-rest", exchange.restBase, "--backfill", "\($0.backfill)"] } ?? []) + feedd
    }
}
