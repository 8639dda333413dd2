// The highest rate that a program sustains which takes from its socket more than it can store: cryptofeed puts what it
// reads into queues without end, so that no back pressure reaches the exchange, and "as fast as it takes" means nothing.
// The rate is raised by a factor until what was sent in the window is not all in Redis half a second after its end. Each
// step is a run of its own; a rate counts as too high when it has failed twice, so that a moment of the machine's does not decide. Main thread.

import FastFeed
import Foundation

struct SustainedRate {
    private let contestant: Contestant
    private let series: Int
    private let effort: Effort
    private let programs: ContestantPrograms

    static let firstRate = 6_000.0
    static let factor = 1.3
    static let slackSeconds = 0.5
    private static let rates = 100.0...1_000_000

    init(_ contestant: Contestant, series: Int, _ effort: Effort, _ programs: ContestantPrograms) {
        (self.contestant, self.series, self.effort, self.programs) = (contestant, series, effort, programs)
    }

    /// Figures of the highest rate that was stored in time.
    func find() throws -> [String: Double] {
        var best: [String: Double]?
        var rate = SustainedRate.firstRate
        while SustainedRate.rates.contains(rate) {
            if let figures = try step(Int(rate)) ?? step(Int(rate)) {
                best = figures
                // From above: there is no higher one left to try.
                if rate < SustainedRate.firstRate { break }
                rate *= SustainedRate.factor
            } else {
                if best != nil { break }
                rate /= SustainedRate.factor
            }
        }
        guard let best else { throw FeedError(.redis, "\(contestant.name) sustains no rate") }
        return best
    }

    /// One run. Nil: not stored in time.
    private func step(_ rate: Int) throws -> [String: Double]? {
        var setup = Setup(.openLoop(rate), symbols: series)
        (setup.redis, setup.keepsTruth) = (.tcp, false)
        let run = try ReferenceRun(setup, contestant, programs)
        Thread.sleep(forTimeInterval: max(1, effort.warmUpSeconds))
        let before = try run.read()
        Thread.sleep(forTimeInterval: effort.windowSeconds)
        let after = try run.read()
        Thread.sleep(forTimeInterval: SustainedRate.slackSeconds)
        let written = try contestant.storedBy.map { try run.rig.redis.calls($0) }
        guard after.frames > before.frames else { return nil }
        let pace = try Pace(from: before, to: after)
        let isComplete = pace.frames > 0.97 * Double(rate) * pace.seconds && written.allSatisfy { $0 >= after.frames }
        Report.say("  \(rate) frames/s: \(isComplete ? "stored" : "not stored in time")")
        guard isComplete else { return nil }
        let figures = try run.figures(pace)
        try checkCounts(run.rig.exchange, run.rig.redis)
        return figures
    }

    /// Every frame was stored once by each command: what the keys hold is what the commands were, and not less than was sent.
    private func checkCounts(_ exchange: ExchangeProcess, _ redis: RedisServerProcess) throws {
        let sent = try exchange.klineFrames()
        exchange.stop()
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(30))
        defer { client.close() }
        for command in contestant.storedBy {
            var calls: UInt64 = 0
            try? Wait.until(5, "all to be stored", turn: { usleep(300_000) }) {
                let before = calls
                calls = try redis.calls(command)
                return calls == before && calls >= sent
            }
            let (pattern, count) = command == "zadd" ? ("candles-*", "ZCARD") : ("candles_stream-*", "XLEN")
            let keys = try client.command("KEYS", pattern).strings
            let held = try keys.reduce(0) { try $0 + Int(client.command(count, $1).integer ?? 0) }
            guard keys.count == series, UInt64(held) == calls, calls >= sent else {
                throw FeedError(
                    .redis,
                    "\(contestant.name): \(sent) frames, \(calls) \(command) commands, \(held) entries in \(keys.count) keys of \(series)")
            }
        }
    }
}

extension Contestant {
    /// Commands that cryptofeed makes of each candle.
    fileprivate var storedBy: [String] { flags.contains("zset") ? ["zadd"] : ["zadd", "xadd"] }
}
