// The highest rate that a program sustains which takes from its socket more than it can store: cryptofeed puts what it
// reads into queues without end, so that no back pressure reaches the exchange, and "as fast as it takes" means nothing.
// The rate is raised by a factor until what was sent in the window is not all in Redis half a second after its end. Each
// step is a run of its own; a rate counts as too high when it has failed twice, so that a moment of the machine's does not decide. Main thread.

import FastFeed
import Foundation
import RedisServer

struct SustainedRate {
    let contestant: Contestant
    let series: Int
    let effort: Effort
    let programs: ContestantPrograms
    /// Commands that cryptofeed makes of each candle.
    private var storedBy: [String] { contestant.flags.contains("zset") ? ["zadd"] : ["zadd", "xadd"] }

    static let firstRate = 6_000.0
    static let factor = 1.3
    static let slackSeconds = 0.5
    private static let rates = 100.0...1_000_000

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
        let rig = try Rig(setup)
        let program = try contestant.start(rig, programs)
        defer { program.stop() }
        Thread.sleep(forTimeInterval: max(1, effort.warmUpSeconds))
        let before = try rig.read(program)
        Thread.sleep(forTimeInterval: effort.windowSeconds)
        let after = try rig.read(program)
        Thread.sleep(forTimeInterval: SustainedRate.slackSeconds)
        let written = try storedBy.map { try rig.redis.calls($0) }
        guard after.frames > before.frames else { return nil }
        let pace = try Pace(from: before, to: after)
        let isComplete = pace.frames > 0.97 * Double(rate) * pace.seconds && written.allSatisfy { $0 >= after.frames }
        Report.say("  \(rate) frames/s: \(isComplete ? "stored" : "not stored in time")")
        guard isComplete else { return nil }
        let figures = try ReferenceCase.figures(pace, program)
        try checkCounts(rig.exchange, rig.redis)
        return figures
    }

    /// Every frame was stored once by each command: what the keys hold is what the commands were, and not less than was sent.
    private func checkCounts(_ exchange: ExchangeProcess, _ redis: RedisServerProcess) throws {
        let sent = try exchange.klineFrames()
        exchange.stop()
        let client = try RedisClient.connect(redis.endpoint, timeout: .seconds(30))
        defer { client.close() }
        for command in storedBy {
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
