// `feedd run` as a child process, and what it says: its log is a file of JSON lines, read as it grows. Main thread.

import FastFeed
import Foundation

/// One `report` (or the final `total`) of feedd: all its counters.
struct FeeddReport {
    let timeMs: Int64
    private let fields: [String: Any]

    init() { (timeMs, fields) = (0, [:]) }

    init?(_ line: [String: Any]) {
        guard let text = line["time"] as? String,
            let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        else { return nil }
        timeMs = Int64((date.timeIntervalSince1970 * 1_000).rounded())
        fields = line
    }

    subscript(name: String) -> Int64 { (fields[name] as? NSNumber)?.int64Value ?? 0 }
    subscript(counter: CounterID) -> Int64 { self[counter.name] }
    var heapBytes: Int64 { self["heap_allocated_bytes"] }
    var counters: CounterSnapshot { CounterSnapshot { UInt64(bitPattern: self[$0]) } }
}

final class FeeddProcess: Program {
    private let log: FileHandle
    private var rest = Data()
    /// The last one; of nothing until the first has come.
    private(set) var report = FeeddReport()
    private(set) var total: FeeddReport?
    /// What the lines "closed candles are missing" name: open times by series.
    private(set) var gaps: [String: [Range<Int64>]] = [:]
    /// Gaps that the log only counts.
    private(set) var unnamedGaps: Int64 = 0
    /// Warnings and errors, by text.
    private(set) var complaints: [String: Int] = [:]

    /// - Parameter setup: what it follows, and further flags.
    init(_ setup: Setup, _ exchange: ExchangeProcess, _ redis: RedisEndpoint, logFile: URL) throws {
        try Data().write(to: logFile)
        log = try FileHandle(forReadingFrom: logFile)
        try super.init(
            Program.feedd(), ["run", "--log-format", "json", "--report-seconds", "1"] + setup.feeddArguments(exchange, redis),
            errors: FileHandle(forWritingTo: logFile))
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
        case "report": report = FeeddReport(line) ?? report
        case "total": total = FeeddReport(line)
        case "closed candles are missing":
            let (from, until) = (number("from_ms"), number("until_ms"))
            if from < until { gaps[line["series"] as? String ?? "", default: []].append(from..<until) }
        case "closed candles are missing in further series": unnamedGaps += number("gaps")
        default:
            guard let level = line["level"] as? String, level == "warning" || level == "error" else { return }
            complaints[message, default: 0] += 1 + Int(number("suppressed"))
        }
    }

    /// The exchange has ended: what lies in the sockets is read until nothing more comes, which two reports, a second apart,
    /// say; then it is ended.
    /// - Returns: its exit status, and its last report.
    func takeRest() throws -> (status: Int32, total: FeeddReport) {
        var before: (timeMs: Int64, messages: Int64) = (0, -1)
        while isRunning {
            usleep(50_000)
            try poll()
            guard report.timeMs != before.timeMs else { continue }
            if report[.messagesReceived] == before.messages { break }
            before = (report.timeMs, report[.messagesReceived])
        }
        let status = stop()
        try poll()
        guard let total else { throw FeedError(.system, "feedd has ended with status \(status) and made no final report") }
        return (status, total)
    }

    override func finish() throws -> Books {
        let (status, total) = try takeRest()
        guard status == 0 else { throw FeedError(.system, "feedd has ended with status \(status)") }
        guard total[.redisRejected] == 0, total[.closedQueueOverflow] == 0 else { throw FeedError(.redis, "feedd could not write all") }
        return (UInt64(total[.recordsTaken] - total[.duplicates]), UInt64(total[.closedWritten]))
    }
}
