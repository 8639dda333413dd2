// One soak: exchange, Redis and feedd as processes, faults, samples, and the comparison at the end. One thread that
// looks around every 20 ms.

import FastFeed
import Foundation
import Synchronization
import VenueSimulator

/// Ctrl-C or SIGTERM: the run ends early, in order.
private let isInterrupted = Atomic<Bool>(false)

final class SoakRun {
    private let options: Soak
    private let directory: URL
    private let exchange: ExchangeProcess
    private let redis: RedisServerProcess
    private let feedd: FeeddProcess
    private let injector: FaultInjector
    private var schedule: SoakSchedule
    private(set) var result = SoakResult()
    /// What the comparison stumbled over.
    private var examples: [String] = []
    private var startNs: UInt64 = 0
    private var last: (process: ProcessSample, report: FeeddReport, ns: UInt64)?

    private static let intervals: [Interval] = [.s1, .m1, .m5, .h1]
    private static let pushMs = 100
    private static let calmSecondsMax = 150.0
    private var wantedFramesPerSecond: Double { Double(result.streams * 1_000 / SoakRun.pushMs) }

    init(_ options: Soak, directory: URL) throws {
        self.options = options
        self.directory = directory
        schedule = SoakSchedule(seed: options.seed, faultSeconds: options.faultSeconds)
        signal(SIGINT) { _ in isInterrupted.store(true, ordering: .relaxed) }
        signal(SIGTERM) { _ in isInterrupted.store(true, ordering: .relaxed) }
        let closesMax = Int(options.minutes * 60 + 600)
        exchange = try ExchangeProcess([
            "--symbols", "\(options.symbols)", "--push-ms", "\(SoakRun.pushMs)", "--truth-file",
            directory.appendingPathComponent("truth").path,
            "--truth-candles", "\(min(closesMax * options.symbols * 2, 100_000_000))",
        ])
        var server = RedisServerProcess.Options(directory: directory.appendingPathComponent("redis").path)
        server.arguments = ["--appendfsync", options.fsync]
        redis = try RedisServerProcess(server)
        let symbols = SymbolSpec.list(seed: 1, market: .spot, count: options.symbols, illiquidEvery: 4).map(\.symbol.name)
        feedd = try FeeddProcess(
            [
                "--flux", symbols.joined(separator: ",") + ":" + SoakRun.intervals.map(\.token).joined(separator: ","),
                "--venue-ws", exchange.webSocketBase, "--redis", "unix://\(redis.socketPath)", "--history", "\(closesMax * 2)",
            ] + options.feedd.split(separator: " ").map(String.init), logFile: directory.appendingPathComponent("feedd.log"))
        injector = FaultInjector(exchange, redis)
        (result.seed, result.streams, result.commit) = (options.seed, symbols.count * SoakRun.intervals.count, options.commit)
    }

    func run() throws {
        print("soak: \(options.minutes) minutes, seed \(options.seed), \(result.streams) streams, a fault every \(options.faultSeconds) s")
        print("files: \(directory.path)")
        try waitUntilCalm(seconds: 60)
        try look(seconds: 5)
        let atStart = try ProcessSample(pid: feedd.pid)
        let heapAtStart = feedd.report?["heap_allocated_bytes"] ?? 0
        startNs = MonotonicClock.nowNs()
        try hurt()
        result.seconds = second
        let wasInterrupted = isInterrupted.load(ordering: .relaxed)
        try injector.clearExchange()
        try waitUntilCalm(seconds: SoakRun.calmSecondsMax)
        try look(seconds: 5)
        let atEnd = try ProcessSample(pid: feedd.pid)
        let heapGrowth = (feedd.report?["heap_allocated_bytes"] ?? 0) - heapAtStart
        let status = try finish()
        result.judgeProcess(atStart: atStart, atEnd: atEnd, heapGrowth: heapGrowth, exitStatus: status)
        result.judgeLoad(wanted: wantedFramesPerSecond)
        result.judgeFaults(minutesWanted: options.minutes, wasInterrupted: wasInterrupted)
        result.show()
        for example in examples { print("  \(example)") }
    }

    private var second: Double { Double(MonotonicClock.nowNs() - startNs) / 1e9 }

    // MARK: The run

    private func hurt() throws {
        var nextFault = Double(options.faultSeconds)
        var nextSample = 0.0
        while second < options.minutes * 60, !isInterrupted.load(ordering: .relaxed) {
            result.seconds = second
            if second >= nextSample {
                nextSample += 10
                try sample()
            }
            if second >= nextFault {
                nextFault += Double(options.faultSeconds)
                let (index, fault) = schedule.next()
                let at = second
                let skipped = injector.begin(fault)
                result.events.append(
                    SoakEvent(index: index, second: at, fault: fault.text, skipped: skipped, required: RequiredFault(fault)?.rawValue))
                print(String(format: "%6.1f s  fault %3d  ", at, index) + fault.text + (skipped.map { "  NOT DONE: \($0)" } ?? ""))
            }
            try turn()
        }
    }

    private func turn() throws {
        // Whoever watches through a pipe sees lines as they come.
        fflush(nil)
        usleep(20_000)
        injector.tick()
        try feedd.poll()
        guard feedd.isRunning else { throw FeedError(.system, "feedd has ended: \(directory.path)/feedd.log") }
    }

    private func look(seconds: Double) throws {
        let untilNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while MonotonicClock.nowNs() < untilNs { try turn() }
    }

    private func sample() throws {
        guard let report = feedd.report else { return }
        let now = (process: try ProcessSample(pid: feedd.pid), report: report, ns: MonotonicClock.nowNs())
        defer { last = now }
        guard let last, report.timeMs > last.report.timeMs else { return }
        let seconds = Double(report.timeMs - last.report.timeMs) / 1_000
        let sample = SoakSample(
            second: second, process: now.process,
            cpuShare: (now.process.cpuSeconds - last.process.cpuSeconds) / (Double(now.ns - last.ns) / 1e9),
            framesPerSecond: Double(report[.messagesReceived] - last.report[.messagesReceived]) / seconds,
            closedWritten: report[.closedWritten], closedPending: report[.closedPending], connectionsLive: report[.connectionsLive],
            heapAllocatedBytes: report["heap_allocated_bytes"], gapsSeen: report[.gapsSeen])
        result.samples.append(sample)
        print(sample.line)
    }

    /// Three reports in a row with all connections live and no queue to speak of.
    private func waitUntilCalm(seconds: Double) throws {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        let connections = Int64((result.streams + 1_023) / 1_024)
        var calm: Set<Int64> = []
        while calm.count < 3 {
            try turn()
            guard let report = feedd.report else { continue }
            // A connection that has silently died counts as live until it is given up: only the load shows it.
            let isCalm =
                report[.connectionsLive] == connections && report[.closedPending] < options.symbols && !injector.hasRepairs
                && Double(report["frames_per_second"]) > 0.8 * wantedFramesPerSecond
            if isCalm { calm.insert(report.timeMs) } else { calm = [] }
            guard MonotonicClock.nowNs() < deadlineNs else {
                throw FeedError(.system, "not calm within \(Int(seconds)) s; see \(directory.path)/feedd.log")
            }
        }
    }

    // MARK: The end

    /// Stops everything in order and compares.
    /// - Returns: feedd's exit status.
    private func finish() throws -> Int32 {
        exchange.stop()
        // What lies in the sockets is read until nothing more comes.
        var before: Int64 = -1
        while let report = feedd.report, report[.messagesReceived] != before {
            before = report[.messagesReceived]
            try look(seconds: 2.5)
        }
        let status = try feedd.stop()
        guard let total = feedd.total else { throw FeedError(.system, "feedd made no final report") }
        var check = try StoreCheck(redis.endpoint, gaps: feedd.gaps)
        try check.check(TruthFile(directory.appendingPathComponent("truth")))
        result.complaints = feedd.complaints
        result.judgeStore(check, total, gapsUnnamed: feedd.unnamedGaps)
        result.judgeBooks(total)
        examples = check.examples
        return status
    }
}
