// `feedd symbols`: what the exchange lists, as a table.

import ArgumentParser
import FastFeed

struct SymbolsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "symbols",
        abstract: "List what the exchange trades, by its volume in the last 24 hours.",
        discussion: """
            The service keeps the list in Redis, too, with indexes by quote asset, status and volume (docs/commands.md). Volumes are in
            the quote asset, so name one with --quote to compare them.

              feedd symbols --quote USDT --top 20
              feedd symbols sol
              feedd symbols --status any --json
            """)

    @Argument(help: "Only names that have this in them: sol.")
    var search: String?

    @Option(help: ArgumentHelp("Only this quote asset: USDT.", valueName: "asset"))
    var quote: String?

    @Option(help: ArgumentHelp("Only this status, the exchange's word, or any. (default: TRADING)", valueName: "status"))
    var status: String?

    @Option(help: ArgumentHelp("At most so many, 1 to 1500. (default: \(SymbolQuery.limitDefault))", valueName: "n"))
    var top: Int?

    @OptionGroup var options: ClientOptions

    func run() throws {
        if let top, !(1...Limits.symbolsListedMax).contains(top) {
            throw Failure.usage("--top must be 1 to \(Limits.symbolsListedMax), not \(top)")
        }
        let request = ClientRequest.symbols(search: search, quote: quote, status: status, limit: top)
        try ClientSession.run(options) { session in
            try await session.show(request, lines: SymbolsCommand.lines)
        }
    }

    private static func lines(_ list: ListedSymbols) -> [String] {
        guard !list.symbols.isEmpty else { return ["no such symbols"] }
        var table = TextTable(["SYMBOL", "BASE/QUOTE", "STATUS", " PRICE", " CHANGE", " VOLUME (QUOTE)", " TRADES"])
        for one in list.symbols {
            let change = one.priceChangePercent?.approximate
            table.add([
                .init(one.symbol.name, .bold), .init("\(one.base)/\(one.quote)"),
                .init(one.status, one.status == SymbolQuery.statusDefault ? .plain : .yellow), .init(one.lastPrice?.description ?? "–"),
                .init(change.map(Numbers.percent) ?? "–", change.map { $0 < 0 ? .red : .green } ?? .plain),
                .init(one.quoteVolume.map { Numbers.short($0.approximate) } ?? "–"), .init(one.trades.map { Numbers.grouped($0) } ?? "–"),
            ])
        }
        let counted = "\(Numbers.grouped(list.symbols.count)) of \(Numbers.grouped(list.total)) symbols"
        let age = list.updatedAt.map { ", figures of the last 24 h, \(ClientText.age($0, nowMs: WallClock.nowMs()))" }
        return table.lines() + [counted + (age ?? ", no figures of the last 24 h yet")]
    }
}
