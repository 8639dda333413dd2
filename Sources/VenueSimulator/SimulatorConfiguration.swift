// Everything that can be chosen about the simulated exchange, with the real one's habits as defaults.
// A plain value; checked once, by `validate()`.

package import FastFeed

/// How fast the exchange's own clock runs.
package enum SimulatorPace: Sendable, Equatable {
    /// Bound to the wall clock; 1 is the exchange's cadence, 60 an hour a minute.
    case realTime(speed: Double)
    /// As fast as the slowest subscriber reads. Stands still while nobody is subscribed.
    case flatOut
    /// At the exchange's cadence, but frames leave evenly, so many in a second, the streams taking turns: frame i is
    /// due i/n seconds after the first, whatever became of the frames before it.
    case openLoop(framesPerSecond: Int)
}

/// What happens to a subscription beyond the limit of streams.
package enum ExcessStreams: String, Sendable, CaseIterable {
    case ignore, error, close
}

/// How a connection ends at its age limit.
package enum AgeLimitClose: String, Sendable, CaseIterable {
    /// Close frame 1001.
    case goingAway
    /// The TCP connection drops.
    case drop
}

/// A configuration that cannot work.
package struct SimulatorConfigurationError: Error, CustomStringConvertible, Equatable {
    package let field: String
    package let reason: String
    package var description: String { "simulator: \(field) \(reason)" }
}

package struct SimulatorConfiguration: Sendable {
    // The world.
    package var market: Market = .spot
    package var seed: UInt64 = 1
    package var symbolCount = 20
    /// Further instruments, by name.
    package var extraSymbols: [Symbol] = []
    /// Every n-th generated symbol goes minutes without a trade; 0: none does.
    package var illiquidEvery = 4
    /// So many of the last generated symbols never trade: see `SymbolState.quiet`.
    package var quietSymbols = 0
    /// History begins this long before the start.
    package var historyMinutes = 180
    /// Virtual time of the start; nil: the wall clock's.
    package var startTimeMs: Int64?
    /// Open of any three-day bar; nil: each symbol's listing day.
    package var threeDayAnchorMs: Int64?

    // The calendar; more can be added while it runs.
    package var symbolChanges: [SymbolChange] = []
    package var maintenance: [MaintenanceWindow] = []
    /// How connections end when maintenance begins.
    package var maintenanceClose: AgeLimitClose = .goingAway

    // Pace.
    package var pace: SimulatorPace = .realTime(speed: 1)
    /// Instead of the market's own periods (spot: 1000 ms for 1s, 2000 ms otherwise; um: 250 ms).
    package var pushPeriodMs: Int64?
    /// nil: the market's habit (spot repeats an unchanged bar, um does not).
    package var pushOnlyOnChange: Bool?
    /// Virtual delay of a bar's closed event after its end, instead of the market's own (recorded by several people, 2018 to 2026:
    /// spot 1 to 6 ms for 1s and up to 300 ms otherwise, um from 333 to 960 ms).
    package var closeDelayMs: ClosedRange<Int64>?
    /// Some bars close later than that; nil: none does.
    package var closeDelayTail: CloseDelayTail?
    /// A bar without trades is announced closed only with the next trade's push, as seen on idle futures; um only.
    package var idleBarsCloseWithTrade = false
    /// For measurements: in place of a bar's first and last trade id, when the event was due and when it was made,
    /// in microseconds of the monotonic clock. (The trade count, their distance plus one, then means nothing.)
    package var stampsTrades = false
    /// Events between two looks at the sockets.
    package var eventsPerCycleMax = 512

    // Connections.
    package var port: UInt16 = 0
    package var usesTLS = false
    /// Wall-clock milliseconds; nil: the market's (20 s and 60 s, or 180 s and 600 s).
    package var pingIntervalMs: Int64?
    package var pongTimeoutMs: Int64?
    /// nil: 5 on spot, 10 on um.
    package var messagesPerSecondMax: Int?
    package var controlFrameBytesMax = 4_096
    package var streamsPerConnectionMax = 1_024
    package var excessStreams: ExcessStreams = .error
    /// `{"code":…}` at top level, as the documentation has it, instead of inside `error`.
    package var flatErrors = false
    package var urlBytesMax = 8_004
    package var connectsPerFiveMinutesMax = 300
    /// Wall-clock age at which a connection is ended; nil: never.
    package var connectionAgeMaxMs: Int64? = 86_400_000
    package var ageLimitClose: AgeLimitClose = .goingAway
    /// A serverShutdown event this long before the age limit; nil: none.
    package var shutdownNoticeMs: Int64?
    package var outputBufferBytesMax = 64 << 20
    package var connectionsMax = 4_096

    // REST.
    /// nil: 6000 on spot, 2400 on um.
    package var weightPerMinuteMax: Int?
    /// For this long (virtual) after a bar's end REST lacks it, or has it unfinished, and knows of no later one.
    package var restLagMs: Int64 = 0
    /// First ban of a client that goes on after 429; doubles up to three days.
    package var banSeconds = 120
    /// The exchange's clock minus the wall clock, unless `startTimeMs` is given.
    package var clockOffsetMs: Int64 = 0

    // Truth and faults.
    package var truthCandlesMax = 1_000_000
    /// Closed candles, then the newest state of each stream, are written here as JSON lines when the simulator stops.
    package var truthFile: String?
    /// If given, the file has instead of the announced ones all bars of each stream since then, announced or not.
    package var truthSinceMs: Int64?
    /// A delivery is revoked when its connection is reset within this wall-clock time.
    package var deliveryGraceMs: Int64 = 1_000
    package var faults: [Fault] = []

    package init() {}

    func pushPeriodMs(of interval: Interval) -> Int64 {
        if let pushPeriodMs { return pushPeriodMs }
        return market == .um ? 250 : (interval == .s1 ? 1_000 : 2_000)
    }

    package func closeDelayMs(of interval: Interval) -> ClosedRange<Int64> {
        closeDelayMs ?? (market == .um ? 300...1_000 : interval == .s1 ? 1...6 : 2...300)
    }

    var pushesOnlyOnChange: Bool { pushOnlyOnChange ?? (market == .um) }
    var clientMessagesMax: Int { messagesPerSecondMax ?? (market == .um ? 10 : 5) }
    var pingEveryMs: Int64 { pingIntervalMs ?? (market == .um ? 180_000 : 20_000) }
    var pongWithinMs: Int64 { pongTimeoutMs ?? (market == .um ? 600_000 : 60_000) }
    var weightMax: Int { weightPerMinuteMax ?? (market == .um ? 2_400 : 6_000) }

    /// Throws for the first value that cannot work, naming it.
    package func validate() throws(SimulatorConfigurationError) {
        func require(_ holds: Bool, _ field: String, _ reason: String) throws(SimulatorConfigurationError) {
            if !holds { throw SimulatorConfigurationError(field: field, reason: reason) }
        }
        try require((1...100_000).contains(symbolCount), "symbolCount", "must be 1…100000, is \(symbolCount)")
        try require(illiquidEvery >= 0, "illiquidEvery", "must not be negative")
        try require((0...symbolCount).contains(quietSymbols), "quietSymbols", "must be 0…\(symbolCount), is \(quietSymbols)")
        try require((1...5_256_000).contains(historyMinutes), "historyMinutes", "must be 1 minute…10 years")
        if let startTimeMs {
            let earliest = Int64(historyMinutes) * 60_000 + 1
            try require(startTimeMs >= earliest, "startTimeMs", "lies before the history's length after 1970")
            try require(startTimeMs < 4_102_444_800_000, "startTimeMs", "must be Unix milliseconds before 2100")
        }
        if case .realTime(let speed) = pace {
            try require(speed > 0 && speed <= 100_000, "speed", "must be in (0, 100000], is \(speed)")
        }
        if case .openLoop(let framesPerSecond) = pace {
            try require((1...10_000_000).contains(framesPerSecond), "openLoop", "must be 1…10000000 frames/s, is \(framesPerSecond)")
        }
        try require(!stampsTrades || pace != .flatOut, "stampsTrades", "needs a pace with a clock: flat out, nothing is ever due")
        if let pushPeriodMs {
            try require((1...86_400_000).contains(pushPeriodMs), "pushPeriodMs", "must be 1 ms…1 day, is \(pushPeriodMs)")
        }
        let closeDelays = Interval.allCases.map(closeDelayMs(of:))
        try require(
            closeDelays.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= 60_000 }, "closeDelayMs", "must lie in 0…60000")
        try require(!idleBarsCloseWithTrade || market == .um, "idleBarsCloseWithTrade", "is a habit of futures")
        if let tail = closeDelayTail {
            try require((0...1).contains(tail.probability), "closeDelayTail", "needs a probability in 0…1")
            let longest = closeDelays.map(\.upperBound).max()!
            try require((longest...60_000).contains(tail.maxMs), "closeDelayTail", "must end in \(longest)…60000")
        }
        let specs = SymbolSpec.list(self)
        let names = Set(specs.map(\.symbol.name))
        try require(names.count == specs.count, "extraSymbols", "names a symbol twice, or one that is simulated already")
        if !symbolChanges.isEmpty {
            for change in symbolChanges {
                try require(names.contains(change.symbol.lowercased()), "symbolChanges", "names '\(change.symbol)', which is not simulated")
                try require((0...Calendar.delayMaxMs).contains(change.afterMs), "symbolChanges", "must come after 0 ms…100 years")
            }
        }
        for window in maintenance {
            try require((0...Calendar.delayMaxMs).contains(window.afterMs), "maintenance", "must begin after 0 ms…100 years")
            try require((1...Calendar.delayMaxMs).contains(window.durationMs), "maintenance", "must last 1 ms…100 years")
        }
        try require(eventsPerCycleMax > 0, "eventsPerCycleMax", "must be positive")
        try require(pingEveryMs > 0, "pingIntervalMs", "must be positive")
        try require(pongWithinMs > 0, "pongTimeoutMs", "must be positive")
        try require(clientMessagesMax > 0, "messagesPerSecondMax", "must be positive")
        try require(controlFrameBytesMax >= 64, "controlFrameBytesMax", "must be at least 64")
        try require(streamsPerConnectionMax > 0, "streamsPerConnectionMax", "must be positive")
        try require(urlBytesMax >= 64, "urlBytesMax", "must be at least 64")
        try require(connectsPerFiveMinutesMax > 0, "connectsPerFiveMinutesMax", "must be positive")
        try require(connectionAgeMaxMs ?? 1 > 0, "connectionAgeMaxMs", "must be positive")
        try require(outputBufferBytesMax >= 1 << 16, "outputBufferBytesMax", "must be at least 64 KiB")
        try require((1...60_000).contains(connectionsMax), "connectionsMax", "must be 1…60000")
        try require(weightMax > 0, "weightPerMinuteMax", "must be positive")
        try require((0...86_400_000).contains(restLagMs), "restLagMs", "must be 0…1 day, is \(restLagMs)")
        try require((1...259_200).contains(banSeconds), "banSeconds", "must be 1 s…3 days, is \(banSeconds)")
        try require((1...100_000_000).contains(truthCandlesMax), "truthCandlesMax", "must be 1…100 million")
        try require(deliveryGraceMs >= 0, "deliveryGraceMs", "must not be negative")
    }
}
