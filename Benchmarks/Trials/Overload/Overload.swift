// `Benchmarks overload`: for a minute three times more comes in than Redis can write, and what that costs.
// `perf/overload.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct Overload: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks overload",
        abstract: "Three times more updates than Redis can write: only forming states may conflate. And how long it takes to recover.",
        discussion: """
            Redis is slowed down to a share of a core (SIGSTOP, SIGCONT). How many states a second it writes then, when feedd writes every \
            update, is the ceiling; it is measured first. Then the exchange sends a multiple of that in an open loop; Redis is slowed down for \
            a while in the middle. Exit status 1 when anything does not hold.
            """)

    @Option(help: "How long the overload lasts.")
    var seconds = 60.0

    @Option(help: "Frames offered, as a multiple of the ceiling.")
    var times = 3.0

    @Option(help: "Share of a core that Redis has while it is slowed down.")
    var share = 0.05

    @Option(help: "Symbols, each at three intervals, 1s among them.")
    var symbols = 1_000

    @Flag(help: "Short: does it still run? Not a measurement.")
    var quick = false

    @OptionGroup var trial: TrialOptions

    func validate() throws {
        guard seconds > 0, times > 1, share > 0, share < 1, (1...3_000).contains(symbols) else {
            throw ValidationError("--seconds must be positive, --times above 1, --share between 0 and 1, --symbols 1 to 3000")
        }
    }

    func run() throws {
        let result = OverloadResult()
        try Trial.carryOut("overload", trial, result.run, record: result) { try OverloadRun(self, result, in: $0).run() }
    }
}

/// The record.
final class OverloadResult: Encodable {
    /// A second of the run, beside what feedd reports: how long updates took that were due in it.
    struct Slice: Encodable {
        /// From the overload's begin.
        let second: Double
        let p50Microseconds, p99Microseconds: Double
    }

    /// States a second that the slowed Redis writes, every update.
    var ceiling = 0.0
    /// Frames a second that the exchange was told to send.
    var offered = 0
    /// While it was overloaded, a second.
    var received = 0.0
    var written = 0.0
    /// Of a tenth of a second: the median in the calm before, the worst there, and the worst in the overload.
    var calmP99Microseconds = 0.0
    var calmWorstMicroseconds = 0.0
    var overloadWorstMicroseconds = 0.0
    /// From the overload's end. Nil: not within the time that was watched.
    var recoverySeconds: Double?
    var slices: [Slice] = []
    /// Beside each of feedd's samples: its own p99 in that second, from the socket to Redis's acknowledgement.
    var acknowledgedP99Microseconds: [Double] = []
    let run = TrialResult()
}
