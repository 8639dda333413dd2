// `Benchmarks scale`: memory and CPU of feedd from ten series to ten thousand. `perf/scale.sh` builds and runs it and draws the picture.

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

    @Flag(help: "One JSON document on the standard output instead of the table.")
    var json = false

    @Option(help: ArgumentHelp("Also write the JSON document here.", valueName: "file"))
    var out: String?

    private var cases: [ScaleCase] { ScaleCase.all(isQuick: quick).filter { filter.isEmpty || $0.name.contains(filter) } }

    func validate() throws {
        guard rounds >= 1, seconds > 0 else { throw ValidationError("--rounds must be at least 1, --seconds positive") }
        guard !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let directory = try RunDirectory.make("scale")
        var document = Document(isQuick: quick)
        if !json { print(TextReport.head(document)) }
        var table = ScaleTable()
        let before = (MonotonicClock.nowNs(), Surroundings.processorTicks())
        for round in 1...rounds {
            for one in cases {
                Benchmarks.say("round \(round) of \(rounds): \(one.name)")
                do {
                    table.add(
                        one, try one.run(warmUpSeconds: quick ? 1 : 3, seconds: quick ? min(1, seconds) : seconds, directory: directory))
                } catch {
                    document.failures.append(Document.Failure(name: one.name, reason: "\(error)"))
                    Benchmarks.say("\(one.name) FAILED: \(error)")
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
        guard document.failures.isEmpty else {
            Benchmarks.say("kept: \(directory.path)")
            throw ExitCode(1)
        }
        try FileManager.default.removeItem(at: directory)
    }
}
