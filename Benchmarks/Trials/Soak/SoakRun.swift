// One soak: exchange, Redis and feedd as processes, faults, samples, and the comparison at the end. Main thread.

import FastFeed
import Foundation
import Synchronization

/// Ctrl-C or SIGTERM: the run ends early, in order.
private let isInterrupted = Atomic<Bool>(false)

final class SoakRun {
    private let options: Soak
    private let result: TrialResult
    private let service: ServiceRun
    private let injector: FaultInjector
    private var schedule: SoakSchedule
    private var startNs: UInt64 = 0

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
        startNs = MonotonicClock.nowNs()
        try hurt()
        result.seconds = second
        let wasInterrupted = isInterrupted.load(ordering: .relaxed)
        try injector.clearExchange()
        let atEnd = try calm(seconds: SoakRun.calmSecondsMax)
        try service.finish(result, allBegan: true)
        result.judgeProcess(atStart: atStart.process, atEnd: atEnd.process, heapGrowth: atEnd.heapBytes - atStart.heapBytes)
        result.judgeLoad(wanted: wantedFramesPerSecond)
        result.judgeFaults(minutesWanted: options.minutes, wasInterrupted: wasInterrupted)
    }

    private var second: Double { Double(MonotonicClock.nowNs() - startNs) / 1e9 }

    private func hurt() throws {
        var nextFault = Double(options.faultSeconds)
        var nextSample = 0.0
        while second < options.minutes * 60, !isInterrupted.load(ordering: .relaxed) {
            result.seconds = second
            if second >= nextSample {
                nextSample += 10
                if let sample = try service.sample(second: second) {
                    result.samples.append(sample)
                    print(sample.line)
                }
            }
            if second >= nextFault {
                nextFault += Double(options.faultSeconds)
                let (index, fault) = schedule.next()
                let at = second
                let skipped = injector.begin(fault)
                result.events.append(
                    TrialEvent(index: index, second: at, fault: fault.text, skipped: skipped, required: RequiredFault(fault)?.rawValue))
                print(String(format: "%6.1f s  fault %3d  ", at, index) + fault.text + (skipped.map { "  NOT DONE: \($0)" } ?? ""))
            }
            try service.turn()
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
