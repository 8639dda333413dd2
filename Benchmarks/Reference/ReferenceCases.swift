// What is compared: loads, and the programs that take turns under each.

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
    }

    let name: String
    let kind: Kind
    let setup: WholeSetup
    let contestants: [Contestant]
    /// Those that the table shows. `written` is what a saturated program makes of its freedom to coalesce: of two that
    /// write as much, the CPU for a frame can be compared.
    let figures: [String]
    /// Whose figures are divided by those of the others.
    var subject = Contestant.feedd
    /// The exchange and Redis on one core, the program on the other.
    var isBound = false

    static let all = [
        ReferenceCase(
            name: "saturated", kind: .saturated, setup: WholeSetup(load: .flatOut), contestants: [.scanner, .deep, .onDemand, .feedd],
            figures: ["frames", "written", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "bound", kind: .saturated, setup: WholeSetup(load: .flatOut), contestants: [.scanner, .onDemand, .feedd],
            figures: ["frames", "frames-per-core", "written", "cpu", "redis-cpu"], isBound: true),
        ReferenceCase(
            name: "every-update", kind: .saturated, setup: WholeSetup(load: .flatOut, coalesces: false), contestants: [.scanner, .feedd],
            figures: ["states", "cpu", "redis-cpu", "rss"]),
        ReferenceCase(
            name: "wss", kind: .saturated, setup: WholeSetup(load: .flatOut, isSecure: true), contestants: [.scanner, .feedd],
            figures: ["frames", "written", "cpu", "redis-cpu", aboveWs]),
        ReferenceCase(
            name: "latency-2000", kind: .latency, setup: WholeSetup(load: .openLoop(2_000)), contestants: [.scanner, .lazy, .feedd],
            figures: ["p50", "p99", "lateness-p99", "cpu"]),
        ReferenceCase(
            name: "latency-20000", kind: .latency, setup: WholeSetup(load: .openLoop(20_000)), contestants: [.scanner, .lazy, .feedd],
            figures: ["p50", "p99", "lateness-p99", "cpu"]),
        ReferenceCase(
            name: "spin-2000", kind: .latency, setup: WholeSetup(load: .openLoop(2_000)),
            contestants: [.spinningReference, .feedd, .spinning], figures: ["p50", "p99", "lateness-p99", "cpu"], subject: .spinning,
            isBound: true),
        ReferenceCase(
            name: "pause-20000", kind: .latency, setup: WholeSetup(load: .openLoop(20_000)),
            contestants: [.pausingReference, .feedd, .pausing], figures: ["cpu", "p50", "p99", "lateness-p99"], subject: .pausing),
        ReferenceCase(
            name: "burst-300", kind: .burst, setup: WholeSetup(load: .bursts, series: 300), contestants: [.scanner, .feedd],
            figures: ["p50", "p99", "last"]),
        ReferenceCase(
            name: "drain", kind: .drain, setup: WholeSetup(load: .flatOut), contestants: [.scanner], figures: ["frames", "cpu"]),
        ReferenceCase(
            name: "drain-wss", kind: .drain, setup: WholeSetup(load: .flatOut, isSecure: true), contestants: [.scanner],
            figures: ["frames", "cpu"]),
    ]

    /// Only when it is asked for, because it needs what `perf/peers.sh` installs. Redis by TCP: cryptofeed knows no other way.
    static let peers = ReferenceCase(
        name: "peers", kind: .saturated, setup: WholeSetup(load: .flatOut, redis: .tcp),
        contestants: [.nio, .cryptofeed, .cryptofeedSet, .every, .feedd], figures: ["frames", "cpu", "redis-cpu", "rss"])

    /// What a frame costs more by wss than by ws, in the same round: `saturated` is the same but for TLS.
    static let aboveWs = "cpu-above-ws"

    static let units = [
        "frames": "frames/s", "frames-per-core": "frames/s", "states": "states/s", "written": "states/frame", "cpu": "us/frame",
        aboveWs: "us/frame",
        "redis-cpu": "us/frame",
        "exchange-cpu": "us/frame", "rss": "MiB",
        "p50": "us", "p99": "us", "last": "us", "lateness-p99": "us", "fast": "ns/message", "fallback": "ns/message",
    ]
    static func direction(_ figure: String) -> Measure.Direction {
        switch figure {
        case "frames", "frames-per-core", "states": .higher
        case "exchange-cpu", "lateness-p99", "written": .neither
        default: .lower
        }
    }

    /// One run of one program.
    func run(_ contestant: Contestant, _ effort: ReferenceEffort, _ programs: ContestantPrograms) throws -> [String: Double] {
        switch kind {
        case .drain: return try drain(effort, reference: programs.reference)
        case .saturated where contestant.program == .cryptofeed:
            return try SustainedRate(contestant, series: setup.series, effort, programs).find()
        case .saturated:
            let run = try ReferenceRun(setup, contestant, programs, subscribes: false, isBound: isBound)
            let figures = try run.measure(warmUpSeconds: effort.warmUpSeconds, seconds: effort.seconds)
            _ = try run.finish()
            return figures
        case .latency:
            let run = try ReferenceRun(setup, contestant, programs, subscribes: true, isBound: isBound)
            var figures = try run.measure(warmUpSeconds: effort.warmUpSeconds, seconds: effort.seconds)
            guard let found = try run.finish(), found.sinceDue.count > 0 else { throw FeedError(.redis, "no update arrived") }
            let latency = found.sinceDue.measure("").values
            figures["p50"] = latency["p50"]
            figures["p99"] = latency["p99"]
            figures["lateness-p99"] = found.exchangeLateness.measure("").values["p99"]
            return figures
        case .burst:
            let run = try ReferenceRun(setup, contestant, programs, subscribes: true)
            var figures = try run.measure(warmUpSeconds: 2.5, seconds: Double(effort.bursts) + 0.6)
            let closes = try run.finish()?.closes ?? []
            let bursts = try WholeBenchmarks.complete(closes, series: setup.series, atLeast: effort.bursts)
            let ranks = WholeBenchmarks.ranks("", bursts.map { $0.map { $0.arrivedNs - $0.dueNs } }).values
            for figure in ["p50", "p99", "last"] { figures[figure] = ranks[figure] }
            return figures
        }
    }

    private func drain(_ effort: ReferenceEffort, reference: URL) throws -> [String: Double] {
        let exchange = try ExchangeProcess(setup.exchangeArguments)
        let flux = "\(setup.symbols.map(\.name).joined(separator: ",")):\(setup.interval.token)"
        let program = try ReferenceProcess(
            reference,
            ["--venue", exchange.webSocketBase, "--flux", flux, "--drain"] + (exchange.authorityFile.map { ["--ca-file", $0] } ?? []))
        Thread.sleep(forTimeInterval: effort.warmUpSeconds)
        let before = try (exchange.klineFrames(), ProcessorTime.ofProcess(program.pid), MonotonicClock.nowNs())
        Thread.sleep(forTimeInterval: effort.seconds)
        let after = try (exchange.klineFrames(), ProcessorTime.ofProcess(program.pid), MonotonicClock.nowNs())
        exchange.stop()
        let frames = Double(after.0 - before.0)
        return ["frames": frames / Double(after.2 - before.2) * 1e9, "cpu": Double(after.1 - before.1) / 1_000 / frames]
    }
}

struct ReferenceEffort {
    let warmUpSeconds, seconds: Double
    let bursts: Int
}
