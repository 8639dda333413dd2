// What the check of a history finds: tables of ends and lengths, walks through random histories against counting bar by bar, and both
// inside a real redis-server.

import FastFeed
import RedisServer
import TestKit
import Testing

struct HistoryCheckTests {
    private static let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private static let handle = SeriesHandle(id: 7, generation: 3)
    private let schema = KeySchema(prefix: "")
    /// In the bar that opens at minute 5,000.
    private static let now: Int64 = 5_000 * 60_000 + 30_000

    private static func entry(_ id: String) -> RedisReply { .array([.bytes(Array(id.utf8)), .array([])]) }
    private static func minute(_ number: Int64) -> String { "\(number * 60_000)-0" }

    private static func hole(_ from: Int64, _ until: Int64, _ cause: Gap.Cause, _ state: Gap.State = .open, tries: Int = 0) -> Gap {
        Gap(series: btc, fromMs: from * 60_000, untilMs: until * 60_000, cause: cause, state: state, tries: tries)
    }

    private static func judge(newest: String?, oldest: String?, _ length: Int64, gaps: [Gap] = [], backfill: Int = 100) -> (
        checked: CheckedSeries, needsWalk: Bool
    ) {
        let rows = gaps.flatMap { [GapRow.name($0), GapRow.text($0)] }.map { RedisReply.bytes(Array($0.utf8)) }
        let replies: [RedisReply] = [
            .array(newest.map { [entry($0)] } ?? []), .array(oldest.map { [entry($0)] } ?? []), .integer(length), .array(rows),
        ]
        return HistoryCheck.judge(replies[...], btc, handle, nowMs: now, backfill: backfill, history: 1_500)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var newest: String?
        var oldest: String?
        var length: Int64 = 0
        var gaps: [Gap] = []
        var backfill = 100
        var expectedNewest: Int64?
        var holes: [Gap] = []
        var absent: [Gap] = []
        var walks = false
    }

    @Test(
        "Ends, length and listed holes",
        arguments: [
            Case(testDescription: "nothing stored", holes: [hole(4_900, 5_000, .backfill)]),
            Case(testDescription: "nothing stored and nothing wanted", backfill: 0),
            Case(testDescription: "never more than the history keeps", backfill: 9_000, holes: [hole(3_500, 5_000, .backfill)]),
            Case(
                testDescription: "a short history", newest: minute(4_998), oldest: minute(4_990), length: 9, expectedNewest: 4_998,
                holes: [hole(4_900, 4_990, .backfill)]),
            Case(
                testDescription: "long enough", newest: minute(4_999), oldest: minute(4_899), length: 101, expectedNewest: 4_999),
            Case(
                testDescription: "full, and shorter than asked for", newest: minute(4_999), oldest: minute(3_500), length: 1_500,
                backfill: 1_500, expectedNewest: 4_999),
            Case(
                testDescription: "one inside is missing", newest: minute(4_999), oldest: minute(4_800), length: 199,
                expectedNewest: 4_999, walks: true),
            Case(
                testDescription: "the exchange lacks it, and another may have stored it", newest: minute(4_999), oldest: minute(4_800),
                length: 197,
                gaps: [hole(4_810, 4_813, .unstored, .absent, tries: 3)], expectedNewest: 4_999,
                absent: [hole(4_810, 4_813, .unstored, .absent, tries: 3)], walks: true),
            Case(
                testDescription: "what the exchange lacks before the history explains nothing inside", newest: minute(4_999),
                oldest: minute(4_800), length: 199, gaps: [hole(4_700, 4_701, .missed, .absent)], expectedNewest: 4_999,
                absent: [hole(4_700, 4_701, .missed, .absent)], walks: true),
            Case(
                testDescription: "listed holes are holes again", newest: minute(4_999), oldest: minute(4_800), length: 198,
                gaps: [hole(4_820, 4_821, .late, .healing, tries: 2), hole(4_810, 4_811, .missed)], expectedNewest: 4_999,
                holes: [hole(4_810, 4_811, .missed), hole(4_820, 4_821, .late, tries: 2)], walks: true),
            Case(
                testDescription: "listed holes end where the history and the present do; without a history what follows is missing, too",
                gaps: [hole(10, 20, .missed), hole(3_000, 3_400, .missed), hole(4_990, 9_000, .missed), hole(9_000, 9_001, .missed)],
                backfill: 0, holes: [hole(3_372, 3_400, .missed), hole(4_990, 5_000, .missed), hole(3_372, 5_000, .backfill)]),
            Case(
                testDescription: "an entry of the future is not the newest", newest: minute(5_002), oldest: minute(4_800), length: 201,
                walks: true),
            Case(
                testDescription: "nor is one with another sequence", newest: "299940000-7", oldest: minute(4_800), length: 201,
                walks: true),
            Case(
                testDescription: "one that others have put in front hides the oldest", newest: minute(4_999), oldest: "0-1", length: 201,
                expectedNewest: 4_999, walks: true),
            Case(
                testDescription: "bars that do not begin on the minute count", newest: "299940007-0", oldest: minute(4_800), length: 200,
                expectedNewest: 4_999, walks: false),
        ])
    func table(_ row: Case) {
        let (checked, walks) = HistoryCheckTests.judge(
            newest: row.newest, oldest: row.oldest, row.length, gaps: row.gaps, backfill: row.backfill)
        #expect(checked.handle == HistoryCheckTests.handle)
        #expect(checked.newestMs.map { $0 / 60_000 } == row.expectedNewest)
        #expect(checked.holes == row.holes)
        #expect(checked.absent == row.absent)
        #expect(walks == row.walks)
    }

    @Test("Replies that are not answers: nothing is known, and why is told")
    func errors() {
        let wrong = RedisReply.error("WRONGTYPE Operation against a key holding the wrong kind of value")
        let good: [RedisReply] = [.array([]), .array([]), .integer(0), .array([])]
        #expect(HistoryCheck.trouble(good[...]) == nil)
        for place in 0..<4 {
            var replies = good
            replies[place] = wrong
            #expect((HistoryCheck.trouble(replies[...]) == nil) == (place == 3), "a foreign gaps:* holds nothing up")
        }
        for replies in [[wrong, wrong, wrong, .array([])], [wrong], [], [.null, .null, .null, .null]] as [[RedisReply]] {
            let (checked, walks) = HistoryCheck.judge(
                replies[...], HistoryCheckTests.btc, HistoryCheckTests.handle, nowMs: HistoryCheckTests.now, backfill: 9, history: 9)
            #expect(checked.newestMs == nil && checked.holes.isEmpty && checked.absent.isEmpty && !walks)
        }
        let odd: [RedisReply] = [.array([.integer(1)]), .array([.array([])]), .integer(3), .array([.integer(1), .null, .tooLong(9)])]
        let (checked, walks) = HistoryCheck.judge(
            odd[...], HistoryCheckTests.btc, HistoryCheckTests.handle, nowMs: .max, backfill: .max, history: 9)
        #expect(checked.newestMs == nil && checked.holes.isEmpty && walks)
    }

    @Test("Three-day bars are reckoned from a stored one; without one, before what is surely closed")
    func threeDays() {
        let series = Series(symbol: HistoryCheckTests.btc.symbol, interval: .d3)
        let day: Int64 = 86_400_000
        func judge(_ entries: [RedisReply]) -> [Gap] {
            let replies: [RedisReply] = [.array(entries), .array(entries), .integer(Int64(entries.count)), .array([])]
            return HistoryCheck.judge(
                replies[...], series, HistoryCheckTests.handle, nowMs: 100 * day + 5, backfill: 4, history: 100
            ).checked.holes
        }
        func hole(_ from: Int64, _ until: Int64) -> Gap {
            Gap(series: series, fromMs: from * day, untilMs: until * day, cause: .backfill)
        }
        #expect(judge([]) == [hole(86, 98)])
        // The present bar opens on day 98, 99 or 100.
        for phase: Int64 in 95...97 {
            #expect(judge([HistoryCheckTests.entry("\(phase * day)-0")]) == [hole(phase + 3 - 12, phase)], "\(phase)")
        }
    }

    // MARK: The walk

    /// A stream without a server.
    private func reply(_ question: [String], _ ids: [String]) -> RedisReply {
        func place(_ id: String) -> (UInt64, UInt64) {
            let parts = id.split(separator: "-").map { UInt64($0)! }
            return (parts[0], parts[1])
        }
        let from = question[2]
        let isExclusive = from.hasPrefix("(")
        let end = place(String(from.drop { $0 == "(" }))
        let page = ids.reversed().filter { isExclusive ? place($0) < end : place($0) <= end }.prefix(Int(question[5])!)
        return .array(page.map(HistoryCheckTests.entry))
    }

    private func walked(_ series: Series, _ ids: [String], nowMs: Int64, backfill: Int, history: Int) -> (CheckedSeries, pages: Int) {
        let checked = CheckedSeries(handle: HistoryCheckTests.handle, newestMs: nil)
        var walk = HistoryCheck.Walk(series, schema, after: checked, nowMs: nowMs, backfill: backfill, history: history)
        var pages = 0
        while let question = walk.question, pages < 1_000 {
            walk.take(reply(question, ids))
            pages += 1
        }
        return (walk.checked, pages)
    }

    @Test("Random histories of every interval: as counted bar by bar", arguments: seeds)
    func randomWalks(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for interval in Interval.allCases {
            let series = Series(symbol: HistoryCheckTests.btc.symbol, interval: interval)
            let (history, backfill) = (700, random.chance(50) ? 0 : 600)
            // A phase that is not the epoch's.
            var bars = [interval.openTime(containing: 1_500_000_000_000, anchorMs: 86_400_000)]
            while bars.count < 900 { bars.append(interval.nextOpenTime(after: bars.last!)) }
            let present = bars[899]
            let closed = bars.dropLast()
            let lack = random.pick([1, 10, 60])
            var stored = closed.filter { _ in !random.chance(lack) }
            if random.chance(30) { stored.removeFirst(random.below(stored.count / 2 + 1)) }
            if stored.isEmpty { stored = [closed.last!] }
            var ids = stored.map { "\($0)-0" }
            // Others' entries change nothing.
            ids.insert("5-1", at: 0)
            ids.append("\(stored.last!)-4")
            ids.append("\(interval.nextOpenTime(after: interval.nextOpenTime(after: present)))-0")
            let (checked, _) = walked(series, ids, nowMs: present + 1, backfill: backfill, history: history)
            #expect(checked.newestMs == stored.last, "seed \(seed): \(interval)")
            // Bars that a hole must have: between the first and the last stored one, or wanted before the first.
            let firstCounted = bars[899 - history - Limits.historySlackBars]
            let isOpen = stored.first! >= firstCounted
            let expected = closed.filter { bar in
                !stored.contains(bar) && bar < stored.last! && bar >= firstCounted
                    && (bar > stored.first! || isOpen && bar >= bars[899 - backfill])
            }
            var lacked: [Int64] = []
            for gap in checked.holes {
                var open = gap.fromMs
                while open < gap.untilMs {
                    lacked.append(open)
                    open = interval.nextOpenTime(after: open)
                }
                #expect(gap.cause == (gap.untilMs <= stored.first! ? .backfill : .unstored))
            }
            #expect(lacked.sorted() == expected, "seed \(seed): \(interval)")
        }
    }

    @Test("What is stored though it is listed as absent, by Redis or by the board, is read through and told")
    func storedAfterAll() {
        let (btc, now) = (HistoryCheckTests.btc, HistoryCheckTests.now)
        let ids = (Int64(4_990)...4_999).map(HistoryCheckTests.minute)
        let ends = [ids.last!, ids.first!].map { RedisReply.array([HistoryCheckTests.entry($0)]) }
        let byBoard = HistoryCheckTests.hole(4_994, 4_996, .missed, .absent)
        let byRedis = HistoryCheckTests.hole(4_980, 4_992, .missed, .absent)
        func stored(_ hash: [Gap], _ listed: [Gap]) -> [Int64]? {
            let rows = hash.flatMap { [GapRow.name($0), GapRow.text($0)] }.map { RedisReply.bytes(Array($0.utf8)) }
            let (checked, needsWalk) = HistoryCheck.judge(
                (ends + [.integer(10), .array(rows)])[...], btc, HistoryCheckTests.handle, nowMs: now, backfill: 0, history: 1_500,
                listed: listed)
            guard needsWalk else { return nil }
            var walk = HistoryCheck.Walk(
                btc, schema, after: checked, nowMs: now, backfill: 0, history: 1_500, listed: listed)
            while let question = walk.question { walk.take(reply(question, ids)) }
            return walk.checked.storedMs.sorted().map { $0 / 60_000 }
        }
        #expect(stored([], []) == nil)
        #expect(stored([], [byBoard]) == [4_994, 4_995])
        #expect(stored([byRedis], []) == [4_990, 4_991])
        #expect(stored([byRedis], [byBoard]) == [4_990, 4_991, 4_994, 4_995])
    }

    @Test("A stream that others have filled up costs so many pages and no more")
    func bounded() {
        let ids = (0..<10_000).map { "\(HistoryCheckTests.now / 60_000 * 60_000 - 60_000)-\($0 + 1)" }
        let (checked, pages) = walked(HistoryCheckTests.btc, ids, nowMs: HistoryCheckTests.now, backfill: 1_000, history: 1_500)
        #expect(checked.newestMs == nil && checked.holes.isEmpty && pages < 10)
        // What lies behind the history is not looked at.
        let long = (0..<5_000).map(HistoryCheckTests.minute)
        #expect(walked(HistoryCheckTests.btc, long, nowMs: HistoryCheckTests.now, backfill: 1_000, history: 1_500).pages == 4)
    }

    @Test("An error ends the walk; what was known stays")
    func brokenWalk() {
        let known = CheckedSeries(handle: HistoryCheckTests.handle, newestMs: 60_000, holes: [HistoryCheckTests.hole(4_000, 4_001, .late)])
        for reply: RedisReply in [.error("LOADING"), .null, .integer(1), .tooLong(5)] {
            var walk = HistoryCheck.Walk(
                HistoryCheckTests.btc, schema, after: known, nowMs: HistoryCheckTests.now, backfill: 10, history: 1_500)
            #expect(walk.question == ["XREVRANGE", "candles:{btcusdt}:1m", "300090000-0", "-", "COUNT", "500"])
            walk.take(reply)
            #expect(walk.question == nil && walk.checked.holes == known.holes && walk.checked.newestMs == 60_000)
        }
    }

    @Test("In a real redis-server")
    func realServer() throws {
        var options = RedisServerProcess.Options()
        options.arguments = ["--appendonly", "no"]
        let server = try RedisServerProcess(options)
        let redis = try RedisClient.connect(server.endpoint)
        defer { redis.close() }
        let (series, key) = (HistoryCheckTests.btc, "candles:{btcusdt}:1m")
        let stored = (Int64(3_900)...4_999).filter { $0 != 4_000 && !(4_500..<4_510).contains($0) && $0 != 4_600 }
        _ = try redis.pipeline(
            [["XADD", key, "1-1", "a", "b"]]
                + stored.map { ["XADD", key, HistoryCheckTests.minute($0)] + RESPText.fields(.sample($0, closed: true)) }
                + [["XADD", key, HistoryCheckTests.minute(6_000), "a", "b"]])
        let absent = HistoryCheckTests.hole(4_500, 4_510, .missed, .absent, tries: 4)
        _ = try redis.command(["HSET", schema.gapsKey(series), GapRow.name(absent), GapRow.text(absent), "x", "y"])

        let replies = try redis.pipeline(HistoryCheck.questions(series, schema))
        #expect(replies.count == HistoryCheck.questionCount && HistoryCheck.trouble(replies[...]) == nil)
        let (checked, needsWalk) = HistoryCheck.judge(
            replies[...], series, HistoryCheckTests.handle, nowMs: HistoryCheckTests.now, backfill: 1_200, history: 1_500)
        #expect(needsWalk && checked.newestMs == nil && checked.absent == [absent])
        var walk = HistoryCheck.Walk(
            series, schema, after: checked, nowMs: HistoryCheckTests.now, backfill: 1_200, history: 1_500)
        while let question = walk.question { walk.take(try redis.command(question)) }
        #expect(walk.checked.newestMs == 4_999 * 60_000 && walk.checked.absent == [absent])
        #expect(
            walk.checked.holes == [
                HistoryCheckTests.hole(3_800, 3_900, .backfill), HistoryCheckTests.hole(4_000, 4_001, .unstored),
                HistoryCheckTests.hole(4_500, 4_510, .unstored), HistoryCheckTests.hole(4_600, 4_601, .unstored),
            ])
        _ = try redis.pipeline([["DEL", key], ["SET", key, "x"]])
        #expect(HistoryCheck.trouble(try redis.pipeline(HistoryCheck.questions(series, schema))[...])?.hasPrefix("WRONGTYPE") == true)
    }
}
