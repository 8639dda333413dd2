// `Benchmarks overload`: for a minute three times more comes in than Redis can write, and what that costs.
// `perf/overload.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation
import Synchronization

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
        try Trial.carryOut("overload", trial, result.run, record: result) { _, directory in
            result.ceiling = try ceiling(directory)
            result.offered = Int(result.ceiling * times)
            print(
                "ceiling: \(shown(result.ceiling)) states/s, every update, Redis with \(shown(share * 100)) % of a core; "
                    + "offered: \(shown(Double(result.offered))) frames/s for \(shown(overloadSeconds)) s")
            try overload(result, directory)
        }
    }

    /// Updates of a 1s bar, flat out: about as many as in the open loop, so that as many candles close.
    private static let flatOutPushMs = 30
    /// A slowed Redis writes to a subscriber less than it publishes, and would end the connection of one that is 8 MB behind.
    private static let patientRedis = ["--client-output-buffer-limit", "pubsub", "0", "0", "0"]
    private static let recoverySecondsMax = 5.0
    /// Normal again: a tenth of a second whose p99, and the median of those of the second that begins with it, is at most
    /// so many times what it was in the calm before. (Single ones are worse at any time, by other programs' doing.)
    private static let normalTimes = 2.0
    private static let calmSlices = 10

    private var calmSeconds: Double { quick ? 3 : 15 }
    private var overloadSeconds: Double { quick ? min(3, seconds) : seconds }
    private var afterSeconds: Double { quick ? 6 : 20 }

    private func setup(_ load: Setup.Load) -> Setup {
        var setup = Setup(load, symbols: symbols, intervals: [.s1, .m1, .m5])
        (setup.redisArguments, setup.truthCandles) = (Overload.patientRedis, 10_000_000)
        return setup
    }

    // MARK: The ceiling

    private func ceiling(_ directory: URL) throws -> Double {
        let run = try ServiceRun(
            setup(.flatOut(pushMs: Overload.flatOutPushMs)).with { $0.coalesces = false }, in: directory)
        let throttle = try RedisThrottle(pid: run.rig.redis.live(), share: share)
        defer { throttle.stop() }
        let (before, after) = try run.rig.measure(
            warmUpSeconds: quick ? 2 : 4, seconds: quick ? 2.5 : 10, wait: run.look(seconds:)
        ) { run.feedd.report }
        guard after.timeMs > before.timeMs else { throw FeedError(.system, "feedd does not report") }
        throttle.stop()
        _ = try run.prove()
        let written = after[.candlesWritten] - before[.candlesWritten]
        guard written > 0 else { throw FeedError(.redis, "nothing is written to a Redis this slow: raise --share") }
        return Double(written) * 1_000 / Double(after.timeMs - before.timeMs)
    }

    // MARK: Calm, overload, calm

    private func overload(_ result: OverloadResult, _ directory: URL) throws {
        let setup = setup(.openLoop(result.offered)).with { ($0.subscribes, $0.keepsTimeline) = (true, true) }
        let run = try ServiceRun(setup, in: directory)
        run.rig.subscriber?.open()
        /// A line each second or, in long runs, each five.
        func watch(_ phase: String, from: Double, seconds: Double) throws {
            let printsEvery = overloadSeconds < 20 ? 1 : 5
            try run.watch(result.run, from: from, first: 1, every: 1, printsEvery: printsEvery, label: phase.left(10)) { $0 >= seconds }
        }
        try watch("calm", from: 0, seconds: calmSeconds)
        let atStart = try run.standing()
        let beganNs = MonotonicClock.nowNs()
        let throttle = try RedisThrottle(pid: run.rig.redis.live(), share: share)
        defer { throttle.stop() }
        try watch("overload", from: calmSeconds, seconds: overloadSeconds)
        let atEnd = run.feedd.report
        throttle.stop()
        let endedNs = MonotonicClock.nowNs()
        let overloaded = result.run.samples.filter { $0.second >= calmSeconds }
        try watch("after", from: calmSeconds + overloadSeconds, seconds: afterSeconds)
        let after = try run.standing()
        let total = try run.finish(result.run)
        try judgeTimes(result, run.rig.subscriber!.result(), beganNs, endedNs)
        judgeAcknowledgements(result)
        judgeLoad(result, atStart.report, atEnd)
        judgeClosed(result, total, overloaded)
        result.run.judge("no connection was given up", run.reconnects == 0, "\(run.reconnects) reconnects")
        judgeMemory(result, atStart.process, overloaded, after.process)
    }

    // MARK: What must hold

    /// In a few seconds one neighbour on the machine decides over times and sizes: they are shown only.
    private var isMeasurement: Bool { !quick && seconds >= 20 }

    private func judgeTimes(_ result: OverloadResult, _ seen: UpdateSubscriber.Findings, _ beganNs: UInt64, _ endedNs: UInt64) throws {
        let sliceNs = UpdateSubscriber.sliceNs
        let (began, ended) = (beganNs / sliceNs, endedNs / sliceNs)
        func p99(_ slices: Range<UInt64>) -> [Double?] { slices.map { seen.quantile(0.99, slice: $0) } }
        // The first third of the calm meets cold paths.
        let calm = p99((began - UInt64(calmSeconds * 10 * 2 / 3))..<began).compactMap(\.self)
        guard let worst = calm.max() else { throw FeedError(.redis, "no updates before the overload") }
        (result.calmP99Microseconds, result.calmWorstMicroseconds) = (median(calm), worst)
        result.overloadWorstMicroseconds = p99(began..<ended).compactMap(\.self).max() ?? 0
        let normal = result.calmP99Microseconds * Overload.normalTimes
        let after = p99(ended..<max(ended, (seen.slices.keys.max() ?? 0) + 1)).map { $0 ?? .infinity }
        let first = after.indices.dropLast(Overload.calmSlices - 1).first {
            after[$0] <= normal && median(Array(after[$0..<($0 + Overload.calmSlices)])) <= normal
        }
        // In whole tenths: an update that was due before the end counts as before it.
        result.recoverySeconds = first.map { Double($0) * Double(sliceNs) / 1e9 }
        result.slices = seen.slices.keys.sorted().map { slice in
            OverloadResult.Slice(
                second: (Double(slice * sliceNs) - Double(beganNs)) / 1e9, p50Microseconds: seen.quantile(0.5, slice: slice) ?? 0,
                p99Microseconds: seen.quantile(0.99, slice: slice) ?? 0)
        }
        result.run.judge(
            "recovered", isMeasurement ? result.recoverySeconds.map { $0 <= Overload.recoverySecondsMax } ?? false : nil,
            (result.recoverySeconds.map { String(format: "%.1f s after the overload's end", $0) } ?? "not in \(Int(afterSeconds)) s")
                + String(
                    format: ", at most %.0f; p99 of a tenth of a second: calm %.1f ms (worst %.1f), overload at worst %.0f ms",
                    Overload.recoverySecondsMax, result.calmP99Microseconds / 1_000, worst / 1_000,
                    result.overloadWorstMicroseconds / 1_000))
    }

    /// feedd's own part of it: what a subscriber sees is also what Redis still owes him.
    private func judgeAcknowledgements(_ result: OverloadResult) {
        func worst(_ isWanted: (Double) -> Bool) -> Double {
            Double(result.run.samples.filter { isWanted($0.second) }.map(\.latencyP99Microseconds).max() ?? 0) / 1_000
        }
        let end = calmSeconds + overloadSeconds
        result.run.judge(
            "socket to acknowledgement", nil,
            String(
                format: "worst p99 of a second: calm %.1f ms, overload %.0f ms, from 2 s after it on %.1f ms",
                worst { $0 <= calmSeconds }, worst { $0 > calmSeconds && $0 <= end }, worst { $0 > end + 2 }))
    }

    /// As much came in as was meant to, and Redis could not have written each.
    private func judgeLoad(_ result: OverloadResult, _ atStart: FeeddReport, _ atEnd: FeeddReport) {
        func grown(_ id: CounterID) -> Double { Double(atEnd[id] - atStart[id]) }
        let seconds = Double(atEnd.timeMs - atStart.timeMs) / 1_000
        (result.received, result.written) = (grown(.messagesReceived) / seconds, grown(.candlesWritten) / seconds)
        result.run.judge(
            "overload was there",
            isMeasurement ? result.received > 0.9 * Double(result.offered) && result.written < 0.7 * result.received : nil,
            "\(shown(result.received)) frames/s came, \(shown(result.received / result.ceiling)) times the ceiling; "
                + "\(shown(result.written)) states/s were written")
        result.run.judge(
            "forming states conflated", grown(.coalesced) > 0,
            String(
                format: "%.0f %% of what came was overtaken before it was written",
                grown(.coalesced) / max(1, grown(.messagesReceived)) * 100))
    }

    private func judgeClosed(_ result: OverloadResult, _ total: FeeddReport, _ overloaded: [TrialSample]) {
        let (received, written) = (total[.closedReceived], total[.closedWritten])
        result.run.judge(
            "only forming states conflated",
            received > 0 && received == written && total[.closedQueueOverflow] == 0 && total[.gapsSeen] == 0,
            "\(written) of \(received) closed candles written, \(total[.gapsSeen]) gaps; "
                + "\(overloaded.map(\.closedPending).max() ?? 0) waited at most")
    }

    private func judgeMemory(_ result: OverloadResult, _ calm: ProcessSample, _ overloaded: [TrialSample], _ after: ProcessSample) {
        let most = overloaded.map(\.process.residentBytes).max() ?? 0
        result.run.judge(
            "memory is bounded", isMeasurement ? most > 0 && most - calm.residentBytes < TrialResult.growthBytesMax : nil,
            String(
                format: "RSS %.1f MB before, %.1f at most during, %.1f after; at most %.0f more", calm.residentBytes.megabytes,
                most.megabytes, after.residentBytes.megabytes, TrialResult.growthBytesMax.megabytes))
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
    let run = TrialResult()
}

/// A Redis that is too slow, by a measure: it gets a fixed share of one core (SIGSTOP, SIGCONT). What counts is the CPU time that it
/// has used, so that other programs' load does not change how much it can do. A thread of its own.
final class RedisThrottle: Sendable {
    /// Between two looks. Short: while it stands still only a socket's buffer (some 200 KB) is there for a subscriber to read.
    private static let tickMicroseconds: UInt32 = 2_000
    /// What it did not use is not saved up for longer than this.
    private static let savedNs = 20_000_000.0

    private let pid: Int32
    private let stopping = Atomic<Bool>(false)
    private let thread = Lock<PinnedThread?>(nil)

    /// - Parameter share: of a core that the server may have, between 0 and 1.
    init(pid: Int32, share: Double) throws {
        precondition(share > 0 && share < 1)
        self.pid = pid
        let started = try PinnedThread.start(name: "throttle") { self.run(share) }
        thread.withLock { $0 = started }
    }

    /// The server runs again when this returns.
    func stop() {
        stopping.store(true, ordering: .releasing)
        thread.withLock { $0.take()?.join() }
        kill(pid, SIGCONT)
    }

    private func run(_ share: Double) {
        PreciseTimers.enableOnThisThread()
        var balanceNs = 0.0
        /// Of the server's main thread, which does all the work. (The kernel adds up when it stops, at the latest.)
        func usedNs() -> UInt64 { ProcessorTime.ofTask("/proc/\(pid)") ?? 0 }
        var (lastNs, lastUsedNs) = (MonotonicClock.nowNs(), usedNs())
        while !stopping.load(ordering: .acquiring) {
            let (nowNs, nowUsedNs) = (MonotonicClock.nowNs(), usedNs())
            balanceNs += Double(nowNs - lastNs) * share - Double(nowUsedNs - lastUsedNs)
            balanceNs = min(balanceNs, RedisThrottle.savedNs * share)
            (lastNs, lastUsedNs) = (nowNs, nowUsedNs)
            kill(pid, balanceNs > 0 ? SIGCONT : SIGSTOP)
            usleep(RedisThrottle.tickMicroseconds)
        }
    }
}
