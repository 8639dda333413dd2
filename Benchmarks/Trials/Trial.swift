// What all trials have in common: the real program for a long time or under more than it can bear, verdicts on what must hold,
// a record for programs and a summary for people. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct TrialOptions: ParsableArguments {
    @Option(help: "Write the result into this file, as JSON.")
    var record: String?

    @Option(help: "What is measured, for the record.")
    var commit = ""
}

enum Trial {
    /// - Parameter result: into which `body` writes what it sees, so that a run that cannot go on has a record, too.
    /// - Parameter keepsFiles: also when all is well.
    /// - Parameter body: is given a directory for logs. All processes have ended when it returns.
    /// - Throws: an exit code of 1 when anything does not hold.
    static func carryOut(
        _ name: String, _ options: TrialOptions, _ result: TrialResult, record: (any Encodable)? = nil, keepsFiles: Bool = false,
        _ body: (URL) throws -> Void
    ) throws {
        let directory = try RunDirectory.make(name)
        result.commit = options.commit
        do {
            try body(directory)
        } catch {
            result.judge("came to its end", false, "\(error)")
        }
        result.show()
        if let file = options.record {
            let document: any Encodable = record ?? result
            try JSONFile.write(JSONFile.encoded(document), to: file)
            print("\nrecorded: \(file)")
        }
        if result.isGood && !keepsFiles { try FileManager.default.removeItem(at: directory) } else { print("\nkept: \(directory.path)") }
        print(result.isGood ? "\n\(name): all holds" : "\n\(name): FAILED")
        if !result.isGood { throw ExitCode(1) }
    }
}

struct Verdict: Encodable {
    let name: String
    /// Nil: the run was too short to judge.
    let holds: Bool?
    let detail: String

    var line: String { (holds.map { $0 ? "ok    " : "FAILED" } ?? "  -   ") + "  \(name.left(38))\(detail)" }
}

/// A look at feedd and its paces since the look before.
struct TrialSample: Encodable {
    /// Since the load stood.
    let second: Double
    let process: ProcessSample
    /// Of one core, since the sample before.
    let cpuShare: Double
    let framesPerSecond: Double
    let closedWritten, closedPending, connectionsLive, heapAllocatedBytes, gapsSeen: Int64
    /// feedd's own part of a second: from the socket to Redis's acknowledgement.
    let latencyP99Microseconds: Int64

    var line: String {
        String(
            format:
                "%6.0f s  %6.0f frames/s  %9ld closed  %6ld waiting  RSS %6.1f MB  anonymous %6.1f MB  %3d files  %2d threads  CPU %3.0f %%  %ld live",
            second, framesPerSecond, closedWritten, closedPending, process.residentBytes.megabytes, process.anonymousBytes.megabytes,
            process.descriptors, process.threads, cpuShare * 100, connectionsLive)
    }
}

/// A fault that was done, or why it was skipped; and what it counts as, of what a run must have seen.
struct TrialEvent: Encodable {
    let index: Int
    let second: Double
    let fault: String
    let skipped, required: String?
}

final class TrialResult: Encodable {
    let machine = Surroundings.machine()
    let command = CommandLine.arguments.dropFirst().joined(separator: " ")
    var commit = ""
    let startedAt = ISO8601DateFormatter().string(from: Date())
    var seed: UInt64 = 0
    var streams = 0
    var seconds = 0.0
    var events: [TrialEvent] = []
    var samples: [TrialSample] = []
    /// The engine's counters at its end.
    var counters: [String: Int64] = [:]
    /// Warnings and errors of the engine, by text.
    var complaints: [String: Int] = [:]
    private(set) var verdicts: [Verdict] = []

    var isGood: Bool { verdicts.allSatisfy { $0.holds ?? true } }

    func judge(_ name: String, _ holds: Bool?, _ detail: String) { verdicts.append(Verdict(name: name, holds: holds, detail: detail)) }

    func judgeSame(_ name: String, _ before: Int, _ after: Int) { judge(name, before == after, "\(before) then \(after)") }

    // MARK: For people

    func show() {
        if !samples.isEmpty {
            print("\nRSS of feedd over the run, MB:")
            print(TrialResult.sparkline(samples.map(\.process.residentBytes.megabytes)))
        }
        if !events.isEmpty { print("\nfaults:") }
        for (name, list) in Dictionary(grouping: events, by: { String($0.fault.prefix { !$0.isNumber }) }).sorted(by: { $0.key < $1.key }) {
            let skipped = list.count { $0.skipped != nil }
            print("  " + name.left(40) + "\(list.count)" + (skipped > 0 ? "  (\(skipped) not done)" : ""))
        }
        if !complaints.isEmpty { print("\nwhat feedd complained of:") }
        for (text, count) in complaints.sorted(by: { $0.value > $1.value }).prefix(12) { print("  \(count) x \(text)") }
        print("")
        for verdict in verdicts { print(verdict.line) }
    }

    /// At most 60 columns; each shows the mean of its samples.
    private static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        let width = min(60, values.count)
        let bars = (0..<width).map { column -> Character in
            let part = values[(column * values.count / width)..<((column + 1) * values.count / width)]
            let mean = part.reduce(0, +) / Double(part.count)
            return Array("▁▂▃▄▅▆▇█")[min(7, Int((mean - low) / max(high - low, 1e-9) * 8))]
        }
        return String(format: "  %.1f ", low) + String(bars) + String(format: " %.1f", high)
    }
}
