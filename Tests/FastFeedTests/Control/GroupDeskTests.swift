// What a group makes of fluxes, commands and the status: who follows and writes which part, whose a request is, and how parts add up.

import FastFeed
import TestKit
import Testing

struct FluxBookGroupTests {
    private static let symbols = (0..<40).map { Symbol("s\($0)usdt")! }

    private func makeBook() -> FluxBook {
        var book = FluxBook(
            market: .um, schema: KeySchema(prefix: "p:", market: .um), placement: Placement(readerCount: 1, streamsPerConnectionMax: 16),
            journal: Journal())
        book.share = GroupShare(member: "a", view: .empty(copies: 1))
        return book
    }

    private func flux(_ name: String, _ symbols: [Symbol], _ interval: Interval = .m1, history: Int = 0) -> Flux {
        Flux(symbols: symbols, interval: interval, name: name, history: history, createdAtMs: 7, origin: .command)
    }

    private func share(_ states: [String: MemberState], copies: Int = 1, of member: String = "a") -> GroupShare {
        GroupShare(member: member, view: GroupView(states, copies: copies))
    }

    @Test("Nothing before the group was seen; all when alone; its part when others come, and what it does not write is a copy")
    func shares() throws {
        var book = makeBook()
        let (one, two) = (flux("one", FluxBookGroupTests.symbols), flux("two", Array(FluxBookGroupTests.symbols.prefix(10)), history: 50))
        for flux in [one, two] { #expect(try book.add(flux).series.isEmpty) }
        #expect(book.placement.seriesCount == 0 && book.wantedCount == 40 && book.parts.isEmpty && book.followed.isEmpty)

        let alone = book.take(share(["a": .member]))
        #expect(alone.disown.isEmpty && alone.own.isEmpty && alone.unfollow.isEmpty)
        #expect(Set(alone.follow.flatMap(\.series)).count == 40 && alone.follow.allSatisfy(\.copies.isEmpty))
        #expect(book.followed.count == 40 && book.writtenCount == 40)
        #expect(Dictionary(grouping: alone.follow) { $0.history }.mapValues { Set($0.flatMap(\.series)).count } == [0: 30, 50: 10])

        let shared = book.take(share(["a": .member, "b": .member], copies: 2))
        let given = shared.disown.count
        #expect((8...32).contains(given) && shared.follow.isEmpty && shared.own.isEmpty && shared.unfollow.isEmpty)
        #expect(book.placement.seriesCount == 40 && book.writtenCount == 40 - given && book.followed.count == 40 - given)
        #expect(book.parts.first { $0.id == "one" }?.symbols.count == 40 - given)
        #expect(book.parts.allSatisfy(book.holds))

        let back = book.take(share(["a": .member], copies: 2))
        #expect(back.own.count == given && back.follow.isEmpty && back.disown.isEmpty)
        #expect(back.own.allSatisfy { $0.history == (two.symbols.contains($0.placed.series.symbol) ? 50 : 0) })

        // With one copy it does not follow what it does not write; a field in Redis is not its to remove.
        let apart = book.take(share(["a": .member, "b": .member]))
        #expect(apart.disown.count == given && apart.unfollow.flatMap(\.series).count == given && book.placement.seriesCount == 40 - given)
        let none = book.take(share(["b": .member]))
        #expect(book.placement.seriesCount == 0 && none.disown.count == 40 - given && book.parts.isEmpty)
        // Both fluxes want these: nothing is left when both have gone.
        _ = book.take(share(["a": .member]))
        _ = book.remove(one)
        #expect(book.placement.seriesCount == 10 && book.wantedCount == 10)
        _ = book.remove(two)
        #expect(book.placement.seriesCount == 0 && book.wantedCount == 0 && book.placement.connectionCount == 0)
    }

    @Test("Two members have all of it, each once, however often the group changes", arguments: seeds)
    func partition(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let names = ["a", "b", "c"]
        var books = Dictionary(uniqueKeysWithValues: names.map { ($0, makeBook()) })
        for _ in 0..<60 {
            var states = Dictionary(uniqueKeysWithValues: names.map { ($0, random.pick(MemberState.allCases)) })
            states["a"] = .member
            if random.chance(40) {
                let some = FluxBookGroupTests.symbols.filter { _ in random.chance(30) }
                let made = flux("f\(random.below(5))", some, random.pick([.m1, .m5]))
                for name in names where (try? books[name]!.flux(made.id)) == nil && !made.symbols.isEmpty { _ = try books[name]!.add(made) }
            }
            if random.chance(20), let gone = books["a"]!.list.first { for name in names { _ = books[name]!.remove(gone) } }
            for name in names { _ = books[name]!.take(share(states, copies: 2, of: name)) }
            let written = names.flatMap { books[$0]!.followed.map(\.placed.series) }
            let wanted = Set(books["a"]!.list.flatMap { $0.series(.um) })
            #expect(written.count == wanted.count && Set(written) == wanted, "seed \(seed)")
            let parts = names.flatMap { books[$0]!.parts }
            #expect(parts.reduce(0) { $0 + $1.symbols.count } == books["a"]!.list.reduce(0) { $0 + $1.symbols.count }, "seed \(seed)")
        }
    }

    @Test("What has no room is followed when there is some; the others are not held up, and the status asks for what is there")
    func room() throws {
        var book = FluxBook(
            market: .um, schema: KeySchema(prefix: "p:", market: .um),
            placement: Placement(readerCount: 1, streamsPerConnectionMax: 16, seriesMax: 20), journal: Journal())
        book.share = GroupShare(member: "a", view: .empty(copies: 1))
        let (one, two) = (
            flux("one", Array(FluxBookGroupTests.symbols.prefix(15))), flux("two", Array(FluxBookGroupTests.symbols.suffix(30)), history: 9)
        )
        for flux in [one, two] { _ = try book.add(flux) }
        func followed(_ changes: [Placement.Change]) -> Int { changes.reduce(0) { $0 + $1.placements.count } }
        #expect(followed(book.take(share(["a": .member])).follow) == 20 && book.placement.seriesCount == 20)
        #expect(book.parts.reduce(0) { $0 + $1.symbols.count } == book.parts.reduce(0) { $0 + book.ids(of: $1).count })
        #expect(book.placeMissing().isEmpty, "there is no room yet")
        let dropped = book.remove(one)
        let released = dropped.after.flatMap { command -> [UInt32] in
            if case .unfollow(let handles) = command { handles.map(\.id) } else { [] }
        }
        book.release(released)
        let placed = book.placeMissing()
        #expect(followed(placed) == released.count && placed.allSatisfy { $0.history == 9 } && book.placement.seriesCount == 20)
        #expect(book.writtenCount == 30, "of those that no flux wants nothing is known")
        // Another takes the half: what had no room and stays ours has some.
        let shared = book.take(share(["a": .member, "b": .member]))
        book.release(shared.disown.map(\.id))
        _ = book.placeMissing()
        #expect(book.placement.seriesCount == min(20, book.writtenCount) && book.followed.count == book.placement.seriesCount)
        _ = book.remove(two)
        #expect(book.placement.seriesCount == 0 && book.placement.connectionCount == 0 && book.writtenCount == 0)
    }

    @Test func registry() throws {
        var book = makeBook()
        let made = flux("one", [Symbol("btcusdt")!])
        #expect(try book.registration(of: made, symbols: SymbolList())?.suffix(3) == ["0", "one", made.json])
        _ = try book.add(made)
        #expect(book.erasure(made).suffix(3) == ["0", "one", ""] && book.erasure(made)[3] == "p:fluxes:um")
        #expect(book.isWanted(Series(market: .um, symbol: Symbol("btcusdt")!, interval: .m1)))
        #expect(book.withdrawal(made).suffix(3) == ["3", "one", made.json])
        #expect(FluxBook.isWhole(keeper: "group 1", size: 1) && !FluxBook.isWhole(keeper: "group 2", size: 1))
        #expect(!FluxBook.isWhole(keeper: nil, size: 0) && !FluxBook.isWhole(keeper: "host 1 ab", size: 0))
    }
}

struct CommandDeskGroupTests {
    private let counters = CounterBank()
    private let schema = KeySchema(prefix: "p:")

    private func makeDesk() -> CommandDesk { CommandDesk(schema: schema, counters: counters, journal: Journal()) }

    @Test("Heard is what can be answered: also what is refused, by one member")
    func hears() throws {
        var desk = makeDesk()
        let channel = schema.commandChannel(.listFluxes)
        let heard = desk.hear(channel, Array(#"{"request_id":"1"}"#.utf8), nowNs: 0)
        let one = try #require(heard)
        #expect(one.key == RequestKey(kind: .listFluxes, id: "1") && one.asked == .success(.listFluxes) && !one.isTooMuch)
        let other = desk.hear(channel, Array(#"{"request_id":"2","x":1}"#.utf8), nowNs: 0)
        let refused = try #require(other)
        guard case .failure(let error) = refused.asked else {
            Issue.record("\(refused)")
            return
        }
        #expect(error.code == .badRequest)
        let (nobody, elsewhere) = (
            desk.hear(channel, Array("{}".utf8), nowNs: 0), desk.hear("elsewhere", Array(#"{"request_id":"1"}"#.utf8), nowNs: 0)
        )
        #expect(nobody == nil && elsewhere == nil && counters.value(.commandsUnanswered) == 1)
        let many = (0...Int(Limits.commandBurstMax)).compactMap {
            desk.hear(channel, Array("{\"request_id\":\"\($0)\"}".utf8), nowNs: 0)
        }
        #expect(many.first?.isTooMuch == false && many.last?.isTooMuch == true)
    }

    @Test func claims() {
        var desk = makeDesk()
        let key = RequestKey(kind: .stopFlux, id: "a b")
        let claim = desk.claim(key, owner: "me 1")
        #expect(claim.dropFirst(2).prefix(4) == ["2", "p:claims:{feedd}:flux:stop:a b", "p:claims:{feedd}:flux:stop:a b:again", "me 1"])
        #expect(!desk.isPending(key))
        desk.begin(key, nowNs: 0)
        // What takes long stays ours with each beat.
        #expect(desk.isPending(key) && desk.holds(owner: "me 1", nowNs: 999_999_999).isEmpty)
        let held = desk.holds(owner: "me 1", nowNs: 1_000_000_000)
        #expect(held.map { Array($0.dropFirst(2)) } == [["1", "p:claims:{feedd}:flux:stop:a b", "me 1", "10000"]])
        let done: CommandResult = .success([])
        let text = desk.answer(key, done)[2]
        #expect(!desk.isPending(key) && desk.holds(owner: "me 1", nowNs: 2_000_000_000).isEmpty)
        func settled(_ result: CommandResult, _ text: String) -> [String] {
            desk.settlement(key, result, text, owner: "me 1", ttlMs: 5_000)
        }
        #expect(settled(done, text).dropFirst(5) == ["me 1", text, "60000", "7000"])
        // What may be another one a moment later, and what is long, is only kept apart.
        let apart = [GroupScripts.hold, "1", "p:claims:{feedd}:flux:stop:a b", "me 1", "5000"]
        for code in [CommandCode.busy, .internal] { #expect(settled(.failure(CommandError(code, "why")), "x").dropFirst() == apart[...]) }
        #expect(settled(done, String(repeating: "x", count: 5_000)).dropFirst() == apart[...])
        #expect(settled(.failure(CommandError(.unknownFlux, "why")), "x")[1] == GroupScripts.settle)
        #expect(desk.repetition(key, "said") == ["PUBLISH", "p:responses:flux:stop:a b", "said"] && counters.value(.commandsRepeated) == 1)
    }
}

struct StatusSumTests {
    private func service(_ state: ServiceState, _ figures: [(String, UInt64?)], troubleAt: Int64? = nil) throws -> ServiceStatus {
        let head: [(String, JSONValue)] = [
            (Field.state, .string(state.rawValue)), (Field.version, .string("1")), (Field.pid, .integer(1)), (Field.host, .string("h")),
            (Field.market, .string("spot")), (Field.startedAt, .integer(5)), (Field.heartbeatAt, .integer(9)),
        ]
        let trouble: [(String, JSONValue)] =
            troubleAt.map { [(Field.reason(.redis), .string("why \($0)")), (Field.reasonAt(.redis), .integer($0))] } ?? []
        let rest = figures.map { name, value in (name, value.map { JSONValue.integer(Int64($0)) } ?? .string("")) }
        return try ServiceStatus(.members(head + trouble + rest))
    }

    private static let flux = Flux(
        symbols: ["a", "b", "c"].map { Symbol($0)! }, interval: .m1, name: "f", history: 4, createdAtMs: 3, origin: .command)

    private func part(_ state: FluxState, _ symbols: [String], candles: Int64 = 1) throws -> [String: FluxStatus] {
        let members: [(String, JSONValue)] = [
            (Field.fluxID, .string("f")), (Field.state, .string(state.rawValue)), (Field.symbols, .string(symbols.joined(separator: ","))),
            (Field.interval, .string("1m")), (Field.origin, .string("command")), (Field.createdAt, .integer(3)),
            (Field.lastUpdateAt, .integer(candles)), (Field.seriesLive, .integer(Int64(symbols.count))),
            (Field.refusedSymbols, .string("")), (Field.candlesTotal, .integer(candles)), (Field.gapsOpen, .integer(1)),
            (Field.history, .integer(4)),
        ]
        return ["f": try FluxStatus(.members(members))]
    }

    @Test("Counts are added, what all share is not, and a part survives its way through Redis")
    func services() throws {
        let (one, two) = (
            try service(.live, [("candles_written", 5), ("latency_p99_us", 7), ("fluxes", 2), ("x", nil), ("series", 3)], troubleAt: 4),
            try service(.starting, [("candles_written", 6), ("latency_p99_us", 9), ("fluxes", 2), ("x", nil), ("series", 4)], troubleAt: 8)
        )
        let parts = try [one, two].map { try #require(StatusSum.Part(StatusSum.Part(service: $0, fluxes: [:]).text)) }
        #expect(parts.map(\.service) == [one, two])
        let sum = StatusSum(parts, own: one, figures: [.init("series", 6), .init("members", 2)]).service
        #expect(sum.state == .starting && sum["candles_written"] == 11 && sum["latency_p99_us"] == 9 && sum["fluxes"] == 2)
        #expect(sum["x"] == nil && sum.figures.count { $0.name == "series" } == 1 && sum["series"] == 6 && sum["members"] == 2)
        #expect(sum.troubles.map(\.reason) == ["why 8"])
        for text in ["", "{}", "[]", #"{"service":{},"fluxes":[]}"#] { #expect(StatusSum.Part(text) == nil) }
        // One entry that cannot be read does not cost the others.
        let text = try StatusSum.Part(service: one, fluxes: part(.live, ["a"])).text
        let odd = text.replacing(#""fluxes":["#, with: #""fluxes":[{"flux_id":"odd"},"#)
        #expect(odd != text && StatusSum.Part(odd)?.fluxes.keys.sorted() == ["f"])
    }

    @Test func fluxes() throws {
        func sum(_ parts: [[String: FluxStatus]]) throws -> FluxStatus {
            let own = try service(.live, [])
            return StatusSum(parts.map { StatusSum.Part(service: own, fluxes: $0) }, own: own, figures: []).flux(StatusSumTests.flux)
        }
        let whole = try sum([part(.live, ["a", "c"], candles: 5), part(.live, ["b"], candles: 2)])
        #expect(whole.flux.state == .live && whole.flux.seriesLive == 3 && whole.candlesTotal == 7 && whole.gapsOpen == 2)
        #expect(whole.flux.symbols == StatusSumTests.flux.symbols && whole.flux.lastUpdateAt == 5 && whole.history == 4)
        func state(_ parts: (FluxState, [String])...) throws -> FluxState? { try sum(parts.map { try part($0.0, $0.1) }).flux.state }
        #expect(try state((.live, ["a", "c"])) == .starting, "of a part nobody says anything")
        #expect(try state() == .starting)
        #expect(try state((.live, ["a", "c"]), (.stale, ["b"])) == .stale)
        #expect(try state((.live, ["a", "c"]), (.healing, ["b"])) == .healing)
        #expect(try state((.live, ["a", "c"]), (.halted, ["b"])) == .live)
        #expect(try state((.delisted, ["a", "c"]), (.halted, ["b"])) == .halted)
        #expect(try state((.delisted, ["a", "b", "c"])) == .delisted)
    }
}
