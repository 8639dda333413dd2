// `feedd watch`: a series' updates as they come, until Ctrl-C.

import ArgumentParser
import FastFeed
import Synchronization

struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a series' updates as they come, until Ctrl-C.",
        discussion: """
            A line for each candle of an update; with --json a JSON object for each update, as the service publishes it. Watching asks \
            nothing of the service: a flux must have the series.

              feedd watch btcusdt 1m
              feedd watch btcusdt 1m --json --count 10 | jq .candles[0].close
            """)

    @Argument(help: "The symbol: btcusdt.")
    var symbol: String

    @Argument(help: ArgumentHelp(ClientArguments.intervalHelp), completion: ClientArguments.intervalCompletion)
    var interval: String

    @Option(help: ArgumentHelp("End after this many updates.", valueName: "n"))
    var count: Int?

    @OptionGroup var options: ClientOptions

    func run() throws {
        let interval = try ClientArguments.interval(interval)
        if let count { guard count > 0 else { throw Failure.usage("--count must be at least 1, not \(count)") } }
        let (symbol, limit) = (symbol, count ?? .max)
        try ClientSession.run(options) { session in
            do {
                try await Watch.print(session, symbol, interval, limit)
            } catch FluxError.cancelled {
                // Ctrl-C before the first update.
            }
        }
    }

    private static let patience = Duration.seconds(5)

    private static func print(_ session: ClientSession, _ symbol: String, _ interval: Interval, _ limit: Int) async throws {
        let updates = try await session.client.updates(symbol: symbol, interval: interval)
        let hint = Task {
            try await Task.sleep(for: patience)
            StandardError.write(LogText.escaped("nothing yet: " + (await whyNothingComes(session, symbol, interval))) + "\n")
        }
        defer { hint.cancel() }
        let usesColour = TextTable.usesColour
        var (seen, missed, interruptions) = (0, UInt64(0), UInt64(0))
        var before: DecimalText?
        for await update in updates {
            hint.cancel()
            if updates.interruptions > interruptions {
                interruptions = updates.interruptions
                StandardError.write("the connection to Redis was lost and is back: updates may be missing\n")
            }
            if updates.missed > missed {
                StandardError.write("\(updates.missed - missed) updates were dropped here\n")
                missed = updates.missed
            }
            var text = ""
            if session.printsJSON {
                text = update.json.text + "\n"
            } else {
                for candle in update.candles {
                    text += line(update, candle, before, usesColour: usesColour) + "\n"
                    before = candle.close
                }
            }
            seen += 1
            // Whoever read the pipe has seen enough.
            if try !Terminal.print(text) || seen >= limit { return }
        }
        // The end that nobody asked for would be the client's.
        if !Task.isCancelled { throw FluxError.disconnected("the updates have ended") }
    }

    /// Whether a service listens, and whether a flux has the series.
    private static func whyNothingComes(_ session: ClientSession, _ symbol: String, _ interval: Interval) async -> String {
        do throws(FluxError) {
            let fluxes = try await session.client.listFluxes()
            guard let flux = fluxes.first(where: { $0.interval == interval && $0.symbols.contains { $0 == Symbol(symbol) } }) else {
                return "no flux has it: feedd create \(symbol) \(interval.token)" + ClientPlan.flags("", session.plan.market)
            }
            let age = ClientText.age(flux.lastUpdateAt, nowMs: WallClock.nowMs())
            return "flux \(flux.id) has it and is \(ClientText.word(flux.state)), its last update: \(age)"
        } catch {
            return Failure(error, session.plan).sentence
        }
    }

    private static func line(_ update: FluxUpdate, _ candle: Candle, _ before: DecimalText?, usesColour: Bool) -> String {
        var line = StyledLine()
        line.add(LogText.time(candle.eventTime ?? candle.closeTime, withDate: false) + "  ", .dim)
        line.add("\(update.symbol) \(update.interval.token)  ", .bold)
        var (mark, style) = (" ", Style.plain)
        if let before, before != candle.close {
            (mark, style) = candle.close.approximate > before.approximate ? ("▲", .green) : ("▼", .red)
        }
        line.add("\(candle.close)".right(14) + " \(mark)", style)
        line.add("  open \(candle.open)  high \(candle.high)  low \(candle.low)  volume \(candle.volume)  trades \(candle.count)")
        line.add(candle.isClosed ? "  closed" : "  forming", candle.isClosed ? .cyan : .dim)
        if candle.source != .live { line.add(" (\(candle.source?.name ?? "?"))", .dim) }
        return line.rendered(columns: .max, usesColour: usesColour)
    }
}
