// `Benchmarks soak`: the real program under load for a long time, with a fault every few seconds, and every candle
// compared at the end. `scripts/soak.sh` builds and runs it.

import ArgumentParser
import FastFeed
import Foundation

extension Benchmarks {
    /// The benchmarks' FILTER takes the place where a subcommand would stand, so these are told apart by hand.
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "soak": Soak.main(Array(arguments.dropFirst()))
        case "reference": ReferenceComparison.main(Array(arguments.dropFirst()))
        case "count": InstructionCount.main(Array(arguments.dropFirst()))
        case "churn": Churn.main(Array(arguments.dropFirst()))
        case "scale": Scale.main(Array(arguments.dropFirst()))
        case "overload": Overload.main(Array(arguments.dropFirst()))
        case "endurance": Endurance.main(Array(arguments.dropFirst()))
        default: main(arguments)
        }
    }
}

struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks soak",
        abstract: "Load and random faults for minutes or hours; then Redis is compared with the exchange's truth.",
        discussion: "Three processes beside this one: the local exchange, redis-server, feedd. Exit status 1 when anything does not hold.")

    @Option(help: "How long faults go on.")
    var minutes = 20.0

    @Option(help: "The faults and their order are a function of this number.")
    var seed: UInt64 = 1

    @Option(help: "Symbols, each at four intervals: 500 are 2,000 streams and 20,000 frames a second.")
    var symbols = 500

    @Option(help: "Seconds between faults, at least 3.")
    var faultSeconds = 5

    @Option(help: "When redis-server syncs its append-only file: everysec, always or no.")
    var fsync = "everysec"

    @Option(parsing: .unconditional, help: "Further flags of feedd run, in one text: \"--threading dedicated --readers 2\".")
    var feedd = ""

    @Option(help: "Write the result into this file, as JSON.")
    var record: String?

    @Option(help: "What is measured, for the record.")
    var commit = ""

    @Flag(help: "Keep truth, logs and Redis's files also when all is well.")
    var keep = false

    /// The list of gaps (16,384 at most) takes about an hour of faults to fill; only then is a slope a leak.
    static let slopeSecondsMin = 7_200.0
    /// What the bounded lists, queues and batches of the engine may come to, filled for the first time.
    static let growthBytesMax = 8_000_000

    private var faultCount: Int { Int(minutes * 60) / max(1, faultSeconds) - 1 }

    func validate() throws {
        guard minutes > 0, faultSeconds >= 3, (1...5_000).contains(symbols) else {
            throw ValidationError("--minutes must be positive, --fault-seconds at least 3, --symbols 1 to 5000")
        }
        guard minutes < RequiredFault.minutesMin || SoakSchedule.coversAll(seed: seed, faultSeconds: faultSeconds, count: faultCount) else {
            throw ValidationError("--fault-seconds \(faultSeconds): in \(minutes) minutes not every required kind of fault comes")
        }
    }

    func run() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "feedd-soak-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let result = soak(directory)
        if let record {
            try result.write(to: URL(fileURLWithPath: record))
            print("\nrecorded: \(record)")
        }
        if result.isGood && !keep {
            try FileManager.default.removeItem(at: directory)
        } else {
            print("\nkept: \(directory.path)")
        }
        print(result.isGood ? "\nsoak: all holds" : "\nsoak: FAILED")
        if !result.isGood { throw ExitCode(1) }
    }

    /// In a function of its own: all processes have ended when it returns.
    /// A run that cannot go on has a result, too: what was seen until then, and why it ended.
    private func soak(_ directory: URL) -> SoakResult {
        var result = SoakResult()
        (result.seed, result.commit) = (seed, commit)
        do {
            let run = try SoakRun(self, directory: directory)
            do {
                try run.run()
                return run.result
            } catch {
                result = run.result
                throw error
            }
        } catch {
            result.judgeFailure("\(error)")
            result.show()
            return result
        }
    }
}
