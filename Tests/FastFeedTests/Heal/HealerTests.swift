// The healer's thread, turned by hand: from holes to candles in the sink's ring, from histories to the sink's knowledge, audits.

import FastFeed
import Testing

private let minute = HealRig.minute

struct HealerTests {
    private func hole(_ name: String, _ rig: HealRig, barsBack: Range<Int64>, _ cause: Gap.Cause = .missed) -> Gap {
        Gap(
            series: HealRig.series(name), fromMs: rig.presentMs - barsBack.upperBound * minute,
            untilMs: rig.presentMs - barsBack.lowerBound * minute, cause: cause)
    }

    @Test func aHoleBecomesCandlesInTheRing() throws {
        let rig = try HealRig()
        rig.follow(["a", "b"])
        rig.pass()
        let gap = hole("b", rig, barsBack: 2..<5)
        rig.gaps.add(gap)
        rig.pass()
        let question = try #require(rig.exchange.questions.first)
        #expect(question.series == gap.series && question.startMs == gap.fromMs && question.endMs == nil && question.limit == 4)
        #expect(rig.gaps.all == [gap.with(state: .healing)])
        rig.exchange.answer(nowMs: rig.nowMs)
        rig.pass()
        #expect(rig.taken.map(\.openTimeMs) == [gap.fromMs, gap.fromMs + minute, gap.fromMs + 2 * minute])
        #expect(rig.taken.allSatisfy { $0.seriesID == 1 && $0.generation == 7 && $0.isClosed && $0.source == .backfill })
        #expect(rig.taken.allSatisfy { $0.receivedNs == 0 && $0.eventTimeMs == $0.closeTimeMs })
        rig.pass(5_000)
        #expect(rig.gaps.all.isEmpty && rig.exchange.count == 1)
    }

    @Test func requestsAtATimeAreBounded() throws {
        let rig = try HealRig()
        rig.follow(["a", "b", "c", "d"])
        rig.pass()
        for name in ["a", "b", "c", "d"] { rig.gaps.add(hole(name, rig, barsBack: 2..<5)) }
        rig.pass(1_000)
        #expect(rig.exchange.questions.count == Limits.healRequestsMax)
        while !rig.exchange.questions.isEmpty {
            rig.exchange.answer(nowMs: rig.nowMs)
            rig.pass()
        }
        #expect(rig.taken.count == 12 && rig.gaps.all.isEmpty)
    }

    @Test func aFullRingLosesNothing() throws {
        let rig = try HealRig(ringCount: 4)
        rig.takesPerTurn = 1
        rig.follow(["a"])
        rig.pass()
        let gap = hole("a", rig, barsBack: 2..<50)
        rig.gaps.add(gap)
        rig.pass()
        rig.exchange.answer(nowMs: rig.nowMs)
        // Longer than what is not filled would wait: it is not asked for again while it is on its way.
        rig.pass(4_800)
        #expect(rig.taken.map(\.openTimeMs) == (0..<48).map { gap.fromMs + $0 * minute })
        #expect(rig.exchange.count == 1)
    }

    @Test func whatTheExchangeLacksIsAbsentAndNotAskedForAgain() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        rig.pass()
        let gap = hole("a", rig, barsBack: 2..<5)
        rig.gaps.add(gap)
        rig.pass()
        rig.exchange.answer(nowMs: rig.nowMs, without: [gap.fromMs + minute])
        rig.pass(600_000)
        #expect(rig.taken.count == 2 && rig.exchange.count == 1 && rig.gapsChangedCount == 1)
        #expect(rig.gaps.all == [gap.with(fromMs: gap.fromMs + minute, untilMs: gap.fromMs + 2 * minute, state: .absent)])
    }

    @Test func nobodyWaitsForAnExchangeThatCannotBeAsked() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        rig.pass()
        let gap = hole("a", rig, barsBack: 2..<3)
        rig.gaps.add(gap)
        rig.pass()
        #expect(rig.sink.canHeal)
        rig.exchange.fail(.unavailable("cut"))
        rig.pass()
        #expect(rig.sink.canHeal && rig.gaps.all == [gap.with(state: .open, tries: 1)])
        rig.pass(1_000)
        rig.exchange.fail(.limited(waitMs: 5_000))
        rig.pass()
        #expect(!rig.sink.canHeal && rig.exchange.questions.isEmpty)
        // The hole is gone meanwhile: the exchange is asked all the same, until it answers.
        _ = rig.gaps.fill(gap.series, openTimeMs: gap.fromMs)
        rig.pass(5_100)
        #expect(rig.exchange.questions.count == 1)
        rig.exchange.answer(nowMs: rig.nowMs)
        rig.pass(10_000)
        #expect(rig.sink.canHeal && rig.exchange.questions.isEmpty)
    }

    @Test func aSeriesThatIsFollowedNoMoreGetsNothing() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        rig.pass()
        rig.gaps.add(hole("a", rig, barsBack: 2..<5))
        rig.pass()
        _ = rig.healer.commands.offer(.unfollow([SeriesHandle(id: 0, generation: 7)]))
        rig.pass()
        rig.exchange.answer(nowMs: rig.nowMs)
        rig.pass(5_000)
        #expect(rig.taken.isEmpty && rig.exchange.questions.isEmpty)
    }

    // MARK: Histories

    @Test func historiesAreLookedAtInBatchesAndAgainWhenRedisIsBack() throws {
        let rig = try HealRig()
        rig.store.isAway = true
        let names = (0..<100).map { "s\($0)" }
        rig.follow(names)
        let row = ScriptedExchange.row(rig.presentMs - 3 * minute, .m1, nowMs: rig.nowMs)
        rig.store.add(row, rig.schema.historyKey(HealRig.series("s99")))
        rig.pass(1_000)
        // Half a second between two attempts.
        #expect((2...3).contains(rig.store.calls.count) && rig.checked.isEmpty)
        rig.store.isAway = false
        rig.pass(1_000)
        #expect(rig.checked.map(\.handle.id) == (0..<100).map { $0 })
        #expect(rig.checked.map(\.newestMs).compactMap { $0 } == [row.openTimeMs])
        let batches = rig.store.calls.suffix(2)
        #expect(Array(batches) == [Limits.checksPerBatch, 36].map { $0 * HistoryCheck.questionCount })
        // Redis is there anew: what it has may be less.
        _ = rig.sink.words.offer(.connected)
        rig.pass(1_000)
        #expect(rig.checked.count == 200)
        // One that its key had refused is there: while it was not, its history was less.
        _ = rig.sink.words.offer(.lookAt([HealRig.series("s7")]))
        rig.pass(1_000)
        #expect(rig.checked.dropFirst(200).map(\.handle) == [rig.checked[7].handle])
    }

    @Test func aBackfillIsWhatIsMissingOfTheLastBars() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        let key = rig.schema.historyKey(HealRig.series("a"))
        for bars in [5, 4, 2, 1] as [Int64] {
            rig.store.add(ScriptedExchange.row(rig.presentMs - bars * minute, .m1, nowMs: rig.nowMs), key)
        }
        rig.pass()
        _ = rig.healer.commands.offer(.backfill(HealRig.series("a"), count: 20))
        rig.pass(1_000)
        #expect(rig.wanted.allSatisfy { $0.cause == .backfill })
        #expect(rig.wanted.reduce(0) { $0 + $1.candleCount } == 16)
        // Whoever looks later wants as many: this look might have failed, or the board might have been full.
        _ = rig.sink.words.offer(.connected)
        rig.pass(1_000)
        #expect(rig.checked.last?.holes.first?.fromMs == rig.presentMs - 20 * minute)
    }

    // MARK: Audits

    @Test func anAuditFindsAndRepairsWhatTwoLooksShow() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        let series = HealRig.series("a")
        let key = rig.schema.historyKey(series)
        let opens = (1...20).reversed().map { rig.presentMs - $0 * minute }
        for (place, open) in opens.enumerated() where place != 7 && place != 19 {
            var row = ScriptedExchange.row(open, .m1, nowMs: rig.nowMs)
            if place == 4 { row.close = DecimalText("1")! }
            rig.store.add(row, key)
            if place == 10 { rig.store.entries[key]!.append(("\(open + 1)-0", [("open", "1")])) }
        }
        rig.pass(20_000)
        _ = rig.healer.commands.offer(.audit(token: 5, series, count: 20, repairs: true))
        rig.pass()
        rig.exchange.answer(nowMs: rig.nowMs)
        rig.pass()
        #expect(!rig.healer.events.isWaiting)
        // The newest candle was on its way.
        rig.store.add(ScriptedExchange.row(opens[19], .m1, nowMs: rig.nowMs), key)
        rig.pass(2_500)
        rig.exchange.answer(nowMs: rig.nowMs)
        rig.pass()
        guard case .audited(5, .success(let report))? = rig.healer.events.takeAll().first else {
            Issue.record("no answer")
            return
        }
        #expect(report.checked == 20 && report.isRepaired)
        #expect(report.findings.map(\.finding) == [.different, .missing, .foreign])
        #expect(rig.taken.map(\.openTimeMs) == [opens[4], opens[7]])
        #expect(rig.removed == ["\(opens[10] + 1)-0"])
    }

    @Test func anAuditThatCannotBeHasAnAnswer() throws {
        let rig = try HealRig()
        rig.follow(["a"])
        rig.pass()
        _ = rig.healer.commands.offer(.audit(token: 5, HealRig.series("zzz"), count: 20, repairs: true))
        rig.pass()
        rig.exchange.fail(.unknownSymbol)
        rig.pass()
        guard case .audited(5, .failure(.unknownSymbol))? = rig.healer.events.takeAll().first else {
            Issue.record("no answer")
            return
        }
        #expect(rig.exchange.questions.isEmpty)
    }

    @Test func allSeriesAreAuditedOnceARound() throws {
        let rig = try HealRig { $0.auditPercent = 5 }
        rig.follow(["a", "b"])
        var asked: [Series] = []
        // Half of the time passes before the second series, and the round's again before the first.
        for _ in 0..<80 {
            rig.pass(60_000) {
                while let question = rig.exchange.questions.first {
                    asked.append(question.series)
                    rig.exchange.answer(nowMs: rig.nowMs)
                }
            }
        }
        #expect(asked == ["a", "b", "a"].map(HealRig.series))
    }
}
