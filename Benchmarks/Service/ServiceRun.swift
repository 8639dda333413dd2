// One run of the service: exchange, redis-server and feedd as processes, measured from outside, and at the end the
// comparison of Redis with what the exchange said. One thread.

import FastFeed
import Foundation
import VenueSimulator

/// What is fed, how, and over how many connections.
struct ServiceSetup {
    var symbols: Int
    var intervals: [Interval]
    /// The pace: further flags of `feedd simulate`.
    var exchange: [String]
    /// Further flags of `feedd run`.
    var feedd: [String] = []
    /// Further arguments of redis-server.
    var redis: [String] = []
    var readers = 1
    var streamsPerConnection = 1_024
    /// Closed candles that the exchange remembers, and Redis keeps of each series.
    var closedMax = 1_000_000
    /// The exchange may have frames that have not left it yet when it is stopped. (Flat out it always has.)
    var endsInTheMiddle = false

    var series: Int { symbols * intervals.count }
    var connections: Int { max((series + streamsPerConnection - 1) / streamsPerConnection, min(readers, series)) }
    var names: [String] { SymbolSpec.list(seed: 1, market: .spot, count: symbols, illiquidEvery: 0).map(\.symbol.name) }
}

final class ServiceRun {
    let setup: ServiceSetup
    let exchange: ExchangeProcess
    let redis: RedisServerProcess
    let feedd: FeeddProcess
    let subscriber: UpdateSubscriber?
    /// Connections of feedd that broke while all series were followed; known at the end.
    private(set) var reconnects: Int64 = 0
    private var reconnectsBefore: Int64 = 0
    private let directory: URL
    private var last: (process: ProcessSample, report: FeeddReport, ns: UInt64)?

    /// Starts everything and waits until all series are followed.
    /// - Parameter directory: for logs; somebody else's to remove.
    /// - Parameter subscriber: made when Redis stands, before feedd starts.
    init(_ setup: ServiceSetup, directory: URL, subscriber makeSubscriber: (RedisEndpoint) throws -> UpdateSubscriber? = { _ in nil })
        throws
    {
        self.setup = setup
        self.directory = directory
        exchange = try ExchangeProcess(
            ["--symbols", "\(setup.symbols)", "--illiquid-every", "0", "--truth-candles", "\(setup.closedMax)"] + setup.exchange,
            keepsTruth: true)
        var options = RedisServerProcess.Options()
        options.isDurable = false
        options.arguments = setup.redis
        redis = try RedisServerProcess(options)
        subscriber = try makeSubscriber(redis.endpoint)
        feedd = try FeeddProcess(
            [
                "--flux", setup.names.joined(separator: ",") + ":" + setup.intervals.map(\.token).joined(separator: ","),
                "--venue-ws", exchange.webSocketBase, "--redis", "unix://\(redis.socketPath)", "--history", "\(setup.closedMax)",
                "--readers", "\(setup.readers)", "--streams-per-connection", "\(setup.streamsPerConnection)",
            ] + setup.feedd, logFile: directory.appendingPathComponent("feedd-\(UUID().uuidString).log"))
        try waitUntilFollowed()
    }

    /// All connections live, and nothing has been asked for since the report before: what does not fit a URL is subscribed
    /// by messages, a few a second.
    private func waitUntilFollowed() throws {
        let deadlineNs = MonotonicClock.nowNs() + 60_000_000_000
        var before: (timeMs: Int64, requests: Int64) = (0, -1)
        while true {
            guard MonotonicClock.nowNs() < deadlineNs else { throw FeedError(.venue, "not all series are followed after 60 s") }
            try turn()
            guard let report = feedd.report, report.timeMs != before.timeMs else { continue }
            if report[.connectionsLive] == Int64(setup.connections), report[.subscribeRequests] == before.requests { break }
            before = (report.timeMs, report[.subscribeRequests])
        }
        reconnectsBefore = ServiceRun.broken(feedd.report)
    }

    private static func broken(_ report: FeeddReport?) -> Int64 {
        report.map { $0[.reconnects] + $0[.redisReconnects] + $0[.protocolViolations] } ?? 0
    }

    deinit {
        exchange.stop()
        if feedd.isRunning { kill(feedd.pid, SIGTERM) }
        subscriber?.stop()
        redis.stop()
    }

    // MARK: Watching

    func turn() throws {
        // Whoever watches through a pipe sees lines as they come.
        fflush(nil)
        usleep(10_000)
        try feedd.poll()
        guard feedd.isRunning else { throw FeedError(.system, "feedd has ended: see its log in \(directory.path)") }
    }

    func look(seconds: Double) throws {
        let untilNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while MonotonicClock.nowNs() < untilNs { try turn() }
    }

    /// What all have done until now.
    func read() throws -> Reading { try Reading(exchange, redis, program: feedd.pid) }

    /// How feedd stands, and its paces since the sample before. Nil until it has reported twice.
    func sample(second: Double) throws -> SoakSample? {
        guard let report = feedd.report else { return nil }
        let now = (process: try ProcessSample(pid: feedd.pid), report: report, ns: MonotonicClock.nowNs())
        defer { last = now }
        guard let last, report.timeMs > last.report.timeMs else { return nil }
        return SoakSample(
            second: second, process: now.process,
            cpuShare: (now.process.cpuSeconds - last.process.cpuSeconds) / (Double(now.ns - last.ns) / 1e9),
            framesPerSecond: Double(report[.messagesReceived] - last.report[.messagesReceived])
                / (Double(report.timeMs - last.report.timeMs) / 1_000),
            closedWritten: report[.closedWritten], closedPending: report[.closedPending], connectionsLive: report[.connectionsLive],
            heapAllocatedBytes: report["heap_allocated_bytes"], gapsSeen: report[.gapsSeen])
    }

    // MARK: The end

    /// Ends the exchange, lets feedd take what was sent, stops it, and compares Redis with the truth: verdicts into `result`.
    func finish(_ result: inout SoakResult) throws -> FeeddReport {
        // When the exchange has gone, feedd looks for it: that does not count.
        reconnects = ServiceRun.broken(feedd.report) - reconnectsBefore
        exchange.stop()
        try feedd.takeRest()
        let status = try feedd.stop()
        guard let total = feedd.total else { throw FeedError(.system, "feedd has ended with status \(status) and made no final report") }
        try subscriber?.expect(updates: UInt64(total[.recordsTaken] - total[.duplicates]))
        var check = try StoreCheck(redis.endpoint, gaps: feedd.gaps, latest: setup.endsInTheMiddle ? .reachable : .last)
        try check.check(TruthFile(URL(fileURLWithPath: exchange.truthFile!)))
        result.streams = setup.series
        result.complaints = feedd.complaints
        // A starved exchange reads SUBSCRIBE messages of two seconds at once, finds them too many, and ends the connection.
        let unknowable = check.early + (setup.endsInTheMiddle ? check.unsent : 0)
        result.judgeStore(check, total, gapsUnnamed: feedd.unnamedGaps, unknowable: unknowable)
        result.judgeBooks(total)
        result.judge("feedd ends with status 0", status == 0, "status \(status)")
        for example in check.examples { print("  \(example)") }
        return total
    }

    /// For runs whose figures are worth nothing when anything is wrong.
    /// - Throws: the first verdict that does not hold.
    func finish() throws -> FeeddReport {
        var result = SoakResult()
        let total = try finish(&result)
        if let bad = result.verdicts.first(where: { $0.holds == false }) { throw FeedError(.redis, "\(bad.name): \(bad.detail)") }
        return total
    }
}

/// A directory for logs, removed when all was well.
enum RunDirectory {
    static func make(_ name: String) throws -> URL {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("feedd-\(name)-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return directory
    }
}
