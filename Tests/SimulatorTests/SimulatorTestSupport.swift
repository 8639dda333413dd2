// What the simulator's tests share: a sink that keeps texts, a world that starts at a known instant.

import FastFeed
import VenueSimulator

/// 2026-09-21 13:47:16.400 UTC: a Monday, in the middle of every bar.
let testStartMs: Int64 = 1_789_998_436_400

func testConfiguration(market: Market = .spot, seed: UInt64 = 7, symbols: Int = 16) -> SimulatorConfiguration {
    var configuration = SimulatorConfiguration()
    configuration.market = market
    configuration.seed = seed
    configuration.symbolCount = symbols
    configuration.startTimeMs = testStartMs
    return configuration
}

/// Keeps everything pushed.
struct CollectingSink: PushSink {
    struct Entry {
        let event: PushEvent
        let unit: TimeUnit
        let wrapped: String
        let bare: String
        /// Virtual time is the event's own.
        var json: JSONValue { try! JSONValue(parsing: Array(bare.utf8)) }
    }

    var entries: [Entry] = []
    var acceptsMore = true

    mutating func push(_ event: PushEvent, in unit: TimeUnit, wrapped: RawSpan, bare: RawSpan) {
        entries.append(Entry(event: event, unit: unit, wrapped: text(wrapped), bare: text(bare)))
    }
}

func text(_ span: RawSpan) -> String {
    var bytes: [UInt8] = []
    for offset in 0..<span.byteCount { bytes.append(span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)) }
    return String(decoding: bytes, as: UTF8.self)
}

extension JSONValue {
    var text: String { if case .string(let text) = self { text } else { "" } }
    var int: Int64 { if case .integer(let value) = self { value } else { .min } }
    var isTrue: Bool { self == .bool(true) }
}

func request(_ target: String, headers: [String: String] = [:]) -> RequestHead {
    RequestHead(method: "GET", target: target, headers: headers)
}

/// REST of an exchange, at an instant of its clock and one of ours.
struct RestWorld {
    var nowMs = testStartMs
    var rest: RestResponder
    private var histories: [BarHistory]

    init(_ configuration: SimulatorConfiguration, historyMinutes: Int64 = 180) {
        let specs = SymbolSpec.list(
            seed: configuration.seed, market: configuration.market, count: configuration.symbolCount, illiquidEvery: 4)
        rest = RestResponder(configuration: configuration, symbols: specs)
        histories = specs.map { BarHistory(Tape(spec: $0, listingMs: testStartMs - historyMinutes * 60_000)) }
    }

    mutating func get(
        _ target: String, headers: [String: String] = [:], from address: String = "127.0.0.1", wallMs: Int64 = 1
    ) -> HTTPResponse {
        rest.respond(to: request(target, headers: headers), from: address, nowMs: nowMs, wallMs: wallMs, histories: &histories)
    }

    mutating func refuse(_ fault: Fault, wallMs: Int64) -> HTTPResponse {
        rest.refuse(fault, "127.0.0.1", nowMs: nowMs, wallMs: wallMs)
    }

    mutating func rows(_ target: String) throws -> [[JSONValue]] {
        let response = get(target)
        guard case .array(let rows) = try JSONValue(parsing: response.body) else { return [] }
        return rows.map { if case .array(let row) = $0 { row } else { [] } }
    }
}

/// The exchange's code of a refusal.
func code(of response: HTTPResponse) -> Int64 { (try? JSONValue(parsing: response.body))?["code"]?.int ?? 0 }
