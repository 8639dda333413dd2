// The parsers alone, over the same messages: FastFeed's in this process, the reference's in theirs, thread CPU time. Main thread.

import FastFeed
import Foundation

enum ReferenceParse {
    static let messages = 20_000

    /// Messages as the exchange writes them, and the same with a blank in the envelope: valid JSON that no scanner of the
    /// exact layout knows.
    private static func frames(isUsual: Bool) -> [[UInt8]] {
        let usual = Frames.klines(messages)
        guard !isUsual else { return usual }
        return usual.map { Array("{\"stream\": ".utf8) + $0.dropFirst("{\"stream\":".utf8.count) }
    }

    /// One round: figures by program.
    static func round(reference: URL) throws -> [String: [String: Double]] {
        var figures: [String: [String: Double]] = [:]
        for (figure, isUsual) in [("fast", true), ("fallback", false)] {
            let frames = frames(isUsual: isUsual)
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("reference-frames-\(getpid())")
            defer { try? FileManager.default.removeItem(at: file) }
            try Data(frames.joined(separator: [10])).write(to: file)
            let said = try ReferenceProcess(reference, ["--parse-only", file.path]).said()
            guard let scanner = said["scanner_ns"] as? NSNumber, let onDemand = said["ondemand_ns"] as? NSNumber,
                let values = said["ondemand_values_ns"] as? NSNumber
            else {
                throw FeedError(.system, "the reference says no costs: \(said)")
            }
            if scanner.doubleValue > 0 { figures[Contestant.scanner.name, default: [:]][figure] = scanner.doubleValue }
            figures[Contestant.onDemand.name, default: [:]][figure] = onDemand.doubleValue
            figures[Contestant.onDemandValues.name, default: [:]][figure] = values.doubleValue
            // A round to warm up, then the median, as there.
            let costs = try (0...20).map { _ in
                guard let result = ParseBench.run(frames, rounds: 1) else { throw FeedError(.system, "a message is refused") }
                return Double(result.cpuNs) / Double(frames.count)
            }
            figures[Contestant.feedd.name, default: [:]][figure] = median(Array(costs.dropFirst()))
        }
        return figures
    }
}
