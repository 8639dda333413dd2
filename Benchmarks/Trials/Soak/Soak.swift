// `Benchmarks soak`: the real program under load for a long time, with a fault every few seconds, and every candle
// compared at the end. `scripts/soak.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation
import Synchronization

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

/// Ctrl-C or SIGTERM: the run ends early, in order.
private let isInterrupted = Atomic<Bool>(false)

final class SoakRun {
    private let options: Soak
    private let result: TrialResult
    private let service: ServiceRun
    private let injector: FaultInjector
    private var schedule: SoakSchedule

    private static let pushMs = 100
    private static let calmSecondsMax = 150.0
    private var wantedFramesPerSecond: Double { Double(result.streams * 1_000 / SoakRun.pushMs) }

    init(_ options: Soak, _ result: TrialResult, in directory: URL) throws {
        (self.options, self.result) = (options, result)
        schedule = SoakSchedule(seed: options.seed, faultSeconds: options.faultSeconds)
        for number in [SIGINT, SIGTERM] { signal(number) { _ in isInterrupted.store(true, ordering: .relaxed) } }
        let closesMax = Int(options.minutes * 60 + 600)
        var setup = Setup(.pushed(everyMs: SoakRun.pushMs), symbols: options.symbols, intervals: [.s1, .m1, .m5, .h1])
        (setup.illiquidEvery, setup.history) = (4, closesMax * 2)
        setup.truthCandles = min(closesMax * options.symbols * 2, 100_000_000)
        (setup.redis, setup.redisArguments) = (.aof, ["--appendfsync", options.fsync])
        setup.feedd = options.feedd.split(separator: " ").map(String.init)
        result.streams = setup.series
        print("soak: \(options.minutes) minutes, seed \(options.seed), \(result.streams) streams, a fault every \(options.faultSeconds) s")
        print("files: \(directory.path)")
        service = try ServiceRun(setup, in: directory)
        injector = FaultInjector(service.rig.exchange, service.rig.redis)
        service.onTurn = injector.tick
    }

    func run() throws {
        let atStart = try calm(seconds: 60)
        try hurt()
        let wasInterrupted = isInterrupted.load(ordering: .relaxed)
        try injector.clearExchange()
        let atEnd = try calm(seconds: SoakRun.calmSecondsMax)
        try service.finish(result, allBegan: true)
        result.judgeProcess(atStart: atStart.process, atEnd: atEnd.process, heapGrowth: atEnd.heapBytes - atStart.heapBytes)
        result.judgeLoad(wanted: wantedFramesPerSecond)
        result.judgeFaults(minutesWanted: options.minutes, wasInterrupted: wasInterrupted)
    }

    private func hurt() throws {
        var nextFault = Double(options.faultSeconds)
        try service.watch(result, every: 10) { second in
            if second >= nextFault {
                nextFault += Double(options.faultSeconds)
                let (index, fault) = schedule.next()
                let skipped = injector.begin(fault)
                result.events.append(
                    TrialEvent(
                        index: index, second: second, fault: fault.text, skipped: skipped,
                        required: RequiredFault.allCases.map(\.rawValue).first(where: fault.text.hasPrefix)))
                print(String(format: "%6.1f s  fault %3d  ", second, index) + fault.text + (skipped.map { "  NOT DONE: \($0)" } ?? ""))
            }
            return second >= options.minutes * 60 || isInterrupted.load(ordering: .relaxed)
        }
    }

    /// Three reports in a row with all connections live and no queue to speak of; and how feedd stands 5 s later.
    private func calm(seconds: Double) throws -> (process: ProcessSample, heapBytes: Int64) {
        var calm: Set<Int64> = []
        try service.wait(seconds, "calm") {
            guard let report = service.feedd.report else { return false }
            // A connection that has silently died counts as live until it is given up: only the load shows it.
            let isCalm =
                report[.connectionsLive] == service.rig.setup.connections && report[.closedPending] < options.symbols
                && !injector.hasRepairs && Double(report["frames_per_second"]) > 0.8 * wantedFramesPerSecond
            if isCalm { calm.insert(report.timeMs) } else { calm = [] }
            return calm.count >= 3
        }
        try service.look(seconds: 5)
        return (try ProcessSample(pid: service.feedd.pid), try service.report()["heap_allocated_bytes"])
    }
}
