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
            median of those of the single rounds. The peers (perf/peers) only have their turn when the filter is 'peers'. Exits with 1 when a \
            run fails; a goal that is missed is shown and is no failure.
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

    @Flag(help: "One JSON document on the standard output instead of the table.")
    var json = false

    @Option(help: ArgumentHelp("Also write the JSON document here.", valueName: "file"))
    var out: String?

    func validate() throws {
        guard rounds >= 1, seconds > 0 else { throw ValidationError("--rounds must be at least 1, --seconds positive") }
        guard includesParse || !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    private var parts: [String] { filter.split(separator: ",").map(String.init) }
    private func includes(_ name: String) -> Bool { filter.isEmpty || parts.contains { name.contains($0) } }
    private var includesParse: Bool { includes("parse") }
    private var cases: [ReferenceCase] {
        ReferenceCase.all.filter { includes($0.name) } + (parts.contains("peers") ? [ReferenceCase.peers] : [])
    }

    func run() throws {
        let programs = try ContestantPrograms(reference: reference.map { URL(fileURLWithPath: $0) })
        try programs.check(cases.flatMap(\.contestants) + (includesParse ? [.scanner] : []))
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
                    let figures = try ReferenceParse.round(reference: programs.reference, directory: FileManager.default.temporaryDirectory)
                    for (name, values) in figures { table.add("parse", name, round, values) }
                }
            }
            for one in cases {
                // Who comes first takes turns, too.
                for contestant in round % 2 == 1 ? one.contestants : one.contestants.reversed() {
                    Benchmarks.say("round \(round) of \(rounds): \(one.name), \(contestant.name)")
                    attempt("\(one.name)/\(contestant.name)", &document) {
                        table.add(one.name, contestant.name, round, try one.run(contestant, effort, programs))
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
