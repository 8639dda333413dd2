// kill -9 of the real program in mid-stream, and its next start on the same Redis: the fluxes go on, every stored candle is there
// once and right, and what closed before and after is stored.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Control: kill -9 of the service", .serialized)
struct ServiceDeathTests {
    /// What the exchange had sent and Redis not yet acknowledged dies with the process: closes of so long before its end may be
    /// missing. (They are acknowledged within milliseconds; a machine may be busy.)
    private static let onTheWayMs: Int64 = 2_000

    private let venue: VenueSimulator
    private let redis: RedisServerProcess
    private let client: RedisClient

    init() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 12
        simulator.illiquidEvery = 0
        simulator.pushPeriodMs = 20
        venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        redis = try RedisServerProcess()
        client = try RedisClient.connect(redis.endpoint)
    }

    private func start() throws -> ProgramRun {
        try ProgramRun([
            "run", "--venue-ws", venue.webSocketBase, "--redis", "unix://\(redis.socketPath)", "--history", "100000",
        ])
    }

    /// The process id that the status names, too: the hash of the killed one stays for ten seconds.
    private func isLive(_ run: ProgramRun, _ ids: [String]) throws -> Bool {
        guard try client.command("HGET", Keys.service, "pid").text == "\(run.pid)" else { return false }
        return try ids.allSatisfy { try client.command("HGET", Keys.flux($0), "state").text == "live" }
    }

    private func stored(_ series: String) throws -> Int64 { try client.command("XLEN", Keys.history(series, .s1)).integer ?? 0 }

    @Test func fluxesAndCandlesSurviveKill9() throws {
        let first = try start()
        try eventually(20, "the first service") { try isLive(first, []) }
        let caller = try CommandCaller(redis.endpoint)
        let names = venue.symbols.map(\.symbol.name)
        func quoted(_ part: ArraySlice<String>) -> String { part.map { "\"\($0)\"" }.joined(separator: ",") }
        #expect(try caller.call("flux:create", "\"symbols\":[\(quoted(names[0..<8]))],\"interval\":\"1s\",\"name\":\"one\"").isOK)
        #expect(try caller.call("flux:create", "\"symbols\":[\(quoted(names[6..<12]))],\"interval\":\"1s\",\"name\":\"two\"").isOK)
        try eventually(30, "both fluxes, and closed candles of all series") {
            try isLive(first, ["one", "two"]) && names.allSatisfy { try stored($0) >= 4 }
        }

        let killedMs = WallClock.nowMs()
        first.signal(SIGKILL)
        #expect(first.end() == -SIGKILL)
        let before = try Dictionary(uniqueKeysWithValues: names.map { ($0, try stored($0)) })
        let second = try start()
        try eventually(30, "the fluxes of before") { try isLive(second, ["one", "two"]) }
        let resumedMs = WallClock.nowMs()
        try eventually(30, "more closed candles of all series") { try names.allSatisfy { try stored($0) >= before[$0]! + 4 } }
        let list = try caller.call("flux:list")["fluxes"] as? [[String: Any]] ?? []
        #expect(list.compactMap { $0["flux_id"] as? String } == ["one", "two"])
        #expect(
            list.first?["symbols"] as? [String] == names[0..<8].sorted() && list.last?["symbols"] as? [String] == names[6..<12].sorted())
        #expect(try caller.call("data:get", "\"symbol\":\"\(names[7])\",\"interval\":\"1s\"").isOK)
        #expect(try caller.call("flux:stop", #""flux_id":"two""#).isOK)
        #expect(try caller.call("flux:create", #""symbols":["btcusdt"],"interval":"1s","name":"three""#).isOK)

        venue.stop()
        usleep(500_000)
        second.signal(SIGTERM)
        #expect(second.end() == 0, "\(second.errorText)")
        try expectTruth(killedMs: killedMs, resumedMs: resumedMs)
    }

    /// - Parameter killedMs: closes up to a little before are stored, and so are those from `resumedMs` on.
    private func expectTruth(killedMs: Int64, resumedMs: Int64) throws {
        let closed = venue.closedCandles()
        let lastSafeMs = killedMs - ServiceDeathTests.onTheWayMs
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkHistories(closed) { closed, _ in
            closed.delivered && (closed.candle.eventTimeMs <= lastSafeMs || closed.candle.eventTimeMs >= resumedMs)
        }
        #expect(check.isFlawless, "killed at \(killedMs): \(check)")
        #expect(check.stored >= 12 * 8)
        for (series, closed) in Dictionary(grouping: closed, by: \.series) {
            #expect(closed.contains { $0.candle.eventTimeMs < lastSafeMs }, "\(series)")
        }
        #expect(Set(closed.map(\.series)).count == 12)
    }
}
