// Which histories are compared with the exchange's own, and when: those that are asked for, then bars that look wrong, then all series
// in turn. Pure: what Redis has, what the exchange answers and the time come in, questions and findings go out. The healer's thread
// alone. One audit at a time; bounded by `Limits.auditsWaitingMax` and `Limits.auditCandlesMax`.
//
// What differs is looked at a second time before it counts: a candle may be on its way to Redis.

package struct AuditDesk {
    /// One audit of one series.
    package struct Job: Sendable, Equatable {
        package let series: Series
        /// Nil for a series that nobody follows: it can be compared, not repaired.
        package var handle: SeriesHandle?
        /// Given back with the report, so that the request is found; nil: nobody asked.
        package var token: UInt64?
        /// The bars to compare; nil: the last `count` ones.
        package var openTimes: Range<Int64>?
        package var count: Int
        package var repairs: Bool
        package var notBeforeNs: UInt64 = 0
    }

    /// What to ask the exchange.
    package struct Question: Sendable, Equatable {
        package let series: Series
        package let handle: SeriesHandle?
        package let startMs: Int64?
        package let endMs: Int64?
        package let limit: Int
    }

    /// An audit that has ended.
    package struct Outcome {
        package let job: Job
        package var report = AuditReport()
        /// The exchange's candles that Redis lacks or has with other values.
        package var candles: [CandleRecord] = []
        /// Entries that are not bars of the exchange's.
        package var foreign: [String] = []
    }

    private struct Finding: Hashable {
        let entryID: String
        let finding: AuditReport.Finding
    }

    private enum Phase { case first, second }

    private var waiting: [Job] = []
    private var current: (job: Job, phase: Phase, checked: Int, dueNs: UInt64, found: Set<Finding>)?
    private var isAsked = false
    private var failures = 0
    private let roundNs: UInt64
    /// The series that was audited last in its turn, and when the next one may be.
    private var lastID: UInt32?
    private var nextRoundNs: UInt64?
    private let pageBars: Int
    /// What one page costs, in time at the audit's part of the weight limit; nil: no rounds.
    private let pageNs: UInt64?

    private static let failuresMax = 3

    /// - Parameter percent: of the market's weight limit, for the rounds.
    package init(market: Market, percent: Int, history: Int) {
        let dialect = market.dialect
        // With the newest bar, which is mostly forming, a page.
        pageBars = min(history, Limits.healPageBars - 1)
        let perMinute = dialect.weightPerMinute * percent / 100
        pageNs = perMinute > 0 ? 60_000_000_000 * UInt64(dialect.klinesWeight(limit: pageBars + 1)) / UInt64(perMinute) : nil
        roundNs = .ns(ms: Limits.auditRoundMs)
    }

    // MARK: Jobs

    /// - Returns: false when too many audits wait.
    package mutating func add(_ job: Job) -> Bool {
        guard waiting.count < Limits.auditsWaitingMax else { return false }
        // Who waits for an answer comes before who does not.
        let place = job.token == nil ? waiting.count : waiting.firstIndex { $0.token == nil } ?? waiting.count
        waiting.insert(job, at: place)
        return true
    }

    /// The series is followed no more; whoever asked for its audit gets one all the same.
    package mutating func unfollow(_ handle: SeriesHandle) {
        waiting.removeAll { $0.handle == handle && $0.token == nil }
        for place in waiting.indices where waiting[place].handle == handle { waiting[place].handle = nil }
        if current?.job.handle == handle { current!.job.handle = nil }
    }

    /// What to ask now; nil: nothing, or an answer is awaited.
    /// - Parameters:
    ///   - followed: by id.
    ///   - isFree: nothing of the series is being asked.
    package mutating func next(
        _ followed: [UInt32], nowNs: UInt64, series: (UInt32) -> (series: Series, handle: SeriesHandle)?, isFree: (SeriesHandle?) -> Bool
    ) -> Question? {
        guard !isAsked else { return nil }
        if current == nil, let job = takeJob(followed, nowNs, series) { current = (job, .first, 0, nowNs, []) }
        guard let current, nowNs >= current.dueNs, isFree(current.job.handle) else { return nil }
        isAsked = true
        let job = current.job
        let range = job.openTimes
        // The newest bar is mostly forming.
        return Question(
            series: job.series, handle: job.handle, startMs: range?.lowerBound, endMs: range.map { $0.upperBound - 1 },
            limit: range == nil ? job.count + 1 : job.count)
    }

    private mutating func takeJob(
        _ followed: [UInt32], _ nowNs: UInt64, _ series: (UInt32) -> (series: Series, handle: SeriesHandle)?
    ) -> Job? {
        if let place = waiting.firstIndex(where: { nowNs >= $0.notBeforeNs }) { return waiting.remove(at: place) }
        guard let periodNs = periodNs(followed.count), nowNs >= (nextRoundNs ?? .max) else { return nil }
        let id = followed.first { $0 > lastID ?? 0 || lastID == nil } ?? followed[0]
        (lastID, nextRoundNs) = (id, nowNs &+ periodNs)
        return series(id).map { Job(series: $0.series, handle: $0.handle, count: pageBars, repairs: true) }
    }

    /// Time between two series of the rounds; nil: there are no rounds.
    private func periodNs(_ count: Int) -> UInt64? {
        guard count > 0, let pageNs else { return nil }
        return max(roundNs / UInt64(count), pageNs)
    }

    /// When `next` may have something; `.max`: not before something else happens.
    package mutating func dueNs(_ followedCount: Int, nowNs: UInt64) -> UInt64 {
        if isAsked { return .max }
        if let current { return current.dueNs }
        if let periodNs = periodNs(followedCount) {
            // At first histories are filled.
            if nextRoundNs == nil { nextRoundNs = nowNs &+ min(periodNs, 60_000_000_000) }
        } else {
            nextRoundNs = nil
        }
        return waiting.reduce(nextRoundNs ?? .max) { min($0, $1.notBeforeNs) }
    }

    // MARK: Answers

    /// The exchange's bars that can be compared.
    package static func settled(_ rows: [CandleRecord]) -> [CandleRecord] {
        rows.filter { $0.isClosed && $0.closeTimeMs + Limits.auditSettledMs <= $0.eventTimeMs }
    }

    /// The present job's series, when it was asked about.
    package var asked: Job? { isAsked ? current?.job : nil }

    /// - Parameters:
    ///   - exchange: as `settled`.
    ///   - stored: what Redis has between the first and the last of them.
    ///   - isKnown: the board has the hole.
    /// - Returns: nil when a second look is needed.
    package mutating func judge(
        stored: [StoredEntry], exchange: [CandleRecord], nowMs: Int64, nowNs: UInt64, isKnown: (Int64) -> Bool
    ) -> Outcome? {
        guard var audit = current, isAsked else { return nil }
        isAsked = false
        var outcome = Outcome(job: audit.job)
        let series = audit.job.series
        let (first, last) = (exchange.first?.openTimeMs ?? 0, exchange.last?.openTimeMs)
        let untilMs = last.map { series.interval.nextOpenTime(after: $0) } ?? 0
        let found = AuditJudge.compare(
            stored: stored, exchange: exchange, series, fromMs: first, untilMs: untilMs, nowMs: nowMs
        ).filter { $0.finding != .missing || audit.job.token != nil || !isKnown($0.candle?.openTimeMs ?? .min) }
        if audit.phase == .first {
            audit.checked = exchange.count
            if !found.isEmpty {
                audit.phase = .second
                audit.dueNs = nowNs &+ .ns(ms: Limits.auditSecondLookMs)
                audit.found = Set(found.map { Finding(entryID: $0.entryID, finding: $0.finding) })
                current = audit
                return nil
            }
        }
        for (entryID, finding, candle) in found where audit.found.contains(Finding(entryID: entryID, finding: finding)) {
            outcome.report.findings.append((entryID, finding))
            if let candle { outcome.candles.append(candle) }
            if finding == .foreign { outcome.foreign.append(entryID) }
        }
        outcome.report.checked = audit.checked
        outcome.report.isRepaired = audit.job.repairs && audit.job.handle != nil && !outcome.report.findings.isEmpty
        (current, failures) = (nil, 0)
        return outcome
    }

    /// The exchange or Redis did not answer. The job when it is given up.
    /// - Parameter isLasting: it would not answer later, either.
    package mutating func fail(isLasting: Bool, nowNs: UInt64) -> Job? {
        guard var audit = current, isAsked else { return nil }
        isAsked = false
        failures += 1
        guard !isLasting, failures < AuditDesk.failuresMax else {
            (current, failures) = (nil, 0)
            return audit.job
        }
        audit.dueNs = nowNs &+ .ns(ms: Limits.auditSecondLookMs)
        current = audit
        return nil
    }
}
