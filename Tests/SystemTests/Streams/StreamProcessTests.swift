// Consumers that are processes: one whose handler takes it down, and ones that are told to end.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Streams: consumers that are processes", .serialized, .streamLimit)
struct StreamProcessTests {
    private static let benchmarks = ProgramRun.program.deletingLastPathComponent().appendingPathComponent("Benchmarks")

    private func worker(_ rig: StreamRig, _ name: String, _ options: String...) throws -> ProgramRun {
        try ProgramRun(["stream-worker", rig.server.socketPath, "orders", "g", name] + options, of: StreamProcessTests.benchmarks)
    }

    /// What a worker has handled, with its deliveries.
    private func handled(_ run: ProgramRun) -> [(id: StreamID, deliveries: Int)] {
        run.outputText.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let id = StreamID(String(words[0])), let deliveries = Int(words[1]) else { return nil }
            return (id, deliveries)
        }
    }

    @Test(
        "A handler that takes its process down: the entry goes from process to process, counted, and ends as a dead letter",
        .disabled(if: Sanitizer.isOn, "a sanitizer's processes do not die of abort() alone"))
    func aborts() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 20)
        // A crash counts for all that a process has in hand: here, for one.
        func start(_ name: String) throws -> ProgramRun {
            try worker(rig, name, "--prefetch", "1", "--claim-after-ms", "500", "--abort-at", "7")
        }
        var runs: [ProgramRun] = []
        for number in 1...5 {
            let run = try start("worker-\(number)")
            runs.append(run)
            #expect(run.end(within: 30) == -SIGABRT, "\(run.errorText)")
            let left = try await rig.streams["orders"].group("g").pending()
            #expect(left.count == 1 && left.byConsumer == ["worker-\(number)": 1], "\(left)")
            let row = try #require(try await rig.streams["orders"].group("g").pending(of: nil).first)
            #expect(row.id == ids[7] && row.deliveries == number, "\(row)")
            #expect(try rig.length("dead:{orders}:g") == 0)
        }
        let last = try start("worker-6")
        runs.append(last)
        try await eventually(30, "a dead letter, and nothing pending: \(last.errorText)") {
            try rig.length("dead:{orders}:g") == 1 && rig.pending("orders", "g") == 0
        }
        let more = try rig.fill("orders", 5, from: 20)
        try await eventually(30, "what comes then") { handled(last).suffix(5).map(\.id) == more && rig.pending("orders", "g") == 0 }
        last.signal(SIGTERM)
        #expect(last.end() == 0, "\(last.errorText)")
        // All others once, by whoever; their acknowledgements had left before the entry that takes the process down came.
        let all = runs.flatMap(handled)
        #expect(all.map(\.id) == ids.filter { $0 != ids[7] } + more && all.allSatisfy { $0.deliveries == 1 }, "\(all)")
        let letter = try #require(try await rig.streams["dead:{orders}:g"].range().first)
        #expect(letter["n"] == "7" && letter["dead_stream"] == "orders" && letter["dead_group"] == "g")
        #expect(letter["dead_id"] == "\(ids[7])" && letter["dead_deliveries"] == "5" && letter["dead_reason"]?.isEmpty == false)
        #expect(try rig.length("orders") == 25, "the entry itself stays")
    }

    @Test("SIGTERM with a hundred in hand, five done, one slow: somebody else has 94 at once, the slow one ends, the name is gone")
    func terminated() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 100)
        let process = try worker(rig, "first", "--wait-at", "5")
        try await eventually(20, "five done: \(process.errorText)") {
            handled(process).count == 5 && rig.pending("orders", "g", of: "first") == 95
        }
        // Nobody's messages are taken over within the test unless they were given back.
        let second = rig.streams["orders"].group("g").consumer(as: "second")
        let rest = HandledLog()
        let task = second.work(into: rest)
        // The second one's; after some seconds the first one has room for five more, and waits, too.
        try await eventually(10, "a read that waits") { try rig.waiting() >= 1 }
        process.signal(SIGTERM)
        try await eventually(30, "94, not \(rest.count)") { rest.count >= 94 }
        #expect(rig.pending("orders", "g", of: "first") == 1 && handled(process).count == 5)
        try rig.ask("XADD", "gate", "*", "open", "1")
        #expect(process.end() == 0, "\(process.errorText)")
        #expect(handled(process).map(\.id) == Array(ids.prefix(6)))
        try await eventually(10, "none pending") { rig.pending("orders", "g") == 0 }
        #expect(rest.count == 94 && rest.distinct == Set(ids.dropFirst(6)), "nothing twice")
        #expect(try rig.consumerNames("orders", "g") == ["second"])
        await second.stop()
        try await task.end()
    }

    @Test("SIGTERM to 'feedd group read --follow --ack': what was printed is acknowledged, and only that; the rest is somebody else's")
    func commandLine() async throws {
        let rig = try await StreamRig()
        let ids = try (0..<40).flatMap { try rig.fill("orders", 500, from: 500 * $0) }
        _ = try await rig.streams["orders"].group("g").create()
        // A pipe that nobody empties: the program stands in the middle of its work.
        let directory = try TemporaryDirectory()
        let path = directory.path + "/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        try #require(reader >= 0)
        defer { close(reader) }
        let options = ["--group", "g", "--as", "first", "--follow", "--ack", "--json", "--redis", rig.url]
        let process = try ProgramRun(["group", "read", "orders"] + options, output: .redirected(">\(path)"))
        try await eventually(30, "a full pipe: \(process.errorText)") {
            var count: Int32 = 0
            return ioctl(reader, UInt(FIONREAD), &count) == 0 && count > 60_000
        }
        process.signal(SIGTERM)
        var printed: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        try await eventually(30, "the end of its output") {
            while true {
                let count = read(reader, &buffer, buffer.count)
                guard count > 0 else { return count == 0 }
                printed += buffer[..<count]
            }
        }
        #expect(process.end() == 0, "\(process.errorText)")
        let shown = String(decoding: printed, as: UTF8.self).matches(of: /"id":"([0-9]+-[0-9]+)"/).compactMap { StreamID(String($0.1)) }
        #expect(shown == Array(ids.prefix(shown.count)) && shown.count < ids.count, "\(shown.count) of \(ids.count)")
        let second = rig.streams["orders"].group("g").consumer(as: "second")
        let rest = HandledLog()
        let task = second.work(into: rest)
        try await eventually(30, "the rest, not \(rest.count)") {
            shown.count + rest.count >= ids.count && rig.pending("orders", "g") == 0
        }
        #expect(rest.count == ids.count - shown.count && rest.distinct == Set(ids.dropFirst(shown.count)), "nothing twice, nothing lost")
        await second.stop()
        try await task.end()
    }
}
