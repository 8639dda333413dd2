// Holes as fields of `gaps:*`: against a text written out by hand, and against what somebody else may have written there.

import FastFeed
import Testing

struct GapRowTests {
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    @Test("The documented field, there and back")
    func row() {
        let gap = Gap(series: btc, fromMs: 120_000, untilMs: 300_000, cause: .missed, state: .healing, tries: 2)
        #expect(GapRow.name(gap) == "120000")
        #expect(GapRow.text(gap) == #"{"until":300000,"cause":"missed","state":"healing","tries":2}"#)
        for cause in Gap.Cause.allCases {
            for state in Gap.State.allCases {
                let gap = Gap(series: btc, fromMs: 0, untilMs: 60_000, cause: cause, state: state)
                #expect(GapRow.gap(btc, name: GapRow.name(gap), text: GapRow.text(gap)) == gap)
            }
        }
        let keys = KeySchema(prefix: "a:", market: .um)
        let futures = Series(market: .um, symbol: btc.symbol, interval: .month1)
        #expect(KeySchema(prefix: "").gapsKey(btc) == "gaps:{btcusdt}:1m")
        #expect(keys.gapsKey(futures) == "a:gaps:{um:btcusdt}:1M")
    }

    @Test(
        "What is not a hole is passed over",
        arguments: [
            ("x", #"{"until":60000,"cause":"missed","state":"open","tries":0}"#),
            ("-60000", #"{"until":60000,"cause":"missed","state":"open","tries":0}"#),
            ("+0", #"{"until":60000,"cause":"missed","state":"open","tries":0}"#),
            ("60000", #"{"until":60000,"cause":"missed","state":"open","tries":0}"#),
            ("0", #"{"until":9223372036854775807,"cause":"missed","state":"open","tries":0}"#),
            ("0", #"{"until":"60000","cause":"missed","state":"open","tries":0}"#),
            ("0", #"{"until":60000,"cause":"eaten","state":"open","tries":0}"#),
            ("0", #"{"until":60000,"cause":"missed","state":"ajar","tries":0}"#),
            ("0", #"{"until":60000,"cause":"missed","state":"open"}"#), ("0", "[]"), ("0", "{"), ("0", ""),
            ("0", #"{"until":60000,"cause":"missed","state":"open","tries":0}"# + String(repeating: " ", count: 256)),
        ]) func foreign(name: String, text: String)
    { #expect(GapRow.gap(btc, name: name, text: text) == nil, "\(name) \(text)") }

    @Test("Numbers of tries that cannot be do no harm")
    func tries() {
        for (written, read) in [("-1", 0), ("9223372036854775807", 1 << 30)] {
            let text = #"{"until":60000,"cause":"missed","state":"open","tries":\#(written),"note":[]}"#
            #expect(GapRow.gap(btc, name: "0", text: text)?.tries == read)
        }
    }
}
