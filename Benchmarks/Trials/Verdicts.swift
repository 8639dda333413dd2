// What must hold of the service at the end of a trial. Main thread.

import FastFeed
import Foundation
import VenueSimulator

extension TrialResult {
    /// What the bounded lists, queues and batches of the engine may come to, filled for the first time.
    static let growthBytesMax = 8_000_000
    /// The list of gaps (16,384 at most) takes about an hour of faults to fill; only then is a slope a leak.
    private static let slopeSecondsMin = 7_200.0

    /// - Parameter unknowable: undelivered candles that were not between two that came, so that nobody could miss them.
    func judgeStore(_ check: TruthCheck, _ total: FeeddReport, _ feedd: FeeddProcess, unknowable: Int) {
        judge(
            "delivered candles are in Redis", check.missing == 0 && check.required > 0,
            "\(check.missing) lost of \(check.required) delivered")
        judge("field by field, once", check.wrong == 0 && check.stored > 0, "\(check.wrong) wrong of \(check.stored) stored")
        judge("nothing else is there", check.extra + check.twice == 0, "\(check.extra + check.twice) foreign entries, fields or keys")
        judge(
            "latest:* is the last state", check.latestWrong == 0 && check.latestCompared == streams,
            "\(check.latestWrong) wrong of \(check.latestCompared) compared, \(streams) followed")
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

    func judgeProcess(atStart: ProcessSample, atEnd: ProcessSample, heapGrowth: Int64) {
        judgeSame("files open, calm to calm", atStart.descriptors, atEnd.descriptors)
        judgeSame("threads, calm to calm", atStart.threads, atEnd.threads)
        let growth = atEnd.residentBytes - atStart.residentBytes
        judge(
            "RSS growth, calm to calm", growth < TrialResult.growthBytesMax,
            String(format: "%+.1f MB, heap in use %+.1f MB", growth.megabytes, heapGrowth.megabytes))
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
        let rates = samples.map(\.framesPerSecond).sorted()
        guard !rates.isEmpty else { return judge("load was there", false, "no samples") }
        let typical = rates[rates.count / 2]
        judge("load was there", typical > 0.9 * wanted, String(format: "median %.0f frames/s of %.0f wanted", typical, wanted))
    }
}
