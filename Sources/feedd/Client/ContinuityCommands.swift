// `feedd gaps`, `backfill` and `audit`: what is missing, and what is done about it. Exit codes tell scripts whether anything is left.

import ArgumentParser
import FastFeed
import Glibc

struct Gaps: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the closed candles that are missing, and how far it is with them.",
        discussion: """
            Exit code 0: nothing is missing but what the exchange itself lacks (absent); 1: candles are missing.

              feedd gaps
              feedd gaps btcusdt 1m
              feedd gaps --flux 1m_btcusdt-ethusdt --json
            """)

    @Argument(help: "Only of this symbol: btcusdt.")
    var symbol: String?

    @Argument(help: "Only at this interval: 1m.", completion: ClientArguments.intervalCompletion)
    var interval: String?

    @Option(help: ArgumentHelp("Only of this flux's series.", valueName: "id"))
    var flux: String?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let request = ClientRequest.gaps(symbol: symbol, interval: try interval.map(ClientArguments.interval), fluxID: flux)
        try ClientSession.run(options) { session in
            let answer = try await session.client.ask(request)
            try session.show(answer, lines: Gaps.lines)
            if !answer.value.isComplete { throw ExitCode(Failure.refused) }
        }
    }

    private static func lines(_ list: GapList) -> [String] {
        guard !list.gaps.isEmpty else { return ["nothing is missing"] }
        var table = TextTable(["SYMBOL", "INTERVAL", "FROM (UTC)", "UNTIL (UTC)", " CANDLES", "CAUSE", "STATE", " TRIES"])
        for gap in list.gaps {
            table.add([
                .init("\(gap.symbol)", .bold), .init(gap.interval.token), .init(ClientText.instant(gap.from)),
                .init(ClientText.instant(gap.until)), .init(Numbers.grouped(gap.candles)), .init(ClientText.word(gap.cause)),
                .init(ClientText.word(gap.state), style(gap.state)), .init(Numbers.grouped(gap.tries)),
            ])
        }
        let absent = list.gaps.filter { $0.state == .absent }.reduce(0) { $0 + $1.candles }
        let missing = list.gaps.reduce(0) { $0 + $1.candles } - absent
        var sentence = missing == 0 ? "nothing else is missing" : "\(ClientText.candles(missing)) missing"
        if absent > 0 { sentence += ", \(ClientText.candles(absent)) that the exchange lacks" }
        if list.more > 0 { sentence += "; \(Numbers.grouped(list.more)) further holes are not listed" }
        return table.lines() + [sentence]
    }

    private static func style(_ state: Gap.State?) -> Style {
        switch state {
        case .open: .red
        case .healing: .yellow
        case .absent: .dim
        case nil: .plain
        }
    }
}

struct Backfill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fetch the last candles of a series, as far as Redis lacks them.",
        discussion: """
            Waits until they are there; Ctrl-C ends the waiting, not the fetching. A flux must have the series. Exit code 1: not all of \
            them came, and for --timeout seconds nothing more was under way.

              feedd backfill btcusdt 1m 1500
            """)

    @Argument(help: "The symbol: btcusdt.")
    var symbol: String

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String

    @Argument(help: ArgumentHelp("So many candles before the present bar, at most the service's --history.", valueName: "n"))
    var count: Int

    @Flag(help: "Do not wait until they are there.")
    var noWait = false

    @OptionGroup var options: ClientOptions

    func run() throws {
        let interval = try ClientArguments.interval(interval)
        guard (1...Int(Limits.historyMax)).contains(count) else {
            throw Failure.usage("the number of candles must be at least 1, not \(count)")
        }
        let (symbol, count, waits) = (symbol, count, !noWait)
        try ClientSession.run(options) { session in
            let answer = try await session.client.ask(.backfill(symbol: symbol, interval: interval, count: count))
            guard waits else {
                return try session.show(answer) { _ in
                    ["asked for the last \(ClientText.candles(Int64(count))) of \(symbol) \(interval.token)"]
                }
            }
            let showsProgress = !session.printsJSON && isatty(2) == 1
            var wait = BackfillWait(
                session.client, symbol, interval, count, patience: session.plan.timeout, showsProgress: showsProgress)
            let (isThere, fetched) = try await wait.untilThere()
            try session.show(answer) { _ in
                let place = "\(symbol) \(interval.token)"
                if !isThere {
                    return [LogText.escaped("\(place): not all of them came; feedd gaps \(symbol) \(interval.token) says what is missing")]
                }
                return [
                    LogText.escaped(
                        "\(place): the last \(ClientText.candles(Int64(count))) are there, \(Numbers.grouped(fetched)) were fetched")
                ]
            }
            if !isThere { throw ExitCode(Failure.refused) }
        }
    }
}

/// Looks again and again how far it is with a backfill.
private struct BackfillWait {
    private let client: FluxClient
    private let symbol: String
    private let interval: Interval
    private let count: Int
    /// The service looks into Redis first: until then nothing is listed.
    private let patience: Duration
    private let showsProgress: Bool
    /// The most that were missing at a time.
    private var most: Int64 = 0

    private static let pause = Duration.milliseconds(250)

    init(_ client: FluxClient, _ symbol: String, _ interval: Interval, _ count: Int, patience: Duration, showsProgress: Bool) {
        (self.client, self.symbol, self.interval, self.count) = (client, symbol, interval, count)
        (self.patience, self.showsProgress) = (patience, showsProgress)
    }

    mutating func untilThere() async throws -> (isThere: Bool, fetched: Int64) {
        defer { if showsProgress && most > 0 { StandardError.write("\r\u{1B}[K") } }
        var quietSince = ContinuousClock.now
        while true {
            let missing = try await client.gaps(symbol: symbol, interval: interval).gaps.reduce(Int64(0)) {
                $0 + ($1.cause == .backfill && $1.state != .absent ? $1.candles : 0)
            }
            most = max(most, missing)
            if missing > 0 {
                quietSince = .now
                show(missing)
            } else if try await isStored() {
                return (true, most)
            } else if quietSince.duration(to: .now) > patience {
                return (false, most)
            }
            try? await Task.sleep(for: BackfillWait.pause)
            if Task.isCancelled { throw FluxError.cancelled }
        }
    }

    /// Redis has what the exchange can have; of a longer backfill the newest part is looked at.
    private func isStored() async throws -> Bool {
        let data = try await client.data(symbol: symbol, interval: interval, limit: min(count + 1, 1_500))
        return data.source == .redis && data.incomplete == nil
    }

    private func show(_ missing: Int64) {
        guard showsProgress else { return }
        StandardError.write("\r\u{1B}[K\(Numbers.grouped(most - missing)) of \(ClientText.candles(most)) fetched")
    }
}

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the stored candles of a series with the exchange's own history.",
        discussion: """
            A flux must have the series. With --repair, missing candles are brought, different ones corrected, foreign entries removed. \
            Exit code 1: something is not as the exchange has it, and was not repaired.

              feedd audit btcusdt 1m
              feedd audit btcusdt 1m --limit 1500 --repair
            """)

    @Argument(help: "The symbol: btcusdt.")
    var symbol: String

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String

    @Option(help: ArgumentHelp("So many of the last candles, 1 to 1500. (default: 1000)", valueName: "n"))
    var limit: Int?

    @Flag(help: "Put right what is found.")
    var repair = false

    @OptionGroup var options: ClientOptions

    func run() throws {
        let interval = try ClientArguments.interval(interval)
        if let limit {
            guard (1...1_500).contains(limit) else { throw Failure.usage("--limit must be 1 to 1500, not \(limit)") }
        }
        let (symbol, limit, repair) = (symbol, limit, repair)
        try ClientSession.run(options) { session in
            let answer = try await session.client.ask(.audit(symbol: symbol, interval: interval, limit: limit, repair: repair))
            let found = answer.value
            var left = found.findings.count
            if left > 0 && found.repaired {
                left = try await Audit.findingsLeft { () async throws(FluxError) in
                    try await session.client.audit(symbol: symbol, interval: interval, limit: limit)
                }
            }
            let remaining = left
            try session.show(answer) { Audit.lines($0, left: remaining) }
            if left > 0 { throw ExitCode(Failure.refused) }
        }
    }

    /// What is repaired goes the way of all candles: it takes a moment.
    private static func findingsLeft(_ look: () async throws(FluxError) -> HistoryAudit) async throws -> Int {
        var left = 1
        for _ in 0..<10 where left > 0 {
            try? await Task.sleep(for: .seconds(1))
            left = try await look().findings.count
        }
        return left
    }

    private static func lines(_ audit: HistoryAudit, left: Int) -> [String] {
        let compared = "\(ClientText.candles(audit.checked)) of \(audit.symbol) \(audit.interval.token) compared"
        guard !audit.findings.isEmpty else { return ["\(compared): all as the exchange has them"] }
        var table = TextTable(["ENTRY", "OPEN TIME (UTC)", "FINDING"])
        for finding in audit.findings {
            let open = HistoryEntry(id: finding.entryID, [])?.openTimeMs
            table.add([
                .init(finding.entryID), .init(open.map(ClientText.instant) ?? ""), .init(ClientText.word(finding.kind), .yellow),
            ])
        }
        let counts = HistoryAudit.Finding.Kind.allCases.compactMap { kind -> String? in
            let count = audit.findings.count { $0.kind == kind }
            return count == 0 ? nil : "\(Numbers.grouped(count)) \(kind.rawValue)"
        }
        let more = audit.more > 0 ? ", and \(Numbers.grouped(audit.more)) more" : ""
        let end = left == 0 ? "; repaired" : audit.repaired ? "; \(Numbers.grouped(left)) still there after ten seconds" : ""
        return table.lines() + ["\(compared): \(counts.joined(separator: ", "))\(more)\(end)"]
    }
}
