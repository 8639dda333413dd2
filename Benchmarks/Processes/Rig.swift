// What a program is measured between: exchange and redis-server as processes, and where it is wanted a subscriber. Main thread.
// Each run has a fresh one, and ends it with the proof that Redis holds what the exchange said.

import FastFeed
import Foundation
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
        var options = RedisServerProcess.Options()
        // Beside the log, where that is kept.
        if directory != nil, setup.redis == .aof { options.directory = self.directory.appendingPathComponent("redis").path }
        options.arguments = ["--appendonly", setup.redis == .aof ? "yes" : "no"] + setup.redisArguments
        let port = setup.redis == .tcp ? try FreePort.find() : nil
        if let port { options.arguments += ["--port", "\(port)"] }
        redis = try RedisServerProcess(options)
        let endpoint = port.map { RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: $0))) } ?? redis.endpoint
        redisEndpoint = endpoint
        subscriber = setup.subscribes ? try UpdateSubscriber(endpoint, setup) : nil
    }

    deinit {
        exchange.stop()
        subscriber?.stop()
        redis.stop()
        if isOwnDirectory { try? FileManager.default.removeItem(at: directory) }
    }

    /// What all have done until now.
    /// - Parameter program: the process that takes the frames. It has not ended.
    func read(_ program: Int32) throws -> Reading {
        try Reading(
            frames: exchange.klineFrames(), published: redis.calls("publish"), programNs: ProcessorTime.ofProcess(program), self)
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

    /// Compares Redis with the truth of the exchange, which has ended.
    func compare() throws -> TruthCheck {
        let truth = try TruthFile(directory.appendingPathComponent("truth"))
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(60))
        defer { client.close() }
        var check = TruthCheck { try client.command($0) }
        try truth.forEachSeries { try check.checkHistory($0, $1) }
        try check.checkLatest(truth.latest, mayBeEarlier: setup.endsInTheMiddle)
        try check.checkKeys()
        return check
    }

    /// - Parameter closedWritten: candles that Redis has acknowledged.
    /// - Throws: one sentence naming the first thing that is wrong, or that too little was there to prove anything.
    func prove(closedWritten: UInt64) throws {
        let check = try compare()
        guard check.isFlawless else { throw FeedError(.redis, "\(check)") }
        guard check.required >= setup.series else {
            throw FeedError(.venue, "only \(check.required) closed candles of \(setup.series) series were delivered: nothing is proven")
        }
        guard check.latestCompared == setup.series else {
            throw FeedError(.venue, "\(check.latestCompared) streams said anything, \(setup.series) are followed")
        }
        guard check.stored == Int(closedWritten) else {
            throw FeedError(.redis, "\(closedWritten) closed candles were acknowledged, \(check.stored) are stored")
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
