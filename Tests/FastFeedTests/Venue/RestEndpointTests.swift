// Base URLs by table, and the market's rules.

import FastFeed
import Testing

struct RestEndpointTests {
    @Test func goodURLs() throws {
        let table: [(url: String, endpoint: RestEndpoint)] = [
            ("https://api.binance.com", RestEndpoint(isSecure: true, host: "api.binance.com", port: 443)),
            ("https://api.binance.com/", RestEndpoint(isSecure: true, host: "api.binance.com", port: 443)),
            ("http://127.0.0.1:9443", RestEndpoint(isSecure: false, host: "127.0.0.1", port: 9_443)),
            ("http://localhost", RestEndpoint(isSecure: false, host: "localhost", port: 80)),
            ("https://[::1]:8", RestEndpoint(isSecure: true, host: "::1", port: 8)),
        ]
        for (url, endpoint) in table { #expect(try RestEndpoint(url: url) == endpoint) }
        #expect(RestEndpoint(isSecure: true, host: "::1", port: 8).description == "https://[::1]:8")
        #expect(Market.um.dialect.restEndpoint.description == "https://fapi.binance.com:443")
    }

    @Test(arguments: [
        "", "api.binance.com", "ftp://h", "HTTPS://h", "https:/h", "https://", "https:///", "https://h//", "https://h/api", "https://h?x",
        "https://h#x",
        "https://h/?", "https://u@h", "https://u:p@h", "https://h:0", "https://h:65536", "https://h:", "https://h:1:2", "https://h:+1",
        "https://h h",
        "https://h%41", "https://hé", "https://h\r\n", "https://h\u{0}", "https://.h", "https://-h", "https://a..b", "https://::1",
        "https://[::1",
        "https://[127.0.0.1]", "https://[fe80::1%25eth0]", "https://[]", "https://127.1", "https://2130706433", "https://0x7f.1",
        "https://127.0.0.1.5",
        "https://h_h", "https://h\\x", "file:///etc/passwd", "https://127.0.0.1.",
    ])
    func badURLs(_ url: String) { #expect(throws: FeedError.self) { try RestEndpoint(url: url) } }

    @Test func loopback() throws {
        for url in ["http://localhost", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]"] {
            #expect(try RestEndpoint(url: url).authority.isLoopback, "\(url)")
        }
        for url in ["http://localhost.x.com", "http://128.0.0.1", "http://0.0.0.0", "http://[::2]"] {
            #expect(try !RestEndpoint(url: url).authority.isLoopback, "\(url)")
        }
    }
}
