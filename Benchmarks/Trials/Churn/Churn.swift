// `Benchmarks churn`: fluxes come and go, one a second, beside one that stays, and nothing may be left of them.
// `scripts/churn.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct Churn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks churn",
        abstract: "Creates and stops fluxes for minutes, and looks for what is left of them.",
        discussion: "Three processes beside this one: the local exchange, redis-server, feedd. Exit status 1 when anything leaks.")

    @Option(help: "How long.")
    var minutes = 10.0

    @Option(help: "Milliseconds from one create to the next.")
    var everyMs = 1_000

    @OptionGroup var trial: TrialOptions

    func validate() throws {
        guard minutes > 0, (10...60_000).contains(everyMs) else {
            throw ValidationError("--minutes must be positive, --every-ms 10 to 60000")
        }
    }

    func run() throws {
        let result = TrialResult()
        try Trial.carryOut("churn", trial, result) { try ChurnRun(self, result, in: $0).run() }
    }
}
