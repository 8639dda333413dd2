// Statuses: the two shapes of each, and that what is written is read.

import FastFeed
import Testing

struct StatusTests {
    /// Its texts look like numbers wherever they may.
    private let flux = """
        {"flux_id":"42","state":"live","symbols":"1,2","interval":"1M","origin":"configuration","created_at":1790000000000,\
        "last_update_at":0,"series":2,"series_live":1,"refused_symbols":"1:unknown,2:BREAK","candles_total":7,"gaps_open":9223372036854775807,\
        "history":100}
        """
    private let service = """
        {"state":"degraded","version":"1","pid":77,"host":"10","market":"um","started_at":1,"heartbeat_at":2,\
        "exchange_error":"","exchange_error_at":0,"rest_error":"","rest_error_at":0,"redis_error":"2","redis_error_at":9,\
        "redis_mode":"sentinel","redis_primary":"10.0.0.7:6379","update_mode":"off","fluxes":3,\
        "latency_p50_us":"","latency_p99_us":12}
        """

    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test("A flux named 42 is answered as text, its figures as numbers")
    func fluxShapes() throws {
        let status = try FluxStatus(json(flux))
        #expect(status.flux.id == "42" && status.flux.symbols.map(\.name) == ["1", "2"] && status.flux.interval == .month1)
        #expect((status.flux.state, status.flux.createdAt, status.flux.lastUpdateAt) == (.live, 1_790_000_000_000, nil))
        #expect((status.origin, status.flux.seriesLive, status.candlesTotal, status.history) == (.configuration, 1, 7, 100))
        #expect(status.refusedSymbols == [RefusedSymbol(Symbol("1")!, .unknown), RefusedSymbol(Symbol("2")!, .halted("BREAK"))])
        #expect(status.gapsOpen == 9_223_372_036_854_775_807)
        #expect(JSONValue.members(status.members).text == flux)
        #expect(status.hash.map(\.0) == status.members.map(\.0))
        #expect(
            status.hash.map(\.1) == [
                "42", "live", "1,2", "1M", "configuration", "1790000000000", "0", "2", "1", "1:unknown,2:BREAK", "7", "9223372036854775807",
                "100",
            ])
    }

    @Test("The service's status; what is not measured is empty in both shapes")
    func serviceShapes() throws {
        let status = try ServiceStatus(json(service))
        #expect((status.state, status.version, status.pid, status.host, status.market) == (.degraded, "1", 77, "10", .um))
        #expect(status["latency_p99_us"] == 12 && status["latency_p50_us"] == nil && status["bogus"] == nil)
        #expect(status.figures.map(\.name) == ["fluxes", Field.latency("p50"), Field.latency("p99")])
        #expect(JSONValue.members(status.members).text == service)
        #expect(
            status.hash.map(\.1) == [
                "degraded", "1", "77", "10", "um", "1", "2", "", "0", "", "0", "2", "9", "sentinel", "10.0.0.7:6379", "off", "3", "",
                "12",
            ])
        #expect((status.redisMode, status.redisPrimary, status.updates) == ("sentinel", "10.0.0.7:6379", .off))
        #expect(status.troubles.map { "\($0.part) \($0.reason) \($0.at)" } == ["redis 2 9"])
        // An older service does not say it.
        let older = self.service.replacing(/"exchange_error.*"update_mode":"off",/, with: "")
        let old = try ServiceStatus(json(older))
        #expect(old.troubles.isEmpty && old.redisMode.isEmpty && old.updates == nil)
    }

    @Test("Words and members of a newer service are passed over; a missing member is named")
    func newer() throws {
        let members = try FluxStatus(json(flux)).members
        func read(_ members: [(String, JSONValue)]) throws -> FluxStatus { try FluxStatus(json(JSONValue.members(members).text)) }
        let words = members.map { ["state", "origin"].contains($0.0) ? ($0.0, JSONValue.string("new")) : $0 }
        let newer = try read(words + [("shard", .integer(3))])
        #expect(newer.flux.state == nil && newer.origin == nil && newer.history == 100)
        let more = try ServiceStatus(json(service.dropLast() + ",\"shards\":3,\"motto\":\"x\"}"))
        #expect(more.figures.map(\.name).suffix(2) == ["latency_p99_us", "shards"] && more["shards"] == 3)
        for index in members.indices where !["series", "last_update_at"].contains(members[index].0) {
            var short = members
            let missing = short.remove(at: index).0
            let error = #expect(throws: Malformed.self) { try read(short) }
            #expect(error?.what.contains(missing) == true, "\(missing): \(String(describing: error))")
        }
    }

    @Test("The summary in the list of fluxes")
    func summary() throws {
        let text =
            #"{"flux_id":"42","symbols":["1","2"],"interval":"1M","state":"live","created_at":1790000000000,"last_update_at":0,"series_live":1}"#
        let summary = try FluxSummary(json(text))
        #expect(summary.json.text == text)
        #expect(try summary == FluxStatus(json(flux)).flux)
    }
}
