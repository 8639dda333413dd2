// `swift run -c release Benchmarks [FILTER]`: what each stage and the whole cost on this machine. Figures are
// medians over rounds; compare ratios within one run, not numbers between machines.

import ArgumentParser
import FastFeed
import Foundation

@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Benchmarks of the data path: parse, and the whole engine over loopback.",
        discussion: "Starts its own exchange (a process of its own) and its own redis-server. FILTER is a part of a benchmark's name.")

    @Argument(help: "Only benchmarks whose name contains this.")
    var filter = ""

    @Flag(help: "Short runs: a smoke test, not a measurement.")
    var quick = false

    func run() throws {
        print("machine: \(Machine.description)")
        print("command: \(CommandLine.arguments.joined(separator: " "))")
        for benchmark in try Benchmarks.all(quick: quick) where filter.isEmpty || benchmark.name.contains(filter) {
            try benchmark.run()
        }
    }

    struct Benchmark {
        let name: String
        let run: () throws -> Void
    }

    private static func all(quick: Bool) throws -> [Benchmark] {
        [
            Benchmark(name: "parse") { try ParseBenchmark.run(quick: quick) },
            Benchmark(name: "end-to-end/2000") { try WholeBenchmark(framesPerSecond: 2_000, quick: quick).run() },
            Benchmark(name: "end-to-end/20000") { try WholeBenchmark(framesPerSecond: 20_000, quick: quick).run() },
            Benchmark(name: "end-to-end/saturated") { try WholeBenchmark(framesPerSecond: nil, quick: quick).run() },
        ]
    }
}

enum Machine {
    static var description: String {
        let cpu =
            (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last.map(String.init) ?? " unknown"
        return
            "\(ProcessInfo.processInfo.activeProcessorCount) cores,\(cpu), \(ProcessInfo.processInfo.operatingSystemVersionString), simdjson kernel \(KlineParser.kernel)"
    }
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
