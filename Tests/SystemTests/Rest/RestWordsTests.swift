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
        (403, "<html><h1>403</h1></html>", "the exchange answered 403: <html><h1>403</h1></html>"),
        (200, "<html></html>", "the exchange's answer cannot be used: klines: row 0: not JSON"),
    ]

    @Test(arguments: answers)
    func refusals(status: Int, body: String, sentence: String) throws {
        let exchange = try ScriptedServer("HTTP/1.1 \(status) X\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)")
        let redis = try RedisServerProcess()
        let place = ["--redis", "unix://\(redis.socketPath)"]
        let service = try ProgramRun(["run", "--venue-ws", "ws://127.0.0.1:1", "--venue-rest", "\(exchange.base)"] + place)
        #expect(service.shows("no list of symbols comes", within: 20), "\(service.errorText)")
        let data = try ProgramRun(["data", "btcusdt", "1m", "3"] + place)
        #expect(data.end() == 1)
        #expect(data.errorText == "feedd: \(sentence)\n")
        service.signal(SIGTERM)
        #expect(service.end() == 0)
        for word in ["refused(", "malformed(", "unavailable(", "\\\""] {
            #expect(!service.errorText.contains(word), "\(service.errorText)")
        }
    }

    /// Where the exchange serves nobody: the reason is where people look, not only in the log.
    @Test("A refusal of streams and of REST is in list, status and monitor")
    func everywhere() throws {
        let body = #"{"code":0,"msg":"Service unavailable from a restricted location"}"#
        let exchange = try ScriptedServer("HTTP/1.1 451 X\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)")
        let redis = try RedisServerProcess()
        let place = ["--redis", "unix://\(redis.socketPath)"]
        let venue = ["--venue-ws", "ws://127.0.0.1:\(exchange.base.authority.port)", "--venue-rest", "\(exchange.base)"]
        let service = try ProgramRun(["run", "--flux", "btcusdt:1m"] + venue + place)
        func output(_ command: [String]) throws -> String {
            let run = try ProgramRun(command + place)
            #expect(run.end() == 0, "\(run.errorText)")
            return run.outputText
        }
        let streams = "upgrade refused: HTTP status 451: \(body)"
        let rest = "the exchange answered 451: Service unavailable from a restricted location"
        #expect(service.shows("no list of symbols comes", within: 20), "\(service.errorText)")
        #expect(service.shows("cannot connect to the exchange"), "\(service.errorText)")
        let list = try output(["list"])
        #expect(
            list.contains("\nexchange (0 of 1 connections live): \(streams) (") && list.contains("\nexchange, REST: \(rest) ("), "\(list)")
        #expect(try output(["monitor", "--count", "1", "--plain"]).contains("  exchange_error \(streams)  rest_error \(rest)"))
        let status = try ServiceStatus(JSONValue(parsing: Array(output(["status", "--json"]).utf8)))
        #expect(status.troubles.map(\.part) == [.exchange, .rest] && status.troubles.map(\.reason) == [streams, rest])
        #expect(status.troubles.allSatisfy { $0.at > 0 })
        let client = try RedisClient.connect(redis.endpoint)
        try eventually(10, "the reason in the hash") { try client.command("HGET", Keys.service, "exchange_error").text == streams }
        service.signal(SIGTERM)
        #expect(service.end() == 0)
    }
}
