// Closing events that go astray: lost, held back, overtaken by the next bar, or late and with other values than the exchange's history.
// Local exchange, real redis-server. Bars of a minute: the exchange's clock begins shortly before the end of one.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Healing, late closes", .serialized)
struct HealLateTests {
    /// What becomes of a closing event; each of another symbol.
    private enum Late: Int, CaseIterable {
        /// It never comes.
        case lost
        /// It comes when the bar has been healed.
        case held
        /// It comes right behind the next bar's first event.
        case overtaken
        /// It comes when the bar has been healed, and says otherwise than the exchange's history.
        case altered

        func fault(_ stream: String, delayMs: Int) -> Fault {
            switch self {
            case .lost: Fault(.missingClose, stream: stream)
            case .held: Fault(.lateClose, stream: stream, value: delayMs)
            case .overtaken: Fault(.lateClose, stream: stream, value: 0)
            case .altered: Fault(.alteredClose, stream: stream, value: delayMs)
            }
        }
    }

    private static let minuteMs: Int64 = 60_000

    private static func rig() throws -> Rig {
        var options = HealTests.options(symbols: Late.allCases.count) { $0.auditPercent = 0 }
        options.intervals = [.s1, .m1]
        options.simulator.pushPeriodMs = 500
        options.simulator.startTimeMs = (WallClock.nowMs() / minuteMs + 1) * minuteMs - 5_000
        return try HealTests.rig(options)
    }

    /// Whatever becomes of the event, the candle comes soon and once; nothing changes in it but for the event that says otherwise.
    @Test func closingEventsGoAstray() throws {
        let delayMs = Nightly.count(everyday: 6_000, nightly: 30_000)
        let rig = try HealLateTests.rig()
        let symbols = rig.venue.symbols.map(\.symbol)
        rig.wait(seconds: 30, "all streams") {
            (try? rig.client.command("HLEN", Keys.latest(.m1)).integer) == Int64(symbols.count)
                && rig.counters[.closedWritten] >= UInt64(symbols.count)
        }
        let startMs = rig.venue.virtualTimeMs + 1_000
        let endMs = (startMs / HealLateTests.minuteMs + 1) * HealLateTests.minuteMs
        let openMs = endMs - HealLateTests.minuteMs
        rig.wait(seconds: 10, "the bar before is over") { rig.venue.virtualTimeMs > openMs + 500 }
        for late in Late.allCases {
            // At 1s, others have closed before the late one comes.
            for interval in [Interval.s1, .m1] {
                rig.venue.inject(late.fault("\(symbols[late.rawValue])@kline_\(interval.token)", delayMs: delayMs))
            }
        }

        func series(_ late: Late) -> Series { Series(symbol: symbols[late.rawValue], interval: .m1) }
        let id = HistoryEntry.id(openTimeMs: openMs)
        func entry(_ late: Late) throws -> [String: String]? {
            let entries = try rig.client.command("XRANGE", Keys.schema.historyKey(series(late)), id, id).elements
            return entries.first.map { Dictionary($0.elements.last?.pairs ?? []) { $1 } }
        }
        func changes(_ late: Late, _ interval: Interval = .m1) throws -> [[String]] {
            let key = Keys.schema.changesKey(Series(symbol: symbols[late.rawValue], interval: interval))
            return try rig.client.command("XRANGE", key, "-", "+").elements.compactMap {
                $0.elements.last?.strings
            }
        }
        var (afterMs, sources): ([Late: Int64], [Late: String]) = ([:], [:])
        try eventually(100, "the candles of the minute: \(afterMs)") {
            for late in Late.allCases where afterMs[late] == nil {
                guard let fields = try entry(late) else { continue }
                (afterMs[late], sources[late]) = (rig.venue.virtualTimeMs - endMs, fields[CandleField.source.rawValue])
            }
            return afterMs.count == Late.allCases.count
        }
        let times = Late.allCases.map { String(format: "\($0) %.1f s", Double(afterMs[$0] ?? 0) / 1_000) }
        print("late closes, in Redis so long after the end of the minute: \(times.joined(separator: ", "))")
        for late in Late.allCases {
            #expect(sources[late] == (late == .overtaken ? CandleSource.live : .backfill).name, "\(late): \(times)")
        }
        try eventually(60, "the late events") {
            try !changes(.altered).isEmpty && !changes(.altered, .s1).isEmpty
                && rig.venue.closedCandles().contains { $0.series == series(.held) && $0.candle.openTimeMs == openMs && $0.delivered }
        }
        _ = rig.finish()

        let exchange = rig.venue.exchangeCandles(fromMs: startMs - 1_000_000)
        let truth = try #require(exchange.first { $0.series == series(.altered) && $0.candle.openTimeMs == openMs }).candle
        var expected = TruthCheck.fields(truth)
        for field in [CandleField.volume, .quoteVolume] { expected[field.rawValue] = "1" + field.text(of: truth) }
        expected[CandleField.revision.rawValue] = "1"
        #expect(try entry(.altered) == expected)
        #expect(try changes(.altered) == [["open_time", "\(openMs)", "kind", "corrected", "revision", "1", "source", "live"]])
        let quick = try changes(.altered, .s1)
        #expect(quick.count == 1 && quick[0].suffix(6) == ["kind", "corrected", "revision", "1", "source", "live"], "\(quick)")
        for late in Late.allCases where late != .altered { #expect(try changes(late).isEmpty, "\(late)") }
        var check = TruthCheck { try rig.client.command($0) }
        try check.checkHistories(exchange.filter { $0.series.symbol != series(.altered).symbol }) { closed, _ in
            closed.candle.closeTimeMs < endMs && closed.candle.openTimeMs >= (closed.series.interval == .m1 ? openMs : startMs)
        }
        #expect(check.isFlawless && check.healed >= 2, "\(check)")
        rig.expectBalance()
    }
}
