// Each stage of a candle's way alone, in CPU time of the thread: no sockets, no other process. The loops live in
// `X+Bench.swift` beside what they measure. Main thread.

import FastFeed
import Foundation
import VenueSimulator

enum StageBenchmarks {
    static let all = [
        Benchmark(name: "parse", sentence: "one kline message to a record: all fields, whole text checked") { effort, _ in
            let frames = Frames.klines(20_000)
            let rounds = max(1, 20 / effort.divisor)
            let bytes = frames.reduce(0) { $0 + $1.count } / frames.count
            let um = Frames.klines(20_000, of: .um)
            return try [
                ("parse", frames, ParseBench.Way.usual, "\(bytes) bytes a frame, in the exchange's own layout"),
                ("parse/um", um, .usual, "in its layout for USDⓈ-M"),
                ("parse/in-order", frames, .inOrder, "as if it were another layout"),
                ("parse/any-order", frames, .inAnyOrder, "as if it were another order"),
            ].map { name, frames, way, note in
                try timed(name, "ns/frame", effort, note: note) {
                    ParseBench.run(frames, rounds: rounds, way: way).map { Double($0.cpuNs) / Double(frames.count * rounds) }
                }
            }
        },
        Benchmark(name: "frame-decode", sentence: "WebSocket frames out of reads that cut them") { effort, _ in
            let stream = Frames.klines(2_000).flatMap(Frames.framed)
            let rounds = 400 / effort.divisor
            return try [("256KiB", 256 << 10), ("4KiB", 4 << 10), ("500B", 500)].map { name, readBytes in
                try timed("frame-decode/reads-of-\(name)", "ns/frame", effort) {
                    FrameBench.run(stream, readBytes: readBytes, rounds: rounds).map { Double($0.cpuNs) / Double($0.messages) }
                }
            }
        },
        Benchmark(name: "ring", sentence: "a 320-byte record from thread to thread") { effort, _ in
            let records = 20_000_000 / effort.divisor
            var measures = try [1, 64].map { batch in
                try timed("ring/one-thread/batch-\(batch)", "ns/record", effort) {
                    Double(RingBench.ping(records: records, batch: batch)) / Double(records)
                }
            }
            measures.append(
                try timed("ring/two-threads/batch-64", "ns/record", effort, note: "wall time; two cores must be free") {
                    try RingBench.twoThreads(records: records / 4, batch: 64).map { Double($0) / Double(records / 4) }
                })
            return measures
        },
        Benchmark(name: "coalesce", sentence: "a record into the candle table: 300 series, a close in 60") { effort, _ in
            let cost = { TableBench.run(series: 300, bars: 100 / effort.divisor).map { Double($0.cpuNs) / Double($0.records) } }
            return [try timed("coalesce", "ns/record", effort, cost)]
        },
        Benchmark(name: "encode", sentence: "candle states to RESP: HSET and PUBLISH, XADD for closed ones") { effort, _ in
            try [("coalesced-300", 300, false, 4_000), ("every-update", 1, false, 400_000), ("closed-300", 300, true, 2_000)].flatMap {
                name, series, closed, rounds in
                let rounds = rounds / effort.divisor
                var bytes = 0.0
                let cost = try timed("encode/\(name)", "ns/candle", effort) {
                    guard let result = EncodeBench.run(series: series, closed: closed, rounds: rounds) else { return nil }
                    bytes = Double(result.bytes) / Double(series * rounds)
                    return Double(result.cpuNs) / Double(series * rounds)
                }
                return [cost, Measure("encode/\(name)/bytes", "bytes/candle", rounds: [bytes])]
            }
        },
        Benchmark(name: "replies", sentence: "Redis's replies to a batch, read and told apart") { effort, _ in
            let cost = { ReplyBench.run(batches: 50, rounds: 200 / effort.divisor).map { Double($0.cpuNs) / Double($0.replies) } }
            return [try timed("replies", "ns/reply", effort, cost)]
        },
        Benchmark(name: "simulator-encode", sentence: "a frame of the local exchange, from its tape to the connection's buffer") {
            effort, _ in
            let cost = try timed("simulator-encode", "ns/frame", effort) {
                let result = PushBench.run(streams: 300, frames: 2_000_000 / effort.divisor)
                return Double(result.cpuNs) / Double(result.frames)
            }
            let rates = cost.samples["rounds"]!.map { 1e9 / $0 }
            return [
                cost,
                Measure("simulator-encode/rate", "frames/s", better: .higher, rounds: rates, note: "of one core; the goal is 1,000,000"),
            ]
        },
    ]

    /// The median of several rounds; one more before them warms caches and clocks.
    private static func timed(
        _ name: String, _ unit: String, _ effort: Effort, note: String? = nil, _ round: () throws -> Double?
    ) throws -> Measure {
        let costs = try (0...effort.stageRounds).map { _ in
            guard let cost = try round() else { throw FeedError(.system, "\(name) came to a wrong result") }
            return cost
        }
        return Measure(name, unit, rounds: Array(costs.dropFirst()), note: note)
    }
}

/// What the exchange sends, made up.
enum Frames {
    /// Distinct messages as on the wire: combined form, eight decimals, and the bars of 300 symbols in turn, whose prices, volumes and
    /// ids are of all magnitudes, as the exchange's are. (Both markets have the same values, so that only their layouts differ.)
    static func klines(_ count: Int, of market: Market = .spot) -> [[UInt8]] {
        var random = SplitMix64(seed: 42)
        let symbols = (0..<300).map { number in
            let name = String((0..<Int.random(in: 2...6, using: &random)).map { _ in "ABCDEFGHKLMNOPRST".randomElement(using: &random)! })
            let price = pow(10, Double.random(in: -4...4.9, using: &random))
            return (name: name + "\(number)USDT", price: price, trades: Int(pow(10, Double.random(in: 6...10, using: &random))))
        }
        func decimal(_ value: Double) -> String { String(format: "%.8f", value) }
        return (0..<count).map { index in
            let (symbol, bar, second) = (symbols[index % symbols.count], index / symbols.count / 60, index / symbols.count % 60)
            let open = 1_790_001_240_000 + bar * 60_000
            let trades = (second + 1) * (1 + index % 7)
            let volume = 20_000 / symbol.price * Double(second + 1) * Double.random(in: 0.5...1, using: &random)
            let taken = volume * Double.random(in: 0.3...0.7, using: &random)
            let prices = (0..<4).map { _ in symbol.price * Double.random(in: 0.998...1.002, using: &random) }.sorted()
            let members = [
                #""t":\#(open)"#, #""T":\#(open + 59_999)"#, #""s":"\#(symbol.name)""#, #""i":"1m""#, #""f":\#(symbol.trades)"#,
                #""L":\#(symbol.trades + trades - 1)"#, #""o":"\#(decimal(prices[1]))""#, #""c":"\#(decimal(prices[2]))""#,
                #""h":"\#(decimal(prices[3]))""#, #""l":"\#(decimal(prices[0]))""#, #""v":"\#(decimal(volume))""#, #""n":\#(trades)"#,
                #""x":\#(second == 59)"#, #""q":"\#(decimal(volume * symbol.price))""#, #""V":"\#(decimal(taken))""#,
                #""Q":"\#(decimal(taken * symbol.price))""#, #""B":"0""#,
            ].joined(separator: market == .um ? ", " : ",")
            return Array(
                """
                {"stream":"\(symbol.name.lowercased())@kline_1m","data":{"e":"kline","E":\(open + second * 1_000 + 4),"s":"\(symbol.name)",\
                "k":{\(members)}}}
                """.utf8)
        }
    }

    /// As a server's frame.
    static func framed(_ message: [UInt8]) -> [UInt8] { FrameEncoder.frame(.text, message.span, mask: nil) }
}
