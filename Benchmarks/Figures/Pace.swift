// What a run has done until an instant, looked at from outside, and how fast it went between two of them. The same for every
// program: frames are those that the exchange has sent, states those that Redis was told to publish, CPU is the
// scheduler's account of the process. Plain values.

import FastFeed

struct Reading {
    let ns = MonotonicClock.nowNs()
    let frames, published: UInt64
    let programNs, redisNs, exchangeNs: UInt64

    init(frames: UInt64, published: UInt64 = 0, programNs: UInt64, _ rig: Rig) throws {
        (self.frames, self.published, self.programNs) = (frames, published, programNs)
        redisNs = try ProcessorTime.ofProcess(rig.redis.live())
        exchangeNs = try ProcessorTime.ofProcess(rig.exchange.pid)
    }
}

struct Pace {
    let seconds, frames, published: Double
    private let before, after: Reading

    /// - Throws: when no frame was sent between them.
    init(from before: Reading, to after: Reading) throws {
        (self.before, self.after) = (before, after)
        seconds = Double(after.ns - before.ns) / 1e9
        frames = Double(after.frames - before.frames)
        published = Double(after.published - before.published)
        guard frames > 0 else { throw FeedError(.venue, "no frames came") }
    }

    /// CPU of a process, in seconds.
    func cpuSeconds(_ part: KeyPath<Reading, UInt64>) -> Double { Double(after[keyPath: part] - before[keyPath: part]) / 1e9 }

    /// Figures by name: rates by the second, CPU in microseconds for a frame.
    var figures: [String: Double] {
        func microseconds(_ part: KeyPath<Reading, UInt64>) -> Double { cpuSeconds(part) * 1e6 / frames }
        return [
            "frames": frames / seconds, "frames-per-core": frames / cpuSeconds(\.programNs), "states": published / seconds,
            "written": published / frames, "cpu": microseconds(\.programNs), "redis-cpu": microseconds(\.redisNs),
            "exchange-cpu": microseconds(\.exchangeNs),
        ]
    }
}

/// Figures that programs are compared by: their units.
enum Figure {
    private static let known: [String: (unit: String, better: Measure.Direction)] = [
        "frames": ("frames/s", .higher), "frames-per-core": ("frames/s", .higher), "states": ("states/s", .higher),
        "written": ("states/frame", .neither), "cpu": ("us/frame", .lower), "cpu-above-ws": ("us/frame", .lower),
        "cpu-share": ("% of a core", .lower), "redis-cpu": ("us/frame", .lower), "exchange-cpu": ("us/frame", .neither),
        "redis-cpu-share": ("% of a core", .lower), "redis-rss": ("MB", .lower), "stored": ("candles", .neither),
        "rss": ("MiB", .lower), "anonymous": ("MB", .lower), "heap": ("MB", .lower),
        "connections": ("connections", .neither), "p50": ("us", .lower), "p99": ("us", .lower), "p99.9": ("us", .lower),
        "last": ("us", .lower), "messages": ("messages/s", .higher), "message-cpu": ("us/message", .lower),
        "lateness-p99": ("us", .neither), "fast": ("ns/message", .lower), "um": ("ns/message", .lower), "fallback": ("ns/message", .lower),
    ]

    static func unit(_ figure: String) -> String { known[figure]?.unit ?? "" }
    static func direction(_ figure: String) -> Measure.Direction { known[figure]?.better ?? .lower }
}

/// What the rounds of each run have brought.
struct Rounds {
    /// By what was run, figure and round.
    private var values: [String: [String: [Int: Double]]] = [:]

    mutating func add(_ name: String, _ round: Int, _ figures: [String: Double]) {
        for (figure, value) in figures { values[name, default: [:]][figure, default: [:]][round] = value }
    }

    func figures(_ name: String) -> [String] { (values[name] ?? [:]).keys.sorted() }

    /// In the order of the rounds.
    func all(_ name: String, _ figure: String) -> [Double] { byRound(name, figure).sorted { $0.key < $1.key }.map(\.value) }
    func byRound(_ name: String, _ figure: String) -> [Int: Double] { values[name]?[figure] ?? [:] }

    /// Nil: never measured.
    func typical(_ name: String, _ figure: String) -> Double? {
        let all = all(name, figure)
        return all.isEmpty ? nil : median(all)
    }
}
