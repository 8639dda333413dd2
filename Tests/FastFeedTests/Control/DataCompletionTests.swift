// When a history is all that the exchange could have, what is learned from its answers, and how both become one answer. Bars are minutes.

import FastFeed
import Testing

struct DataCompletionTests {
    private static let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    private static func query(_ limit: Int, _ start: Int64? = nil, _ end: Int64? = nil) -> DataQuery {
        DataQuery(series: btc, limit: limit, startMs: start.map { $0 * 60_000 }, endMs: end.map { $0 * 60_000 })
    }

    private static func row(_ minute: Int64, closed: Bool = true, close: String = "1") -> JSONValue {
        .members([
            (CandleField.openTime, .integer(minute * 60_000)), ("close", .string(close)), (CandleField.closed, .bool(closed)),
        ])
    }

    /// A desk to which the exchange has answered the question with bars of these minutes.
    private static func desk(_ query: DataQuery, _ minutes: [Int64]) -> DataDesk {
        var desk = DataDesk(schema: KeySchema(prefix: ""))
        let candles = minutes.map { CandleRecord.sample($0, closed: true) }
        _ = desk.answerWaiters(query, .success(candles), nowMs: 100 * 60_000, nowNs: 0)
        return desk
    }

    private static func isWhole(_ minutes: [Int64], _ query: DataQuery, _ desk: DataDesk? = nil, seconds: Int64 = 6_030, nowNs: UInt64 = 1)
        -> Bool
    {
        (desk ?? DataDesk(schema: KeySchema(prefix: ""))).isWhole(minutes.map { row($0) }, query, nowMs: seconds * 1_000, nowNs: nowNs)
    }

    /// Rows, the question, whether the exchange can have nothing more; it is half past minute 100.
    static let table: [([Int64], DataQuery, Bool)] = [
        ([98, 99, 100], query(3), true), ([98, 99], query(2), true), ([97, 98], query(2), false), ([99, 100], query(3), false),
        ([97, 99, 100], query(3), false),
        ([], query(3), false), ([100], query(1), true), ([], query(1, 101), true),
        ([5, 6, 7], query(3, nil, 7), true), ([5, 6], query(2, nil, 7), false), ([5, 6, 7], query(9, 5, 7), true),
        ([6, 7], query(9, 5, 7), false), ([5, 6], query(2, 5), true), ([6, 7], query(2, 5), false), ([5, 7], query(2, 5), false),
        ([98, 99, 100], query(9, 98), true), ([98, 99], query(9, 98), true), ([98], query(9, 98), false),
    ]

    @Test(arguments: table)
    func whole(minutes: [Int64], query: DataQuery, isWhole: Bool) {
        #expect(DataCompletionTests.isWhole(minutes, query) == isWhole)
    }

    @Test func aBarThatClosedJustNowMayBeOnItsWay() {
        #expect(DataCompletionTests.isWhole([97, 98], DataCompletionTests.query(2), seconds: 6_004))
        #expect(!DataCompletionTests.isWhole([97, 98], DataCompletionTests.query(2), seconds: 6_005))
    }

    @Test func whatTheExchangeLacksIsNotAskedForAgain() {
        typealias Tests = DataCompletionTests
        // Listed at 90, no trading from 93 to 95.
        let bars: [Int64] = [90, 91, 92, 96, 97, 98, 99, 100]
        let desk = Tests.desk(Tests.query(50), bars)
        #expect(Tests.isWhole(bars, Tests.query(50), desk))
        #expect(Tests.isWhole(bars, Tests.query(1_500), desk) && Tests.isWhole(bars, Tests.query(50, 80), desk))
        #expect(!Tests.isWhole(Array(bars.dropFirst()), Tests.query(50), desk), "the first is missing")
        #expect(
            !Tests.isWhole(bars.filter { $0 != 92 }, Tests.query(50), desk)
                && !Tests.isWhole(bars.filter { $0 != 97 }, Tests.query(50), desk))
        #expect(!Tests.isWhole(bars, Tests.query(50), desk, nowNs: 3_600_000_000_000), "an hour later it is asked again")
        // As many as were asked for say nothing of what came before.
        #expect(!Tests.isWhole(bars, Tests.query(50), Tests.desk(Tests.query(8), bars)))
        // From a start on: nothing lies between it and the first.
        #expect(Tests.isWhole([90, 91], Tests.query(2, 80), Tests.desk(Tests.query(2, 80), [90, 91])))
        // Delisted: what would have been shown by now.
        #expect(Tests.isWhole([5, 6], Tests.query(2), Tests.desk(Tests.query(2), [5, 6]), seconds: 99 * 60))
        #expect(Tests.isWhole([], Tests.query(9, 3, 7), Tests.desk(Tests.query(9, 3, 7), [])))
    }

    @Test func bothAsOneAnswer() {
        typealias Tests = DataCompletionTests
        func merged(_ stored: [JSONValue], _ said: [JSONValue], _ query: DataQuery = Tests.query(4)) -> (DataSource, [String]) {
            let (source, rows) = DataDesk.completed(query, stored: stored, said, from: .exchange)
            return (
                source,
                rows.map {
                    "\(($0["open_time"]?.integer ?? 0) / 60_000)\($0["close"]?.string ?? "")\($0["closed"]?.bool == true ? "" : "…")"
                }
            )
        }
        let theirs = [Tests.row(1, close: "x"), Tests.row(2, close: "x"), Tests.row(3, closed: false, close: "x")]
        #expect(merged([], theirs) == (.exchange, ["1x", "2x", "3x…"]))
        #expect(merged([Tests.row(2, close: "r"), Tests.row(3, closed: false, close: "r")], theirs) == (.completed, ["1x", "2r", "3r…"]))
        #expect(
            merged([Tests.row(3, close: "r"), Tests.row(4, closed: false, close: "r")], theirs) == (.completed, ["1x", "2x", "3r", "4r…"]))
        // A forming state that was left behind is not taken for the end of its bar, and does not stand in the middle.
        #expect(merged([Tests.row(2, closed: false, close: "r")], theirs) == (.completed, ["1x", "2x", "3x…"]))
        #expect(merged([Tests.row(5, close: "r")], theirs) == (.completed, ["1x", "2x", "5r"]))
        #expect(merged([Tests.row(5, close: "r")], theirs, Tests.query(2)) == (.completed, ["2x", "5r"]))
        #expect(merged([Tests.row(5, close: "r")], theirs, Tests.query(2, 0)) == (.completed, ["1x", "2x"]))
        #expect(merged([Tests.row(2, close: "r"), Tests.row(3, close: "r")], theirs, Tests.query(2)) == (.redis, ["2r", "3r"]))
    }

    @Test func anExchangeThatFailsMakesItNoWorse() throws {
        var desk = DataDesk(schema: KeySchema(prefix: ""))
        let query = DataCompletionTests.query(9)
        _ = try desk.wait(RequestKey(kind: .getData, id: "a"), query, nowNs: 0)
        let stored = [DataCompletionTests.row(5)]
        let refused = RestFailure.refused(status: 451, code: 0, message: "no")
        let (answers, cached) = desk.answerWaiters(query, .failure(refused), stored: stored, nowMs: 0, nowNs: 1)
        let answer = JSONValue.members(try #require(answers.first).1.get())
        #expect(answer[Field.source]?.string == "redis" && answer[Field.rows]?.array == stored && cached == nil)
        #expect(answer[Field.incomplete]?.string == "the exchange answered 451: no")
    }
}
