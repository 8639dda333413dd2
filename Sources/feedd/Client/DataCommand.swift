// `feedd data`: candles as a table.

import ArgumentParser
import FastFeed

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Show the candles of a series, oldest first.",
        discussion: """
            Numbers are the exchange's exact text. The last row may still be forming. What Redis does not have comes from the exchange.

              feedd data btcusdt 1m
              feedd data btcusdt 1h 500 --json
              feedd data btcusdt 1m 60 --start 1790000000000
            """)

    @Argument(help: "The symbol: btcusdt.")
    var symbol: String

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String

    @Argument(help: ArgumentHelp("At most so many candles, 1 to 1500. (default: 100)", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Open times from here on, Unix ms.", valueName: "ms"))
    var start: Int64?

    @Option(help: ArgumentHelp("Open times up to here, Unix ms.", valueName: "ms"))
    var end: Int64?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let interval = try ClientArguments.interval(interval)
        if let limit {
            guard (1...1_500).contains(limit) else { throw Failure.usage("the number of candles must be 1 to 1500, not \(limit)") }
        }
        let request = ClientRequest.data(symbol: symbol, interval: interval, limit: limit, start: start, end: end)
        try ClientSession.run(options) { session in
            try await session.show(request, lines: DataCommand.lines)
        }
    }

    static func lines(_ data: CandleData) -> [String] {
        let place = data.source == .completed ? "redis, completed by the exchange," : data.source?.rawValue ?? "elsewhere"
        let origin = "from \(place) in \(Numbers.grouped(data.tookMicroseconds)) µs"
        let incomplete = data.incomplete.map { [LogText.escaped("these may not be all: \($0)")] } ?? []
        guard !data.rows.isEmpty else { return ["no candles of \(data.symbol) \(data.interval.token) (\(origin))"] + incomplete }
        var table = TextTable(["OPEN TIME (UTC)", " OPEN", " HIGH", " LOW", " CLOSE", " VOLUME", " TRADES", "STATE", "SOURCE"])
        for row in data.rows {
            let isUp = row.close.approximate >= row.open.approximate
            let source = row.source?.name ?? "?"
            table.add([
                .init(ClientText.instant(row.openTime)), .init("\(row.open)"), .init("\(row.high)"), .init("\(row.low)"),
                .init("\(row.close)", isUp ? .green : .red), .init("\(row.volume)"), .init(Numbers.grouped(row.count)),
                .init(row.isClosed ? "closed" : "forming", row.isClosed ? .plain : .yellow),
                .init(row.revision > 0 ? "\(source), revision \(row.revision)" : source, .dim),
            ])
        }
        return table.lines() + ["\(ClientText.candles(Int64(data.rows.count))) of \(data.symbol) \(data.interval.token) \(origin)"]
            + incomplete
    }
}
