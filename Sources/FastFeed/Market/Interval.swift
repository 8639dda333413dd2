// The sixteen kline intervals and their calendar. Plain values, any thread.
//
// Bars are cut in UTC. Lengths up to a day divide the Unix epoch evenly; weeks begin on Monday; months
// follow the calendar; a three-day bar has a phase of its own for each symbol, which is learned from
// data and never computed (binance-spot-api-docs, web-socket-streams: "Kline/Candlestick streams").

/// A kline interval. Tokens are case-sensitive: `1m` is a minute, `1M` a month.
public enum Interval: UInt8, CaseIterable, Sendable, Hashable {
    /// By unit and number: a second, minutes, hours, days, a week, a month.
    case s1, m1, m3, m5, m15, m30, h1, h2, h4, h6, h8, h12, d1, d3, w1, month1

    private static let tokens = ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]

    /// The exchange's token, as in `btcusdt@kline_1m`.
    public var token: String { Interval.tokens[Int(rawValue)] }

    /// The interval of a token, or nil if there is none such.
    public init?(token: some StringProtocol) {
        guard let place = Interval.tokens.firstIndex(where: { $0 == token }) else { return nil }
        self.init(rawValue: UInt8(place))
    }

    /// Length in milliseconds; nil for the month, whose length varies.
    @inlinable
    public var lengthMs: Int64? {
        switch self {
        case .s1: 1_000
        case .m1: 60_000
        case .m3: 180_000
        case .m5: 300_000
        case .m15: 900_000
        case .m30: 1_800_000
        case .h1: 3_600_000
        case .h2: 7_200_000
        case .h4: 14_400_000
        case .h6: 21_600_000
        case .h8: 28_800_000
        case .h12: 43_200_000
        case .d1: Interval.dayMs
        case .d3: 3 * Interval.dayMs
        case .w1: 7 * Interval.dayMs
        case .month1: nil
        }
    }

    @usableFromInline static let dayMs: Int64 = 86_400_000

    /// Open time of the bar that contains an instant.
    /// - Parameters:
    ///   - instantMs: Unix milliseconds, UTC.
    ///   - anchorMs: open time of any known bar; only three-day bars look at it.
    public func openTime(containing instantMs: Int64, anchorMs: Int64 = 0) -> Int64 {
        let phaseMs: Int64
        switch self {
        case .month1: return CivilMonth(containing: instantMs).startMs
        // 1970-01-05, the first Monday of the epoch.
        case .w1: phaseMs = 4 * Interval.dayMs
        case .d3: phaseMs = anchorMs
        default: phaseMs = 0
        }
        return phaseMs + (instantMs - phaseMs).dividedDown(by: lengthMs!) * lengthMs!
    }

    /// True for an open time where bars of this length are cut. (The phase of three-day bars is not known: any day will do.)
    package func isOnGrid(_ openMs: Int64) -> Bool { (self == .d3 ? .d1 : self).openTime(containing: openMs) == openMs }

    /// Open time of the bar that follows the bar opening at `openMs`.
    @inlinable
    public func nextOpenTime(after openMs: Int64) -> Int64 {
        if let lengthMs { return openMs &+ lengthMs }
        return nextMonthOpen(after: openMs)
    }

    /// Open time of the bar that lies so many bars before the one opening at `openMs`.
    package func openTime(barsBack count: Int, from openMs: Int64) -> Int64 {
        if let lengthMs { return openMs - Int64(count) * lengthMs }
        return CivilMonth(ordinal: CivilMonth(containing: openMs).ordinal - Int64(count)).startMs
    }

    /// Close time of the bar opening at `openMs`: one millisecond before the next one opens.
    @inlinable
    public func closeTime(ofBarOpening openMs: Int64) -> Int64 { nextOpenTime(after: openMs) - 1 }

    /// How many bars open in `[fromMs, untilMs)`, where `fromMs` is the open time of one.
    package func barCount(from fromMs: Int64, until untilMs: Int64) -> Int64 {
        guard untilMs > fromMs else { return 0 }
        if let lengthMs { return (untilMs - fromMs + lengthMs - 1) / lengthMs }
        return Int64(CivilMonth(containing: untilMs - 1).ordinal - CivilMonth(containing: fromMs).ordinal + 1)
    }

    @usableFromInline
    func nextMonthOpen(after openMs: Int64) -> Int64 { CivilMonth(ordinal: CivilMonth(containing: openMs).ordinal + 1).startMs }
}

/// A calendar month of the proleptic Gregorian calendar, as a count of months since year 0.
private struct CivilMonth {
    var ordinal: Int64

    init(ordinal: Int64) { self.ordinal = ordinal }

    /// The month that contains an instant (Unix ms, UTC).
    init(containing instantMs: Int64) {
        // 400 years are 4,800 months and 146,097 days: the average leads to the month or to a neighbour.
        ordinal = (instantMs.dividedDown(by: Interval.dayMs) + 719_528) * 4_800 / 146_097
        while startMs > instantMs { ordinal -= 1 }
        while CivilMonth(ordinal: ordinal + 1).startMs <= instantMs { ordinal += 1 }
    }

    /// First instant of the month. Years begin in March here, so that the leap day is the last of its year (method after Howard
    /// Hinnant's "chrono-Compatible Low-Level Date Algorithms").
    var startMs: Int64 {
        let year = (ordinal - 2).dividedDown(by: 12)
        let month = ordinal - 2 - 12 * year
        let leapDays = year.dividedDown(by: 4) - year.dividedDown(by: 100) + year.dividedDown(by: 400)
        return (365 * year + leapDays + (153 * month + 2) / 5 - 719_468) * Interval.dayMs
    }
}

extension Int64 {
    /// The quotient rounded down, below zero, too.
    fileprivate func dividedDown(by length: Int64) -> Int64 { self / length - (self % length < 0 ? 1 : 0) }
}
