// A program of ours as a child process, and how one waits for what it does. Main thread: the kernel ends a child with the
// thread that started it.

import FastFeed
import Foundation

class Program {
    private let process = Process()

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// - Parameter arguments: the program also gets to know that it is to end when this process does, however that ends.
    init(_ url: URL, _ arguments: [String], in directory: URL? = nil, output: Pipe? = nil, errors: FileHandle? = nil) throws {
        process.executableURL = url
        process.arguments = arguments + ["--end-with-parent", "\(getpid())"]
        if let directory { process.currentDirectoryURL = directory }
        if let output { process.standardOutput = output }
        if let errors { process.standardError = errors }
        try process.run()
    }

    /// A moment in which it must go on.
    func mustRun() throws {
        guard isRunning else { throw FeedError(.system, "the program has ended in the middle of the run") }
        usleep(10_000)
    }

    /// For ways out that are not the planned one.
    deinit {
        guard isRunning else { return }
        kill(pid, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM, where it still runs.
    /// - Returns: how it has ended: 0 is what a service manager wants to see.
    @discardableResult func stop() -> Int32 {
        if isRunning { process.terminate() }
        return waitForEnd()
    }

    func waitForEnd() -> Int32 {
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    /// What a program that takes the exchange's events says at its end: how many it took, and closed candles that Redis has
    /// acknowledged.
    typealias Books = (updates: UInt64, closedWritten: UInt64)

    /// The exchange has ended: takes what it has sent, ends, and says what it did.
    func finish() throws -> Books { throw FeedError(.system, "the program keeps no books") }

    /// The program `feedd`, built beside this one.
    static func feedd() throws -> URL {
        let feedd = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("feedd")
        guard FileManager.default.isExecutableFile(atPath: feedd.path) else {
            let configuration = feedd.deletingLastPathComponent().lastPathComponent == "debug" ? "" : " -c release"
            throw FeedError(.system, "'\(feedd.path)' is not there; build it with: swift build\(configuration) --product feedd")
        }
        return feedd
    }
}

enum Wait {
    /// Takes turns until the condition holds.
    /// - Parameter what: is waited for, for the complaint.
    /// - Parameter turn: what is done between two looks.
    /// - Throws: one sentence when it does not hold in time.
    static func until(
        _ seconds: Double, _ what: String, turn: () throws -> Void = { usleep(5_000) }, _ condition: () throws -> Bool
    ) throws {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while try !condition() {
            guard MonotonicClock.nowNs() < deadlineNs else { throw FeedError(.system, "not within \(shown(seconds)) s: \(what)") }
            try turn()
        }
    }
}

/// A directory for logs and other files of a run.
enum RunDirectory {
    static func make(_ name: String) throws -> URL {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "feedd-\(name)-\(getpid())-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return directory
    }
}
