// Everything that happens because time has passed: attempts, time-outs, and what an open connection has due. The reader's thread.

extension Reader where Parser: ~Copyable {
    func turnTimers(_ nowNs: UInt64) {
        for slot in 0..<connections.count { turnTimers(of: slot, nowNs) }
        var due = (0..<connections.count).reduce(.max) { min($0, connections[$1].nextDeadlineNs(nowNs: nowNs)) }
        // A stalled connection looks for room often.
        if stalledCount > 0 { due = min(due, nowNs + 100_000) }
        timersDueNs = due
        finishStopIfDone()
    }

    private func turnTimers(of slot: Int, _ nowNs: UInt64) {
        switch connections[slot].phase {
        case nil: if !connections[slot].isRetired && nowNs >= connections[slot].retryAtNs { attempt(slot, nowNs) }
        case .dialing, .upgrading: turn(slot, nowNs)
        case .open:
            let klineSilenceMs = settings.dialect.klineSilenceMs
            carryOutAll(of: slot, nowNs) { $0.nextDue(nowNs: nowNs, klineSilenceMs: klineSilenceMs) }
        case .closing: carryOut(connections[slot].onCloseDeadline(nowNs: nowNs), of: slot, nowNs)
        case .closed: break
        }
    }

    private func attempt(_ slot: Int, _ nowNs: UInt64) {
        if let wait = budget.take(nowNs: nowNs, attempts: connections[slot].attempts) {
            connections[slot].retryAtNs = wait.untilNs
            if wait.isSpent {
                journal.note(.warning, "connection attempts held back: the exchange allows 300 in 5 minutes", key: "connect-budget")
            }
            return
        }
        if connections[slot].attempts > 0 { counters.add(.reconnects) }
        let host = settings.hosts[connections[slot].host]
        var options = settings.connection
        options.proxy = host.proxy
        options.decoder.checksTextInPlace = false  // simdjson does, with the parse
        let token = port!.token(slot: slot, generation: connections[slot].generation)
        connections[slot].begin(nowNs: nowNs) { target, attempt in
            options.attempt = attempt
            return WebSocketConnection(
                endpoint: host.base.appending(target), options: options, tls: settings.tls, port: port!, token: token, nowNs: nowNs)
        }
        markReady(slot)
    }
}
