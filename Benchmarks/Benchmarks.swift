// `swift run -c release Benchmarks [FILTER]`: what each stage and the whole cost on this machine, and how long a
// candle takes from the exchange to Redis and on to a subscriber. perf/README.md says how to read the figures.

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

    @Flag(help: "One JSON document on the standard output; progress goes to the standard error.")
    var json = false

    @Option(help: ArgumentHelp("Rounds of each benchmark. (default: 9 of a stage, 3 of the whole engine)", valueName: "n"))
    var rounds: Int?

    @Option(help: ArgumentHelp("Compare with an earlier run: a file that --json or --out has written.", valueName: "file"))
    var compare: String?

    @Option(help: ArgumentHelp("Also write the JSON document here.", valueName: "file"))
    var out: String?

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
        signal(SIGPIPE, SIG_IGN)
        var document = Document(isQuick: quick)
        if !json { Benchmarks.show(TextReport.head(document)) }
        let before = (MonotonicClock.nowNs(), Surroundings.processorTicks())
        let effort = Effort(quick: quick, rounds: rounds)
        for benchmark in Benchmarks.all where filter.isEmpty || benchmark.name.contains(filter) {
            runOne(benchmark, effort, &document)
        }
        let ticks = Surroundings.processorTicks()
        document.conditions.seconds = Double(MonotonicClock.nowNs() - before.0) / 1e9
        document.conditions.stealPercent = (ticks.stolen - before.1.stolen) / max(1, ticks.all - before.1.all) * 100
        if let earlier { compare(&document, earlier) }
        try hand(out: document)
        if !document.failures.isEmpty { throw ExitCode(1) }
    }

    private func runOne(_ benchmark: Benchmark, _ effort: Effort, _ document: inout Document) {
        do {
            let measures = try benchmark.run(effort) { Benchmarks.say("\(benchmark.name): \($0)") }
            document.results += measures
            if !json { for measure in measures { Benchmarks.show(TextReport.lines(measure)) } }
        } catch {
            document.failures.append(Document.Failure(name: benchmark.name, reason: "\(error)"))
            let line = "\(benchmark.name) FAILED: \(error)"
            if json { Benchmarks.say(line) } else { Benchmarks.show(line) }
        }
    }

    private func compare(_ document: inout Document, _ earlier: Document) {
        let lines = Comparison.lines(document.results, against: earlier.results)
        document.comparison = lines
        let text = TextReport.comparison(lines, warnings: Comparison.warnings(document, earlier))
        if json { Benchmarks.say(text) } else { Benchmarks.show(text) }
    }

    private func hand(out document: Document) throws {
        let data = try document.encoded()
        if json { try FileHandle.standardOutput.write(contentsOf: data) }
        guard let out else { return }
        do {
            try data.write(to: URL(fileURLWithPath: out))
        } catch {
            throw FeedError(.system, "cannot write '\(out)': \(error.localizedDescription)")
        }
    }

    /// At once, also into a pipe: a run takes minutes. A reader that has gone (`| head`) ends nothing: `--out` is still
    /// to be written.
    private static func show(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8)) }

    static func say(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8)) }
}

/// How much is done.
struct Effort {
    let isQuick: Bool
    /// Rounds of a stage.
    let stageRounds: Int
    /// A stage's work is divided by this.
    let divisor: Int
    /// Whole engines run one after another.
    let wholeRounds: Int
    let warmUpSeconds: Double
    let windowSeconds: Double
    /// Bursts of one run that count.
    let bursts: Int

    init(quick: Bool, rounds: Int?) {
        isQuick = quick
        stageRounds = rounds ?? (quick ? 3 : 9)
        divisor = quick ? 20 : 1
        wholeRounds = rounds ?? (quick ? 1 : 3)
        (warmUpSeconds, windowSeconds, bursts) = quick ? (0.3, 0.7, 2) : (2, 8, 15)
    }
}

/// A named piece of work. `run` is told how much to do and whom to tell how far it is.
struct Benchmark: Sendable {
    let name: String
    let sentence: String
    let run: @Sendable (Effort, (String) -> Void) throws -> [Measure]
}

extension Benchmarks {
    static var all: [Benchmark] { StageBenchmarks.all + WholeBenchmarks.all + CommandBenchmarks.all }
}
