// A kline message into a record: one call into the shim per message. The exchange's own layout is read by comparing;
// any other JSON goes through simdjson. One parser for each reader, on its thread; it keeps nothing of a message.

import CShims

@safe package struct KlineParser: MessageParser, ~Copyable {
    package typealias Record = CandleRecord

    package static var messageBytesMin: Int { Limits.klineBytesMin }

    /// How many bytes of a foreseen field are looked at together; the numbers are those of `ff_kline_lanes`.
    package enum Lanes: UInt32 {
        /// Nothing is foreseen: every message goes member by member.
        case none = 0
        /// 16 bytes.
        case narrow = 1
        /// 32 bytes, where the processor has them.
        case wide = 2
    }

    private let parser: OpaquePointer

    package init() { self.init(lanes: .wide) }

    /// - Parameter lanes: the widest lanes to use; narrower ones are for comparing the two.
    package init(messageBytesMax: Int = Limits.venueMessageBytesMax, lanes: Lanes) {
        precondition(Int(FF_JSON_PADDING) == Limits.paddingBytes, "the buffers promise as much as the parser takes")
        guard let made = unsafe ff_kline_parser_create(messageBytesMax) else { fatalError("out of memory: JSON parser") }
        unsafe ff_kline_parser_limit_lanes(made, ff_kline_lanes(rawValue: lanes.rawValue))
        unsafe parser = unsafe made
    }

    deinit { unsafe ff_kline_parser_free(parser) }

    /// This CPU has wide lanes.
    package static var isWide: Bool { KlineParser().isWide }
    private var isWide: Bool { unsafe ff_kline_parser_lanes(parser) == FF_LANES_WIDE }

    /// The simdjson kernel chosen for this CPU.
    package static var kernel: String { unsafe String(cString: ff_kline_parser_kernel()) }

    /// Parses a raw or combined kline event straight into `record`; series id, generation and receive time are
    /// the caller's to set. `symbol` lies in the message. On a rejection `record` holds rubbish.
    @inline(__always)
    package func parse(
        _ message: PaddedBytes, into record: Row<CandleRecord>, symbol: inout PaddedBytes
    ) -> ParseResult {
        unsafe read(message, into: record, symbol: &symbol, by: ff_kline_parse)
    }

    /// The same as if the message did not have the exchange's layout to the byte: for comparing the two.
    package func parseWithoutLayout(
        _ message: PaddedBytes, into record: Row<CandleRecord>, symbol: inout PaddedBytes
    ) -> ParseResult {
        unsafe read(message, into: record, symbol: &symbol, by: ff_kline_walk)
    }

    /// Messages so far that did not have the exchange's own layout.
    package var walkedCount: UInt64 { unsafe ff_kline_walk_count(parser) }

    private typealias Shim = (
        OpaquePointer?, UnsafePointer<CChar>?, Int, UnsafeMutablePointer<ff_candle>?, UnsafeMutablePointer<ff_kline_symbol>?
    ) -> ff_kline_result

    @inline(__always)
    private func read(
        _ message: PaddedBytes, into record: Row<CandleRecord>, symbol: inout PaddedBytes,
        by shim: Shim
    ) -> ParseResult {
        var found = unsafe ff_kline_symbol()
        // A record is laid out as `ff_candle`: LayoutTests.
        let out = unsafe UnsafeMutableRawPointer(record.pointer).assumingMemoryBound(to: ff_candle.self)
        let result = unsafe shim(parser, message.text, message.count, out, &found)
        if result == FF_KLINE {
            symbol = unsafe PaddedBytes(start: found.bytes.unsafelyUnwrapped, count: found.length)
            return .record
        }
        return KlineParser.classify(result)
    }

    @inline(never)
    private static func classify(_ result: ff_kline_result) -> ParseResult {
        switch result {
        case FF_KLINE_OTHER: .notice
        case FF_KLINE_NOT_UTF8: .rejected(.rejectedNotUTF8)
        case FF_KLINE_MISSING: .rejected(.rejectedMissing)
        case FF_KLINE_TYPE: .rejected(.rejectedType)
        case FF_KLINE_LONG: .rejected(.rejectedLong)
        case FF_KLINE_NUMBER: .rejected(.rejectedNumber)
        case FF_KLINE_REPEATED: .rejected(.rejectedRepeated)
        case FF_KLINE_INTERVAL: .rejected(.rejectedInterval)
        case FF_KLINE_CONTRADICTION: .rejected(.rejectedContradiction)
        default: .rejected(.rejectedMalformed)
        }
    }
}
