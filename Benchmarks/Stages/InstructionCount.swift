// `Benchmarks count ROOM`: one room's loop, once, for callgrind to count the instructions of. scripts/check-instructions.sh
// runs it. Unlike nanoseconds they are the same on a busy machine, so a test can hold them to a limit. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct InstructionCount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks count", abstract: "Runs a room's loop once and prints how many units it had.")

    @Argument(
        help:
            "parse, parse-um, parse-narrow, parse-in-order, parse-any-order, frame-decode, ring, coalesce, encode, encode-closed or replies."
    )
    var room: String

    @Argument(help: "About how many units. (default: by the room, 30,000 to 640,000)")
    var units: Int?

    func run() throws {
        // Their limit is that of wide registers.
        if ["parse", "parse-um", "parse-in-order"].contains(room) && !KlineParser.isWide { return print("narrow") }
        guard let units = try count() else { throw FeedError(.system, "\(room) came to a wrong result") }
        print(units)
    }

    /// Units of one round, one at least.
    private func perRound(_ usual: Int, rounds: Int) -> Int { max(1, (units ?? usual) / rounds) }

    private func count() throws -> Int? {
        // As many rounds in any case, so that their beginning weighs the same: fewer units are fewer of one round.
        switch room {
        case "parse", "parse-um", "parse-narrow", "parse-in-order", "parse-any-order":
            let frames = Frames.klines(perRound(100_000, rounds: 5), of: room == "parse-um" ? .um : .spot)
            let ways: [String: ParseBench.Way] = ["parse-narrow": .narrow, "parse-in-order": .inOrder, "parse-any-order": .inAnyOrder]
            return ParseBench.run(frames, rounds: 5, way: ways[room] ?? .usual).map { _ in 5 * frames.count }
        case "frame-decode":
            let frames = Frames.klines(perRound(40_000, rounds: 20))
            return FrameBench.run(frames.flatMap(Frames.framed), readBytes: 256 << 10, rounds: 20)?.messages
        case "ring":
            let records = 64 * perRound(640_000, rounds: 64)
            return RingBench.ping(records: records, batch: 64) > 0 ? records : nil
        case "coalesce": return TableBench.run(series: 300, bars: perRound(180_000, rounds: 300 * TableBench.updatesPerBar))?.records
        case "encode", "encode-closed":
            let series = perRound(30_000, rounds: 100)
            return EncodeBench.run(series: series, closed: room == "encode-closed", rounds: 100).map { _ in series * 100 }
        case "replies": return ReplyBench.run(batches: perRound(100_500, rounds: 5 * 402), rounds: 5)?.replies
        default: throw ValidationError("no room '\(room)'")
        }
    }
}
