// One run of the service: exchange, redis-server and feedd as processes, watched from outside, and at the end the
// comparison of Redis with what the exchange said. Main thread: one that looks around every 10 ms.

import FastFeed
import Foundation
import RedisServer
import VenueSimulator

final class ServiceRun {
    let rig: Rig
    let feedd: FeeddProcess
    /// What else is done in each turn.
    var onTurn: () -> Void = {}
    /// Connections of feedd that broke while all series were followed; known at the end.
    private(set) var reconnects: Int64 = 0
    private var reconnectsBefore: Int64 = 0
    private var last: Standing?

    /// Starts everything and waits until all series are followed.
    /// - Parameter directory: for logs; somebody else's to remove.
    init(_ setup: Setup, in directory: URL) throws {
        rig = try Rig(setup, in: directory)
        let log = directory.appendingPathComponent("feedd-\(UUID().uuidString.prefix(8)).log")
        feedd = try FeeddProcess(setup, rig.exchange, rig.redisEndpoint, logFile: log)
        // All connections live, and nothing has been asked for since the report before: what does not fit a URL is subscribed
        // by messages, a few a second.
        var before: (timeMs: Int64, requests: Int64) = (0, -1)
        try wait(60, "all series followed") {
            let report = feedd.report
            guard report.timeMs != before.timeMs else { return false }
            defer { before = (report.timeMs, report[.subscribeRequests]) }
            return report[.connectionsLive] == Int64(setup.connections) && report[.subscribeRequests] == before.requests
        }
        reconnectsBefore = broken
    }

    private var broken: Int64 { feedd.report[.reconnects] + feedd.report[.redisReconnects] + feedd.report[.protocolViolations] }

    // MARK: Watching

    func turn() throws {
        // Whoever watches through a pipe sees lines as they come.
        fflush(nil)
        usleep(10_000)
        onTurn()
        try feedd.poll()
        guard feedd.isRunning else { throw FeedError(.system, "feedd has ended: see its log in \(rig.directory.path)") }
    }

    func wait(_ seconds: Double, _ what: String, _ condition: () throws -> Bool) throws {
        try Wait.until(seconds, what, turn: turn, condition)
    }

    func look(untilNs: UInt64) throws { while MonotonicClock.nowNs() < untilNs { try turn() } }
    func look(seconds: Double) throws { try look(untilNs: MonotonicClock.nowNs() + UInt64(seconds * 1e9)) }

    func standing() throws -> Standing { Standing(process: try ProcessSample(pid: feedd.pid), report: feedd.report) }

    /// How feedd stands, and its paces since the sample before. Nil until it has reported again since that.
    func sample(second: Double) throws -> TrialSample? {
        let now = try standing()
        let report = now.report
        defer { last = now }
        guard let last, report.timeMs > last.report.timeMs else { return nil }
        return TrialSample(
            second: second, process: now.process,
            cpuShare: (now.process.cpuSeconds - last.process.cpuSeconds) / (Double(now.ns - last.ns) / 1e9),
            framesPerSecond: Double(report[.messagesReceived] - last.report[.messagesReceived])
                / (Double(report.timeMs - last.report.timeMs) / 1_000),
            closedWritten: report[.closedWritten], closedPending: report[.closedPending], connectionsLive: report[.connectionsLive],
            heapAllocatedBytes: report.heapBytes, gapsSeen: report[.gapsSeen], latencyP99Microseconds: report["latency_p99_us"])
    }

    /// Takes samples into the result until all is over.
    /// - Parameter from: what the result's clock says now.
    /// - Parameter first: seconds from now until the first sample.
    /// - Parameter printsEvery: each so manieth sample has a line, with this label in front of it.
    /// - Parameter isOver: asked in each turn, with the seconds since now.
    func watch(
        _ result: TrialResult, from: Double = 0, first: Double = 0, every: Double, printsEvery: Int = 1, label: String = "",
        until isOver: (Double) throws -> Bool
    ) throws {
        let beganNs = MonotonicClock.nowNs()
        var next = first
        while true {
            let second = Double(MonotonicClock.nowNs() - beganNs) / 1e9
            result.seconds = from + second
            if try isOver(second) { return }
            try turn()
            guard second >= next else { continue }
            next += every
            guard let sample = try sample(second: from + second) else { continue }
            result.samples.append(sample)
            if result.samples.count % printsEvery == 0 { print(label + sample.line) }
        }
    }

    // MARK: The end

    /// Ends the exchange, lets feedd take what was sent, stops it, and compares Redis with the truth: verdicts into `result`.
    @discardableResult func finish(_ result: TrialResult) throws -> FeeddReport {
        let (status, total) = try end(result)
        let check = try rig.compare()
        // A starved exchange reads SUBSCRIBE messages of two seconds at once, finds them too many, and ends the connection: what
        // it sent before anything was read is nothing that feedd could miss, and neither is what never left it.
        let unknowable = check.absent.filter {
            !$0.isRequired && ($0.place == .before || $0.place == .after && rig.setup.endsInTheMiddle)
        }
        result.judgeStore(check)
        result.judgeGaps(check, total, feedd, unknowable: unknowable.count)
        judge(result, status, total, check)
        return total
    }

    /// The same of a service that heals: all that the exchange has closed in a span of its time is there, and no hole is left.
    /// - Parameter fromMs: bars that opened then or later must be there.
    func finishHealed(_ result: TrialResult, fromMs: Int64) throws {
        // Bars that end in the last moments may be on their way.
        let settledMs = try rig.exchange.timeMs() - ServiceRun.settledMs
        let client = try RedisClient.connect(rig.redis.endpoint, timeout: .seconds(60))
        let holes = try client.command("KEYS", "gaps:*").strings.count
        client.close()
        let gapsOpen = feedd.report[.gapsOpen]
        let (status, total) = try end(result)
        let check = try rig.compare { closed, _ in
            closed.candle.openTimeMs >= fromMs && closed.candle.closeTimeMs < settledMs
        }
        result.judgeStore(check)
        result.judge(
            "no hole is left", holes == 0 && gapsOpen == 0 && total[.gapCandlesAbsent] == 0,
            "\(holes) keys of holes, \(gapsOpen) open, \(total[.gapCandlesAbsent]) candles that the exchange is said to lack")
        result.judge(
            "holes were there, and were filled", total[.gapCandlesHealed] > 0 && check.healed > 0,
            "\(total[.gapCandlesHealed]) candles healed, \(check.healed) of them as they were brought; \(total[.lateCloses]) late closes, "
                + "\(total[.muteStreams]) mute streams, \(total[.healRequests]) requests")
        judge(result, status, total, check)
    }

    private static let settledMs: Int64 = 10_000

    private func end(_ result: TrialResult) throws -> (status: Int32, total: FeeddReport) {
        // When the exchange has gone, feedd looks for it: that does not count.
        reconnects = broken - reconnectsBefore
        rig.exchange.stop()
        let (status, total) = try feedd.takeRest()
        try rig.subscriber?.expect(updates: UInt64(total[.recordsTaken] - total[.duplicates]))
        (result.streams, result.complaints) = (rig.setup.series, feedd.complaints)
        return (status, total)
    }

    private func judge(_ result: TrialResult, _ status: Int32, _ total: FeeddReport, _ check: TruthCheck) {
        result.judgeBooks(total)
        result.judge("feedd ends with status 0", status == 0, "status \(status)")
        for example in check.samples { print("  \(example)") }
    }

    /// For runs whose figures are worth nothing when anything is wrong.
    /// - Throws: the first verdict that does not hold.
    func prove() throws -> FeeddReport {
        let result = TrialResult()
        let total = try finish(result)
        guard let bad = result.verdicts.first(where: { $0.holds == false }) else { return total }
        throw FeedError(.redis, "\(bad.name): \(bad.detail)")
    }
}
