// What a program is measured between: exchange and redis-server as processes, and where it is wanted a subscriber. Main thread.
// Each run has a fresh one, and ends it with the proof that Redis holds what the exchange said.

import FastFeed
import Foundation
import RedisServer
import VenueSimulator

final class Rig {
    let setup: Setup
    let exchange: ExchangeProcess
    let redis: RedisServerProcess
    /// The way in for the program that is measured: TCP where the setup says so.
    let redisEndpoint: RedisEndpoint
    let subscriber: UpdateSubscriber?
    /// Logs of programs, and while a run goes on the truth and Redis's files.
    let directory: URL
    private let isOwnDirectory: Bool

    /// - Parameter directory: somebody else's to remove; nil: one that is gone with this object.
    init(_ setup: Setup, in directory: URL? = nil) throws {
        self.setup = setup
        isOwnDirectory = directory == nil
        self.directory = try directory ?? RunDirectory.make("run")
        let truth = setup.keepsTruth ? ["--truth-file", self.directory.appendingPathComponent("truth").path] : []
        exchange = try ExchangeProcess(setup.exchangeArguments + truth)
        // Beside the log, where that is kept.
        let files = directory.flatMap { setup.redis == .aof ? $0.appendingPathComponent("redis").path : nil }
        var options = RedisServerProcess.Options(directory: files)
        options.arguments = ["--appendonly", setup.redis == .aof ? "yes" : "no"] + setup.redisArguments
        let port = setup.redis == .tcp ? try FreePort.find() : nil
        if let port { options.arguments += ["--port", "\(port)"] }
        redis = try RedisServerProcess(options)
        redisEndpoint = port.map { RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: $0))) } ?? redis.endpoint
        subscriber = setup.subscribes ? try UpdateSubscriber(redisEndpoint, setup) : nil
    }

    deinit {
        exchange.stop()
        subscriber?.stop()
        redis.stop()
        if isOwnDirectory { try? FileManager.default.removeItem(at: directory) }
    }

    /// What all have done until now.
    /// - Parameter program: takes the frames.
    /// - Throws: also when it has ended.
    func read(_ program: Program) throws -> Reading {
        try program.mustRun()
        return try Reading(
            frames: exchange.klineFrames(), published: redis.calls("publish"), programNs: ProcessorTime.ofProcess(program.pid), self)
    }

    /// Lets things run for a while, and looks before and after.
    func measure<Look>(
        warmUpSeconds: Double, seconds: Double, wait: (Double) throws -> Void = { Thread.sleep(forTimeInterval: $0) },
        _ look: () throws -> Look
    ) throws -> (before: Look, after: Look) {
        try wait(warmUpSeconds)
        let before = try look()
        subscriber?.open()
        try wait(seconds)
        subscriber?.close()
        return (before, try look())
    }

    // MARK: The proof

    /// Ends the exchange, lets the program take what was sent, and compares Redis with the exchange's truth.
    func finish(_ program: Program) throws {
        exchange.stop()
        try prove(program.finish())
    }

    /// Compares Redis with the truth of the exchange, which has ended.
    func compare(isRequired: (ClosedCandle, TruthCheck.Kept) -> Bool = TruthCheck.isDelivered) throws -> TruthCheck {
        let truth = try TruthFile(directory.appendingPathComponent("truth"))
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(60))
        defer { client.close() }
        var check = TruthCheck { try client.command($0) }
        try truth.forEachSeries { try check.checkHistory($0, $1, isRequired: isRequired) }
        try check.checkLatest(truth.latest, mayBeEarlier: setup.endsInTheMiddle)
        try check.checkKeys()
        return check
    }

    /// The subscriber was told of every update, and Redis holds what was acknowledged.
    /// - Throws: one sentence naming the first thing that is wrong, or that too little was there to prove anything.
    func prove(_ books: Program.Books) throws {
        try subscriber?.expect(updates: books.updates)
        let check = try compare()
        let (series, acknowledged) = (setup.series, Int(books.closedWritten))
        guard check.isFlawless, check.required >= series, check.latestCompared == series, check.stored == acknowledged else {
            throw FeedError(
                .redis,
                "\(check). \(acknowledged) closed candles were acknowledged, \(check.stored) are stored, \(check.required) were delivered; "
                    + "\(check.latestCompared) streams said anything: all of \(series) series must, and each must close a candle")
        }
    }
}

extension RedisServerProcess {
    func live() throws -> Int32 {
        guard let pid else { throw FeedError(.redis, "redis-server has ended in the middle of the run") }
        return pid
    }

    /// How often it has carried out a command.
    func calls(_ command: String) throws -> UInt64 {
        let client = try RedisClient.connect(endpoint, timeout: .seconds(30))
        defer { client.close() }
        let text = try client.command("INFO", "commandstats").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.firstMatch(of: /calls=(\d+)/).flatMap { UInt64($0.1) } ?? 0
    }
}

/// The exchange's truth as it left it at its end: some hundred bytes a candle, millions of candles. The file is mapped, its lines
/// are found once, and only the lines of the series in hand are decoded.
struct TruthFile {
    private let data: Data
    /// Lines of closed candles by the part of the line that names the series.
    private var lines: [String: [Range<Int>]] = [:]
    private(set) var latest: [LatestState] = []

    init(_ url: URL) throws {
        data = try Data(contentsOf: url, options: .mappedIfSafe)
        var start = 0
        while start < data.count {
            let end = lineEnd(from: start)
            // Market, symbol and interval come first in a closed candle's line.
            let head = String(decoding: data[start..<min(end, start + 120)], as: UTF8.self)
            if head.hasPrefix("{\"stream\"") {
                latest.append(try LatestState(line: Array(data[start..<end])))
            } else {
                lines[head.split(separator: ",", maxSplits: 3).prefix(3).joined(separator: ","), default: []].append(start..<end)
            }
            start = end + 1
        }
    }

    /// The closed candles of one series after the other, in the order they were announced.
    func forEachSeries(_ body: (Series, [ClosedCandle]) throws -> Void) throws {
        for name in lines.keys.sorted() {
            let candles = try lines[name]!.map { try ClosedCandle(line: Array(data[$0])) }
            try body(candles[0].series, candles)
        }
    }

    private func lineEnd(from start: Int) -> Int {
        unsafe data.withUnsafeBytes { bytes in
            guard let found = unsafe memchr(bytes.baseAddress! + start, 10, bytes.count - start) else { return bytes.count }
            return unsafe UnsafeRawPointer(found) - bytes.baseAddress!
        }
    }
}
