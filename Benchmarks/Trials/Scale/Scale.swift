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
            when a run fails; a goal that is missed is shown and is no failure.
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
