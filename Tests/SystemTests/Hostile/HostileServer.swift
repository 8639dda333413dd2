// A scripted WebSocket server on a port of its own that breaks rules on purpose. One thread per connection; the
// symbol in the request's target chooses the script. Everything is bounded in time by the peers' deadlines.

import FastFeed
import Foundation
import Synchronization
import TestKit

/// What is done to a client: its connection after the request was read, and how many came before it.
typealias HostileScript = @Sendable (HostilePeer, Int) -> Void

final class HostileServer: Sendable {
    private let listener: LoopbackListener
    private let scripts: [String: HostileScript]

    private struct State {
        /// Attempts whose script has ended, by symbol.
        var attempts: [String: [HostileAttempt]] = [:]
        var begun: [String: Int] = [:]
        /// Requests that no script belongs to: a redirect followed, say.
        var strangers: [String] = []
    }
    private let state = Lock(State())

    init(_ scripts: [String: HostileScript]) throws {
        self.scripts = scripts
        listener = try LoopbackListener()
        listener.start { [self] in serve(HostilePeer($0)) }
    }

    var url: String { "ws://127.0.0.1:\(listener.port)" }

    func attempts(of symbol: String) -> [HostileAttempt] { state.withLock { $0.attempts[symbol] ?? [] } }
    var begun: [String: Int] { state.withLock { $0.begun } }
    var strangers: [String] { state.withLock { $0.strangers } }

    private func serve(_ peer: HostilePeer) {
        guard peer.readRequest() else { return }
        let symbol = peer.symbol
        guard let script = scripts[symbol] else {
            state.withLock { $0.strangers.append(peer.target) }
            return
        }
        let number = state.withLock { state in
            state.begun[symbol, default: 0] += 1
            return state.begun[symbol]! - 1
        }
        script(peer, number)
        peer.end()
        state.withLock { $0.attempts[symbol, default: []].append(peer.attempt) }
    }

    func stop() { listener.stop() }
}

/// The well-behaved neighbour: closed candles numbered without a hole, at a steady pace, on one connection.
final class GoodService: Sendable {
    static let symbol = "good"
    private let sentCount = Atomic<Int>(0)
    private let over = Atomic<Bool>(false)

    /// Closed candles that went out.
    var sent: Int { sentCount.load(ordering: .acquiring) }

    func finish() { over.store(true, ordering: .releasing) }

    func serve(_ peer: HostilePeer) {
        peer.upgrade()
        while !over.load(ordering: .acquiring) {
            let number = sent
            let frames =
                Frames.text(NumberedCandle.message(GoodService.symbol, number, isClosed: false))
                + Frames.text(NumberedCandle.message(GoodService.symbol, number))
            guard peer.send(frames) else { return }
            sentCount.store(number + 1, ordering: .releasing)
            usleep(3_000)
        }
        peer.answerCloseAndEnd(timeoutMs: 20_000)
    }
}
