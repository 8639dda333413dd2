// `Benchmarks churn`: fluxes come and go, one a second, beside one that stays, and nothing may be left of them.
// `scripts/churn.sh` builds and runs it. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct Churn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks churn",
        abstract: "Creates and stops fluxes for minutes, and looks for what is left of them.",
        discussion: "Three processes beside this one: the local exchange, redis-server, feedd. Exit status 1 when anything leaks.")

    @Option(help: "How long.")
    var minutes = 10.0

    @Option(help: "Milliseconds from one create to the next.")
    var everyMs = 1_000

    @OptionGroup var trial: TrialOptions

    func validate() throws {
        guard minutes > 0, (10...60_000).contains(everyMs) else {
            throw ValidationError("--minutes must be positive, --every-ms 10 to 60000")
        }
    }

    func run() throws {
        try Trial.carryOut("churn", trial) { try ChurnRun(self, $0, in: $1).run() }
    }
}

final class ChurnRun {
    /// What may leak.
    struct Look {
        let standing: Standing
        let idsInUse: Int
        /// Keys that stay; those with a time to live pass away by themselves.
        let keys: Int

        var seriesActive: Int { Int(standing.report[.seriesActive]) }
        var connections: Int { Int(standing.report[.connectionsLive]) }
    }

    private let options: Churn
    private let result: TrialResult
    private let service: ServiceRun
    private let link: CommandLink
    private let client: RedisClient
    private let symbols: [Symbol]
    private var rounds = 0

    /// Streams of a connection: fluxes of more symbols than that bring connections with them, which must go again.
    private static let streamsPerConnection = 4
    /// Symbols of the fluxes, in turns. One round in four opens two connections: the exchange allows 300 in five minutes.
    private static let sizes = [1, 3, 2, 8]
    /// A leak of 2 KB for each flux would be more over ten minutes. Less is what the allocator's pages and the answers
    /// that are kept for a minute come to.
    private static let residentGrowthMax = 1_200_000

    init(_ options: Churn, _ result: TrialResult, in directory: URL) throws {
        (self.options, self.result) = (options, result)
        print("churn: \(options.minutes) minutes, a flux every \(options.everyMs) ms, commit \(options.trial.commit)")
        var setup = Setup(.pushed(everyMs: 200), symbols: 40)
        (setup.followed, setup.redis, setup.history) = (1, .aof, 100)
        (setup.streamsPerConnection, setup.keepsTruth) = (ChurnRun.streamsPerConnection, false)
        symbols = setup.names
        service = try ServiceRun(setup, in: directory)
        client = try RedisClient.connect(service.rig.redisEndpoint)
        link = try CommandLink(service.rig.redisEndpoint)
    }

    func run() throws {
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
            try service.look(untilNs: startNs + UInt64(rounds) * UInt64(options.everyMs) * 1_000_000)
            try comeAndGo()
            if second() >= nextLook {
                let now = try look()
                show(String(format: "%.1f min", second() / 60), now)
                first = first ?? now
                nextLook += 60
            }
        }
        result.seconds = second()
        // What does not come is what the verdicts are about.
        try? service.wait(30, "what was there before") {
            let now = try look()
            return now.seriesActive == atStart.seriesActive && now.connections == atStart.connections && now.idsInUse == atStart.idsInUse
        }
        try service.look(seconds: 3)
        let atEnd = try look()
        show("end", atEnd)
        judge(atStart, first ?? atStart, atEnd)
    }

    // MARK: Coming and going

    /// Every key is there, every buffer has been used: what is new from now on is too much.
    private func warmUp() throws {
        try service.wait(20, "feedd to take commands") { try client.command("EXISTS", Setup.schema.serviceStatusKey).integer == 1 }
        try create("all", symbols)
        try service.wait(30, "closed candles of all symbols") {
            try symbols.allSatisfy { try client.command("EXISTS", Setup.schema.historyKey(Series(symbol: $0, interval: .s1))).integer == 1 }
        }
        try stop("all")
        try service.wait(20, "one series to be left") {
            service.feedd.report[.seriesActive] == 1 && service.feedd.report[.connectionsLive] == 1
        }
        try service.look(seconds: 3)
    }

    /// Each flux has a name of its own: what is kept by name would add up. Every second one is stopped at once.
    private func comeAndGo() throws {
        rounds += 1
        let count = ChurnRun.sizes[rounds % ChurnRun.sizes.count]
        try create("churn-\(rounds)", (0..<count).map { symbols[1 + (rounds * 7 + $0) % (symbols.count - 1)] })
        if rounds % 2 == 0 { try service.look(seconds: Double(options.everyMs) / 2_000) }
        try stop("churn-\(rounds)")
    }

    private func create(_ name: String, _ symbols: [Symbol]) throws {
        try link.call(.createFlux, #""symbols":\#(symbols.map(\.name)),"interval":"1s","name":"\#(name)""#)
    }

    private func stop(_ name: String) throws { try link.call(.stopFlux, #""flux_id":"\#(name)""#) }

    // MARK: Looking

    private func look() throws -> Look {
        let status = try link.call(.getStatus)
        let keys = try client.command("KEYS", "*").strings
        let lives = try client.pipeline(keys.map { ["TTL", $0] })
        return Look(
            standing: try service.standing(), idsInUse: Int(status[Field.seriesIDsInUse]?.integer ?? -1),
            keys: lives.count { $0.integer == -1 })
    }

    private let parts: [(String, KeyPath<Look, Int>)] = [
        ("descriptors", \.standing.process.descriptors), ("threads", \.standing.process.threads), ("series", \.seriesActive),
        ("series ids", \.idsInUse), ("connections", \.connections), ("keys that stay", \.keys),
    ]

    private func show(_ name: String, _ look: Look) {
        let process = look.standing.process
        let memory = String(
            format: "RSS %6.2f MB  anonymous %6.2f MB  heap in use %5.2f MB", process.residentBytes.megabytes,
            process.anonymousBytes.megabytes, look.standing.report.heapBytes.megabytes)
        print(([name.left(8), "\(rounds) fluxes", memory] + parts.map { "\(look[keyPath: $1]) \($0)" }).joined(separator: "  "))
    }

    private func judge(_ atStart: Look, _ first: Look, _ atEnd: Look) {
        for (name, part) in parts { result.judgeSame("\(name), start to end", atStart[keyPath: part], atEnd[keyPath: part]) }
        result.judgeGrowth(
            "RSS growth, first minute to end", from: first.standing, to: atEnd.standing, bytesMax: ChurnRun.residentGrowthMax)
        let wanted = Int(result.seconds * 1_000) / options.everyMs
        result.judge("fluxes came and went", rounds * 10 >= wanted * 9, "\(rounds) of \(wanted)")
        let status = service.feedd.stop()
        result.judge("feedd ends with status 0", status == 0, "status \(status)")
    }
}
