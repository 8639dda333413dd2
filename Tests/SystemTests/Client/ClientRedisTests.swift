// The client and its Redis: killed, restarted, frozen, refusing.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Client: Redis comes and goes", .serialized)
struct ClientRedisTests {
    @Test("Redis killed in the middle of a call: a typed error, and after its return the next call works")
    func killed() async throws {
        let server = try RedisServerProcess()
        let mute = try ScriptedService(server.endpoint) { _, _ in [] }
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        let call = Task { try await client.listFluxes() }
        try await eventually(20, "one request") { mute.heardRequests.count == 1 }
        // Delivered is more than heard: the number of receivers is on its way.
        try await Task.sleep(for: .milliseconds(50))
        server.kill9()
        let error = await #expect(throws: FluxError.self) { try await call.value }
        guard case .disconnected = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        guard case .disconnected = await #expect(throws: FluxError.self, performing: { try await client.listFluxes() }) else {
            Issue.record("not disconnected")
            return
        }
        try server.restart()
        let service = try ScriptedService(server.endpoint)
        #expect(try await client.listFluxes().count == 2)
        service.stop()
    }

    @Test("An idle client does not notice a restart")
    func restarted() async throws {
        let server = try RedisServerProcess()
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        try server.restart()
        let service = try ScriptedService(server.endpoint)
        #expect(try await client.listFluxes().count == 2)
        service.stop()
    }

    @Test("A Redis that is stopped in its tracks ends the call in time")
    func frozen() async throws {
        let server = try RedisServerProcess()
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(4))
        let pid = try #require(server.pid)
        kill(pid, SIGSTOP)
        let started = ContinuousClock.now
        guard case .disconnected = await #expect(throws: FluxError.self, performing: { try await client.listFluxes() }) else {
            Issue.record("not disconnected")
            return
        }
        #expect(ContinuousClock.now - started < .seconds(20))
        kill(pid, SIGCONT)
        await #expect(throws: FluxError.serviceNotRunning) { try await client.listFluxes() }
    }

    @Test("Nobody at the address, a wrong password, a forbidden channel")
    func refusals() async throws {
        let nowhere = try RedisEndpoint(url: "redis://127.0.0.1:1")
        guard case .disconnected = await #expect(throws: FluxError.self, performing: { try await FluxClient.connect(nowhere) }) else {
            Issue.record("not disconnected")
            return
        }
        let server = try RedisServerProcess()
        let administrator = try RedisClient.connect(server.endpoint)
        #expect(
            try administrator.command(
                "ACL", "SETUSER", "bot", "on", ">secret", "resetchannels", "&commands:*", "&responses:*", "+subscribe", "+unsubscribe",
                "+publish",
                "+ping"
            ).text == "OK")
        var endpoint = server.endpoint
        (endpoint.user, endpoint.password) = ("bot", "wrong")
        guard
            case .disconnected(let reason) = await #expect(
                throws: FluxError.self, performing: { try await FluxClient.connect(endpoint, timeout: .seconds(20)) })
        else {
            Issue.record("not disconnected")
            return
        }
        #expect(reason.contains("WRONGPASS"))
        endpoint.password = "secret"
        let service = try ScriptedService(server.endpoint)
        let client = try await FluxClient.connect(endpoint, timeout: .seconds(20))
        #expect(try await client.listFluxes().count == 2)
        let refusal = await #expect(throws: FluxError.self) { _ = try await client.updates(symbol: "btcusdt", interval: .m1) }
        guard case .disconnected(let words) = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(words.contains("NOPERM"))
        #expect(try await client.listFluxes().count == 2)
        service.stop()
    }
}
