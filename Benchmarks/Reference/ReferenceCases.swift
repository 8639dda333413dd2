// What is compared: loads, the programs that take turns under each, and a run of one of them. Everything is measured from outside,
// for all programs alike (Pace.swift). Main thread.

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
            name: "parse", setup: flatOut, contestants: [.scanner, .onDemand, .onDemandValues, .feedd],
            figures: ["fast", "um", "fallback"],
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

    /// One run of one program: a fresh exchange and redis-server, a while to warm up, a window, and the proof that Redis holds what
    /// the exchange said.
    func run(_ contestant: Contestant, _ effort: Effort, _ programs: ContestantPrograms) throws -> [String: Double] {
        if kind == .parse { return try ReferenceParse.run(contestant, reference: programs.reference) }
        if contestant.kind == .cryptofeed {
            return try SustainedRate(contestant: contestant, series: setup.series, effort: effort, programs: programs).find()
        }
        let isBurst = kind == .burst
        let watched = setup.with { ($0.keepsTruth, $0.subscribes) = (kind != .drain, isBurst || kind == .latency) }
        let rig = try Rig(watched)
        let program = try contestant.start(rig, programs)
        if isBound { try ReferenceCase.bind(rig, program) }
        let (before, after) = try rig.measure(
            warmUpSeconds: isBurst ? 2.5 : effort.warmUpSeconds, seconds: isBurst ? Double(effort.bursts) + 0.6 : effort.windowSeconds
        ) { try rig.read(program) }
        let figures = try ReferenceCase.figures(Pace(from: before, to: after), program)
        if kind == .drain { return figures.filter { self.figures.contains($0.key) } }
        try rig.finish(program)
        guard let found = rig.subscriber?.result() else { return figures }
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

    /// Of a program's pace, by name; and its memory now.
    static func figures(_ pace: Pace, _ program: Program) throws -> [String: Double] {
        pace.figures.merging(["rss": Double(try ProcessSample(pid: program.pid).residentBytes) / 1_048_576]) { $1 }
    }

    /// The exchange and Redis share a core, the program has another to itself.
    private static func bind(_ rig: Rig, _ program: Program) throws {
        let cores = Cores.allowed()
        guard cores.count >= 2 else { throw FeedError(.system, "binding needs two cores") }
        for (pid, core) in [(rig.exchange.pid, 0), (try rig.redis.live(), 0), (program.pid, 1)] {
            // All threads that it has now; those that they start inherit it.
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").compactMap(Int32.init) {
                try Cores.bind(thread: thread, to: cores[core])
            }
        }
    }
}

/// The parsers alone, over the same messages: FastFeed's in this process, the reference's in theirs, thread CPU time.
enum ReferenceParse {
    /// What a message costs a program, by figure.
    static func run(_ contestant: Contestant, reference: URL) throws -> [String: Double] {
        let usual = Frames.klines(20_000)
        // The same with a blank in the envelope: valid JSON that no scanner of the exact layout knows.
        let spaced = usual.map { Array("{\"stream\": ".utf8) + $0.dropFirst("{\"stream\":".utf8.count) }
        return try ["fast": usual, "um": Frames.klines(20_000, of: .um), "fallback": spaced].compactMapValues { frames in
            if contestant.kind == .reference { return try cost(of: contestant, frames, reference) }
            // A round to warm up, then the median, as there.
            let costs = try (0...20).map { _ in
                guard let result = ParseBench.run(frames, rounds: 1) else { throw FeedError(.system, "a message is refused") }
                return Double(result.cpuNs) / Double(frames.count)
            }
            return median(Array(costs.dropFirst()))
        }
    }

    /// Nil: the scanner leaves this layout to others.
    private static func cost(of contestant: Contestant, _ frames: [[UInt8]], _ reference: URL) throws -> Double? {
        let names = [Contestant.scanner.name: "scanner_ns", Contestant.onDemand.name: "ondemand_ns"]
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("reference-frames-\(getpid())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(frames.joined(separator: [10])).write(to: file)
        let said = try ReferenceProcess(reference, ["--parse-only", file.path]).said()
        guard let cost = said[names[contestant.name] ?? "ondemand_values_ns"] as? NSNumber else {
            throw FeedError(.system, "the reference says no costs: \(said)")
        }
        return cost.doubleValue > 0 ? cost.doubleValue : nil
    }
}
