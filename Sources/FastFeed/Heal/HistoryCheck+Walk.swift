// The holes inside a history, one by one: a walk through its entries from the newest back. A state machine: a question goes out, its
// reply comes in. Pure. Bound: twice the pages that the history has; a stream that others have filled up is left at that.

extension HistoryCheck {
    package struct Walk {
        private var window: HistoryWindow
        private let key: String
        private var found: CheckedSeries
        /// Newest first.
        private var holes: [Gap] = []
        /// Where entries are looked for that should not be there.
        private let listed: [Gap]
        /// Where the next page begins, or nil: the walk is over.
        private var start: String?
        private var pagesLeft: Int
        private var oldestMs: Int64?

        /// - Parameter checked: what `judge` has found; the other arguments are as there.
        package init(
            _ series: Series, _ schema: KeySchema, after checked: CheckedSeries, nowMs: Int64, backfill: Int, history: Int,
            listed: [Gap] = []
        ) {
            self.listed = checked.absent + checked.holes + listed
            window = HistoryWindow(series, nowMs: nowMs, backfill: backfill, history: history)
            window.anchorMs = checked.newestMs
            key = schema.historyKey(series)
            found = checked
            start = HistoryEntry.id(openTimeMs: window.endMs)
            pagesLeft = 2 + 2 * (history + Limits.historySlackBars) / Limits.historyPageEntries
        }

        /// The next command; nil when the walk is over.
        package var question: [String]? { start.map { ["XREVRANGE", key, $0, "-", "COUNT", "\(Limits.historyPageEntries)"] } }

        /// What is known of the series: what `judge` has found, and since then.
        package var checked: CheckedSeries {
            var checked = found
            checked.holes += holes.reversed()
            checked.presentMs = window.presentMs
            return checked
        }

        /// The reply to `question`. An error ends the walk.
        package mutating func take(_ reply: RedisReply) {
            start = nil
            pagesLeft -= 1
            guard case .array(let entries) = reply else { return }
            for entry in entries {
                guard let open = window.openTime(of: entry) else { continue }
                step(to: open)
                // What is older lies behind the history.
                if window.bar(open) < window.startMs { return }
            }
            if entries.count < Limits.historyPageEntries {
                holes += window.missing(before: oldestMs, found).filter { !found.holes.contains($0) }
            } else if pagesLeft > 0, let last = entries.last?.elements.first?.text {
                start = "(" + last
            }
        }

        private mutating func step(to open: Int64) {
            if window.anchorMs == nil { window.anchorMs = open }
            if found.newestMs ?? .min < open { found.newestMs = open }
            let bar = window.bar(open)
            if listed.contains(where: { $0.fromMs <= bar && bar < $0.untilMs }) { found.storedMs.append(bar) }
            let after = window.series.interval.nextOpenTime(after: bar)
            if let oldestMs { holes += window.hole(from: after, until: window.bar(oldestMs), .unstored) }
            oldestMs = open
        }
    }
}
