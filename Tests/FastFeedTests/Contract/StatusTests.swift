// Statuses: the two shapes of each, and that what is written is read.

import FastFeed
import Testing

struct StatusTests {
    /// Its texts look like numbers wherever they may.
    private let flux = FluxStatus(
        flux: FluxSummary(
            id: "42", symbols: [Symbol("1")!, Symbol("2")!], interval: .month1, state: .live, createdAt: 1_790_000_000_000,
            lastUpdateAt: nil),
        origin: .configuration, seriesLive: 1, refusedSymbols: [Symbol("2")!], candlesTotal: 7, gapsOpen: .max, history: 100)

    private let service = ServiceStatus(
        state: .degraded, version: "1", pid: 77, host: "10", market: .um, startedAt: 1, heartbeatAt: 2,
        figures: [.init("fluxes", UInt64(3)), .init("latency_p50_us", UInt64?.none), .init("latency_p99_us", UInt64(12))])

    private func read(_ members: [(String, JSONValue)]) throws -> JSONValue {
        try JSONValue(parsing: Array(JSONValue.members(members).text.utf8))
    }

    @Test("A flux named 42 is answered as text, its figures as numbers")
    func fluxShapes() throws {
        #expect(
            JSONValue.members(flux.members).text == """
                {"flux_id":"42","state":"live","symbols":"1,2","interval":"1M","origin":"configuration","created_at":1790000000000,\
                "last_update_at":0,"series":2,"series_live":1,"refused_symbols":"2","candles_total":7,"gaps_open":9223372036854775807,\
                "history":100}
                """)
        #expect(flux.hash.map(\.0) == flux.members.map(\.0))
        #expect(
            flux.hash.map(\.1) == [
                "42", "live", "1,2", "1M", "configuration", "1790000000000", "0", "2", "1", "2", "7", "9223372036854775807", "100",
            ])
        #expect(try FluxStatus(read(flux.members)) == flux)
    }

    @Test("The service's status; what is not measured is empty in both shapes")
    func serviceShapes() throws {
        #expect(
            JSONValue.members(service.members).text == """
                {"state":"degraded","version":"1","pid":77,"host":"10","market":"um","started_at":1,"heartbeat_at":2,"fluxes":3,\
                "latency_p50_us":"","latency_p99_us":12}
                """)
        #expect(service.hash.map(\.1) == ["degraded", "1", "77", "10", "um", "1", "2", "3", "", "12"])
        #expect(try ServiceStatus(read(service.members)) == service)
        #expect(service["latency_p99_us"] == 12 && service["latency_p50_us"] == nil && service["bogus"] == nil)
    }

    @Test("Words and members of a newer service are passed over; a missing member is named")
    func newer() throws {
        let words = flux.members.map { ["state", "origin"].contains($0.0) ? ($0.0, JSONValue.string("new")) : $0 }
        let newer = try FluxStatus(read(words + [("shard", .integer(3))]))
        #expect(newer.flux.state == nil && newer.origin == nil && newer.history == 100)
        let figures = try ServiceStatus(read(service.members + [("shards", .integer(3)), ("motto", .string("x"))])).figures
        #expect(figures == service.figures + [.init("shards", Int64(3))])
        for index in flux.members.indices where !["series", "last_update_at"].contains(flux.members[index].0) {
            var short = flux.members
            let missing = short.remove(at: index).0
            let error = #expect(throws: Malformed.self) { try FluxStatus(read(short)) }
            #expect(error?.what.contains(missing) == true, "\(missing): \(String(describing: error))")
        }
    }

    @Test("The summary in the list of fluxes")
    func summary() throws {
        #expect(
            flux.flux.json.text
                == #"{"flux_id":"42","symbols":["1","2"],"interval":"1M","state":"live","created_at":1790000000000,"last_update_at":0}"#)
        #expect(try FluxSummary(flux.flux.json) == flux.flux)
    }
}
