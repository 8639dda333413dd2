// `data:get`: what Redis is asked, which rows its replies make, and who waits for the exchange. Candles are made by hand.

import FastFeed
import Testing

struct DataDeskTests {
    private let desk = DataDesk(schema: KeySchema(prefix: "p:"))
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    private func query(limit: Int = 3, _ startMs: Int64? = nil, _ endMs: Int64? = nil) -> DataQuery {
        DataQuery(series: btc, limit: limit, startMs: startMs, endMs: endMs)
    }

    private func text(_ text: String) -> RedisReply { .bytes(Array(text.utf8)) }

    /// As a history keeps the candle that opens at this minute.
    private func entry(_ minute: Int64) -> RedisReply {
        let fields = CandleField.texts(CandleRecord.sample(minute, closed: true))
        return .array([text("\(minute * 60_000)-0"), .array(fields.flatMap { [text($0.0), text($0.1)] })])
    }

    private func forming(_ minute: Int64) -> RedisReply { text(CandleRow.json(CandleRecord.sample(minute), btc).text) }

    private func minutes(_ rows: [JSONValue]) -> [Int64] { rows.map { ($0[CandleField.openTime]?.integer ?? -1) / 60_000 } }

    @Test func theNewestAreAskedForUnlessThereIsOnlyAStart() {
        let latest = ["HGET", "p:latest:1m", "btcusdt"]
        let key = "p:candles:{btcusdt}:1m"
        #expect(desk.storedQuestion(query()) == [["XREVRANGE", key, "+", "-", "COUNT", "3"], latest])
        #expect(desk.storedQuestion(query(limit: 9, 5)) == [["XRANGE", key, "5-0", "+", "COUNT", "9"], latest])
        #expect(desk.storedQuestion(query(limit: 9, 5, 7)) == [["XREVRANGE", key, "7-0", "5-0", "COUNT", "9"], latest])
        #expect(desk.storedQuestion(query(limit: 9, nil, 7)) == [["XREVRANGE", key, "7-0", "-", "COUNT", "9"], latest])
    }

    @Test func storedRowsAreTheDocumentedObjects() throws {
        let rows = try desk.storedRows(query(), [.array([entry(2)]), forming(3)])
        var closed = CandleRecord.sample(2, closed: true)
        closed.eventTimeMs = closed.closeTimeMs
        #expect(rows.map(\.text) == [CandleRow.json(closed, btc).text, CandleRow.json(CandleRecord.sample(3), btc).text])
    }

    @Test func theFormingOneStandsLastWithinBounds() throws {
        func found(_ query: DataQuery, _ entries: [Int64], _ latest: RedisReply) throws -> [Int64] {
            minutes(try desk.storedRows(query, [.array(entries.map(entry)), latest]))
        }
        // Redis says the newest first, unless there is only a start.
        #expect(try found(query(), [3, 2, 1], forming(4)) == [2, 3, 4], "one of the limit")
        #expect(try found(query(), [3, 2], forming(4)) == [2, 3, 4])
        #expect(try found(query(), [3, 2], forming(3)) == [2, 3], "it has closed meanwhile")
        #expect(try found(query(), [3, 2], .null) == [2, 3])
        #expect(try found(query(), [3], text(CandleRow.json(CandleRecord.sample(4, closed: true), btc).text)) == [3])
        #expect(try found(query(), [3], text("{")) == [3])
        #expect(try found(query(limit: 3, nil, 3 * 60_000), [3, 2], forming(4)) == [2, 3], "behind the end")
        #expect(try found(query(limit: 3, 4 * 60_000, 9 * 60_000), [], forming(4)) == [4])
        #expect(try found(query(limit: 3, 5 * 60_000, 9 * 60_000), [], forming(4)) == [], "before the start")
        #expect(try found(query(limit: 3, 60_000), [1, 2, 3], forming(4)) == [1, 2, 3], "from a start on the oldest are wanted")
        #expect(try found(query(limit: 4, 60_000), [1, 2, 3], forming(4)) == [1, 2, 3, 4])
    }

    @Test func whatIsNotACandleIsLeftOut() throws {
        let foreign: [RedisReply] = [
            .array([text("60000-1"), .array([])]), .array([text("x-0"), .array([])]),
            .array([text("60000-0"), .array([text("open"), text("1")])]),
            .null, .array([]), .array([text("60000-0"), .array([text("close_time"), text("soon")])]),
        ]
        #expect(minutes(try desk.storedRows(query(limit: 9), [.array([entry(2)] + foreign), .null])) == [2])
        let refused: [RedisReply] = [.error("WRONGTYPE"), .null]
        #expect(throws: CommandError(.internal, "Redis says: WRONGTYPE")) { try desk.storedRows(query(), refused) }
    }

    /// A number out of Redis that the calendar cannot carry, in each of the places where one comes in, with each kind of bar.
    @Test(arguments: [Int64.max, 9_223_372_036_854_715_808, 253_402_300_800_000, -1, .min])
    func anImpossibleOpenTimeIsLeftOut(openMs: Int64) throws {
        let forming = text(#"{"open_time":\#(openMs),"closed":false}"#)
        let fields = RedisReply.array(CandleField.texts(CandleRecord.sample(2, closed: true)).flatMap { [text($0.0), text($0.1)] })
        for interval in Interval.allCases {
            let query = DataQuery(series: Series(symbol: Symbol("btcusdt")!, interval: interval), limit: 1, startMs: nil, endMs: nil)
            let foreign = RedisReply.array([text("\(openMs)-0"), fields])
            #expect(try desk.storedRows(query, [.array([foreign]), forming]) == [])
            #expect(DataDesk.cachedRows(text("[{\"open_time\":\(openMs)},{\"open_time\":60000}]")).map(minutes) == [1])
            // Nor does it matter who has let it in.
            let rows: [JSONValue] = [0, openMs].map {
                .members([(CandleField.openTime, .integer($0)), (CandleField.closed, .bool(false))])
            }
            #expect(!desk.isWhole(rows, query, nowMs: 1_790_001_240_000, nowNs: 1))
            #expect(desk.isUnbroken(rows, query.series, nowNs: 1))
            #expect(DataDesk.completed(query, stored: [rows[1]], [rows[0]], from: .cache).rows == [rows[0]])
        }
    }

    /// The last instant that is believed, as a question may name it, in each kind of bar.
    @Test func theEndOfTheCalendar() {
        for interval in Interval.allCases {
            let last = Limits.instantsMs.upperBound
            let query = DataQuery(series: Series(symbol: Symbol("btcusdt")!, interval: interval), limit: 1, startMs: last, endMs: last)
            let row = JSONValue.members([(CandleField.openTime, .integer(last)), (CandleField.closed, .bool(false))])
            #expect(desk.isWhole([row], query, nowMs: 1_790_001_240_000, nowNs: 1))
            #expect(desk.isUnbroken([row], query.series, nowNs: 1))
        }
    }

    @Test func cached() {
        #expect(desk.cacheQuestion(query(limit: 9, 5)) == ["GET", "p:cache:{btcusdt}:1m:9:5:"])
        #expect(DataDesk.cachedRows(text(#"[{"open_time":60000}]"#)).map(minutes) == [1])
        #expect(DataDesk.cachedRows(text("[]")) == [] && DataDesk.cachedRows(.null) == nil && DataDesk.cachedRows(text("{}")) == nil)
    }

    private func key(_ id: String) -> RequestKey { RequestKey(kind: .getData, id: id) }

    @Test func oneAsksAndAllAreAnswered() throws {
        var desk = desk
        #expect(try desk.wait(key("a"), query(), nowNs: 1_000))
        #expect(try !desk.wait(key("b"), query(), nowNs: 3_000), "the question is on its way")
        #expect(try desk.wait(key("c"), query(limit: 7), nowNs: 0), "another question")
        let candles = [CandleRecord.sample(2, closed: true), CandleRecord.sample(3)]
        let (answers, cached) = desk.answerWaiters(query(), .success(candles), nowMs: 0, nowNs: 5_000)
        #expect(answers.map(\.0) == [key("a"), key("b")])
        let members = try answers.map { try JSONValue.members($0.1.get()) }
        #expect(members.map { $0[Field.tookMicroseconds]?.integer } == [4, 2])
        let rows = try #require(members[0][Field.rows]?.array)
        #expect(minutes(rows) == [2, 3] && members[0][Field.source]?.string == "exchange")
        // As in a history: when the exchange was asked is not when the candle closed.
        #expect(rows.map { $0[CandleField.eventTime]?.integer } == [179_999, CandleRecord.sample(3).eventTimeMs])
        #expect(cached == ["SET", "p:cache:{btcusdt}:1m:3::", JSONValue.array(rows).text, "PX", "30000"])
        #expect(desk.answerWaiters(query(), .success(candles), nowMs: 0, nowNs: 6_000).answers.isEmpty, "each is answered once")
        #expect(try desk.wait(key("d"), query(), nowNs: 7_000))
    }

    @Test(arguments: [
        (RestFailure.unknownSymbol, CommandCode.unknownSymbol), (.busy, .busy), (.limited(waitMs: 5), .busy), (.stopped, .internal),
        (.unavailable("x"), .internal),
    ])
    func failures(failure: RestFailure, code: CommandCode) throws {
        var desk = desk
        _ = try desk.wait(key("a"), query(), nowNs: 0)
        let (answers, cached) = desk.answerWaiters(query(), .failure(failure), nowMs: 0, nowNs: 1)
        #expect(cached == nil && answers.count == 1)
        guard case .failure(let error) = answers[0].1 else {
            Issue.record("answered with rows")
            return
        }
        #expect(error.code == code)
    }

    @Test func questionsHaveALimit() throws {
        var desk = desk
        for limit in 1...Limits.dataQuestionsMax { _ = try desk.wait(key("\(limit)"), query(limit: limit), nowNs: 0) }
        do throws(CommandError) {
            _ = try desk.wait(key("x"), query(limit: Limits.dataQuestionsMax + 1), nowNs: 0)
            Issue.record("taken")
        } catch {
            #expect(error.code == .busy)
        }
        #expect(try !desk.wait(key("y"), query(limit: 1), nowNs: 0), "who asks what is asked already finds room")
    }
}
