// The figures for people: one line each, and a small picture of every latency distribution. Pure.

struct TextReport {
    private static let nameWidth = 48

    static func head(_ document: Document) -> String {
        let machine = document.machine
        let software = document.software
        return """
            machine     \(machine.cores) cores, \(machine.cpu), \(machine.memoryBytes >> 20) MiB, \(machine.system), Linux \(machine.kernel)
            programs    commit \(software.commit)\(software.isDirty ? " with changes" : ""), redis-server \(software.redis), simdjson kernel \
            \(machine.simdjsonKernel), \(software.swift)
            command     \(document.conditions.command)
            date        \(document.conditions.date), load average \(shown(document.conditions.loadAverageBefore))

            """
    }

    static func lines(_ measure: Measure) -> String {
        var line = measure.name.left(nameWidth)
        for figure in Measure.order {
            guard let value = measure.values[figure] else { continue }
            if ["min", "max"].contains(figure) && measure.values["n"] == 1 { continue }
            line += figure == "median" ? shown(value).right(11) + " " + measure.unit.left(14) : "  \(figure) \(shown(value))"
        }
        if measure.values["p50"] != nil { line += "  \(measure.unit)" }
        if let note = measure.note { line += "  (\(note))" }
        return ([line] + picture(measure)).joined(separator: "\n")
    }

    /// One line for each bar; eighths of a block make small shares visible.
    private static func picture(_ measure: Measure) -> [String] {
        guard measure.isPictured, let bars = measure.bars, let largest = bars.map(\.count).max(), largest > 0 else { return [] }
        let total = Double(bars.reduce(0) { $0 + $1.count })
        return bars.map { bar in
            let eighths = bar.count == 0 ? 0 : max(1, Int((Double(bar.count) / Double(largest) * 320).rounded()))
            let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
            let block = String(repeating: "█", count: eighths / 8) + partial
            let share = Double(bar.count) / total * 100
            return "    " + shown(bar.from).right(9) + " to " + shown(bar.until).right(9) + " us " + block.left(41)
                + (bar.count == 0 ? "" : (share < 0.01 ? "<0.01" : shown(share)).right(6) + " %")
        }
    }

    static func comparison(_ lines: [Comparison.Line], warnings: [String]) -> String {
        var text =
            "\n" + "compared with the earlier run".left(nameWidth) + "old".right(18) + "new".right(12) + "new/old".right(9) + "  noise\n"
        for warning in warnings { text += "note: \(warning)\n" }
        for line in lines {
            text += "\(line.name) \(line.figure)".left(nameWidth) + shown(line.old).right(18) + shown(line.new).right(12)
            text += shown(line.ratio).right(9) + "  ±" + shown(line.band * 100) + " %"
            text += line.mark == .same ? "\n" : "  \(line.mark.rawValue)\n"
        }
        return lines.isEmpty ? text + "no figure is in both\n" : text
    }
}
