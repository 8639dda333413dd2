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
    /// A row of the capacity sheet: so many frames a second for each series, and Redis by TCP with its log, as it is shipped.
    var times: Int?

    /// Series are symbols at five intervals; of the paced ones a fifth closes each second.
    static let intervals: [Load: [Interval]] = [.paced: [.s1, .m1, .m5, .m15, .h1], .saturated: [.m1, .m3, .m5, .m15, .m30]]

    /// Sizes with one reader and with two; a thousand series over two, four and eight connections; and the capacity sheet.
    static func all(isQuick: Bool) -> [ScaleCase] {
        func sizes(_ counts: [Int]) -> [Int] { counts.filter { !isQuick || $0 <= 1_000 } }
        let counts = sizes([10, 100, 300, 1_000, 10_000])
        let sheet = sizes([300, 1_500, 5_000]).flatMap { series in
            [1, 5, 10].map { ScaleCase(load: .paced, series: series, readers: 1, times: $0) }
        }
        return Load.allCases.flatMap { load in
            [(1, false), (2, false), (2, true)].flatMap { readers, isDedicated in
                counts.map { ScaleCase(load: load, series: $0, readers: readers, isDedicated: isDedicated) }
            }
                + [500, 250, 125].map { ScaleCase(load: load, series: 1_000, readers: 1, streamsPerConnection: $0) }
        } + sheet
    }

    var name: String { "\(load.rawValue)/\(series)/\(variant)" }
    var variant: String {
        "readers-\(readers)\(isDedicated ? "-dedicated" : "")\(streamsPerConnection == 1_024 ? "" : "/connections-\(setup.connections)")"
            + (times.map { "/times-\($0)" } ?? "")
    }

    var setup: Setup {
        let intervals = ScaleCase.intervals[load]!
        var setup = Setup(
            load == .paced ? .openLoop(series * (times ?? 1)) : .flatOut(), symbols: series / intervals.count, intervals: intervals)
        setup.feedd = isDedicated ? ["--threading", "dedicated"] : []
        (setup.readers, setup.streamsPerConnection) = (readers, streamsPerConnection)
        (setup.endsInTheMiddle, setup.subscribes) = (true, load == .paced)
        if times != nil { (setup.redis, setup.redisArguments) = (.tcp, ["--appendonly", "yes", "--appendfsync", "everysec"]) }
        return setup
    }

    /// - Throws: also when Redis does not hold what the exchange said.
    func run(warmUpSeconds: Double, seconds: Double, directory: URL) throws -> [String: Double] {
        let run = try ServiceRun(setup, in: directory)
        let looks = try run.rig.measure(warmUpSeconds: warmUpSeconds, seconds: seconds, wait: run.look(seconds:)) {
            try run.rig.read(run.feedd)
        }
        let pace = try Pace(from: looks.before, to: looks.after)
        let (now, redis) = (try run.standing(), try ProcessSample(pid: run.rig.redis.live()))
        let total = try run.prove()
        guard total[.closedWritten] > 0 else { throw FeedError(.venue, "no candle closed: nothing is proven") }
        guard run.reconnects == 0 else { throw FeedError(.venue, "\(run.reconnects) reconnects in the middle of the run") }
        let seen = run.rig.subscriber?.result()
        var latency = seen?.sinceDue.measure("").values.filter { ["p50", "p99", "p99.9"].contains($0.key) } ?? [:]
        latency["lateness-p99"] = seen?.exchangeLateness.measure("").values["p99"]
        return pace.figures.merging(latency) { $1 }.merging(
            [
                "cpu-share": pace.cpuSeconds(\.programNs) * 100 / pace.seconds, "rss": now.process.residentBytes.megabytes,
                "redis-cpu-share": pace.cpuSeconds(\.redisNs) * 100 / pace.seconds, "redis-rss": redis.residentBytes.megabytes,
                "anonymous": now.process.anonymousBytes.megabytes, "heap": now.report.heapBytes.megabytes,
                "connections": Double(setup.connections), "stored": Double(total[.closedWritten]),
            ], uniquingKeysWith: { $1 })
    }
}

/// What the runs come to: all figures, and what a series adds. A plain value.
struct ScaleTable {
    private var cases: [ScaleCase] = []
    private var rounds = Rounds()

    private static let columns = [
        "connections", "frames", "written", "cpu", "cpu-share", "redis-cpu", "rss", "anonymous", "p50", "p99", "p99.9",
    ]
    /// Goal 8.
    private static let residentAt300Max = 20.0
    private static let bytesPerSeriesMax = 1_600.0

    mutating func add(_ one: ScaleCase, _ round: Int, _ figures: [String: Double]) {
        if rounds.figures(one.name).isEmpty { cases.append(one) }
        rounds.add(one.name, round, figures)
    }

    /// Memory by the million bytes here, as what a series adds is said in bytes.
    private static func unit(_ figure: String) -> String { figure == "rss" ? "MB" : Figure.unit(figure) }

    func measures() -> [Measure] {
        cases.flatMap { one in
            rounds.figures(one.name).map { figure in
                Measure(
                    "scale/\(one.name)/\(figure)", ScaleTable.unit(figure), better: Figure.direction(figure),
                    rounds: rounds.all(one.name, figure))
            }
        }
            + growths()
    }

    /// Of each load and variant: what a series adds, as the slope of a line through the sizes; and what the cost of a frame
    /// has become from a hundred series to the most.
    private func growths() -> [Measure] {
        // Only the number of series differs between these of one load and one variant.
        Dictionary(grouping: cases.filter { $0.streamsPerConnection == 1_024 }) { "scale/\($0.load.rawValue)/\($0.variant)" }
            .filter { $0.value.count >= 3 }.sorted { $0.key < $1.key }.flatMap(growths)
    }

    private func growths(_ group: String, _ members: [ScaleCase]) -> [Measure] {
        var list: [Measure] = []
        for (figure, name, scale, unit) in [
            ("rss", "rss-per-series", 1e6, "bytes"), ("anonymous", "anonymous-per-series", 1e6, "bytes"),
            ("cpu-share", "cpu-per-series", 1e4, "us/s"),
        ] where figure != "cpu-share" || members[0].load == .paced {
            let points = members.compactMap { one in rounds.typical(one.name, figure).map { (x: Double(one.series), y: $0 * scale) } }
            guard let slope = slope(points)?.slope else { continue }
            let goal = figure == "rss" ? ScaleTable.goal(slope, ScaleTable.bytesPerSeriesMax) : nil
            list.append(Measure("\(group)/\(name)", unit, rounds: [slope], note: goal))
        }
        /// Of the member of so many series.
        func typical(_ figure: String, at series: Int) -> Double? {
            members.first { $0.series == series }.flatMap { rounds.typical($0.name, figure) }
        }
        if let rss = typical("rss", at: 300) {
            list.append(Measure("\(group)/rss-at-300", "MB", rounds: [rss], note: ScaleTable.goal(rss, ScaleTable.residentAt300Max)))
        }
        let most = members.map(\.series).max()!
        if members[0].load == .saturated, let from = typical("cpu", at: 100), let to = typical("cpu", at: most) {
            list.append(Measure("\(group)/cpu-\(most)-to-100", "ratio", rounds: [to / from]))
        }
        return list
    }

    private static func goal(_ value: Double, _ limit: Double) -> String {
        "goal 8: ≤ \(shown(limit)), \(value <= limit ? "met" : "MISSED")"
    }

    func text() -> String {
        func row(_ name: String, _ cell: (String) -> String) -> String {
            name.left(44) + ScaleTable.columns.map { cell($0).right(13) }.joined()
        }
        let table =
            [row("case") { $0 }, row("", ScaleTable.unit)]
            + cases.map { one in row(one.name) { rounds.typical(one.name, $0).map(shown) ?? "-" } }
        return (table + [""] + growths().map(TextReport.lines)).joined(separator: "\n")
    }
}
