// How long nothing was told of a shard's series: who listens to all of them at one node of a cluster. On a thread of its own, from `init`
// until `end`, or until that node is gone. Bounds: a channel is kept once.

import FastFeed
import Foundation
import RedisServer
import TestKit

final class ShardSilences: Sendable {
    private struct Shard {
        var lastNs = MonotonicClock.nowNs()
        var longestNs: UInt64 = 0
        var count = 0
    }
    private struct State {
        var shards: [Shard]
        var isListening = false
        var isOver = false
    }
    private let state: Lock<State>

    /// - Parameter node: one to which nothing happens meanwhile.
    init(_ set: ClusterSet, at node: ClusterNode) throws {
        let (endpoint, slots) = (node.server.endpoint, (0..<set.shardCount).map(set.slots(ofShard:)))
        state = Lock(State(shards: slots.map { _ in Shard() }))
        Thread.detachNewThread { [self] in run(endpoint, slots) }
        try eventually(20, "messages of each shard") { isListening && counts.allSatisfy { $0 > 0 } }
        forget()
    }

    private var isListening: Bool { state.withLock { $0.isListening } }
    private var isOver: Bool { state.withLock { $0.isOver } }

    /// Messages of each shard.
    var counts: [Int] { state.withLock { $0.shards.map(\.count) } }

    /// From now on.
    func forget() { state.withLock { state in state.shards = state.shards.map { _ in Shard() } } }

    /// Each shard has been told of some more.
    func haveHeard(_ more: Int, since before: [Int]) -> Bool { zip(counts, before).allSatisfy { $0 >= $1 + more } }

    /// The longest silence of each shard so far, one that lasts among them.
    var longestNs: [UInt64] {
        let nowNs = MonotonicClock.nowNs()
        return state.withLock { $0.shards.map { max($0.longestNs, nowNs - min(nowNs, $0.lastNs)) } }
    }

    func end() { state.withLock { $0.isOver = true } }

    private func run(_ endpoint: RedisEndpoint, _ slots: [Range<Int>]) {
        guard let subscriber = try? RedisSubscriber.connect(endpoint, messageBytesMax: 1 << 20) else { return }
        subscriber.psubscribe(["updates:*"])
        var shards: [String: Int] = [:]
        while !isOver {
            switch subscriber.next(timeoutMs: 50) {
            case .subscribed: state.withLock { $0.isListening = true }
            case .message(let channel, _):
                let place = shards[channel] ?? slots.firstIndex { $0.contains(HashSlot(key: channel).place) } ?? 0
                shards[channel] = place
                note(place)
            case .lost: return
            default: break
            }
        }
    }

    private func note(_ place: Int) {
        let nowNs = MonotonicClock.nowNs()
        state.withLock { state in
            let lastNs = state.shards[place].lastNs
            state.shards[place].longestNs = max(state.shards[place].longestNs, nowNs - min(nowNs, lastNs))
            state.shards[place].lastNs = nowNs
            state.shards[place].count += 1
        }
    }
}
