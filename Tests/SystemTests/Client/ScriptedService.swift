// The service's side of the commands, played by a script: a thread that listens on the documented channels and publishes what the
// test wants said.

import FastFeed
import Foundation

final class ScriptedService: Sendable {
    /// What is published, in order, on the channel where the client waits.
    typealias Script = @Sendable (_ command: String, _ request: JSONValue) -> [String]

    private let ending: Shared<Bool>
    private let requests: Shared<[String]>
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter prefix: the key prefix.
    init(_ endpoint: RedisEndpoint, prefix: String = "", script: @escaping Script = ScriptedService.wellBehaved) throws {
        let ready = DispatchSemaphore(value: 0)
        let (isEnding, heard, ended) = (Shared(false), Shared<[String]>([]), ended)
        (self.ending, self.requests) = (isEnding, heard)
        let thread = try PinnedThread.start(name: "script") {
            defer { ended.signal() }
            guard let subscriber = try? RedisSubscriber.connect(endpoint), let publisher = try? RedisClient.connect(endpoint) else {
                return
            }
            subscriber.psubscribe(["\(prefix)commands:*"])
            while !isEnding.value {
                switch subscriber.next(timeoutMs: 20) {
                case .subscribed: ready.signal()
                case .lost: return
                case .message(let channel, let payload):
                    guard let request = try? JSONValue(parsing: payload) else { continue }
                    heard.withLock { $0.append(request.text) }
                    let command = String(channel.dropFirst("\(prefix)commands:".count))
                    let place = "\(prefix)responses:\(command):\(request["request_id"]?.string ?? "")"
                    for answer in script(command, request) { _ = try? publisher.command("PUBLISH", place, answer) }
                default: continue
                }
            }
        }
        // It ends by itself; `stop` waits for what it does, not for the thread.
        thread.detach()
        ready.wait()
    }

    /// Every request as it came.
    var heardRequests: [String] { requests.value }

    func stop() {
        ending.withLock { $0 = true }
        ended.wait()
    }

    deinit { ending.withLock { $0 = true } }

    // MARK: A service that behaves

    static func id(_ request: JSONValue) -> String { JSONValue.quoted(request["request_id"]?.string ?? "") }

    static func ok(_ request: JSONValue, _ rest: String) -> String {
        "{\"request_id\":\(id(request)),\"status\":\"ok\"\(rest.isEmpty ? "" : ",")\(rest)}"
    }

    static func no(_ request: JSONValue, _ code: String, _ message: String) -> String {
        "{\"request_id\":\(id(request)),\"status\":\"error\",\"error\":{\"code\":\"\(code)\",\"message\":\"\(message)\"}}"
    }

    static let wellBehaved: Script = { command, request in
        switch command {
        case "flux:create":
            let symbols = request["symbols"]?.array?.compactMap(\.string) ?? []
            if symbols.contains("btcusd") {
                return [no(request, "unknown_symbol", "unknown symbol 'btcusd': did you mean btcusdt, btcusdc?")]
            }
            let id = request["name"]?.string ?? "\(request["interval"]?.string ?? "")_\(symbols.sorted().joined(separator: "-"))"
            let refused = id == "halted" ? "\"lunausdt:BREAK\"" : ""
            return [ok(request, "\"flux_id\":\"\(id)\",\"created\":\(id != "old"),\"refused_symbols\":[\(refused)]")]
        case "flux:stop":
            let id = request["flux_id"]?.string ?? ""
            return [id == "none" ? no(request, "unknown_flux", "there is no flux 'none'") : ok(request, "\"flux_id\":\"\(id)\"")]
        case "flux:list":
            return [
                ok(
                    request,
                    "\"fluxes\":[{\"flux_id\":\"1m_btcusdt-ethusdt\",\"symbols\":[\"btcusdt\",\"ethusdt\"],\"interval\":\"1m\",\"state\":\"live\",\"created_at\":1790000000000,\"last_update_at\":1790000001000,\"series_live\":2},{\"flux_id\":\"slow\",\"symbols\":[\"solusdt\"],\"interval\":\"1M\",\"state\":\"starting\",\"created_at\":1790000000000,\"last_update_at\":null,\"series_live\":0}]"
                )
            ]
        case "status:get":
            return [ok(request, request["flux_id"].map { fluxStatus($0.text) } ?? serviceStatus)]
        case "data:get":
            let limit = request["limit"]?.integer ?? 100
            let rows = (0..<limit).map { candle(openTime: 1_790_000_040_000 + $0 * 60_000, isClosed: $0 < limit - 1) }
            return [
                ok(
                    request,
                    "\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"source\":\"redis\",\"took_us\":312,\"rows\":[\(rows.joined(separator: ","))]"
                )
            ]
        case "gaps:list":
            let absent = gap("ethusdt", "unstored", "absent", tries: 4)
            let open = request["symbol"] == nil ? gap("btcusdt", "missed", "healing", tries: 1) + "," : ""
            return [ok(request, "\"gaps\":[\(open)\(absent)],\"more\":0")]
        case "data:backfill":
            return [ok(request, "\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"count\":\(request["count"]?.text ?? "")")]
        case "data:audit":
            let findings = request["limit"] == nil ? #"{"id":"1790000040000-0","finding":"different"}"# : ""
            let repaired = request["repair"]?.bool ?? false
            return [
                ok(
                    request,
                    "\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"checked\":1000,\"findings\":[\(findings)],\"more\":0,\"repaired\":\(repaired)"
                )
            ]
        case "symbols:list":
            let day = #""last_price":"50000.10000000","price_change_percent":"-1.250","quote_volume":"1234567890.5","trades":1234"#
            let none = #""last_price":null,"price_change_percent":null,"quote_volume":null,"trades":null"#
            let rows = [("btcusdt", "BTC", day), ("newusdt", "NEW", none)].map { symbol, base, figures in
                #"{"symbol":"\#(symbol)","base":"\#(base)","quote":"USDT","status":"TRADING",\#(figures)}"#
            }
            let listed = rows.prefix(Int(request["limit"]?.integer ?? 100)).joined(separator: ",")
            return [ok(request, "\"symbols\":[\(listed)],\"total\":2,\"updated_at\":1790000000000")]
        default: return []
        }
    }

    private static let serviceStatus =
        "\"state\":\"live\",\"version\":\"0.1.0\",\"pid\":77,\"host\":\"here\",\"market\":\"spot\",\"started_at\":1790000000000,\"heartbeat_at\":1790000001000,\"messages_total\":1234567,\"latency_p99_us\":\"\""

    private static func fluxStatus(_ id: String) -> String {
        "\"flux_id\":\(id),\"state\":\"live\",\"symbols\":\"btcusdt,ethusdt\",\"interval\":\"1m\",\"origin\":\"command\",\"created_at\":1790000000000,\"last_update_at\":0,\"series\":2,\"series_live\":0,\"refused_symbols\":\"\",\"candles_total\":5,\"gaps_open\":0,\"history\":0"
    }

    static func gap(_ symbol: String, _ cause: String, _ state: String, tries: Int) -> String {
        "{\"symbol\":\"\(symbol)\",\"interval\":\"1m\",\"from\":1790000040000,\"until\":1790000220000,\"candles\":3,\"cause\":\"\(cause)\",\"state\":\"\(state)\",\"tries\":\(tries)}"
    }

    static func candle(openTime: Int64, close: String = "50000.10000000", isClosed: Bool = false) -> String {
        "{\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"open_time\":\(openTime),\"open\":\"50000.00000001\",\"high\":\"50001.00000000\",\"low\":\"49999.90000000\",\"close\":\"\(close)\",\"volume\":\"12.34500000\",\"close_time\":\(openTime + 59_999),\"quote_volume\":\"617250.00000000\",\"count\":1234,\"taker_buy_volume\":\"6.00000000\",\"taker_buy_quote_volume\":\"300000.00000000\",\"first_trade_id\":100,\"last_trade_id\":1333,\"source\":\"live\",\"revision\":0,\"closed\":\(isClosed),\"event_time\":\(openTime + 30_000)}"
    }

    static func update(_ number: Int64, padding: Int = 0) -> String {
        "{\"symbol\":\"btcusdt\",\"interval\":\"1m\",\"rows\":1,\"updates\":\(number),\"pad\":\"\(String(repeating: "x", count: padding))\",\"candles\":[\(candle(openTime: 1_790_000_040_000))]}"
    }
}

/// A value behind a lock, for closures of other threads.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Lock<Value>
    init(_ value: Value) { mutex = Lock(value) }
    var value: Value { mutex.withLock { $0 } }
    func withLock(_ body: (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}

/// Channels that anybody listens to.
func channels(_ client: RedisClient) throws -> [String] { try client.command("PUBSUB", "CHANNELS").strings }
