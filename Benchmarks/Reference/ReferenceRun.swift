// One run of one program: a fresh exchange and redis-server, a while to warm up, a window, and the proof that Redis holds
// what the exchange said. Everything is measured from outside, for all programs alike (Pace.swift).

import FastFeed
import Foundation
import VenueSimulator

final class ReferenceRun {
    private let setup: WholeSetup
    private let exchange: ExchangeProcess
    private let redis: RedisServerProcess
    private let subscriber: UpdateSubscriber?
    private let program: any ContestantProcess
    private let directory: URL

    init(_ setup: WholeSetup, _ contestant: Contestant, _ programs: ContestantPrograms, subscribes: Bool, isBound: Bool = false) throws {
        self.setup = setup
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("reference-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        exchange = try ExchangeProcess(setup.exchangeArguments, keepsTruth: true)
        redis = try setup.startRedis()
        subscriber = subscribes ? try UpdateSubscriber(redis.endpoint, seriesPeriodNs: setup.seriesPeriodNs) : nil
        program = try contestant.start(setup, exchange, redis: redis.reach, programs, directory: directory)
        try exchange.waitForFrames(to: program)
        if isBound { try bind() }
    }

    deinit {
        exchange.stop()
        if program.isRunning { kill(program.pid, SIGTERM) }
        subscriber?.stop()
        redis.stop()
        try? FileManager.default.removeItem(at: directory)
    }

    /// The exchange and Redis share a core, the program has another to itself.
    private func bind() throws {
        let cores = Cores.allowed()
        guard cores.count >= 2, let redisPid = redis.pid else { throw FeedError(.system, "binding needs two cores") }
        for pid in [exchange.processIdentifier, redisPid] { try Cores.bind(process: pid, to: cores[0]) }
        try Cores.bind(process: program.pid, to: cores[1])
    }

    private func read() throws -> Reading {
        guard program.isRunning else { throw FeedError(.system, "the program has ended in the middle of the run") }
        return try Reading(exchange, redis, program: program.pid)
    }

    /// Lets it run for a while. Returns figures by name.
    func measure(warmUpSeconds: Double, seconds: Double) throws -> [String: Double] {
        Thread.sleep(forTimeInterval: warmUpSeconds)
        let before = try read()
        subscriber?.open()
        Thread.sleep(forTimeInterval: seconds)
        subscriber?.close()
        var figures = try Pace(from: before, to: read()).figures
        figures["rss"] = Double(try ProcessSample(pid: program.pid).residentBytes) / 1_048_576
        return figures
    }

    /// Ends the exchange, lets the program take what was sent, and compares Redis with the exchange's truth.
    /// - Returns: what the subscriber has seen, if there is one.
    func finish() throws -> UpdateSubscriber.Findings? {
        exchange.stop()
        let books = try program.finish()
        try subscriber?.expect(updates: books.updates)
        try TruthCheck.run(truthFile: exchange.truthFile!, redis: redis.endpoint, setup: setup, closedWritten: books.closedWritten)
        return subscriber?.result()
    }
}

extension WholeSetup {
    /// A fresh server, without an append-only file.
    func startRedis() throws -> RedisServerProcess {
        var options = RedisServerProcess.Options()
        options.isDurable = false
        options.port = redis == .tcp ? try FreePort.find() : nil
        return try RedisServerProcess(options)
    }
}

extension RedisServerProcess {
    /// The way in for the program that is measured: TCP where the setup has a port.
    var reach: RedisEndpoint { options.port.map { RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: $0))) } ?? endpoint }

    /// How often it has carried out a command.
    func calls(_ command: String) throws -> UInt64 {
        let client = try RedisClient.connect(endpoint, timeoutMs: 30_000)
        defer { client.close() }
        let text = try client.command("INFO", "commandstats").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.firstMatch(of: /calls=(\d+)/).flatMap { UInt64($0.1) } ?? 0
    }
}

extension ExchangeProcess {
    /// Until the program follows the exchange.
    func waitForFrames(to program: any ContestantProcess) throws {
        let deadline = Date(timeIntervalSinceNow: 30)
        while try klineFrames() == 0 {
            guard program.isRunning, Date() < deadline else { throw FeedError(.venue, "the program does not follow the exchange") }
            usleep(10_000)
        }
    }

    /// Events that it has sent until now, by its own account.
    func klineFrames() throws -> UInt64 {
        let url = try WebSocketEndpoint(url: webSocketBase)
        var connection = try RawConnection(url.authority.numericAddress, authorityFile: authorityFile)
        try connection.write(Array("GET /truth/stats HTTP/1.1\r\nHost: \(url.authority.host)\r\nConnection: close\r\n\r\n".utf8))
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe connection.read(into: $0.baseAddress!, count: $0.count) }
            text += String(decoding: bytes[..<count], as: UTF8.self)
            if let match = text.firstMatch(of: /"klineFrames":(\d+),/), let frames = UInt64(match.1) { return frames }
            guard count > 0 else { throw FeedError(.venue, "the exchange does not say how many frames it has sent") }
        }
    }
}

extension Cores {
    /// Binds all threads that the process has now; those that they start inherit it.
    static func bind(process pid: Int32, to core: Int) throws {
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").compactMap(Int32.init) {
            try bind(thread: thread, to: core)
        }
    }
}
