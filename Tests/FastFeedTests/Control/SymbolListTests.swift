// The exchange's list: when it is asked for, which names pass, and what a stranger is told.

import FastFeed
import Testing

struct SymbolListTests {
    private func message(_ list: SymbolList, _ names: String...) -> String? {
        do throws(CommandError) {
            try list.check(names.map { Symbol($0)! })
            return nil
        } catch {
            return "\(error.code.rawValue): \(error.message)"
        }
    }

    private func trading(_ names: String...) -> [Instrument] { names.map { Instrument(symbol: Symbol($0)!, status: "TRADING") } }

    @Test func strangersHearTheNearest() {
        var list = SymbolList()
        #expect(message(list, "nosuchcoin") == nil, "without a list every name passes")
        list.learn(trading("btcusdt", "btcusdc", "ethusdt", "solusdt"), nowNs: 1)
        #expect(message(list, "btcusdt", "ethusdt") == nil)
        #expect(message(list, "btcusdt", "btcusd")?.contains("unknown_symbol: the exchange has no symbol 'btcusd'; did you mean") == true)
        #expect(message(list, "btcusd")?.hasSuffix("btcusdc, btcusdt?") == true)
        #expect(message(list, "nosuchcoin") == "unknown_symbol: the exchange has no symbol 'nosuchcoin'")
    }

    @Test func askedForHourlyAndSoonAfterAFailure() {
        var list = SymbolList()
        let minute: UInt64 = 60_000_000_000
        #expect(list.isDue(0) && !list.isDue(0) && !list.isDue(minute - 1), "once, until an answer could have come")
        let isDueAgain = list.isDue(minute)
        #expect(isDueAgain)
        list.learn([], nowNs: minute + 5)
        #expect(!list.isDue(60 * minute) && list.isDue(61 * minute + 5))
        list.learn([], nowNs: 62 * minute)
        #expect(!list.isDue(67 * minute) && !list.isDue(67 * minute - 1, isWatched: true), "while a symbol is missing, every five minutes")
        let isWatchDue = list.isDue(67 * minute, isWatched: true)
        #expect(isWatchDue)
        list.fail(nowNs: 67 * minute + 1)
        #expect(!list.isDue(68 * minute - 1, isWatched: true) && list.isDue(68 * minute, isWatched: true), "a failure is retried sooner")
    }

    // MARK: Commands that wait

    private static let second: UInt64 = 1_000_000_000

    private func create(_ names: String...) -> Command {
        .createFlux(symbols: names.map { Symbol($0)! }, interval: .m1, name: nil, history: 0)
    }

    private func key(_ number: Int) -> RequestKey { RequestKey(kind: .createFlux, id: "\(number)") }

    private func ready(_ list: inout SymbolList, _ nowNs: UInt64) -> [String] {
        list.takeWaiters(nowNs: nowNs, max: 64).map { $0.request.id + ($0.isLate ? " late" : "") }
    }

    @Test func theFirstListIsWaitedFor() {
        var list = SymbolList()
        _ = list.isDue(0)
        #expect(list.postpone(key(1), create("btcusdt"), nowNs: 1) && list.postpone(key(2), create("nosuch"), nowNs: 2))
        let data = Command.getData(symbol: Symbol("nosuch")!, interval: .m1, limit: 1, startMs: nil, endMs: nil)
        #expect(!list.postpone(key(3), data, nowNs: 2) && !list.postpone(key(4), .listFluxes, nowNs: 2), "the exchange itself says it")
        #expect(ready(&list, 3) == [] && list.waitersDueNs == 1 + Limits.symbolListWaitNs && !list.isDue(3), "one question for all")
        list.learn(trading("btcusdt"), nowNs: 4)
        #expect(list.waitersDueNs == 0 && ready(&list, 5) == ["1", "2"] && list.waitersDueNs == .max, "each once")

        // It does not come: they are judged without it. It fails: so are they, and the next ones at once.
        var slow = SymbolList()
        #expect(slow.isDue(0) && slow.postpone(key(1), create("a"), nowNs: 1) && slow.postpone(key(2), create("a"), nowNs: 9))
        let due = slow.waitersDueNs
        #expect(ready(&slow, due - 1) == [] && ready(&slow, due) == ["1 late"])
        slow.fail(nowNs: due)
        #expect(ready(&slow, due) == ["2"] && !slow.postpone(key(3), create("a"), nowNs: due))
        #expect(message(slow, "a") == nil)
    }

    @Test func aStrangerIsAskedForAgain() {
        let second = SymbolListTests.second
        var list = SymbolList()
        _ = list.isDue(0)
        list.learn(trading("btcusdt"), nowNs: second)
        let early = list.postpone(key(1), create("newusdt"), nowNs: 10 * second - 1)
        let known = list.postpone(key(1), create("btcusdt"), nowNs: 20 * second)
        let isDue = list.isDue(20 * second)
        #expect(!early && !known && !isDue, "it was asked for a moment ago; a known name never waits")
        #expect(list.postpone(key(1), create("btcusdt", "newusdt"), nowNs: 20 * second) && list.isDue(20 * second))
        let data = Command.getData(symbol: Symbol("newusdt")!, interval: .m1, limit: 1, startMs: nil, endMs: nil)
        #expect(list.postpone(key(2), data, nowNs: 21 * second) && !list.isDue(21 * second), "several share a question")
        list.learn(trading("btcusdt", "newusdt"), nowNs: 22 * second)
        #expect(ready(&list, 22 * second) == ["1", "2"] && message(list, "newusdt") == nil)
        // A halted one may trade by now. An answer that cannot be used leaves the last list.
        list.learn([Instrument(symbol: Symbol("lunausdt")!, status: "BREAK")], nowNs: 23 * second)
        #expect(list.postpone(key(3), create("lunausdt"), nowNs: 40 * second) && list.isDue(40 * second))
        list.fail(nowNs: 41 * second)
        #expect(ready(&list, 41 * second) == ["3"] && message(list, "lunausdt") == nil)
        #expect(message(list, "btcusdt") == "unknown_symbol: the exchange has delisted 'btcusdt'")
    }

    @Test func waitersAreBounded() {
        var list = SymbolList()
        _ = list.isDue(0)
        let kept = (0...Limits.symbolWaitersMax).map { list.postpone(key($0), create("a"), nowNs: 1) }
        #expect(kept.dropLast().allSatisfy { $0 } && kept.last == false, "the last one is judged by what is known")
        list.learn([], nowNs: 2)
        var taken = 0
        while list.waitersDueNs == 0 { taken += list.takeWaiters(nowNs: 2, max: 64).count }
        #expect(taken == Limits.symbolWaitersMax)
    }

    @Test func nearest() {
        #expect(
            SymbolList.nearest(to: "abcdef", among: ["abcdef", "abcdex", "abcdxx", "abcxxx", "xbcdef", "b"], count: 3) == [
                "abcdef", "abcdex", "xbcdef",
            ])
        #expect(SymbolList.nearest(to: "a", among: ["b", "bc"], count: 3) == ["b"])
        #expect(SymbolList.nearest(to: "abcdef", among: ["abdef", "abcdefg", "acbdef"], count: 9) == ["abcdefg", "abdef", "acbdef"])
        #expect(SymbolList.nearest(to: "龙吓usdt", among: ["龙虾usdt", "币安人生usdt", "btcusdt"], count: 3) == ["龙虾usdt"])
    }
}
