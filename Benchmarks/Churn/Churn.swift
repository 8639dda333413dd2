// `Benchmarks churn`: fluxes come and go, one a second, beside one that stays, and nothing may be left of them.
// `scripts/churn.sh` builds and runs it.

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

    @Option(help: "What is measured, for the record.")
    var commit = ""

    func validate() throws {
        guard minutes > 0, (10...60_000).contains(everyMs) else {
            throw ValidationError("--minutes must be positive, --every-ms 10 to 60000")
        }
    }

    func run() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("feedd-churn-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let verdicts = try churn(directory)
        for verdict in verdicts { print(verdict.line) }
        let isGood = verdicts.allSatisfy { $0.holds ?? true }
        if isGood { try FileManager.default.removeItem(at: directory) } else { print("\nkept: \(directory.path)") }
        print(isGood ? "\nchurn: all holds" : "\nchurn: FAILED")
        if !isGood { throw ExitCode(1) }
    }

    /// In a function of its own: all processes have ended when it returns.
    private func churn(_ directory: URL) throws -> [SoakVerdict] {
        try ChurnRun(self, directory: directory).run()
    }
}
