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
    let setup: Setup
    let contestants: [Contestant]
    /// Those that the table shows. `written` is what a saturated program makes of its freedom to coalesce: of two that
    /// write as much, the CPU for a frame can be compared.
    let figures: [String]
    var kind = Kind.saturated
    /// Whose figures are divided by those of the others.
    var subject = Contestant.feedd
    /// The exchange and Redis on one core, the program on the other.
    var isBound = false

    private static let flatOut = Setup(.flatOut())
    private static let secure = flatOut.with { $0.isSecure = true }
    private static let every = flatOut.with { $0.coalesces = false }

    private static func latency(
        _ name: String, _ rate: Int, _ contestants: [Contestant], subject: Contestant = .feedd, isBound: Bool = false
    ) -> ReferenceCase {
        ReferenceCase(
            name: name, setup: Setup(.openLoop(rate)), contestants: contestants, figures: ["p50", "p99", "lateness-p99", "cpu"],
            kind: .latency, subject: subject, isBound: isBound)
    }

    static let all = [
        ReferenceCase(
            name: "parse", setup: flatOut, contestants: [.scanner, .onDemand, .onDemandValues, .feedd], figures: ["fast", "fallback"],
            kind: .parse),
        ReferenceCase(
            name: "saturated", setup: flatOut, contestants: [.scanner, .deep, .onDemand, .feedd],
            figures: ["frames", "written", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "bound", setup: flatOut, contestants: [.scanner, .onDemand, .feedd],
            figures: ["frames", "frames-per-core", "written", "cpu", "redis-cpu"], isBound: true),
        ReferenceCase(
            name: "every-update", setup: every, contestants: [.scanner, .feedd], figures: ["states", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "wss", setup: secure, contestants: [.scanner, .feedd], figures: ["frames", "written", "cpu", "redis-cpu", aboveWs]),
        latency("latency-2000", 2_000, [.scanner, .lazy, .feedd]),
        latency("latency-20000", 20_000, [.scanner, .lazy, .feedd]),
        latency("spin-2000", 2_000, [.spinningReference, .feedd, .spinning], subject: .spinning, isBound: true),
        latency("pause-20000", 20_000, [.pausingReference, .feedd, .pausing], subject: .pausing),
        ReferenceCase(
            name: "burst-300", setup: Setup(.bursts), contestants: [.scanner, .feedd], figures: ["p50", "p99", "last"], kind: .burst),
        ReferenceCase(name: "drain", setup: flatOut, contestants: [.draining], figures: ["frames", "cpu"], kind: .drain),
        ReferenceCase(name: "drain-wss", setup: secure, contestants: [.draining], figures: ["frames", "cpu"], kind: .drain),
    ]

    /// Only when it is asked for, because it needs what `perf/peers.sh` installs. Redis by TCP: cryptofeed knows no other way.
    static let peers = ReferenceCase(
        name: "peers", setup: flatOut.with { $0.redis = .tcp }, contestants: [.nio, .cryptofeed, .cryptofeedSet, .every, .feedd],
        figures: ["frames", "cpu", "redis-cpu", "rss"])

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
