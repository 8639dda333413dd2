// Whatever a client sends: every reader of foreign bytes takes seeded rubbish without trapping, and takes a
// damaged valid text for what it is.

import FastFeed
import Testing
import VenueSimulator

struct ForeignBytesTests {
    private static let texts = [
        #"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m","ethusdt@kline_1d@+08:00"],"id":7}"#,
        #"{"method":"SET_PROPERTY","params":["combined",true],"id":"a-1"}"#,
        "GET /stream?streams=btcusdt%40kline_1m/a@trade&timeUnit=MICROSECOND HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1789998000000&endTime=1789998436400&limit=5&timeZone=-05:45 HTTP/1.1\r\n\r\n",
        "lose,stream=btcusdt@kline_1m,probability=0.25,count=0,after=5000,duration=100,connection=2",
    ]

    /// A text with some bytes changed, dropped, doubled or cut off.
    private func mutated(_ text: String, _ random: inout SplitMix64) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<(1 + random.next() % 4) where !bytes.isEmpty {
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 5 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(bytes[place], at: place)
            case 3: bytes.removeSubrange(place...)
            default: bytes.insert(contentsOf: Array("99999999999999999999".utf8), at: place)
            }
        }
        return bytes
    }

    @Test(arguments: 1...8)
    func nothingTraps(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let configuration = testConfiguration(market: seed.isMultiple(of: 2) ? .um : .spot, symbols: 2)
        let specs = SymbolSpec.list(seed: 7, market: configuration.market, count: 2, illiquidEvery: 0)
        var rest = RestResponder(configuration: configuration, symbols: specs)
        var histories = specs.map { BarHistory(Tape(spec: $0, listingMs: testStartMs - 600_000)) }
        var session = ControlSession(configuration: configuration, isCombined: false, route: .all)
        var answered = 0
        for _ in 0..<4_000 {
            let bytes = mutated(ForeignBytesTests.texts[Int(random.next() % 5)], &random)
            _ = session.receive(bytes)
            _ = try? JSONValue(parsing: bytes)
            _ = try? Fault(text: String(decoding: bytes, as: UTF8.self))
            guard case .complete(let head) = RequestHead.parse(bytes) else { continue }
            _ = Handshake.decide(head, configuration: configuration)
            let response = rest.respond(to: head, from: "a", nowMs: testStartMs, wallMs: Int64(answered) * 60_000, histories: &histories)
            answered += 1
            #expect(!response.serialized(keepsAlive: true).isEmpty)
        }
        #expect(answered > 100, "seed \(seed)")
    }

    @Test func everySeedKeepsTheLaws() {
        for seed in 1...12 as ClosedRange<UInt64> {
            for market in Market.allCases {
                var configuration = testConfiguration(market: market, seed: seed, symbols: 14)
                configuration.closeDelayMs = 0...Int64(seed * 2_000)
                var engine = PushEngine(configuration: configuration, startMs: testStartMs)
                for name in ["btcusdt@kline_1m", "sim0001usdt@kline_1m", "sim0002usdt@kline_3m"] {
                    if let index = engine.streamIndex(ofName: name) { engine.subscribe(index, in: .millisecond) }
                }
                var sink = CollectingSink()
                _ = engine.run(untilMs: testStartMs + 600_000, eventsMax: .max, into: &sink)
                for stream in 0..<3 {
                    var (open, last, isClosed): (Int64, Int64, Bool) = (0, 0, true)
                    for event in sink.entries where event.event.stream == stream {
                        let k = event.json["k"]!
                        let follows = k["t"]!.int == open ? !isClosed : isClosed && k["t"]!.int > open
                        #expect(follows && event.event.eventTimeMs > last, "seed \(seed) \(market)")
                        (open, last, isClosed) = (k["t"]!.int, event.event.eventTimeMs, event.event.isClosed)
                    }
                }
            }
        }
    }
}
