// Where a piece of foreign JSON can stand in a kline message.

/// The places of a case in a message.
enum JSONPlace {
    /// The frames that carry a case, and whether it stands there as a member nobody reads.
    static func frames(_ value: [UInt8]) -> [(bytes: [UInt8], isUnknownMember: Bool, name: String)] {
        var frames: [(bytes: [UInt8], isUnknownMember: Bool, name: String)] = [
            (value, false, "whole"), (wrap("{\"stream\":\"btcusdt@kline_1m\",\"data\":", value, "}"), false, "data"),
        ]
        let mark = "\"@@\""
        func add(_ text: KlineText, _ name: String, isUnknown: Bool) {
            for text in [text, text.combined()] {
                let parts = text.text.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
                frames.append((wrap(String(parts[0]), value, String(parts[1])), isUnknown, name + (text.isCombined ? ", combined" : "")))
            }
        }
        for key in ["e", "E", "s", "k"] { add(KlineText().withEvent(key, mark), key, isUnknown: false) }
        for key in KlineText.barFields { add(KlineText().with(key, mark), "k." + key, isUnknown: false) }
        for place in [0, 8, KlineText().bar.count] {
            var text = KlineText()
            text.bar.insert(("zz", mark), at: place)
            add(text, "bar member \(place)", isUnknown: true)
        }
        for place in [0, 2, KlineText().event.count] {
            var text = KlineText()
            text.event.insert(("zz", mark), at: place)
            add(text, "event member \(place)", isUnknown: true)
        }
        frames.append((wrap("{\"zz\":", value, ",\"data\":\(KlineText().text)}"), true, "before data"))
        frames.append((wrap("{\"data\":\(KlineText().text),\"zz\":", value, "}"), true, "behind data"))
        return frames
    }

    private static func wrap(_ head: String, _ value: [UInt8], _ tail: String) -> [UInt8] { Array(head.utf8) + value + Array(tail.utf8) }
}
