// A client of the command channels that knows nothing but the documented protocol: subscribe, publish, wait.

import FastFeed
import Foundation
import TestKit
import Testing

final class CommandCaller {
    private let client: RedisClient
    private let subscriber: RedisSubscriber
    private let market: String
    private var nextID = 0
    /// Answers that nobody has asked for yet, by channel; each must come once.
    private(set) var answers: [String: [String]] = [:]

    /// - Parameter market: as it stands in channels: `um:`, empty for spot. Answers of all markets are heard.
    init(_ endpoint: RedisEndpoint, market: String = "") throws {
        self.market = market
        client = try RedisClient.connect(endpoint)
        subscriber = try RedisSubscriber.connect(endpoint, messageBytesMax: 4 << 20)
        subscriber.psubscribe(["responses:*"])
        while subscriber.next(timeoutMs: 5_000) != .subscribed("responses:*") {}
    }

    /// How many have heard it.
    @discardableResult
    func publish(_ kind: String, _ text: String) throws -> Int64 {
        try client.command("PUBLISH", "commands:\(market)\(kind)", text).integer ?? -1
    }

    func pipeline(_ requests: [(kind: String, text: String)]) throws {
        _ = try client.pipeline(requests.map { ["PUBLISH", "commands:\(market)\($0.kind)", $0.text] })
    }

    /// Takes what comes within the time, until there is enough.
    func collect(seconds: Double, until isEnough: () -> Bool) {
        _ = comesTrue(within: seconds, everyMicroseconds: 0) {
            if isEnough() { return true }
            if case .message(let channel, let payload) = subscriber.next(timeoutMs: 50) {
                answers[channel, default: []].append(String(decoding: payload, as: UTF8.self))
            }
            return isEnough()
        }
    }

    /// One request and its answer.
    func call(_ kind: String, _ fields: String = "", seconds: Double = 10) throws -> [String: Any] {
        nextID += 1
        let id = "test-\(nextID)"
        let channel = "responses:\(market)\(kind):\(id)"
        #expect(try publish(kind, "{\"request_id\":\"\(id)\"\(fields.isEmpty ? "" : ",")\(fields)}") == 1, "nobody listens")
        collect(seconds: seconds) { answers[channel] != nil }
        let text = try #require(answers[channel]?.first, "no answer to \(kind) \(fields)")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["request_id"] as? String == id)
        return object
    }
}

extension [String: Any] {
    var isOK: Bool { self["status"] as? String == "ok" }
    var errorCode: String? { (self["error"] as? [String: Any])?["code"] as? String }
}
