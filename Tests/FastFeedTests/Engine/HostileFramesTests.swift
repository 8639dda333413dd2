// Every JSON case in every place, over a real socket into an engine and a real redis-server: nothing but the expected
// keys, every refusal counted by its reason, every good frame between them stored.

import FastFeed
import Glibc
import RedisServer
import TestKit
import Testing

struct HostileFramesTests {
    private static let good = Series(symbol: Symbol("ethusdt")!, interval: .m1)
    private static let first: Int64 = 1_790_001_240_000

    /// A closed candle of a series that no case touches; each has a minute of its own.
    private func goodFrame(_ number: Int) -> [UInt8] {
        let open = HostileFramesTests.first + Int64(number) * 60_000
        var text = KlineText().withEvent("E", "\(open + 60_004)").withEvent("s", "\"ETHUSDT\"")
        for (key, value) in [("s", "\"ETHUSDT\""), ("t", "\(open)"), ("T", "\(open + 59_999)"), ("x", "true")] {
            text = text.with(key, value)
        }
        return RawFrame(1, text.combined().text).bytes
    }

    /// What the counters must say at the end.
    private struct Expected {
        var goods = 0
        var klines = 0
        var messages = 0
        var counts: [CounterID: Int] = [:]
    }

    private static func isText(_ frame: JSONPlace.Frame) -> Bool { String(validating: frame.bytes, as: UTF8.self) != nil }

    /// What counts a frame; nil for a kline. What is no kline, or too short for one, is judged by the control path's parser.
    private func counter(_ frame: JSONPlace.Frame, _ json: JSONCase) -> CounterID? {
        guard HostileFramesTests.isText(frame) else { return .rejectedBinary }
        let isShort = frame.bytes.count < Limits.klineBytesMin
        switch JSONPlace.outcome(frame, json) {
        case .kline: return nil
        case .rejected(let reason) where !isShort || reason == .rejectedMalformed: return reason
        default:
            guard let notice = withPadded(frame.bytes, { Binance(.spot).notice($0) }) else { return .rejectedMalformed }
            return notice == .incompleteKline ? .rejectedMissing : .noticesReceived
        }
    }

    /// All cases as frames with a good one behind each. What is not UTF-8 would end the connection as text: it comes
    /// as a binary message here.
    private func stream(_ expected: inout Expected) -> [UInt8] {
        var bytes: [UInt8] = []
        for json in JSONCases.all {
            for frame in JSONPlace.frames(json) where frame.bytes.count <= Limits.venueMessageBytesMax {
                bytes += RawFrame(HostileFramesTests.isText(frame) ? 1 : 2, frame.bytes).bytes
                expected.messages += 2
                if let id = counter(frame, json) { expected.counts[id, default: 0] += 1 } else { expected.klines += 1 }
                bytes += goodFrame(expected.goods)
                expected.goods += 1
            }
        }
        return bytes
    }

    /// Connections that a bad frame must end, each with the code it must be closed with.
    private func fatal(_ expected: inout Expected) -> [HostileVenue.Act] {
        let broken = KlineText().withEvent("s", "\"@\"").bytes
        let place = broken.firstIndex(of: UInt8(ascii: "@"))!
        let texts: [(bytes: [UInt8], code: UInt16)] = [
            ([0x22, 0xFF, 0x22], 1007), (Array(broken[..<place]) + [0xED, 0xA0, 0x80] + Array(broken[(place + 1)...]), 1007),
            ([UInt8](repeating: UInt8(ascii: "["), count: 100_000), 1009),
        ]
        return texts.map { text in
            expected.messages += text.code == 1007 ? 2 : 1
            if text.code == 1007 { expected.counts[.rejectedNotUTF8, default: 0] += 1 }
            expected.goods += 1
            return HostileVenue.Act(bytes: goodFrame(expected.goods - 1) + RawFrame(1, text.bytes).bytes, closesWith: text.code)
        }
    }

    @Test func nothingButGoodFramesReachesRedis() throws {
        var expected = Expected()
        var acts = fatal(&expected)
        let violations = acts.count
        acts.append(HostileVenue.Act(bytes: stream(&expected), closesWith: nil))
        let venue = try HostileVenue(acts)
        var options = RedisServerProcess.Options()
        options.arguments = ["--appendonly", "no"]
        let redis = try RedisServerProcess(options)
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt,ethusdt:1m")]
        configuration.venue = WebSocketEndpoint(isSecure: false, host: "127.0.0.1", port: venue.port)
        configuration.redis = redis.endpoint
        configuration.history = 1_000_000
        configuration.subscribeForm = .url
        let engine = try Engine(configuration)
        try engine.start()
        var counters: CounterSnapshot { engine.snapshot().counters }
        try eventually(120, "all messages: \(counters[.messagesReceived])") {
            counters[.messagesReceived] >= UInt64(expected.messages) && counters[.closedPending] == 0
        }
        #expect(engine.stop().isClean)
        venue.finish()

        #expect(venue.codes == acts.compactMap(\.closesWith))
        #expect(counters[.protocolViolations] == UInt64(violations) && counters[.reconnects] == UInt64(violations))
        #expect(counters[.messagesReceived] == UInt64(expected.messages))
        for id in CounterID.allCases where id.isRejection || id == .noticesReceived {
            #expect(counters[id] == UInt64(expected.counts[id, default: 0]), "\(id.name)")
        }
        #expect(counters[.recordsTaken] == UInt64(expected.klines + expected.goods))
        try expectStored(expected, RedisClient.connect(redis.endpoint))
        for line in engine.drainJournal() {
            let texts = [line.message] + line.fields.map(\.1)
            let isPrintable = texts.joined().unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F || $0.isPlainLetterOrNumber }
            #expect(isPrintable, "raw bytes in the log: \(line)")
        }
    }

    private func expectStored(_ expected: Expected, _ client: RedisClient) throws {
        // One field of the cases' own series can be `true` for "closed": its history has that one bar.
        let keys = [Keys.history("btcusdt", .m1), Keys.history("ethusdt", .m1), Keys.latest(.m1)]
        #expect(try client.command("KEYS", "*").strings.sorted() == keys)
        #expect(try client.command("HKEYS", Keys.latest(.m1)).strings.sorted() == ["btcusdt", "ethusdt"])
        #expect(try client.command("XLEN", keys[0]) == .integer(1))
        let stored = try client.command("XRANGE", keys[1], "-", "+").elements.compactMap { $0.elements.first?.text }
        let wanted = (0..<expected.goods).map { "\(HostileFramesTests.first + Int64($0) * 60_000)-0" }
        #expect(stored.count == wanted.count && stored == wanted, "every good frame, in order")
    }
}
