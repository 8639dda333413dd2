// `Benchmarks reference`: FastFeed and the C++ reference in turns, against the same exchange and the same redis-server.
// `perf/compare.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct ReferenceComparison: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks reference",
        abstract: "FastFeed against the C++ reference, in turns: throughput, CPU, latency, and their ratios.",
        discussion: """
            Each run has a fresh exchange and redis-server, and ends with the comparison of Redis with the exchange's truth. A ratio is the \
            median of those of the single rounds. The peers (perf/peers) only have their turn when the filter is 'peers'. Exits with 1 when a \
            run fails; a goal that is missed is shown and is not a failure.
            """)

    @Argument(
        help: """
            Only cases whose name contains this, or one of several with commas between: parse, saturated, every-update, wss, latency-2000, \
            spin-2000, pause-20000, burst-300, drain …; and peers, which is left out otherwise.
            """)
    var filter = ""

    @Option(help: "How often each program has its turn.")
    var rounds = 3

    @Option(help: "Seconds of each run that count.")
    var seconds = 5.0

    @Option(help: "The C++ reference. (default: where perf/reference/build.sh leaves it)")
    var reference: String?

    @OptionGroup var output: ReportOptions

    func validate() throws {
        guard rounds >= 1, seconds > 0 else { throw ValidationError("--rounds must be at least 1, --seconds positive") }
        guard !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    private var parts: [String] { filter.split(separator: ",").map(String.init) }
    private var cases: [ReferenceCase] {
        ReferenceCase.all.filter { one in filter.isEmpty || parts.contains { one.name.contains($0) } }
            + (parts.contains("peers") ? [ReferenceCase.peers] : [])
    }

    func run() throws {
        let programs = try ContestantPrograms(reference: reference.map { URL(fileURLWithPath: $0) })
        try programs.check(cases.flatMap(\.contestants))
        let effort = Effort(warmUpSeconds: min(2, seconds / 2), windowSeconds: seconds, bursts: max(3, Int(seconds)))
        try Report.make(output, isQuick: seconds < 2) { report in
            var table = ReferenceTable()
            for round in 1...rounds {
                for one in cases {
                    // Who comes first takes turns, too.
                    for contestant in round % 2 == 1 ? one.contestants : one.contestants.reversed() {
                        Report.say("round \(round) of \(rounds): \(one.name), \(contestant.name)")
                        report.attempt("\(one.name)/\(contestant.name)") {
                            table.add(one.name, contestant.name, round, try one.run(contestant, effort, programs))
                        }
                    }
                }
            }
            report.document.results = table.measures()
            report.show(table.text())
        }
    }
}
