// Names that nobody answers: how many threads they take, and who gets the answer when it comes.

import FastFeed
import TestKit
import Testing

struct ResolverTests {
    /// Answers when it is let go.
    private final class SlowNames: Sendable {
        private let state = Lock((isOpen: false, asked: 0))

        var asked: Int { state.withLock { $0.asked } }
        func open() { state.withLock { $0.isOpen = true } }

        func resolve() -> ResolverQuery.Answer {
            state.withLock { $0.asked += 1 }
            _ = comesTrue(within: 60) { state.withLock { $0.isOpen } }
            return .addresses([])
        }
    }

    private func isAnswered(_ query: ResolverQuery) -> Bool { if case .addresses = query.answer { true } else { false } }

    @Test("Who asks for the same name and port joins; the answer is everybody's, and the next one asks anew")
    func joined() throws {
        let names = SlowNames()
        let board = ResolverBoard { _, _ in names.resolve() }
        var queries = (0..<100).map { _ in ResolverQuery(host: "a.example", port: 1, board: board) }
        queries.append(ResolverQuery(host: "a.example", port: 2, board: board))
        try eventually(10, "both questions") { names.asked == 2 }
        #expect(queries.allSatisfy { $0.answer == nil })
        names.open()
        try eventually(10, "all answers") { queries.allSatisfy(isAnswered) }
        #expect(names.asked == 2)
        let later = ResolverQuery(host: "a.example", port: 1, board: board)
        try eventually(10, "another answer") { isAnswered(later) && names.asked == 3 }
    }

    @Test("Beyond the bound a question fails; a numeric host and a name that is being looked up do not")
    func bounded() throws {
        let names = SlowNames()
        let board = ResolverBoard { _, _ in names.resolve() }
        let queries = (0..<Limits.resolverThreadsMax).map { ResolverQuery(host: "h\($0).example", port: 1, board: board) }
        #expect(queries.allSatisfy { $0.answer == nil })
        guard case .failed(let reason) = ResolverQuery(host: "b.example", port: 1, board: board).answer else {
            Issue.record("it is asked")
            return names.open()
        }
        #expect(reason.contains("'b.example'") && reason.contains("\(Limits.resolverThreadsMax)"))
        #expect(ResolverQuery(host: "h0.example", port: 1, board: board).answer == nil)
        #expect(isAnswered(ResolverQuery(host: "127.0.0.1", port: 1, board: board)))
        names.open()
        try eventually(10, "all answers") { queries.allSatisfy(isAnswered) }
        let later = ResolverQuery(host: "b.example", port: 1, board: board)
        try eventually(10, "room for it") { isAnswered(later) }
    }
}
