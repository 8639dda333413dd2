// One arrangement of exchange, engine and Redis: what is fed, how fast, and over which transports.

import FastFeed
import VenueSimulator

struct WholeSetup {
    enum Load {
        /// As fast as the engine takes.
        case flatOut
        /// So many frames a second, each at its instant whatever happens.
        case openLoop(Int)
        /// All series close at once, every second.
        case bursts
    }

    enum RedisTransport: String {
        case unix, tcp
        /// A Unix socket, and a server that keeps an append-only file, synced every second.
        case aof
    }

    var load: Load
    var series = 300
    var isSecure = false
    var redis = RedisTransport.unix
    /// Off: every update is written.
    var coalesces = true
    var takesCommands = false

    var transports: String { "\(isSecure ? "wss" : "ws")+\(redis.rawValue)" }

    /// Bars close by the hundred in every run: flat out a minute of the exchange's clock passes at once, with a clock only
    /// bars of a second close often enough.
    var interval: Interval {
        if case .flatOut = load { .m1 } else { .s1 }
    }

    /// Flat out the exchange always has frames that have not left it yet, also when it is stopped.
    var endsInTheMiddle: Bool {
        if case .flatOut = load { true } else { false }
    }

    var symbols: [Symbol] { SymbolSpec.list(seed: 1, market: .spot, count: series, illiquidEvery: illiquidEvery).map(\.symbol) }
    var connections: Int { (series + 1_023) / 1_024 }

    /// Between two frames of one series, when there is a schedule.
    var seriesPeriodNs: UInt64 {
        if case .openLoop(let framesPerSecond) = load { UInt64(series) * 1_000_000_000 / UInt64(framesPerSecond) } else { 0 }
    }

    /// Symbols that hardly trade close at no cost: in a burst the exchange must not be the one that is waited for.
    private var illiquidEvery: Int {
        if case .bursts = load { 1 } else { 0 }
    }

    /// Flags of `feedd simulate`.
    var exchangeArguments: [String] {
        let world = ["--symbols", String(series), "--illiquid-every", String(illiquidEvery)] + (isSecure ? ["--tls"] : [])
        switch load {
        case .flatOut: return world + ["--flat-out", "--push-ms", "1000"]
        case .openLoop(let framesPerSecond):
            return world + ["--open-loop", String(framesPerSecond), "--stamp-trades", "--close-delay-ms", "0"]
        case .bursts: return world + ["--stamp-trades", "--close-delay-ms", "0"]
        }
    }
}
