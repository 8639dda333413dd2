// The text of kline events: literal, at the limits, and against the slow way of writing numbers.

import FastFeed
import Testing
import VenueSimulator

struct EncoderTests {
    private func spec(_ market: Market = .spot) -> SymbolSpec {
        SymbolSpec.list(seed: 1, market: market, count: 1, illiquidEvery: 0)[0]
    }

    private func encode(_ state: KlineState, market: Market = .spot, unit: TimeUnit = .millisecond) -> (wrapped: String, bare: String) {
        let template = StreamTemplate(
            streamName: "btcusdt@kline_1m", symbol: "BTCUSDT", interval: .m1, format: ValueFormat(spec(market), market: market))
        var encoder = KlineEncoder()
        encoder.encode(state, in: unit, as: template)
        return (text(encoder.wrapped), text(encoder.bare))
    }

    private let state = KlineState(
        eventTimeMs: 1_790_001_241_004, openTimeMs: 1_790_001_240_000, nextOpenMs: 1_790_001_300_000, isClosed: false,
        sum: TradeSum(
            firstID: 4_100_000_001, lastID: 4_100_000_120, open: 7_001_010, high: 7_002_000, low: 7_000_100, close: 7_001_230,
            volume: 321_000, takerBuyVolume: 150_000, quoteVolume: 22_473_011 * 100_000, takerBuyQuoteVolume: 105_015 * 10_000_000))

    @Test func spotText() {
        let (wrapped, bare) = encode(state)
        #expect(
            bare == """
                {"e":"kline","E":1790001241004,"s":"BTCUSDT","k":{"t":1790001240000,"T":1790001299999,"s":"BTCUSDT","i":"1m",\
                "f":4100000001,"L":4100000120,"o":"70010.10000000","c":"70012.30000000","h":"70020.00000000","l":"70001.00000000",\
                "v":"3.21000000","n":120,"x":false,"q":"224730.11000000","V":"1.50000000","Q":"105015.00000000","B":"0"}}
                """)
        #expect(wrapped == "{\"stream\":\"btcusdt@kline_1m\",\"data\":" + bare + "}")
    }

    @Test func microsecondsAndFutures() {
        let micro = encode(state, unit: .microsecond).bare
        #expect(micro.contains("\"E\":1790001241004000,"))
        #expect(micro.contains("\"t\":1790001240000000,\"T\":1790001299999999,"))
        // Futures bitcoin has one digit of price and three of quantity, and a bar has spaces.
        #expect(
            encode(state, market: .um).bare == """
                {"e":"kline","E":1790001241004,"s":"BTCUSDT","k":{"t":1790001240000, "T":1790001299999, "s":"BTCUSDT", "i":"1m", \
                "f":4100000001, "L":4100000120, "o":"700101.0", "c":"700123.0", "h":"700200.0", "l":"700010.0", \
                "v":"321.000", "n":120, "x":false, "q":"224730110.0000", "V":"150.000", "Q":"105015000.0000", "B":"0"}}
                """)
    }

    @Test func emptyClosedBar() {
        let flat = KlineState(eventTimeMs: 5, openTimeMs: 0, nextOpenMs: 1_000, isClosed: true, sum: .flat(at: 7_001_230))
        let bare = encode(flat).bare
        #expect(bare.contains("\"f\":-1,\"L\":-1,\"o\":\"70012.30000000\",\"c\":\"70012.30000000\""))
        #expect(bare.contains("\"v\":\"0.00000000\",\"n\":0,\"x\":true,\"q\":\"0.00000000\",\"V\":\"0.00000000\",\"Q\":\"0.00000000\""))
    }

    @Test func numbersOfEverySize() {
        var random = SplitMix64(seed: 3)
        var values: [Int128] = [0, 1, 9, 10, 99_999_999, 100_000_000, Int128(Int64.max), Int128(Int64.max) * 1_000_000]
        for bits in 1..<100 {
            for _ in 0..<20 {
                let wide = Int128(random.next()) << 64 | Int128(random.next())
                values.append((wide >> Int128(128 - bits)) & ((Int128(1) << Int128(bits)) - 1))
            }
        }
        for value in values {
            for scale in 0...8 {
                for digits in Set([scale, 8]) {
                    #expect(written { $0.decimal(value, scale: scale, digits: digits) } == decimalText(value, scale: scale, digits: digits))
                }
            }
            if let small = Int64(exactly: value) {
                #expect(written { $0.integer(small) } == String(small))
                #expect(written { $0.integer(-small) } == String(-small))
            }
        }
        #expect(written { $0.unsigned(.max) } == String(UInt64.max))
    }

    private func written(_ body: (inout TextWriter) -> Void) -> String {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 128)
        defer { memory.deallocate() }
        var writer = TextWriter(at: memory)
        body(&writer)
        return String(decoding: UnsafeBufferPointer(start: memory, count: writer.count(from: memory)), as: UTF8.self)
    }
}
