// Candles that the program loses: the exit code, the last line, the totals, the status, monitor and the gaps tell one number.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Losses: one truth", .serialized)
struct LossTests {
    private func json(_ command: [String]) throws -> JSONValue {
        let run = try ProgramRun(command)
        // 1 for what is not well.
        try #require([0, 1].contains(run.end()), "\(run.errorText)")
        return try JSONValue(parsing: Array(run.outputText.utf8))
    }

    @Test("Refused for good and pushed out of a small queue")
    func oneNumber() throws {
        var simulator = SimulatorConfiguration()
        simulator.symbolCount = 50
        simulator.pace = .realTime(speed: 10)
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        let redis = try RedisServerProcess()
        #expect(try RedisClient.connect(redis.endpoint).command("SET", Keys.history("btcusdt", .s1), "not a stream").text == "OK")
        let symbols = venue.symbols.map(\.symbol.name).joined(separator: ",")
        let place = ["--redis", "unix://\(redis.socketPath)"]
        let options = ["--closed-queue", "256", "--report-seconds", "1", "--log-format", "json"]
        let run = try ProgramRun(["run", "--flux", "\(symbols):1s", "--venue-ws", venue.webSocketBase] + place + options)
        try eventually(30, "candles refused: \(run.errorText)") { run.errorText.contains(/"closed_rejected":[1-9]/) }
        redis.kill9()
        try eventually(30, "candles pushed out: \(run.errorText)") { run.errorText.contains(/"closed_queue_overflow":[1-9]/) }
        try redis.restart()
        venue.stop()

        // Until nothing moves any more.
        var (status, before) = (JSONValue.null, JSONValue.null)
        try eventually(30, "a status that stays: \(status.text)") {
            before = status
            // The service may be on its way back to Redis.
            let run = try ProgramRun(["status", "--json"] + place)
            status = [0, 1].contains(run.end()) ? try JSONValue(parsing: Array(run.outputText.utf8)) : .null
            func number(_ name: String) -> Int64? { status[name]?.integer }
            return number(Field.closedLost) ?? 0 > 0 && number("closed_pending") == 0
                && [Field.closedLost, Field.messagesTotal, "closed_written"].allSatisfy { number($0) == before[$0]?.integer }
        }
        let lost = try #require(status[Field.closedLost]?.integer)
        let look = try json(["monitor", "--count", "1", "--json"] + place)
        #expect(look["service"]?[Field.closedLost]?.integer == lost)
        let line = try ProgramRun(["monitor", "--count", "1", "--plain"] + place)
        #expect(line.end() == 0 && line.outputText.contains(" closed_lost \(lost)"), "\(line.outputText)")
        let id = try #require(look["fluxes"]?.array?.first?[Field.fluxID]?.string)
        let missed = try #require(status["gap_candles_missing"]?.integer) - #require(status["gap_candles_filled"]?.integer)
        // How a flux stands is asked of the sink every two seconds.
        try eventually(10, "gaps of the flux: \(lost + missed)") {
            try json(["status", id, "--json"] + place)[Field.gapsOpen]?.integer == lost + missed
        }

        run.signal(SIGTERM)
        #expect(run.end() == 4)
        let lines = try run.errorText.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        let total = try #require(lines.last { $0["message"]?.string == "total" })
        #expect(total[Field.closedLost]?.integer == lost)
        let (pushed, refused) = (total["closed_queue_overflow"]?.integer ?? 0, total["closed_rejected"]?.integer ?? 0)
        #expect(pushed > 0 && refused > 0 && pushed + refused == lost)
        #expect(lines.last?[Field.closedLost]?.integer == lost && lines.last?["closed_unwritten"]?.integer == 0)
    }
}
