// The exchange counts connection attempts by address: 300 in five minutes. All readers draw on one budget: any thread, under a
// lock, twice for each attempt.
//
// While none is open and nobody answers, one connection at a time tries, for all of them, with growing pauses; while the exchange answers
// and refuses, the attempts become rare. When one is through, the others follow one behind the other. So an outage costs few attempts,
// and its end is seen soon, however many connections wait.

package final class ConnectBudget: Sendable {
    /// What an attempt came to.
    package enum Outcome {
        case opened
        /// What has not left this machine, or its proxy, the exchange has not counted.
        case failed(WebSocketConnection.Reach)
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
        /// Connections that were opened and not lost.
        var openCount = 0
        /// Attempts without an answer since one has succeeded.
        var failures = 0
        var isDown: Bool { openCount == 0 && failures >= Limits.connectFailuresMax }
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
    /// - Parameter attempts: that this connection has made. Who has made fewer asks again a little sooner.
    package func take(nowNs: UInt64, attempts: Int = 0) -> Wait? {
        state.withLock { state in
            state.attemptsNs.removeAll { $0 + ConnectBudget.windowNs <= nowNs }
            let isRare = state.openCount == 0 && state.attemptsNs.count >= Limits.connectAttemptsFreelyMax
            let paceNs = ConnectBudget.paceNs(&state.random) * (isRare ? 30 : 1)
            if state.attemptsNs.count >= limit {
                return Wait(untilNs: state.attemptsNs[0] + ConnectBudget.windowNs + paceNs, isSpent: true)
            }
            if nowNs < state.nextNs || state.underWay >= (state.isDown ? 1 : Limits.connectsUnderWayMax) {
                let turnNs = 20_000_000 + ConnectBudget.paceNs(&state.random) / 2 * UInt64(min(attempts, 10))
                return Wait(untilNs: max(nowNs, state.nextNs) + turnNs, isSpent: false)
            }
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
                state.openCount += 1
                (state.failures, state.nextNs) = (0, min(state.nextNs, nowNs + ConnectBudget.paceNs(&state.random)))
                state.backoff.succeeded()
            case .failed(.server): break
            case .failed(let reach):
                state.failures += 1
                if reach == .here { _ = state.attemptsNs.popLast() }
                if state.isDown { state.nextNs = max(state.nextNs, nowNs + state.backoff.nextDelayNs()) }
            case .abandoned: break
            }
        }
    }

    /// An open connection is lost or closed.
    package func close() { state.withLock { $0.openCount -= 1 } }

    /// While one connection tries for all, its own pause after a failure need not be longer than those of all.
    package var longestPauseNs: UInt64 { state.withLock { $0.openCount > 0 ? .max : .ns(ms: Limits.venueProbePauseMs.upperBound) } }

    /// Between two attempts that follow one another.
    private static func paceNs(_ random: inout SplitMix64) -> UInt64 { UInt64.random(in: 50_000_000...80_000_000, using: &random) }
}
