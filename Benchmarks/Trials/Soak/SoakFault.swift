// The faults of a soak and their order. The order is a function of the seed and the time between them, so a run can be repeated. Pure.

import FastFeed

/// One fault with all its particulars.
enum SoakFault {
    /// Query of the exchange's `POST /sim/fault` (docs/simulator.md).
    case exchange(String)
    /// kill -9, and a start on the same files after so long.
    case redisKilled(awayMs: Int)
    /// SIGSTOP, later SIGCONT.
    case redisStopped(ms: Int)
    case redisPaused(ms: Int, writesOnly: Bool)
    case redisClientsKilled
    /// A setting under which every write is refused, for a while.
    case redisRefuses(setting: String, ms: Int)

    var text: String {
        switch self {
        case .exchange(let query): "exchange: " + query.replacing("kind=", with: "").replacing("&", with: " ")
        case .redisKilled(let ms): "redis: kill -9, back after \(ms) ms"
        case .redisStopped(let ms): "redis: stopped for \(ms) ms"
        case .redisPaused(let ms, let writesOnly): "redis: CLIENT PAUSE \(ms) \(writesOnly ? "WRITE" : "ALL")"
        case .redisClientsKilled: "redis: CLIENT KILL TYPE normal"
        case .redisRefuses(let setting, let ms): "redis: \(setting) 1 for \(ms) ms"
        }
    }
}

/// What a soak of ten minutes or more must have seen at least once.
enum RequiredFault: String, CaseIterable {
    case reset = "connection reset"
    case fin = "connection ended by FIN"
    case midFrame = "connection ended in mid-frame"
    case halfOpen = "connection silent"
    case corrupt = "frames corrupt"
    case redisKilled = "Redis killed"
    case redisStopped = "Redis stopped"
    case redisPaused = "Redis paused"

    /// What one fault counts as.
    init?(_ fault: SoakFault) {
        switch fault {
        case .exchange("kind=reset"): self = .reset
        case .exchange("kind=drop"): self = .fin
        case .exchange("kind=cutFrame"): self = .midFrame
        case .exchange("kind=halfOpen"): self = .halfOpen
        case .exchange(let query) where query.hasPrefix("kind=corruptJSON"): self = .corrupt
        case .redisKilled: self = .redisKilled
        case .redisStopped: self = .redisStopped
        case .redisPaused: self = .redisPaused
        default: return nil
        }
    }

    /// Runs as long as this are judged by it.
    static let minutesMin = 10.0
}

struct SoakSchedule {
    private var random: SplitMix64
    private var index = 0
    private var nextCut = 0
    private var nextSilence = 0
    /// Each comes once before any is left to chance.
    private var required: [RequiredFault]

    /// Faults between two that end a connection. A connection that ends before it has held for a minute is opened
    /// again with growing pauses: with cuts in a closer row the run would test little but the pauses.
    private let cutDistance: Int
    /// Faults between two connections that fall silent for the 45 s until they are given up.
    private let silenceDistance: Int

    private static let cutSeconds = 35
    private static let silenceSeconds = 200

    /// - Parameter faultSeconds: the time between two faults.
    init(seed: UInt64, faultSeconds: Int) {
        random = SplitMix64(seed: seed ^ 0x50A4)
        cutDistance = (SoakSchedule.cutSeconds + faultSeconds - 1) / faultSeconds
        silenceDistance = (SoakSchedule.silenceSeconds + faultSeconds - 1) / faultSeconds
        nextSilence = silenceDistance / 4
        required = RequiredFault.allCases.shuffled(using: &random)
    }

    /// True when a run of so many faults has each required one.
    static func coversAll(seed: UInt64, faultSeconds: Int, count: Int) -> Bool {
        var schedule = SoakSchedule(seed: seed, faultSeconds: faultSeconds)
        for _ in 0..<count { _ = schedule.next() }
        return schedule.required.isEmpty
    }

    /// - Returns: the fault's number, from 1, and the fault.
    mutating func next() -> (index: Int, fault: SoakFault) {
        index += 1
        // What is drawn does not depend on what happened in the run.
        if let place = required.firstIndex(where: isPossible) { return (index, make(required.remove(at: place))) }
        let roll = number(0...99)
        // While required ones wait for their distance, no other takes it.
        if index >= nextSilence, roll < 4, required.isEmpty { return (index, silence()) }
        if index >= nextCut, roll < 50, required.isEmpty {
            nextCut = index + cutDistance
            return (index, cut())
        }
        return (index, roll % 2 == 0 ? redis() : frames())
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private func isPossible(_ fault: RequiredFault) -> Bool {
        switch fault {
        case .reset, .fin, .midFrame: index >= nextCut
        case .halfOpen: index >= nextCut && index >= nextSilence
        default: true
        }
    }

    private mutating func make(_ fault: RequiredFault) -> SoakFault {
        switch fault {
        case .reset, .fin, .midFrame:
            nextCut = index + cutDistance
            return .exchange(fault == .reset ? "kind=reset" : fault == .fin ? "kind=drop" : "kind=cutFrame")
        case .halfOpen: return silence()
        case .corrupt: return .exchange("kind=corruptJSON&count=\(number(1...50))")
        case .redisKilled: return .redisKilled(awayMs: number(200...1_500))
        case .redisStopped: return .redisStopped(ms: number(500...2_000))
        case .redisPaused: return .redisPaused(ms: number(200...2_000), writesOnly: number(0...1) == 0)
        }
    }

    /// A connection that has died and does not say so.
    private mutating func silence() -> SoakFault {
        nextSilence = index + silenceDistance
        nextCut = max(nextCut, index + 2 * cutDistance)
        return .exchange("kind=halfOpen")
    }

    /// A connection ends, or all of them.
    private mutating func cut() -> SoakFault {
        let kinds = [
            "reset", "drop", "close&value=1001", "close&value=1008", "cutFrame", "massDisconnect", "massDisconnect&value=1012",
            "serverShutdown",
        ]
        return .exchange("kind=" + kinds[number(0...kinds.count - 1)])
    }

    /// Connections live on; what they carry is late, odd, damaged or lost.
    private mutating func frames() -> SoakFault {
        let damages = ["corruptJSON", "truncateJSON", "longDecimals", "nonASCIISymbol", "unknownEvent"]
        return switch number(0...12) {
        case let kind where kind < damages.count: .exchange("kind=\(damages[kind])&count=\(number(1...50))")
        case 5: .exchange("kind=lose&count=\(number(1...200))")
        case 6: .exchange("kind=duplicate&probability=0.5&count=\(number(100...5_000))")
        case 7: .exchange("kind=hold&probability=0.1&count=\(number(10...100))&value=\(number(50...800))")
        case 8: .exchange("kind=lateClose&count=\(number(1...20))")
        case 9: .exchange("kind=fragment&duration=\(number(500...3_000))")
        case 10: .exchange("kind=missingClose&count=\(number(1...100))")
        case 11: .exchange("kind=splitWrites&duration=\(number(100...500))")
        default: .exchange("kind=stall&value=\(number(200...3_000))")
        }
    }

    private mutating func redis() -> SoakFault {
        switch number(0...6) {
        case 0, 1: .redisKilled(awayMs: number(200...1_500))
        case 2: .redisStopped(ms: number(500...2_000))
        case 3: .redisPaused(ms: number(200...2_000), writesOnly: number(0...1) == 0)
        case 4: .redisClientsKilled
        case 5: .redisRefuses(setting: "maxmemory", ms: number(200...2_000))
        default: .redisRefuses(setting: "min-replicas-to-write", ms: number(200...2_000))
        }
    }
}
