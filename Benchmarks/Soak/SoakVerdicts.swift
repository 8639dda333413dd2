// What must hold at the end of a soak.

import FastFeed
import Foundation

extension SoakResult {
    mutating func judge(_ name: String, _ holds: Bool?, _ detail: String) {
        verdicts.append(SoakVerdict(name: name, holds: holds, detail: detail))
    }

    /// - Parameter unknowable: undelivered candles that were not between two that came, so that nobody could miss them.
    mutating func judgeStore(_ check: StoreCheck, _ total: FeeddReport, gapsUnnamed: Int64, unknowable: Int = 0) {
        judge(
            "delivered candles are in Redis", check.lost == 0 && check.delivered > 0, "\(check.lost) lost of \(check.delivered) delivered")
        judge("field by field, once", check.wrong == 0 && check.stored > 0, "\(check.wrong) wrong of \(check.stored) stored")
        judge("nothing else is there", check.foreign == 0, "\(check.foreign) foreign entries, fields or keys")
        judge(
            "latest:* is the last state", check.latestWrong == 0 && check.latestCompared == streams,
            "\(check.latestWrong) wrong of \(check.latestCompared) compared, \(streams) followed")
        // Every hole is known: those that the log had no room to name are in its counters.
        let known = total[.gapCandlesMissing] - total[.gapCandlesFilled] + total[.closedQueueOverflow] + total[.closedRejected]
        // Past its bound the list of gaps only counts, and what is filled then is not counted as filled.
        let missing = Int64(check.absent + check.lost - unknowable)
        let isListed = total[.gapsSeen] + total[.closedQueueOverflow] + total[.closedRejected] <= Int64(Limits.gapCountMax)
        // The log names a few gaps at a time and counts the others: only when it has named all can each candle be looked up.
        let areNamed = gapsUnnamed == 0
        let detail =
            areNamed
            ? "each looked up in the log"
            : "\(check.missingNamed) named in the log, \(gapsUnnamed) gaps only counted there: totals, in which two errors may cancel out"
        judge(
            "undelivered candles are known gaps",
            (isListed ? missing == known : missing <= known) && (!areNamed || Int64(check.missingNamed) == missing),
            "\(missing) not in Redis, \(known) counted as missing; " + detail)
    }

    /// What came in is what went out, to the last message.
    mutating func judgeBooks(_ total: FeeddReport) {
        let end = total.counters
        judge("conservation of messages", end.unaccounted == 0, end.books)
        judge("conservation of closed candles", end.closedUnaccounted == 0, end.books)
        counters = Dictionary(uniqueKeysWithValues: CounterID.allCases.map { ($0.name, total[$0]) })
    }

    mutating func judgeProcess(atStart: ProcessSample, atEnd: ProcessSample, heapGrowth: Int64, exitStatus: Int32) {
        judge("files open, calm to calm", atStart.descriptors == atEnd.descriptors, "\(atStart.descriptors) then \(atEnd.descriptors)")
        judge("threads, calm to calm", atStart.threads == atEnd.threads, "\(atStart.threads) then \(atEnd.threads)")
        judge("feedd ends with status 0", exitStatus == 0, "status \(exitStatus)")
        let growth = atEnd.residentBytes - atStart.residentBytes
        judge(
            "RSS growth, calm to calm", growth < Soak.growthBytesMax,
            String(format: "%+.1f MB, heap in use %+.1f MB", Double(growth) / 1e6, Double(heapGrowth) / 1e6))
        guard let (slope, margin) = residentSlope else { return judge("RSS slope below 1 MB/h", nil, "too few samples") }
        // A slope is only a leak when chance does not explain it.
        let detail = String(format: "%+.1f ± %.1f MB/h over the last two thirds", slope, margin)
        guard seconds >= Soak.slopeSecondsMin else { return judge("RSS slope below 1 MB/h", nil, detail + "; too short to judge") }
        judge("RSS slope below 1 MB/h", slope - margin < 1, detail)
    }

    /// Faults that could not be done prove nothing, and neither does a run that ended early.
    mutating func judgeFaults(minutesWanted: Double, wasInterrupted: Bool) {
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

    /// The run could not go on.
    mutating func judgeFailure(_ reason: String) { judge("came to its end", false, reason) }

    mutating func judgeLoad(wanted: Double) {
        let rates = samples.map(\.framesPerSecond).sorted()
        guard !rates.isEmpty else { return judge("load", false, "no samples") }
        let typical = rates[rates.count / 2]
        judge("load was there", typical > 0.9 * wanted, String(format: "median %.0f frames/s of %.0f wanted", typical, wanted))
    }
}
