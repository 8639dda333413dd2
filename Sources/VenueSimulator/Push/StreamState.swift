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
    /// A bar without trades is announced closed only when there is a trade to be told.
    let closesIdleWithTrade: Bool
    /// Some closed events come later than the span, up to this delay; in 2^-32.
    let tailChance: UInt64
    let tailMaxMs: Int64
    let key: UInt64

    /// First push after an instant.
    func nextPush(afterMs instantMs: Int64) -> Int64 {
        let sincePhase = instantMs - phaseMs
        return phaseMs + (sincePhase / periodMs + 1) * periodMs
    }

    /// How long after its end a bar is announced closed: a pure function of the bar.
    func closeDelay(ofBarOpening openMs: Int64) -> Int64 {
        let hash = SplitMix64.mix(key ^ UInt64(bitPattern: openMs))
        let usual = closeDelayMinMs + Int64(hash % UInt64(closeDelaySpanMs + 1))
        guard tailChance > 0 else { return usual }
        let drawn = SplitMix64.mix(hash)
        guard drawn >> 32 < tailChance else { return usual }
        // The square of an even draw: short delays are more frequent than long ones.
        let even = drawn & 0xFFFF
        return usual + (tailMaxMs - usual) * Int64((even * even) >> 16) / 65_535
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
    private(set) var lastEventMs: Int64
    /// The symbol does not trade from here on; `.max` while it does.
    private var tradesUntilMs: Int64
    /// Newest trade told of, and in which bar.
    private var toldLastID: Int64 = -1
    private var toldOpenMs: Int64 = -1

    /// Joins at an instant: the bar in progress is complete from its open.
    /// - Parameter lastEventMs: of the stream so far; event times ascend beyond it.
    init(grid: BarGrid, timetable: PushTimetable, history: inout BarHistory, nowMs: Int64, lastEventMs: Int64 = 0) {
        self.grid = grid
        self.timetable = timetable
        openMs = grid.openTime(containing: nowMs)
        nextOpenMs = grid.nextOpen(after: openMs)
        sum = history.sum(fromMs: openMs, untilMs: nowMs)
        previousClose = history.lastPrice(beforeMs: openMs)
        cursor = TapeCursor(history.tape, fromMs: nowMs, withheld: history.pauses.removed)
        tradesUntilMs = history.pauses.current?.fromMs ?? .max
        self.lastEventMs = lastEventMs
    }

    /// No trades from an instant on.
    mutating func stopTrading(atMs instantMs: Int64) { tradesUntilMs = min(tradesUntilMs, instantMs) }

    /// Trades may come again; bars not yet announced keep what they had.
    mutating func resumeTrading(atMs instantMs: Int64, history: BarHistory) {
        take(untilMs: nextOpenMs)
        cursor = TapeCursor(history.tape, fromMs: instantMs, withheld: history.pauses.removed)
        tradesUntilMs = history.pauses.current?.fromMs ?? .max
    }

    /// A bar that ended while nothing may be said.
    /// - Parameter holeMs: since when; a bar that opened later does not exist.
    mutating func finish(atMs nowMs: Int64, holeMs: Int64) -> KlineState? {
        openMs < holeMs && nextOpenMs <= nowMs ? closedEvent(atMs: nowMs) : nil
    }

    private mutating func take(untilMs: Int64) { cursor.take(until: min(untilMs, tradesUntilMs), into: &sum) }

    /// When the present bar's closed event is due.
    private var closeDueMs: Int64 { max(nextOpenMs + timetable.closeDelay(ofBarOpening: openMs), lastEventMs + 1) }

    /// When the stream wants to be asked next. A bar no longer than the period is only told when closed.
    func nextDue(afterMs instantMs: Int64) -> Int64 {
        let push = timetable.nextPush(afterMs: max(instantMs, lastEventMs))
        let hasPushes = timetable.periodMs < nextOpenMs - openMs
        if hasPushes && push < nextOpenMs { return push }
        let due = closeDueMs
        // Due and yet unsaid: it waits for a trade.
        return due <= instantMs && timetable.closesIdleWithTrade ? push : due
    }

    /// What is said at a due instant: a closed bar, the bar's state, or (only on change) nothing.
    mutating func event(atMs nowMs: Int64) -> KlineState? {
        if nowMs >= closeDueMs {
            if timetable.closesIdleWithTrade && isIdle(atMs: nowMs) { return nil }
            return closedEvent(atMs: nowMs)
        }
        guard nowMs < nextOpenMs else { return nil }
        take(untilMs: nowMs)
        if timetable.onlyOnChange {
            if sum.isEmpty || (toldOpenMs == openMs && toldLastID == sum.lastID) { return nil }
            (toldOpenMs, toldLastID) = (openMs, sum.lastID)
        }
        return state(atMs: nowMs, isClosed: false)
    }

    /// True when neither the bar nor the time since has a trade.
    private mutating func isIdle(atMs nowMs: Int64) -> Bool {
        take(untilMs: nextOpenMs)
        return sum.isEmpty && cursor.nextTradeMs >= min(nowMs, tradesUntilMs)
    }

    private mutating func closedEvent(atMs nowMs: Int64) -> KlineState {
        take(untilMs: nextOpenMs)
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
