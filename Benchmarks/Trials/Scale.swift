// `Benchmarks scale`: memory and CPU of feedd from ten series to ten thousand. `perf/scale.sh` builds and runs it and draws the picture.
// Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct Scale: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks scale",
        abstract: "10 to 10,000 series, 1 to 10 connections, 1 and 2 readers: memory, CPU, and how they grow.",
        discussion: """
            Each run has a fresh exchange, redis-server and feedd, and ends with the comparison of Redis with the exchange's truth. Exits with 1 \
            when a run fails; a goal that is missed is shown and is not a failure.
            """)

    @Argument(help: "Only cases whose name contains this: paced, saturated, readers-2, connections-8 …")
    var filter = ""

    @Option(help: "Seconds of each run that count.")
    var seconds = 6.0

    @Option(help: "Rounds of each case.")
    var rounds = 1

    @Flag(help: "Short runs, a thousand series at most: does it still run? Not a measurement.")
    var quick = false

    @OptionGroup var output: ReportOptions

    private var cases: [ScaleCase] { ScaleCase.all(isQuick: quick).filter { filter.isEmpty || $0.name.contains(filter) } }

    func validate() throws {
        guard rounds >= 1, seconds > 0 else { throw ValidationError("--rounds must be at least 1, --seconds positive") }
        guard !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    func run() throws {
        let directory = try RunDirectory.make("scale")
        try Report.make(output, isQuick: quick) { report in
            var table = ScaleTable()
            for round in 1...rounds {
                for one in cases {
                    Report.say("round \(round) of \(rounds): \(one.name)")
                    report.attempt(one.name) {
                        let seconds = quick ? min(1, seconds) : seconds
                        table.add(one, round, try one.run(warmUpSeconds: quick ? 1 : 3, seconds: seconds, directory: directory))
                    }
                }
            }
            report.document.results = table.measures()
            report.show(table.text())
            guard report.document.failures.isEmpty else { return Report.say("kept: \(directory.path)") }
            try FileManager.default.removeItem(at: directory)
        }
    }
}

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

    var setup: Setup {
        let intervals = ScaleCase.intervals[load]!
        var setup = Setup(load == .paced ? .openLoop(series) : .flatOut(), symbols: series / intervals.count, intervals: intervals)
        setup.feedd = isDedicated ? ["--threading", "dedicated"] : []
        (setup.readers, setup.streamsPerConnection) = (readers, streamsPerConnection)
        (setup.endsInTheMiddle, setup.subscribes) = (true, load == .paced)
        return setup
    }

    /// - Throws: also when Redis does not hold what the exchange said.
    func run(warmUpSeconds: Double, seconds: Double, directory: URL) throws -> [String: Double] {
        let run = try ServiceRun(setup, in: directory)
        let looks = try run.rig.measure(warmUpSeconds: warmUpSeconds, seconds: seconds, wait: run.look(seconds:)) {
            try run.rig.read(run.feedd.pid)
        }
        let pace = try Pace(from: looks.before, to: looks.after)
        let process = try ProcessSample(pid: run.feedd.pid)
        let heapBytes = try run.report()["heap_allocated_bytes"]
        let total = try run.prove()
        guard total[.closedWritten] > 0 else { throw FeedError(.venue, "no candle closed: nothing is proven") }
        guard run.reconnects == 0 else { throw FeedError(.venue, "\(run.reconnects) reconnects in the middle of the run") }
        var figures = pace.figures.merging(
            [
                "cpu-share": pace.cpuSeconds(\.programNs) * 100 / pace.seconds, "rss": process.residentBytes.megabytes,
                "anonymous": process.anonymousBytes.megabytes, "heap": heapBytes.megabytes, "connections": Double(setup.connections),
            ], uniquingKeysWith: { $1 })
        let latency = run.rig.subscriber?.result().sinceDue.measure("").values ?? [:]
        for figure in ["p50", "p99"] { figures[figure] = latency[figure] }
        return figures
    }
}
