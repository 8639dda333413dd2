// The live view as text: a model goes in, lines no wider than the terminal come out. Pure.

import FastFeed
import RedisServer

struct DemoView {
    private let usesColour: Bool
    private let speed: Double
    private let seriesCount: Int
    private let socketPath: String
    private let opsURL: String?
    private let keys: KeySchema
    private let firstSeries: Series
    private let columns: [DemoColumn]

    init(_ world: DemoWorld, usesColour: Bool) {
        self.usesColour = usesColour
        speed = world.speed
        seriesCount = world.configuration.seriesList.count
        socketPath = world.redis.socketPath
        opsURL = world.ops?.url
        keys = world.configuration.schema
        firstSeries = Series(symbol: world.symbols[0], interval: world.shownInterval)
        columns = DemoColumn.all(world.shownInterval)
    }

    // MARK: The live view

    func frame(_ model: DemoModel, columns width: Int, rows height: Int) -> [String] {
        var lines = header(model, width)
        let shown = DemoColumn.fitting(columns, width: width)
        lines.append(StyledLine())
        lines.append(titles(shown))
        // Candles matter more than advice: the footer goes first when there is little height.
        let wanted = footer(width)
        let footer = height - lines.count - wanted.count > min(model.rows.count, 4) ? wanted : []
        let room = max(1, height - lines.count - (footer.isEmpty ? 0 : footer.count + 1))
        for row in model.rows.prefix(model.rows.count > room ? room - 1 : room) { lines.append(tableLine(row, shown, model.nowNs)) }
        if model.rows.count > room {
            lines.append(StyledLine(" … and \(model.rows.count - room + 1) more", .dim))
        }
        lines += Array(repeating: StyledLine(), count: max(0, height - lines.count - footer.count))
        lines += footer
        return lines.prefix(height).map { $0.rendered(columns: width, usesColour: usesColour) }
    }

    private func header(_ model: DemoModel, _ width: Int) -> [StyledLine] {
        var title = StyledLine(" FastFeed ", .inverse)
        title.add("  simulated exchange ×\(Numbers.fixed(speed, digits: 0)) → feedd → Redis", .bold)
        title.add("   \(seriesCount) series", .dim)
        guard let snapshot = model.snapshot, let figures = model.figures else { return [title] }
        let uptime = "up " + Numbers.duration(seconds: Int(snapshot.uptimeNs / 1_000_000_000)) + " "
        title.pad(to: width - uptime.count)
        title.add(uptime, .dim)
        var line = StyledLine(" ")
        add(&line, "frames/s", Numbers.grouped(Int(figures.framesPerSecond.rounded())), 7)
        // On a narrow terminal, whether the connections are up is worth more.
        let isWide = width >= 120
        if isWide { add(&line, "candles/s", Numbers.grouped(Int(figures.candlesPerSecond.rounded())), 7) }
        line.add("latency ", .dim)
        for (name, value) in [("p50", figures.p50), ("p99", figures.p99), ("p99.9", figures.p999)] {
            line.add("\(name) ", .dim)
            line.add(Numbers.milliseconds(value).left(5))
        }
        line.add("ms   ", .dim)
        if isWide { add(&line, "memory", Numbers.mebibytes(snapshot.residentBytes) + " MiB", 10) }
        add(&line, "redis", isUp: snapshot.isRedisConnected)
        add(&line, "exchange", isUp: snapshot.counters[.connectionsLive] > 0)
        var totals = StyledLine(" ")
        for (name, value) in [
            ("frames", figures.messages), ("written", figures.written), ("closed", figures.closedWritten), ("coalesced", figures.coalesced),
            ("rejected", figures.rejected), ("gaps", figures.gaps), ("reconnects", figures.reconnects),
        ] {
            totals.add("\(name) ", .dim)
            let isTrouble = ["rejected", "gaps"].contains(name) && value > 0
            totals.add(Numbers.grouped(value) + "   ", isTrouble ? .yellow : .plain)
        }
        let healed = snapshot.counters[.gapCandlesHealed]
        if healed > 0 || model.missing > 0 {
            totals.add(
                model.missing > 0 ? "◐ \(Numbers.grouped(model.missing)) missing " : "● none missing ", model.missing > 0 ? .yellow : .green
            )
            totals.add(" \(Numbers.grouped(healed)) healed", .dim)
        }
        return [title, StyledLine(), line, totals]
    }

    private func add(_ line: inout StyledLine, _ name: String, _ value: String, _ width: Int) {
        line.add(name + " ", .dim)
        line.add(value.left(width) + "  ", .bold)
    }

    private func add(_ line: inout StyledLine, _ name: String, isUp: Bool) {
        line.add(name + " ", .dim)
        line.add(isUp ? "● up   " : "○ down ", isUp ? .green : .brightRed)
    }

    private func titles(_ shown: [DemoColumn]) -> StyledLine {
        var line = StyledLine()
        for column in shown { line.add(" " + column.aligned(column.title) + " ", .dim) }
        return line
    }

    private func tableLine(_ row: DemoRow, _ shown: [DemoColumn], _ nowNs: UInt64) -> StyledLine {
        var line = StyledLine()
        for column in shown {
            let (text, style) = column.cell(row, DemoColumn.CellContext(nowNs: nowNs, width: column.width))
            line.add(" " + column.aligned(text) + " ", style)
        }
        return line
    }

    private func footer(_ width: Int) -> [StyledLine] {
        var lines: [StyledLine] = []
        var title = StyledLine(" Try it from another terminal", .bold)
        let keys = "q: end "
        title.pad(to: width - keys.count)
        title.add(keys, .dim)
        lines.append(title)
        for (program, command) in commands {
            var line = StyledLine("   \(program) ", .dim)
            line.add(command, .cyan)
            lines.append(line)
        }
        return lines
    }

    /// What to try: a program (ours as it was called), and what to say to it.
    private var commands: [(program: String, words: String)] {
        let redis = "redis-cli -s \(socketPath)"
        return [
            (LogText.escaped(CommandLine.arguments[0]), "monitor"),
            (redis, "HGET \(keys.latestKey(firstSeries.market, firstSeries.interval)) \(firstSeries.symbol)"),
            (redis, "XREVRANGE \(keys.historyKey(firstSeries)) + - COUNT 3"),
            (redis, "SUBSCRIBE \(keys.updatesChannel(firstSeries))"),
        ] + (opsURL.map { [("in a browser", $0)] } ?? [])
    }

    // MARK: Lines

    var greeting: [String] {
        ["simulated exchange ×\(Numbers.fixed(speed, digits: 0)) → feedd → Redis, \(seriesCount) series. Try it from another terminal:"]
            + commands.map { "  \($0.program) \($0.words)" }
    }

    func line(_ model: DemoModel) -> String {
        guard let figures = model.figures, let snapshot = model.snapshot else { return "" }
        var line = Numbers.duration(seconds: Int(snapshot.uptimeNs / 1_000_000_000)).right(6)
        line += Numbers.grouped(Int(figures.framesPerSecond.rounded())).right(8) + " frames/s "
        line += Numbers.grouped(figures.written).right(9) + " written " + Numbers.grouped(figures.closedWritten).right(7) + " closed  "
        line += "p50 \(Numbers.milliseconds(figures.p50)) p99 \(Numbers.milliseconds(figures.p99)) ms "
        if model.missing > 0 { line += " \(Numbers.grouped(model.missing)) missing" }
        if snapshot.counters[.gapCandlesHealed] > 0 { line += " \(Numbers.grouped(snapshot.counters[.gapCandlesHealed])) healed" }
        for row in model.rows.prefix(3) {
            guard let candle = row.candle else { continue }
            line += " | \(row.symbol) \(row.priceText(candle.close)) \(row.changePercent.map(Numbers.percent) ?? "")"
        }
        return line
    }
}
