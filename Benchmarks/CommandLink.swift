// Speaks to the service as any of its clients does: publishes requests, and listens for the answers. One thread.

import FastFeed

final class CommandLink {
    struct Answer {
        /// What `send` has returned.
        let channel: String
        let text: [UInt8]
    }

    private var publisher: RawConnection
    private let subscriber: RedisSubscriber
    private var number = 0

    init(_ endpoint: RedisEndpoint) throws {
        publisher = try RawConnection(endpoint)
        subscriber = try RedisSubscriber.connect(endpoint)
        subscriber.psubscribe(["responses:*"])
        guard subscriber.next(timeoutMs: 5_000) == .subscribed("responses:*") else {
            throw FeedError(.redis, "Redis does not let us listen for answers")
        }
    }

    /// Publishes a request and does not wait.
    /// - Parameter fields: besides `request_id`, as JSON: `"symbol":"btcusdt","interval":"1m"`.
    /// - Returns: the channel of the answer.
    func send(_ kind: CommandKind, _ fields: String = "") throws -> String {
        number += 1
        let words = [
            "PUBLISH", "commands:\(kind.rawValue)", "{\"request_id\":\"bench-\(number)\"\(fields.isEmpty ? "" : ",")\(fields)}",
        ]
        try publisher.write(Array("*3\r\n\(words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined())".utf8))
        return "responses:\(kind.rawValue):bench-\(number)"
    }

    /// The next answer, if one comes in time.
    func next(timeoutMs: Int) throws -> Answer? {
        try dropReplies()
        switch subscriber.next(timeoutMs: timeoutMs) {
        case .message(let channel, let text): return Answer(channel: channel, text: text)
        case .nothing: return nil
        case let event: throw FeedError(.redis, "listening for answers: \(event)")
        }
    }

    /// One request and what came of it.
    /// - Throws: when no answer comes, or one that is not `ok`.
    func call(_ kind: CommandKind, _ fields: String = "") throws -> JSONValue {
        let channel = try send(kind, fields)
        let deadlineNs = MonotonicClock.nowNs() + 10_000_000_000
        while MonotonicClock.nowNs() < deadlineNs {
            guard let answer = try next(timeoutMs: 100), answer.channel == channel else { continue }
            let value = try JSONValue(parsing: answer.text)
            guard value["status"]?.string == "ok" else { throw FeedError(.redis, "\(kind.rawValue) \(fields): \(value.text)") }
            return value
        }
        throw FeedError(.redis, "\(kind.rawValue) \(fields): no answer within 10 s")
    }

    /// How many have heard a request does not matter here: who did not hear it does not answer.
    private func dropReplies() throws {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while publisher.waitReadable(milliseconds: 0) {
            guard unsafe publisher.read(into: &bytes, count: bytes.count) > 0 else { throw FeedError(.redis, "Redis ended the connection") }
        }
    }
}
