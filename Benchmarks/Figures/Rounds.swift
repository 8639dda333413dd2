// Figures that programs are compared by: their units, and what the rounds of each run have brought. Plain values.

enum Figure {
    private static let known: [String: (unit: String, better: Measure.Direction)] = [
        "frames": ("frames/s", .higher), "frames-per-core": ("frames/s", .higher), "states": ("states/s", .higher),
        "written": ("states/frame", .neither), "cpu": ("us/frame", .lower), "cpu-above-ws": ("us/frame", .lower),
        "cpu-share": ("% of a core", .lower), "redis-cpu": ("us/frame", .lower), "exchange-cpu": ("us/frame", .neither),
        "rss": ("MiB", .lower), "anonymous": ("MB", .lower), "heap": ("MB", .lower),
        "connections": ("connections", .neither), "p50": ("us", .lower), "p99": ("us", .lower), "last": ("us", .lower),
        "lateness-p99": ("us", .neither), "fast": ("ns/message", .lower), "fallback": ("ns/message", .lower),
    ]

    static func unit(_ figure: String) -> String { known[figure]?.unit ?? "" }
    static func direction(_ figure: String) -> Measure.Direction { known[figure]?.better ?? .lower }
}

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
