// The place of the streams by table, as a user may write it; and what an engine's configuration refuses about its URLs.

import FastFeed
import Testing

struct VenueBaseTests {
    @Test(arguments: [
        ("", nil), ("/", nil), ("/ws", "/ws"), ("/ws/", "/ws"), ("/stream", "/stream"), ("/stream/", "/stream"),
    ])
    func goodBases(tail: String, leftOut: String?) throws {
        for place in ["wss://stream.binance.com:9443", "ws://127.0.0.1:9443", "ws://[::1]:7"] {
            let base = try VenueBase(WebSocketEndpoint(url: place + tail), Market.spot.dialect)
            #expect(base.endpoint == (try WebSocketEndpoint(url: place)) && base.leftOut == leftOut, "\(place)\(tail)")
        }
    }

    @Test(arguments: [
        "/ws/btcusdt@kline_1m", "/stream?streams=", "/stream?streams=btcusdt@kline_1m", "/ws?x", "/?", "?x=1", "//", "/ws//", "/WS",
        "/market",
        "/market/ws", "/ws/stream", "/stream/ws", "/wsx", "/x/ws", "/@", "/ws-api/v3", "/%77s",
    ])
    func otherPathsAreRefused(tail: String) throws {
        let error = #expect(throws: FeedError.self) { try VenueBase(WebSocketEndpoint(url: "wss://h:9443" + tail), Market.spot.dialect) }
        let sentence = try #require(error).message
        #expect(sentence.contains("'wss://h:9443/") && sentence.hasSuffix("write wss://h:9443/"), "\(sentence)")
        #expect(error?.stage == .configuration)
        // Whoever connects to one stream by hand is free to.
        #expect(throws: Never.self) { try WebSocketEndpoint(url: "wss://h:9443" + tail) }
    }

    private func configuration(_ change: (inout EngineConfiguration) throws -> Void) rethrows -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.takesCommands = true
        try change(&configuration)
        return configuration
    }

    @Test func anEngineLeavesAStreamPathOut() throws {
        let plain = try configuration { $0.venue = try WebSocketEndpoint(url: "wss://h:1/ws") }
        #expect("\(plain.venueEndpoints)" == "[wss://h:1/]")
        try plain.validate()
        let engine = try Engine(plain)
        let line = try #require(engine.drainJournal().first)
        #expect(line.level == .notice && line.fields.map(\.1) == ["wss://h:1/", "/ws"], "\(line)")
    }

    @Test func whatCannotWorkIsRefusedAtTheStart() throws {
        let cases: [(named: String, EngineConfiguration)] = [
            ("stream?streams=", try configuration { $0.venue = try WebSocketEndpoint(url: "wss://h/stream?streams=") }),
            ("venue 'ws://", try configuration { $0.venue = try WebSocketEndpoint(url: "ws://192.0.2.1") }),
            ("venue-rest 'http://", try configuration { $0.venueREST = try RestEndpoint(url: "http://192.0.2.1") }),
            (
                "spot market's",
                try configuration {
                    $0.market = .um
                    $0.venue = try WebSocketEndpoint(url: "wss://stream.binance.com:9443")
                }
            ),
            ("um market's", configuration { $0.venueREST = Market.um.dialect.restEndpoint }),
            ("password", configuration { $0.redis.user = "feed" }), ("key-prefix", configuration { $0.keyPrefix = "a{b" }),
        ]
        for (named, configuration) in cases {
            let error = #expect(throws: FeedError.self) { try configuration.validate() }
            #expect(error?.stage == .configuration && error?.message.contains(named) == true, "\(named): \(error?.message ?? "")")
        }
        for market in Market.allCases {
            try configuration {
                $0.market = market
                $0.venue = market.dialect.productionEndpoint
                $0.venueREST = market.dialect.restEndpoint
            }.validate()
        }
    }
}
