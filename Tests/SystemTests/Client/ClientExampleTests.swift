// The client as a program uses it; the examples of the documentation, compiled and run.

import FastFeed
import RedisServer
import TestKit
import Testing

@Suite("Client: examples", .serialized)
struct ClientExampleTests {
    @Test("Create, look, listen, stop")
    func tour() async throws {
        let server = try RedisServerProcess()
        let service = try ScriptedService(server.endpoint)
        let redis = server.endpoint  // or: try RedisEndpoint(url: "rediss://redis.internal:6380")

        let client = try await FluxClient.connect(redis, timeout: .seconds(20))
        let flux = try await client.createFlux(symbols: ["btcusdt", "ethusdt"], interval: .m1, history: 100)
        #expect(flux.id == "1m_btcusdt-ethusdt")

        let data = try await client.data(symbol: "btcusdt", interval: .m1, limit: 2)
        for candle in data.rows where candle.isClosed {
            #expect("\(candle.close)" == "50000.10000000")  // exact text, as the exchange wrote it
        }

        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        let publisher = try RedisClient.connect(redis)
        _ = try publisher.command("PUBLISH", Keys.updates("btcusdt", .m1), ScriptedService.update(5))
        for await update in updates {
            #expect(update.symbol.name == "btcusdt" && update.updates == 5)
            break
        }

        try await client.stopFlux(flux.id)
        client.close()
        service.stop()
    }

    @Test("Telling failures apart")
    func failures() async throws {
        let server = try RedisServerProcess()
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        do throws(FluxError) {
            _ = try await client.createFlux(symbols: ["btcusdt"], interval: .m1)
            Issue.record("nobody was there")
        } catch {
            switch error {
            case .serviceNotRunning: break  // start it
            case .refused(_, let message): Issue.record("\(message)")  // ask for something else
            case .timeout, .disconnected: Issue.record("\(error)")  // later, perhaps
            case .badAnswer, .badArgument, .noUpdates, .cancelled: Issue.record("\(error)")
            }
        }
    }

    @Test("History and changes with one question (docs/continuity.md)")
    func continuity() throws {
        let server = try RedisServerProcess()
        let writer = try RedisClient.connect(server.endpoint)
        func write(_ minutes: [(Int, close: String)]) throws {
            for (minute, close) in minutes {
                #expect(try writer.command("XADD", "candles:{btcusdt}:1m", "\(minute * 60_000)-0", "close", close).text != nil)
            }
        }
        try write([(1, "1.0"), (2, "2.0"), (3, "3.0"), (5, "5.0")])

        let redis = try RedisClient.connect(server.endpoint)
        let (candles, changes) = ("candles:{btcusdt}:1m", "changes:{btcusdt}:1m")
        var history: [Int64: [String: String]] = [:]  // by open time
        var newest = "0-0"
        var changed = try redis.command("XREVRANGE", changes, "+", "-", "COUNT", "1").elements.first?.elements[0].text ?? "0-0"

        func take(_ entry: RedisReply) {
            guard let id = entry.elements[0].text, let open = Int64(id.prefix { $0 != "-" }) else { return }
            history[open] = Dictionary(entry.elements[1].pairs) { $1 }
        }
        for entry in try redis.command("XRANGE", candles, "-", "+").elements {
            take(entry)
            newest = entry.elements[0].text ?? newest
        }
        #expect(history.keys.sorted() == [60_000, 120_000, 180_000, 300_000])

        // As the service does it: one is removed, one corrected, one inserted, one is new.
        _ = try writer.command("DEL", candles)
        try write([(2, "2.0"), (3, "3.1"), (4, "4.0"), (5, "5.0"), (6, "6.0")])
        for (minute, kind) in [(1, "removed"), (3, "corrected"), (4, "inserted")] {
            let fields = ["open_time", "\(minute * 60_000)", "kind", kind, "revision", "0", "source", "backfill"]
            #expect(try writer.command(["XADD", changes, "*"] + fields).text != nil)
        }
        while history[360_000] == nil {
            let reply = try redis.command("XREAD", "BLOCK", "1000", "STREAMS", candles, changes, newest, changed)
            for stream in reply.elements {
                for entry in stream.elements[1].elements {
                    let id = entry.elements[0].text ?? "0-0"
                    if stream.elements[0].text == candles {
                        take(entry)
                        newest = id
                    } else if let open = entry.elements[1].pairs.first(where: { $0.0 == "open_time" })?.1 {
                        changed = id
                        history[Int64(open) ?? 0] = nil
                        for entry in try redis.command("XRANGE", candles, "\(open)-0", "\(open)-0").elements { take(entry) }
                    }
                }
            }
        }
        #expect(history.mapValues { $0["close"] } == [120_000: "2.0", 180_000: "3.1", 240_000: "4.0", 300_000: "5.0", 360_000: "6.0"])
    }
}
