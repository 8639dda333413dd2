// The blocking client: what it sends and gets in one go, and that it never waits longer than it was told to.

import FastFeed
import Foundation
import Glibc
import RedisServer
import Testing

@Suite("Redis client", .serialized)
struct RedisClientTests {
    @Test("Strings and pipelines that are longer than any buffer, and a history read in one go")
    func large() throws {
        let server = try RedisServerProcess()
        let client = try RedisClient.connect(server.endpoint)
        let text = String(repeating: "0123456789abcdef", count: 512 * 1024)
        #expect(try client.command("SET", "a", text).text == "OK")
        #expect(try client.command("GET", "a").text == text)
        let count = 20_000
        let added = try client.pipeline((1...count).map { ["XADD", "h", "\($0)-0", "open", "\($0)", "close", "\($0 + 1)"] })
        #expect(added.count == count && added.last?.text == "\(count)-0")
        let entries = try client.command("XRANGE", "h", "-", "+").elements
        #expect(entries.count == count)
        for (index, entry) in entries.enumerated() {
            let fields = Dictionary(uniqueKeysWithValues: try #require(entry.elements.last).pairs)
            guard fields == ["open": "\(index + 1)", "close": "\(index + 2)"] else {
                Issue.record("entry \(index) is \(entry)")
                return
            }
        }
        guard case .error = try client.command("NONSENSE") else {
            Issue.record("nonsense is carried out")
            return
        }
    }

    @Test("A password file is read again for each connection; where it is gone, the last word counts")
    func passwordFile() throws {
        var options = RedisServerProcess.Options()
        options.password = "first"
        let server = try RedisServerProcess(options)
        let file = try TemporaryDirectory()
        let path = file.path + "/password"
        var endpoint = server.endpoint
        (endpoint.password, endpoint.passwordFile) = ("first", path)
        #expect(try RedisClient.connect(endpoint).command("CONFIG", "SET", "requirepass", "second").text == "OK")
        #expect(throws: FeedError.self) { try RedisClient.connect(endpoint) }
        try "\u{FEFF}second\r\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try RedisClient.connect(endpoint).command("PING").text == "PONG")
    }

    @Test("A reply whose bytes keep coming ends in time")
    func endless() throws {
        let listener = try LoopbackListener()
        listener.start { peer in
            // Greets as Redis does, and answers everything else with a string that has no end.
            defer { Glibc.close(peer) }
            var bytes = [UInt8](repeating: 0x78, count: 4_096)
            for answer in ["+PONG\r\n", "$4000000000\r\n"] {
                guard recv(peer, &bytes, bytes.count, 0) > 0 else { return }
                send(peer, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
            }
            while send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 { usleep(1_000) }
        }
        let endpoint = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: listener.port)))
        let startNs = MonotonicClock.nowNs()
        do {
            let client = try RedisClient.connect(endpoint, timeout: .seconds(2))
            let error = #expect(throws: FeedError.self) { try client.command("GET", "a") }
            #expect(error?.message.contains("no reply from Redis within 2000 ms") == true)
        }
        #expect(MonotonicClock.nowNs() - startNs < .ns(ms: 20_000))
        listener.stop()
    }
}
