// What answers of the exchange mean for the holes: which bars are believed, which will never be there, and when the others are asked for
// again. Pure; the healer's thread alone.

extension HealPlan {
    /// True for a bar that the exchange will not change any more.
    package static func isBelieved(_ row: CandleRecord) -> Bool {
        row.isClosed && row.closeTimeMs + Limits.restTrustMs <= row.eventTimeMs
    }

    /// The exchange works: the pauses for failures end.
    package mutating func noteServed() { (failures, pausedUntilNs) = (0, 0) }

    /// - Parameters:
    ///   - rows: by open time; their event time is the answer's own.
    ///   - listed: the series' holes as they are now.
    ///   - answerMs: the exchange's clock when it answered.
    /// - Returns: nil when the series is followed no more.
    package mutating func settle(
        _ request: Request, _ rows: [CandleRecord], listed: [Gap], answerMs: Int64, nowNs: UInt64
    ) -> Settlement? {
        guard var lane = lanes[request.handle.id], lane.handle == request.handle else { return nil }
        (lane.isAsked, lane.failures, lane.quietUntilNs) = (false, 0, 0)
        let lastBelievedMs = rows.last(where: HealPlan.isBelieved)?.openTimeMs ?? .min
        lane.newestBelievedMs = max(lane.newestBelievedMs, lastBelievedMs)
        lane.oldestBelievedMs = min(lane.oldestBelievedMs, rows.first(where: HealPlan.isBelieved)?.openTimeMs ?? .max)
        let tries = lane.tries(request) + 1
        lane.cut(request.fromMs..<request.untilMs)
        var result = Settlement(oldestMs: lane.oldestBelievedMs)
        var place = 0
        for gap in listed where gap.state != .absent && gap.fromMs < request.untilMs && request.fromMs < gap.untilMs {
            let until = min(gap.untilMs, request.untilMs)
            var open = max(gap.fromMs, request.fromMs)
            while open < until {
                let next = min(request.series.interval.nextOpenTime(after: open), until)
                defer { open = next }
                while place < rows.count, rows[place].openTimeMs < open { place += 1 }
                // Bars that do not keep to the grid stand for the one that is looked for.
                var (isThere, isBelieved) = (false, true)
                while place < rows.count, rows[place].openTimeMs < next {
                    isThere = true
                    if HealPlan.isBelieved(rows[place]) { result.records.append(rows[place]) } else { isBelieved = false }
                    place += 1
                }
                if isThere && isBelieved {
                    lane.pause(open..<next, overNs: .max, tries: tries, isFirst: open == request.fromMs)
                } else if !isThere && (open < lastBelievedMs || lane.isSettled(open, answerMs)) {
                    HealPlan.append(open..<next, to: &result.absent)
                } else {
                    let overNs = nowNs &+ HealPlan.pauseNs(tries, closeMs: next - 1, answerMs: answerMs)
                    lane.pause(open..<next, overNs: overNs, tries: tries, isFirst: open == request.fromMs)
                    if result.open.last?.range.upperBound == open {
                        result.open[result.open.count - 1].range = result.open.last!.range.lowerBound..<next
                    } else {
                        result.open.append((open..<next, tries))
                    }
                }
            }
        }
        lanes[request.handle.id] = lane
        return result
    }

    /// 1, 2, 4 … s; not before the bar can be believed.
    private static func pauseNs(_ tries: Int, closeMs: Int64, answerMs: Int64) -> UInt64 {
        let usual = min(1 << UInt64(min(tries - 1, 20)), Limits.healPauseSecondsMax) * 1_000_000_000
        return max(usual, .ns(ms: Int(max(0, closeMs + Limits.restTrustMs - answerMs))))
    }

    private static func append(_ range: Range<Int64>, to ranges: inout [Range<Int64>]) {
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }

    /// The sink has taken what this request brought. What is missing all the same is asked for again, after a while.
    package mutating func noteTaken(_ request: Request, nowNs: UInt64) {
        guard var lane = lanes[request.handle.id], lane.handle == request.handle else { return }
        for place in lane.pauses.indices where lane.pauses[place].overNs == .max {
            guard request.fromMs <= lane.pauses[place].fromMs, lane.pauses[place].untilMs <= request.untilMs else { continue }
            lane.pauses[place].overNs = nowNs &+ .ns(ms: Limits.healUnfilledMs)
        }
        lanes[request.handle.id] = lane
    }

    /// What an answer said of these bars could not be made use of: they are asked for again after a while.
    package mutating func postpone(_ handle: SeriesHandle, _ range: Range<Int64>, nowNs: UInt64) {
        guard lanes[handle.id]?.handle == handle else { return }
        lanes[handle.id]!.cut(range)
        lanes[handle.id]!.pause(range, overNs: nowNs &+ .ns(ms: Limits.healUnfilledMs), tries: 0)
    }

    /// - Parameter isOutage: the exchange as a whole cannot be asked (`noteFailure`); otherwise this series waits.
    /// - Returns: how often its bars were asked for.
    package mutating func fail(_ request: Request, _ failure: RestFailure, isOutage: Bool, nowNs: UInt64) -> Int {
        guard var lane = lanes[request.handle.id], lane.handle == request.handle else { return 0 }
        lane.isAsked = false
        let tries = lane.tries(request) + 1
        lane.cut(request.fromMs..<request.untilMs)
        lane.pause(request.fromMs..<request.untilMs, overNs: nowNs, tries: tries)
        if !isOutage {
            lane.failures += 1
            let usual = min(1 << min(lane.failures - 1, 20), Limits.healPauseSecondsMax)
            let seconds = failure == .unknownSymbol ? Limits.unknownSymbolPauseSeconds : usual
            lane.quietUntilNs = nowNs &+ seconds * 1_000_000_000
        }
        lanes[request.handle.id] = lane
        return tries
    }

    /// For how long, ms, the bar that opens at `fromMs` is not asked for, as far as that is known.
    package func pauseMs(_ handle: SeriesHandle, fromMs: Int64, nowNs: UInt64) -> Int64 {
        guard let lane = lanes[handle.id], lane.handle == handle else { return 0 }
        let pause = lane.pauses.first { $0.fromMs <= fromMs && fromMs < $0.untilMs }
        let untilNs = max(pausedUntilNs, lane.quietUntilNs, pause?.overNs ?? 0)
        return Int64(clamping: (untilNs - min(untilNs, nowNs)) / 1_000_000)
    }

    /// Any question of ours has failed. True when the exchange as a whole cannot be asked: then all wait. Several that were under way at
    /// once are one failure.
    package mutating func noteFailure(_ failure: RestFailure, nowNs: UInt64) -> Bool {
        var waitMs: Int64 = 0
        switch failure {
        case .busy, .stopped, .unavailable: break
        case .limited(let saidMs): waitMs = min(max(saidMs, 0), Int64(Limits.healPauseSecondsMax) * 1_000)
        case .badRequest, .unknownSymbol, .refused, .malformed: return false
        }
        var pauseNs = UInt64.ns(ms: waitMs)
        if nowNs >= pausedUntilNs {
            pauseNs = max(pauseNs, min(1 << min(failures, 20), Limits.healPauseSecondsMax) * 1_000_000_000)
            failures += 1
        }
        pausedUntilNs = max(pausedUntilNs, nowNs &+ pauseNs)
        return true
    }
}

extension HealPlan.Lane {
    /// True for a bar that another answer would have shown: there is a later one, and it ended long ago.
    func isSettled(_ openMs: Int64, _ answerMs: Int64) -> Bool {
        openMs < newestBelievedMs && series.interval.closeTime(ofBarOpening: openMs) + Limits.restSettledMs <= answerMs
    }

    /// When these bars may be asked for, if they were asked for last.
    func againNs(_ range: Range<Int64>) -> UInt64 {
        last.fromMs == range.lowerBound && last.untilMs == range.upperBound ? last.atNs &+ .ns(ms: Limits.healAgainMs) : 0
    }

    /// How often bars of a request were asked for before.
    func tries(_ request: HealPlan.Request) -> Int {
        pauses.reduce(0) { $1.fromMs < request.untilMs && request.fromMs < $1.untilMs ? max($0, $1.tries) : $0 }
    }

    /// Takes pauses out of a range.
    mutating func cut(_ range: Range<Int64>) {
        pauses = pauses.flatMap { pause in
            guard pause.fromMs < range.upperBound, range.lowerBound < pause.untilMs else { return [pause] }
            var (left, right) = (pause, pause)
            (left.untilMs, right.fromMs) = (range.lowerBound, range.upperBound)
            return [left, right].filter { $0.fromMs < $0.untilMs }
        }
    }

    /// Into a place that has none; neighbours of one request that say the same are one.
    mutating func pause(_ range: Range<Int64>, overNs: UInt64, tries: Int, isFirst: Bool = true) {
        let place = (pauses.lastIndex { $0.fromMs < range.lowerBound } ?? -1) + 1
        if !isFirst, place > 0, pauses[place - 1].untilMs == range.lowerBound, pauses[place - 1].overNs == overNs,
            pauses[place - 1].tries == tries
        {
            pauses[place - 1].untilMs = range.upperBound
        } else {
            pauses.insert(HealPlan.Pause(fromMs: range.lowerBound, untilMs: range.upperBound, overNs: overNs, tries: tries), at: place)
        }
    }
}
