// The judge is judged: a store that is right passes, and each way to be wrong is seen as what it is.

import FastFeed
import Testing
import VenueSimulator

/// As much of Redis as the check asks for.
private final class PaperStore {
    var histories: [String: [(id: String, fields: [String])]] = [:]
    var latest: [String: [String: String]] = [:]
    var others: [String: Int64] = [:]

    func answer(_ command: [String]) -> RedisReply {
        func strings(_ list: [String]) -> RedisReply { .array(list.map { .bytes(Array($0.utf8)) }) }
        switch command[0] {
        case "XRANGE":
            let entries = (histories[command[1]] ?? []).filter { command[2] == "-" || $0.id == command[2] }
            return .array(entries.map { .array([.bytes(Array($0.id.utf8)), strings($0.fields)]) })
        case "HGETALL": return strings((latest[command[1]] ?? [:]).flatMap { [$0.key, $0.value] })
        case "KEYS": return strings(Array(histories.keys) + latest.keys + others.keys)
        case "TTL": return .integer(others[command[1]] ?? -2)
        default: return .error("ERR unknown command")
        }
    }
}

struct TruthCheckTests {
    private static let key = "candles:{btcusdt}:1m"
    private let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let store = PaperStore()

    private func candle(_ minute: Int64, isClosed: Bool = true) -> CandleRecord {
        var candle = CandleRecord()
        candle.openTimeMs = minute * 60_000
        candle.closeTimeMs = candle.openTimeMs + 59_999
        candle.eventTimeMs = candle.openTimeMs + 60_003
        candle.isClosed = isClosed
        (candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (minute * 10, minute * 10 + 9, 10)
        (candle.open, candle.close) = (DecimalText("1.50")!, DecimalText("\(minute).00000000")!)
        return candle
    }

    private func closed(_ minutes: Range<Int64>, notDelivered: Set<Int64> = []) -> [ClosedCandle] {
        minutes.map { ClosedCandle(series: series, candle: candle($0), delivered: !notDelivered.contains($0)) }
    }

    private func state(_ minute: Int64) -> LatestState {
        LatestState(stream: "btcusdt@kline_1m", series: series, candle: candle(minute, isClosed: false))
    }

    private func fields(_ minute: Int64) -> [String] { TruthCheck.fields(candle(minute)).flatMap { [$0.key, $0.value] } }

    /// The newest state as it is written to `latest:1m`.
    private func json(_ minute: Int64, close: String? = nil, source: String? = nil) -> String {
        let members = CandleField.allCases.map { field in
            let text = (field == .close ? close : field == .source ? source : nil) ?? field.text(of: candle(minute))
            return "\"\(field.rawValue)\":" + (field.isInteger ? text : "\"\(text)\"")
        }
        return "{\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"open_time\":\(minute * 60_000),\"event_time\":\(minute * 60_000 + 60_003),"
            + "\"closed\":false," + members.joined(separator: ",") + "}"
    }

    /// All of 10..<20 stored, and 20 as the newest state.
    private func fill() {
        store.histories[Self.key] = (10..<20).map { ("\($0 * 60_000)-0", fields($0)) }
        store.latest["latest:1m"] = ["btcusdt": json(20)]
        store.others = ["status:service": 9, "status:flux:base": -2]
    }

    private func check(_ closed: [ClosedCandle]? = nil, _ last: LatestState? = nil, mayBeEarlier: Bool = false) throws -> TruthCheck {
        var check = TruthCheck(ask: store.answer)
        try check.checkHistories(closed ?? self.closed(10..<20))
        try check.checkLatest([last ?? state(20)], mayBeEarlier: mayBeEarlier)
        try check.checkKeys()
        return check
    }

    @Test func whatIsRightPasses() throws {
        fill()
        let check = try check()
        #expect(check.isFlawless && check.samples.isEmpty, "\(check)")
        #expect(check.same == 10 && check.required == 10 && check.announced == 10 && check.stored == 10 && check.latestCompared == 1)
    }

    @Test func whatIsMissingIsSaidWithItsPlace() throws {
        fill()
        store.histories[Self.key]!.remove(at: 5)
        let check = try check(closed(8..<22, notDelivered: [8, 21]))
        #expect(!check.isFlawless && check.missing == 3 && check.same == 9 && check.required == 12)
        #expect(check.absent.map(\.openTimeMs) == [8, 9, 15, 20, 21].map { $0 * 60_000 })
        #expect(check.absent.map(\.place) == [.before, .before, .between, .after, .after])
        #expect(check.absent.map(\.isRequired) == [false, true, true, true, false])
        #expect(check.samples.count == 3 && check.samples[0].contains("missing: btcusdt:1m 540000"))
    }

    @Test func nothingStoredIsAllMissing() throws {
        let check = try check()
        #expect(check.missing == 10 && check.absent.allSatisfy { $0.place == .after } && check.latestWrong == 1)
    }

    @Test func anotherTextIsWrongHoweverEqualTheNumber() throws {
        fill()
        let place = store.histories[Self.key]![3].fields.firstIndex(of: "1.50")!
        store.histories[Self.key]![3].fields[place] = "1.5"
        store.histories[Self.key]![4].fields += ["more", "1"]
        let check = try check()
        #expect(check.wrong == 2 && check.same == 8 && check.stored == 10 && check.missing == 0 && !check.isFlawless)
        #expect(
            check.samples == [
                "wrong: btcusdt:1m 780000: stored open 1.5, announced 1.50", "wrong: btcusdt:1m 840000: stored more 1, announced nothing",
            ])
    }

    /// The fields of a candle with some of them replaced.
    private func fields(_ minute: Int64, _ changes: [CandleField: String]) -> [String] {
        CandleField.texts(candle(minute)).flatMap { name, text in [name, changes[CandleField(rawValue: name)!] ?? text] }
    }

    @Test func aCandleFromRESTMayLackItsTradeIDs() throws {
        fill()
        let none: [CandleField: String] = [.firstTradeID: "-1", .lastTradeID: "-1"]
        func put(_ changes: [CandleField: String], at minute: Int64) {
            store.histories[Self.key]![Int(minute) - 10].fields = fields(minute, changes)
        }
        put([.source: "backfill"].merging(none) { $1 }, at: 12)
        put([.source: "backfill"], at: 13)
        #expect(try check().isFlawless && check().same == 10 && check().healed == 2)
        // One id alone, other ids, none on a live candle, another source.
        put([.source: "backfill", .firstTradeID: "-1"], at: 14)
        put([.source: "backfill", .lastTradeID: "150"], at: 15)
        put(none, at: 16)
        put([.source: "built"], at: 17)
        put([.source: "backfill", .close: "7"], at: 18)
        let check = try check()
        #expect(check.wrong == 5 && check.same == 5 && check.healed == 2 && check.missing == 0, "\(check.samples)")
    }

    @Test func correctionsAreToldApart() throws {
        fill()
        store.histories[Self.key]![2].fields = fields(12, [.revision: "3"])
        var check = try check()
        #expect(check.revised == 1 && check.same == 10 && check.isWhole && !check.isFlawless, "\(check)")
        store.histories[Self.key]![3].fields = fields(13, [.revision: "1", .close: "7"])
        for (place, text) in ["01", "-1", "x"].enumerated() {
            store.histories[Self.key]![5 + place].fields = fields(15 + Int64(place), [.revision: text])
        }
        check = try self.check()
        #expect(check.revised == 2 && check.wrong == 4 && check.same == 6 && !check.isWhole)
    }

    @Test func entriesHaveAnOrder() throws {
        fill()
        store.histories[Self.key]!.swapAt(3, 4)
        let check = try check()
        #expect(check.misplaced == 1 && check.same == 10 && !check.isWhole && check.samples.count == 1)
    }

    /// All that the exchange has closed by an instant, whoever heard of it.
    @Test func completeMeansAll() throws {
        fill()
        func complete(_ minutes: Range<Int64>, settledMinute: Int64 = 20, historyMax: Int = .max) throws -> TruthCheck {
            var check = TruthCheck(ask: store.answer)
            try check.checkComplete(
                closed(minutes, notDelivered: Set(minutes)), settledMs: settledMinute * 60_000, historyMax: historyMax)
            return check
        }
        #expect(try complete(10..<20).isFlawless && complete(10..<20).required == 10)
        // Bars that are not settled yet may be missing; backfill begins earlier.
        #expect(try complete(10..<23).isFlawless && complete(10..<23, settledMinute: 21).missing == 1)
        #expect(try complete(8..<20).missing == 2 && complete(8..<20, historyMax: 10).missing == 0)
        store.histories[Self.key]!.remove(at: 5)
        let check = try complete(10..<20)
        #expect(check.missing == 1 && check.absent[0].openTimeMs == 15 * 60_000 && !check.isWhole)
        #expect(try complete(11..<20).extra == 1, "what the exchange never had")
    }

    @Test func changesAndHolesOfASeriesAreNotForeign() throws {
        fill()
        for key in ["changes:{btcusdt}:1m", "gaps:{btcusdt}:1m"] { store.others[key] = -1 }
        #expect(try check().isFlawless)
        store.others["gaps:{ethusdt}:1m"] = -1
        #expect(try check().extra == 1)
    }

    @Test func secondEntriesAndFieldsAreTwice() throws {
        fill()
        store.histories[Self.key]!.append(("\(19 * 60_000)-1", fields(19)))
        store.histories[Self.key]![0].fields += ["open", "1.50"]
        let check = try check()
        #expect(check.twice == 2 && check.same == 10 && !check.isFlawless && check.samples.count == 2)
        #expect(try self.check(closed(10..<20) + closed(12..<13)).wrong == 1, "announced twice")
    }

    @Test func whatNobodyAnnouncedIsExtra() throws {
        fill()
        store.histories["candles:{ethusdt}:1m"] = []
        store.latest["latest:1m"]!["ethusdt"] = json(20)
        store.others["leftover"] = -1
        store.others["status:service"] = -1
        let check = try check(closed(11..<20))
        #expect(check.extra == 5 && check.same == 9 && check.samples.count == 5 && !check.isFlawless)
    }

    @Test func barsOfAnotherTimeZoneAreNobodysHistory() throws {
        fill()
        let other = ClosedCandle(series: series, offsetMs: 28_800_000, candle: candle(30), delivered: true)
        #expect(try check(closed(10..<20) + [other]).isFlawless)
    }

    @Test func theNewestStateIsTheLastOneOrWhereThatMayBeAnEarlierOne() throws {
        fill()
        #expect(try check(nil, state(21)).latestWrong == 1)
        #expect(try check(nil, state(21), mayBeEarlier: true).isFlawless)
        // Beyond the exchange's last, behind the newest stored candle, or another text at the same instant.
        #expect(try check(nil, state(19), mayBeEarlier: true).latestWrong == 1)
        store.latest["latest:1m"]!["btcusdt"] = json(18)
        #expect(try check(mayBeEarlier: true).latestWrong == 1)
        let (good, flag) = (json(20), "\"closed\":false")
        let bad = [json(20, close: "7"), "", "[]", good + "}", good.replacing(flag, with: "\"closed\":true")]
        for text in bad + [good.replacing(flag, with: "\"closed\":\"false\""), good.replacing(flag, with: "\(flag),\(flag)")] {
            store.latest["latest:1m"]!["btcusdt"] = text
            #expect(try check(mayBeEarlier: true).latestWrong == 1, "\(text)")
        }
    }

    /// A bar that closed while nobody listened: REST has brought it, and it is the newest state until the next event.
    @Test func theNewestStateMayBeHealed() throws {
        fill()
        store.histories[Self.key]!.append(("1200000-0", fields(20, [.source: "backfill"])))
        let healed = [ClosedCandle(series: series, candle: candle(20), delivered: false)]
        store.latest["latest:1m"]!["btcusdt"] = json(20, source: "backfill")
        #expect(try check(closed(10..<20) + healed).isFlawless)
        // Other than in the history, or not from REST.
        for text in [json(20, close: "7", source: "backfill"), json(20, source: "built")] {
            store.latest["latest:1m"]!["btcusdt"] = text
            #expect(try check(closed(10..<20) + healed).latestWrong == 1)
        }
    }

    @Test func theOrderOfMembersIsNobodysPromise() throws {
        fill()
        let members = json(20).split(separator: ",")
        store.latest["latest:1m"]!["btcusdt"] =
            members.first! + "," + members[1..<4].reversed().joined(separator: ",") + ","
            + members[4...].joined(separator: ",")
        #expect(try check().isFlawless)
    }

    @Test func anErrorIsThrownAndNotTakenForAnEmptyHistory() {
        var check = TruthCheck { _ in .error("WRONGTYPE") }
        #expect(throws: FeedError.self) { try check.checkHistories(closed(10..<11)) }
    }
}
