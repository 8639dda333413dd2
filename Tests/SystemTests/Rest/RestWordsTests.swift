// What the exchange says over REST, as a person reads it in the service's answer and in its log.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("REST: the exchange's own words", .serialized)
struct RestWordsTests {
    static let answers: [(status: Int, body: String, sentence: String)] = [
        (
            451, #"{"code":0,"msg":"Service unavailable from a restricted location"}"#,
            "the exchange answered 451: Service unavailable from a restricted location"
        ),
        (403, "<html><h1>403</h1></html>", "the exchange answered 403"),
        (200, "<html></html>", "the exchange's answer cannot be used: klines: row 0: not JSON"),
    ]

    @Test(arguments: answers)
    func refusals(status: Int, body: String, sentence: String) throws {
        let exchange = try ScriptedServer("HTTP/1.1 \(status) X\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)")
        let redis = try RedisServerProcess()
        let place = ["--redis", "unix://\(redis.socketPath)"]
        let service = try ProgramRun(["run", "--venue-ws", "ws://127.0.0.1:1", "--venue-rest", "\(exchange.base)"] + place)
        #expect(service.shows("no list of symbols", within: 20), "\(service.errorText)")
        let data = try ProgramRun(["data", "btcusdt", "1m", "3"] + place)
        #expect(data.end() == 1)
        #expect(data.errorText == "feedd: \(sentence)\n")
        service.signal(SIGTERM)
        #expect(service.end() == 0)
        for word in ["refused(", "malformed(", "unavailable(", "\\\""] {
            #expect(!service.errorText.contains(word), "\(service.errorText)")
        }
    }
}
