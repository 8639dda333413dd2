// What consumer groups on the histories cost the engine that writes them: windows beside ten groups that read and acknowledge every closed
// candle, and windows without, in turns. The groups are in this process, each on a connection of its own; that they share the machine's
// cores is in the figures. Main thread; the groups' work is on the tasks' threads.

import FastFeed
import Foundation
import Synchronization

enum GroupBenchmarks {
    static let all = [Interval.s1, .m1].map { live(groups: 10, rate: 20_000, $0) }

    private static func live(groups: Int, rate: Int, _ interval: Interval) -> Benchmark {
        let name = "groups/\(rate)/\(interval.token)"
        return Benchmark(
            name: name, sentence: "\(rate) frames/s in an open loop; beside it \(groups) groups read the 300 histories, or nobody does",
            isLong: interval == .m1
        ) { effort, tell in
            let setup = Setup(.openLoop(rate), intervals: [interval])
            var effort = effort
            // All bars close at once: each window has that instant.
            if let lengthMs = interval.lengthMs { effort.windowSeconds = max(effort.windowSeconds, Double(lengthMs) / 1_000) }
            let run = try WholeRun(setup)
            let client = try RedisClient.connect(run.rig.redisEndpoint)
            let keys = setup.followedNames.map { Setup.schema.historyKey(Series(symbol: $0, interval: interval)) }
            try Wait.until(90, "a candle in each history") {
                try client.pipeline(keys.map { ["EXISTS", $0] }).allSatisfy { $0.integer == 1 }
            }
            var rounds = Rounds()
            for pair in 0..<effort.wholeRounds + 2 {
                tell("pair \(pair + 1) of \(effort.wholeRounds + 2)")
                rounds.add("without", pair, try window(run, effort))
                let readers = GroupReaders(groups, keys, run.rig.redisEndpoint)
                defer { readers.stop() }
                try Wait.until(90, "all groups to read") { readers.handled >= groups * keys.count }
                let before = (handled: readers.handled, ns: MonotonicClock.nowNs())
                var figures = try window(run, effort)
                let seconds = Double(MonotonicClock.nowNs() - before.ns) / 1e9
                figures["handled"] = Double(readers.handled - before.handled) / seconds
                rounds.add("with", pair, figures)
                readers.stop()
                if let failure = readers.failure { throw FeedError(.redis, "a group ended: \(failure)") }
                _ = try client.pipeline((0..<groups).flatMap { group in keys.map { ["XGROUP", "DESTROY", $0, GroupReaders.name(group)] } })
            }
            try run.finish()
            return report(name, rounds)
        }
    }

    private static func window(_ run: WholeRun, _ effort: Effort) throws -> [String: Double] {
        let (before, after) = try run.rig.measure(warmUpSeconds: effort.warmUpSeconds, seconds: effort.windowSeconds, run.read)
        let window = try WholeRun.Window(before, after)
        guard let p50 = window.latency.quantile(0.5), let p99 = window.latency.quantile(0.99) else {
            throw FeedError(.venue, "nothing was written in the window")
        }
        return ["p50": Double(p50) / 1_000, "p99": Double(p99) / 1_000, "cpu": window.pace.figures["cpu"]!]
    }

    private static func report(_ name: String, _ rounds: Rounds) -> [Measure] {
        let names = ["without", "with"]
        return [("p50", "us"), ("p99", "us"), ("cpu", "us/frame")].flatMap { figure, unit in
            names.map { Measure("\(name)/\($0)/\(figure)", unit, rounds: rounds.all($0, figure), note: "the engine's") }
                + [
                    Measure(
                        "\(name)/ratio/\(figure)", "",
                        rounds: zip(rounds.all("with", figure), rounds.all("without", figure)).map { $0 / $1 },
                        note: "with to without, of neighbours")
                ]
        } + [Measure("\(name)/handled", "messages/s", better: .neither, rounds: rounds.all("with", "handled"), note: "by all groups")]
    }
}

/// Groups with one consumer each that reads all of the streams, from their ends on. Any thread.
private final class GroupReaders: Sendable {
    private let isOver = Atomic(false)
    private let running: Atomic<Int>
    private let count = Atomic(0)
    private let firstFailure = Mutex<String?>(nil)

    static func name(_ group: Int) -> String { "bench-\(group)" }

    init(_ groups: Int, _ keys: [String], _ place: RedisEndpoint) {
        running = Atomic(groups)
        for group in 0..<groups {
            Task.detached { [self] in
                do {
                    try await read(GroupReaders.name(group), keys, place)
                } catch {
                    firstFailure.withLock { $0 = $0 ?? "\(error)" }
                }
                running.subtract(1, ordering: .relaxed)
            }
        }
    }

    var handled: Int { count.load(ordering: .relaxed) }
    var failure: String? { firstFailure.withLock { $0 } }

    /// Once all have ended.
    func stop() {
        isOver.store(true, ordering: .relaxed)
        while running.load(ordering: .relaxed) > 0 { usleep(5_000) }
    }

    private func read(_ group: String, _ keys: [String], _ place: RedisEndpoint) async throws {
        let streams = try await RedisStreams.connect(place)
        defer { streams.close() }
        let consumer = streams.consumer(group: group, of: keys, as: "one", ConsumerOptions(start: .end))
        let ending = Task {
            while !isOver.load(ordering: .relaxed) { try? await Task.sleep(for: .milliseconds(20)) }
            await consumer.stop()
        }
        try await consumer.run { [self] _ in count.add(1, ordering: .relaxed) }
        await ending.value
    }
}
