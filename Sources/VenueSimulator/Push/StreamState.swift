// One stream's bar in the making and its timetable. A plain value owned by the push engine; no clock, no
// sockets: time comes in as an argument.
//
// Laws: the open time never decreases; every bar ends with one closed event, nothing of it follows, and
// the next bar's first event comes after it; event times strictly ascend.

import FastFeed

/// When a stream speaks.
struct PushTimetable: BitwiseCopyable, Sendable {
    let periodMs: Int64
    /// Streams are spread over the period rather than all sent at one instant.
    let phaseMs: Int64
    let closeDelayMinMs: Int64
    let closeDelaySpanMs: Int64
    /// Says nothing while nothing was traded (closed events always come).
    let onlyOnChange: Bool
    let key: UInt64

    /// First push after an instant.
    func nextPush(afterMs instantMs: Int64) -> Int64 {
        let sincePhase = instantMs - phaseMs
        return phaseMs + (sincePhase / periodMs + 1) * periodMs
    }

    /// How long after its end a bar is announced closed: a pure function of the bar.
    func closeDelay(ofBarOpening openMs: Int64) -> Int64 {
        closeDelayMinMs
            + Int64(SplitMix64.mix(key ^ UInt64(bitPattern: openMs)) % UInt64(closeDelaySpanMs + 1))
    }
}

struct StreamState {
    let grid: BarGrid
    let timetable: PushTimetable
    private var cursor: TapeCursor
    private(set) var openMs: Int64
    private(set) var nextOpenMs: Int64
    private var sum: TradeSum
    /// Close of the last trade before the bar: what an empty bar shows.
    private var previousClose: Int64
    private var lastEventMs: Int64 = 0
    /// Newest trade told of, and in which bar.
    private var toldLastID: Int64 = -1
    private var toldOpenMs: Int64 = -1

    /// Joins at an instant: the bar in progress is complete from its open.
    init(grid: BarGrid, timetable: PushTimetable, history: inout BarHistory, nowMs: Int64) {
        self.grid = grid
        self.timetable = timetable
        openMs = grid.openTime(containing: nowMs)
        nextOpenMs = grid.nextOpen(after: openMs)
        sum = history.sum(fromMs: openMs, untilMs: nowMs)
        previousClose = history.tape.lastPrice(beforeMs: openMs)
        cursor = TapeCursor(history.tape, fromMs: nowMs)
    }

    /// When the present bar's closed event is due.
    private var closeDueMs: Int64 { max(nextOpenMs + timetable.closeDelay(ofBarOpening: openMs), lastEventMs + 1) }

    /// When the stream wants to be asked next. A bar no longer than the period is only told when closed.
    func nextDue(afterMs instantMs: Int64) -> Int64 {
        let push = timetable.nextPush(afterMs: max(instantMs, lastEventMs))
        let hasPushes = timetable.periodMs < nextOpenMs - openMs
        return hasPushes && push < nextOpenMs ? push : closeDueMs
    }

    /// What is said at a due instant: a closed bar, the bar's state, or (only on change) nothing.
    mutating func event(atMs nowMs: Int64) -> KlineState? {
        if nowMs >= closeDueMs { return closedEvent(atMs: nowMs) }
        guard nowMs < nextOpenMs else { return nil }
        cursor.take(until: nowMs, into: &sum)
        if timetable.onlyOnChange {
            if sum.isEmpty || (toldOpenMs == openMs && toldLastID == sum.lastID) { return nil }
            (toldOpenMs, toldLastID) = (openMs, sum.lastID)
        }
        return state(atMs: nowMs, isClosed: false)
    }

    private mutating func closedEvent(atMs nowMs: Int64) -> KlineState {
        cursor.take(until: nextOpenMs, into: &sum)
        let final = state(atMs: nowMs, isClosed: true)
        previousClose = final.sum.close
        sum = TradeSum()
        openMs = nextOpenMs
        nextOpenMs = grid.nextOpen(after: openMs)
        return final
    }

    private mutating func state(atMs nowMs: Int64, isClosed: Bool) -> KlineState {
        lastEventMs = max(nowMs, lastEventMs + 1)
        return KlineState(
            eventTimeMs: lastEventMs, openTimeMs: openMs, nextOpenMs: nextOpenMs, isClosed: isClosed,
            sum: sum.isEmpty ? .flat(at: previousClose) : sum
        )
    }
}
