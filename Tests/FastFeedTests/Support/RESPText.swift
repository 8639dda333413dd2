// RESP read back by a reader of our own, and a candle's texts as the contract's table has them.

import FastFeed

enum RESPText {
    /// The commands of a pipeline; nil when the bytes are anything but whole commands.
    static func commands(_ bytes: [UInt8]) -> [[String]]? {
        var place = 0
        func line(_ mark: Character) -> Int? {
            guard place < bytes.count, bytes[place] == mark.asciiValue, let end = bytes[place...].firstIndex(of: 13),
                bytes.indices.contains(end + 1), bytes[end + 1] == 10
            else { return nil }
            let text = String(decoding: bytes[(place + 1)..<end], as: UTF8.self)
            place = end + 2
            // As Redis writes and reads it: no sign, no leading zero.
            guard let value = Int(text), String(value) == text, value >= 0 else { return nil }
            return value
        }
        var commands: [[String]] = []
        while place < bytes.count {
            guard let count = line("*") else { return nil }
            var arguments: [String] = []
            for _ in 0..<count {
                guard let length = line("$"), place + length + 2 <= bytes.count, bytes[place + length] == 13,
                    bytes[place + length + 1] == 10
                else { return nil }
                arguments.append(String(decoding: bytes[place..<place + length], as: UTF8.self))
                place += length + 2
            }
            commands.append(arguments)
        }
        return commands
    }

    static func fields(_ candle: CandleRecord, revision: Int = 0) -> [String] {
        CandleField.texts(candle).flatMap { name, text in [name, name == CandleField.revision.rawValue ? "\(revision)" : text] }
    }

    /// The call of the merge script for a run.
    static func merge(_ run: [CandleRecord], _ series: Series, _ schema: KeySchema, history: Int) -> [String] {
        ["EVAL", MergeScript.source, "2", schema.historyKey(series), schema.changesKey(series), "\(history)", "\(Limits.changesKeptMax)"]
            + run.flatMap { ["\($0.openTimeMs)-0"] + CandleField.texts($0).map(\.1) }
    }

    static func json(_ candle: CandleRecord, _ series: Series) -> String { CandleRow.json(candle, series).text }
}

extension CandleRecord {
    /// Values in every field, all different, made of one number.
    static func sample(_ number: Int64, series id: UInt32 = 0, generation: UInt16 = 1, interval: Interval = .m1, closed: Bool = false)
        -> CandleRecord
    {
        var candle = CandleRecord()
        (candle.seriesID, candle.generation, candle.intervalRawValue, candle.isClosed) = (id, generation, interval.rawValue, closed)
        candle.openTimeMs = number * 60_000
        candle.closeTimeMs = candle.openTimeMs + 59_999
        (candle.eventTimeMs, candle.firstTradeID, candle.lastTradeID, candle.tradeCount) = (
            candle.openTimeMs + 7, number * 10, number * 10 + 4, 5
        )
        candle.receivedNs = UInt64(number)
        func text(_ digit: Int) -> DecimalText { DecimalText("\(number).\(digit)0000000")! }
        (candle.open, candle.high, candle.low, candle.close) = (text(1), text(2), text(3), text(4))
        (candle.volume, candle.quoteVolume, candle.takerBuyVolume, candle.takerBuyQuoteVolume) = (text(5), text(6), text(7), text(8))
        return candle
    }
}
