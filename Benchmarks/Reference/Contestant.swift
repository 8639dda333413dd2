// The programs that are run in turns: `feedd run`, the C++ reference (perf/reference), and the peers (perf/peers). All are
// processes of their own, so that their CPU time is taken in the same way: all threads of the process, by the
// scheduler's own account.

import FastFeed
import Foundation

/// A program and how it is run.
struct Contestant {
    enum Program { case feedd, reference, nio, cryptofeed }

    let name: String
    let program: Program
    /// Further flags of the program.
    var flags: [String] = []

    static let feedd = Contestant(name: "feedd", program: .feedd)
    static let spinning = Contestant(name: "feedd-spin", program: .feedd, flags: ["--idle", "spin"])
    /// Like for like with those that do not coalesce.
    static let every = Contestant(name: "feedd-every", program: .feedd, flags: ["--no-coalesce"])
    static let pausing = Contestant(name: "feedd-pause", program: .feedd, flags: ["--idle", "pause:\(pauseMicroseconds)"])
    static let scanner = Contestant(name: "reference", program: .reference)
    static let onDemand = Contestant(name: "reference-simdjson", program: .reference, flags: ["--parser", "simdjson"])
    /// Of the parsers alone: every field as a value, not only its token.
    static let onDemandValues = Contestant(name: "reference-simdjson-values", program: .reference)
    /// As many batches in flight as the engine lets be.
    static let deep = Contestant(name: "reference-4-batches", program: .reference, flags: ["--in-flight", "4"])
    static let lazy = Contestant(name: "reference-lazy", program: .reference, flags: ["--lazy"])
    static let spinningReference = Contestant(name: "reference-spin", program: .reference, flags: ["--spin"])
    static let pausingReference = Contestant(name: "reference-pause", program: .reference, flags: ["--pause-us", "\(pauseMicroseconds)"])
    /// perf/peers.
    static let nio = Contestant(name: "swift-nio", program: .nio)
    static let cryptofeed = Contestant(name: "cryptofeed", program: .cryptofeed)
    /// Half of what the other one stores.
    static let cryptofeedSet = Contestant(name: "cryptofeed-zset", program: .cryptofeed, flags: ["--backends", "zset"])

    /// Of the throughput profile: at 20,000 frames/s six frames come meanwhile.
    static let pauseMicroseconds = 300
}

/// What a program says at its end.
struct ContestantBooks {
    /// Kline events that it took.
    let updates: UInt64
    /// Closed candles that Redis has acknowledged.
    let closedWritten: UInt64
}

protocol ContestantProcess: AnyObject {
    var pid: Int32 { get }
    var isRunning: Bool { get }
    /// The exchange has ended: takes what it has sent, ends, and says what it did.
    func finish() throws -> ContestantBooks
}

extension Contestant {
    /// - Parameter redis: as the programs know it.
    /// - Parameter directory: for logs; somebody else's to remove.
    func start(_ setup: WholeSetup, _ exchange: ExchangeProcess, redis: RedisEndpoint, _ programs: ContestantPrograms, directory: URL)
        throws
        -> any ContestantProcess
    {
        let symbols = setup.symbols.map(\.name).joined(separator: ",")
        let flux = ["--flux", "\(symbols):\(setup.interval.token)", "--history", String(WholeRun.history)]
        let authority = exchange.authorityFile.map { ["--ca-file", $0] } ?? []
        switch program {
        case .feedd:
            let every = setup.coalesces ? [] : ["--no-coalesce"]
            return try FeeddProcess(
                flux + authority + ["--venue-ws", exchange.webSocketBase, "--redis", redis.feeddURL] + every + flags,
                logFile: directory.appendingPathComponent("feedd.log"))
        case .reference:
            let every = setup.coalesces ? [] : ["--every"]
            return try ReferenceProcess(
                programs.reference, flux + authority + ["--venue", exchange.webSocketBase, "--redis", redis.address] + every + flags)
        case .nio:
            return try ReferenceProcess(programs.nio, flux + ["--venue", exchange.webSocketBase, "--redis", redis.address] + flags)
        case .cryptofeed:
            return try CryptofeedProcess(
                programs,
                ["--venue", exchange.webSocketBase, "--rest", exchange.restBase, "--redis", redis.address] + flags, directory: directory)
        }
    }
}

extension RedisEndpoint {
    /// A path, or `ADDRESS:PORT`.
    fileprivate var address: String {
        switch place {
        case .unix(let path): path
        case .tcp(let authority): authority.description
        }
    }

    fileprivate var feeddURL: String {
        if case .unix = place { "unix://\(address)" } else { "redis://\(address)" }
    }
}

/// Where the other programs are: each is left by its build script in a place beside the directory of this program's
/// configuration.
struct ContestantPrograms {
    let reference: URL
    let nio: URL
    /// The interpreter of its virtual environment, and our script.
    let python: URL
    let cryptofeed: URL

    init(reference: URL? = nil) throws {
        let build = try FeeddProgram.url().appendingPathComponent("../../..").standardized
        self.reference = reference ?? build.appendingPathComponent("reference/reference")
        nio = build.appendingPathComponent("peers/nio/nio-peer")
        python = build.appendingPathComponent("peers/cryptofeed/bin/python")
        cryptofeed = build.appendingPathComponent("peers/cryptofeed/candles.py")
    }

    /// - Throws: a sentence that says how to get what is not there.
    func check(_ contestants: [Contestant]) throws {
        for contestant in contestants {
            let (files, script) =
                switch contestant.program {
                case .feedd: ([URL](), "")
                case .reference: ([reference], "perf/reference/build.sh")
                case .nio: ([nio], "perf/peers/build.sh")
                case .cryptofeed: ([python, cryptofeed], "perf/peers/build.sh")
                }
            for file in files where !FileManager.default.fileExists(atPath: file.path) {
                throw FeedError(.system, "'\(file.path)' is not there; build it with: \(script)")
            }
        }
    }
}

extension FeeddProcess: ContestantProcess {
    /// The exchange has ended: what lies in the sockets is read until nothing more comes: two reports, a second apart, that
    /// say the same.
    func takeRest() throws {
        var before: (timeMs: Int64, messages: Int64) = (0, -1)
        while isRunning {
            usleep(50_000)
            try poll()
            guard let report, report.timeMs != before.timeMs else { continue }
            if report[.messagesReceived] == before.messages { break }
            before = (report.timeMs, report[.messagesReceived])
        }
    }

    func finish() throws -> ContestantBooks {
        try takeRest()
        let status = try stop()
        guard status == 0, let total else { throw FeedError(.system, "feedd has ended with status \(status)") }
        guard total[.redisRejected] == 0, total[.closedQueueOverflow] == 0 else { throw FeedError(.redis, "feedd could not write all") }
        return ContestantBooks(
            updates: UInt64(total[.recordsTaken] - total[.duplicates]), closedWritten: UInt64(total[.closedWritten]))
    }
}

/// A program that ends with the exchange and says what it did in one line of JSON: the reference, and the NIO program.
final class ReferenceProcess: ContestantProcess {
    private let process = Process()
    private let output = Pipe()

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    init(_ program: URL, _ arguments: [String]) throws {
        process.executableURL = program
        process.arguments = arguments + FeeddProgram.endsWithUs
        process.standardOutput = output
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    func finish() throws -> ContestantBooks {
        let books = try ReferenceProcess.object(output)
        process.waitUntilExit()
        guard process.terminationStatus == 0, let klines = books["klines"] as? NSNumber, let closed = books["closed_written"] as? NSNumber,
            (books["others"] as? NSNumber)?.intValue == 0, (books["fallbacks"] as? NSNumber)?.intValue == 0
        else { throw FeedError(.system, "the program has failed, or met messages that it does not know: \(books)") }
        return ContestantBooks(updates: klines.uint64Value, closedWritten: closed.uint64Value)
    }

    /// Runs it to its end, for the modes that need no exchange of ours to end first.
    static func run(_ program: URL, _ arguments: [String]) throws -> [String: Any] {
        let run = try ReferenceProcess(program, arguments)
        defer { run.process.waitUntilExit() }
        return try object(run.output)
    }

    private static func object(_ pipe: Pipe) throws -> [String: Any] {
        let text = pipe.fileHandleForReading.readDataToEndOfFile()
        guard let object = try? JSONSerialization.jsonObject(with: text) as? [String: Any] else {
            throw FeedError(.system, "the program has failed: its complaint is above")
        }
        return object
    }
}
