// `Benchmarks soak`: the real program under load for a long time, with a fault every few seconds, and every candle
// compared at the end. `scripts/soak.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation
import RedisServer
import Synchronization

/// Ctrl-C or SIGTERM: the run ends early, in order.
private let isInterrupted = Atomic<Bool>(false)

struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks soak",
        abstract: "Load and random faults for minutes or hours; then Redis has all that the exchange has closed, or the run has failed.",
        discussion: "Three processes beside this one: the local exchange, redis-server, feedd. Exit status 1 when anything does not hold.")

    @Option(help: "How long faults go on.")
    var minutes = 20.0

    @Option(help: "The faults and their order are a function of this number.")
    var seed: UInt64 = 1

    @Option(help: "Symbols, each at four intervals: 500 are 2,000 streams and 20,000 frames a second.")
    var symbols = 500

    @Option(help: "Seconds between faults, at least 3.")
    var faultSeconds = 5

    @Option(help: "Milliseconds after a bar's end for which the exchange's REST interface lacks it, or has it unfinished.")
    var restLag = 800

    @Option(help: "When redis-server syncs its append-only file: everysec, always or no.")
    var fsync = "everysec"

    @Option(parsing: .unconditional, help: "Further flags of feedd run, in one text: \"--threading dedicated --readers 2\".")
    var feedd = ""

    @Flag(help: "Keep truth, logs and Redis's files also when all is well.")
    var keep = false

    @OptionGroup var trial: TrialOptions

    func validate() throws {
        guard minutes > 0, faultSeconds >= 3, (1...5_000).contains(symbols), (0...60_000).contains(restLag) else {
            throw ValidationError("--minutes must be positive, --fault-seconds at least 3, --symbols 1 to 5000, --rest-lag 0 to 60000")
        }
        let count = max(0, Int(minutes * 60) / faultSeconds - 1)
        guard minutes < RequiredFault.minutesMin || SoakSchedule.coversAll(seed: seed, faultSeconds: faultSeconds, count: count) else {
            throw ValidationError("--fault-seconds \(faultSeconds): in \(minutes) minutes not every required kind of fault comes")
        }
    }

    func run() throws {
        for number in [SIGINT, SIGTERM] { signal(number) { _ in isInterrupted.store(true, ordering: .relaxed) } }
        try Trial.carryOut("soak", trial, keepsFiles: keep) { result, directory in
            let setup = setup
            (result.seed, result.streams) = (seed, setup.series)
            print("soak: \(minutes) minutes, seed \(seed), \(result.streams) streams, a fault every \(faultSeconds) s")
            print("files: \(directory.path)")
            let service = try ServiceRun(setup, in: directory)
            let injector = FaultInjector(service.rig)
            service.onTurn = injector.tick
            let atStart = try calm(service, injector, seconds: 60)
            let calmMs = try service.rig.exchange.timeMs()
            try hurt(service, injector, result)
            let wasInterrupted = isInterrupted.load(ordering: .relaxed)
            try injector.clearExchange()
            let atEnd = try calm(service, injector, seconds: Soak.calmSecondsMax)
            try service.finishHealed(result, fromMs: injector.forgottenMs ?? calmMs)
            result.judgeProcess(atStart: atStart, atEnd: atEnd)
            result.judgeLoad(wanted: wantedFramesPerSecond(setup.series))
            result.judgeFaults(minutesWanted: minutes, wasInterrupted: wasInterrupted)
        }
    }

    private static let pushMs = 100
    private static let calmSecondsMax = 240.0
    private func wantedFramesPerSecond(_ series: Int) -> Double { Double(series * 1_000 / Soak.pushMs) }

    /// The exchange's clock begins with an hour, so that all bars do: what is stored of them is in the truth.
    private var setup: Setup {
        let closesMax = Int(minutes * 60 + 600)
        var setup = Setup(.pushed(everyMs: Soak.pushMs), symbols: symbols, intervals: [.s1, .m1, .m5, .h1])
        (setup.illiquidEvery, setup.history) = (4, closesMax * 2)
        setup.truthCandles = min(closesMax * symbols * 2, 100_000_000)
        (setup.redis, setup.redisArguments) = (.aof, ["--appendfsync", fsync])
        let hourMs = Int64(3_600_000)
        let startMs = (WallClock.nowMs() / hourMs + 1) * hourMs
        setup.healing = Setup.Healing(startMs: startMs, truthSinceMs: startMs)
        setup.healing!.restLagMs = restLag
        setup.feedd = feedd.split(separator: " ").map(String.init)
        return setup
    }

    private func hurt(_ service: ServiceRun, _ injector: FaultInjector, _ result: TrialResult) throws {
        var schedule = SoakSchedule(seed: seed, faultSeconds: faultSeconds)
        var nextFault = Double(faultSeconds)
        try service.watch(result, every: 10) { second in
            if second >= nextFault {
                nextFault += Double(faultSeconds)
                let (index, fault) = schedule.next()
                let skipped = injector.begin(fault)
                result.events.append(
                    TrialEvent(
                        index: index, second: second, fault: fault.text, skipped: skipped,
                        required: RequiredFault.allCases.map(\.rawValue).first(where: fault.text.hasPrefix)))
                print(String(format: "%6.1f s  fault %3d  ", second, index) + fault.text + (skipped.map { "  NOT DONE: \($0)" } ?? ""))
            }
            return second >= minutes * 60 || isInterrupted.load(ordering: .relaxed)
        }
    }

    /// Three reports in a row with all connections live, no hole and no queue to speak of; and how feedd stands a minute after them: so
    /// long it keeps what Redis has acknowledged, and as often it gives back what it has freed.
    private func calm(_ service: ServiceRun, _ injector: FaultInjector, seconds: Double) throws -> Standing {
        var calm: Set<Int64> = []
        try service.wait(seconds, "calm") {
            let report = service.feedd.report
            // A connection that has silently died counts as live until it is given up: only the load shows it.
            let isCalm =
                report[.connectionsLive] == service.rig.setup.connections && report[.closedPending] < symbols
                && report[.gapsOpen] == 0 && !injector.hasRepairs
                && Double(report["frames_per_second"]) > 0.8 * wantedFramesPerSecond(service.rig.setup.series)
            if isCalm { calm.insert(report.timeMs) } else { calm = [] }
            return calm.count >= 3
        }
        try service.look(seconds: 65)
        return try service.standing()
    }
}

/// Carries faults out, and takes back those that last for a while. Nothing here waits for long.
final class FaultInjector {
    private let rig: Rig
    /// What ends a fault: true when that is done, and otherwise it is tried again.
    private typealias Repair = () -> Bool
    private var repairs: [(dueNs: UInt64, repair: Repair)] = []
    private static let retryNs: UInt64 = 300_000_000
    /// By the exchange's clock: when Redis has lost its memory last. What it had then is gone.
    private(set) var forgottenMs: Int64?

    init(_ rig: Rig) { self.rig = rig }

    var hasRepairs: Bool { !repairs.isEmpty }

    /// - Returns: why it could not be done, if so: Redis may still be loading after the fault before.
    func begin(_ fault: SoakFault) -> String? {
        do {
            switch fault {
            case .exchange(let query): try rig.exchange.ask("POST", "/sim/fault?kind=\(query)")
            case .redisKilled(let awayMs):
                rig.redis.kill9()
                repair(afterMs: awayMs) { [rig] in (try? rig.redis.restart(waitsForAnswer: false)) != nil }
            case .redisForgets(let awayMs):
                forgottenMs = try rig.exchange.timeMs()
                try command("FLUSHALL")
                rig.redis.kill9()
                repair(afterMs: awayMs) { [rig] in (try? rig.redis.restart(waitsForAnswer: false)) != nil }
            case .redisStopped(let ms):
                guard let pid = rig.redis.pid else { return "Redis does not run" }
                kill(pid, SIGSTOP)
                repair(afterMs: ms) { [rig] in rig.redis.pid != pid || kill(pid, SIGCONT) == 0 }
            case .redisCommand(let text): try command(text)
            case .redisRefuses(let setting, let ms):
                try command("CONFIG SET \(setting) 1")
                repair(afterMs: ms) { [weak self] in (try? self?.command("CONFIG SET \(setting) 0")) != nil }
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func repair(afterMs: Int, _ repair: @escaping Repair) {
        repairs.append((MonotonicClock.nowNs() + UInt64(afterMs) * 1_000_000, repair))
    }

    /// Takes back what has lasted long enough.
    func tick() {
        let nowNs = MonotonicClock.nowNs()
        for index in repairs.indices.reversed() where repairs[index].dueNs <= nowNs {
            if repairs[index].repair() { repairs.remove(at: index) } else { repairs[index].dueNs = nowNs + FaultInjector.retryNs }
        }
    }

    /// Nothing the exchange was told to do is done any more.
    func clearExchange() throws { try rig.exchange.ask("POST", "/sim/clear") }

    private func command(_ text: String) throws {
        let client = try RedisClient.connect(rig.redis.endpoint, timeout: .seconds(1))
        defer { client.close() }
        if case .error(let text) = try client.command(text.split(separator: " ").map(String.init)) { throw FeedError(.redis, text) }
    }
}
