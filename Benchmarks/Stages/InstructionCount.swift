// `Benchmarks count ROOM`: one room's loop, once, for callgrind to count the instructions of. scripts/check-instructions.sh
// runs it. Unlike nanoseconds they are the same on a busy machine, so a test can hold them to a limit. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct InstructionCount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks count", abstract: "Runs a room's loop once and prints how many units it had.")

    @Argument(help: "parse, parse-narrow, parse-in-order, parse-any-order, frame-decode, ring, coalesce, encode, encode-closed or replies.")
    var room: String

    @Argument(help: "About how many units: whole rounds are run, one at least. (default: by the room, 30,000 to 640,000)")
    var units: Int?

    func run() throws {
        // Their limit is that of wide registers.
        if ["parse", "parse-in-order"].contains(room) && !KlineParser.isWide { return print("narrow") }
        guard let units = try count() else { throw FeedError(.system, "\(room) came to a wrong result") }
        print(units)
    }

    private func count() throws -> Int? {
        /// Rounds of so many units each.
        func rounds(_ count: Int, of size: Int) -> Int { units.map { max(1, $0 / size) } ?? count }
        switch room {
        case "parse", "parse-narrow", "parse-in-order", "parse-any-order":
            let frames = Frames.klines(min(20_000, units ?? .max))
            let ways: [String: ParseBench.Way] = ["parse-narrow": .narrow, "parse-in-order": .inOrder, "parse-any-order": .inAnyOrder]
            let rounds = rounds(5, of: frames.count)
            return ParseBench.run(frames, rounds: rounds, way: ways[room] ?? .usual).map { _ in rounds * frames.count }
        case "frame-decode":
            let messages = Frames.klines(min(2_000, units ?? .max))
            return FrameBench.run(messages.flatMap(Frames.framed), readBytes: 256 << 10, rounds: rounds(20, of: messages.count))?.messages
        case "ring":
            let records = 64 * rounds(10_000, of: 64)
            return RingBench.ping(records: records, batch: 64) > 0 ? records : nil
        case "coalesce": return TableBench.run(series: 300, bars: rounds(10, of: 300 * TableBench.updatesPerBar))?.records
        case "encode", "encode-closed":
            let rounds = rounds(100, of: 300)
            return EncodeBench.run(series: 300, closed: room == "encode-closed", rounds: rounds).map { _ in 300 * rounds }
        case "replies": return ReplyBench.run(batches: 50, rounds: rounds(5, of: 50 * 402))?.replies
        default: throw ValidationError("no room '\(room)'")
        }
    }
}
