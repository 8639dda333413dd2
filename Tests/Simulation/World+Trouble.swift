// What goes wrong in a world, and when, and what others do in it.

import FastFeed

extension World {
    func planTrouble() {
        let endNs = kernel.nowNs + scenario.troubleNs
        func every(_ meanNs: UInt64?, _ fault: @escaping () -> Void) {
            kernel.every(meanNs, until: endNs, draw: { [unowned self] in .random(in: 0...2 * $0, using: &random) }, fault)
        }
        let keys = scenario.series.map(schema.historyKey)
        every(scenario.exchangeFaultNs) { [unowned self] in exchange.misbehave() }
        every(scenario.redisFaultNs) { [unowned self] in servers.misbehave(keys, &random) }
        every(scenario.cluster?.troubleNs) { [unowned self] in cluster?.misbehave() }
        // The whole process is not scheduled for a while.
        every(scenario.processPauseNs) { [unowned self] in
            let untilNs = kernel.nowNs + UInt64(random.number(1...20_000)) * 1_000_000
            guard let process else { return }
            for index in process.sleepsUntilNs.indices { process.sleepsUntilNs[index] = untilNs }
        }
        if scenario.changingCount > 0 { every(scenario.troubleNs / 12) { [unowned self] in changeOne() } }
        if scenario.hasOtherWriter { every(scenario.troubleNs / 20) { [unowned self] in writeAsAnother() } }
        guard let healing = scenario.healing else { return }
        every(healing.restFaultNs) { [unowned self] in rest?.misbehave() }
        every(healing.killNs) { [unowned self] in kill() }
        every(healing.lossNs) { [unowned self] in forget() }
        every(healing.windowNs) { [unowned self] in exchange.openWindow() }
        // (A connection that is soon replaced is mute no more by itself.)
        every(scenario.connectionAgeMs > Int(scenario.troubleNs / 1_000_000) ? healing.muteNs : nil) { [unowned self] in exchange.muteOne()
        }
    }

    /// A series is stopped, or followed again. The agents learn of it at this instant, so that the ledger knows who wanted what.
    private func changeOne() {
        guard let process, kernel.nowNs >= process.sleepsUntilNs.max()! else { return }
        let index = scenario.series.count - 1 - random.number(0...scenario.changingCount - 1)
        let series = scenario.series[index]
        if ledger.isFollowed[index] {
            kernel.tell? { "stop \(series)" }
            process.unfollow(series, nowNs: kernel.nowNs)
            let stored = database(schema.historyKey(series)).entries(schema.historyKey(series)).map(\.openMs)
            ledger.onStopped(index, stored: Set(stored))
        } else {
            kernel.tell? { "follow \(series)" }
            process.follow(series, nowNs: kernel.nowNs)
            ledger.onFollowed(index)
        }
        process.release()
    }

    /// Another engine (or a backfill) appends a candle of its own, with our values or with others.
    private func writeAsAnother() {
        guard !exchange.closedStates.isEmpty else { return }
        let state = random.pick(exchange.closedStates)
        let series = scenario.series[state.series]
        let key = schema.historyKey(series)
        var fields = state.fields
        let differs = random.chance(0.3)
        if differs { fields[9] = "0.00000001" }
        guard !database(holds: state, key), !holds(key) else { return }
        let values = stride(from: 1, to: fields.count, by: 2).map { fields[$0] } + ["0"]
        let script = ["EVAL", "", "2", key, schema.changesKey(series), "100000", "1000", "\(state.openMs)-0"] + values
        _ = (cluster?.holder(key) ?? redis).database.run(script)
        ledger.onOther(state, differs: differs)
        kernel.tell? { "another writes \(series) \(state.openMs)\(differs ? ", wrong" : "")" }
    }

    private func database(holds state: KlineState, _ key: String) -> Bool {
        database(key).entries(key).contains { $0.openMs == state.openMs }
    }
}
