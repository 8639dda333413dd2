// What healing takes: a cold backfill, the time until nothing is missing after an outage, and what a backfill costs the live path beside
// it. Real clocks throughout: bars are of a minute, and the exchange's clock begins shortly before a bar's end. Each round ends with the
// comparison of Redis with all that the exchange has closed, whoever was told of it. Main thread.

import FastFeed
import Foundation
import VenueSimulator

enum HealBenchmarks {
    static let all =
        [backfill(symbols: 500, candles: 1_000)] + [outage(symbols: 300), outage(symbols: 1_500), outage(symbols: 1_500, weight: 60_000)]
        + [
            live("heal/live", symbols: 600, shares: 10, candles: 1_000),
            live("heal/live-outage", symbols: 600, shares: 2, candles: 2, leastSeconds: 30),
        ]

    private static let minuteMs: Int64 = 60_000

    /// Series of a minute.
    /// - Parameter pushMs: between two updates of a series.
    private static func setup(_ symbols: Int, pushMs: Int, _ healing: Setup.Healing) -> Setup {
        var setup = Setup(.pushed(everyMs: pushMs), symbols: symbols, intervals: [.m1])
        (setup.takesCommands, setup.healing) = (true, healing)
        setup.redisArguments = RedisWork.arguments
        return setup
    }

    /// An exchange whose past reaches back far enough.
    private static func past(candles: Int, backfill: Int) -> Setup.Healing {
        let startMs = WallClock.nowMs() + 1_000
        var healing = Setup.Healing(startMs: startMs, truthSinceMs: (startMs / minuteMs - Int64(candles) - 1) * minuteMs)
        (healing.historyMinutes, healing.backfill) = (candles + 120, backfill)
        return healing
    }

    /// - Parameter leastHealed: fewer are not all.
    private static func waitUntilHealed(_ run: WholeRun, _ seconds: Double, leastHealed: UInt64) throws {
        try Wait.until(seconds, "\(leastHealed) healed candles, and no hole") {
            run.count(.gapCandlesHealed) >= leastHealed && run.engine.openGaps.isEmpty
        }
    }

    // MARK: A cold backfill

    private static func backfill(symbols: Int, candles: Int) -> Benchmark {
        let name = "heal/backfill"
        return Benchmark(
            name: name, sentence: "\(symbols) new series get \(candles) candles each, from the start to the last acknowledgement"
        ) {
            effort, tell in
            let symbols = symbols / effort.divisor
            var (rates, seconds, redis, slow, weights): ([Double], [Double], [Double], [Double], [Double]) = ([], [], [], [], [])
            for round in 1...effort.wholeRounds {
                tell("round \(round) of \(effort.wholeRounds)")
                let setup = setup(symbols, pushMs: 2_000, past(candles: candles, backfill: candles))
                let run = try WholeRun(setup)
                let client = try RedisClient.connect(run.rig.redisEndpoint)
                // The bar that is forming is one of them, and a minute may end meanwhile.
                try waitUntilHealed(run, 180, leastHealed: UInt64(symbols * (candles - 2)))
                let took = Double(MonotonicClock.nowNs() - run.startedNs) / 1e9
                seconds.append(took)
                rates.append(Double(run.count(.gapCandlesHealed)) / took)
                redis.append(try RedisWork(client).timeInAll / took / 1e6 * 100)
                slow.append(try RedisWork.slowCommands(client))
                weights.append(Double(try run.rig.exchange.klineWeight()))
                let fromMs = (setup.healing!.startMs / minuteMs - Int64(candles) + 2) * minuteMs
                let settledMs = try run.rig.exchange.timeMs() - 5_000
                try run.finish(leastRequired: symbols * (candles - 3)) { closed, _ in
                    closed.candle.openTimeMs >= fromMs && closed.candle.closeTimeMs < settledMs
                }
            }
            return [
                Measure("\(name)/candles", "candles/s", better: .higher, rounds: rates),
                Measure("\(name)/time", "s", rounds: seconds, note: "from the engine's start"),
                Measure("\(name)/redis-time", "%", rounds: redis, note: "of that time, in all commands"),
                Measure("\(name)/slow-commands", "commands", rounds: slow, note: "more than 5 ms"),
                Measure("\(name)/weight", "weight", better: .neither, rounds: weights, note: "of the exchange's 6,000 a minute"),
            ]
        }
    }

    // MARK: An outage

    /// Of the exchange's time before the bars' end: when the connections are cut. And of ours: how long nobody listens.
    private static let cutBeforeMs: Int64 = 2_000
    private static let awayMs = 6_000

    /// - Parameter weight: what the exchange allows; nil: its own limit. A series costs 2, and half of the limit is used.
    private static func outage(symbols: Int, weight: Int? = nil) -> Benchmark {
        let name = "heal/outage/\(symbols)" + (weight.map { "/weight-\($0)" } ?? "")
        let limit = weight.map { "; the exchange allows a weight of \($0) a minute" } ?? ""
        return Benchmark(name: name, sentence: "\(symbols) series miss a close: connections back to the last acknowledgement\(limit)") {
            effort, tell in
            let symbols = symbols / effort.divisor
            var (nearly, seconds, scripts, slow, weights): ([Double], [Double], [Double], [Double], [Double]) = ([], [], [], [], [])
            for round in 1...effort.wholeRounds {
                tell("round \(round) of \(effort.wholeRounds)")
                // Time to subscribe by messages, a few a second.
                let leadMs = symbols > 1_024 ? 20_000 : Int64(10_000)
                let endMs = (WallClock.nowMs() + leadMs + minuteMs) / minuteMs * minuteMs
                var healing = Setup.Healing(startMs: endMs - leadMs, truthSinceMs: endMs - minuteMs)
                healing.restWeight = weight
                let run = try WholeRun(setup(symbols, pushMs: 2_000, healing))
                let client = try RedisClient.connect(run.rig.redisEndpoint)
                try cut(run, client, symbols, before: endMs)
                let backNs = MonotonicClock.nowNs()
                try Wait.until(150, "99 of 100 candles") { run.count(.gapCandlesHealed) >= UInt64(symbols * 99 / 100) }
                nearly.append(Double(MonotonicClock.nowNs() - backNs) / 1e9)
                try waitUntilHealed(run, 150, leastHealed: UInt64(symbols))
                seconds.append(Double(MonotonicClock.nowNs() - backNs) / 1e9)
                scripts.append(Double(run.count(.historyScripts)))
                slow.append(try RedisWork.slowCommands(client))
                weights.append(Double(try run.rig.exchange.klineWeight()))
                try run.finish(leastRequired: symbols) { closed, _ in closed.candle.openTimeMs < endMs }
            }
            return [
                Measure("\(name)/time", "s", rounds: seconds, note: "the last one"),
                Measure(
                    "\(name)/time-99", "s", rounds: nearly, note: "99 of 100 have come; the others may wait for the next minute's weight"),
                Measure("\(name)/scripts", "calls", rounds: scripts, note: "0: all were appended"),
                Measure("\(name)/slow-commands", "commands", rounds: slow, note: "more than 5 ms"),
                Measure("\(name)/weight", "weight", better: .neither, rounds: weights),
            ]
        }
    }

    /// All connections end shortly before the bars do, and come back behind it.
    private static func cut(_ run: WholeRun, _ client: RedisClient, _ series: Int, before endMs: Int64) throws {
        let exchange = run.rig.exchange
        try Wait.until(30, "a state of each series") {
            try client.command("HLEN", Setup.schema.latestKey(.spot, .m1)).integer.map { Int($0) == series } ?? false
        }
        guard try exchange.timeMs() < endMs - cutBeforeMs else { throw FeedError(.venue, "the bars have ended before all was subscribed") }
        try Wait.until(60, "the end of the bars to come near") { try exchange.timeMs() >= endMs - cutBeforeMs }
        // Nobody listens to us, either: the cut comes a moment after the second request.
        try exchange.ask("POST", "/sim/fault?kind=massDisconnect&after=200")
        try exchange.ask("POST", "/sim/fault?kind=refuseConnect&duration=\(awayMs)")
        try Wait.until(10, "the connections to end") { run.count(.connectionsLive) == 0 }
        try Wait.until(60, "the connections to come back", turn: { usleep(1_000) }) {
            run.count(.connectionsLive) == UInt64(run.rig.setup.connections)
        }
    }

    // MARK: Beside the live path

    /// What healing does in Redis besides what live candles do.
    private static let healCommands = ["xadd", "evalsha", "eval", "xrange", "xrevrange", "xlen"]

    /// - Parameters:
    ///   - shares: one of so many parts of the series is healed in each round.
    ///   - candles: of each of them. Two are what an outage over two closes has cost.
    ///   - leastSeconds: of a window, with and without: what is healed in a moment is a moment of what readers see.
    private static func live(_ name: String, symbols: Int, shares: Int, candles: Int, leastSeconds: Double = 0) -> Benchmark {
        Benchmark(
            name: name,
            sentence: "20,000 frames/s of \(symbols) series; beside it \(symbols / shares) of them get \(candles) candles each, or not"
        ) {
            effort, tell in
            let (symbols, pushMs) = (symbols / effort.divisor, 30)
            let pairs = effort.wholeRounds + 2
            // Who has a second turn has the bars before.
            let depth = (pairs + shares - 1) / shares * candles
            let setup = setup(symbols, pushMs: pushMs, past(candles: depth, backfill: 0))
            let run = try WholeRun(setup)
            let (client, link) = (try RedisClient.connect(run.rig.redisEndpoint), try CommandLink(run.rig.redisEndpoint))
            Thread.sleep(forTimeInterval: effort.warmUpSeconds)
            var rounds = Rounds()
            let least = leastSeconds / Double(effort.divisor)
            var seconds = max(effort.windowSeconds / 2, least)
            let share = symbols / shares
            for pair in 0..<pairs {
                tell("pair \(pair + 1) of \(pairs)")
                rounds.add("without", pair, try window(run, client) { Thread.sleep(forTimeInterval: seconds) })
                let began = MonotonicClock.nowNs()
                func passedSeconds() -> Double { Double(MonotonicClock.nowNs() - began) / 1e9 }
                var healed = 0.0
                let figures = try window(run, client) {
                    let wanted = run.count(.gapCandlesHealed) + UInt64(share * candles * 9 / 10)
                    let first = pair % shares * share
                    // What has closed since the start is there.
                    let closed = Int(WallClock.nowMs() / minuteMs - setup.healing!.startMs / minuteMs)
                    let count = candles * (pair / shares + 1) + closed
                    for symbol in setup.names[first..<(first + share)] {
                        try link.call(.backfill, #""symbol":"\#(symbol)","interval":"1m","count":\#(count)"#)
                    }
                    try waitUntilHealed(run, 120, leastHealed: wanted)
                    healed = passedSeconds()
                    Thread.sleep(forTimeInterval: max(0, least - healed))
                }
                // The next window without is as long.
                seconds = passedSeconds()
                rounds.add("with", pair, figures.merging(["time": healed]) { $1 })
            }
            let slow = try RedisWork.slowCommands(client)
            let settledMs = try run.rig.exchange.timeMs() - 5_000
            try run.finish(leastRequired: pairs * share * candles * 9 / 10) { closed, kept in
                closed.candle.openTimeMs >= kept.oldestMs && closed.candle.closeTimeMs < settledMs && kept.count > 0
            }
            return report(name, rounds, slow: slow)
        }
    }

    /// What the engine's own histogram says of live candles, and Redis of its time, while something is done.
    private static func window(_ run: WholeRun, _ client: RedisClient, _ body: () throws -> Void) throws -> [String: Double] {
        let before = (meters: try run.read(), redis: try RedisWork(client))
        try body()
        let after = (meters: try run.read(), redis: try RedisWork(client))
        let window = try WholeRun.Window(before.meters, after.meters)
        guard let p50 = window.latency.quantile(0.5), let p99 = window.latency.quantile(0.99) else {
            throw FeedError(.venue, "no live candle was written in the window")
        }
        return [
            "p50": Double(p50) / 1_000, "p99": Double(p99) / 1_000, "frames": window.pace.frames / window.pace.seconds,
            "redis": after.redis.share(since: before.redis), "redis-heal": after.redis.share(since: before.redis, of: healCommands),
        ]
    }

    private static func report(_ name: String, _ rounds: Rounds, slow: Double) -> [Measure] {
        func ratios(_ figure: String) -> [Double] { zip(rounds.all("with", figure), rounds.all("without", figure)).map { $0 / $1 } }
        let names = ["without", "with"]
        return ["p50", "p99"].flatMap { figure in
            names.map { Measure("\(name)/\($0)/\(figure)", "us", rounds: rounds.all($0, figure), note: "socket to ack, live candles") }
                + [Measure("\(name)/ratio/\(figure)", "", rounds: ratios(figure), note: "with to without, of neighbours")]
        }
            + names.map { Measure("\(name)/\($0)/redis-time", "%", rounds: rounds.all($0, "redis"), note: "in all commands") }
            + names.map {
                Measure("\(name)/\($0)/redis-history", "%", rounds: rounds.all($0, "redis-heal"), note: healCommands.joined(separator: " "))
            }
            + names.map { Measure("\(name)/\($0)/frames", "frames/s", better: .neither, rounds: rounds.all($0, "frames")) }
            + [
                Measure("\(name)/with/time", "s", rounds: rounds.all("with", "time")),
                Measure("\(name)/slow-commands", "commands", rounds: [slow], note: "more than 5 ms, in the whole run"),
            ]
    }
}
