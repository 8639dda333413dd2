// URLs by table, and the pause between attempts.

import FastFeed
import TestKit
import Testing

struct EndpointTests {
    @Test func goodWebSocketURLs() throws {
        let table: [(url: String, isSecure: Bool, host: String, port: UInt16, target: String)] = [
            ("wss://stream.binance.com:9443", true, "stream.binance.com", 9_443, "/"),
            ("ws://127.0.0.1:9443/", false, "127.0.0.1", 9_443, "/"),
            ("wss://h", true, "h", 443, "/"), ("ws://h", false, "h", 80, "/"), ("ws://h/ws/a@kline_1m", false, "h", 80, "/ws/a@kline_1m"),
            ("ws://h/stream?streams=a/b", false, "h", 80, "/stream?streams=a/b"), ("ws://h?x=1", false, "h", 80, "/?x=1"),
            ("ws://[::1]:9443/x", false, "::1", 9_443, "/x"), ("ws://[::1]", false, "::1", 80, "/"),
            ("ws://h:65535", false, "h", 65_535, "/"),
            ("ws://h/a:b@c", false, "h", 80, "/a:b@c"),
        ]
        for (url, isSecure, host, port, target) in table {
            #expect(
                try WebSocketEndpoint(url: url) == WebSocketEndpoint(isSecure: isSecure, host: host, port: port, target: target), "\(url)")
        }
    }

    @Test(arguments: [
        "", "h", "http://h", "ws:/h", "WS://h", "ws://", "ws:///x", "ws://:80", "ws://h:", "ws://h:0", "ws://h:65536", "ws://h:-1",
        "ws://h:+80", "ws://h:80x",
        "ws://h:80:80", "ws://::1", "ws://[::1", "ws://[]", "ws://[::1]x", "ws://[::1]:", "ws://user@h", "ws://user:pass@h:80", "ws://h/#x",
        "ws://h /",
        "ws://h/\r\nHost: x", "ws://h/\u{0}", "ws://hé/", "ws://h/é", " ws://h", "ws://[[::1]:80", "ws://[h]", "ws://h]", "ws://a[b",
        "ws://h#x",
        "ws://\"h\"", "ws://h\\", "ws://h,i",
    ])
    func badWebSocketURLs(_ url: String) { #expect(throws: FeedError.self) { try WebSocketEndpoint(url: url) } }

    @Test func webSocketEndpointParts() throws {
        #expect(throws: FeedError.self) { try WebSocketEndpoint(url: "ws://h/" + String(repeating: "x", count: 16_384)) }
        #expect(try WebSocketEndpoint(url: "wss://h").hostHeader == "h")
        #expect(try WebSocketEndpoint(url: "wss://h:80").hostHeader == "h:80")
        #expect(try WebSocketEndpoint(url: "ws://[::1]:9443").hostHeader == "[::1]:9443")
        for url in ["ws://localhost", "ws://127.0.0.1", "ws://127.8.8.8", "ws://[::1]"] {
            #expect(try WebSocketEndpoint(url: url).authority.isLoopback, "\(url)")
        }
        for url in ["ws://localhost.evil.com", "ws://128.0.0.1", "ws://0.0.0.0", "ws://[::2]", "ws://127.0.0.1.nip.io", "ws://10.0.0.1"] {
            #expect(!(try WebSocketEndpoint(url: url).authority.isLoopback), "\(url)")
        }
        #expect(try WebSocketEndpoint(url: "ws://h/base/").appending("/ws").target == "/base/ws")
        #expect(try WebSocketEndpoint(url: "ws://h").appending("/stream?streams=a").target == "/stream?streams=a")
        for url in ["wss://stream.binance.com:9443/", "ws://[::1]:80/x?y"] { #expect(try WebSocketEndpoint(url: url).description == url) }
    }

    @Test func goodRedisURLs() throws {
        func tcp(_ host: String, _ port: UInt16, _ change: (inout RedisEndpoint) -> Void = { _ in }) -> RedisEndpoint {
            var endpoint = RedisEndpoint(place: .tcp(Authority(host: host, port: port)))
            change(&endpoint)
            return endpoint
        }
        let table: [(String, RedisEndpoint)] = [
            ("redis://h", tcp("h", 6_379)), ("redis://h:1/", tcp("h", 1)), ("redis://h/3", tcp("h", 6_379) { $0.database = 3 }),
            ("redis://:pw@h", tcp("h", 6_379) { $0.password = "pw" }),
            ("redis://u:p%40%3A%2f@h:7/15", tcp("h", 7) { ($0.user, $0.password, $0.database) = ("u", "p@:/", 15) }),
            ("redis://u:a@b@h", tcp("h", 6_379) { ($0.user, $0.password) = ("u", "a@b") }),
            ("redis://u:a:b@h", tcp("h", 6_379) { ($0.user, $0.password) = ("u", "a:b") }),
            ("redis://u@h", tcp("h", 6_379) { $0.user = "u" }), ("rediss://[::1]:7", tcp("::1", 7) { $0.isSecure = true }),
            ("unix:///run/redis.sock", RedisEndpoint(place: .unix(path: "/run/redis.sock"))),
        ]
        for (url, expected) in table { #expect(try RedisEndpoint(url: url) == expected, "\(url)") }
        #expect(try RedisEndpoint(url: "unix:///s?db=2").database == 2)
    }

    @Test(arguments: [
        "", "h:6379", "http://h", "REDIS://h", "redis://", "redis://:6379", "redis://h:0", "redis://h:x", "redis://h/x", "redis://h/-1",
        "redis://h/1/2", "redis://h/999999",
        "redis://u:%4@h", "redis://u:%zz@h", "redis://u:%ff@h", "redis://u:%+f@h", "redis://u:%-0@h", "redis://[[::1]",
        "redis://u:p@", "redis://h /", "redis://hé", "unix://", "unix://run/x",
        "unix:///s?db=x", "unix:///s?x=1", "unix:///s?db=",
        "redis://h\r\nFLUSHALL",
        "redis+sentinel://", "redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel://h,/n", "redis+sentinel://,h/n",
        "redis+sentinel://h,,i/n", "redis+sentinel://h:0,i/n", "redis+sentinel://h,i:x/n", "redis+sentinel://h,h:26379/n",
        "redis+sentinel://h/a b", "redis+sentinel://h/n%20", "redis+sentinel://h/n/x", "redis+sentinel://h/n/1/2", "redis+sentinel://h//1",
        "redis+sentinel://u:%zz@h/n", "redis+sentinel://h,u:p@i/n@", "sentinel://h/n",
    ])
    func badRedisURLs(_ url: String) { #expect(throws: FeedError.self) { try RedisEndpoint(url: url) } }

    @Test func sentinelURLs() throws {
        let places = { (url: String) throws -> String in
            guard case .sentinel(let sentinels) = try RedisEndpoint(url: url).place else { return "" }
            return sentinels.addresses.map(\.description).joined(separator: " ") + " " + sentinels.name
        }
        #expect(try places("redis+sentinel://h1,h2:7,[::1]:8,[::2]/my-1.name_") == "h1:26379 h2:7 [::1]:8 [::2]:26379 my-1.name_")
        let endpoint = try RedisEndpoint(url: "rediss+sentinel://u:p%40:@h1,h2/n/3")
        #expect(endpoint.isSecure && (endpoint.user, endpoint.password, endpoint.database) == ("u", "p@:", 3))
        #expect("\(endpoint)" == "rediss+sentinel://h1:26379,h2:26379/n/3")
        #expect(try RedisEndpoint(url: "\(endpoint)").place == endpoint.place)
        #expect(try RedisEndpoint(url: "redis+sentinel://h/n/").database == 0)
        let many = (0...Limits.sentinelsMax).map { "h\($0)" }.joined(separator: ",")
        #expect(throws: FeedError.self) { try RedisEndpoint(url: "redis+sentinel://\(many)/n") }
        for url in ["redis+sentinel://u:canary@h,h/n", "redis+sentinel://u:canary@h", "redis+sentinel://u:canary@h/n/x"] {
            let error = #expect(throws: FeedError.self) { try RedisEndpoint(url: url) }
            #expect(error?.message.contains("canary") == false, "\(url)")
        }
    }

    @Test func secretsStayOutOfTexts() throws {
        #expect(throws: FeedError.self) { try RedisEndpoint(url: "unix:///" + String(repeating: "x", count: 107)) }
        #expect(try !RedisEndpoint(url: "redis://user:canary@h:7/2").description.contains("canary"))
        for url in ["redis://user:canary@h:bad", "redis://user:canary@h/x", "redis://user:canary%zz@h", "redis://user:canary@h é"] {
            let error = #expect(throws: FeedError.self) { try RedisEndpoint(url: url) }
            #expect(error?.message.contains("canary") == false, "\(url)")
        }
    }

    @Test(arguments: seeds) func backoff(seed: UInt64) {
        for pausesMs in [Limits.venueBackoffMs, Limits.redisBackoffMs, 1...1, 7...1_000_000] {
            var backoff = Backoff(pausesMs, seed: seed)
            for attempt in 0..<200 {
                let ceilingNs = min(pausesMs.lowerBound << UInt64(min(attempt, 20)), pausesMs.upperBound) * 1_000_000
                let delayNs = backoff.nextDelayNs()
                #expect(delayNs <= ceilingNs && delayNs >= ceilingNs / 2 / 1_000_000 * 1_000_000, "seed \(seed), attempt \(attempt)")
            }
            backoff.succeeded()
            #expect(backoff.nextDelayNs() <= pausesMs.lowerBound * 1_000_000)
            #expect(backoff.nextDelayNs(atLeastSeconds: 3_000) >= 3_000_000_000_000)
        }
    }

    /// Many connections cut at once must not come back at once.
    @Test func backoffJitters() {
        let delays = (0..<1_000).map { seed in
            var backoff = Backoff(Limits.venueBackoffMs, seed: UInt64(seed))
            for _ in 0..<10 { _ = backoff.nextDelayNs() }
            return backoff.nextDelayNs()
        }
        let slots = Dictionary(grouping: delays) { $0 / 1_000_000_000 }
        #expect(slots.count >= 15 && slots.values.allSatisfy { $0.count < 130 })
    }
}
