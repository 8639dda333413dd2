// Speaks to the service as any of its clients does: publishes requests, and listens for the answers. One thread.

import FastFeed

final class CommandLink {
    /// The channel is what `send` has returned.
    typealias Answer = (channel: String, text: [UInt8])

    private let publisher: RedisConnection
    private let subscriber: RedisSubscriber
    private var number = 0

    init(_ endpoint: RedisEndpoint) throws {
        publisher = try RedisConnection.connect(endpoint)
        subscriber = try RedisSubscriber.connect(endpoint)
        subscriber.psubscribe([Setup.schema.responsesPattern])
        guard subscriber.next(timeoutMs: 5_000) == .subscribed(Setup.schema.responsesPattern) else {
            throw FeedError(.redis, "Redis does not let us listen for answers")
        }
    }

    /// Publishes a request and does not wait.
    /// - Parameter fields: besides `request_id`, as JSON: `"symbol":"btcusdt","interval":"1m"`.
    /// - Returns: the channel of the answer.
    func send(_ kind: CommandKind, _ fields: String = "") throws -> String {
        number += 1
        let id = "bench-\(number)"
        let text = "{\"request_id\":\"\(id)\"\(fields.isEmpty ? "" : ",")\(fields)}"
        guard publisher.send(["PUBLISH", Setup.schema.commandChannel(kind), text]) else {
            throw FeedError(.redis, "Redis takes no request")
        }
        return Setup.schema.responseChannel(kind, requestID: id)
    }

    /// The next answer, if one comes in time.
    func next(timeoutMs: Int) throws -> Answer? {
        // How many have heard a request does not matter here: who did not hear it does not answer.
        while case let event = publisher.next(), event != .nothing {
            if case .lost(let reason) = event { throw FeedError(.redis, reason) }
        }
        switch subscriber.next(timeoutMs: timeoutMs) {
        case .message(let channel, let text): return (channel, text)
        case .nothing: return nil
        case let event: throw FeedError(.redis, "listening for answers: \(event)")
        }
    }

    /// One request and what came of it.
    /// - Throws: when no answer comes, or one that is not `ok`.
    @discardableResult func call(_ kind: CommandKind, _ fields: String = "") throws -> JSONValue {
        let channel = try send(kind, fields)
        var answer: Answer?
        try Wait.until(10, "an answer to \(kind.rawValue) \(fields)", turn: {}) {
            answer = try next(timeoutMs: 100)
            return answer?.channel == channel
        }
        let value = try JSONValue(parsing: answer!.text)
        guard value["status"]?.string == "ok" else { throw FeedError(.redis, "\(kind.rawValue) \(fields): \(value.text)") }
        return value
    }
}
