// Servers that mean harm, many calls at once, and the end of a client.

import FastFeed
import Foundation
import Glibc
import Synchronization
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized) struct HostileRestTests {
    private let series = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    private func ask(_ server: ScriptedServer, _ settings: RestSettings = quickSettings) throws -> Klines {
        let client = try RestClient(base: server.base, market: .spot, settings: settings)
        defer { client.stop() }
        return try client.get(series, endMs: 1_790_001_240_000, limit: 1)
    }

    private func answer(_ headers: String, _ body: [UInt8]) -> [UInt8] {
        Array("HTTP/1.1 200 OK\r\n\(headers)content-length: \(body.count)\r\nconnection: close\r\n\r\n".utf8) + body
    }

    private let row = "[1790001240000,\"1\",\"1\",\"1\",\"1\",\"1\",1790001299999,\"1\",1,\"1\",\"1\",\"0\"]"

    @Test func plainGzipAndChunked() throws {
        let packed = try gzip(Array("[\(row)]".utf8))
        #expect(try ask(ScriptedServer([answer("Content-Encoding: gzip\r\n", packed)])).get().count == 1)
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n\(String(row.utf8.count, radix: 16))\r\n\(row)\r\n1\r\n]\r\n0\r\n\r\n"
        #expect(try ask(ScriptedServer(chunked)).get().count == 1)
    }

    @Test func requestAsSent() throws {
        let server = try ScriptedServer([answer("", Array("[]".utf8))])
        setenv("http_proxy", "http://127.0.0.1:1", 1)
        defer { unsetenv("http_proxy") }
        #expect(try ask(server).get().isEmpty, "no proxy but a named one, whatever the environment says")
        let request = try #require(server.received.first)
        #expect(request.hasPrefix("GET /api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1&endTime=1790001240000 HTTP/1.1\r\n"))
        #expect(request.contains("User-Agent: FastFeed/") && request.contains("Accept-Encoding: gzip\r\n"))
    }

    /// 128 MB of blanks in 130 KB, cut off after one: no memory is spent on the rest.
    @Test func gzipBomb() throws {
        let packed = try gzip([UInt8](repeating: 0x20, count: 128 << 20))
        var settings = quickSettings
        settings.totalTimeoutMs = 5_000
        let before = ProcessMemory.residentBytes()
        #expect(
            try ask(ScriptedServer([answer("content-encoding: gzip\r\n", packed)]), settings).reason
                == .malformed("the body is longer than its limit"))
        #expect(ProcessMemory.residentBytes() < before + (64 << 20))
    }

    @Test func nestedEncodings() throws {
        let twice = try gzip(gzip([UInt8](repeating: 0x20, count: 64 << 20)))
        for headers in [
            "content-encoding: gzip, gzip\r\n", "content-encoding: gzip\r\nContent-Encoding: gzip\r\n", "content-encoding: br\r\n",
            "content-encoding: deflate\r\n", "content-encoding: gzip\r\ntransfer-encoding: gzip\r\n",
            "transfer-encoding: gzip, chunked\r\n",
        ] {
            guard case .failure(.malformed(let reason)) = try ask(ScriptedServer([answer(headers, twice)])), reason.contains("encoding")
            else {
                Issue.record("\(headers)")
                continue
            }
        }
    }

    @Test func endlessBodies() throws {
        let block = [UInt8](repeating: 0x20, count: 1 << 20)
        let head = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        let declared = Array("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n".utf8)
        for head in [head, declared] {
            let result = try ask(ScriptedServer([head] + [[UInt8]](repeating: block, count: 64)))
            guard case .failure(.malformed) = result else {
                Issue.record("\(result)")
                continue
            }
        }
        // Nothing, for ever, and a byte now and then.
        for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n["] {
            var settings = quickSettings
            (settings.totalTimeoutMs, settings.attemptsMax) = (100, 2)
            let result = try ask(ScriptedServer(text, lingers: true), settings)
            guard case .failure(.unavailable) = result else {
                Issue.record("\(result)")
                continue
            }
        }
    }

    @Test func endlessHeaders() throws {
        let long = Array(("HTTP/1.1 200 OK\r\nx: " + String(repeating: "y", count: 1 << 20) + "\r\ncontent-length: 2\r\n\r\n[]").utf8)
        let many = Array("HTTP/1.1 200 OK\r\n".utf8) + Array(String(repeating: "x: yyyyyyyyyyyyyyyy\r\n", count: 50_000).utf8)
        let early = Array(String(repeating: "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n", count: 50_000).utf8)
        for bytes in [long, many, early] { #expect(try ask(ScriptedServer([bytes])).isFailure) }
    }

    @Test func redirectsAreNotFollowed() throws {
        let target = try ScriptedServer([answer("", Array("[]".utf8))])
        for status in [301, 302, 303, 307, 308] {
            let text = "HTTP/1.1 \(status) Moved\r\nLocation: \(target.base)/x\r\ncontent-length: 0\r\n\r\n"
            #expect(try ask(ScriptedServer(text)).reason == .refused(status: status, code: 0, message: ""))
        }
        #expect(target.received.isEmpty)
    }

    @Test(arguments: [
        "", "x", "\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 999999 X\r\n\r\n", "HTTP/0.9 200 OK\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[]", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\ncontent-length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]", "SSH-2.0-x\r\n", "\u{0}\u{1}\u{2}",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ])
    func wrongAnswers(_ text: String) throws { #expect(try ask(ScriptedServer(text)).isFailure, "\(text)") }

    @Test func hostileHeaderValues() throws {
        for value in ["-1", "99999999999999999999", "abc", "", " 1 2", "1.5", "0x10", "NaN"] {
            let text =
                "HTTP/1.1 200 OK\r\nRETRY-AFTER: \(value)\r\nX-Mbx-Used-Weight-1m: \(value)\r\nDate: \(value)\r\ncontent-length: 2\r\n\r\n[]"
            #expect(try ask(ScriptedServer(text)).get().isEmpty, "\(value)")
        }
        let client = try RestClient(base: ScriptedServer("").base, market: .spot, settings: quickSettings)
        client.stop()
        // Others have used everything: the next call waits.
        let server = try ScriptedServer("HTTP/1.1 200 OK\r\nx-MBX-used-WEIGHT-1m: 5999\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
        let second = try RestClient(base: server.base, market: .spot, settings: quickSettings)
        #expect(try second.get(series, limit: 1, patienceMs: 1_000).get().isEmpty)
        #expect(second.statistics.weightReported == 5_999)
    }

    @Test func onlyThisMachineInPlainText() throws {
        #expect(throws: FeedError.self) { try RestClient(base: RestEndpoint(url: "http://192.0.2.1"), market: .spot) }
        #expect(throws: FeedError.self) { try RestClient(base: RestEndpoint(url: "http://api.binance.com"), market: .spot) }
        let nobody = try RestClient(
            base: RestEndpoint(isSecure: false, host: "127.0.0.1", port: FreePort.find()), market: .spot, settings: quickSettings)
        guard case .failure(.unavailable(let reason)) = try nobody.get(series) else {
            Issue.record("nobody listens there")
            return
        }
        #expect(reason.contains("onnect"))
    }

    // MARK: Many calls, and the end

    @Test func manyCallsAtOnce() throws {
        let rig = try RestRig()
        let expected = try rig.client.get(rig.series, endMs: rig.venue.virtualTimeMs - 120_000, limit: 50).get()
        let (client, series, end) = (rig.client, rig.series, expected.last!.openTimeMs)
        let right = (0..<4).map { _ in Promise<Int>() }
        for promise in right {
            Thread.detachNewThread {
                let mine = (0..<100).map { _ in Promise<Klines>() }
                for one in mine { client.klines(series, startMs: nil, endMs: end, limit: 50, completion: one.completion) }
                promise.completion(mine.count { (try? $0.wait().get())?.map(\.close) == expected.map(\.close) && $0.count == 1 })
            }
        }
        for promise in right { #expect(try promise.wait() == 100) }
        #expect(rig.venue.statistics().connectionsAccepted <= 8, "connections are used again")
    }

    @Test func boundedQueue() throws {
        let server = try ScriptedServer("", lingers: true)
        var settings = quickSettings
        (settings.waitingMax, settings.concurrencyMax) = (10, 2)
        let client = try RestClient(base: server.base, market: .spot, settings: settings)
        let promises = (0..<15).map { _ in Promise<Klines>() }
        for promise in promises { client.klines(series, startMs: nil, endMs: nil, limit: 1, completion: promise.completion) }
        #expect(try promises[10...].allSatisfy { try $0.wait(seconds: 0.01).reason == .busy })
        client.stop()
        #expect(try promises[..<10].allSatisfy { try $0.wait().reason == .stopped })
        #expect(promises.allSatisfy { $0.count == 1 })
    }

    /// Stopped in the middle of everything: all are told, all connections closed, no thread and no descriptor left.
    @Test func stopLeavesNothing() throws {
        let server = try ScriptedServer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[", lingers: true)
        func entries(_ path: String) -> Int { (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0 }
        let client = try RestClient(base: server.base, market: .spot, settings: RestSettings())
        let promises = (0..<20).map { _ in Promise<Klines>() }
        for promise in promises { client.klines(series, startMs: nil, endMs: nil, limit: 1, completion: promise.completion) }
        try eventually(20, "four connections") { server.openConnections == 4 }
        client.stop()
        for promise in promises { #expect(try promise.wait().reason == .stopped && promise.count == 1) }
        try eventually(20, "the end of all connections") { server.openConnections == 0 }
        let late = Promise<Klines>()
        client.klines(series, startMs: nil, endMs: nil, limit: 1, completion: late.completion)
        #expect(try late.wait().reason == .stopped)
        client.stop()
        let before = entries("/proc/self/fd")
        for _ in 0..<20 {
            let short = try RestClient(base: server.base, market: .spot, settings: RestSettings())
            let promise = Promise<Klines>()
            short.klines(series, startMs: nil, endMs: nil, limit: 1, completion: promise.completion)
            short.stop()
            #expect(try promise.wait().reason == .stopped)
        }
        _ = comesTrue(within: 5) { server.openConnections == 0 }
        #expect(entries("/proc/self/fd") <= before + 8, "other tests may hold a few; twenty clients would hold 100")
    }

    @Test func stopFromACompletion() throws {
        let rig = try RestRig()
        let client = rig.client
        let promise = Promise<Bool>()
        client.klines(rig.series, startMs: nil, endMs: nil, limit: 1) { result in
            client.stop()
            promise.completion(!result.isFailure)
        }
        #expect(try promise.wait())
        #expect(try client.get(rig.series).reason == .stopped)
    }
}
