// `feedd list`, `create`, `stop` and `status`: one request, one answer, one table.

import ArgumentParser
import FastFeed

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the fluxes of a running service.")

    @OptionGroup var options: ClientOptions

    func run() throws {
        try ClientSession.run(options) { session in
            try await session.show(.list, as: FluxSummary.list, lines: List.lines)
        }
    }

    static func lines(_ fluxes: [FluxSummary]) -> [String] {
        guard !fluxes.isEmpty else { return ["no fluxes: create one with 'feedd create btcusdt,ethusdt 1m'"] }
        let nowMs = WallClock.nowMs()
        var table = TextTable(["FLUX", "STATE", "INTERVAL", "SYMBOLS", "CREATED (UTC)", "LAST UPDATE"])
        for flux in fluxes {
            table.add([
                .init(flux.id, .bold), .init(flux.state, ClientText.style(ofState: flux.state)), .init(flux.interval),
                .init(ClientText.symbols(flux.symbols)), .init(ClientText.instant(flux.createdAt)),
                .init(ClientText.age(flux.lastUpdateAt, nowMs: nowMs)),
            ])
        }
        return table.lines()
    }
}

struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create a flux: symbols at one interval.",
        discussion: """
            Prints the flux's id. A flux that is there already is found, not made twice.

              feedd create btcusdt,ethusdt 1m
              feedd create btcusdt 1h --name bitcoin --history 500
            """)

    @Argument(help: "Symbols, separated by commas: btcusdt,ethusdt.")
    var symbols: String

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String

    @Option(help: ArgumentHelp("The flux's id. (default: made from interval and symbols)", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Candles to backfill at the start.", valueName: "n"))
    var history: Int?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let interval = try ClientArguments.interval(interval)
        let symbols = symbols.split(separator: ",", omittingEmptySubsequences: true).map { String($0) }
        guard !symbols.isEmpty else { throw Failure.usage("no symbol: as in feedd create btcusdt,ethusdt 1m") }
        let request = ClientRequest.create(symbols: symbols, interval: interval, name: name, history: history)
        try ClientSession.run(options) { session in
            try await session.show(request, as: CreatedFlux.init) { flux in
                [LogText.escaped(flux.created ? "created \(flux.id)" : "\(flux.id) was there already")]
            }
        }
    }
}

struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop a flux; its candles stay in Redis.")

    @Argument(help: ArgumentHelp("The flux's id, as 'feedd list' shows it.", valueName: "id"))
    var id: String

    @OptionGroup var options: ClientOptions

    func run() throws {
        let request = ClientRequest.stop(id)
        try ClientSession.run(options) { session in
            try await session.show(request, as: { answer throws(FluxError) in try answer.content.textMember("flux_id") }) { id in
                [LogText.escaped("stopped \(id)")]
            }
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the status of the service, or of one flux.")

    @Argument(help: ArgumentHelp("The flux's id. (default: the service)", valueName: "id"))
    var id: String?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let request = ClientRequest.status(id)
        try ClientSession.run(options) { session in
            try await session.show(request, as: ServiceStatus.init, lines: Status.lines)
        }
    }

    static func lines(_ status: ServiceStatus) -> [String] {
        let nowMs = WallClock.nowMs()
        var table = TextTable(["", ""])
        for field in status.fields {
            table.add([.init(field.name, .dim), StatusText.cell(field, nowMs: nowMs)])
        }
        return table.lines()
    }
}

/// What a status field's name tells about its value.
enum StatusText {
    static func cell(_ field: ServiceStatus.Field, nowMs: Int64) -> TextTable.Cell {
        if field.name == "state" { return TextTable.Cell(field.value, ClientText.style(ofState: field.value)) }
        if field.name.hasSuffix("_at"), let instant = Int64(field.value) {
            guard instant > 0 else { return TextTable.Cell("never") }
            return TextTable.Cell("\(ClientText.instant(instant)) UTC, \(ClientText.age(instant, nowMs: nowMs))")
        }
        if field.name != "pid", let number = Int64(field.value) { return TextTable.Cell(Numbers.grouped(number)) }
        return TextTable.Cell(field.value)
    }
}

enum ClientArguments {
    static let tokens = Interval.allCases.map(\.token)
    static let intervalHelp = "One of: \(tokens.joined(separator: " ")); 1m is a minute, 1M a month."
    static let intervalCompletion = CompletionKind.list(tokens)

    static func interval(_ text: String) throws -> Interval {
        guard let interval = Interval(token: text) else {
            throw Failure.usage("'\(text)' is no interval: one of \(tokens.joined(separator: " "))")
        }
        return interval
    }
}

extension JSONValue {
    func textMember(_ key: String) throws(FluxError) -> String {
        guard let text = self[key]?.string else { throw .badAnswer("\(key) is no text") }
        return text
    }
}
