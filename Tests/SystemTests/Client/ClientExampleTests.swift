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

        let client = try await FluxClient.connect(redis, timeout: .seconds(2))
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
        let client = try await FluxClient.connect(server.endpoint)
        do throws(FluxError) {
            _ = try await client.createFlux(symbols: ["btcusdt"], interval: .m1)
            Issue.record("nobody was there")
        } catch {
            switch error {
            case .serviceNotRunning: break  // start it
            case .refused(_, let message): Issue.record("\(message)")  // ask for something else
            case .timeout, .disconnected: Issue.record("\(error)")  // later, perhaps
            case .badAnswer, .badArgument, .cancelled: Issue.record("\(error)")
            }
        }
    }
}
