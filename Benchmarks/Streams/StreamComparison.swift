// `Benchmarks streams`: the library, the C program over hiredis and redis-py do the same work with streams, in turns, against one
// redis-server by TCP. `perf/streams.sh` builds what is needed and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation
import RedisServer
import VenueSimulator

struct StreamComparison: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks streams",
        abstract: "Streams by the library, by C over hiredis and by redis-py, in turns: rates, CPU, latency, and their ratios.",
        discussion: """
            Each run has a fresh stream and ends with a look whether all was done. A ratio is the median of those of the single rounds. \
            redis-py is left out, aloud, where perf/streams.sh could not install it. Exits with 1 when a run fails; a goal that is \
            missed is shown and is not a failure.
            """)

    @Argument(help: "Only cases whose name contains this, or one of several with commas between: consume, candles, by-10, latency …")
    var filter = ""

    @Option(help: "How often each program has its turn.")
    var rounds = 3

    @Option(help: "Entries of each run; of the latency's a fortieth.")
    var entries = 200_000

    @Flag(help: "Few entries and one round: does it still run? Not a measurement.")
    var quick = false

    @Option(help: "The C program. (default: where perf/streams.sh leaves it)")
    var reference: String?

    @OptionGroup var output: ReportOptions

    func validate() throws {
        guard rounds >= 1, (400...10_000_000).contains(entries) else {
            throw ValidationError("--rounds must be at least 1, --entries between 400 and 10000000")
        }
        guard !cases.isEmpty else { throw ValidationError("no case's name contains '\(filter)'") }
    }

    private var cases: [StreamCase] {
        let parts = filter.split(separator: ",").map(String.init)
        return StreamCase.all.filter { one in parts.isEmpty || parts.contains { one.name.contains($0) } }
    }

    func run() throws {
        let programs = StreamPrograms(reference: reference.map { URL(fileURLWithPath: $0) })
        if let missing = programs.missing(.hiredis) {
            throw FeedError(.system, "'\(missing.path)' is not there; build it with: perf/reference/streams/build.sh")
        }
        let contestants = StreamContestant.allCases.filter { programs.missing($0) == nil }
        let (rounds, entries) = quick ? (1, 4_000) : (rounds, entries)
        try Report.make(output, isQuick: quick) { report in
            if !contestants.contains(.redisPy) {
                report.show("redis-py is not installed: its goals are not judged (perf/streams.sh installs it)")
            }
            let port = try FreePort.find()
            var options = RedisServerProcess.Options()
            options.arguments = ["--appendonly", "no", "--port", "\(port)"]
            let server = try RedisServerProcess(options)
            defer { server.stop() }
            var table = StreamTable()
            for round in 1...rounds {
                for one in cases {
                    let count = one.mode == .latency ? max(100, entries / 40) : entries
                    // Who comes first takes turns, too.
                    for contestant in round % 2 == 1 ? contestants : contestants.reversed() {
                        Report.say("round \(round) of \(rounds): \(one.name), \(contestant.rawValue)")
                        report.attempt("\(one.name)/\(contestant.rawValue)") {
                            table.add(one, contestant, round, try one.run(contestant, count: count, programs, server, port: port))
                        }
                    }
                }
            }
            report.document.results = table.measures()
            report.show(table.text())
        }
    }
}

/// What the rounds have brought: figures by case, program and round, their ratios, and the goals. A plain value.
struct StreamTable {
    private var rounds = Rounds()

    mutating func add(_ one: StreamCase, _ contestant: StreamContestant, _ round: Int, _ figures: [String: Double]) {
        rounds.add("\(one.name)/\(contestant.rawValue)", round, figures)
    }

    /// The library's figure by another program's, of each round in which both have one.
    private func ratios(_ one: StreamCase, _ contestant: StreamContestant, _ figure: String) -> [Double] {
        guard contestant != .fastfeed else { return [] }
        let others = rounds.byRound("\(one.name)/\(contestant.rawValue)", figure)
        return rounds.byRound("\(one.name)/fastfeed", figure).sorted { $0.key < $1.key }.compactMap { round, own in
            others[round].flatMap { $0 > 0 ? own / $0 : nil }
        }
    }

    /// `body` is told what each program has of each figure, its ratios to the library among it.
    private func forEach(_ body: (StreamCase, StreamContestant, String, [Double], [Double]) -> Void) {
        for one in StreamCase.all {
            for figure in one.figures {
                for contestant in StreamContestant.allCases {
                    let values = rounds.all("\(one.name)/\(contestant.rawValue)", figure)
                    if !values.isEmpty { body(one, contestant, figure, values, ratios(one, contestant, figure)) }
                }
            }
        }
    }

    func measures() -> [Measure] {
        var measures: [Measure] = []
        forEach { one, contestant, figure, values, ratios in
            let name = "streams/\(one.name)/\(contestant.rawValue)/\(figure)"
            measures.append(Measure(name, Figure.unit(figure), better: Figure.direction(figure), rounds: values))
            guard !ratios.isEmpty else { return }
            let title = "streams/\(one.name)/fastfeed-to-\(contestant.rawValue)/\(figure)"
            measures.append(Measure(title, "ratio", better: Figure.direction(figure), rounds: ratios))
        }
        return measures
    }

    func text() -> String {
        let head = "case".left(18) + "figure".left(14) + "program".left(12) + "median".right(11) + " " + "unit".left(14)
        var lines = [head + "fastfeed/it  rounds"]
        forEach { one, contestant, figure, values, ratios in
            var line = one.name.left(18) + figure.left(14) + contestant.rawValue.left(12) + shown(median(values)).right(11) + " "
            line += Figure.unit(figure).left(14)
            if let least = ratios.min(), let most = ratios.max() {
                let ratio = median(ratios)
                line += shown(ratio).right(11) + "  " + shown(least) + " … " + shown(most)
                for goal in one.goals where goal.figure == figure && goal.against == contestant { line += "  " + goal.text(ratio) }
            }
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }
}
