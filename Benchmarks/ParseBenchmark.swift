// ns per kline message, all fields read and the whole message checked.

import FastFeed
import Foundation

enum ParseBenchmark {
    /// Distinct frames as the exchange sends them: combined form, eight decimals.
    static func frames(_ count: Int) -> [[UInt8]] {
        var random = SplitMix64(seed: 42)
        func decimal(_ whole: ClosedRange<Int>) -> String {
            let fraction = String(Int.random(in: 0...99_999_999, using: &random))
            return "\(Int.random(in: whole, using: &random))." + String(repeating: "0", count: 8 - fraction.count) + fraction
        }
        return (0..<count).map { index in
            let open = 1_790_001_240_000 + index / 60 * 60_000
            let first = 4_100_000_000 + index * 120
            return Array(
                """
                {"stream":"btcusdt@kline_1m","data":{"e":"kline","E":\(open + index % 60 * 1_000 + 4),"s":"BTCUSDT","k":{"t":\(open),\
                "T":\(open + 59_999),"s":"BTCUSDT","i":"1m","f":\(first),"L":\(first + 119),"o":"\(decimal(60_000...79_999))",\
                "c":"\(decimal(60_000...79_999))","h":"\(decimal(60_000...79_999))","l":"\(decimal(60_000...79_999))",\
                "v":"\(decimal(0...99))","n":120,"x":\(index % 60 == 59),"q":"\(decimal(10_000...9_999_999))",\
                "V":"\(decimal(0...49))","Q":"\(decimal(10_000...999_999))","B":"0"}}}
                """.utf8)
        }
    }

    static func run(quick: Bool) throws {
        let frames = frames(20_000)
        let bytes = Double(frames.reduce(0) { $0 + $1.count }) / Double(frames.count)
        var costs: [Double] = []
        for _ in 0..<(quick ? 2 : 9) {
            guard let result = ParseBench.run(frames, rounds: quick ? 2 : 20) else {
                throw FeedError(.venue, "a benchmark frame was refused")
            }
            costs.append(Double(result.cpuNs) / Double(frames.count * (quick ? 2 : 20)))
        }
        print(
            String(
                format: "parse                     %6.0f ns/frame (min %.0f, max %.0f, n %d), %.0f bytes a frame",
                median(costs), costs.min()!, costs.max()!, costs.count, bytes))
    }
}
