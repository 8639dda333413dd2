// The whole engine: how much it takes, what a frame costs, how long a candle is under way, and what happens when all
// candles close at once. Each round is a fresh exchange, Redis and engine, and ends with the comparison against the
// exchange's truth: a run with a wrong result fails. Main thread.

import FastFeed
import Foundation

enum WholeBenchmarks {
    static let all: [Benchmark] =
        [flatOut, flatOut.with { $0.isSecure = true }].map(simulator)
        + [flatOut, flatOut.with { $0.isSecure = true }, flatOut.with { $0.coalesces = false }].map(saturated)
        + [
            Setup(.openLoop(2_000)), loop20000, loop20000.with { $0.redis = .tcp }, loop20000.with { $0.redis = .aof },
            loop20000.with { $0.isSecure = true }, Setup(.openLoop(100_000)),
        ].map(latency) + [300, 500, 5_000].map { burst(Setup(.bursts, symbols: $0)) }

    private static let flatOut = Setup(.flatOut())
    private static let loop20000 = Setup(.openLoop(20_000))

    /// A fresh run for each round, and the figures of its window.
    private static func rounds(
        _ setup: Setup, _ effort: Effort, _ tell: (String) -> Void, _ body: (WholeRun) throws -> Void
    ) throws -> [WholeRun.Window] {
        try (1...effort.wholeRounds).map { round in
            tell("round \(round) of \(effort.wholeRounds)")
            let run = try WholeRun(setup)
            let (before, after) = try run.rig.measure(warmUpSeconds: effort.warmUpSeconds, seconds: effort.windowSeconds, run.read)
            try run.finish()
            try body(run)
            return try WholeRun.Window(before, after)
        }
    }

    // MARK: The exchange's own limit

    private static func simulator(_ setup: Setup) -> Benchmark {
        let name = "simulator/\(setup.isSecure ? "wss" : "ws")"
        return Benchmark(name: name, sentence: "frames the local exchange sends to a reader that only counts them") { effort, _ in
            let results = try (0..<effort.wholeRounds).map { _ in try ceiling(setup, effort) }
            return [
                Measure("\(name)/frames", "frames/s", better: .higher, rounds: results.map(\.framesPerSecond)),
                Measure("\(name)/exchange-cpu", "us/frame", rounds: results.map(\.exchangeMicroseconds)),
            ]
        }
    }

    private static func ceiling(_ setup: Setup, _ effort: Effort) throws -> DrainClient.Result {
        let exchange = try ExchangeProcess(setup.exchangeArguments)
        defer { exchange.stop() }
        return try DrainClient.run(exchange, setup, seconds: effort.windowSeconds / 4)
    }

    // MARK: As fast as it takes

    private static func saturated(_ setup: Setup) -> Benchmark {
        let name = "saturated/\(setup.coalesces ? setup.transports : "every-update")"
        let sentence = setup.coalesces ? "as fast as the engine takes" : "the same, and every update is written"
        return Benchmark(name: name, sentence: "\(sentence), 300 series") { effort, tell in
            var ceilings: [Double] = []
            let windows = try rounds(setup, effort, tell) { _ in ceilings.append(try ceiling(setup, effort).framesPerSecond) }
            return [
                Measure("\(name)/frames", "frames/s", better: .higher, rounds: windows.map { $0.pace.frames / $0.pace.seconds }),
                Measure("\(name)/exchange-ceiling", "frames/s", better: .neither, rounds: ceilings, note: "what the exchange can send"),
                Measure(
                    "\(name)/exchange-load", "% of a core", better: .neither,
                    rounds: windows.map { $0.pace.cpuSeconds(\.exchangeNs) * 100 / $0.pace.seconds },
                    note: "near 100: the exchange was the limit"),
                Measure(
                    "\(name)/candles", "candles/s", better: setup.coalesces ? .neither : .higher,
                    rounds: windows.map { $0.delta(.candlesWritten) / $0.pace.seconds }),
            ] + costs(name, windows) + engineLatencies(name, windows)
        }
    }

    /// CPU for one frame of each process: the engine's is the product's cost.
    private static func costs(_ name: String, _ windows: [WholeRun.Window]) -> [Measure] {
        [("engine-cpu", "cpu", .lower), ("redis-cpu", "redis-cpu", .lower), ("exchange-cpu", "exchange-cpu", .neither)].map {
            (title, figure, better: Measure.Direction) in
            Measure("\(name)/\(title)", "us/frame", better: better, rounds: windows.map { $0.pace.figures[figure]! })
        }
    }

    /// What the engine's own histograms say: the way from the socket to the acknowledgement, and its four stages.
    private static func engineLatencies(_ name: String, _ windows: [WholeRun.Window]) -> [Measure] {
        func latencies(_ snapshot: (WholeRun.Window) -> HistogramSnapshot) -> Latencies {
            windows.reduce(into: Latencies()) { $0.addRound(snapshot($1)) }
        }
        let note = "from the engine's turn on; of coalesced states only the newest"
        return [latencies(\.latency).measure("\(name)/socket-to-ack", isPictured: true, note: note)]
            + LatencyStage.allCases.map { stage in
                latencies { $0.stages[stage] }.measure("\(name)/\(stage.name.replacing("_", with: "-"))")
            }
    }

    // MARK: At a given rate

    private static func latency(_ setup: Setup) -> Benchmark {
        guard case .openLoop(let rate) = setup.load else { preconditionFailure("latency is measured in an open loop") }
        let name = "latency/\(rate)/\(setup.transports)"
        return Benchmark(
            name: name, sentence: "\(rate) frames/s in an open loop: due to subscriber; and the engine's own part, socket to ack"
        ) { effort, tell in
            var total = UpdateSubscriber.Findings()
            let windows = try rounds(setup.with { $0.subscribes = true }, effort, tell) { total.add($0.rig.subscriber!.result()) }
            let coalesced = windows.map { $0.delta(.coalesced) / $0.pace.frames * 100 }
            return [
                total.sinceDue.measure("\(name)/due-to-subscriber", isPictured: true),
                total.sinceMade.measure("\(name)/made-to-subscriber"),
                total.exchangeLateness.measure("\(name)/exchange-lateness", better: .neither),
                Measure("\(name)/coalesced", "%", better: .neither, rounds: coalesced),
                Measure("\(name)/window", "s", better: .neither, rounds: windows.map(\.pace.seconds), note: "due within it counts"),
            ] + engineLatencies(name, windows) + costs(name, windows)
        }
    }

    // MARK: All at once

    private static func burst(_ setup: Setup) -> Benchmark {
        let name = "burst/\(setup.series)"
        return Benchmark(name: name, sentence: "\(setup.series) series close at one instant, over and over") { effort, tell in
            tell("\(effort.bursts) bursts, one a second")
            let run = try WholeRun(setup.with { $0.subscribes = true })
            // The first burst meets cold paths and streams that are still being subscribed.
            var acks: [Acks] = []
            let (before, after) = try run.rig.measure(
                warmUpSeconds: 2.5, seconds: Double(effort.bursts) + 0.6, wait: { acks += watchAcks(run.engine, seconds: $0) }, run.read)
            // The last burst that counts may have begun just now.
            acks += watchAcks(run.engine, seconds: 0.8)
            try run.finish()
            let bursts = try complete(run.rig.subscriber!.result().closes, series: setup.series, atLeast: effort.bursts)
            let lastAcks = try lastAcks(of: bursts.map { $0[0].dueNs }, series: setup.series, acks)
            let window = try WholeRun.Window(before, after)
            return [
                ranks("\(name)/close-to-subscriber", bursts.map { $0.map { $0.arrivedNs - $0.dueNs } }),
                Measure(
                    name: "\(name)/close-to-ack", unit: "us", better: .lower,
                    values: ["last": median(lastAcks), "n": Double(lastAcks.count)], samples: ["last": lastAcks],
                    note: "us; medians over bursts"),
                ranks("\(name)/exchange-lateness", better: .neither, bursts.map { $0.map { $0.madeNs - $0.dueNs } }),
            ] + engineLatencies(name, [window]) + costs(name, [window])
        }
    }

    /// The closes by the instant at which they were due.
    /// - Throws: unless every second of the window has a burst of all series: a late or lost one must not just be left out.
    static func complete(_ closes: [UpdateSubscriber.Close], series: Int, atLeast expected: Int) throws -> [[UpdateSubscriber.Close]] {
        let bursts = Dictionary(grouping: closes) { $0.dueNs }.sorted { $0.key < $1.key }
        if let torn = bursts.first(where: { $0.value.count != series }) {
            throw FeedError(.venue, "a burst of \(torn.value.count) closes, not \(series), was seen")
        }
        guard bursts.count >= expected else { throw FeedError(.venue, "\(bursts.count) bursts were seen, not \(expected)") }
        let seconds = (Double(bursts.last!.key - bursts.first!.key) / 1e9).rounded()
        guard Int(seconds) == bursts.count - 1 else {
            throw FeedError(.venue, "\(bursts.count) bursts were seen within \(Int(seconds) + 1) seconds")
        }
        return bursts.map(\.value)
    }

    /// Of each burst when half of it, nearly all and all of it was there; then the medians over the bursts.
    static func ranks(_ name: String, better: Measure.Direction = .lower, _ bursts: [[UInt64]]) -> Measure {
        let sorted = bursts.map { $0.map { Double($0) / 1_000 }.sorted() }
        let samples = [
            "p50": sorted.map { $0[$0.count / 2] }, "p99": sorted.map { $0[$0.count * 99 / 100] }, "last": sorted.map { $0[$0.count - 1] },
        ]
        var values = samples.mapValues(median)
        values["n"] = Double(bursts.count)
        return Measure(name: name, unit: "us", better: better, values: values, samples: samples, note: "medians over bursts")
    }

    // MARK: Acknowledgements

    /// So many closed candles were acknowledged, the newest of them at this instant.
    typealias Acks = (count: UInt64, newestNs: UInt64)

    /// Looks at the engine's books for a while. Only what two looks agree on counts: the count and the instant are two words.
    static func watchAcks(_ engine: Engine, seconds: Double) -> [Acks] {
        var seen: [Acks] = []
        var before: Acks = (0, 0)
        let endNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while MonotonicClock.nowNs() < endNs {
            usleep(20_000)
            let now = engine.closedAcks
            if now == before && seen.last?.count != now.count { seen.append(now) }
            before = now
        }
        return seen
    }

    /// From the bars' end to the last acknowledgement of each burst, microseconds.
    /// - Parameter dueNs: the bursts' instants, a second apart.
    /// - Throws: when a burst was not through before the next one: then its last acknowledgement cannot be told.
    static func lastAcks(of dueNs: [UInt64], series: Int, _ seen: [Acks]) throws -> [Double] {
        try dueNs.enumerated().map { index, due in
            let earlier = seen.last { $0.newestNs < due }
            let last = seen.last { $0.newestNs < due + 1_000_000_000 }
            let count = (last?.count ?? 0) - (earlier?.count ?? 0)
            guard let last, count == UInt64(series) else {
                throw FeedError(.redis, "burst \(index + 1): \(count) of \(series) closed candles were acknowledged before the next one")
            }
            return Double(last.newestNs - due) / 1_000
        }
    }
}

/// A reader that does nothing but count messages: what the exchange can send at most.
enum DrainClient {
    /// The microseconds are the CPU of the exchange for one frame.
    typealias Result = (framesPerSecond: Double, exchangeMicroseconds: Double)

    /// Subscribes to all series in the URL, lets the stream run in, and counts for some seconds.
    static func run(_ exchange: ExchangeProcess, _ setup: Setup, seconds: Double) throws -> Result {
        let base = try WebSocketEndpoint(url: exchange.webSocketBase)
        let streams = setup.followedNames.map { "\($0)@kline_\(setup.intervals[0].token)" }.joined(separator: "/")
        var options = ConnectionOptions()
        options.decoder.checksTextInPlace = false
        let poller = try Poller()
        let port = PollerPort(poller: poller, wakeUp: try WakeUp(), agent: 0)
        var connection = WebSocketConnection(
            endpoint: base.appending("/stream?streams=\(streams)"), options: options,
            tls: try exchange.authorityFile.map { try TLSContext.client(authorityFile: $0) }, port: port,
            token: port.token(slot: 0, generation: 0), nowNs: MonotonicClock.nowNs())
        func wait() { _ = poller.wait(timeoutNs: 10_000_000) }
        try Wait.until(10, "the exchange's answer to the upgrade", turn: wait) {
            if case .failed(let reason, _) = connection.open(nowNs: MonotonicClock.nowNs()) { throw FeedError(.venue, reason) }
            return connection.phase == .open
        }
        let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
        func read(for seconds: Double) throws -> (frames: Int, ns: UInt64) {
            let startNs = MonotonicClock.nowNs()
            var frames = 0
            while Double(MonotonicClock.nowNs() - startNs) < seconds * 1e9 {
                switch connection.read(into: buffer) {
                case .bytes(let count): connection.decoder.supply(buffer, count: count)
                case .wouldBlock: wait()
                case .endOfStream, .failed: throw FeedError(.venue, "the exchange has ended the connection")
                }
                events: while true {
                    switch connection.decoder.takeEvent() {
                    case .message: frames += 1
                    case .needMore: break events
                    default: break
                    }
                }
            }
            return (frames, MonotonicClock.nowNs() - startNs)
        }
        _ = try read(for: seconds / 4)
        let beforeNs = try ProcessorTime.ofProcess(exchange.pid)
        let counted = try read(for: seconds)
        let spentNs = try ProcessorTime.ofProcess(exchange.pid) - beforeNs
        return (Double(counted.frames) / Double(counted.ns) * 1e9, Double(spentNs) / 1_000 / Double(max(1, counted.frames)))
    }
}
