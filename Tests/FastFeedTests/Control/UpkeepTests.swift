// Whether Redis still holds what the service keeps there: what is asked, and what its answers mean.

import FastFeed
import Testing

struct UpkeepTests {
    private static func flux(_ name: String, _ symbols: [String] = ["btcusdt"], origin: FluxOrigin = .command) -> Flux {
        Flux(symbols: symbols.map { Symbol($0)! }, interval: .m1, name: name, history: 0, createdAtMs: 7, origin: origin)
    }

    private let schema = KeySchema(prefix: "p:", market: .um)

    private func book(_ fluxes: [Flux]) throws -> FluxBook {
        var book = FluxBook(
            market: .um, schema: schema, placement: Placement(readerCount: 1, streamsPerConnectionMax: 1_024), journal: Journal())
        for flux in fluxes { _ = try book.add(flux) }
        return book
    }

    /// Each symbol with when it was heard, 0 for never.
    private func standing(_ flux: Flux, _ heardMs: [Int64]) -> FluxOnBoard {
        let series = zip(flux.symbols, heardMs).map { symbol, atMs in
            var standing = FluxStanding()
            (standing.seriesLive, standing.lastUpdateMs) = (atMs > 0 ? 1 : 0, atMs)
            return (symbol: symbol, standing: standing)
        }
        return FluxOnBoard(flux: flux, standing: FluxStanding(), series: series)
    }

    @Test func theRegistry() throws {
        var upkeep = Upkeep(schema: schema)
        let (a, b) = (UpkeepTests.flux("a"), UpkeepTests.flux("b"))
        let book = try book([a, b, UpkeepTests.flux("c", origin: .configuration)])
        let questions = [["HLEN", "p:fluxes:um"], ["HGET", "p:fluxes:um", "a"], ["HGET", "p:fluxes:um", "b"]]
        #expect(upkeep.questions(registry: book, keeper: nil, standings: nil) == questions)
        let entries = [a, b].map { RedisReply.bytes(Array($0.json.utf8)) }
        #expect(upkeep.losses([.integer(2)] + entries).isEmpty && upkeep.losses([.integer(3)] + entries).isEmpty)
        #expect(upkeep.losses([.integer(1), entries[0], .null]) == [.registry])
        #expect(upkeep.losses([.integer(2), entries[0], .bytes(Array("{}".utf8))]) == [.registry], "overwritten")
        let denied = RedisReply.error("NOPERM")
        #expect(upkeep.losses([denied, denied, denied]).isEmpty, "what Redis will not say is not lost")
        // Who keeps it, which others go by.
        let keeper = [["GET", "p:fluxes:um:keeper:{p:fluxes:um}"]]
        #expect(upkeep.questions(registry: book, keeper: "h 1 a", standings: nil) == questions + keeper)
        func losses(_ keeper: RedisReply) -> [Upkeep.Thing] { upkeep.losses([.integer(2)] + entries + [keeper]) }
        #expect(losses(.bytes(Array("h 1 a".utf8))).isEmpty && losses(denied).isEmpty)
        #expect(losses(.null) == [.registry] && losses(.bytes(Array("h 2 b".utf8))) == [.registry])
        #expect(upkeep.questions(registry: nil, keeper: "h 1 a", standings: nil).isEmpty)
    }

    @Test("Of many fluxes each has its turn")
    func turns() throws {
        var upkeep = Upkeep(schema: schema)
        let book = try book((0..<100).map { UpkeepTests.flux("f\($0)") })
        var asked: [String] = []
        for _ in 0..<4 {
            let questions = upkeep.questions(registry: book, keeper: nil, standings: nil)
            #expect(questions.count == 1 + Limits.registryChecksMax && questions[0] == ["HLEN", "p:fluxes:um"])
            asked += questions.dropFirst().map { $0[2] }
        }
        #expect(Set(asked).count == 100 && Set(asked.prefix(100)).count == 100)
    }

    @Test func newestStates() {
        var upkeep = Upkeep(schema: schema)
        let flux = UpkeepTests.flux("a", ["btcusdt", "ethusdt", "solusdt"])
        let standings = [standing(flux, [50, 20, 0]), standing(UpkeepTests.flux("b"), [50])]
        #expect(
            upkeep.questions(registry: nil, keeper: "h 1 a", standings: standings).isEmpty,
            "what was only just heard may still be on its way")
        let questions = [["HLEN", "p:latest:um:1m"], ["HGET", "p:latest:um:1m", "ethusdt"]]
        #expect(
            upkeep.questions(registry: nil, keeper: "h 1 a", standings: standings) == questions, "the quietest does not come back by itself"
        )
        let state = RedisReply.bytes([0x7B])
        #expect(upkeep.losses([.integer(2), state]).isEmpty && upkeep.losses([.integer(9), state]).isEmpty)
        #expect(upkeep.losses([.integer(1), state]) == [.latest] && upkeep.losses([.integer(9), .null]) == [.latest])
        #expect(upkeep.losses([.error("NOPERM"), .error("NOPERM")]).isEmpty)
        #expect(upkeep.questions(registry: nil, keeper: "h 1 a", standings: []).isEmpty)
    }
}
