// Aligned columns for people, coloured on a terminal only. Pure but for asking what standard output is. Every cell is
// escaped: what a service says cannot move the cursor.

import FastFeed
import Glibc

struct TextTable {
    struct Cell {
        let text: String
        let style: Style

        init(_ text: String, _ style: Style = .plain) {
            self.text = LogText.escaped(text)
            self.style = style
        }
    }

    /// Titles; one that begins with a blank is a column of numbers, aligned to the right.
    private let titles: [String]
    private var rows: [[Cell]] = []
    private static let gap = "  "

    init(_ titles: [String]) { self.titles = titles }

    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// Without a title line when all titles are empty.
    func lines(usesColour: Bool = TextTable.usesColour) -> [String] {
        var widths = titles.map(\.displayWidth)
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.text.displayWidth) } }
        func line(_ cells: [Cell]) -> String {
            var line = ""
            for (index, cell) in cells.enumerated() {
                let isLast = index == cells.count - 1
                let isRight = titles[index].hasPrefix(" ")
                let padded = isRight ? cell.text.right(widths[index]) : isLast ? cell.text : cell.text.left(widths[index])
                line += (index > 0 ? TextTable.gap : "") + (usesColour ? cell.style.paint(padded) : padded)
            }
            return line
        }
        let head = titles.allSatisfy(\.isEmpty) ? [] : [line(titles.map { Cell($0.hasPrefix(" ") ? String($0.dropFirst()) : $0, .dim) })]
        return head + rows.map(line)
    }

    static var usesColour: Bool { isatty(1) == 1 && Style.isColourWanted }
}

/// Instants and states as people read them.
enum ClientText {
    static func style(_ state: FluxState?) -> Style {
        switch state {
        case .live: .green
        case .starting, .healing, .halted: .yellow
        case .stale, .stopped, .delisted: .red
        case nil: .plain
        }
    }

    static func style(_ state: ServiceState?) -> Style {
        switch state {
        case .live: .green
        case .starting, .degraded: .yellow
        case .stopped: .red
        case nil: .plain
        }
    }

    /// Without one: a newer service says what this version does not know.
    static func word<State: RawRepresentable<String>>(_ state: State?) -> String { state?.rawValue ?? "?" }

    /// `2026-11-21 04:31:09`, UTC.
    static func instant(_ unixMs: Int64) -> String {
        guard Limits.instantsMs.contains(unixMs) else { return "\(unixMs)" }
        let text = LogText.time(unixMs, withDate: true)
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8)
    }

    static func candles(_ count: Int64) -> String { count == 1 ? "1 candle" : "\(Numbers.grouped(count)) candles" }

    /// `3 s ago`, `2:05:00 ago`, `61 d ago`; `never`.
    static func age(_ unixMs: Int64?, nowMs: Int64) -> String {
        guard let unixMs else { return "never" }
        guard unixMs <= nowMs else { return "now" }
        let seconds = (nowMs - max(0, unixMs)) / 1_000
        if seconds >= 2 * 86_400 { return "\(seconds / 86_400) d ago" }
        return (seconds < 60 ? "\(seconds) s" : Numbers.duration(seconds: Int(seconds))) + " ago"
    }

    /// What does not work and why, a line each.
    static func troubles(_ service: ServiceStatus, nowMs: Int64) -> [String] {
        service.troubles.map { trouble in
            let name =
                switch trouble.part {
                case .exchange:
                    "exchange (\(service[CounterID.connectionsLive.name] ?? 0) of \(service[Field.connections] ?? 0) connections live)"
                case .rest: "exchange, REST"
                case .redis: "Redis"
                }
            return LogText.escaped("\(name): \(trouble.reason) (\(age(trouble.at, nowMs: nowMs)))")
        }
    }

    /// At most so many columns; the rest is counted. `btcusdt, ethusdt, … (12)`
    static func symbols(_ symbols: [Symbol], width: Int = 48) -> String {
        let all = symbols.map(\.name).joined(separator: ", ")
        guard all.displayWidth > width else { return all }
        var text = ""
        for symbol in symbols where text.displayWidth + symbol.name.displayWidth + 2 <= width - 8 { text += "\(symbol), " }
        return text + "… (\(symbols.count))"
    }
}
