// What is compared: loads, and the programs that take turns under each. Main thread.

import FastFeed
import Foundation

/// One load, under which programs take turns.
struct ReferenceCase {
    enum Kind {
        /// As fast as the program takes; Redis and the exchange are not waited for.
        case saturated
        /// At a rate, or in bursts, with a subscriber that says how long an update took.
        case latency, burst
        /// Receive and frame headers alone: the reference only.
        case drain
        /// The parsers alone, without exchange and Redis.
        case parse
    }

    let name: String
    let kind: Kind
    let setup: Setup
    let contestants: [Contestant]
    /// Those that the table shows. `written` is what a saturated program makes of its freedom to coalesce: of two that
    /// write as much, the CPU for a frame can be compared.
    let figures: [String]
    /// Whose figures are divided by those of the others.
    var subject = Contestant.feedd
    /// The exchange and Redis on one core, the program on the other.
    var isBound = false

    private static let flatOut = Setup(.flatOut())
    private static let secure = flatOut.with { $0.isSecure = true }
    private static let latencies = ["p50", "p99", "lateness-p99", "cpu"]

    static let all = [
        ReferenceCase(
            name: "parse", kind: .parse, setup: flatOut, contestants: [.scanner, .onDemand, .onDemandValues, .feedd],
            figures: ["fast", "fallback"]),
        ReferenceCase(
            name: "saturated", kind: .saturated, setup: flatOut, contestants: [.scanner, .deep, .onDemand, .feedd],
            figures: ["frames", "written", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "bound", kind: .saturated, setup: flatOut, contestants: [.scanner, .onDemand, .feedd],
            figures: ["frames", "frames-per-core", "written", "cpu", "redis-cpu"], isBound: true),
        ReferenceCase(
            name: "every-update", kind: .saturated, setup: flatOut.with { $0.coalesces = false }, contestants: [.scanner, .feedd],
            figures: ["states", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "wss", kind: .saturated, setup: secure, contestants: [.scanner, .feedd],
            figures: ["frames", "written", "cpu", "redis-cpu", aboveWs]),
        ReferenceCase(
            name: "latency-2000", kind: .latency, setup: Setup(.openLoop(2_000)), contestants: [.scanner, .lazy, .feedd],
            figures: latencies),
        ReferenceCase(
            name: "latency-20000", kind: .latency, setup: Setup(.openLoop(20_000)), contestants: [.scanner, .lazy, .feedd],
            figures: latencies),
        ReferenceCase(
            name: "spin-2000", kind: .latency, setup: Setup(.openLoop(2_000)), contestants: [.spinningReference, .feedd, .spinning],
            figures: latencies, subject: .spinning, isBound: true),
        ReferenceCase(
            name: "pause-20000", kind: .latency, setup: Setup(.openLoop(20_000)), contestants: [.pausingReference, .feedd, .pausing],
            figures: ["cpu", "p50", "p99", "lateness-p99"], subject: .pausing),
        ReferenceCase(
            name: "burst-300", kind: .burst, setup: Setup(.bursts), contestants: [.scanner, .feedd], figures: ["p50", "p99", "last"]),
        ReferenceCase(name: "drain", kind: .drain, setup: flatOut, contestants: [.draining], figures: ["frames", "cpu"]),
        ReferenceCase(name: "drain-wss", kind: .drain, setup: secure, contestants: [.draining], figures: ["frames", "cpu"]),
    ]

    /// Only when it is asked for, because it needs what `perf/peers.sh` installs. Redis by TCP: cryptofeed knows no other way.
    static let peers = ReferenceCase(
        name: "peers", kind: .saturated, setup: flatOut.with { $0.redis = .tcp },
        contestants: [.nio, .cryptofeed, .cryptofeedSet, .every, .feedd], figures: ["frames", "cpu", "redis-cpu", "rss"])

    /// What a frame costs more by wss than by ws, in the same round: `saturated` is the same but for TLS.
    static let aboveWs = "cpu-above-ws"

    /// One run of one program.
    func run(_ contestant: Contestant, _ effort: Effort, _ programs: ContestantPrograms) throws -> [String: Double] {
        if kind == .parse { return try ReferenceParse.run(contestant, reference: programs.reference) }
        if contestant.kind == .cryptofeed { return try SustainedRate(contestant, series: setup.series, effort, programs).find() }
        let isBurst = kind == .burst
        let watched = setup.with {
            $0.keepsTruth = kind != .drain
            $0.subscribes = isBurst || kind == .latency
        }
        let run = try ReferenceRun(watched, contestant, programs, isBound: isBound)
        let (before, after) = try run.rig.measure(
            warmUpSeconds: isBurst ? 2.5 : effort.warmUpSeconds, seconds: isBurst ? Double(effort.bursts) + 0.6 : effort.windowSeconds,
            run.read)
        let figures = try run.figures(Pace(from: before, to: after))
        if kind == .drain { return figures.filter { self.figures.contains($0.key) } }
        guard let found = try run.finish() else { return figures }
        var latency: [String: Double]
        if isBurst {
            let bursts = try WholeBenchmarks.complete(found.closes, series: setup.series, atLeast: effort.bursts)
            latency = WholeBenchmarks.ranks("", bursts.map { $0.map { $0.arrivedNs - $0.dueNs } }).values
        } else {
            latency = found.sinceDue.measure("").values
            latency["lateness-p99"] = found.exchangeLateness.measure("").values["p99"]
        }
        return figures.merging(latency.filter { self.figures.contains($0.key) }) { $1 }
    }
}
