// `Benchmarks soak`: the real program under load for a long time, with a fault every few seconds, and every candle
// compared at the end. `scripts/soak.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

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

    @Flag(help: "Keep truth, logs and Redis's files also when all is well.")
    var keep = false

    @OptionGroup var trial: TrialOptions

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
        let result = TrialResult()
        result.seed = seed
        try Trial.carryOut("soak", trial, result, keepsFiles: keep) { try SoakRun(self, result, in: $0).run() }
    }
}
