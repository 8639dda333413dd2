// Requests and answers: carried out at most once, answered exactly once, or counted.

import FastFeed
import Testing

struct CommandDeskTests {
    private let counters = CounterBank()
    private let schema = KeySchema(prefix: "p:")
    private let second: UInt64 = 1_000_000_000

    private func makeDesk() -> CommandDesk { CommandDesk(schema: schema, counters: counters, journal: Journal()) }

    private func list(_ id: String) -> [UInt8] { Array("{\"request_id\":\"\(id)\"}".utf8) }

    private func request(_ step: CommandDesk.Step) -> RequestKey? { if case .carryOut(let request, _) = step { request } else { nil } }
    private func published(_ step: CommandDesk.Step) -> [String]? { if case .publish(let command) = step { command } else { nil } }
    private func isNothing(_ step: CommandDesk.Step) -> Bool { if case .nothing = step { true } else { false } }

    /// The code in a published refusal.
    private func code(_ command: [String]?) -> String? {
        command.flatMap { try? JSONValue(parsing: Array($0[2].utf8)) }?[Field.error]?[Field.code]?.string
    }

    @Test func aRequestIsCarriedOutOnce() throws {
        var desk = makeDesk()
        let channel = schema.commandChannel(.listFluxes)
        let made = try #require(request(desk.take(channel, list("1"), nowNs: 0)))
        #expect(made == RequestKey(kind: .listFluxes, id: "1"))
        #expect(isNothing(desk.take(channel, list("1"), nowNs: 1)), "its answer is still to come")
        let answer = desk.answer(made, .success([(Field.fluxes, .array([]))]))
        #expect(answer == ["PUBLISH", "p:responses:flux:list:1", #"{"request_id":"1","status":"ok","fluxes":[]}"#])
        #expect(published(desk.take(channel, list("1"), nowNs: 2)) == answer, "asked again: the same answer, no second effect")
        // Ids are the client's own: of another kind it is another request, and so it is after a minute.
        #expect(request(desk.take(schema.commandChannel(.getStatus), list("1"), nowNs: 3)) != nil)
        #expect(request(desk.take(channel, list("1"), nowNs: 60 * second)) != nil)
        #expect(counters.value(.commandsReceived) == 5 && counters.value(.commandsRepeated) == 2)
        #expect(counters.value(.commandsAnswered) == 2 && counters.value(.commandsRefused) == 0)
    }

    @Test(arguments: [(CommandCode.busy, false), (.internal, false), (.unknownFlux, true)])
    func whatMayChangeIsNotKept(code: CommandCode, isKept: Bool) throws {
        var desk = makeDesk()
        let channel = schema.commandChannel(.listFluxes)
        let made = try #require(request(desk.take(channel, list("1"), nowNs: 0)))
        let answer = desk.answer(made, .failure(CommandError(code, "why")))
        let again = desk.take(channel, list("1"), nowNs: 1)
        #expect(isKept ? published(again) == answer : request(again) != nil)
        #expect(counters.value(.commandsRefused) == 1)
    }

    @Test func aLongAnswerIsNotKept() throws {
        var desk = makeDesk()
        let channel = schema.commandChannel(.listFluxes)
        let made = try #require(request(desk.take(channel, list("1"), nowNs: 0)))
        _ = desk.answer(made, .success([("x", .string(String(repeating: "x", count: 5_000)))]))
        #expect(request(desk.take(channel, list("1"), nowNs: 1)) != nil)
    }

    @Test func whoCanBeToldIsTold() {
        var desk = makeDesk()
        let channel = schema.commandChannel(.stopFlux)
        let refused = published(desk.take(channel, list("1"), nowNs: 0))
        #expect(refused?.prefix(2) == ["PUBLISH", "p:responses:flux:stop:1"] && code(refused) == "bad_request")
        #expect(isNothing(desk.take(channel, Array("{".utf8), nowNs: 0)))
        desk.skip(channel, bytes: 1_000_000)
        #expect(isNothing(desk.take("p:commands:flux:unknown", list("1"), nowNs: 0)), "a channel that nobody subscribed to")
        #expect(counters.value(.commandsReceived) == 3 && counters.value(.commandsUnanswered) == 2)
        #expect(counters.value(.commandsAnswered) == 1 && counters.value(.commandsRefused) == 1)
    }

    @Test func tooManyAreRefusedWhateverTheyAsk() {
        var desk = makeDesk()
        let channel = schema.commandChannel(.listFluxes)
        for number in 0..<Int(Limits.commandBurstMax) { _ = desk.take(channel, list("\(number)"), nowNs: 1) }
        #expect(code(published(desk.take(channel, list("good"), nowNs: 1))) == "busy")
        #expect(code(published(desk.take(channel, Array(#"{"request_id":"bad","x":1}"#.utf8), nowNs: 1))) == "busy")
        #expect(request(desk.take(channel, list("good"), nowNs: 1 + second / 100)) != nil, "a refused request may come again")
        #expect(counters.value(.commandsRefused) == 2)
    }
}
