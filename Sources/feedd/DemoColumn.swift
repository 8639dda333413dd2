// The table's columns: which there are, how wide, and which go first when the terminal is narrow.

import FastFeed

struct DemoColumn {
    let title: String
    let width: Int
    /// Lower stays longer.
    let rank: Int
    let isLeft: Bool
    let cell: (DemoRow, _ nowNs: UInt64) -> (String, Style)

    init(_ title: String, _ width: Int, rank: Int, isLeft: Bool = false, cell: @escaping (DemoRow, UInt64) -> (String, Style)) {
        self.title = title
        self.width = width
        self.rank = rank
        self.isLeft = isLeft
        self.cell = cell
    }

    func aligned(_ text: String) -> String { isLeft ? text.left(width) : text.right(width) }

    /// The most important ones that fit, in their order.
    static func fitting(_ columns: [DemoColumn], width: Int) -> [DemoColumn] {
        var shown = columns
        while shown.count > 1, shown.reduce(0, { $0 + $1.width + 2 }) > width {
            let least = shown.map(\.rank).max()!
            shown.removeAll { $0.rank == least }
        }
        return shown
    }

    static func all(_ interval: Interval) -> [DemoColumn] {
        func price(_ title: String, rank: Int, _ value: @escaping (ShownCandle) -> String) -> DemoColumn {
            DemoColumn(title, 12, rank: rank) { row, _ in (row.candle.map { trimmed(value($0)) } ?? "", .plain) }
        }
        return [
            DemoColumn("symbol", 11, rank: 0, isLeft: true) { row, _ in (row.symbol.upperCased, .bold) },
            DemoColumn("price", 14, rank: 1, cell: priceCell),
            DemoColumn("change", 8, rank: 2, cell: changeCell),
            price("open", rank: 9) { $0.open },
            price("high", rank: 8) { $0.high },
            price("low", rank: 8) { $0.low },
            DemoColumn("volume", 7, rank: 5) { row, _ in (row.candle.flatMap { Double($0.volume) }.map(Numbers.short) ?? "", .plain) },
            DemoColumn("trades", 7, rank: 6) { row, _ in (row.candle.map { Numbers.grouped($0.count) } ?? "", .plain) },
            DemoColumn("updates/s", 9, rank: 7) { row, _ in (row.candle == nil ? "" : Numbers.fixed(row.updatesPerSecond, digits: 1), .dim) },
            DemoColumn("\(interval.token) candle", 12, rank: 4, isLeft: true) { row, _ in (progressBar(row.candle, interval, width: 12), .cyan) },
            DemoColumn("recent closes", 32, rank: 3, isLeft: true, cell: sparkCell),
        ]
    }

    private static let flashNs: UInt64 = 500_000_000

    private static func priceCell(_ row: DemoRow, _ nowNs: UInt64) -> (String, Style) {
        guard let candle = row.candle else { return ("waiting", .dim) }
        let isFresh = nowNs - row.changedNs < flashNs
        switch row.direction {
        case 1: return (trimmed(candle.close) + " ▲", isFresh ? .brightGreen : .green)
        case -1: return (trimmed(candle.close) + " ▼", isFresh ? .brightRed : .red)
        default: return (trimmed(candle.close) + "  ", .plain)
        }
    }

    private static func changeCell(_ row: DemoRow, _ nowNs: UInt64) -> (String, Style) {
        guard let percent = row.changePercent else { return ("", .plain) }
        return (Numbers.percent(percent), percent > 0 ? .green : percent < 0 ? .red : .plain)
    }

    private static func sparkCell(_ row: DemoRow, _ nowNs: UInt64) -> (String, Style) {
        let closes = row.closes + (row.candle.flatMap { Double($0.close) }.map { [$0] } ?? [])
        let shown = Array(closes.suffix(32))
        guard let first = shown.first, let last = shown.last, shown.count > 1 else { return ("", .plain) }
        return (sparkline(shown), last > first ? .green : last < first ? .red : .plain)
    }

    /// The exchange writes eight decimals on spot; zeros beyond the second say nothing to a reader.
    static func trimmed(_ text: String) -> String {
        guard let point = text.firstIndex(of: ".") else { return text }
        var digits = text[text.index(after: point)...]
        while digits.count > 2, digits.last == "0" { digits = digits.dropLast() }
        return String(text[...point]) + digits
    }

    /// How much of the candle's time is over, in eighths of a cell.
    static func progressBar(_ candle: ShownCandle?, _ interval: Interval, width: Int) -> String {
        guard let candle else { return "" }
        let length = interval.nextOpenTime(after: candle.openTime) - candle.openTime
        let share = Double(max(0, min(length, candle.eventTime - candle.openTime))) / Double(length)
        let eighths = Int((share * Double(width * 8)).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let bar = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return bar + String(repeating: "·", count: width - bar.count)
    }

    static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        let blocks = Array("▁▂▃▄▅▆▇█")
        return String(values.map { value in
            high > low ? blocks[min(7, Int((value - low) / (high - low) * 8))] : blocks[3]
        })
    }
}
