// One churn: exchange, Redis and feedd as processes, commands by the documented channels, and a look at feedd before, after
// and each minute. One thread.

import FastFeed
import Foundation
import VenueSimulator

final class ChurnRun {
    /// What may leak.
    struct Look {
        let process: ProcessSample
        let heapBytes: Int64
        let seriesActive: Int64
        let idsInUse: Int64
        let connections: Int64
        /// Keys that stay; those with a time to live pass away by themselves.
        let keys: Int
    }

    private let options: Churn
    private let directory: URL
    private let exchange: ExchangeProcess
    private let redis: RedisServerProcess
    private let feedd: FeeddProcess
    private let link: CommandLink
    private let client: RedisClient
    private let symbols = SymbolSpec.list(seed: 1, market: .spot, count: 40, illiquidEvery: 0).map(\.symbol.name)
    private var rounds = 0

    /// Streams of a connection: fluxes of more symbols than that bring connections with them, which must go again.
    private static let streamsPerConnection = 4
    /// Symbols of the fluxes, in turns. One round in four opens two connections: the exchange allows 300 in five minutes.
    private static let sizes = [1, 3, 2, 8]
    /// A leak of 2 KB for each flux would be more over ten minutes. Less is what the allocator's pages and the answers
    /// that are kept for a minute come to.
    private static let residentGrowthMax = 1_200_000

    init(_ options: Churn, directory: URL) throws {
        self.options = options
        self.directory = directory
        exchange = try ExchangeProcess(["--symbols", "\(symbols.count)", "--illiquid-every", "0", "--push-ms", "200"])
        redis = try RedisServerProcess()
        feedd = try FeeddProcess(
            [
                "--flux", "\(symbols[0]):1s", "--venue-ws", exchange.webSocketBase, "--redis", "unix://\(redis.socketPath)",
                "--history", "100", "--streams-per-connection", "\(ChurnRun.streamsPerConnection)",
            ], logFile: directory.appendingPathComponent("feedd.log"))
        client = try RedisClient.connect(redis.endpoint)
        link = try CommandLink(redis.endpoint)
    }

    func run() throws -> [SoakVerdict] {
        print("churn: \(options.minutes) minutes, a flux every \(options.everyMs) ms, commit \(options.commit)")
        try warmUp()
        let atStart = try look()
        show("start", atStart)
        var first: Look?
        let startNs = MonotonicClock.nowNs()
        func second() -> Double { Double(MonotonicClock.nowNs() - startNs) / 1e9 }
        // Less than two minutes: the first half counts as the first minute.
        let firstSeconds = min(60, options.minutes * 30)
        var nextLook = firstSeconds
        while second() < options.minutes * 60 {
            let dueNs = startNs + UInt64(rounds) * UInt64(options.everyMs) * 1_000_000
            try wait(until: dueNs)
            try comeAndGo()
            if second() >= nextLook {
                let now = try look()
                show(String(format: "%.1f min", second() / 60), now)
                first = first ?? now
                nextLook += 60
            }
        }
        let seconds = second()
        try settle(atStart)
        let atEnd = try look()
        show("end", atEnd)
        return try verdicts(atStart, first ?? atStart, atEnd, seconds: seconds)
    }

    // MARK: Coming and going

    /// Every key is there, every buffer has been used: what is new from now on is too much.
    private func warmUp() throws {
        try wait(seconds: 20, "feedd to take commands") { try client.command("EXISTS", "status:service").integer == 1 }
        let names = symbols.map { "\"\($0)\"" }.joined(separator: ",")
        _ = try link.call(.createFlux, "\"symbols\":[\(names)],\"interval\":\"1s\",\"name\":\"all\"")
        try wait(seconds: 30, "closed candles of all symbols") {
            try symbols.allSatisfy { try client.command("EXISTS", "candles:{\($0)}:1s").integer == 1 }
        }
        _ = try link.call(.stopFlux, "\"flux_id\":\"all\"")
        try wait(seconds: 20, "one series to be left") { feedd.report?[.seriesActive] == 1 && feedd.report?[.connectionsLive] == 1 }
        try look(seconds: 3)
    }

    /// Each flux has a name of its own: what is kept by name would add up. Every second one is stopped at once.
    private func comeAndGo() throws {
        rounds += 1
        let chosen = (0..<ChurnRun.sizes[rounds % ChurnRun.sizes.count]).map { symbols[1 + (rounds * 7 + $0) % (symbols.count - 1)] }
        let names = chosen.map { "\"\($0)\"" }.joined(separator: ",")
        _ = try link.call(.createFlux, "\"symbols\":[\(names)],\"interval\":\"1s\",\"name\":\"churn-\(rounds)\"")
        if rounds % 2 == 0 { try look(seconds: Double(options.everyMs) / 2_000) }
        _ = try link.call(.stopFlux, "\"flux_id\":\"churn-\(rounds)\"")
    }

    private func settle(_ wanted: Look) throws {
        // What does not come is what the verdicts are about.
        try? wait(seconds: 30, "what was there before") {
            let now = try look()
            return now.seriesActive == wanted.seriesActive && now.connections == wanted.connections && now.idsInUse == wanted.idsInUse
        }
        try look(seconds: 3)
    }

    // MARK: Looking

    private func turn() throws {
        // Whoever watches through a pipe sees lines as they come.
        fflush(nil)
        try feedd.poll()
        guard feedd.isRunning else { throw FeedError(.system, "feedd has ended: \(directory.path)/feedd.log") }
        usleep(10_000)
    }

    private func wait(until dueNs: UInt64) throws { while MonotonicClock.nowNs() < dueNs { try turn() } }

    private func look(seconds: Double) throws { try wait(until: MonotonicClock.nowNs() + UInt64(seconds * 1e9)) }

    private func wait(seconds: Double, _ what: String, _ condition: () throws -> Bool) throws {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        while try !condition() {
            guard MonotonicClock.nowNs() < deadlineNs else { throw FeedError(.system, "not within \(Int(seconds)) s: \(what)") }
            try turn()
        }
    }

    private func look() throws -> Look {
        let status = try link.call(.getStatus)
        let keys = try client.command("KEYS", "*").strings
        let lives = try client.pipeline(keys.map { ["TTL", $0] })
        return Look(
            process: try ProcessSample(pid: feedd.pid), heapBytes: feedd.report?["heap_allocated_bytes"] ?? 0,
            seriesActive: feedd.report?[.seriesActive] ?? 0, idsInUse: status["series_ids_in_use"]?.integer ?? -1,
            connections: feedd.report?[.connectionsLive] ?? 0, keys: lives.count { $0.integer == -1 })
    }

    private func show(_ name: String, _ look: Look) {
        print(
            String(
                format:
                    "%@  %5d fluxes  RSS %6.2f MB  anonymous %6.2f MB  heap in use %5.2f MB  %3d descriptors  %2d threads  %d series  %d ids  %d connections  %d keys",
                name.left(8), rounds, Double(look.process.residentBytes) / 1e6, Double(look.process.anonymousBytes) / 1e6,
                Double(look.heapBytes) / 1e6, look.process.descriptors, look.process.threads, Int(look.seriesActive), Int(look.idsInUse),
                Int(look.connections), look.keys))
    }

    private func verdicts(_ atStart: Look, _ first: Look, _ atEnd: Look, seconds: Double) throws -> [SoakVerdict] {
        let status = try feedd.stop()
        let growth = atEnd.process.residentBytes - first.process.residentBytes
        let wanted = Int(seconds * 1_000) / options.everyMs
        func same(_ name: String, _ part: (Look) -> Int) -> SoakVerdict {
            SoakVerdict(name: name, holds: part(atStart) == part(atEnd), detail: "\(part(atStart)) then \(part(atEnd))")
        }
        print("")
        return [
            same("descriptors, start to end") { $0.process.descriptors },
            same("threads, start to end") { $0.process.threads },
            same("series, start to end") { Int($0.seriesActive) },
            same("series ids, start to end") { Int($0.idsInUse) },
            same("connections, start to end") { Int($0.connections) },
            same("keys that stay, start to end") { $0.keys },
            SoakVerdict(
                name: "RSS growth, first minute to end", holds: growth < ChurnRun.residentGrowthMax,
                detail: String(
                    format: "%+.2f MB, heap in use %+.2f MB, at most %.1f", Double(growth) / 1e6,
                    Double(atEnd.heapBytes - first.heapBytes) / 1e6, Double(ChurnRun.residentGrowthMax) / 1e6)),
            SoakVerdict(name: "fluxes came and went", holds: rounds * 10 >= wanted * 9, detail: "\(rounds) of \(wanted)"),
            SoakVerdict(name: "feedd ends with status 0", holds: status == 0, detail: "status \(status)"),
        ]
    }
}
