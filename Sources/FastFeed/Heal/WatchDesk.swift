// Series that should have said something and have not: bars that are overdue, and silent streams, which are mute or quiet. Pure: what the
// sink reports, what the exchange answers and the time come in, verdicts go out. The healer's thread alone. Bounded by the series that
// are followed; questions to the exchange by an allowance.
//
// A stream is mute when its bar has got trades, as the exchange's history says, and for longer than an update may take afterwards still
// nothing has come. Where nobody trades a stream is quiet, and may be: that costs a question now and then, never a new subscription.

package struct WatchDesk {
    package enum Verdict: Sendable, Equatable {
        /// Bars that are to be asked for; of so many, told for the first time, the closing event did not come over a live connection.
        case overdue(Gap, lateBars: Int)
        /// Ask for the series' two newest bars, and tell the answer.
        case ask(SeriesHandle)
        case mute(Series, times: Int)
    }

    /// Where a series comes from: since when one of its connections is live, nil while none is.
    package typealias Place = (series: Series, liveSinceNs: UInt64?)

    private struct Bar {
        var openMs: Int64
        var tradeCount: Int64
    }

    private struct State {
        var generation: UInt16
        /// When the newest event was received, as far as it was seen; 0: none yet.
        var receivedNs: UInt64 = 0
        /// Overdue bars before this have been told, then.
        var toldUntilMs = Int64.min
        var toldNs: UInt64 = 0
        /// What had come when the exchange was asked, or what it answered first where nothing had come.
        var known: Bar?
        var isAsked = false
        var questions = 0
        var nextQuestionNs: UInt64 = 0
        var pauseMs = Limits.silenceAgainMs.lowerBound
        /// When the exchange's answer has shown that nobody trades it; 0: it has not.
        var quietNs: UInt64 = 0
        /// The exchange's answer showed trades that we have not heard of.
        var movedNs: UInt64?
        /// The longest silence of late that an event has ended.
        var calmNs: UInt64 = 0
        var muteNs: UInt64 = 0
        var mutes = 0
    }

    private var states: [UInt32: State] = [:]
    /// By series id: those of which nothing comes and nothing is to come, as the exchange says, because nobody trades them.
    package private(set) var quiet: [UInt32: Series] = [:]
    /// Questions that may be asked now, in the time that one takes.
    private var allowanceNs = WatchDesk.allowanceMaxNs
    private var lookedNs: UInt64 = 0
    /// When a stream may have to be called mute; `.max`: none.
    package private(set) var dueNs = UInt64.max

    private static let questionNs: UInt64 = .ns(ms: Limits.silencePauseMs)
    private static let allowanceMaxNs = questionNs * UInt64(Limits.silenceBurst)
    private static let calmMaxNs: UInt64 = 40_000_000_000

    package init() {}

    package mutating func unfollow(_ handle: SeriesHandle) {
        if states[handle.id]?.generation == handle.generation { (states[handle.id], quiet[handle.id]) = (nil, nil) }
    }

    /// An answer is good for twice the time in which each silent series has its question.
    private var quietForNs: UInt64 {
        2 * .ns(ms: max(Limits.silenceAgainMs.upperBound, UInt64(quiet.count) * UInt64(Limits.silencePauseMs)))
    }

    /// How often a series' stream brings news where there are any.
    private static func cadenceNs(_ interval: Interval) -> UInt64 { .ns(ms: interval == .s1 ? 1_000 : 2_000) }
    /// What an update may take on its way besides.
    private static let wayNs: UInt64 = 300_000_000

    // MARK: Looking

    /// - Parameters:
    ///   - nowMs: the exchange's clock.
    ///   - place: nil for a series that is not followed.
    package mutating func look(
        at list: [WatchedSeries], nowNs: UInt64, nowMs: Int64, graceMs: Int, place: (SeriesHandle) -> Place?
    ) -> [Verdict] {
        allowanceNs = min(allowanceNs &+ (lookedNs == 0 ? 0 : nowNs &- lookedNs), WatchDesk.allowanceMaxNs)
        (lookedNs, dueNs) = (nowNs, .max)
        var verdicts: [Verdict] = []
        var silent: [(questions: Int, sinceNs: UInt64, handle: SeriesHandle)] = []
        for watched in list {
            guard let (series, liveSinceNs) = place(watched.handle) else { continue }
            var state = states[watched.handle.id] ?? State(generation: watched.handle.generation)
            if state.generation != watched.handle.generation { state = State(generation: watched.handle.generation) }
            if let liveSinceNs {
                let liveSinceMs = nowMs - Int64((max(nowNs, liveSinceNs) - liveSinceNs) / 1_000_000)
                verdicts += WatchDesk.overdue(watched, series, &state, nowNs, untilMs: nowMs - Int64(graceMs), liveSinceMs)
                if watched.receivedNs != state.receivedNs || nowNs &- state.quietNs > quietForNs { quiet[watched.handle.id] = nil }
                WatchDesk.noteEvent(watched, &state, liveSinceNs)
                switch WatchDesk.judge(watched, series, &state, nowNs, liveSinceNs) {
                case .mute?: verdicts.append(.mute(series, times: state.mutes))
                case .silent?: silent.append((state.questions, state.receivedNs, watched.handle))
                case nil: break
                }
                if let movedNs = state.movedNs { dueNs = min(dueNs, WatchDesk.verdictNs(movedNs, series.interval)) }
            } else {
                // What an outage hides says nothing of the stream.
                (state.movedNs, state.known, quiet[watched.handle.id]) = (nil, nil, nil)
            }
            states[watched.handle.id] = state
        }
        // Who was asked about least is first.
        silent.sort { ($0.questions, $0.sinceNs, $0.handle.id) < ($1.questions, $1.sinceNs, $1.handle.id) }
        for (_, _, handle) in silent where allowanceNs >= WatchDesk.questionNs {
            allowanceNs -= WatchDesk.questionNs
            states[handle.id]!.isAsked = true
            states[handle.id]!.questions += 1
            verdicts.append(.ask(handle))
        }
        return verdicts
    }

    private static func overdue(
        _ watched: WatchedSeries, _ series: Series, _ state: inout State, _ nowNs: UInt64, untilMs: Int64, _ liveSinceMs: Int64
    ) -> [Verdict] {
        guard let firstMs = watched.nextClosedOpenMs, firstMs < untilMs else { return [] }
        let interval = series.interval
        let until = interval.openTime(containing: untilMs, anchorMs: firstMs)
        // What was told long ago and has come to nothing is told again, but not counted again.
        let isAgain = nowNs &- state.toldNs >= .ns(ms: Limits.lateAgainMs)
        let toldUntilMs = state.toldUntilMs
        let from = isAgain ? firstMs : max(firstMs, toldUntilMs)
        guard from < until else { return [] }
        (state.toldUntilMs, state.toldNs) = (until, nowNs)
        // Bars that ended before the connection was there could not be closed over it.
        let splitMs = max(interval.openTime(containing: liveSinceMs, anchorMs: firstMs), from, toldUntilMs)
        let gap = Gap(series: series, fromMs: from, untilMs: until, cause: .late)
        return [.overdue(gap, lateBars: Int(interval.barCount(from: splitMs, until: until)))]
    }

    /// Something has come since the last look: everything begins anew.
    private static func noteEvent(_ watched: WatchedSeries, _ state: inout State, _ liveSinceNs: UInt64) {
        guard watched.receivedNs != state.receivedNs else { return }
        // A symbol that is traded now and then would cost a question each time.
        let wasCalm = state.questions > 0 && state.mutes == 0 && state.receivedNs >= liveSinceNs
        state.calmNs = wasCalm ? min(watched.receivedNs &- state.receivedNs, calmMaxNs) : state.calmNs - state.calmNs / 8
        state.receivedNs = watched.receivedNs
        (state.known, state.movedNs, state.isAsked) = (nil, nil, false)
        (state.questions, state.nextQuestionNs, state.mutes) = (0, 0, 0)
        state.pauseMs = Limits.silenceAgainMs.lowerBound
    }

    private enum Judgement { case mute, silent }

    private static func judge(
        _ watched: WatchedSeries, _ series: Series, _ state: inout State, _ nowNs: UInt64, _ liveSinceNs: UInt64
    ) -> Judgement? {
        if state.muteNs != 0, nowNs &- state.muteNs < .ns(ms: Limits.muteAgainMs) { return nil }
        if let movedNs = state.movedNs {
            guard nowNs >= verdictNs(movedNs, series.interval) else { return nil }
            state.mutes += 1
            (state.movedNs, state.muteNs, state.nextQuestionNs) = (nil, nowNs, 0)
            return .mute
        }
        let cadence = cadenceNs(series.interval)
        let sinceNs = max(watched.receivedNs, liveSinceNs, state.muteNs)
        let patience = watched.receivedNs == 0 ? cadence + 1_000_000_000 : max(2 * cadence, state.calmNs + state.calmNs / 2)
        guard !state.isAsked, nowNs > sinceNs, nowNs - sinceNs > patience, nowNs >= state.nextQuestionNs else { return nil }
        if let openMs = watched.newestOpenMs { state.known = Bar(openMs: openMs, tradeCount: watched.newestTradeCount) }
        return .silent
    }

    /// An update may take as long as this.
    private static func verdictNs(_ movedNs: UInt64, _ interval: Interval) -> UInt64 { movedNs &+ cadenceNs(interval) &+ wayNs }

    // MARK: Answers

    /// Bars that were asked for because they are missing may show already what a question would.
    /// - Returns: true when the question has its answer by it.
    package mutating func learn(_ rows: [CandleRecord], _ series: Series, _ handle: SeriesHandle, nowNs: UInt64) -> Bool {
        guard let state = states[handle.id], state.generation == handle.generation, state.isAsked else { return false }
        guard let known = state.known, WatchDesk.hasMoved(rows, since: known) else { return false }
        take(rows, series, handle, nowNs: nowNs)
        return true
    }

    private static func hasMoved(_ rows: [CandleRecord], since known: Bar) -> Bool {
        rows.contains { row in
            row.openTimeMs > known.openMs ? row.tradeCount > 0 : row.openTimeMs == known.openMs && row.tradeCount > known.tradeCount
        }
    }

    /// - Parameter rows: the series' two newest bars, by open time; nil: the question has failed.
    package mutating func take(_ rows: [CandleRecord]?, _ series: Series, _ handle: SeriesHandle, nowNs: UInt64) {
        guard var state = states[handle.id], state.generation == handle.generation, state.isAsked else { return }
        defer { states[handle.id] = state }
        state.isAsked = false
        quiet[handle.id] = nil
        guard let newest = rows?.last else {
            state.nextQuestionNs = nowNs &+ .ns(ms: Limits.silenceAgainMs.lowerBound)
            return
        }
        guard let known = state.known else {
            // Nothing has ever come: the next answer will show whether anybody trades.
            state.known = Bar(openMs: newest.openTimeMs, tradeCount: newest.tradeCount)
            state.nextQuestionNs = nowNs &+ 1_000_000_000
            return
        }
        if WatchDesk.hasMoved(rows!, since: known) {
            state.movedNs = nowNs
            dueNs = min(dueNs, WatchDesk.verdictNs(nowNs, series.interval))
        } else {
            state.nextQuestionNs = nowNs &+ .ns(ms: state.pauseMs)
            state.pauseMs = min(state.pauseMs * 2, Limits.silenceAgainMs.upperBound)
            state.quietNs = nowNs
            quiet[handle.id] = series
        }
    }
}
