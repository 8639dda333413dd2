// The list of instruments: what is taken, what is left out, what is refused.

import FastFeed
import TestKit
import Testing

struct ExchangeInfoTests {
    private func text(_ symbols: [String], _ head: String = "") -> String { "{\(head)\"symbols\":[\(symbols.joined(separator: ","))]}" }
    private func entry(_ symbol: String, _ status: String = "TRADING") -> String {
        #"{"symbol":"\#(symbol)","status":"\#(status)","baseAsset":"B","filters":[{"filterType":"X","list":[1,2.5,null]}]}"#
    }
    private func parse(_ text: String) -> Result<ExchangeInformation, RestFailure> { parseExchangeInfo(Array(text.utf8)) }

    @Test func everythingRead() throws {
        let head =
            #""timezone":"UTC","serverTime":1790001240000,"rateLimits":[{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":7},{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}],"#
        let information = try parse(text([entry("BTCUSDT"), entry("ETHUSDT", "BREAK"), entry("A_1", "NEW_STATUS")], head)).get()
        #expect(information.instruments.map(\.symbol.name) == ["btcusdt", "ethusdt", "a_1"])
        #expect(information.instruments.map(\.status) == ["TRADING", "BREAK", "NEW_STATUS"])
        #expect(information.skipped == 0 && information.serverTimeMs == 1_790_001_240_000 && information.weightPerMinute == 6_000)
        let bare = try parse(text([])).get()
        #expect(bare.instruments.isEmpty && bare.serverTimeMs == nil && bare.weightPerMinute == nil)
        #expect(try parse(#"{"symbols":[{"symbol":"BTCUSD_PERP","contractStatus":"TRADING"}]}"#).get().instruments[0].status == "TRADING")
    }

    /// An asset becomes part of a key.
    @Test func assets() throws {
        func assets(_ text: String) throws -> [String] {
            let one = try parse(#"{"symbols":[{"symbol":"A","status":"S"\#(text)}]}"#).get().instruments[0]
            return [one.base, one.quote]
        }
        #expect(try assets(#","baseAsset":"1000SATS","quoteAsset":"USDT""#) == ["1000SATS", "USDT"])
        #expect(try assets(#","baseAsset":"币安人生","quoteAsset":"\u9f99""#) == ["币安人生", "龙"])
        for bad in [
            #""""#, #""usdt""#, #""US DT""#, #""{A}""#, #""*""#, #""A:B""#, #""A\n""#, "\"\(String(repeating: "X", count: 33))\"", "1",
            "null",
        ] {
            #expect(try assets(",\"baseAsset\":\(bad),\"quoteAsset\":\(bad)") == ["", ""], "\(bad)")
        }
        #expect(try assets("") == ["", ""])
    }

    /// A status becomes part of lists with commas and marks.
    @Test(arguments: ["A,B", "A:B", "A B", "É", "\\u0000", "\\n"])
    func statusesThatAreNone(status: String) throws {
        let instruments = try parse(text([entry("BTCUSDT", status), entry("ETHUSDT")])).get().instruments
        #expect(instruments.map(\.status) == ["UNKNOWN", "TRADING"])
    }

    @Test func symbolsThatAreNone() throws {
        let long = String(repeating: "X", count: 32)
        let names = [
            "", "btcusdt", "BTC-USDT", "BTC.X", "A B", "A/B", "{A}", "*", "A\\n", "A\\u0000", long + "X", "BTCusdt", "\\\"", "A\u{200B}",
            "A\\u202e", "币，", "🙂", String(repeating: "币", count: 11),
        ]
        let information = try parse(text(names.map { entry($0) } + [entry(long), entry("OK"), entry("OK", "HALT")])).get()
        #expect(information.instruments.map(\.symbol.name) == [long.lowercased(), "ok"])
        #expect(information.instruments.last?.status == "TRADING", "the first one counts")
        #expect(information.skipped == names.count + 1)
    }

    @Test func symbolsBeyondASCII() throws {
        let names = ["这是测试币456", "币安人生USDT", "\\u9f99\\u867eUSDT", "\\ud840\\udc00A", "É"]
        let information = try parse(text(names.map { entry($0) })).get()
        #expect(information.instruments.map(\.symbol.name) == ["这是测试币456", "币安人生usdt", "龙虾usdt", "𠀀a", "É"])
    }

    @Test(arguments: [
        "", "[]", "{}", "null", "1", #"{"symbols":{}}"#, #"{"symbols":null}"#, #"{"symbols":[1]}"#, #"{"symbols":[{}]}"#,
        #"{"symbols":[{"symbol":"A"}]}"#, #"{"symbols":[{"status":"A"}]}"#, #"{"symbols":[{"symbol":1,"status":"A"}]}"#,
        #"{"symbols":[{"symbol":"A","status":1}]}"#, #"{"symbols":[{"symbol":"A","status":""}]}"#,
        #"{"symbols":[{"symbol":"A","status":"\#(String(repeating: "S", count: 31))"}]}"#, #"{"symbols":[]"#, #"{"symbols":[]}}"#,
        #"{"symbols":[],"x":01}"#, #"{"symbols":[],}"#, "{\"symbols\":[],\"x\":\"\u{1}\"}",
    ])
    func refused(_ text: String) { #expect(parse(text).isFailure, "\(text)") }

    @Test func megabytes() throws {
        let entries = (0..<20_000).map { entry("SYM\($0)USDT") }
        let body = text(entries, #""x":"\#(String(repeating: "y", count: 2_000_000))","#)
        #expect(try parse(body).get().instruments.count == 20_000)
    }

    /// No damage makes it crash, or lets in a name that is none.
    @Test(arguments: seeds) func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let original = Array(text([entry("BTCUSDT"), entry("ETHUSDT", "HALT")], #""serverTime":1,"rateLimits":[],"#).utf8)
        var accepted = 0
        for _ in 0..<5_000 {
            let bytes = RestMutation.mutate(original, &random)
            guard parseExchangeInfo(bytes).value != nil else { continue }
            accepted += 1
            if ReferenceJSON.read(bytes) == nil { Issue.record("seed \(seed): not JSON: \(String(decoding: bytes, as: UTF8.self))") }
        }
        #expect(accepted > 100)
        for value in JSONCases.refused + JSONCases.accepted.map({ Array($0.utf8) }) {
            for wrapped in [
                value, Array("{\"symbols\":".utf8) + value + Array("}".utf8), Array("{\"symbols\":[".utf8) + value + Array("]}".utf8),
                Array("{\"symbols\":[{\"status\":\"X\",\"symbol\":".utf8) + value + Array("}]}".utf8),
            ] { _ = parseExchangeInfo(wrapped) }
        }
    }
}
