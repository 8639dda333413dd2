// `swift run -c release Benchmarks [FILTER]`: what each stage and the whole cost on this machine, and how long a candle takes
// from the exchange to Redis and on to a subscriber. perf/README.md says how to read the figures. Main thread.

import ArgumentParser
import FastFeed
import Foundation

@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Benchmarks of the data path: each stage, and the whole engine over loopback.",
        discussion: """
            Starts its own exchange (a process of its own: `swift build -c release` makes its program, `swift run` does not) and its \
            own redis-server. FILTER is a part of a benchmark's name. \
            Exits with 1 when a run fails or has a wrong result: a closed candle lost or changed.
            """)

    @Argument(help: "Only benchmarks whose name contains this.")
    var filter = ""

    @Flag(help: "Names of all benchmarks, and nothing is run.")
    var list = false

    @Flag(help: "Short runs: does it still run? About a minute; not a measurement.")
    var quick = false

    @Option(help: ArgumentHelp("Rounds of each benchmark. (default: 9 of a stage, 3 of the whole engine)", valueName: "n"))
    var rounds: Int?

    @Option(help: ArgumentHelp("Compare with an earlier run: a file that --json or --out has written.", valueName: "file"))
    var compare: String?

    @OptionGroup var output: ReportOptions

    private static var all: [Benchmark] {
        StageBenchmarks.all + WholeBenchmarks.all + CommandBenchmarks.all + HealBenchmarks.all + GroupBenchmarks.all
    }

    /// The benchmarks' FILTER takes the place where a subcommand would stand, so these are told apart by hand.
    static func main() {
        let commands: [any ParsableCommand.Type] = [
            ReferenceComparison.self, InstructionCount.self, Soak.self, Churn.self, Scale.self, Overload.self, Endurance.self,
            StreamComparison.self, StreamWork.self, StreamWorker.self,
        ]
        let arguments = Array(CommandLine.arguments.dropFirst())
        let command = commands.first { $0.configuration.commandName == "Benchmarks \(arguments.first ?? "")" }
        if let command { command.main(Array(arguments.dropFirst())) } else { main(arguments) }
    }

    func validate() throws {
        if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1, not \(rounds)") }
        guard filter.isEmpty || Benchmarks.all.contains(where: { $0.name.contains(filter) }) else {
            throw ValidationError("no benchmark's name contains '\(filter)': \(Benchmarks.all.map(\.name).joined(separator: " "))")
        }
    }

    func run() throws {
        guard !list else {
            for benchmark in Benchmarks.all { print(benchmark.name.left(32) + benchmark.sentence) }
            return
        }
        let earlier = try compare.map { try Document(file: $0) }
        var effort = quick ? Effort.quick : Effort()
        if let rounds { (effort.stageRounds, effort.wholeRounds) = (rounds, rounds) }
        try Report.make(output, isQuick: quick) { report in
            for benchmark in Benchmarks.all where (filter.isEmpty || benchmark.name.contains(filter)) && !(quick && benchmark.isLong) {
                report.attempt(benchmark.name) {
                    let measures = try benchmark.run(effort) { Report.say("\(benchmark.name): \($0)") }
                    report.document.results += measures
                    for measure in measures { report.show(TextReport.lines(measure)) }
                }
            }
            guard let earlier else { return }
            let lines = Comparison.lines(report.document.results, against: earlier.results)
            report.document.comparison = lines
            report.show(TextReport.comparison(lines, warnings: Comparison.warnings(report.document, earlier)))
        }
    }
}

/// How much is done.
struct Effort {
    var warmUpSeconds = 2.0
    var windowSeconds = 8.0
    /// Bursts of one run that count.
    var bursts = 15
    /// Rounds of a stage; its work is divided by the divisor.
    var stageRounds = 9
    var divisor = 1
    /// Whole engines run one after another.
    var wholeRounds = 3

    /// Long enough that bars of a second close in it, whenever it begins.
    static let quick = Effort(warmUpSeconds: 0.3, windowSeconds: 1.2, bursts: 2, stageRounds: 3, divisor: 20, wholeRounds: 1)
}

/// `run` is told how much to do and whom to tell how far it is.
struct Benchmark: Sendable {
    let name: String
    let sentence: String
    /// It waits for minutes: `--quick` leaves it out.
    var isLong = false
    let run: @Sendable (Effort, (String) -> Void) throws -> [Measure]
}
