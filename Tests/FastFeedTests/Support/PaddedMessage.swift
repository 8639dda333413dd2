// A message with the readable bytes behind it that the parsers are promised, in a colour the test chooses.

import FastFeed

/// Lends a copy of `content` with exactly `Limits.paddingBytes` readable behind it, filled with `padding` over and over.
func withPadded<Result>(_ content: [UInt8], padding: [UInt8] = [0], _ body: (PaddedBytes) -> Result) -> Result {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: content.count + Limits.paddingBytes, alignment: 1)
    defer { memory.deallocate() }
    content.withUnsafeBytes { if let base = $0.baseAddress { memory.copyMemory(from: base, byteCount: $0.count) } }
    for index in 0..<Limits.paddingBytes {
        memory.storeBytes(of: padding[index % padding.count], toByteOffset: content.count + index, as: UInt8.self)
    }
    return body(PaddedBytes(start: memory, count: content.count))
}

/// What the parser made of a message, with the symbol copied out.
enum Parsed: Equatable {
    case kline(ParsedKline)
    case notice
    case rejected(CounterID)

    var isRejected: Bool { if case .rejected = self { true } else { false } }
    /// Rejected as text that is no JSON at all, not for what its fields say.
    var isMalformed: Bool { self == .rejected(.rejectedMalformed) || self == .rejected(.rejectedNotUTF8) }
    var kline: ParsedKline? { if case .kline(let kline) = self { kline } else { nil } }
}

/// Every field of a kline in comparable form; decimals in the order open high low close volume quote takerBuy takerBuyQuote.
struct ParsedKline: Equatable {
    var symbol: String
    var interval: UInt8
    var isClosed: Bool
    var open: Int64
    var close: Int64
    var event: Int64
    var first: Int64
    var last: Int64
    var count: Int64
    var decimals: [String]

    init(symbol: String, _ candle: CandleRecord) {
        self.symbol = symbol
        interval = candle.intervalRawValue
        isClosed = candle.isClosed
        (open, close, event) = (candle.openTimeMs, candle.closeTimeMs, candle.eventTimeMs)
        (first, last, count) = (candle.firstTradeID, candle.lastTradeID, candle.tradeCount)
        decimals = [
            candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quoteVolume, candle.takerBuyVolume,
            candle.takerBuyQuoteVolume,
        ].map(\.description)
    }

    init(
        symbol: String, interval: UInt8, isClosed: Bool, open: Int64, close: Int64, event: Int64, first: Int64, last: Int64, count: Int64,
        decimals: [String]
    ) {
        (self.symbol, self.interval, self.isClosed) = (symbol, interval, isClosed)
        (self.open, self.close, self.event) = (open, close, event)
        (self.first, self.last, self.count) = (first, last, count)
        self.decimals = decimals
    }
}

/// One parser and the record it writes into, reused as a reader does: what a rejected message leaves behind must not matter.
final class ParserBench {
    private let parser = KlineParser()
    /// As on a processor without wide registers.
    private let narrow = KlineParser(lanes: .narrow)
    /// Nothing foreseen.
    private let loop = KlineParser(lanes: .none)
    private let records = MappedArray<CandleRecord>(zeroed: 1)
    private var record: Row<CandleRecord> { records.row(0) }

    /// Messages so far that did not have the exchange's own layout, by either width.
    var walkedCount: UInt64 { parser.walkedCount + narrow.walkedCount }

    /// The outcome, which is the same in whichever way the message is read.
    func parse(_ bytes: [UInt8], padding: [UInt8] = [0]) -> Parsed {
        withPadded(bytes, padding: padding) { message in
            let parsed = fresh { parser.parse(message, into: record, symbol: &$0) }
            let others = [
                fresh { narrow.parse(message, into: record, symbol: &$0) },
                fresh { parser.parseWithoutLayout(message, into: record, symbol: &$0) },
                fresh { narrow.parseWithoutLayout(message, into: record, symbol: &$0) },
                fresh { loop.parse(message, into: record, symbol: &$0) },
            ]
            precondition(
                others.allSatisfy { $0 == parsed },
                "\(parsed), but narrow, in order, in order narrow, in any order: \(others): \(String(decoding: bytes, as: UTF8.self))")
            return parsed
        }
    }

    /// Into a record of rubbish: a field that is not written is not found as the way before has left it.
    private func fresh(_ parse: (inout PaddedBytes) -> ParseResult) -> Parsed {
        withUnsafeMutableBytes(of: &records[0]) { _ = $0.initializeMemory(as: UInt8.self, repeating: 0xA5) }
        var symbol = PaddedBytes.none
        return switch parse(&symbol) {
        case .record: .kline(ParsedKline(symbol: String(decoding: symbol, as: UTF8.self), records[0]))
        case .notice: .notice
        case .rejected(let reason): .rejected(reason)
        }
    }

    func parse(_ text: String) -> Parsed { parse(Array(text.utf8)) }
}
