// Who is not trusted, and who shares: certificates, plain text, and two engines on the same series.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite(.serialized)
struct RefusalTests {
    /// The reason of the first failed connection, from the engine's own log.
    private func failure(of rig: Rig) -> String {
        var found = ""
        rig.wait(seconds: 20, "a refusal in the log") {
            for line in rig.engine.drainJournal() where line.message.contains("cannot connect") {
                found = line.fields.first { $0.0 == "reason" }?.1 ?? ""
            }
            return !found.isEmpty
        }
        return found
    }

    private func rig(_ adjust: @escaping (inout EngineConfiguration) -> Void) throws -> Rig {
        var options = Rig.Options()
        options.simulator.symbolCount = 2
        options.simulator.usesTLS = true
        options.adjust = adjust
        return try Rig(options)
    }

    @Test func anUnknownAuthorityIsRefused() throws {
        let rig = try rig { $0.venueAuthorityFile = nil }
        let reason = failure(of: rig)
        #expect(reason.contains("certificate refused") && reason.hasSuffix("with --ca-file"), "\(reason)")
        #expect(rig.counters[.connectionsOpened] == 0 && rig.counters[.messagesReceived] == 0)
        _ = rig.engine.stop()
    }

    /// As in a slim container: for the streams and for REST alike. An authority that somebody has named is not the store's affair.
    @Test func aMissingCertificateStoreIsSaid() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 1
        simulator.usesTLS = true
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        let nowhere = ["SSL_CERT_FILE": "/nowhere/cert.pem", "SSL_CERT_DIR": "/nowhere"]
        let redis = try RedisServerProcess()
        let arguments = [
            "run", "--flux", "btcusdt:1m", "--redis", "unix://\(redis.socketPath)", "--venue-ws", venue.webSocketBase, "--venue-rest",
            venue.restBase,
        ]
        let advice = "install ca-certificates, or name a file with --ca-file"
        let run = try ProgramRun(arguments, environment: nowhere)
        for message in ["cannot connect to the exchange", "no list of symbols comes"] {
            let isSaid = comesTrue(within: 40) {
                run.errorText.split(separator: "\n").contains { $0.contains(message) && $0.contains(advice) }
            }
            #expect(isSaid, "\(message): \(run.errorText)")
        }
        let other = try TestAuthority()
        let named = try ProgramRun(arguments + ["--ca-file", other.root.certificate], environment: nowhere)
        #expect(named.shows("certificate refused"), "\(named.errorText)")
        for program in [run, named] {
            program.signal(SIGTERM)
            #expect(program.end() == 0)
        }
        #expect(!named.errorText.contains("ca-certificates"), "\(named.errorText)")
        let client = try TLSContext.client(setting: "--redis-ca-file")
        #expect(client.advised("certificate refused: unable to get local issuer certificate").hasSuffix("with --redis-ca-file"))
        #expect(client.advised("certificate refused: certificate has expired") == "certificate refused: certificate has expired")
    }

    @Test func anotherHostNameIsRefused() throws {
        // The certificate is for localhost and 127.0.0.1. "127.1" is resolved to that address, but it is another name.
        let rig = try rig { configuration in
            let venue = configuration.venue!
            configuration.venue = WebSocketEndpoint(isSecure: true, host: "127.1", port: venue.authority.port)
        }
        let reason = failure(of: rig)
        #expect(reason.contains("certificate refused") && reason.lowercased().contains("hostname mismatch"), "\(reason)")
        #expect(rig.counters[.connectionsOpened] == 0)
        _ = rig.engine.stop()
    }

    @Test func plainTextToAnotherMachineIsRefusedBeforeItStarts() throws {
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.venue = try WebSocketEndpoint(url: "ws://192.0.2.1:9443")
        #expect(throws: FeedError.self) { try configuration.validate() }
        configuration.allowsPlainRemote = true
        try configuration.validate()
    }

    @Test func twoEnginesOnTheSameSeriesLeaveOneEntryPerCandle() throws {
        var options = Rig.Options()
        options.simulator.symbolCount = 200
        options.simulator.pace = .realTime(speed: 10)
        options.intervals = [.s1]
        let rig = try Rig(options)
        var configuration = EngineConfiguration()
        configuration.fluxes = [FluxDefinition(symbols: rig.venue.symbols.map(\.symbol), intervals: [.s1])]
        configuration.venue = try WebSocketEndpoint(url: rig.venue.webSocketBase)
        configuration.redis = rig.redis.endpoint
        configuration.history = 100_000
        let second = try Engine(configuration)
        try second.start()
        rig.wait(seconds: 60, "both at work") { rig.counters[.closedWritten] > 5_000 && second.snapshot().counters[.closedWritten] > 4_000 }
        let report = rig.finish()
        #expect(report.isClean)
        #expect(second.stop().isClean)
        try rig.expectTruth()
        #expect(rig.counters[.historyScripts] + second.snapshot().counters[.historyScripts] > 1_000, "each candle was somebody's second")
    }
}
