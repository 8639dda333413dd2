// The sixteen kline intervals and their calendar. Plain values, any thread.
//
// Bars are cut in UTC. Lengths up to a day divide the Unix epoch evenly; weeks begin on Monday; months
// follow the calendar; a three-day bar has a phase of its own for each symbol, which is learned from
// data and never computed (binance-spot-api-docs, web-socket-streams: "Kline/Candlestick streams").

/// A kline interval. Tokens are case-sensitive: `1m` is a minute, `1M` a month.
public enum Interval: UInt8, CaseIterable, Sendable, Hashable {
    case s1, m1, m3, m5, m15, m30, h1, h2, h4, h6, h8, h12, d1, d3, w1, month1

    /// The exchange's token, as in `btcusdt@kline_1m`.
    public var token: String {
        switch self {
        case .s1: "1s"
        case .m1: "1m"
        case .m3: "3m"
        case .m5: "5m"
        case .m15: "15m"
        case .m30: "30m"
        case .h1: "1h"
        case .h2: "2h"
        case .h4: "4h"
        case .h6: "6h"
        case .h8: "8h"
        case .h12: "12h"
        case .d1: "1d"
        case .d3: "3d"
        case .w1: "1w"
        case .month1: "1M"
        }
    }

    /// The interval of a token, or nil if there is none such.
    public init?(token: some StringProtocol) {
        guard let match = Interval.allCases.first(where: { $0.token == token }) else { return nil }
        self = match
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
    /// 1970-01-05, the first Monday of the epoch.
    private static let firstMondayMs: Int64 = 4 * dayMs

    /// Open time of the bar that contains an instant.
    /// - Parameters:
    ///   - instantMs: Unix milliseconds, UTC.
    ///   - anchorMs: open time of any known bar; only three-day bars look at it.
    public func openTime(containing instantMs: Int64, anchorMs: Int64 = 0) -> Int64 {
        switch self {
        case .month1:
            let month = CivilMonth(containing: instantMs)
            return month.startMs
        case .w1: return floorTo(7 * Interval.dayMs, instantMs, phase: Interval.firstMondayMs)
        case .d3: return floorTo(3 * Interval.dayMs, instantMs, phase: anchorMs)
        default: return floorTo(lengthMs!, instantMs, phase: 0)
        }
    }

    /// Open time of the bar that follows the bar opening at `openMs`.
    @inlinable
    public func nextOpenTime(after openMs: Int64) -> Int64 {
        if let lengthMs { return openMs &+ lengthMs }
        return nextMonthOpen(after: openMs)
    }

    /// Close time of the bar opening at `openMs`: one millisecond before the next one opens.
    @inlinable
    public func closeTime(ofBarOpening openMs: Int64) -> Int64 { nextOpenTime(after: openMs) - 1 }

    /// How many bars open in `[fromMs, untilMs)`, where `fromMs` is the open time of one.
    package func barCount(from fromMs: Int64, until untilMs: Int64) -> Int64 {
        guard untilMs > fromMs else { return 0 }
        if let lengthMs { return (untilMs - fromMs + lengthMs - 1) / lengthMs }
        let first = CivilMonth(containing: fromMs)
        let last = CivilMonth(containing: untilMs - 1)
        return Int64(last.ordinal - first.ordinal + 1)
    }

    @usableFromInline
    func nextMonthOpen(after openMs: Int64) -> Int64 { CivilMonth(containing: openMs).next.startMs }

    private func floorTo(_ length: Int64, _ instant: Int64, phase: Int64) -> Int64 {
        let offset = instant - phase
        let remainder = offset % length
        return instant - (remainder < 0 ? remainder + length : remainder)
    }
}

/// A calendar month of the proleptic Gregorian calendar, as a count of months since year 0.
struct CivilMonth {
    let ordinal: Int

    init(ordinal: Int) { self.ordinal = ordinal }

    /// The month that contains an instant (Unix ms, UTC). Days are counted in 400-year eras that begin
    /// on 1 March, so that the leap day is the last of its year (method after Howard Hinnant's
    /// "chrono-Compatible Low-Level Date Algorithms").
    init(containing instantMs: Int64) {
        var day = instantMs / Interval.dayMs
        if instantMs % Interval.dayMs < 0 { day -= 1 }
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        ordinal = Int((yearOfEra + era * 400) * 12 + marchMonth + 2)
    }

    var next: CivilMonth { CivilMonth(ordinal: ordinal + 1) }

    /// First instant of the month.
    var startMs: Int64 {
        let year = Int64((ordinal >= 0 ? ordinal : ordinal - 11) / 12)
        let month = Int64(ordinal) - year * 12  // 0 = January
        let marchYear = month >= 2 ? year : year - 1
        let marchMonth = month >= 2 ? month - 2 : month + 10
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * marchMonth + 2) / 5
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * Interval.dayMs
    }
}
