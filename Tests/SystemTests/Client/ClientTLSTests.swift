// The client over TLS, as a user with a password: a real redis-server, a real service behind it; and whom it does not trust.

import FastFeed
import Foundation
import RedisServer
import Testing
import VenueSimulator

@Suite("Client: TLS and a password", .serialized)
struct ClientTLSTests {
    /// A redis-server with a certificate for 127.0.0.1 alone.
    private static func tls(_ authority: TestAuthority) throws -> RedisTLS {
        let certificate = try authority.issue("redis") { $0.names = "IP:127.0.0.1" }
        return try RedisTLS(
            certificateFile: certificate.certificate, keyFile: certificate.key, authorityFile: authority.root.certificate)
    }

    private static func endpoint(
        _ tls: RedisTLS, host: String = "127.0.0.1", password: String = "s3cret", trusting authority: TestAuthority
    ) throws -> RedisEndpoint {
        var endpoint = try RedisEndpoint(url: "rediss://bot:\(password)@\(host):\(tls.port)")
        endpoint.authorityFile = authority.root.certificate
        return endpoint
    }

    private static func addUser(_ client: RedisClient) throws {
        let rights = ["resetchannels", "&commands:*", "&responses:*", "&updates:*", "+subscribe", "+unsubscribe", "+publish", "+ping"]
        #expect(try client.command(["ACL", "SETUSER", "bot", "on", ">s3cret"] + rights).text == "OK")
    }

    @Test("Create, data, updates and stop through rediss:// with user and password")
    func conversation() async throws {
        let authority = try TestAuthority()
        var options = Rig.Options()
        options.simulator.symbolCount = 3
        options.simulator.pushPeriodMs = 100
        let tls = try ClientTLSTests.tls(authority)
        options.redisTLS = tls
        options.adjust = {
            $0.fluxes = []
            $0.takesCommands = true
        }
        let rig = try Rig(options)
        try ClientTLSTests.addUser(rig.client)
        rig.wait(seconds: 20, "the service to take commands") { rig.isServing }
        let client = try await FluxClient.connect(try ClientTLSTests.endpoint(tls, trusting: authority), timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .s1)
        let flux = try await client.createFlux(symbols: ["btcusdt", "ethusdt"], interval: .s1)
        #expect(flux.id == "1s_btcusdt-ethusdt" && flux.created)
        var closed: [Int64] = []
        for await update in updates {
            #expect(update.symbol.name == "btcusdt")
            closed += update.candles.filter(\.isClosed).map(\.openTime)
            if closed.count >= 2 { break }
        }
        #expect(updates.missed == 0 && updates.interruptions == 0)
        let data = try await client.data(symbol: "btcusdt", interval: .s1, limit: 100)
        #expect(Set(closed).isSubset(of: data.rows.filter(\.isClosed).map(\.openTime)))
        try await client.stopFlux(flux.id)
        #expect(try await client.listFluxes().isEmpty)
        client.close()
        let error = await #expect(throws: FluxError.self) { try await client.listFluxes() }
        guard case .disconnected = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(rig.finish().isClean)
    }

    @Test("Another host name, an unknown authority, a wrong password, no TLS: a typed error that names the reason")
    func refusals() async throws {
        let (authority, stranger) = (try TestAuthority(), try TestAuthority())
        let tls = try ClientTLSTests.tls(authority)
        var options = RedisServerProcess.Options()
        options.arguments = tls.arguments
        let server = try RedisServerProcess(options)
        defer { server.stop() }
        try ClientTLSTests.addUser(try RedisClient.connect(server.endpoint))
        var plain = try ClientTLSTests.endpoint(tls, trusting: authority)
        (plain.isSecure, plain.authorityFile) = (false, nil)
        let cases: [(RedisEndpoint, String)] = try [
            (ClientTLSTests.endpoint(tls, host: "localhost", trusting: authority), "hostname mismatch"),
            (ClientTLSTests.endpoint(tls, trusting: stranger), "certificate refused"),
            (ClientTLSTests.endpoint(tls, password: "wrong", trusting: authority), "WRONGPASS"),
            (plain, "\(plain)"),
        ]
        for (endpoint, named) in cases {
            let error = await #expect(throws: FluxError.self) { try await FluxClient.connect(endpoint, timeout: .seconds(10)) }
            guard case .disconnected(let reason) = error else {
                Issue.record("\(named): \(String(describing: error))")
                continue
            }
            #expect(reason.contains(named) && !reason.contains("s3cret"), "\(reason)")
        }
        // The right one, so that the test can fail.
        let client = try await FluxClient.connect(try ClientTLSTests.endpoint(tls, trusting: authority), timeout: .seconds(20))
        await #expect(throws: FluxError.serviceNotRunning) { try await client.listFluxes() }
    }
}
