// The exchange counts connection attempts by address: 300 in five minutes. All readers draw on one budget: any thread, under a
// lock, twice for each attempt.
//
// While nothing answers, one connection at a time tries, for all of them, with growing pauses; when it is through, the others
// follow one behind the other. So an outage costs few attempts, and its end is seen soon, however many connections wait.

package final class ConnectBudget: Sendable {
    /// What an attempt came to.
    package enum Outcome {
        case opened, failed
        /// Nothing has left this machine (no address, no route, no descriptor): the exchange has not counted it.
        case failedHere
        /// Given up before its end.
        case abandoned
    }

    /// Not now.
    package struct Wait: Equatable {
        /// When to ask again.
        package let untilNs: UInt64
        /// The five minutes have had their attempts.
        package let isSpent: Bool
    }

    private struct State {
        /// Of the last five minutes.
        var attemptsNs: [UInt64] = []
        var underWay = 0
        /// Attempts that failed since one has succeeded.
        var failures = 0
        /// No attempt before this.
        var nextNs: UInt64 = 0
        var backoff: Backoff
        var random: SplitMix64
    }

    private static let windowNs: UInt64 = 300 * 1_000_000_000
    private let limit: Int
    private let state: Lock<State>

    package init(limit: Int = Limits.connectAttemptsPer5MinMax, seed: UInt64) {
        self.limit = limit
        state = Lock(State(backoff: Backoff(Limits.venueProbePauseMs, seed: seed), random: SplitMix64(seed: seed ^ 1)))
    }

    /// Nil when an attempt may be made now; then its end must be told.
    package func take(nowNs: UInt64) -> Wait? {
        state.withLock { state in
            state.attemptsNs.removeAll { $0 + ConnectBudget.windowNs <= nowNs }
            let isAnswered = state.failures < Limits.connectFailuresMax
            let paceNs = ConnectBudget.paceNs(&state.random)
            if state.attemptsNs.count >= limit {
                return Wait(untilNs: state.attemptsNs[0] + ConnectBudget.windowNs + paceNs, isSpent: true)
            }
            if state.underWay >= (isAnswered ? Limits.connectsUnderWayMax : 1) {
                return Wait(untilNs: max(nowNs + paceNs, state.nextNs), isSpent: false)
            }
            if nowNs < state.nextNs { return Wait(untilNs: state.nextNs + paceNs / 2, isSpent: false) }
            state.attemptsNs.append(nowNs)
            state.underWay += 1
            // The first ones need not wait for one another.
            if state.attemptsNs.count >= Limits.connectsUnderWayMax { state.nextNs = nowNs + paceNs }
            return nil
        }
    }

    package func end(_ outcome: Outcome, nowNs: UInt64) {
        state.withLock { state in
            state.underWay -= 1
            switch outcome {
            case .opened:
                (state.failures, state.nextNs) = (0, min(state.nextNs, nowNs + ConnectBudget.paceNs(&state.random)))
                state.backoff.succeeded()
            case .failed, .failedHere:
                state.failures += 1
                if outcome == .failedHere { _ = state.attemptsNs.popLast() }
                if state.failures >= Limits.connectFailuresMax { state.nextNs = max(state.nextNs, nowNs + state.backoff.nextDelayNs()) }
            case .abandoned: break
            }
        }
    }

    /// Between two attempts that follow one another.
    private static func paceNs(_ random: inout SplitMix64) -> UInt64 { UInt64.random(in: 50_000_000...80_000_000, using: &random) }
}
