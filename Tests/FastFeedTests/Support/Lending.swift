// Records and bytes as the engine's parts hand them on, for tests that have them as values.

import FastFeed

extension CandleTable {
    mutating func accept(_ record: CandleRecord) { lend(record) { accept($0) } }
}

extension ClosedQueue {
    mutating func append(_ candle: CandleRecord, parsedAfterNs: UInt32 = 0) { lend(candle) { append($0, parsedAfterNs: parsedAfterNs) } }
}

extension Span<UInt8> {
    var copy: [UInt8] { withUnsafeBufferPointer { Array($0) } }
}
