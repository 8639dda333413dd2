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

    @Test func strangersHearTheNearest() {
        var list = SymbolList()
        #expect(message(list, "nosuchcoin") == nil, "without a list every name passes")
        list.learn(["btcusdt", "btcusdc", "ethusdt", "solusdt"].map { Symbol($0)! }, nowNs: 1)
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
    }

    @Test func nearest() {
        #expect(
            SymbolList.nearest(to: "abcdef", among: ["abcdef", "abcdex", "abcdxx", "abcxxx", "xbcdef", "b"], count: 3) == [
                "abcdef", "abcdex", "xbcdef",
            ])
        #expect(SymbolList.nearest(to: "a", among: ["b", "bc"], count: 3) == ["b"])
        #expect(SymbolList.nearest(to: "abcdef", among: ["abdef", "abcdefg", "acbdef"], count: 9) == ["abcdefg", "abdef", "acbdef"])
    }
}
