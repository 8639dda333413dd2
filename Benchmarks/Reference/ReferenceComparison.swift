// `Benchmarks reference`: FastFeed and the C++ reference in turns, against the same exchange and the same redis-server.
// `perf/compare.sh` builds and runs it.

import ArgumentParser
import FastFeed
import Foundation

struct ReferenceComparison: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks reference",
        abstract: "FastFeed against the C++ reference, in turns: throughput, CPU, latency, and their ratios.",
        discussion: """
            Each run has a fresh exchange and redis-server, and ends with the comparison of Redis with the exchange's truth. A ratio is the \
            median of those of the single rounds. Exits with 1 when a run fails; a goal that is missed is shown and is no failure.
            """)

    @Argument(help: "Only cases whose name contains this: parse, saturated, every-update, wss, latency-2000, burst-300, drain …")
    var filter = ""

    @Option(help: "How often each program has its turn.")
    var rounds = 3

    @Option(help: "Seconds of each run that count.")
    var seconds = 5.0

    @Option(help: "The C++ reference. (default: where perf/reference/build.sh leaves it)")
    var reference: String?

    @Flag(help: "One JSON document on the standard output instead of the table.")
    var json = false

    @Option(help: ArgumentHelp("Also write the JSON document here.", valueName: "file"))
    var out: String?

    func validate() throws {
        guard rounds >= 1, seconds > 0 else { throw ValidationError("--rounds must be at least 1, --seconds positive") }
        guard includesParse || !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    private var includesParse: Bool { filter.isEmpty || "parse".contains(filter) }
    private var cases: [ReferenceCase] { ReferenceCase.all.filter { filter.isEmpty || $0.name.contains(filter) } }

    func run() throws {
        let program = try reference.map { URL(fileURLWithPath: $0) } ?? ReferenceProcess.defaultProgram()
        guard FileManager.default.isExecutableFile(atPath: program.path) else {
            throw FeedError(.system, "'\(program.path)' is not there; build it with: perf/reference/build.sh")
        }
        signal(SIGPIPE, SIG_IGN)
        var document = Document(isQuick: seconds < 2)
        var table = ReferenceTable()
        if !json { print(TextReport.head(document)) }
        let effort = ReferenceEffort(warmUpSeconds: min(2, seconds / 2), seconds: seconds, bursts: max(3, Int(seconds)))
        let before = (MonotonicClock.nowNs(), Surroundings.processorTicks())
        for round in 1...rounds {
            if includesParse {
                Benchmarks.say("round \(round) of \(rounds): parse")
                attempt("parse", &document) {
                    let figures = try ReferenceParse.round(reference: program, directory: FileManager.default.temporaryDirectory)
                    for (name, values) in figures { table.add("parse", name, round, values) }
                }
            }
            for one in cases {
                // Who comes first takes turns, too.
                for contestant in round % 2 == 1 ? one.contestants : one.contestants.reversed() {
                    Benchmarks.say("round \(round) of \(rounds): \(one.name), \(contestant.name)")
                    attempt("\(one.name)/\(contestant.name)", &document) {
                        table.add(one.name, contestant.name, round, try one.run(contestant, effort, reference: program))
                    }
                }
            }
        }
        let ticks = Surroundings.processorTicks()
        document.conditions.seconds = Double(MonotonicClock.nowNs() - before.0) / 1e9
        document.conditions.stealPercent = (ticks.stolen - before.1.stolen) / max(1, ticks.all - before.1.all) * 100
        document.results = table.measures()
        let data = try document.encoded()
        if let out { try data.write(to: URL(fileURLWithPath: out)) }
        if json { try FileHandle.standardOutput.write(contentsOf: data) } else { print(table.text()) }
        if !document.failures.isEmpty { throw ExitCode(1) }
    }

    private func attempt(_ name: String, _ document: inout Document, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            document.failures.append(Document.Failure(name: name, reason: "\(error)"))
            Benchmarks.say("\(name) FAILED: \(error)")
        }
    }
}

/// All figures: by case, program and round.
struct ReferenceTable {
    private var values: [String: [String: [Int: [String: Double]]]] = [:]

    mutating func add(_ name: String, _ contestant: String, _ round: Int, _ figures: [String: Double]) {
        values[name, default: [:]][contestant, default: [:]][round] = figures
    }

    private func rounds(_ name: String, _ contestant: String, _ figure: String) -> [Double] {
        (values[name]?[contestant] ?? [:]).sorted { $0.key < $1.key }.compactMap { $0.value[figure] }
    }

    /// FastFeed's figure by the reference's, of each round in which both have one.
    private func ratios(_ name: String, _ contestant: String, _ figure: String) -> [Double] {
        (values[name]?[Contestant.feedd.name] ?? [:]).sorted { $0.key < $1.key }.compactMap { round, own in
            guard let one = own[figure], let other = values[name]?[contestant]?[round]?[figure], other > 0 else { return nil }
            return one / other
        }
    }

    /// Cases in their order, with the programs and figures that they have.
    private static var rows: [(name: String, figures: [String], contestants: [Contestant])] {
        [("parse", ["fast", "fallback"], [.scanner, .onDemand, .feedd])]
            + ReferenceCase.all.map { ($0.name, $0.figures, $0.contestants) }
    }

    func measures() -> [Measure] {
        var list: [Measure] = []
        for row in ReferenceTable.rows {
            let figures = Set((values[row.name] ?? [:]).values.flatMap { $0.values.flatMap(\.keys) }).sorted()
            for figure in figures {
                let direction = ReferenceCase.direction(figure)
                for contestant in row.contestants {
                    let all = rounds(row.name, contestant.name, figure)
                    guard !all.isEmpty else { continue }
                    list.append(
                        Measure(
                            "\(row.name)/\(contestant.name)/\(figure)", ReferenceCase.units[figure] ?? "", better: direction, rounds: all))
                    let ratios = ratios(row.name, contestant.name, figure)
                    guard contestant.referenceFlags != nil, !ratios.isEmpty else { continue }
                    list.append(Measure("\(row.name)/feedd-to-\(contestant.name)/\(figure)", "ratio", better: direction, rounds: ratios))
                }
            }
        }
        return list
    }

    func text() -> String {
        var lines = [
            "case".left(16) + "figure".left(14) + "program".left(22) + "median".right(11) + " " + "unit".left(13) + "feedd/it  rounds"
        ]
        for row in ReferenceTable.rows {
            for figure in row.figures {
                for contestant in row.contestants {
                    let all = rounds(row.name, contestant.name, figure)
                    guard !all.isEmpty else { continue }
                    var line = row.name.left(16) + figure.left(14) + contestant.name.left(22) + shown(median(all)).right(11) + " "
                    line += (ReferenceCase.units[figure] ?? "").left(13)
                    let ratios = ratios(row.name, contestant.name, figure)
                    if contestant.referenceFlags != nil, !ratios.isEmpty {
                        line += shown(median(ratios)).right(8) + "  " + shown(ratios.min()!) + " … " + shown(ratios.max()!)
                        for goal in ReferenceGoal.all
                        where goal.name == row.name && goal.figure == figure && goal.against == contestant.name {
                            line += "  (\(goal.text), \(goal.isMet(median(ratios)) ? "met" : "MISSED"))"
                        }
                    }
                    lines.append(line)
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}
