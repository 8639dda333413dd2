// Overdue bars, mute streams and quiet ones, second by second.

import FastFeed
import Testing

private let second: UInt64 = 1_000_000_000
private let handle = SeriesHandle(id: 0, generation: 1)
private let name = Series(symbol: Symbol("btcusdt")!, interval: .m1)
private let barMs: Int64 = 1_790_000_040_000

/// A stream, and the exchange behind it.
private struct DeskRig {
    var desk = WatchDesk()
    var nowNs = 1_000 * second
    var nowMs = barMs + 30_000
    var watched = WatchedSeries(handle: handle, newestTradeCount: 0, receivedNs: 0)
    var liveSinceNs: UInt64? = 1_000 * second
    /// Trades in the present bar, as the exchange has it.
    var trades: Int64 = 0
    var verdicts: [WatchDesk.Verdict] = []
    var questions = 0
    var answers = true
    var mutes: [(afterNs: UInt64, times: Int)] = []

    /// An event comes: the newest state is the exchange's.
    mutating func hear() {
        (watched.receivedNs, watched.newestOpenMs, watched.newestTradeCount) = (nowNs, barMs, trades)
        (watched.newestEventMs, watched.nextClosedOpenMs) = (nowMs, watched.nextClosedOpenMs ?? barMs)
    }

    /// Half a second passes; the sink reports as it does; questions are answered at once.
    mutating func step(_ each: (inout DeskRig) -> Void = { _ in }) {
        nowNs += second / 2
        nowMs += 500
        each(&self)
        let isSilent = watched.receivedNs == 0 || nowNs - watched.receivedNs >= Limits.watchSilenceNs
        let isOverdue = watched.nextClosedOpenMs.map { $0 + 60_000 <= nowMs - 2_000 } ?? false
        let liveSinceNs = liveSinceNs
        let new = desk.look(at: isSilent || isOverdue ? [watched] : [], nowNs: nowNs, nowMs: nowMs, graceMs: 2_000) { _ in
            (name, liveSinceNs)
        }
        verdicts += new
        for verdict in new {
            switch verdict {
            case .ask:
                questions += 1
                var row = CandleRecord()
                (row.openTimeMs, row.tradeCount) = (barMs, trades)
                guard answers else { break }
                desk.take([row], name, handle, nowNs: nowNs)
            case .mute(_, let times): mutes.append((nowNs - 1_000 * second, times))
            case .overdue: break
            }
        }
    }
}

struct WatchDeskTests {
    @Test func aStreamThatWasNeverHeardIsMuteWithinTwoCadencesAndFiveSeconds() throws {
        var rig = DeskRig()
        for _ in 0..<18 { rig.step { $0.trades += 1 } }
        let first = try #require(rig.mutes.first)
        #expect(first.afterNs <= 9 * second && first.times == 1)
        // Subscribed anew, and still nothing: elsewhere, but not at once.
        for _ in 0..<40 { rig.step { $0.trades += 1 } }
        #expect(rig.mutes.count >= 2 && rig.mutes[1].times == 2 && rig.mutes[1].afterNs - first.afterNs >= 5 * second)
    }

    @Test func aStreamThatFallsSilentIsMuteOnlyWhenItsBarMoves() throws {
        var rig = DeskRig()
        for _ in 0..<20 {
            rig.step {
                $0.trades += 1
                $0.hear()
            }
        }
        let silentNs = rig.nowNs - 1_000 * second
        for _ in 0..<18 { rig.step { $0.trades += 1 } }
        #expect(try #require(rig.mutes.first).afterNs - silentNs <= 9 * second)
        // It speaks again: all is forgotten.
        rig.step { $0.hear() }
        for _ in 0..<100 { rig.step { _ in } }
        #expect(rig.mutes.count == 1)
    }

    @Test func anHourWithoutATradeCostsAFewQuestionsAndNothingElse() {
        var rig = DeskRig()
        rig.trades = 7
        rig.watched.nextClosedOpenMs = .max / 2
        rig.step { $0.hear() }
        for _ in 0..<7_200 { rig.step() }
        #expect(rig.mutes.isEmpty)
        // 4, 8 … 256 s, then every five minutes.
        #expect((15...20).contains(rig.questions))
        #expect(rig.desk.quiet == [0: name])
        // Its connection goes, or somebody trades and nothing comes of it: that is not quiet any more.
        var other = rig
        other.liveSinceNs = nil
        other.step()
        #expect(other.desk.quiet.isEmpty)
        // Nobody answers any more: what was true is not believed for ever.
        other = rig
        other.answers = false
        for _ in 0..<100 { other.step() }
        #expect(!other.desk.quiet.isEmpty)
        for _ in 0..<1_200 { other.step() }
        #expect(other.desk.quiet.isEmpty)
        rig.trades += 1
        for _ in 0..<600 { rig.step() }
        #expect(rig.desk.quiet.isEmpty && !rig.mutes.isEmpty)
    }

    @Test func aTradeNowAndThenIsNotAMuteStream() {
        var rig = DeskRig()
        rig.watched.nextClosedOpenMs = .max / 2
        for turn in 0..<2_000 {
            rig.step {
                // The exchange has the trade two seconds before its update comes.
                if turn % 30 == 0 { $0.trades += 1 }
                if turn % 30 == 4 { $0.hear() }
            }
        }
        #expect(rig.mutes.isEmpty)
        #expect(rig.questions < 20)
    }

    @Test func nothingIsJudgedWhileTheConnectionIsAway() {
        var rig = DeskRig()
        rig.step { $0.hear() }
        rig.liveSinceNs = nil
        for _ in 0..<200 { rig.step { $0.trades += 1 } }
        #expect(rig.verdicts.isEmpty)
        // Back: its hole is seen at once, and no bar of it was late.
        rig.liveSinceNs = rig.nowNs
        rig.step()
        #expect(rig.verdicts == [.overdue(Gap(series: name, fromMs: barMs, untilMs: barMs + 120_000, cause: .late), lateBars: 0)])
    }

    @Test func aClosingEventThatDoesNotComeIsToldOnceAndAgainAfterAWhile() {
        var rig = DeskRig()
        rig.step { $0.hear() }
        // 30.5 s into the bar; its end and two seconds of grace are 31.5 s away.
        for _ in 0..<62 { rig.step { $0.hear() } }
        #expect(rig.verdicts.isEmpty)
        rig.step { $0.hear() }
        let late = WatchDesk.Verdict.overdue(Gap(series: name, fromMs: barMs, untilMs: barMs + 60_000, cause: .late), lateBars: 1)
        #expect(rig.verdicts == [late])
        for _ in 0..<59 { rig.step { $0.hear() } }
        #expect(rig.verdicts == [late])
        // The sink has not taken it.
        rig.step { $0.hear() }
        let again = WatchDesk.Verdict.overdue(Gap(series: name, fromMs: barMs, untilMs: barMs + 60_000, cause: .late), lateBars: 0)
        #expect(rig.verdicts == [late, again])
    }

    @Test func questionsHaveAnAllowance() {
        var desk = WatchDesk()
        let list = (0..<500).map { WatchedSeries(handle: SeriesHandle(id: $0, generation: 1), newestTradeCount: 0, receivedNs: 0) }
        func asked(_ nowNs: UInt64) -> Int {
            desk.look(at: list, nowNs: nowNs, nowMs: barMs, graceMs: 2_000) {
                (Series(symbol: Symbol("s\($0.id)")!, interval: .m1), second)
            }
            .count
        }
        #expect(asked(100 * second) == Limits.silenceBurst)
        #expect(asked(100 * second + second / 2) == 0)
        #expect(asked(103 * second) == 3)
    }
}
