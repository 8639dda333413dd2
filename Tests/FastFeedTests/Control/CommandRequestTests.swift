// Requests: what is understood, what is refused and with which code, and who can be told.

import FastFeed
import Testing

struct CommandRequestTests {
    private func refusal(_ kind: CommandKind, _ text: String) -> (id: String?, error: CommandError)? {
        let request = CommandRequest(kind, Array(text.utf8))
        guard case .failure(let error) = request.command else { return nil }
        return (request.key?.id, error)
    }

    @Test func goodRequests() throws {
        func command(_ kind: CommandKind, _ text: String) throws -> Command {
            try CommandRequest(kind, Array(text.utf8)).command.get()
        }
        let btc = Symbol("btcusdt")!
        #expect(
            try command(.createFlux, #"{"request_id":"1","symbols":["BTCUSDT"],"interval":"1M","name":"my-flux_1.x","history":10}"#)
                == .createFlux(symbols: [btc], interval: .month1, name: "my-flux_1.x", history: 10))
        #expect(
            try command(.stopFlux, #"{"flux_id":"1m_btcusdt-ethusdt","request_id":"é"}"#.replacing("é", with: "e"))
                == .stopFlux(id: "1m_btcusdt-ethusdt"))
        #expect(try command(.listFluxes, #" { "request_id" : "x y" } "#) == .listFluxes)
        #expect(
            try command(.getData, #"{"request_id":"1","symbol":"btcusdt","interval":"1m"}"#)
                == .getData(symbol: btc, interval: .m1, limit: 100, startMs: nil, endMs: nil))
        #expect(
            try command(.getData, #"{"request_id":"1","symbol":"btcusdt","interval":"1m","limit":1500,"start":5,"end":5}"#)
                == .getData(symbol: btc, interval: .m1, limit: 1_500, startMs: 5, endMs: 5))
        #expect(try command(.getStatus, #"{"request_id":"1"}"#) == .getStatus(fluxID: nil))
        #expect(try command(.listGaps, #"{"request_id":"1"}"#) == .listGaps(symbol: nil, interval: nil, fluxID: nil))
        #expect(
            try command(.listGaps, #"{"request_id":"1","symbol":"BTCUSDT","interval":"1h","flux_id":"x"}"#)
                == .listGaps(symbol: btc, interval: .h1, fluxID: "x"))
        let series = #""request_id":"1","symbol":"btcusdt","interval":"1m""#
        #expect(try command(.backfill, "{\(series),\"count\":9}") == .backfill(symbol: btc, interval: .m1, count: 9))
        #expect(try command(.audit, "{\(series)}") == .audit(symbol: btc, interval: .m1, count: 1_000, repairs: false))
        #expect(
            try command(.audit, "{\(series),\"limit\":1500,\"repair\":true}")
                == .audit(symbol: btc, interval: .m1, count: 1_500, repairs: true))
        #expect(try command(.listSymbols, #"{"request_id":"1"}"#) == .listSymbols(SymbolQuery(status: "TRADING", limit: 100)))
        #expect(
            try command(.listSymbols, #"{"request_id":"1","quote":"usdt","status":"break","search":"BTC_","limit":1500}"#)
                == .listSymbols(SymbolQuery(quote: Symbol("usdt"), status: "BREAK", search: Symbol("btc_"), limit: 1_500)))
        #expect(try command(.listSymbols, #"{"request_id":"1","status":"any"}"#) == .listSymbols(SymbolQuery(status: nil)))
    }

    static let refused: [(CommandKind, String, String, String?)] = [
        (.listFluxes, "", "bad_request", nil), (.listFluxes, "[]", "bad_request", nil), (.listFluxes, "{}", "bad_request", nil),
        (.listFluxes, #"{"request_id":1}"#, "bad_request", nil), (.listFluxes, #"{"request_id":""}"#, "bad_request", nil),
        (.listFluxes, #"{"request_id":"a\r\nb"}"#, "bad_request", nil), (.listFluxes, #"{"request_id":"ü"}"#, "bad_request", nil),
        (.listFluxes, #"{"request_id":"1"} x"#, "bad_request", nil), (.listFluxes, #"{"request_id":"1","x":1}"#, "bad_request", "1"),
        (.listFluxes, #"{"request_id":"1","request_id":"2"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":[],"interval":"1m"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":"btcusdt","interval":"1m"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":[1],"interval":"1m"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a:b"],"interval":"1m"}"#, "unknown_symbol", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["*"],"interval":"1m"}"#, "unknown_symbol", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["x\r\nSET y 1"],"interval":"1m"}"#, "unknown_symbol", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["🙂"],"interval":"1m"}"#, "unknown_symbol", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":"1x"}"#, "bad_interval", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":1}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":"1m","name":"a b"}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":"1m","name":""}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":"1m","history":-1}"#, "bad_request", "1"),
        (.createFlux, #"{"request_id":"1","symbols":["a"],"interval":"1m","history":1.5}"#, "bad_request", "1"),
        (.stopFlux, #"{"request_id":"1"}"#, "bad_request", "1"), (.stopFlux, #"{"request_id":"1","flux_id":"a:b"}"#, "unknown_flux", "1"),
        (.listGaps, #"{"request_id":"1","symbol":"a:b"}"#, "unknown_symbol", "1"),
        (.listGaps, #"{"request_id":"1","interval":"1x"}"#, "bad_interval", "1"),
        (.listGaps, #"{"request_id":"1","flux_id":"a:b"}"#, "unknown_flux", "1"),
        (.listGaps, #"{"request_id":"1","limit":1}"#, "bad_request", "1"),
        (.backfill, #"{"request_id":"1","symbol":"a","interval":"1m"}"#, "bad_request", "1"),
        (.backfill, #"{"request_id":"1","symbol":"a","interval":"1m","count":0}"#, "bad_request", "1"),
        (.backfill, #"{"request_id":"1","symbol":"a","interval":"1m","count":10000001}"#, "bad_request", "1"),
        (.backfill, #"{"request_id":"1","symbol":"a","interval":"1m","count":"5"}"#, "bad_request", "1"),
        (.backfill, #"{"request_id":"1","interval":"1m","count":5}"#, "bad_request", "1"),
        (.audit, #"{"request_id":"1","symbol":"a","interval":"1m","limit":1501}"#, "bad_request", "1"),
        (.audit, #"{"request_id":"1","symbol":"a","interval":"1m","repair":1}"#, "bad_request", "1"),
        (.audit, #"{"request_id":"1","symbol":"a"}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","limit":1501}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","quote":""}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","quote":7}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","search":"a*"}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","status":"停"}"#, "bad_request", "1"),
        (.listSymbols, #"{"request_id":"1","symbol":"btcusdt"}"#, "bad_request", "1"),
        (.getData, #"{"request_id":"1","symbol":"a","interval":"1m","limit":0}"#, "bad_request", "1"),
        (.getData, #"{"request_id":"1","symbol":"a","interval":"1m","limit":1501}"#, "bad_request", "1"),
        (.getData, #"{"request_id":"1","symbol":"a","interval":"1m","start":6,"end":5}"#, "bad_request", "1"),
        (.getData, #"{"request_id":"1","symbol":"a","interval":"1m","start":"5"}"#, "bad_request", "1"),
        (.getData, #"{"request_id":"1","symbol":"a","interval":"1m","start":99999999999999999999}"#, "bad_request", "1"),
    ]

    @Test(arguments: refused)
    func badRequests(kind: CommandKind, text: String, code: String, id: String?) throws {
        let found = refusal(kind, text)
        let refusal = try #require(found)
        #expect(refusal.error.code.rawValue == code && refusal.id == id, "\(refusal)")
        #expect(refusal.error.message.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "foreign bytes in \(refusal.error.message)")
    }

    @Test func otherProgramsNames() {
        for name in ["BTC/USDT", "BTC-USDT", "BTC/USDT:USDT"] {
            let text = #"{"request_id":"1","symbols":["\#(name)"],"interval":"1m"}"#
            #expect(refusal(.createFlux, text)?.error == CommandError(.unknownSymbol, "'\(name)' is not a symbol; did you mean btcusdt?"))
        }
        #expect(
            refusal(.getData, #"{"request_id":"1","symbol":"btc/usdt","interval":"1m"}"#)?.error.message
                == "'btc/usdt' is not a symbol; did you mean btcusdt?")
    }

    @Test func longRequests() {
        let text = #"{"request_id":"1","flux_id":""# + String(repeating: "a", count: 70_000) + "\"}"
        #expect(refusal(.stopFlux, text)?.error.code == .tooLarge)
        let deep = #"{"request_id":"1","flux_id":"# + String(repeating: "[", count: 60_000)
        #expect(refusal(.stopFlux, deep)?.error.code == .badRequest)
    }

    @Test func fluxIds() {
        func id(_ names: [String], _ name: String? = nil) -> String {
            Flux(symbols: names.map { Symbol($0)! }, interval: .m1, name: name, history: 0, createdAtMs: 0, origin: .command).id
        }
        #expect(id(["ethusdt", "btcusdt", "ethusdt"]) == "1m_btcusdt-ethusdt")
        #expect(id(["a", "b"], "mine") == "mine")
        let many = (0..<9).map { "s\($0)" }
        #expect(id(many).wholeMatch(of: /1m_9symbols_[0-9a-f]{8}/) != nil && id(many) == id(many.reversed()))
        #expect(id(many) != id((1..<10).map { "s\($0)" }))
        // An id is made of names in any script; one of the user's choice is ASCII.
        let chinese = id(["龙虾usdt", "btcusdt"])
        #expect(chinese == "1m_btcusdt-龙虾usdt" && Flux.isID(chinese) && !Flux.isName(chinese) && Flux.isName("a_B.1-"))
        for text in ["", "a:b", "a b", "龙\u{301}", "\u{202E}a", String(repeating: "a", count: 301)] { #expect(!Flux.isID(text), "\(text)") }
        #expect(!Flux.isName(String(repeating: "a", count: 65)))
    }

    @Test func registryEntries() {
        let flux = Flux(
            symbols: [Symbol("a")!, Symbol("b_1")!, Symbol("币安人生usdt")!], interval: .w1, name: nil, history: 7, createdAtMs: 12,
            origin: .command)
        #expect(Flux(json: flux.json) == flux)
        let bad = ["", "{}", "[]", flux.json.replacing("1w", with: "1x"), flux.json.replacing("\"a\"", with: "\"a:b\""), flux.json + "x"]
        for text in bad { #expect(Flux(json: text) == nil, "\(text)") }
    }
}
