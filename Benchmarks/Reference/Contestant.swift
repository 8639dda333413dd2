// The programs that are run in turns: `feedd run`, and the C++ reference (perf/reference). Both are processes of their
// own, so that their CPU time is taken in the same way: all threads of the process, by the scheduler's own account.

import FastFeed
import Foundation

/// A program and how it is run.
struct Contestant {
    let name: String
    /// Nil: `feedd run`.
    let referenceFlags: [String]?

    static let feedd = Contestant(name: "feedd", referenceFlags: nil)
    static let scanner = Contestant(name: "reference", referenceFlags: [])
    static let onDemand = Contestant(name: "reference-simdjson", referenceFlags: ["--parser", "simdjson"])
    /// As many batches in flight as the engine lets be.
    static let deep = Contestant(name: "reference-4-batches", referenceFlags: ["--in-flight", "4"])
    static let lazy = Contestant(name: "reference-lazy", referenceFlags: ["--lazy"])
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
    /// - Parameter directory: for logs; somebody else's to remove.
    func start(_ setup: WholeSetup, _ exchange: ExchangeProcess, _ redis: RedisServerProcess, reference: URL, directory: URL) throws
        -> any ContestantProcess
    {
        let symbols = setup.symbols.map(\.name).joined(separator: ",")
        let flux = "\(symbols):\(setup.interval.token)"
        let common = ["--flux", flux, "--history", String(WholeRun.history)] + (exchange.authorityFile.map { ["--ca-file", $0] } ?? [])
        if let referenceFlags {
            let every = setup.coalesces ? [] : ["--every"]
            return try ReferenceProcess(
                reference, common + ["--venue", exchange.webSocketBase, "--redis", redis.socketPath] + every + referenceFlags)
        }
        let every = setup.coalesces ? [] : ["--no-coalesce"]
        return try FeeddProcess(
            common + ["--venue-ws", exchange.webSocketBase, "--redis", "unix://\(redis.socketPath)"] + every,
            logFile: directory.appendingPathComponent("feedd.log"))
    }
}

extension FeeddProcess: ContestantProcess {
    func finish() throws -> ContestantBooks {
        // What lies in the sockets is read until nothing more comes: two reports, a second apart, that say the same.
        var before: (timeMs: Int64, messages: Int64) = (0, -1)
        while isRunning {
            usleep(50_000)
            try poll()
            guard let report, report.timeMs != before.timeMs else { continue }
            if report[.messagesReceived] == before.messages { break }
            before = (report.timeMs, report[.messagesReceived])
        }
        let status = try stop()
        guard status == 0, let total else { throw FeedError(.system, "feedd has ended with status \(status)") }
        guard total[.redisRejected] == 0, total[.closedQueueOverflow] == 0 else { throw FeedError(.redis, "feedd could not write all") }
        return ContestantBooks(
            updates: UInt64(total[.recordsTaken] - total[.duplicates]), closedWritten: UInt64(total[.closedWritten]))
    }
}

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
        else { throw FeedError(.system, "the reference has failed, or met messages that it does not know: \(books)") }
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
            throw FeedError(.system, "the reference has failed: its complaint is above")
        }
        return object
    }

    /// Where `perf/reference/build.sh` leaves it: beside the directory of this program's configuration.
    static func defaultProgram() throws -> URL {
        try FeeddProgram.url().appendingPathComponent("../../../reference/reference").standardized
    }
}
