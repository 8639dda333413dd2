// Holes and audits as they are answered, and what a client makes of them.

import FastFeed
import Testing

struct ContinuityTests {
    private let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)
    private let minute: Int64 = 60_000

    private func gap(_ from: Int64, _ until: Int64, _ cause: Gap.Cause = .missed, _ state: Gap.State = .open, tries: Int = 0) -> Gap {
        Gap(series: series, fromMs: from * minute, untilMs: until * minute, cause: cause, state: state, tries: tries)
    }

    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test("Holes that may be filled come first, then those that the exchange lacks")
    func holes() throws {
        let list = GapList(of: [gap(1, 2, .unstored, .absent, tries: 3), gap(5, 8), gap(9, 10, .backfill, .healing, tries: 1)])
        let text = """
            {"gaps":[{"symbol":"btcusdt","interval":"1m","from":300000,"until":480000,"candles":3,"cause":"missed","state":"open","tries":0},\
            {"symbol":"btcusdt","interval":"1m","from":540000,"until":600000,"candles":1,"cause":"backfill","state":"healing","tries":1},\
            {"symbol":"btcusdt","interval":"1m","from":60000,"until":120000,"candles":1,"cause":"unstored","state":"absent","tries":3}],\
            "more":0}
            """
        #expect(JSONValue.members(list.members).text == text)
        #expect(try GapList(json(text)) == list && !list.isComplete)
        #expect(GapList(of: []).isComplete && GapList(of: [gap(1, 2, .missed, .absent)]).isComplete)
        #expect(!GapList(of: [gap(1, 2, .backfill)]).isComplete)
    }

    @Test("Words of a newer service cost their names; such a hole may be open")
    func newer() throws {
        let text =
            #"{"gaps":[{"symbol":"a","interval":"1m","from":1,"until":2,"candles":1,"cause":"x","state":"y","tries":0}],"more":0,"z":1}"#
        let list = try GapList(json(text))
        #expect(list.gaps[0].cause == nil && list.gaps[0].state == nil && !list.isComplete)
        for member in ["symbol", "from", "until", "candles", "cause", "state", "tries"] {
            #expect(throws: Malformed.self, "\(member)") { try GapList(json(text.replacing("\"\(member)\":", with: "\"other\":"))) }
        }
    }

    @Test("However many holes there are, the answer stays below its limit, and an open one is not hidden by absent ones")
    func many() throws {
        let name = Symbol(String(repeating: "币", count: 10))!
        let series = Series(symbol: name, interval: .month1)
        var gaps = (0..<Limits.gapCountMax).map { number -> Gap in
            let from = Limits.instantsMs.upperBound - 2 * Int64(number + 1)
            return Gap(series: series, fromMs: from, untilMs: from + 1, cause: .backfill, state: .absent, tries: .max)
        }
        gaps.append(gap(5, 8))
        let list = GapList(of: gaps)
        #expect(list.gaps.count == Limits.gapsListedMax && list.more == Int64(gaps.count - Limits.gapsListedMax) && !list.isComplete)
        #expect(
            CommandResult.success(list.members).text(requestID: String(repeating: "7", count: 128)).utf8.count <= CommandAnswer.bytesMax)
    }

    @Test("An audit's findings")
    func audit() throws {
        let audit = HistoryAudit(
            series, checked: 1_000, found: [("60000-0", .missing), ("120000-0", .different), ("120000-5", .foreign)], repaired: true)
        let text = """
            {"symbol":"btcusdt","interval":"1m","checked":1000,"findings":[{"id":"60000-0","finding":"missing"},\
            {"id":"120000-0","finding":"different"},{"id":"120000-5","finding":"foreign"}],"more":0,"repaired":true}
            """
        #expect(JSONValue.members(audit.members).text == text)
        #expect(try HistoryAudit(json(text)) == audit)
        #expect(try HistoryAudit(json(text.replacing("foreign", with: "odd"))).findings[2].kind == nil)
        let id = "\(UInt64.max)-\(UInt64.max)"
        let long = HistoryAudit(series, checked: 1, found: (0..<10_000).map { _ in (id, .different) }, repaired: false)
        #expect(long.findings.count == Limits.findingsListedMax && long.more == Int64(10_000 - Limits.findingsListedMax))
        #expect(JSONValue.members(long.members).text.utf8.count < CommandAnswer.bytesMax / 2)
    }
}
