// What the exchange says about the connection: acknowledgements and errors in both shapes, the shutdown notice raw and
// combined.

import FastFeed
import Testing

struct VenueNoticeTests {
    private func notice(_ text: String) -> VenueNotice? { withPadded(Array(text.utf8)) { Binance(.spot).notice($0) } }

    @Test func results() {
        #expect(notice("{\"result\":null,\"id\":7}") == .result(id: 7))
        #expect(notice("{\"id\":7,\"result\":null}") == .result(id: 7))
        #expect(notice("{ \"result\" : [\"btcusdt@kline_1m\"] , \"id\" : -3 }") == .result(id: -3))
        #expect(notice("{\"result\":true,\"id\":9223372036854775807}") == .result(id: .max))
        // Ids that are not ours settle nothing.
        for id in ["null", "\"7\"", "7.5", "{}"] { #expect(notice("{\"result\":null,\"id\":\(id)}") == .result(id: nil), "\(id)") }
        #expect(notice("{\"result\":null}") == .result(id: nil))
    }

    @Test func errors() {
        let message = "Invalid request: invalid stream"
        let nested = "{\"error\":{\"code\":2,\"msg\":\"\(message)\"},\"id\":7}"
        #expect(notice(nested) == .error(id: 7, code: 2, message: message))
        #expect(notice("{\"id\":7,\"error\":{\"msg\":\"\(message)\",\"code\":2}}") == .error(id: 7, code: 2, message: message))
        #expect(notice("{\"code\":2,\"msg\":\"\(message)\"}") == .error(id: nil, code: 2, message: message))
        #expect(notice("{\"error\":{\"code\":3,\"msg\":\"x\"},\"id\":null}") == .error(id: nil, code: 3, message: "x"))
        // An error that looks like a result as well is an error.
        #expect(notice("{\"result\":null,\"error\":{\"code\":-1,\"msg\":\"\"},\"id\":1}") == .error(id: 1, code: -1, message: ""))
    }

    /// Foreign text ends up in a log line: printable and bounded.
    @Test func hostileMessages() {
        #expect(notice("{\"code\":1,\"msg\":\"a\\r\\n\\u001b[31m\"}") == .error(id: nil, code: 1, message: "a???[31m"))
        guard case .error(_, _, let long)? = notice("{\"code\":1,\"msg\":\"\(String(repeating: "y", count: 5_000))\"}") else {
            Issue.record("no error")
            return
        }
        #expect(long.utf8.count == 160)
        guard case .other(let event)? = notice("{\"e\":\"\(String(repeating: "z", count: 5_000))\"}") else {
            Issue.record("no event")
            return
        }
        #expect(event.utf8.count == 32)
    }

    @Test func shutdown() {
        #expect(notice("{\"e\":\"serverShutdown\",\"E\":1790001234567}") == .serverShutdown)
        #expect(notice("{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1790001234567}}") == .serverShutdown)
        #expect(notice("{\"e\":\"servershutdown\"}") == .other("servershutdown"))
    }

    @Test func others() {
        #expect(notice("{\"e\":\"trade\"}") == .other("trade"))
        #expect(notice("{\"e\":\"kline\"}") == .incompleteKline && notice("{\"e\":\"klines\"}") == .other("klines"))
        for text in [
            "[]", "1", "null", "\"result\"", "{}", "{\"id\":1}", "{\"code\":2}", "{\"msg\":\"x\"}", "{\"error\":1}", "{\"error\":{}}",
            "{\"e\":1}",
        ] {
            #expect(notice(text) == .other(""), "\(text)")
        }
    }

    @Test func garbage() {
        for text in ["", "{", "result", "{\"result\":null", "{\"result\":null,}", "\u{FEFF}", "{} {}"] {
            #expect(notice(text) == nil, "\(text)")
        }
        #expect(Binance(.spot).notice(.none) == nil)
        #expect(withPadded([0x22, 0xFF, 0x22]) { Binance(.spot).notice($0) } == nil)
        #expect(notice(String(repeating: "[", count: 60_000)) == nil)
    }
}
