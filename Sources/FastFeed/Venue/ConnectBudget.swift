// The exchange counts connection attempts by address: 300 in five minutes. All readers draw on one budget: any thread, under a
// lock, twice for each attempt.
//
// While none is open and nobody answers, one connection at a time tries, for all of them, with growing pauses; while the exchange answers
// and refuses, the attempts become rare. When one is through, the others follow one behind the other. So an outage costs few attempts,
// and its end is seen soon, however many connections wait.
//
// A process that is started again and again must keep to the limit, too: the ledger of attempts outlives it, where somebody keeps it
// (control, in Redis). Attempts wait for a moment until it has been read.

package final class ConnectBudget: Sendable {
    /// What an attempt came to.
    package enum Outcome {
        case opened
        /// What has not left this machine, or its proxy, the exchange has not counted.
        case failed(WebSocketConnection.Reach)
        /// Given up before its end.
        case abandoned
    }

    /// Why an attempt may not begin now.
    package struct Wait: Equatable {
        /// When to ask again.
        package let untilNs: UInt64
        /// The five minutes have had their attempts.
        package let isSpent: Bool
    }

    /// For the ledger: when attempts were made, and which of them the exchange has not counted after all.
    package struct LedgerNews: Equatable {
        package var madeNs: [UInt64] = []
        package var unmadeNs: [UInt64] = []

        package var isEmpty: Bool { madeNs.isEmpty && unmadeNs.isEmpty }

        package init(madeNs: [UInt64] = [], unmadeNs: [UInt64] = []) { (self.madeNs, self.unmadeNs) = (madeNs, unmadeNs) }
    }

    private struct State {
        /// Attempts in five minutes, for all readers of this process.
        var limit: Int
        /// Attempts of the last five minutes: those of earlier processes, and ours.
        var earlierNs: [UInt64] = []
        var attemptsNs: [UInt64] = []
        var underWay = 0
        /// Connections that were opened and not lost.
        var openCount = 0
        /// Attempts without an answer since one has succeeded.
        var failures = 0
        var isDown: Bool { openCount == 0 && failures >= Limits.connectFailuresMax }
        /// No attempt before this.
        var nextNs: UInt64 = 0
        /// A connection is being replaced because of its age.
        var isRolling = false
        /// No attempt before this, unless the ledger has come.
        var ledgerUntilNs: UInt64 = 0
        /// Who keeps the ledger, and what it has not been told yet.
        var keeper: WakeUp?
        var news = LedgerNews()
        var backoff: Backoff
        var random: SplitMix64
    }

    private static let windowNs = UInt64.ns(ms: Limits.connectWindowMs)
    private let state: Lock<State>

    package init(limit: Int = Limits.connectAttemptsPer5MinMax, seed: UInt64) {
        state = Lock(State(limit: limit, backoff: Backoff(Limits.venueProbePauseMs, seed: seed), random: SplitMix64(seed: seed ^ 1)))
    }

    /// Before the first attempt: somebody keeps the ledger and will say what is in it.
    package func awaitLedger(untilNs: UInt64) { state.withLock { $0.ledgerUntilNs = untilNs } }

    /// - Parameter keeper: is woken by each attempt, and asks for `takeNews` then.
    package func setKeeper(_ keeper: WakeUp) { state.withLock { $0.keeper = keeper } }

    /// Attempts per window; lower where other processes share the address.
    package func setLimit(_ limit: Int) { state.withLock { $0.limit = limit } }

    /// What the ledger has of processes before this one: how long ago each attempt was.
    package func learn(agesNs: [UInt64], nowNs: UInt64) {
        state.withLock { state in
            state.earlierNs = agesNs.map { nowNs - min($0, nowNs) }.sorted()
            state.ledgerUntilNs = 0
        }
    }

    /// What has happened since the last call.
    package func takeNews() -> LedgerNews {
        state.withLock { state in
            defer { state.news = LedgerNews() }
            return state.news
        }
    }

    /// Nil when an attempt may be made now; then its end must be told.
    /// - Parameter attempts: that this connection has made. Who has made fewer asks again a little sooner.
    package func take(nowNs: UInt64, attempts: Int = 0) -> Wait? {
        let (wait, keeper) = state.withLock { state in (ConnectBudget.take(&state, nowNs, attempts), state.keeper) }
        if wait == nil { keeper?.signal() }
        return wait
    }

    private static func take(_ state: inout State, _ nowNs: UInt64, _ attempts: Int) -> Wait? {
        if nowNs < state.ledgerUntilNs { return Wait(untilNs: min(state.ledgerUntilNs, nowNs + 20_000_000), isSpent: false) }
        func isOver(_ atNs: UInt64) -> Bool { atNs + ConnectBudget.windowNs <= nowNs }
        state.earlierNs.removeAll(where: isOver)
        state.attemptsNs.removeAll(where: isOver)
        state.news.madeNs.removeAll(where: isOver)
        let count = state.earlierNs.count + state.attemptsNs.count
        let isRare = state.openCount == 0 && count >= Limits.connectAttemptsFreelyMax
        let paceNs = ConnectBudget.paceNs(&state.random) * (isRare ? 30 : 1)
        if count >= state.limit {
            let oldestNs = min(state.earlierNs.first ?? .max, state.attemptsNs.first ?? .max)
            return Wait(untilNs: oldestNs + ConnectBudget.windowNs + paceNs, isSpent: true)
        }
        if nowNs < state.nextNs || state.underWay >= (state.isDown ? 1 : Limits.connectsUnderWayMax) {
            let turnNs = 20_000_000 + ConnectBudget.paceNs(&state.random) / 2 * UInt64(min(attempts, 10))
            return Wait(untilNs: max(nowNs, state.nextNs) + turnNs, isSpent: false)
        }
        state.attemptsNs.append(nowNs)
        if state.keeper != nil { state.news.madeNs.append(nowNs) }
        state.underWay += 1
        // The first ones need not wait for one another.
        if count + 1 >= Limits.connectsUnderWayMax { state.nextNs = nowNs + paceNs }
        return nil
    }

    /// - Parameter madeNs: when the attempt was granted.
    package func end(_ outcome: Outcome, madeNs: UInt64, nowNs: UInt64) {
        let keeper = state.withLock { state -> WakeUp? in
            state.underWay -= 1
            switch outcome {
            case .opened:
                state.openCount += 1
                (state.failures, state.nextNs) = (0, min(state.nextNs, nowNs + ConnectBudget.paceNs(&state.random)))
                state.backoff.succeeded()
            case .failed(.server): break
            case .failed(let reach):
                state.failures += 1
                if reach == .here { ConnectBudget.take(back: madeNs, &state) }
                if state.isDown { state.nextNs = max(state.nextNs, nowNs + state.backoff.nextDelayNs()) }
            case .abandoned: break
            }
            return state.news.isEmpty ? nil : state.keeper
        }
        keeper?.signal()
    }

    private static func take(back madeNs: UInt64, _ state: inout State) {
        guard let place = state.attemptsNs.lastIndex(of: madeNs) else { return }
        state.attemptsNs.remove(at: place)
        if let place = state.news.madeNs.lastIndex(of: madeNs) {
            state.news.madeNs.remove(at: place)
        } else if state.keeper != nil {
            state.news.unmadeNs.append(madeNs)
        }
    }

    /// Nil when a connection may be replaced because of its age; then `endRoll` must be told. Otherwise when to ask again. One at a time
    /// is replaced, and half of the attempts in five minutes are left to connections that are lost.
    package func beginRoll(nowNs: UInt64) -> UInt64? {
        state.withLock { state in
            let count = (state.earlierNs + state.attemptsNs).count { $0 + ConnectBudget.windowNs > nowNs }
            if count >= state.limit / 2 { return nowNs + 20 * ConnectBudget.paceNs(&state.random) }
            if state.isRolling { return nowNs + ConnectBudget.paceNs(&state.random) }
            state.isRolling = true
            return nil
        }
    }

    package func endRoll() { state.withLock { $0.isRolling = false } }

    /// An open connection is lost or closed.
    package func close() { state.withLock { $0.openCount -= 1 } }

    /// While one connection tries for all, its own pause after a failure need not be longer than those of all.
    package var longestPauseNs: UInt64 { state.withLock { $0.openCount > 0 ? .max : .ns(ms: Limits.venueProbePauseMs.upperBound) } }

    /// Time between two attempts that follow one another, with jitter.
    private static func paceNs(_ random: inout SplitMix64) -> UInt64 { UInt64.random(in: 50_000_000...80_000_000, using: &random) }
}
