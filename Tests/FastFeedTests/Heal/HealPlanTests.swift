// Which request comes first, what an answer means, and when a bar is asked for again: without threads, sockets and clocks.

import FastFeed
import Testing

private let minute: Int64 = 60_000
private let start: Int64 = 1_790_000_040_000
private let second: UInt64 = 1_000_000_000

private func series(_ name: String) -> Series { Series(symbol: Symbol(name)!, interval: .m1) }

private func open(_ bar: Int) -> Int64 { start + Int64(bar) * minute }

private func gap(_ series: Series, _ bars: Range<Int>, _ cause: Gap.Cause = .missed, _ state: Gap.State = .open) -> Gap {
    Gap(series: series, fromMs: open(bars.lowerBound), untilMs: open(bars.upperBound), cause: cause, state: state)
}

/// Rows as the REST parser makes them.
private func rows(_ bars: [Int], answerMs: Int64) -> [CandleRecord] {
    bars.map { bar in
        var row = CandleRecord()
        (row.openTimeMs, row.closeTimeMs, row.eventTimeMs) = (open(bar), open(bar + 1) - 1, answerMs)
        row.isClosed = row.closeTimeMs < answerMs
        row.source = .backfill
        return row
    }
}

private struct PlanRig {
    var plan = HealPlan(holdMs: 5_000)
    var nowNs: UInt64 = 100 * second
    let names: [Series]

    init(_ names: String...) {
        self.names = names.map(series)
        for (id, name) in self.names.enumerated() { plan.follow(name, SeriesHandle(id: UInt32(id), generation: 1)) }
    }

    mutating func sync(_ gaps: [Gap]) { plan.sync(gaps.sorted { $0.fromMs < $1.fromMs }, nowNs: nowNs) }

    mutating func next() -> HealPlan.Request? { plan.next(nowNs: nowNs) }

    mutating func settle(_ request: HealPlan.Request, _ bars: [Int], listed: [Gap], answerMs: Int64) -> HealPlan.Settlement? {
        plan.settle(request, rows(bars, answerMs: answerMs), listed: listed, answerMs: answerMs, nowNs: nowNs)
    }
}

struct HealPlanTests {
    @Test func theOrderOfService() {
        var rig = PlanRig("a", "b", "c", "d", "e")
        let old = SeriesHandle(id: 2, generation: 1)
        rig.plan.noteStored(old, newestMs: open(900))
        rig.plan.noteStored(SeriesHandle(id: 3, generation: 1), newestMs: open(900))
        rig.sync([
            gap(rig.names[0], 0..<5, .backfill), gap(rig.names[1], 10..<11, .late), gap(rig.names[2], 20..<21, .missed),
            gap(rig.names[2], 40..<41, .missed), gap(rig.names[3], 50..<51, .late),
        ])
        // Late and behind all that is stored: it holds somebody up. Then the newest hole, a late one, the backfill. The older hole
        // of c waits for the first answer.
        let asked = (0..<4).compactMap { _ in rig.next() }
        #expect(asked.map(\.rank) == [.holding, .newest, .late, .backfill])
        #expect(asked.map(\.series.symbol.name) == ["b", "c", "d", "a"])
        #expect(rig.next() == nil)
        _ = rig.settle(asked[1], [40], listed: [gap(rig.names[2], 40..<41)], answerMs: open(60))
        #expect(rig.next()?.rank == .older)
    }

    @Test func nobodyWaitsLongerThanTheHold() {
        var rig = PlanRig("a")
        rig.sync([gap(rig.names[0], 3..<4, .late)])
        rig.nowNs += 6 * second
        #expect(rig.next()?.rank == .late)
    }

    @Test func wantsThatTouchAreOneRequestOfAPageAtMost() throws {
        var rig = PlanRig("a", "b")
        rig.sync([
            gap(rig.names[0], 0..<7, .backfill), gap(rig.names[0], 7..<9, .missed), gap(rig.names[0], 9..<10, .late),
            gap(rig.names[1], 0..<2_500, .backfill),
        ])
        let first = try unwrapped(rig.next())
        #expect((first.fromMs, first.untilMs, first.limit) == (open(0), open(10), 11))
        // The oldest page first, and no more than a page.
        let page = try unwrapped(rig.next())
        #expect((page.fromMs, page.untilMs, page.limit) == (open(0), open(1_000), 1_000))
        let settled = try unwrapped(
            rig.settle(page, Array(0..<1_000), listed: [gap(rig.names[1], 0..<2_500, .backfill)], answerMs: open(3_000)))
        #expect(settled.records.count == 1_000 && settled.absent.isEmpty && settled.open.isEmpty)
        // What is on its way is not asked for again.
        #expect(rig.next().map { ($0.fromMs, $0.untilMs) } ?? (0, 0) == (open(1_000), open(2_000)))
    }

    @Test func aHoleNextToALongBackfillDoesNotWaitForIt() {
        var rig = PlanRig("a")
        rig.sync([gap(rig.names[0], 0..<2_000, .backfill), gap(rig.names[0], 2_000..<2_003, .missed)])
        #expect(rig.next().map { ($0.fromMs, $0.untilMs) } ?? (0, 0) == (open(2_000), open(2_003)))
    }

    /// Bars of the answer, whether later ones are known, and what becomes of the hole 10..<13.
    @Test(
        arguments: [
            // All are there.
            (bars: [10, 11, 12, 13], answer: 13.5, records: [10, 11, 12], absent: [], open: []),
            // The newest ended less than a second ago, or is forming.
            (bars: [10, 11, 12], answer: 13.01, records: [10, 11], absent: [], open: [12]),
            (bars: [10, 11, 12], answer: 12.5, records: [10, 11], absent: [], open: [12]),
            // The exchange is slow, or lacks it: a later bar tells.
            (bars: [10, 11], answer: 13.5, records: [10, 11], absent: [], open: [12]),
            (bars: [10, 11, 13], answer: 13.5, records: [10, 11], absent: [], open: [12]),
            (bars: [10, 11, 13], answer: 14.1, records: [10, 11], absent: [12], open: []),
            (bars: [12, 13], answer: 14.1, records: [12], absent: [10, 11], open: []),
            (bars: [], answer: 20, records: [], absent: [], open: [10, 11, 12]),
        ] as [(bars: [Int], answer: Double, records: [Int], absent: [Int], open: [Int])])
    func whatAnAnswerMeans(_ test: (bars: [Int], answer: Double, records: [Int], absent: [Int], open: [Int])) throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 10..<13)
        rig.sync([hole])
        let request = try unwrapped(rig.next())
        let settled = try unwrapped(
            rig.settle(request, test.bars, listed: [hole], answerMs: start + Int64(test.answer * Double(minute))))
        func bars(_ ranges: [Range<Int64>]) -> [Int] {
            ranges.flatMap { Int(($0.lowerBound - start) / minute)..<Int(($0.upperBound - start) / minute) }
        }
        #expect(settled.records.map(\.openTimeMs) == test.records.map(open))
        #expect(bars(settled.absent) == test.absent)
        #expect(bars(settled.open.map(\.range)) == test.open)
    }

    @Test func onlyWhatIsStillMissingIsTaken() throws {
        var rig = PlanRig("a")
        rig.sync([gap(rig.names[0], 10..<13)])
        let request = try unwrapped(rig.next())
        // The stream has brought one meanwhile, and one is known to be absent.
        let listed = [gap(rig.names[0], 10..<11), gap(rig.names[0], 12..<13, .missed, .absent)]
        let settled = try unwrapped(rig.settle(request, [10, 11, 12, 13], listed: listed, answerMs: open(15)))
        #expect(settled.records.map(\.openTimeMs) == [open(10)])
    }

    @Test func aBarThatIsNotThereIsAskedForAgainMoreAndMoreRarely() throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 10..<11, .late)
        rig.sync([hole])
        var pauses: [UInt64] = []
        for tries in 1...9 {
            let request = try unwrapped(rig.next())
            let settled = try unwrapped(rig.settle(request, [], listed: [hole], answerMs: open(30)))
            #expect(settled.open.map(\.tries) == [tries])
            rig.sync([hole])
            #expect(rig.next() == nil)
            let dueNs = rig.plan.dueNs(nowNs: rig.nowNs)
            pauses.append((dueNs - rig.nowNs) / second)
            rig.nowNs = dueNs
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    }

    @Test func aFormingBarIsAskedForWhenItCanBeBelieved() throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 10..<11, .late)
        rig.sync([hole])
        let request = try unwrapped(rig.next())
        _ = rig.settle(request, [10], listed: [hole], answerMs: open(10) + 30_000)
        #expect(rig.plan.dueNs(nowNs: rig.nowNs) - rig.nowNs == 31 * second - 1_000_000)
    }

    @Test func oldBarsThatAnotherAnswerShowsToBeMissingForGood() throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 0..<2_000, .backfill)
        rig.sync([hole])
        // The symbol was listed later.
        let first = try unwrapped(rig.next())
        #expect(rig.settle(first, [], listed: [hole], answerMs: open(3_000))?.open.count == 1)
        let second = try unwrapped(rig.next())
        #expect(second.fromMs == open(1_000))
        #expect(rig.settle(second, [1_998, 1_999], listed: [hole], answerMs: open(3_000))?.absent == [open(1_000)..<open(1_998)])
        rig.sync([gap(rig.names[0], 0..<1_000, .backfill), gap(rig.names[0], 1_998..<2_000, .backfill)])
        rig.nowNs = rig.plan.dueNs(nowNs: rig.nowNs)
        let again = try unwrapped(rig.next())
        #expect(rig.settle(again, [], listed: [hole], answerMs: open(3_000))?.absent == [open(0)..<open(1_000)])
    }

    @Test func whatTheSinkHasTakenAndNotFilledIsAskedForAgain() throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 10..<11)
        rig.sync([hole])
        let request = try unwrapped(rig.next())
        _ = rig.settle(request, [10], listed: [hole], answerMs: open(20))
        rig.nowNs += 1_000 * second
        #expect(rig.next() == nil && rig.plan.dueNs(nowNs: rig.nowNs) == .max)
        rig.plan.noteTaken(request, nowNs: rig.nowNs)
        #expect(rig.next() == nil)
        rig.nowNs = rig.plan.dueNs(nowNs: rig.nowNs)
        #expect(rig.next()?.fromMs == open(10))
    }

    @Test func anOutageStopsAllAndAnUnknownSymbolItsSeriesAlone() throws {
        var rig = PlanRig("a", "b")
        let holes = rig.names.map { gap($0, 10..<11) }
        rig.sync(holes)
        let first = try unwrapped(rig.next())
        #expect(rig.plan.noteFailure(.unknownSymbol, nowNs: rig.nowNs) == false)
        #expect(rig.plan.fail(first, .unknownSymbol, isOutage: false, nowNs: rig.nowNs) == 1)
        let other = try unwrapped(rig.next())
        #expect(other.series == rig.names[1])
        #expect(rig.plan.noteFailure(.limited(waitMs: 7_000), nowNs: rig.nowNs) == true)
        #expect(rig.plan.fail(other, .limited(waitMs: 7_000), isOutage: true, nowNs: rig.nowNs) == 1)
        #expect(rig.next() == nil && rig.plan.dueNs(nowNs: rig.nowNs) == rig.nowNs + 7 * second)
        rig.nowNs += 7 * second
        #expect(rig.next()?.series == rig.names[1])
        rig.nowNs += UInt64(Limits.unknownSymbolPauseSeconds) * second
        #expect(rig.next()?.series == rig.names[0])
    }

    @Test func aSeriesThatIsFollowedNoMoreHasNoAnswers() throws {
        var rig = PlanRig("a")
        let hole = gap(rig.names[0], 10..<11)
        rig.sync([hole])
        let request = try unwrapped(rig.next())
        rig.plan.unfollow(request.handle)
        #expect(rig.settle(request, [10], listed: [hole], answerMs: open(20)) == nil)
        rig.plan.follow(rig.names[0], SeriesHandle(id: 0, generation: 2))
        rig.sync([hole])
        #expect(rig.next()?.handle.generation == 2)
    }

    /// An exchange with holes, that lags, forgets and fails: in the end each bar is there or absent, as the exchange has it, and the
    /// requests stay within their bounds.
    @Test(arguments: [1, 2, 3, 0xFEED] as [UInt64])
    func everythingIsSettledInTheEnd(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var rig = PlanRig("a", "b", "c")
        // The bar behind the newest hole is there: without a later one nothing is absent.
        let has = rig.names.map { _ in Set((0..<3_000).filter { $0 == 2_510 || Int.random(in: 0..<40, using: &random) > 0 }) }
        let board = GapBoard()
        for name in rig.names {
            board.add(gap(name, 0..<2_400, .backfill))
            board.add(gap(name, 2_500..<2_510, .missed))
        }
        var filled = rig.names.map { _ in Set<Int>() }
        var nowMs = open(2_511)
        for turn in 0..<4_000 where !board.open.isEmpty {
            rig.sync(board.all)
            guard let request = rig.next() else {
                let dueNs = rig.plan.dueNs(nowNs: rig.nowNs)
                if dueNs == .max { return #expect(Bool(false), "seed \(seed): stuck in turn \(turn)") }
                nowMs += Int64((dueNs - rig.nowNs) / 1_000_000)
                rig.nowNs = dueNs
                continue
            }
            if Int.random(in: 0..<10, using: &random) == 0 {
                let isOutage = rig.plan.noteFailure(.unavailable(""), nowNs: rig.nowNs)
                _ = rig.plan.fail(request, .unavailable(""), isOutage: isOutage, nowNs: rig.nowNs)
                continue
            }
            let id = Int(request.handle.id)
            let asked = (0..<3_000).filter { request.fromMs <= open($0) && open($0) <= nowMs }
            var bars = Array(asked.filter(has[id].contains).prefix(request.limit))
            // The newest may not be shown yet.
            if let last = bars.last, open(last + 2) > nowMs, Bool.random(using: &random) { bars.removeLast() }
            let listed = board.gaps(of: request.series)
            guard let settled = rig.settle(request, bars, listed: listed, answerMs: nowMs) else { continue }
            for range in settled.absent { board.markAbsent(request.series, fromMs: range.lowerBound, untilMs: range.upperBound) }
            for record in settled.records {
                // Some of them the sink does not take.
                guard Int.random(in: 0..<50, using: &random) > 0 else { continue }
                _ = board.fill(request.series, openTimeMs: record.openTimeMs)
                filled[id].insert(Int((record.openTimeMs - start) / minute))
            }
            rig.plan.noteTaken(request, nowNs: rig.nowNs)
        }
        #expect(board.open.isEmpty, "seed \(seed)")
        let wanted = Set(0..<2_400).union(2_500..<2_510)
        #expect(filled == has.map { $0.intersection(wanted) }, "seed \(seed)")
    }
}

/// As `#require`, which cannot call what changes a value.
private func unwrapped<Value>(_ value: Value?) throws -> Value { try #require(value) }
