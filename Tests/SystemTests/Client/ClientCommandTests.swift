// Commands against a real redis-server and a scripted service: what is asked, what is answered, what goes wrong.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Client: commands", .serialized)
struct ClientCommandTests {
    private let server: RedisServerProcess

    init() throws { server = try RedisServerProcess() }

    private func connect(timeoutMs: Int = 20_000, prefix: String = "") async throws -> FluxClient {
        try await FluxClient.connect(server.endpoint, keyPrefix: prefix, timeout: .milliseconds(timeoutMs))
    }

    @Test("Each command is asked as documented and its answer understood; no channel stays")
    func commands() async throws {
        let service = try ScriptedService(server.endpoint)
        let client = try await connect()
        let created = try await client.createFlux(symbols: ["ethusdt", "btcusdt"], interval: .m1, history: 10)
        #expect((created.id, created.created) == ("1m_btcusdt-ethusdt", true))
        #expect(try await client.createFlux(symbols: ["a\"\u{1}"], interval: .month1, name: "old").created == false)
        try await client.stopFlux("old")
        let fluxes = try await client.listFluxes()
        #expect(fluxes.map(\.id) == ["1m_btcusdt-ethusdt", "slow"])
        #expect(
            fluxes[0].symbols.map(\.name) == ["btcusdt", "ethusdt"] && fluxes[0].state == .live
                && fluxes[0].lastUpdateAt == 1_790_000_001_000)
        #expect(fluxes[1].interval == .month1 && fluxes[1].lastUpdateAt == nil)
        let status = try await client.status()
        #expect(status.state == .live && status.pid == 77 && status["messages_total"] == 1_234_567 && status["bogus"] == nil)
        #expect(status.figures.map(\.name) == ["messages_total", "latency_p99_us"])
        let flux = try await client.status(of: "1m_btcusdt-ethusdt")
        #expect(flux.flux.id == "1m_btcusdt-ethusdt" && (flux.candlesTotal, flux.gapsOpen) == (5, 0) && flux.refusedSymbols.isEmpty)
        let data = try await client.data(symbol: "btcusdt", interval: .m1, limit: 3, start: 5, end: 6)
        #expect(data.rows.count == 3 && data.source == .redis && data.tookMicroseconds == 312)
        #expect("\(data.rows[0].open)" == "50000.00000001" && data.rows[0].isClosed && !data.rows[2].isClosed)
        #expect(try await client.data(symbol: "btcusdt", interval: .m1, limit: 1_500).rows.count == 1_500)
        let gaps = try await client.gaps()
        #expect(gaps.gaps.map(\.symbol.name) == ["btcusdt", "ethusdt"] && gaps.gaps[0].cause == .missed && !gaps.isComplete)
        #expect(try await client.gaps(symbol: "ethusdt", interval: .m1, fluxID: "x").isComplete)
        try await client.backfill(symbol: "btcusdt", interval: .m1, count: 20)
        let audit = try await client.audit(symbol: "btcusdt", interval: .m1)
        #expect(audit.checked == 1_000 && audit.findings.map(\.kind) == [.different] && !audit.repaired)
        #expect(try await client.audit(symbol: "btcusdt", interval: .m1, limit: 5, repair: true).repaired)
        let listed = try await client.symbols()
        #expect(listed.symbols.map(\.symbol.name) == ["btcusdt", "newusdt"] && listed.total == 2 && listed.updatedAt == 1_790_000_000_000)
        let first = listed.symbols[0]
        #expect((first.base, first.quote, first.status, first.trades) == ("BTC", "USDT", "TRADING", 1_234))
        #expect(first.quoteVolume?.description == "1234567890.5" && listed.symbols[1].quoteVolume == nil && listed.symbols[1].trades == nil)
        #expect(try await client.symbols(search: "b", quote: "USDT", status: "any", limit: 1).symbols.count == 1)
        let asked = service.heardRequests.map { $0.replacing(/"request_id":"[0-9a-f]{32}"/, with: "ID") }
        #expect(
            asked == [
                "{ID,\"symbols\":[\"ethusdt\",\"btcusdt\"],\"interval\":\"1m\",\"history\":10}",
                "{ID,\"symbols\":[\"a\\\"\\u0001\"],\"interval\":\"1M\",\"name\":\"old\"}", "{ID,\"flux_id\":\"old\"}", "{ID}", "{ID}",
                "{ID,\"flux_id\":\"1m_btcusdt-ethusdt\"}",
                "{ID,\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"limit\":3,\"start\":5,\"end\":6}",
                "{ID,\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"limit\":1500}", "{ID}",
                "{ID,\"symbol\":\"ethusdt\",\"interval\":\"1m\",\"flux_id\":\"x\"}",
                "{ID,\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"count\":20}",
                "{ID,\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"repair\":false}",
                "{ID,\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"limit\":5,\"repair\":true}", "{ID}",
                "{ID,\"quote\":\"USDT\",\"status\":\"any\",\"search\":\"b\",\"limit\":1}",
            ])
        let observer = try RedisClient.connect(server.endpoint)
        try await eventually(20, "no channel listened to") { try channels(observer).isEmpty }
    }

    @Test("The key prefix stands before every channel")
    func keyPrefix() async throws {
        let service = try ScriptedService(server.endpoint, prefix: "test:")
        let client = try await connect(prefix: "test:")
        #expect(try await client.listFluxes().count == 2)
        let updates = try await client.updates(symbol: "BTCUSDT", interval: .m1)
        let publisher = try RedisClient.connect(server.endpoint)
        #expect(try publisher.command("PUBLISH", "test:updates:{btcusdt}:1m", ScriptedService.update(1)).integer == 1)
        #expect(await updates.first { _ in true }?.updates == 1)
        await #expect(throws: FluxError.serviceNotRunning) { try await connect().listFluxes() }
        service.stop()
    }

    @Test("The market stands in every channel")
    func market() async throws {
        let service = try ScriptedService(server.endpoint) { command, request in
            command.hasPrefix("um:") ? ScriptedService.wellBehaved(String(command.dropFirst(3)), request) : []
        }
        let client = try await FluxClient.connect(server.endpoint, market: .um, timeout: .seconds(20))
        #expect(try await client.listFluxes().count == 2)
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        let publisher = try RedisClient.connect(server.endpoint)
        #expect(try publisher.command("PUBLISH", "updates:{um:btcusdt}:1m", ScriptedService.update(1)).integer == 1)
        #expect(await updates.first { _ in true }?.updates == 1)
        service.stop()
    }

    @Test("The service's no comes with its code and words")
    func refused() async throws {
        let service = try ScriptedService(server.endpoint)
        let client = try await connect()
        await #expect(throws: FluxError.refused(code: .unknownFlux, message: "there is no flux 'none'")) {
            try await client.stopFlux("none")
        }
        await #expect(throws: FluxError.refused(code: .unknownSymbol, message: "unknown symbol 'btcusd': did you mean btcusdt, btcusdc?")) {
            try await client.createFlux(symbols: ["btcusd"], interval: .m1)
        }
        service.stop()
    }

    @Test("Nobody listens: the service is not running. Nobody answers: a time-out, as long as asked for")
    func silence() async throws {
        let client = try await connect(timeoutMs: 3_000)
        await #expect(throws: FluxError.serviceNotRunning) { try await client.listFluxes() }
        let service = try ScriptedService(server.endpoint) { _, _ in [] }
        let started = ContinuousClock.now
        await #expect(throws: FluxError.timeout(after: .seconds(3))) { try await client.listFluxes() }
        #expect((.milliseconds(2_990) ... .seconds(20)).contains(ContinuousClock.now - started))
        let observer = try RedisClient.connect(server.endpoint)
        try await eventually(20, "no channel listened to") { try channels(observer).isEmpty }
        service.stop()
    }

    /// What a bad service says, and what the complaint names.
    static let answers: [(name: String, answer: @Sendable (JSONValue) -> String, complaint: String)] = [
        ("empty", { _ in "" }, "not JSON"),
        ("broken", { ScriptedService.ok($0, "\"fluxes\":[") }, "not JSON"),
        ("no object", { _ in "[1]" }, "not a JSON object"),
        ("another id", { _ in "{\"request_id\":\"x\",\"status\":\"ok\",\"fluxes\":[]}" }, "request_id"),
        ("no id", { _ in "{\"status\":\"ok\",\"fluxes\":[]}" }, "request_id"),
        ("no status", { "{\"request_id\":\(ScriptedService.id($0))}" }, "status"),
        ("bare error", { "{\"request_id\":\(ScriptedService.id($0)),\"status\":\"error\",\"error\":\"no\"}" }, "without code"),
        ("no list", { ScriptedService.ok($0, "\"fluxes\":{}") }, "fluxes"),
        ("bad flux", { ScriptedService.ok($0, "\"fluxes\":[{\"flux_id\":1}]") }, "flux_id"),
        ("deep", { _ in String(repeating: "[", count: 10_000) }, "not JSON"),
        ("2 MB", { ScriptedService.ok($0, "\"fluxes\":[],\"pad\":\"\(String(repeating: "x", count: 2 << 20))\"") }, "bytes"),
    ]

    @Test("A hostile answer is a bad answer, and the next call is none the worse", arguments: answers.indices)
    func hostile(index: Int) async throws {
        let (name, answer, complaint) = ClientCommandTests.answers[index]
        let calls = Shared(0)
        let service = try ScriptedService(server.endpoint) { command, request in
            calls.withLock { $0 += 1 }
            return calls.value == 1 ? [answer(request)] : ScriptedService.wellBehaved(command, request)
        }
        let client = try await connect()
        let error = await #expect(throws: FluxError.self) { try await client.listFluxes() }
        guard case .badAnswer(let what) = error else {
            Issue.record("\(name): \(String(describing: error))")
            return
        }
        #expect(what.contains(complaint), "\(name): \(what)")
        #expect(try await client.listFluxes().count == 2)
        service.stop()
    }

    @Test("Of two answers the first one counts")
    func twice() async throws {
        let service = try ScriptedService(server.endpoint) { command, request in
            ScriptedService.wellBehaved(command, request) + [ScriptedService.no(request, "internal", "again")]
        }
        let client = try await connect()
        for _ in 0..<50 { #expect(try await client.listFluxes().count == 2) }
        service.stop()
    }

    @Test("Two hundred calls at once, each with its own answer")
    func concurrent() async throws {
        let service = try ScriptedService(server.endpoint)
        let client = try await connect(timeoutMs: 10_000)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask { try await client.createFlux(symbols: ["a"], interval: .m1, name: "flux\(number)").id == "flux\(number)" }
            }
            for try await isRight in group { #expect(isRight) }
        }
        service.stop()
    }

    @Test("Cancelling ends a call at once and leaves no subscription behind")
    func cancellation() async throws {
        let service = try ScriptedService(server.endpoint) { _, _ in [] }
        let client = try await connect(timeoutMs: 30_000)
        let observer = try RedisClient.connect(server.endpoint)
        let call = Task { try await client.listFluxes() }
        try await eventually(20, "one request") { service.heardRequests.count == 1 }
        #expect(try channels(observer).count == 1)
        let started = ContinuousClock.now
        call.cancel()
        await #expect(throws: FluxError.cancelled) { try await call.value }
        #expect(ContinuousClock.now - started < .seconds(15), "long before its time-out")
        try await eventually(20, "no channel listened to") { try channels(observer).isEmpty }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.listFluxes()
        }
        await #expect(throws: FluxError.cancelled) { try await early.value }
        service.stop()
    }

    @Test("A closed client says so, and wakes whoever waits")
    func closed() async throws {
        let service = try ScriptedService(server.endpoint) { _, _ in [] }
        let client = try await connect(timeoutMs: 30_000)
        let call = Task { try await client.listFluxes() }
        try await eventually(20, "one request") { service.heardRequests.count == 1 }
        client.close()
        await #expect(throws: FluxError.disconnected("the client is closed")) { try await call.value }
        await #expect(throws: FluxError.disconnected("the client is closed")) { try await client.listFluxes() }
        let observer = try RedisClient.connect(server.endpoint)
        try await eventually(20, "no channel listened to") { try channels(observer).isEmpty }
        service.stop()
    }
}
