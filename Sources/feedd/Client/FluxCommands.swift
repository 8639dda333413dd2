// `feedd list`, `create`, `stop` and `status`: one request, one answer, one table.

import ArgumentParser
import FastFeed

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the fluxes of a running service.")

    @OptionGroup var options: ClientOptions

    func run() throws {
        try ClientSession.run(options) { session in
            let answer = try await session.client.ask(.list)
            // Why a flux does not become live. A service that does not say it has answered all the same.
            let service = session.printsJSON ? nil : try? await session.client.ask(.status).value
            try session.show(answer) { List.lines($0) + (service.map { List.troubles($0) } ?? []) }
        }
    }

    static func lines(_ fluxes: [FluxSummary]) -> [String] {
        guard !fluxes.isEmpty else { return ["no fluxes: create one with 'feedd create btcusdt,ethusdt 1m'"] }
        let nowMs = WallClock.nowMs()
        var table = TextTable(["FLUX", "STATE", "INTERVAL", "SERIES", "SYMBOLS", "CREATED (UTC)", "LAST UPDATE"])
        for flux in fluxes {
            table.add([
                .init(flux.id, .bold), .init(ClientText.word(flux.state), ClientText.style(flux.state)), .init(flux.interval.token),
                .init("\(flux.seriesLive) of \(flux.symbols.count)", flux.seriesLive < flux.symbols.count ? .yellow : .plain),
                .init(ClientText.symbols(flux.symbols)), .init(ClientText.instant(flux.createdAt)),
                .init(ClientText.age(flux.lastUpdateAt, nowMs: nowMs)),
            ])
        }
        return table.lines()
    }

    private static func troubles(_ service: ServiceStatus) -> [String] {
        ClientText.troubles(service, nowMs: WallClock.nowMs()).map { TextTable.usesColour ? Style.yellow.paint($0) : $0 }
    }
}

struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create a flux: symbols at one interval.",
        discussion: """
            Prints the flux's id. A flux that is there already is found, not made twice. A symbol that the exchange does not have is
            refused. One that is halted (BREAK, say) is taken, and named with its status: it may come back.

            With --top the symbols are those of the moment with the most volume in the last 24 hours. The flux keeps them, whatever
            becomes of their volume.

              feedd create btcusdt,ethusdt 1m
              feedd create btcusdt 1h --name bitcoin --history 500
              feedd create --top 100 --quote USDT 1m --name top
            """)

    @Argument(help: "Symbols, separated by commas: btcusdt,ethusdt. Not with --top.")
    var symbols: String?

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String?

    @Option(help: ArgumentHelp("So many symbols, by their 24 h volume, in place of names: 1 to 1500.", valueName: "n"))
    var top: Int?

    @Option(help: ArgumentHelp("With --top: of this quote asset, USDT.", valueName: "asset"))
    var quote: String?

    @Option(help: ArgumentHelp("The flux's id. (default: made from interval and symbols)", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Candles to backfill at the start.", valueName: "n"))
    var history: Int?

    @OptionGroup var options: ClientOptions

    /// What the flux is to have.
    private enum Wanted {
        case named([String])
        case highest(Int, quote: String)
    }

    func run() throws {
        let (wanted, interval) = try read()
        try ClientSession.run(options) { [name, history] session in
            let symbols =
                switch wanted {
                case .named(let names): names
                case .highest(let count, let quote): try await Create.highest(count, of: quote, session)
                }
            try await session.show(.create(symbols: symbols, interval: interval, name: name, history: history), lines: Create.lines)
        }
    }

    private func read() throws -> (wanted: Wanted, interval: Interval) {
        guard let top else {
            guard quote == nil else { throw Failure.usage("--quote has no meaning without --top") }
            guard let symbols, let interval else {
                throw Failure.usage("a symbol and an interval are needed: as in feedd create btcusdt,ethusdt 1m")
            }
            let names = symbols.split(separator: ",", omittingEmptySubsequences: true).map { String($0) }
            guard !names.isEmpty else { throw Failure.usage("no symbol: as in feedd create btcusdt,ethusdt 1m") }
            return (.named(names), try ClientArguments.interval(interval))
        }
        guard (1...Limits.symbolsListedMax).contains(top) else {
            throw Failure.usage("--top must be 1 to \(Limits.symbolsListedMax), not \(top)")
        }
        guard let quote else { throw Failure.usage("--top needs --quote: volumes in different quote assets do not compare") }
        guard let token = symbols, interval == nil else {
            throw Failure.usage("--top takes the place of symbols: as in feedd create --top 100 --quote USDT 1m")
        }
        return (.highest(top, quote: quote), try ClientArguments.interval(token))
    }

    private static func highest(_ count: Int, of quote: String, _ session: ClientSession) async throws -> [String] {
        let found = try await session.client.symbols(quote: quote, limit: count).symbols
        guard !found.isEmpty else { throw Failure(Failure.refused, "the exchange trades nothing against '\(quote)'") }
        guard found.contains(where: { $0.quoteVolume != nil }) else {
            throw Failure(Failure.refused, "the exchange's 24 h volumes have not come yet; try again later")
        }
        return found.map(\.symbol.name)
    }

    private static func lines(_ flux: CreatedFlux) -> [String] {
        let lines = [flux.created ? "created \(flux.id)" : "\(flux.id) was there already"]
        return (lines + flux.refused.map { "\($0.symbol): \(sentence($0.reason))" }).map(LogText.escaped)
    }

    private static func sentence(_ reason: RefusedSymbol.Reason) -> String {
        switch reason {
        case .unknown: "not on the exchange's list; nothing comes of it unless the exchange lists it"
        case .delisted: "delisted; nothing comes of it any more"
        case .refused: "the exchange refuses its stream"
        case .halted(let status): "not trading now (\(status)); it comes when the exchange resumes it"
        }
    }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop a flux; its candles stay in Redis.")

    @Argument(help: ArgumentHelp("The flux's id, as 'feedd list' shows it.", valueName: "id"))
    var id: String

    @OptionGroup var options: ClientOptions

    func run() throws {
        let id = id
        try ClientSession.run(options) { session in
            try await session.show(.stop(id)) { id in [LogText.escaped("stopped \(id)")] }
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the status of the service, or of one flux.",
        discussion: "Ends with 1 when the service is degraded, or the flux is stale: for scripts.")

    @Argument(help: ArgumentHelp("The flux's id. (default: the service)", valueName: "id"))
    var id: String?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let id = id
        try ClientSession.run(options) { session in
            if let id {
                let answer = try await session.client.ask(.status(of: id))
                try session.show(answer) { Status.lines($0.members, ClientText.style($0.flux.state)) }
                if answer.value.flux.state == .stale { throw ExitCode(Failure.refused) }
            } else {
                let answer = try await session.client.ask(.status)
                try session.show(answer) { Status.lines($0.members, ClientText.style($0.state)) }
                if answer.value.state == .degraded { throw ExitCode(Failure.refused) }
            }
        }
    }

    private static func lines(_ members: [(String, JSONValue)], _ stateStyle: Style) -> [String] {
        let nowMs = WallClock.nowMs()
        var table = TextTable(["", ""])
        for (name, value) in members {
            let text = StatusText.text(name, value, nowMs: nowMs)
            table.add([.init(name, .dim), .init(text, name == Field.state ? stateStyle : .plain)])
        }
        return table.lines()
    }
}

/// What a status field's name tells about its value.
enum StatusText {
    static func text(_ name: String, _ value: JSONValue, nowMs: Int64) -> String {
        guard case .integer(let number) = value, name != Field.pid else { return value.string ?? value.text }
        guard name.hasSuffix("_at") else { return Numbers.grouped(number) }
        return number > 0 ? "\(ClientText.instant(number)) UTC, \(ClientText.age(number, nowMs: nowMs))" : "never"
    }
}

enum ClientArguments {
    static let tokens = Interval.allCases.map(\.token)
    static let intervalHelp = "One of: \(tokens.joined(separator: " ")); 1m is a minute, 1M a month."
    static let intervalCompletion = CompletionKind.list(tokens)

    static func interval(_ text: String) throws -> Interval {
        guard let interval = Interval(token: text) else {
            throw Failure.usage("'\(text)' is not an interval: one of \(tokens.joined(separator: " "))")
        }
        return interval
    }
}
