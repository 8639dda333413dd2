// `Benchmarks endurance`: feedd flat out over a hundred million frames, its memory looked at every second; and the engine's
// own count of what its threads allocate, over ten million. `perf/endurance.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct Endurance: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks endurance",
        abstract: "Memory stays flat and the data path allocates nothing, over very many frames.",
        discussion: "Flat out, 300 series. Exit status 1 when anything does not hold.")

    @Option(help: "Frames over which memory must stay flat.")
    var frames: Int64 = 100_000_000

    @Option(help: "Seconds before they count: what only the start needed is given back after a minute.")
    var warmUp = 70.0

    @Option(help: "Frames over which nothing may be allocated.")
    var heapFrames: Int64 = 10_000_000

    @OptionGroup var trial: TrialOptions

    func validate() throws {
        guard frames >= 1_000_000, heapFrames >= 100_000, (0...3_600).contains(warmUp) else {
            throw ValidationError("--frames must be at least 1000000, --heap-frames 100000, --warm-up between 0 and 3600")
        }
    }

    func run() throws {
        try Trial.carryOut("endurance", trial) { result, directory in
            try heap(result)
            try memory(result, directory)
        }
    }

    /// More than any exchange of ours sends, for what the exchange must be able to remember.
    static let framesPerSecondMax = 4_000_000.0
    /// Of the median, to either side.
    static let flatShare = 0.01
    static let samplesMin = 3
    /// Fewer are over before every page has been touched.
    static let judgedFrom: Int64 = 20_000_000

    // MARK: The process's memory

    private func memory(_ result: TrialResult, _ directory: URL) throws {
        // Bars of five minutes: as many closed candles as the exchange can remember.
        let framesMax = Double(frames) + warmUp * Endurance.framesPerSecondMax
        let setup = Setup(.flatOut(), intervals: [.m5]).with { $0.truthCandles = max(1_000_000, Int(framesMax / 200)) }
        let run = try ServiceRun(setup, in: directory)
        // As many as had come with the first sample.
        var receivedBefore: Int64?
        let secondsMax = 60 + warmUp + Double(frames) / 100_000
        try run.watch(result, first: max(1, warmUp), every: 1, printsEvery: 5) { second in
            guard second < secondsMax else { throw FeedError(.venue, "\(frames) frames do not come") }
            let received = run.feedd.report[.messagesReceived]
            if receivedBefore == nil, !result.samples.isEmpty { receivedBefore = received }
            return result.samples.count >= Endurance.samplesMin && received >= frames + (receivedBefore ?? received)
        }
        let total = try run.finish(result)
        let counted = total[.messagesReceived] - (receivedBefore ?? total[.messagesReceived])
        result.judge(
            "frames came", counted >= frames, "\(shown(Double(counted))) messages, after \(shown(warmUp)) seconds that do not count")
        judgeFlat(result, "RSS is flat", \.residentBytes, isJudged: frames >= Endurance.judgedFrom)
        // A hundredth of it is a few pages: shown, and the whole is judged.
        judgeFlat(result, "anonymous memory", \.anonymousBytes, isJudged: false)
    }

    private func judgeFlat(_ result: TrialResult, _ name: String, _ part: KeyPath<ProcessSample, Int>, isJudged: Bool) {
        let values = result.samples.map { $0.process[keyPath: part].megabytes }
        let (low, middle, high) = (values.min()!, median(values), values.max()!)
        let share = max(high - middle, middle - low) / middle
        result.judge(
            name, isJudged ? share <= Endurance.flatShare : nil,
            String(
                format: "%.2f MB, %.2f to %.2f, ± %.2f %% over %d samples; first %.2f, last %.2f", middle, low, high, share * 100,
                values.count, values.first ?? 0, values.last ?? 0)
                + (isJudged ? String(format: "; at most ± %.0f %%", Endurance.flatShare * 100) : "")
                // What explains a step: cells of the queue that were used for the first time.
                + "; \(result.samples.map(\.closedPending).max() ?? 0) closed candles waited at most")
    }

    // MARK: The data path's heap

    /// The engine as a library, in this process: the allocator's count by thread cannot be read from outside.
    private func heap(_ result: TrialResult) throws {
        let run = try WholeRun(Setup(.flatOut()))
        // Nothing is proven without a closed candle that was written in between.
        func wait(until frames: Int64, closedBeyond closed: UInt64 = 0) throws -> EngineSnapshot {
            var now = run.engine.snapshot()
            try Wait.until(30 + Double(frames) / 100_000, "\(frames) frames, and a closed candle among them", turn: { usleep(1_000) }) {
                now = run.engine.snapshot()
                return now.counters[.messagesReceived] >= UInt64(frames) && now.counters[.closedWritten] > closed
            }
            return now
        }
        // From now on: the answer to the last subscription is read in a turn that may not be over, and may come after many frames.
        let subscribed = Int64(run.engine.snapshot().counters[.messagesReceived])
        let before = try wait(until: subscribed + max(50_000, heapFrames / 10))
        let after = try wait(
            until: Int64(before.counters[.messagesReceived]) + heapFrames, closedBeyond: before.counters[.closedWritten])
        try run.finish()
        let bytesBefore = before.dataThreadsAllocatedBytes ?? 0
        let bytes = (after.dataThreadsAllocatedBytes ?? 0) - bytesBefore
        func grown(_ id: CounterID) -> String { shown(Double(after.counters[id] - before.counters[id])) }
        // Where jemalloc is not the allocator there is nothing to read, and nothing is proven.
        result.judge(
            "the data path allocates nothing", bytes == 0 && bytesBefore > 0,
            "\(bytes) bytes over \(grown(.messagesReceived)) frames, \(grown(.closedWritten)) closed candles among them; "
                + "\(shown(Double(bytesBefore))) bytes before")
    }
}
