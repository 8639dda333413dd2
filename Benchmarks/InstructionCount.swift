// `Benchmarks count ROOM`: one room's loop, once, for callgrind to count the instructions of. scripts/check-instructions.sh
// runs it. Unlike nanoseconds they are the same on a busy machine, so a test can hold them to a limit.

import ArgumentParser
import FastFeed
import Foundation

struct InstructionCount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks count", abstract: "Runs a room's loop once and prints how many units it had.")

    @Argument(help: "parse, parse-narrow, parse-in-order, parse-any-order, frame-decode, ring, coalesce, encode, encode-closed or replies.")
    var room: String

    func run() throws {
        // Their limit is that of wide registers.
        if ["parse", "parse-in-order"].contains(room) && !KlineParser.isWide { return print("narrow") }
        guard let units = try count() else { throw FeedError(.system, "\(room) came to a wrong result") }
        print(units)
    }

    private func count() throws -> Int? {
        switch room {
        case "parse", "parse-narrow", "parse-in-order", "parse-any-order":
            let frames = Frames.klines(20_000)
            let ways: [String: ParseBench.Way] = ["parse-narrow": .narrow, "parse-in-order": .inOrder, "parse-any-order": .inAnyOrder]
            return ParseBench.run(frames, rounds: 5, way: ways[room] ?? .usual).map { _ in 5 * frames.count }
        case "frame-decode":
            return FrameBench.run(Frames.klines(2_000).flatMap(Frames.framed), readBytes: 256 << 10, rounds: 20)?.messages
        case "ring":
            let records = 64 * 10_000
            return RingBench.ping(records: records, batch: 64) > 0 ? records : nil
        case "coalesce": return TableBench.run(series: 300, bars: 10)?.records
        case "encode": return EncodeBench.run(series: 300, closed: false, rounds: 100).map { _ in 300 * 100 }
        case "encode-closed": return EncodeBench.run(series: 300, closed: true, rounds: 100).map { _ in 300 * 100 }
        case "replies": return ReplyBench.run(batches: 50, rounds: 5)?.replies
        default: throw ValidationError("no room '\(room)'")
        }
    }
}
