// `feedd run` as a child process, and what it says: its log is a file of JSON lines, read as it grows.

import FastFeed
import Foundation

/// One `report` (or the final `total`) of feedd: all its counters.
struct FeeddReport {
    let timeMs: Int64
    private let fields: [String: Any]

    init?(_ line: [String: Any]) {
        guard let text = line["time"] as? String,
            let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        else { return nil }
        timeMs = Int64((date.timeIntervalSince1970 * 1_000).rounded())
        fields = line
    }

    subscript(name: String) -> Int64 { (fields[name] as? NSNumber)?.int64Value ?? 0 }
    subscript(counter: CounterID) -> Int64 { self[counter.name] }
    var counters: CounterSnapshot { CounterSnapshot { UInt64(bitPattern: self[$0]) } }
}

/// A line "closed candles are missing".
struct NamedGap {
    let series: String
    let times: Range<Int64>
}

final class FeeddProcess {
    private let process = Process()
    private let log: FileHandle
    private var rest = Data()
    private(set) var report: FeeddReport?
    private(set) var total: FeeddReport?
    private(set) var gaps: [NamedGap] = []
    /// Gaps that the log only counts.
    private(set) var unnamedGaps: Int64 = 0
    /// Warnings and errors, by text.
    private(set) var complaints: [String: Int] = [:]

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// - Parameter arguments: further flags of `feedd run`.
    init(_ arguments: [String], logFile: URL) throws {
        try Data().write(to: logFile)
        process.executableURL = try FeeddProgram.url()
        process.arguments = ["run", "--log-format", "json", "--report-seconds", "1"] + FeeddProgram.endsWithUs + arguments
        process.standardError = try FileHandle(forWritingTo: logFile)
        log = try FileHandle(forReadingFrom: logFile)
        try process.run()
    }

    /// Reads what has been logged since the last call.
    func poll() throws {
        rest += try log.readToEnd() ?? Data()
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = try JSONSerialization.jsonObject(with: rest[rest.startIndex..<end])
            rest = Data(rest[(end + 1)...])
            if let line = line as? [String: Any] { take(line) }
        }
    }

    private func take(_ line: [String: Any]) {
        guard let message = line["message"] as? String else { return }
        func number(_ name: String) -> Int64 { (line[name] as? NSNumber)?.int64Value ?? 0 }
        switch message {
        case "report": report = FeeddReport(line)
        case "total": total = FeeddReport(line)
        case "closed candles are missing":
            let (from, until) = (number("from_ms"), number("until_ms"))
            if from < until { gaps.append(NamedGap(series: line["series"] as? String ?? "", times: from..<until)) }
        case "closed candles are missing in further series": unnamedGaps += number("gaps")
        default:
            guard let level = line["level"] as? String, level == "warning" || level == "error" else { return }
            complaints[message, default: 0] += 1 + Int(number("suppressed"))
        }
    }

    /// SIGTERM, and how it ended: 0 is what a service manager wants to see.
    func stop() throws -> Int32 {
        process.terminate()
        process.waitUntilExit()
        try poll()
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    /// For ways out that are not the planned one.
    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}
