// The monitor as text: looks go in, lines no wider than the terminal come out. Pure.

import FastFeed

struct MonitorView {
    let place: String
    let usesColour: Bool

    func frame(_ look: MonitorLook, _ before: MonitorLook?, columns: Int, rows: Int) -> [String] {
        var lines = [title(look, columns), StyledLine()]
        if let trouble = look.trouble {
            lines += [StyledLine(" ○ " + trouble.sentence, .brightRed), StyledLine()]
        }
        if let service = look.service {
            if let line = continuity(service) { lines.insert(line, at: 1) }
            let troubles = ClientText.troubles(service, nowMs: look.atMs)
            if !troubles.isEmpty { lines += troubles.map { StyledLine(" ○ " + $0, .yellow) } + [StyledLine()] }
        }
        // Fluxes matter as much: half the height at most.
        lines += figures(look, before, columns).prefix(max(3, rows / 2 - lines.count))
        lines.append(StyledLine())
        lines += table(look, room: max(1, rows - lines.count - 1))
        lines += Array(repeating: StyledLine(), count: max(0, rows - lines.count - 1))
        var foot = StyledLine(" " + place, .dim)
        let keys = "q: end "
        foot.pad(to: columns - keys.count)
        foot.add(keys, .dim)
        return (lines.prefix(max(0, rows - 1)) + [foot]).map { $0.rendered(columns: columns, usesColour: usesColour) }
    }

    private func title(_ look: MonitorLook, _ columns: Int) -> StyledLine {
        var line = StyledLine(" FastFeed ", .inverse)
        if let service = look.service {
            line.add("  ● " + ClientText.word(service.state), ClientText.style(service.state))
            line.add("  " + LogText.escaped(service.version))
            line.add(LogText.escaped("  on \(service.host) (pid \(service.pid))"), .dim)
            line.add("  up " + Numbers.duration(seconds: Int(max(0, look.atMs - service.startedAt) / 1_000)), .dim)
        } else {
            line.add("  ○ no service", .brightRed)
        }
        let clock = LogText.time(look.atMs, withDate: false).prefix(8) + " UTC "
        line.pad(to: columns - clock.count)
        line.add(String(clock), .dim)
        return line
    }

    /// What is missing and what was; nil for a service that does not say it.
    private func continuity(_ service: ServiceStatus) -> StyledLine? {
        guard let open = service[CounterID.gapsOpen.name] else { return nil }
        let (healed, absent) = (service[CounterID.gapCandlesHealed.name] ?? 0, service[CounterID.gapCandlesAbsent.name] ?? 0)
        var line = StyledLine(" gaps ", .dim)
        line.add(open == 0 ? "● none open" : "◐ \(Numbers.grouped(open)) open", open == 0 ? .green : .yellow)
        line.add("   healed \(ClientText.candles(Int64(clamping: healed)))")
        if absent > 0 { line.add("   \(ClientText.candles(Int64(clamping: absent))) that the exchange lacks", .dim) }
        if let used = service[Field.restWeightUsed], let allowed = service[Field.restWeightAllowed] {
            line.add("   REST weight \(Numbers.grouped(used)) of \(Numbers.grouped(allowed))", .dim)
        }
        return line
    }

    /// All figures of the service, in columns; totals also as a rate.
    private func figures(_ look: MonitorLook, _ before: MonitorLook?, _ columns: Int) -> [StyledLine] {
        guard let service = look.service else { return [] }
        let texts = service.figures.map { figure -> (name: String, text: String) in
            var text = figure.value.map { Numbers.grouped($0) } ?? ""
            if let rate = rate(figure.name, look, before), rate > 0 { text += "  \(Numbers.short(rate))/s" }
            return (LogText.escaped(figure.name), text)
        }
        let nameWidth = min(28, texts.map(\.name.displayWidth).max() ?? 0)
        let cellWidth = max(40, nameWidth + 24)
        let perLine = max(1, columns / cellWidth)
        return stride(from: 0, to: texts.count, by: perLine).map { start in
            var line = StyledLine()
            for (index, (name, text)) in texts[start..<min(start + perLine, texts.count)].enumerated() {
                line.pad(to: index * cellWidth)
                line.add(" " + name.left(nameWidth) + " ", .dim)
                line.add(text.cut(to: cellWidth - nameWidth - 3))
            }
            return line
        }
    }

    private func rate(_ name: String, _ look: MonitorLook, _ before: MonitorLook?) -> Double? {
        guard name.hasSuffix("_total"), let before, before.atMs < look.atMs,
            let now = look.service?[name], let then = before.service?[name], now >= then
        else { return nil }
        return Double(now - then) * 1_000 / Double(look.atMs - before.atMs)
    }

    private func table(_ look: MonitorLook, room: Int) -> [StyledLine] {
        guard look.service != nil else { return [] }
        guard !look.fluxes.isEmpty else {
            return [StyledLine(" no fluxes: feedd create btcusdt,ethusdt 1m", .dim)]
        }
        let widths = (id: min(40, max(4, look.fluxes.map(\.id.displayWidth).max() ?? 4)), state: 9)
        let head = StyledLine(
            " " + "flux".left(widths.id) + "  " + "state".left(widths.state) + "  " + "series".right(9) + "  last update   candles  gaps",
            .dim)
        var lines = [head]
        let shown = look.fluxes.count + 1 > room ? max(0, room - 2) : look.fluxes.count
        for flux in look.fluxes.prefix(shown) {
            let detail = look.details[flux.id]
            let state = look.state(of: flux)
            var line = StyledLine()
            line.add(" " + LogText.escaped(flux.id).cut(to: widths.id).left(widths.id) + "  ", .bold)
            line.add(ClientText.word(state).left(widths.state) + "  ", ClientText.style(state))
            line.add(
                "\(flux.seriesLive)/\(flux.symbols.count)".right(9) + "  " + ClientText.age(flux.lastUpdateAt, nowMs: look.atMs).left(11))
            line.add((detail.map { Numbers.grouped($0.candlesTotal) } ?? "–").right(10))
            line.add((detail.map { Numbers.grouped($0.gapsOpen) } ?? "–").right(6), (detail?.gapsOpen ?? 0) > 0 ? .yellow : .plain)
            lines.append(line)
        }
        if shown < look.fluxes.count {
            lines.append(StyledLine(" … and \(look.fluxes.count - shown) more", .dim))
        }
        return lines
    }

    /// One look in one line.
    static func line(_ look: MonitorLook) -> String {
        let time = LogText.time(look.atMs, withDate: false)
        if let trouble = look.trouble { return "\(time)  " + trouble.sentence }
        var counts: [String: Int] = [:]
        for flux in look.fluxes { counts[ClientText.word(look.state(of: flux)), default: 0] += 1 }
        let states = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        var line = "\(time)  \(ClientText.word(look.service?.state))  \(look.fluxes.count) fluxes"
        if !states.isEmpty { line += " (\(states))" }
        let shown = [
            Field.series, Field.connections, Field.messagesTotal, Field.rejectedTotal, CounterID.gapsSeen.name, CounterID.gapsOpen.name,
            CounterID.gapCandlesHealed.name, Field.closedLost,
        ]
        for name in shown {
            if let value = look.service?[name] { line += "  \(name) \(value)" }
        }
        for trouble in look.service?.troubles ?? [] { line += "  \(Field.reason(trouble.part)) \(trouble.reason)" }
        return LogText.escaped(line)
    }
}
