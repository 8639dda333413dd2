// Who reads `latest:*` of a cluster again and again, as a bot does, and sees whether a state is ever older than one that was there before,
// or is not there any more. On a thread of its own, from `init` until `end`, or until Redis is lost. Bounds: one state a field.

import FastFeed
import Foundation
import TestKit

final class LatestReader: Sendable {
    private struct State {
        /// Of whole hashes.
        var readingCount = 0
        var complaints: [String] = []
        var isOver = false
        var hasEnded = false
    }
    private let state = Lock(State())

    init(_ endpoint: RedisEndpoint, _ intervals: [Interval]) throws {
        let keys = intervals.map { Keys.latest($0) }
        Thread.detachNewThread { [self] in
            read(endpoint, keys)
            state.withLock { $0.hasEnded = true }
        }
        try eventually(20, "each hash was read") { readingCount >= keys.count }
    }

    var readingCount: Int { state.withLock { $0.readingCount } }
    /// What was not as it should be; empty if nothing was.
    var complaints: [String] { state.withLock { $0.complaints } }

    /// Ends it.
    func end() throws {
        state.withLock { $0.isOver = true }
        try eventually(20, "the reader to end") { state.withLock { $0.hasEnded } }
    }

    private func complain(_ what: String) { state.withLock { if $0.complaints.count < 20 { $0.complaints.append(what) } } }

    private func read(_ endpoint: RedisEndpoint, _ keys: [String]) {
        do {
            let client = try RedisClient.connect(endpoint)
            var newest: [String: [String: (text: String, eventTime: Int64)]] = [:]
            while !state.withLock({ $0.isOver }) {
                for key in keys { compare(key, try client.command("HGETALL", key), &newest[key, default: [:]]) }
                usleep(10_000)
            }
        } catch {
            complain("\(error)")
        }
    }

    /// A refusal says nothing: the next reading does.
    private func compare(_ key: String, _ reply: RedisReply, _ newest: inout [String: (text: String, eventTime: Int64)]) {
        if case .error = reply { return }
        let held = Dictionary(reply.pairs) { $1 }
        for (symbol, before) in newest {
            guard let text = held[symbol] else {
                complain("\(key) \(symbol): was there, and is gone")
                continue
            }
            if text != before.text { take(key, symbol, text, &newest) }
        }
        for (symbol, text) in held where newest[symbol] == nil { take(key, symbol, text, &newest) }
        state.withLock { $0.readingCount += 1 }
    }

    private func take(_ key: String, _ symbol: String, _ text: String, _ newest: inout [String: (text: String, eventTime: Int64)]) {
        guard let time = (try? JSONValue(parsing: Array(text.utf8)))?[CandleField.eventTime]?.integer else {
            return complain("\(key) \(symbol): \(text)")
        }
        if let before = newest[symbol], time < before.eventTime {
            complain("\(key) \(symbol): of \(before.eventTime), and then of \(time)")
        }
        newest[symbol] = (text, time)
    }
}
