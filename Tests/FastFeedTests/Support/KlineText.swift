// Kline messages as text whose every part can be moved, dropped, doubled or replaced. Invented values.

import FastFeed

/// Members in order, values as raw JSON. `bar` is the object under `k`, which stands in `event` as a placeholder.
struct KlineText {
    typealias Member = (key: String, value: String)

    static let barPlace = "@bar"

    var event: [Member] = [("e", "\"kline\""), ("E", "1790001241004"), ("s", "\"BTCUSDT\""), ("k", KlineText.barPlace)]
    var bar: [Member] = [
        ("t", "1790001240000"), ("T", "1790001299999"), ("s", "\"BTCUSDT\""), ("i", "\"1m\""), ("f", "4100000001"), ("L", "4100000120"),
        ("o", "\"70010.10000000\""), ("c", "\"70012.30000000\""), ("h", "\"70020.00000000\""), ("l", "\"70001.00000000\""),
        ("v", "\"3.21000000\""), ("n", "120"), ("x", "false"), ("q", "\"224730.11000000\""), ("V", "\"1.50000000\""),
        ("Q", "\"105015.00000000\""), ("B", "\"0\""),
    ]
    /// In the envelope of combined streams.
    var isCombined = false
    /// Written between any two tokens.
    var space = ""
    /// Between the members of the bar: USDⓈ-M has a space behind the comma.
    var isSpaced = false

    /// Fields of the bar that a kline cannot be without, and those of the event.
    static let barFields = ["t", "T", "s", "i", "f", "L", "o", "c", "h", "l", "v", "n", "x", "q", "V", "Q"]
    static let eventFields = ["e", "E", "k"]
    static let decimalFields = ["o", "h", "l", "c", "v", "q", "V", "Q"]
    static let integerFields = ["t", "T", "f", "L", "n"]

    func with(_ key: String, _ value: String) -> KlineText {
        var copy = self
        if let place = copy.bar.firstIndex(where: { $0.key == key }) { copy.bar[place].value = value }
        return copy
    }

    func withEvent(_ key: String, _ value: String) -> KlineText {
        var copy = self
        if let place = copy.event.firstIndex(where: { $0.key == key }) { copy.event[place].value = value }
        return copy
    }

    func combined() -> KlineText {
        var copy = self
        copy.isCombined = true
        return copy
    }

    func spaced() -> KlineText {
        var copy = self
        copy.isSpaced = true
        return copy
    }

    func object(_ members: [Member], comma: String = ",") -> String {
        let inner = members.map { "\"\($0.key)\"\(space):\(space)\($0.value)" }.joined(separator: "\(space)\(comma)\(space)")
        return "{\(space)\(inner)\(space)}"
    }

    var text: String {
        let bare = object(event.map { ($0.key, $0.value == KlineText.barPlace ? object(bar, comma: isSpaced ? ", " : ",") : $0.value) })
        guard isCombined else { return space + bare + space }
        return space + object([("stream", "\"btcusdt@kline_1m\""), ("data", bare)]) + space
    }

    var bytes: [UInt8] { Array(text.utf8) }

    /// What the parser must make of the unchanged text.
    static let expected = ParsedKline(
        symbol: "BTCUSDT", interval: Interval.m1.rawValue, isClosed: false, open: 1_790_001_240_000, close: 1_790_001_299_999,
        event: 1_790_001_241_004, first: 4_100_000_001, last: 4_100_000_120, count: 120,
        decimals: [
            "70010.10000000", "70020.00000000", "70001.00000000", "70012.30000000", "3.21000000", "224730.11000000", "1.50000000",
            "105015.00000000",
        ])
}
