// What all trials have in common: the real program for a long time or under more than it can bear, verdicts on what must hold,
// a record for programs and a summary for people. Main thread.

import ArgumentParser
import FastFeed
import Foundation
import VenueSimulator

struct TrialOptions: ParsableArguments {
    @Option(help: "Write the result into this file, as JSON.")
    var record: String?

    @Option(help: "What is measured, for the record.")
    var commit = ""
}

enum Trial {
    /// - Parameter result: what the run sees, so that a run that cannot go on has a record, too.
    /// - Parameter record: where the record has more than the result.
    /// - Parameter keepsFiles: also when all is well.
    /// - Parameter body: is given the result, and a directory for logs. All processes have ended when it returns.
    /// - Throws: an exit code of 1 when anything does not hold.
    static func carryOut(
        _ name: String, _ options: TrialOptions, _ result: TrialResult = TrialResult(), record: (any Encodable)? = nil,
        keepsFiles: Bool = false, _ body: (TrialResult, URL) throws -> Void
    ) throws {
        let directory = try RunDirectory.make(name)
        result.commit = options.commit
        do {
            try body(result, directory)
        } catch {
            result.judge("came to its end", false, "\(error)")
        }
        result.show()
        if let file = options.record {
            let document: any Encodable = record ?? result
            try JSONFile.write(JSONFile.encoded(document), to: file)
            print("\nrecorded: \(file)")
        }
        if result.isGood && !keepsFiles { try FileManager.default.removeItem(at: directory) } else { print("\nkept: \(directory.path)") }
        print(result.isGood ? "\n\(name): all holds" : "\n\(name): FAILED")
        if !result.isGood { throw ExitCode(1) }
    }
}

struct Verdict: Encodable {
    let name: String
    /// Nil: the run was too short to judge.
    let holds: Bool?
    let detail: String

    var line: String { (holds.map { $0 ? "ok    " : "FAILED" } ?? "  -   ") + "  \(name.left(38))\(detail)" }
}

/// feedd at a moment, from outside and by its own last report.
struct Standing {
    let ns = MonotonicClock.nowNs()
    let process: ProcessSample
    let report: FeeddReport
}

/// A look at feedd and its paces since the look before.
struct TrialSample: Encodable {
    /// Since the load stood.
    let second: Double
    let process: ProcessSample
    /// Of one core, since the sample before.
    let cpuShare: Double
    let framesPerSecond: Double
    let closedWritten, closedPending, connectionsLive, heapAllocatedBytes, gapsSeen: Int64
    /// feedd's own part of a second: from the socket to Redis's acknowledgement.
    let latencyP99Microseconds: Int64

    var line: String {
        String(
            format:
                "%6.0f s  %6.0f frames/s  %9ld closed  %6ld waiting  RSS %6.1f MB  anonymous %6.1f MB  %3d files  %2d threads  CPU %3.0f %%  %ld live",
            second, framesPerSecond, closedWritten, closedPending, process.residentBytes.megabytes, process.anonymousBytes.megabytes,
            process.descriptors, process.threads, cpuShare * 100, connectionsLive)
    }
}

/// A fault that was done, or why it was skipped; and what it counts as, of what a run must have seen.
struct TrialEvent: Encodable {
    let index: Int
    let second: Double
    let fault: String
    let skipped, required: String?
}

final class TrialResult: Encodable {
    let machine = Surroundings.machine()
    let command = CommandLine.arguments.dropFirst().joined(separator: " ")
    var commit = ""
    let startedAt = ISO8601DateFormatter().string(from: Date())
    var seed: UInt64 = 0
    var streams = 0
    var seconds = 0.0
    var events: [TrialEvent] = []
    var samples: [TrialSample] = []
    /// The engine's counters at its end.
    var counters: [String: Int64] = [:]
    /// Warnings and errors of the engine, by text.
    var complaints: [String: Int] = [:]
    private(set) var verdicts: [Verdict] = []

    var isGood: Bool { verdicts.allSatisfy { $0.holds ?? true } }

    func judge(_ name: String, _ holds: Bool?, _ detail: String) { verdicts.append(Verdict(name: name, holds: holds, detail: detail)) }

    func judgeSame(_ name: String, _ before: Int, _ after: Int) { judge(name, before == after, "\(before) then \(after)") }

    // MARK: For people

    func show() {
        if !samples.isEmpty {
            print("\nRSS of feedd over the run, MB:")
            print(TrialResult.sparkline(samples.map(\.process.residentBytes.megabytes)))
        }
        if !events.isEmpty { print("\nfaults:") }
        for (name, list) in Dictionary(grouping: events, by: { String($0.fault.prefix { !$0.isNumber }) }).sorted(by: { $0.key < $1.key }) {
            let skipped = list.count { $0.skipped != nil }
            print("  " + name.left(40) + "\(list.count)" + (skipped > 0 ? "  (\(skipped) not done)" : ""))
        }
        if !complaints.isEmpty { print("\nwhat feedd complained of:") }
        for (text, count) in complaints.sorted(by: { $0.value > $1.value }).prefix(12) { print("  \(count) x \(text)") }
        print("")
        for verdict in verdicts { print(verdict.line) }
    }

    /// At most 60 columns; each shows the mean of its samples.
    private static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        let width = min(60, values.count)
        let bars = (0..<width).map { column -> Character in
            let part = values[(column * values.count / width)..<((column + 1) * values.count / width)]
            let mean = part.reduce(0, +) / Double(part.count)
            return Array("▁▂▃▄▅▆▇█")[min(7, Int((mean - low) / max(high - low, 1e-9) * 8))]
        }
        return String(format: "  %.1f ", low) + String(bars) + String(format: " %.1f", high)
    }
}

/// What must hold of the service at the end.
extension TrialResult {
    /// What the bounded lists, queues and batches of the engine may come to, filled for the first time.
    static let growthBytesMax = 8_000_000
    /// The list of gaps (16,384 at most) takes about an hour of faults to fill; only then is a slope a leak.
    private static let slopeSecondsMin = 7_200.0

    func judgeStore(_ check: TruthCheck) {
        judge(
            "what must be there is in Redis", check.missing == 0 && check.required > 0,
            "\(check.missing) lost of \(check.required)")
        judge(
            "field by field, once, in order", check.wrong + check.revised + check.misplaced == 0 && check.stored > 0,
            "\(check.wrong) wrong of \(check.stored) stored, \(check.revised) corrected, \(check.misplaced) out of order")
        judge("nothing else is there", check.extra + check.twice == 0, "\(check.extra + check.twice) foreign entries, fields or keys")
        judge(
            "latest:* is the last state", check.latestWrong == 0 && check.latestCompared == streams,
            "\(check.latestWrong) wrong of \(check.latestCompared) compared, \(streams) followed")
    }

    /// Where nothing is healed.
    /// - Parameter unknowable: undelivered candles that were not between two that came, so that nobody could miss them.
    func judgeGaps(_ check: TruthCheck, _ total: FeeddReport, _ feedd: FeeddProcess, unknowable: Int) {
        // Every hole is known: those that the log had no room to name are in its counters.
        let known = total[.gapCandlesMissing] - total[.gapCandlesFilled] + total[.closedQueueOverflow] + total[.closedRejected]
        // Past its bound the list of gaps only counts, and what is filled then is not counted as filled.
        let missing = Int64(check.absent.count - unknowable)
        let isListed = total[.gapsSeen] + total[.closedQueueOverflow] + total[.closedRejected] <= Int64(Limits.gapCountMax)
        // The log names a few gaps at a time and counts the others: only when it has named all can each candle be looked up.
        let named = Int64(check.absent.count { one in feedd.gaps["\(one.series)"]?.contains { $0.contains(one.openTimeMs) } ?? false })
        let areNamed = feedd.unnamedGaps == 0
        let counted = "\(named) named in the log, \(feedd.unnamedGaps) gaps only counted there: totals, in which two errors may cancel out"
        judge(
            "undelivered candles are known gaps",
            (isListed ? missing == known : missing <= known) && (!areNamed || named == missing),
            "\(missing) not in Redis, \(known) counted as missing; " + (areNamed ? "each looked up in the log" : counted))
    }

    /// What came in is what went out, to the last message.
    func judgeBooks(_ total: FeeddReport) {
        let end = total.counters
        judge("conservation of messages", end.unaccounted == 0, end.books)
        judge("conservation of closed candles", end.closedUnaccounted == 0, end.books)
        counters = Dictionary(uniqueKeysWithValues: CounterID.allCases.map { ($0.name, total[$0]) })
    }

    func judgeGrowth(_ name: String, from before: Standing, to after: Standing, bytesMax: Int) {
        let growth = after.process.residentBytes - before.process.residentBytes
        judge(
            name, growth < bytesMax,
            String(
                format: "%+.2f MB, heap in use %+.2f MB, at most %.1f", growth.megabytes,
                (after.report.heapBytes - before.report.heapBytes).megabytes, bytesMax.megabytes))
    }

    func judgeProcess(atStart: Standing, atEnd: Standing) {
        // The connection to the exchange's REST interface is open for a while after a question.
        let files = (atStart.process.descriptors, atEnd.process.descriptors)
        judge("files open, calm to calm", abs(files.1 - files.0) <= 1, "\(files.0) then \(files.1)")
        judgeSame("threads, calm to calm", atStart.process.threads, atEnd.process.threads)
        judgeGrowth("RSS growth, calm to calm", from: atStart, to: atEnd, bytesMax: TrialResult.growthBytesMax)
        let points = samples.filter { $0.second >= seconds / 3 }.map { (x: $0.second / 3_600, y: $0.process.residentBytes.megabytes) }
        guard points.count > 3, let (slope, error) = slope(points) else { return judge("RSS slope below 1 MB/h", nil, "too few samples") }
        // A slope is only a leak when chance does not explain it.
        let detail = String(format: "%+.1f ± %.1f MB/h over the last two thirds", slope, 2 * error)
        let isJudged = seconds >= TrialResult.slopeSecondsMin
        judge("RSS slope below 1 MB/h", isJudged ? slope - 2 * error < 1 : nil, detail + (isJudged ? "" : "; too short to judge"))
    }

    /// Faults that could not be done prove nothing, and neither does a run that ended early.
    func judgeFaults(minutesWanted: Double, wasInterrupted: Bool) {
        judge(
            "ran for the time asked", !wasInterrupted && seconds >= minutesWanted * 60,
            String(format: "%.1f of %.1f minutes", seconds / 60, minutesWanted) + (wasInterrupted ? ", interrupted" : ""))
        let skipped = events.count { $0.skipped != nil }
        judge("faults were done", skipped * 10 <= events.count, "\(skipped) of \(events.count) could not be done, at most a tenth may")
        let done = Set(events.filter { $0.skipped == nil }.compactMap(\.required))
        let wanting = RequiredFault.allCases.map(\.rawValue).filter { !done.contains($0) }
        let isJudged = minutesWanted >= RequiredFault.minutesMin
        judge(
            "every required kind of fault", isJudged ? wanting.isEmpty : nil,
            (wanting.isEmpty ? "\(done.count) kinds" : "none of: " + wanting.joined(separator: ", "))
                + (isJudged ? "" : "; too short to judge"))
    }

    func judgeLoad(wanted: Double) {
        let rates = samples.map(\.framesPerSecond)
        let typical = rates.isEmpty ? 0 : median(rates)
        judge("load was there", typical > 0.9 * wanted, String(format: "median %.0f frames/s of %.0f wanted", typical, wanted))
    }
}
