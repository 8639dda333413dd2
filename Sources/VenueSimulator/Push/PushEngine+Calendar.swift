// Changes of the exchange in virtual time: an instrument's standing, listing and delisting, maintenance.
// They are applied between two events, at their instant, before anything else is said there.

import FastFeed

/// What is planned and what holds now.
struct Calendar {
    enum Change {
        case symbol(Int, SymbolState)
        case maintenanceBegins, maintenanceEnds
    }

    static let delayMaxMs: Int64 = 3_155_760_000_000

    /// Ascending; changes of one instant in the order they were planned.
    private var planned: [(atMs: Int64, change: Change)] = []
    private(set) var nextChangeMs = Int64.max
    var states: [SymbolState]
    /// Windows may overlap.
    private(set) var windowsOpen = 0
    /// Maintenance began and connections are still to be dropped.
    var hasJustClosed = false

    var isClosed: Bool { windowsOpen > 0 }

    init(symbolCount: Int) { states = Array(repeating: .trading, count: symbolCount) }

    mutating func plan(_ change: Change, atMs instantMs: Int64) {
        let place = planned.firstIndex { $0.atMs > instantMs } ?? planned.count
        planned.insert((instantMs, change), at: place)
        nextChangeMs = planned[0].atMs
    }

    mutating func takeDue(nowMs: Int64) -> Change? {
        guard let first = planned.first, first.atMs <= nowMs else { return nil }
        planned.removeFirst()
        nextChangeMs = planned.first?.atMs ?? .max
        return first.change
    }

    mutating func countWindow(_ delta: Int) {
        windowsOpen += delta
        if delta > 0 && windowsOpen == 1 { hasJustClosed = true }
    }
}

extension PushEngine {
    /// By symbol index: how each stands.
    package var symbolStates: [SymbolState] { calendar.states }
    /// True in a maintenance window.
    package var isClosed: Bool { calendar.isClosed }

    /// - Returns: the instant of the change.
    @discardableResult
    package mutating func plan(_ symbolIndex: Int, _ state: SymbolState, afterMs: Int64) -> Int64 {
        let atMs = nowMs + min(max(afterMs, 0), Calendar.delayMaxMs)
        calendar.plan(.symbol(symbolIndex, state), atMs: atMs)
        applyDueChanges()
        return atMs
    }

    @discardableResult
    package mutating func planMaintenance(afterMs: Int64, durationMs: Int64) -> ClosedRange<Int64> {
        let fromMs = nowMs + min(max(afterMs, 0), Calendar.delayMaxMs)
        let untilMs = fromMs + min(max(durationMs, 1), Calendar.delayMaxMs)
        calendar.plan(.maintenanceBegins, atMs: fromMs)
        calendar.plan(.maintenanceEnds, atMs: untilMs)
        applyDueChanges()
        return fromMs...untilMs
    }

    /// True once after maintenance began: whoever holds connections ends them.
    package mutating func takeClosing() -> Bool {
        defer { calendar.hasJustClosed = false }
        return calendar.hasJustClosed
    }

    mutating func planFromConfiguration(startMs: Int64) {
        for change in configuration.symbolChanges {
            guard let index = symbolIndexes[change.symbol.lowercased()] else { continue }
            if change.afterMs == 0 && change.state == .unlisted {
                // Nothing of it was there before, either.
                calendar.states[index] = .unlisted
                histories[index].pauses.begin(atMs: 0, removesBars: true)
            } else {
                plan(index, change.state, afterMs: change.afterMs)
            }
        }
        for index in (configuration.symbolCount - configuration.quietSymbols)..<configuration.symbolCount {
            plan(index, .quiet, afterMs: 0)
        }
        for window in configuration.maintenance { planMaintenance(afterMs: window.afterMs, durationMs: window.durationMs) }
    }

    /// What trading and market data of a symbol are now.
    func effect(onSymbol index: Int) -> SymbolState.Effect { calendar.isClosed ? .hole : calendar.states[index].effect }

    mutating func applyDueChanges() {
        while let change = calendar.takeDue(nowMs: nowMs) {
            switch change {
            case .symbol(let index, let state):
                let before = effect(onSymbol: index)
                calendar.states[index] = state
                realize(onSymbol: index, insteadOf: before)
            case .maintenanceBegins, .maintenanceEnds:
                let before = symbols.indices.map { effect(onSymbol: $0) }
                if case .maintenanceBegins = change { calendar.countWindow(1) } else { calendar.countWindow(-1) }
                for index in symbols.indices { realize(onSymbol: index, insteadOf: before[index]) }
            }
        }
    }

    /// Lets a symbol's tape and streams follow its effect.
    private mutating func realize(onSymbol symbol: Int, insteadOf before: SymbolState.Effect) {
        let after = effect(onSymbol: symbol)
        let mine = (0..<streams.count).filter { streams[$0].symbolIndex == symbol && streams[$0].isPending }
        // What a delisting cuts is never due.
        if calendar.states[symbol] == .unlisted { for index in mine { streams[index].state = nil } }
        guard after != before else { return }
        if before == .hole { for index in mine { settle(index) } }
        if before != .trades { histories[symbol].pauses.end(atMs: nowMs, on: histories[symbol].tape) }
        if after != .trades { histories[symbol].pauses.begin(atMs: nowMs, removesBars: after == .hole) }
        let nowMs = nowMs
        for index in mine {
            streams[index].isSilent = after == .hole
            if after == .trades || before == .hole {
                if streams[index].state == nil {
                    join(index)
                } else {
                    streams[index].state?.resumeTrading(atMs: nowMs, history: histories[symbol])
                }
            } else {
                streams[index].state?.stopTrading(atMs: nowMs)
            }
        }
    }

    /// A silent stream's turn: it is asked again after a period, and the bars that were cut become due.
    mutating func tickInSilence(_ index: Int) {
        settle(index)
        streams[index].isPending = true
        wheel.insert(index, atMs: nowMs + configuration.pushPeriodMs(of: streams[index].interval))
    }

    /// Bars that exist and ended in silence: REST has them, the stream never tells.
    mutating func settle(_ index: Int) {
        guard let holeMs = histories[streams[index].symbolIndex].pauses.current?.fromMs else { return }
        let nowMs = nowMs
        while let state = streams[index].state?.finish(atMs: nowMs, holeMs: holeMs) {
            _ = truth.appendClosed(stream: index, state)
        }
        if let openMs = streams[index].state?.openMs, openMs >= holeMs { streams[index].state = nil }
    }
}
