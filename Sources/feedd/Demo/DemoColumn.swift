// The table's columns: which there are, how wide, and which go first when the terminal is narrow.

import FastFeed

struct DemoColumn {
    let title: String
    var width: Int
    /// Lower stays longer.
    let rank: Int
    let isLeft: Bool
    let cell: (DemoRow, CellContext) -> (String, Style)

    /// What a cell may depend on besides its row.
    struct CellContext {
        let nowNs: UInt64
        let width: Int
    }

    init(
        _ title: String, _ width: Int, rank: Int, isLeft: Bool = false, cell: @escaping (DemoRow, CellContext) -> (String, Style)
    ) {
        self.title = title
        self.width = width
        self.rank = rank
        self.isLeft = isLeft
        self.cell = cell
    }

    func aligned(_ text: String) -> String { isLeft ? text.left(width) : text.right(width) }

    private static let closesWidthMax = DemoModel.closesShownMax

    /// The most important ones that fit, in their order; the last one takes what room is left.
    static func fitting(_ columns: [DemoColumn], width: Int) -> [DemoColumn] {
        func total(_ columns: [DemoColumn]) -> Int { columns.reduce(0) { $0 + $1.width + 2 } }
        var shown = columns
        while shown.count > 1, total(shown) > width, let least = shown.map(\.rank).max() {
            shown.removeAll { $0.rank == least }
        }
        guard var last = shown.last, last.rank == closesRank else { return shown }
        last.width = min(closesWidthMax, last.width + width - total(shown))
        shown[shown.count - 1] = last
        return shown
    }

    private static let closesRank = 3

    static func all(_ interval: Interval) -> [DemoColumn] {
        func price(_ title: String, rank: Int, _ value: @escaping (Candle) -> DecimalText) -> DemoColumn {
            DemoColumn(title, 11, rank: rank) { row, _ in (row.candle.map { row.priceText(value($0)) } ?? "", .plain) }
        }
        return [
            DemoColumn("symbol", 11, rank: 0, isLeft: true) { row, _ in (row.symbol.upperCased, .bold) },
            DemoColumn("price", 13, rank: 1, cell: priceCell),
            DemoColumn("change", 8, rank: 2, cell: changeCell),
            price("open", rank: 9) { $0.open },
            price("high", rank: 8) { $0.high },
            price("low", rank: 8) { $0.low },
            DemoColumn("volume", 7, rank: 5) { row, _ in (row.candle.map { Numbers.short($0.volume.approximate) } ?? "", .plain) },
            DemoColumn("trades", 6, rank: 6) { row, _ in (row.candle.map { Numbers.grouped($0.count) } ?? "", .plain) },
            DemoColumn("missing", 7, rank: 7) { row, _ in (row.missing > 0 ? "\(row.missing) ◐" : "", .yellow) },
            DemoColumn("updates/s", 9, rank: 7) { row, _ in
                (row.candle == nil ? "" : Numbers.fixed(row.updatesPerSecond, digits: 1), .dim)
            },
            DemoColumn("\(interval.token) candle", 12, rank: 4, isLeft: true) { row, context in
                (progressBar(row.candle, interval, width: context.width), .cyan)
            },
            DemoColumn("recent closes", 16, rank: closesRank, isLeft: true, cell: closesCell),
        ]
    }

    // MARK: Cells

    private static let flashNs: UInt64 = 500_000_000

    private static func priceCell(_ row: DemoRow, _ context: CellContext) -> (String, Style) {
        guard let candle = row.candle else { return ("waiting", .dim) }
        let isFresh = context.nowNs - row.changedNs < flashNs
        let text = row.priceText(candle.close)
        switch row.direction {
        case 1: return (text + " ▲", isFresh ? .brightGreen : .green)
        case -1: return (text + " ▼", isFresh ? .brightRed : .red)
        default: return (text + "  ", .plain)
        }
    }

    private static func changeCell(_ row: DemoRow, _ context: CellContext) -> (String, Style) {
        guard let percent = row.changePercent else { return ("", .plain) }
        let text = Numbers.percent(percent)
        return (text, text == "+0.00%" ? .plain : percent > 0 ? .green : .red)
    }

    private static func closesCell(_ row: DemoRow, _ context: CellContext) -> (String, Style) {
        let closes = row.closes + (row.candle.map { [$0.close.approximate] } ?? [])
        let shown = Array(closes.suffix(context.width))
        guard let first = shown.first, let last = shown.last, shown.count > 1 else { return ("", .plain) }
        return (sparkline(shown), last > first ? .green : last < first ? .red : .plain)
    }

    /// How much of the candle's time is over, in eighths of a cell.
    static func progressBar(_ candle: Candle?, _ interval: Interval, width: Int) -> String {
        guard let candle, let eventTime = candle.eventTime else { return "" }
        let length = interval.nextOpenTime(after: candle.openTime) - candle.openTime
        let share = Double(max(0, min(length, eventTime - candle.openTime))) / Double(length)
        let eighths = Int((share * Double(width * 8)).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let bar = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return bar + String(repeating: "·", count: width - bar.count)
    }

    static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        let blocks = Array("▁▂▃▄▅▆▇█")
        return String(
            values.map { value in
                high > low ? blocks[min(7, Int((value - low) / (high - low) * 8))] : blocks[3]
            })
    }
}
