// What the exchange has answered, and what follows from it. The healer's thread.

extension Healer {
    /// Failures in a row after which nobody waits for us.
    static let outagesMax = 2

    func settle(_ number: UInt64, _ result: Result<[CandleRecord], RestFailure>, nowNs: UInt64) {
        guard let question = flying.removeValue(forKey: number) else { return }
        var isOutage = false
        switch result {
        case .success:
            plan.noteServed()
            outages = 0
            if !sink.canHeal { sink.canHeal = true }
        case .failure(let failure):
            counters.add(.healRequestsFailed)
            let isNews = nowNs >= plan.pausedUntilNs
            isOutage = plan.noteFailure(failure, nowNs: nowNs)
            if isOutage { noteOutage(failure, isNews: isNews) }
        }
        switch question {
        case .heal(let request): settleHoles(request, result, isOutage: isOutage, nowNs)
        case .watch(let handle, let series):
            plan.setAsked(handle, false)
            watch.take(try? result.get(), series, handle, nowNs: nowNs)
        case .audit(let asked):
            if let handle = asked.handle { plan.setAsked(handle, false) }
            settleAudit(asked, result, nowNs)
        case .probe: break
        }
    }

    private func noteOutage(_ failure: RestFailure, isNews: Bool) {
        if isNews { outages += 1 }
        // Nobody can be helped in the time that candles wait.
        if case .limited(let waitMs) = failure, waitMs > settings.holdMs { outages = max(outages, Healer.outagesMax) }
        guard outages >= Healer.outagesMax else { return }
        if sink.canHeal { sink.canHeal = false }
        journal.note(.warning, "the exchange cannot be asked for missing candles", key: "heal outage", ("reason", "\(failure)"))
    }

    // MARK: Holes

    private func settleHoles(
        _ request: HealPlan.Request, _ result: Result<[CandleRecord], RestFailure>, isOutage: Bool, _ nowNs: UInt64
    ) {
        let series = request.series
        switch result {
        case .failure(let failure):
            let tries = plan.fail(request, failure, isOutage: isOutage, nowNs: nowNs)
            reopen(request, request.fromMs..<request.untilMs, tries, nowNs)
            if isOutage { return }
            journal.note(
                .warning, "missing candles cannot be had", key: "heal \(series)", ("series", "\(series)"), ("reason", "\(failure)"))
        case .success(let rows):
            let answerMs = rows.last?.eventTimeMs ?? clock()
            guard let settled = plan.settle(request, rows, listed: gaps.gaps(of: series), answerMs: answerMs, nowNs: nowNs) else { return }
            hand(settled.records, to: request.handle, for: request)
            if silent.contains(where: { $0.handle == request.handle }), watch.learn(rows, series, request.handle, nowNs: nowNs) {
                silent.removeAll { $0.handle == request.handle }
            }
            for (range, tries) in settled.open { reopen(request, range, tries, nowNs) }
            for range in settled.absent { noteAbsent(request, range, isBeforeFirst: range.upperBound <= settled.oldestMs, nowNs) }
            if !settled.absent.isEmpty { send(.gapsChanged) }
        }
    }

    private func reopen(_ request: HealPlan.Request, _ range: Range<Int64>, _ tries: Int, _ nowNs: UInt64) {
        gaps.mark(
            request.series, fromMs: range.lowerBound, untilMs: range.upperBound, .open, tries: tries,
            pauseMs: plan.pauseMs(request.handle, fromMs: range.lowerBound, nowNs: nowNs))
    }

    /// What the exchange's history has not may all the same have come over its streams.
    private func noteAbsent(_ request: HealPlan.Request, _ range: Range<Int64>, isBeforeFirst: Bool, _ nowNs: UInt64) {
        let series = request.series
        let key = schema.historyKey(series)
        let replies =
            store.ask([
                ["XRANGE", key, "\(range.lowerBound)", "\(range.upperBound - 1)", "COUNT", "\(Limits.healPageBars)"],
                ["XREVRANGE", key, "\(max(0, range.lowerBound - 1))", "-", "COUNT", "1"],
            ]) ?? []
        // A key of another type has none of them.
        guard replies.count == 2, HistoryCheck.trouble(replies[...])?.hasPrefix("WRONGTYPE") ?? true else {
            gaps.mark(series, fromMs: range.lowerBound, untilMs: range.upperBound, .open)
            return plan.postpone(request.handle, range, nowNs: nowNs)
        }
        for entry in StoredEntry.entries(replies[0]) {
            guard let openMs = HistoryEntry(id: entry.id, [])?.openTimeMs else { continue }
            let barMs = series.interval.openTime(containing: openMs, anchorMs: range.lowerBound)
            gaps.remove(series, fromMs: barMs, untilMs: series.interval.nextOpenTime(after: barMs))
        }
        // Redis may have older bars than the exchange.
        let isBeforeFirst = isBeforeFirst && replies[1].elements.isEmpty
        gaps.markAbsent(series, fromMs: range.lowerBound, untilMs: range.upperBound, isBeforeFirst: isBeforeFirst)
        let count = series.interval.barCount(from: range.lowerBound, until: range.upperBound) - Int64(replies[0].elements.count)
        guard count > 0 else { return }
        journal.note(
            .info, "the exchange has no such bars", key: "absent \(series)", ("series", "\(series)"), ("count", "\(count)"),
            ("from_ms", "\(range.lowerBound)"))
    }

    // MARK: Audits

    private func settleAudit(_ asked: AuditDesk.Question, _ result: Result<[CandleRecord], RestFailure>, _ nowNs: UInt64) {
        guard let job = audit.asked else { return }
        switch result {
        case .failure(let failure):
            let isLasting =
                switch failure {
                case .busy, .limited, .unavailable, .malformed: false
                case .badRequest, .unknownSymbol, .refused, .stopped: true
                }
            giveUp(audit.fail(isLasting: isLasting, nowNs: nowNs), failure)
        case .success(let rows):
            var exchange = AuditDesk.settled(rows)
            if job.openTimes == nil { exchange = exchange.suffix(job.count) }
            guard let stored = storedEntries(asked.series, &exchange) else {
                return giveUp(audit.fail(isLasting: false, nowNs: nowNs), .unavailable("Redis does not answer"))
            }
            let listed = gaps.gaps(of: asked.series)
            let outcome = audit.judge(stored: stored, exchange: exchange, nowMs: rows.last?.eventTimeMs ?? clock(), nowNs: nowNs) { open in
                listed.contains { $0.fromMs <= open && open < $0.untilMs }
            }
            if let outcome { end(outcome) }
        }
    }

    private func giveUp(_ job: AuditDesk.Job?, _ failure: RestFailure) {
        if let token = job?.token { _ = events.offer(.audited(token: token, .failure(failure))) }
    }

    /// What Redis has between the first and the last of these bars. Bars from before its history are taken out.
    private func storedEntries(_ series: Series, _ exchange: inout [CandleRecord]) -> [StoredEntry]? {
        guard let first = exchange.first?.openTimeMs, let last = exchange.last?.openTimeMs else { return [] }
        let key = schema.historyKey(series)
        let oldest = ["XRANGE", key, "-", "+", "COUNT", "1"]
        let end = "\(series.interval.closeTime(ofBarOpening: last))"
        func page(_ start: String) -> [String] { ["XRANGE", key, start, end, "COUNT", "\(Limits.healPageBars)"] }
        guard var replies = store.ask([oldest, page("\(first)")]), replies.count == 2 else { return nil }
        if HistoryCheck.trouble(replies[...]) != nil { return nil }
        guard let oldestMs = StoredEntry.entries(replies[0]).first.flatMap({ Int64($0.id.prefix { $0 != "-" }) }) else {
            exchange = []
            return []
        }
        exchange.removeAll { $0.openTimeMs < oldestMs }
        var stored = StoredEntry.entries(replies[1])
        // What is not a bar may stand between: twice as many entries are read, and not more.
        while replies[replies.count - 1].elements.count == Limits.healPageBars, stored.count < 2 * Limits.auditCandlesMax {
            guard let last = stored.last, let next = store.ask([page("(" + last.id)]), next.count == 1 else { return nil }
            replies = next
            stored += StoredEntry.entries(next[0])
        }
        return stored
    }

    private func end(_ outcome: AuditDesk.Outcome) {
        let (job, report) = (outcome.job, outcome.report)
        counters.add(.auditChecked, report.checked)
        counters.add(.auditMismatches, report.findings.count)
        if report.isRepaired, let handle = job.handle {
            hand(outcome.candles, to: handle)
            if !outcome.foreign.isEmpty { send(.removeEntries(job.series, ids: outcome.foreign)) }
        }
        if !report.findings.isEmpty {
            func count(_ finding: AuditReport.Finding) -> String { "\(report.findings.count { $0.finding == finding })" }
            journal.note(
                .warning, "stored candles differ from the exchange's", key: "audit \(job.series)", ("series", "\(job.series)"),
                ("checked", "\(report.checked)"), ("missing", count(.missing)), ("different", count(.different)),
                ("foreign", count(.foreign)), ("repaired", report.isRepaired ? "yes" : "no"))
        }
        if let token = job.token { _ = events.offer(.audited(token: token, .success(report))) }
    }
}
