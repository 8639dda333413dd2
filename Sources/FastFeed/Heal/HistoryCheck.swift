// What Redis has of a series and what it lacks, from a fixed number of questions; where their answers do not add up, from a walk through
// the history (`HistoryCheck+Walk`). Pure: commands go out, replies come in. Bounds: of a stream only its ends and as many entries as the
// history has are looked at, holes reach back that far, and of `gaps:*` at most `Limits.gapFieldsMax` fields are read.
//
// Bars are told apart by their place in the calendar: an entry inside a bar, which the exchange has had after breakdowns, stands for the
// bar. What was written here by others is never believed further than an id goes.

package enum HistoryCheck {
    /// Commands, and so replies, that a look at one series takes.
    package static let questionCount = 4

    /// The commands whose replies `judge` reads.
    package static func questions(_ series: Series, _ schema: KeySchema) -> [[String]] {
        let key = schema.historyKey(series)
        return [
            ["XREVRANGE", key, "+", "-", "COUNT", "1"], ["XRANGE", key, "-", "+", "COUNT", "1"], ["XLEN", key],
            ["HGETALL", schema.gapsKey(series)],
        ]
    }

    /// What Redis says instead of an answer: it loads its data, or the history's key is of another type. Then nothing is known of the
    /// series. Holes that cannot be read are none: somebody else's `gaps:*` must not hold candles up.
    package static func trouble(_ replies: ArraySlice<RedisReply>) -> String? {
        for reply in replies.prefix(questionCount - 1) { if case .error(let text) = reply { return text } }
        return nil
    }

    /// What there is and what is missing. What lies behind the newest candle is for the sink to see: some of it may be on its way.
    ///
    /// `absent` is to be noted before `holes`, which may cover it.
    /// - Parameters:
    ///   - nowMs: by the exchange's clock.
    ///   - backfill: bars before the present one that should be there, at most `history`.
    ///   - listed: the series' holes as the board has them. What follows on the oldest bar that is being fetched should be there, too.
    /// - Returns: `needsWalk`: there are holes whose place is not known, or an end of the stream is not to be believed. As long as
    ///   `newestMs` is nil then, only the walk knows it.
    package static func judge(
        _ replies: ArraySlice<RedisReply>, _ series: Series, _ handle: SeriesHandle, nowMs: Int64, backfill: Int, history: Int,
        listed: [Gap] = []
    ) -> (checked: CheckedSeries, needsWalk: Bool) {
        var checked = CheckedSeries(handle: handle, newestMs: nil)
        let replies = Array(replies)
        var window = HistoryWindow(series, nowMs: nowMs, backfill: backfill, history: history)
        checked.presentMs = window.presentMs
        guard replies.count == questionCount, let length = replies[2].integer else { return (checked, false) }
        let newest = replies[0].elements.first.flatMap(window.openTime(of:))
        let oldest = replies[1].elements.first.flatMap(window.openTime(of:))
        window.anchorMs = newest ?? oldest
        (checked.newestMs, checked.presentMs) = (newest, window.presentMs)
        for gap in window.listed(replies[3]) {
            if gap.state == .absent { checked.absent.append(gap) } else { checked.holes.append(gap.with(state: .open)) }
        }
        let wantedMs = listed.first { $0.state != .absent }?.fromMs ?? .max
        checked.wantedMs = min(wantedMs, checked.holes.first?.fromMs ?? .max)
        if length == 0 { checked.holes += window.missing(before: nil, checked) }
        guard length > 0 else { return (checked, false) }
        guard let newest, let oldest else { return (checked, true) }
        checked.oldestMs = oldest
        checked.holes += window.missing(before: oldest, checked)
        let (first, end) = (window.bar(oldest), series.interval.nextOpenTime(after: window.bar(newest)))
        // What is listed as absent may have been stored by another, or by a process that had died before Redis took it: then the number of
        // entries does not tell.
        let isSure = !(checked.absent + listed.filter { $0.state == .absent }).contains { $0.untilMs > first && $0.fromMs < end }
        return (checked, !isSure || series.interval.barCount(from: first, until: end) != length)
    }
}

/// The part of the calendar in which a series' history lies.
struct HistoryWindow {
    let series: Series
    /// Open time of any bar that is known; three-day bars are reckoned from it.
    var anchorMs: Int64?
    private let nowMs: Int64
    private let backfill: Int
    private let history: Int

    init(_ series: Series, nowMs: Int64, backfill: Int, history: Int) {
        (self.series, self.history) = (series, history)
        self.nowMs = min(max(nowMs, Limits.instantsMs.lowerBound), Limits.instantsMs.upperBound)
        self.backfill = min(backfill, history)
    }

    /// No candle opens behind it.
    var endMs: Int64 { series.interval.nextOpenTime(after: nowMs) }

    /// Where holes begin to count.
    var startMs: Int64 { back(history + Limits.historySlackBars) }

    /// Open time of the bar that is not closed yet. Without an anchor nobody knows it of a three-day bar: then of the earliest that can be,
    /// so that what lies before it is closed.
    var presentMs: Int64 {
        let day = Interval.d1.openTime(containing: nowMs)
        if series.interval == .d3, anchorMs == nil { return Interval.d1.openTime(barsBack: 2, from: day) }
        return bar(nowMs)
    }

    /// Open time of the bar that an instant belongs to.
    func bar(_ instantMs: Int64) -> Int64 { series.interval.openTime(containing: instantMs, anchorMs: anchorMs ?? 0) }

    private func back(_ bars: Int) -> Int64 { max(0, series.interval.openTime(barsBack: bars, from: presentMs)) }

    /// Open time of a stream's entry. Nil for one that is not a candle's, or not yet.
    func openTime(of entry: RedisReply) -> Int64? {
        guard let id = entry.elements.first?.text, let open = HistoryEntry(id: id, [])?.openTimeMs, open <= endMs else { return nil }
        return open
    }

    /// The bars that should be there and lie before the oldest stored candle. (The board lists none of them twice.)
    func missing(before oldestMs: Int64?, _ checked: CheckedSeries) -> [Gap] {
        hole(from: min(back(backfill), checked.wantedMs), until: min(presentMs, oldestMs.map(bar) ?? .max), .backfill)
    }

    /// None where there is nothing between the two, as far as the history goes.
    func hole(from fromMs: Int64, until untilMs: Int64, _ cause: Gap.Cause) -> [Gap] {
        let from = max(fromMs, startMs)
        return from < untilMs ? [Gap(series: series, fromMs: from, untilMs: untilMs, cause: cause)] : []
    }

    /// The holes of `gaps:*`, by open time, as far as they lie in the window.
    func listed(_ reply: RedisReply) -> [Gap] {
        reply.pairs.prefix(Limits.gapFieldsMax).compactMap { name, text -> Gap? in
            guard let gap = GapRow.gap(series, name: name, text: text) else { return nil }
            let from = max(gap.fromMs, startMs)
            let until = min(gap.untilMs, series.interval.openTime(containing: nowMs, anchorMs: anchorMs ?? gap.fromMs))
            return from < until ? gap.with(fromMs: from, untilMs: until) : nil
        }.sorted { $0.fromMs < $1.fromMs }
    }
}
