// One point of the scale: so many series over so many connections and readers, paced or flat out.

import FastFeed
import Foundation

struct ScaleCase {
    enum Load: String, CaseIterable {
        /// A frame a second for each series, in an open loop: what a real exchange does.
        case paced
        /// As fast as feedd takes.
        case saturated
    }

    let load: Load
    let series: Int
    let readers: Int
    /// Threads of their own also on two cores.
    var isDedicated = false
    var streamsPerConnection = 1_024

    /// Series are symbols at five intervals; of the paced ones a fifth closes each second.
    static let intervals: [Load: [Interval]] = [.paced: [.s1, .m1, .m5, .m15, .h1], .saturated: [.m1, .m3, .m5, .m15, .m30]]
    static let seriesCounts = [10, 100, 300, 1_000, 10_000]

    /// Sizes with one reader and with two; and a thousand series over two, four and eight connections.
    static func all(isQuick: Bool) -> [ScaleCase] {
        let counts = isQuick ? [10, 100, 300, 1_000] : seriesCounts
        return Load.allCases.flatMap { load in
            [(1, false), (2, false), (2, true)].flatMap { readers, isDedicated in
                counts.map { ScaleCase(load: load, series: $0, readers: readers, isDedicated: isDedicated) }
            }
                + [500, 250, 125].map { ScaleCase(load: load, series: 1_000, readers: 1, streamsPerConnection: $0) }
        }
    }

    var name: String { "\(load.rawValue)/\(series)/\(variant)" }
    var variant: String {
        "readers-\(readers)\(isDedicated ? "-dedicated" : "")\(streamsPerConnection == 1_024 ? "" : "/connections-\(setup.connections)")"
    }
    /// Only the number of series differs between these of one load and one variant.
    var isOfSizes: Bool { streamsPerConnection == 1_024 }

    var setup: ServiceSetup {
        let intervals = ScaleCase.intervals[load]!
        let pace =
            load == .paced
            ? ["--open-loop", "\(series)", "--stamp-trades", "--close-delay-ms", "0"] : ["--flat-out", "--push-ms", "1000"]
        return ServiceSetup(
            symbols: series / intervals.count, intervals: intervals, exchange: pace,
            feedd: isDedicated ? ["--threading", "dedicated"] : [], readers: readers, streamsPerConnection: streamsPerConnection,
            endsInTheMiddle: true)
    }

    static let units = [
        "frames": "frames/s", "frames-per-core": "frames/s", "states": "states/s", "written": "states/frame", "cpu": "us/frame",
        "cpu-share": "% of a core", "redis-cpu": "us/frame",
        "exchange-cpu": "us/frame", "rss": "MB", "anonymous": "MB", "heap": "MB", "connections": "connections", "p50": "us", "p99": "us",
    ]
    static func direction(_ figure: String) -> Measure.Direction {
        switch figure {
        case "frames", "frames-per-core", "states": .higher
        case "written", "exchange-cpu", "connections": .neither
        default: .lower
        }
    }

    /// - Throws: also when Redis does not hold what the exchange said.
    func run(warmUpSeconds: Double, seconds: Double, directory: URL) throws -> [String: Double] {
        let run = try ServiceRun(setup, directory: directory) {
            load == .paced ? try UpdateSubscriber($0, seriesPeriodNs: 1_000_000_000) : nil
        }
        try run.look(seconds: warmUpSeconds)
        let before = try run.read()
        run.subscriber?.open()
        try run.look(seconds: seconds)
        run.subscriber?.close()
        let after = try run.read()
        let process = try ProcessSample(pid: run.feedd.pid)
        let heapBytes = run.feedd.report?["heap_allocated_bytes"] ?? 0
        let total = try run.finish()
        guard total[.closedWritten] > 0 else { throw FeedError(.venue, "no candle closed: nothing is proven") }
        guard run.reconnects == 0 else { throw FeedError(.venue, "\(run.reconnects) reconnects in the middle of the run") }
        let pace = try Pace(from: before, to: after)
        var figures = pace.figures.merging(
            [
                "cpu-share": pace.cpuSeconds(\.programNs) * 100 / pace.seconds, "rss": Double(process.residentBytes) / 1e6,
                "anonymous": Double(process.anonymousBytes) / 1e6, "heap": Double(heapBytes) / 1e6,
                "connections": Double(setup.connections),
            ], uniquingKeysWith: { $1 })
        if let latency = run.subscriber?.result().sinceDue.measure("").values {
            figures["p50"] = latency["p50"]
            figures["p99"] = latency["p99"]
        }
        return figures
    }
}
