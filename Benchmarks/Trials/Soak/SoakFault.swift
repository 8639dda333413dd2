// The faults of a soak and their order. The order is a function of the seed and the time between them, so a run can be repeated. Pure.

import FastFeed

/// One fault with all its particulars.
enum SoakFault {
    /// Kind and numbers, as the exchange's `POST /sim/fault?kind=` takes them (docs/simulator.md).
    case exchange(String)
    /// kill -9, and a start on the same files after so long.
    case redisKilled(awayMs: Int)
    /// The same, with nothing on the files.
    case redisForgets(awayMs: Int)
    /// SIGSTOP, later SIGCONT.
    case redisStopped(ms: Int)
    /// CLIENT PAUSE and the like, which end by themselves.
    case redisCommand(String)
    /// A setting under which every write is refused, for a while.
    case redisRefuses(setting: String, ms: Int)

    var text: String {
        switch self {
        case .exchange(let query): "exchange: " + query.replacing("&", with: " ")
        case .redisKilled(let ms): "redis: killed, back after \(ms) ms"
        case .redisForgets(let ms): "redis: killed without its memory, back after \(ms) ms"
        case .redisStopped(let ms): "redis: stopped for \(ms) ms"
        case .redisCommand(let command): "redis: " + command
        case .redisRefuses(let setting, let ms): "redis: \(setting) 1 for \(ms) ms"
        }
    }
}

/// What a soak of ten minutes or more must have seen at least once: how the texts of such faults begin.
enum RequiredFault: String, CaseIterable {
    case reset = "exchange: reset"
    case fin = "exchange: drop"
    case midFrame = "exchange: cutFrame"
    case halfOpen = "exchange: halfOpen"
    case corrupt = "exchange: corruptJSON"
    case mute = "exchange: muteOnConnection"
    case closeLost = "exchange: missingClose"
    case closeLate = "exchange: lateClose"
    case rest = "exchange: restStatus"
    case away = "exchange: massDisconnect"
    /// The first of all: what Redis had before is not asked for.
    case redisForgets = "redis: killed without"
    case redisKilled = "redis: killed, back"
    case redisStopped = "redis: stopped"
    case redisPaused = "redis: CLIENT PAUSE"

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

    private static let cuts = [
        "reset", "drop", "close&value=1001", "close&value=1008", "cutFrame", "massDisconnect", "massDisconnect&value=1012",
        "serverShutdown",
    ]
    /// Connections live on; what they carry is late, odd, damaged or lost.
    private static let frameFaults: [(kind: String, numbers: KeyValuePairs<String, ClosedRange<Int>>)] = [
        ("corruptJSON", ["count": 1...50]), ("truncateJSON", ["count": 1...50]), ("longDecimals", ["count": 1...50]),
        ("nonASCIISymbol", ["count": 1...50]), ("unknownEvent", ["count": 1...50]), ("lose", ["count": 1...200]),
        ("duplicate&probability=0.5", ["count": 100...5_000]), ("hold&probability=0.1", ["count": 10...100, "value": 50...800]),
        ("lateClose", ["count": 1...20, "value": 0...5_000]), ("fragment", ["duration": 500...3_000]), ("missingClose", ["count": 1...100]),
        ("splitWrites", ["duration": 100...500]), ("stall", ["value": 200...3_000]), ("muteOnConnection", ["count": 1...3]),
        ("muteSubscription", ["count": 1...3]),
    ]
    /// Answers to whoever asks for what is missing.
    private static let restFaults: [(kind: String, numbers: KeyValuePairs<String, ClosedRange<Int>>)] = [
        ("restStatus&value=429", ["count": 1...2, "retry": 1...3]), ("restStatus&value=418", ["count": 1...1, "retry": 1...3]),
        ("restStatus&value=503", ["count": 1...3]), ("restStatus&value=403", ["count": 1...2]),
        ("restTruncate", ["count": 1...3]), ("restWrongLength", ["count": 1...3]), ("restReset", ["count": 1...3]),
        ("restSlow", ["count": 1...3, "value": 500...4_000]),
    ]

    /// - Parameter faultSeconds: the time between two faults.
    init(seed: UInt64, faultSeconds: Int) {
        random = SplitMix64(seed: seed ^ 0x50A4)
        cutDistance = (35 + faultSeconds - 1) / faultSeconds
        silenceDistance = (200 + faultSeconds - 1) / faultSeconds
        nextSilence = silenceDistance / 4
        required = [.redisForgets] + RequiredFault.allCases.filter { $0 != .redisForgets }.shuffled(using: &random)
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
        if index >= nextSilence, roll < 4, required.isEmpty { return (index, make(.halfOpen)) }
        if index >= nextCut, roll < 50, required.isEmpty { return (index, cut(SoakSchedule.cuts[number(0...SoakSchedule.cuts.count - 1)])) }
        return (index, roll % 2 == 0 ? redis() : roll % 10 == 1 ? drawn(SoakSchedule.restFaults) : drawn(SoakSchedule.frameFaults))
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private func isPossible(_ fault: RequiredFault) -> Bool {
        switch fault {
        case .reset, .fin, .midFrame, .away: index >= nextCut
        case .halfOpen: index >= nextCut && index >= nextSilence
        default: true
        }
    }

    private mutating func make(_ fault: RequiredFault) -> SoakFault {
        switch fault {
        case .reset: return cut("reset")
        case .fin: return cut("drop")
        case .midFrame: return cut("cutFrame")
        case .halfOpen:
            // A connection that has died and does not say so.
            nextSilence = index + silenceDistance
            nextCut = max(nextCut, index + 2 * cutDistance)
            return .exchange("halfOpen")
        case .corrupt: return .exchange("corruptJSON&count=\(number(1...50))")
        case .mute: return .exchange("muteOnConnection&count=\(number(1...3))")
        case .closeLost: return .exchange("missingClose&count=\(number(1...100))")
        case .closeLate: return .exchange("lateClose&count=\(number(1...20))&value=\(number(2_500...5_000))")
        case .rest: return .exchange("restStatus&value=429&count=1&retry=\(number(1...3))")
        case .away: return cut("massDisconnect")
        case .redisForgets: return .redisForgets(awayMs: number(200...1_500))
        case .redisKilled: return .redisKilled(awayMs: number(200...1_500))
        case .redisStopped: return .redisStopped(ms: number(500...2_000))
        case .redisPaused: return .redisCommand("CLIENT PAUSE \(number(200...2_000)) \(number(0...1) == 0 ? "WRITE" : "ALL")")
        }
    }

    /// A connection ends, or all of them.
    private mutating func cut(_ kind: String) -> SoakFault {
        nextCut = index + cutDistance
        return .exchange(kind)
    }

    private mutating func drawn(_ faults: [(kind: String, numbers: KeyValuePairs<String, ClosedRange<Int>>)]) -> SoakFault {
        let (kind, numbers) = faults[number(0...faults.count - 1)]
        return .exchange(numbers.reduce(kind) { "\($0)&\($1.key)=\(number($1.value))" })
    }

    private mutating func redis() -> SoakFault {
        switch number(0...6) {
        case 0, 1: make(.redisKilled)
        case 2: make(.redisStopped)
        case 3: make(.redisPaused)
        case 4: .redisCommand("CLIENT KILL TYPE normal SKIPME yes")
        case let place: .redisRefuses(setting: place == 5 ? "maxmemory" : "min-replicas-to-write", ms: number(200...2_000))
        }
    }
}
