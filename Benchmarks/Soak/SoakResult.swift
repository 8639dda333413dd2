// What a soak leaves behind: the record for programs, and the summary for people.

import Foundation

struct SoakSample: Codable {
    /// Since the load stood.
    let second: Double
    let process: ProcessSample
    /// Of one core, since the sample before.
    let cpuShare: Double
    let framesPerSecond: Double
    let closedWritten: Int64
    let closedPending: Int64
    let connectionsLive: Int64
    let heapAllocatedBytes: Int64
    let gapsSeen: Int64

    var line: String {
        String(
            format:
                "%6.0f s  %6.0f frames/s  %9d closed  %6d waiting  RSS %6.1f MB  anonymous %6.1f MB  %3d files  %2d threads  CPU %3.0f %%  %d live",
            second, framesPerSecond, Int(closedWritten), Int(closedPending), Double(process.residentBytes) / 1e6,
            Double(process.anonymousBytes) / 1e6, process.descriptors, process.threads, cpuShare * 100, Int(connectionsLive))
    }
}

struct SoakEvent: Codable {
    let index: Int
    let second: Double
    let fault: String
    /// Why it could not be done.
    let skipped: String?
    /// What it counts as, of what a run must have seen.
    let required: String?
}

struct SoakVerdict: Codable {
    let name: String
    /// Nil: the run was too short to judge.
    let holds: Bool?
    let detail: String

    var line: String {
        let word = holds.map { $0 ? "ok    " : "FAILED" } ?? "  -   "
        return "\(word)  \(name.left(38))\(detail)"
    }
}

struct SoakResult: Codable {
    var machine = Surroundings.machine()
    var command = CommandLine.arguments.dropFirst().joined(separator: " ")
    var commit = ""
    var startedAt = ISO8601DateFormatter().string(from: Date())
    var seed: UInt64 = 0
    var streams = 0
    var seconds = 0.0
    var events: [SoakEvent] = []
    var samples: [SoakSample] = []
    /// The engine's counters at its end.
    var counters: [String: Int64] = [:]
    /// Warnings and errors of the engine, by text.
    var complaints: [String: Int] = [:]
    var verdicts: [SoakVerdict] = []

    var isGood: Bool { verdicts.allSatisfy { $0.holds ?? true } }

    /// Megabytes an hour over the last two thirds of the run, and twice its standard error.
    var residentSlope: (slope: Double, margin: Double)? {
        let points = samples.filter { $0.second >= seconds / 3 }.map { (x: $0.second / 3_600, y: Double($0.process.residentBytes) / 1e6) }
        guard points.count > 3 else { return nil }
        let count = Double(points.count)
        let (meanX, meanY) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
        let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        let slope = points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
        let residue = points.reduce(0) { $0 + pow($1.y - meanY - slope * ($1.x - meanX), 2) }
        return (slope, 2 * (residue / (count - 2) / spread).squareRoot())
    }

    func show() {
        print("\nRSS of feedd over the run, MB (faults every few seconds, from left to right):")
        print(SoakResult.sparkline(samples.map { Double($0.process.residentBytes) / 1e6 }))
        print("\nfaults:")
        for (name, list) in Dictionary(grouping: events, by: { SoakResult.kind($0.fault) }).sorted(by: { $0.key < $1.key }) {
            let skipped = list.count { $0.skipped != nil }
            print(
                "  \(name.padding(toLength: 34, withPad: " ", startingAt: 0))\(list.count)" + (skipped > 0 ? "  (\(skipped) not done)" : "")
            )
        }
        if !complaints.isEmpty { print("\nwhat feedd complained of:") }
        for (text, count) in complaints.sorted(by: { $0.value > $1.value }).prefix(12) { print("  \(count) x \(text)") }
        print("")
        for verdict in verdicts { print(verdict.line) }
    }

    private static func kind(_ fault: String) -> String {
        fault.split(separator: " ").filter { !$0.contains(where: \.isNumber) && $0 != "ms" && $0 != "for" && $0 != "after" && $0 != "back" }
            .joined(separator: " ").trimmingCharacters(in: .punctuationCharacters)
    }

    /// At most 60 columns; each shows the mean of its samples.
    static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "  no samples" }
        let width = min(60, values.count)
        let bars = (0..<width).map { column -> Character in
            let part = values[(column * values.count / width)..<((column + 1) * values.count / width)]
            let mean = part.reduce(0, +) / Double(part.count)
            return Array("▁▂▃▄▅▆▇█")[min(7, Int((mean - low) / max(high - low, 1e-9) * 8))]
        }
        return String(format: "  %.1f ", low) + String(bars) + String(format: " %.1f", high)
    }

    func write(to url: URL) throws {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: url)
    }
}
