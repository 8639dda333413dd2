// The bar calendar against Foundation's.

import FastFeed
import Foundation
import TestKit
import Testing

struct IntervalTests {
    private static let dayMs: Int64 = 86_400_000

    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(secondsFromGMT: 0)!
        calendar.firstWeekday = 2
        calendar.minimumDaysInFirstWeek = 4
        return calendar
    }()

    private func date(_ ms: Int64) -> Date { Date(timeIntervalSince1970: Double(ms) / 1_000) }
    private func ms(_ date: Date) -> Int64 { Int64((date.timeIntervalSince1970 * 1_000).rounded()) }

    private func instant(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0) -> Int64 {
        ms(IntervalTests.calendar.date(from: DateComponents(year: year, month: month, day: day, hour: hour))!)
    }

    /// Open time and next open time by Foundation (day, week, month) or by flooring whole seconds of the day (the rest).
    private func oracle(_ interval: Interval, _ instantMs: Int64) -> (open: Int64, next: Int64) {
        let calendar = IntervalTests.calendar
        let unit: Calendar.Component? =
            switch interval {
            case .d1: .day
            case .w1: .weekOfYear
            case .month1: .month
            default: nil
            }
        if let unit {
            let bounds = calendar.dateInterval(of: unit, for: date(instantMs))!
            return (ms(bounds.start), ms(bounds.end))
        }
        let seconds: Int64 =
            switch interval {
            case .s1: 1
            case .m1: 60
            case .m3: 3 * 60
            case .m5: 5 * 60
            case .m15: 15 * 60
            case .m30: 30 * 60
            case .h1: 3_600
            case .h2: 2 * 3_600
            case .h4: 4 * 3_600
            case .h6: 6 * 3_600
            case .h8: 8 * 3_600
            default: 12 * 3_600
            }
        let midnight = ms(calendar.startOfDay(for: date(instantMs)))
        let open = midnight + (instantMs - midnight) / (seconds * 1_000) * (seconds * 1_000)
        return (open, open + seconds * 1_000)
    }

    private func check(_ interval: Interval, _ instantMs: Int64, _ complaints: inout Complaints, _ note: String) {
        let expected = oracle(interval, instantMs)
        let open = interval.openTime(containing: instantMs)
        complaints.check(open == expected.open, "\(note) \(interval.token) open of \(instantMs): \(open), not \(expected.open)")
        let next = interval.nextOpenTime(after: expected.open)
        complaints.check(next == expected.next, "\(note) \(interval.token) next after \(expected.open): \(next), not \(expected.next)")
        complaints.check(interval.closeTime(ofBarOpening: expected.open) == expected.next - 1, "\(note) \(interval.token) close")
        complaints.check(interval.openTime(containing: expected.open) == expected.open, "\(note) \(interval.token) first instant")
        complaints.check(interval.openTime(containing: expected.next - 1) == expected.open, "\(note) \(interval.token) last instant")
        complaints.check(interval.openTime(containing: expected.next) == expected.next, "\(note) \(interval.token) instant after")
    }

    private let calendarIntervals = Interval.allCases.filter { $0 != .d3 }

    /// Leap years of each rule (2000 yes, 2024 yes, 2100 no, 2023 no), every month end, year boundaries.
    @Test(arguments: [1904, 1969, 1970, 1999, 2000, 2017, 2023, 2024, 2025, 2026, 2096, 2100, 2400])
    func boundaries(_ year: Int) {
        var complaints = Complaints()
        for month in 1...12 {
            let first = instant(year, month, 1)
            for offset: Int64 in [-86_400_000, -1, 0, 1, 12 * 3_600_000 + 1, 27 * IntervalTests.dayMs, 28 * IntervalTests.dayMs] {
                for interval in calendarIntervals { check(interval, first + offset, &complaints, "\(year)-\(month)") }
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func knownInstants() {
        #expect(Interval.month1.openTime(containing: instant(2024, 2, 29, 23)) == instant(2024, 2, 1))
        #expect(Interval.month1.nextOpenTime(after: instant(2024, 2, 1)) == instant(2024, 3, 1))
        #expect(Interval.month1.nextOpenTime(after: instant(2100, 2, 1)) - instant(2100, 2, 1) == 28 * IntervalTests.dayMs)
        #expect(Interval.month1.nextOpenTime(after: instant(2000, 2, 1)) - instant(2000, 2, 1) == 29 * IntervalTests.dayMs)
        #expect(Interval.month1.nextOpenTime(after: instant(2025, 12, 1)) == instant(2026, 1, 1))
        // 2020-08-10 is a Monday of the recorded weekly series.
        #expect(Interval.w1.openTime(containing: instant(2020, 8, 16, 23)) == instant(2020, 8, 10))
        #expect(Interval.w1.openTime(containing: instant(2020, 8, 17)) == instant(2020, 8, 17))
        #expect(Interval.w1.openTime(containing: -1) == instant(1969, 12, 29))
    }

    @Test(arguments: seeds) func randomInstants(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var complaints = Complaints()
        for _ in 0..<2_000 {
            // 1900 to 2200, so that a third lies before 1970.
            let at = Int64.random(in: -2_208_988_800_000...7_258_118_400_000, using: &random)
            check(random.pick(calendarIntervals), at, &complaints, "seed \(seed)")
        }
        #expect(complaints.isEmpty, "seed \(seed): \(complaints.summary)")
    }

    /// The phase is the anchor's, whatever side of it the instant lies on; recorded opens of two symbols.
    @Test func threeDayBarsFollowTheirAnchor() {
        let bitcoin = instant(2017, 8, 17)
        let solana = instant(2020, 8, 11)
        #expect(Interval.d3.openTime(containing: instant(2017, 8, 22, 23), anchorMs: bitcoin) == instant(2017, 8, 20))
        #expect(Interval.d3.openTime(containing: instant(2017, 8, 16), anchorMs: bitcoin) == instant(2017, 8, 14))
        #expect(Interval.d3.openTime(containing: instant(2020, 8, 14), anchorMs: solana) == instant(2020, 8, 14))
        var random = SplitMix64(seed: 4)
        for _ in 0..<1_000 {
            let anchor = Int64(random.below(20_000) - 5_000) * IntervalTests.dayMs
            let at = Int64.random(in: -500_000_000_000...4_000_000_000_000, using: &random)
            let open = Interval.d3.openTime(containing: at, anchorMs: anchor)
            #expect(open <= at && at < open + 3 * IntervalTests.dayMs && (open - anchor) % (3 * IntervalTests.dayMs) == 0)
            #expect(Interval.d3.nextOpenTime(after: open) == open + 3 * IntervalTests.dayMs)
        }
    }

    /// Counting bars is the same as walking over them.
    @Test(arguments: seeds) func barCountIsSteps(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for interval in Interval.allCases {
            for _ in 0..<50 {
                let from = interval.openTime(containing: Int64.random(in: -1_000_000_000_000...4_000_000_000_000, using: &random))
                var opens = [from]
                for _ in 0..<random.below(30) { opens.append(interval.nextOpenTime(after: opens.last!)) }
                let last = opens.last!
                #expect(interval.barCount(from: from, until: last) == Int64(opens.count - 1), "seed \(seed) \(interval.token)")
                // A bar that opens before the end counts, however short the rest is.
                #expect(interval.barCount(from: from, until: last + 1) == Int64(opens.count), "seed \(seed) \(interval.token)")
                #expect(interval.barCount(from: last, until: last) == 0)
                #expect(interval.barCount(from: last + 1, until: last) == 0)
            }
        }
    }

    @Test func lengths() {
        for interval in Interval.allCases where interval != .month1 {
            #expect(interval.nextOpenTime(after: 0) == interval.lengthMs)
        }
        #expect(Interval.month1.lengthMs == nil)
    }
}
