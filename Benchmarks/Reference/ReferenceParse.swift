// The parsers alone, over the same messages: FastFeed's in this process, the reference's in theirs, thread CPU time. Main thread.

import FastFeed
import Foundation

enum ReferenceParse {
    /// What a message costs a program, by figure.
    static func run(_ contestant: Contestant, reference: URL) throws -> [String: Double] {
        let usual = Frames.klines(20_000)
        // The same with a blank in the envelope: valid JSON that no scanner of the exact layout knows.
        let spaced = usual.map { Array("{\"stream\": ".utf8) + $0.dropFirst("{\"stream\":".utf8.count) }
        return try ["fast": usual, "fallback": spaced].compactMapValues { frames in
            if contestant.kind == .reference { return try cost(of: contestant, frames, reference) }
            // A round to warm up, then the median, as there.
            let costs = try (0...20).map { _ in
                guard let result = ParseBench.run(frames, rounds: 1) else { throw FeedError(.system, "a message is refused") }
                return Double(result.cpuNs) / Double(frames.count)
            }
            return median(Array(costs.dropFirst()))
        }
    }

    /// Nil: the scanner leaves this layout to others.
    private static func cost(of contestant: Contestant, _ frames: [[UInt8]], _ reference: URL) throws -> Double? {
        let names = [Contestant.scanner.name: "scanner_ns", Contestant.onDemand.name: "ondemand_ns"]
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("reference-frames-\(getpid())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(frames.joined(separator: [10])).write(to: file)
        let said = try ReferenceProcess(reference, ["--parse-only", file.path]).said()
        guard let cost = said[names[contestant.name] ?? "ondemand_values_ns"] as? NSNumber else {
            throw FeedError(.system, "the reference says no costs: \(said)")
        }
        return cost.doubleValue > 0 ? cost.doubleValue : nil
    }
}
