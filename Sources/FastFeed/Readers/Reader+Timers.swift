// Everything that happens because time has passed: attempts, time-outs, silence, subscriptions, rollover. The reader's thread.

extension Reader {
    func turnTimers(_ nowNs: UInt64) {
        for slot in 0..<connections.count { turnTimers(of: slot, nowNs) }
        var due = (0..<connections.count).reduce(.max) { min($0, connections[$1].nextDeadlineNs(nowNs: nowNs)) }
        // A stalled connection looks for room often.
        if stalledCount > 0 { due = min(due, nowNs + 100_000) }
        timersDueNs = due
        finishStopIfDone()
    }

    private func turnTimers(of slot: Int, _ nowNs: UInt64) {
        guard let phase = connections[slot].phase else {
            if !connections[slot].isRetired && nowNs >= connections[slot].retryAtNs { attempt(slot, nowNs) }
            return
        }
        switch phase {
        case .dialing, .upgrading: turn(slot, nowNs)
        case .open: turnOpen(slot, nowNs)
        case .closing:
            // What waits unread may hold closed candles, unless the connection is one that we believe nothing any more.
            let isHeard = connections[slot].lossReason == nil
            guard !connections[slot].isStalled, !(isHeard && connections[slot].isReady) else { return }
            if nowNs >= connections[slot].nextDeadlineNs(nowNs: nowNs) {
                lose(slot, "no answer to our close frame", .endedBySilence, nowNs)
            }
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
        (connections[slot].isAttempting, connections[slot].attemptNs) = (true, nowNs)
        if connections[slot].attempts > 0 { counters.add(.reconnects) }
        connections[slot].subscription = connections[slot].subscription.renewed
        let host = settings.hosts[connections[slot].host]
        var options = settings.connection
        options.proxy = host.proxy
        options.attempt = connections[slot].attempts
        connections[slot].attempts += 1
        options.decoder.checksTextInPlace = false  // simdjson does, with the parse
        connections[slot].socket = WebSocketConnection(
            endpoint: host.base.appending(connections[slot].subscription.target), options: options, tls: settings.tls,
            port: port!, token: port!.token(slot: slot, generation: connections[slot].generation), nowNs: nowNs)
        markReady(slot)
    }

    private func turnOpen(_ slot: Int, _ nowNs: UInt64) {
        let overdue = connections[slot].subscription.requeueOverdue(nowNs: nowNs)
        if overdue > 0 {
            counters.add(.subscribeErrors, overdue)
            journal.note(.warning, "no answer to a subscription; asking again", key: "subscribe-timeout", ("connection", label(slot)))
        }
        sendSubscriptions(slot, nowNs)
        guard connections[slot].phase != nil else { return }
        if nowNs >= connections[slot].rollAtNs {
            if rollingSlot == slot { giveUpRoll(slot, nowNs) } else { beginRoll(slot, nowNs) }
        }
        // While we leave the socket unread, its silence says nothing of the exchange.
        guard !connections[slot].isStalled else { return }
        let silentNs = nowNs &- connections[slot].lastReceivedNs
        if silentNs >= UInt64.ns(ms: Limits.venueSilenceDropMs) {
            lose(slot, "silent for \(Limits.venueSilenceDropMs / 1_000) s", .endedBySilence, nowNs)
        } else if silentNs >= UInt64.ns(ms: Limits.venueSilencePingMs),
            nowNs &- connections[slot].lastPingNs >= UInt64.ns(ms: Limits.venueSilencePingMs)
        {
            connections[slot].lastPingNs = nowNs
            connections[slot].subscription.noteSent(nowNs: nowNs)
            if !connections[slot].socket!.send(.ping, []) { failWrite(slot, "cannot send a ping") }
        }
        replaceQuiet(slot, nowNs)
    }

    /// It is old enough to be replaced, when no other is being replaced for that reason.
    private func beginRoll(_ slot: Int, _ nowNs: UInt64) {
        connections[slot].rollAtNs = .max
        // One that is being replaced already needs nothing more.
        guard connections[slot].successor == nil, !isStopping else { return }
        if let laterNs = budget.beginRoll(nowNs: nowNs) {
            connections[slot].rollAtNs = laterNs
            return
        }
        rollingSlot = slot
        journal.note(.info, "replacing a connection before the exchange's age limit", ("connection", label(slot)))
        replace(slot)
        let isUnderWay = connections[slot].successor != nil
        if !isUnderWay { endRoll() }
        connections[slot].rollAtNs = nowNs + .ns(ms: isUnderWay ? Limits.rollPatienceMs : Limits.rollPauseMs)
    }

    /// The new one does not become live: others have their turn, and the old one goes on.
    private func giveUpRoll(_ slot: Int, _ nowNs: UInt64) {
        journal.note(.warning, "a connection could not be replaced in time; it goes on", ("connection", label(slot)))
        while let successor = connections[slot].successor, !connections[successor].isRetired { leave(successor, .endedByRollover, nowNs) }
        connections[slot].successor = nil
        endRoll()
        connections[slot].rollAtNs = nowNs + .ns(ms: Limits.rollPauseMs)
    }

    func endRoll() {
        rollingSlot = nil
        budget.endRoll()
    }

    /// A connection may live on, with pings, and bring nothing any more. Where a bar ends each minute, klines are due; in an exchange's
    /// pause they are not, so each next one is given twice the time.
    private func replaceQuiet(_ slot: Int, _ nowNs: UInt64) {
        let patienceMs = settings.profile.klineSilenceMs << UInt64(min(connections[slot].quietCount, 6))
        guard nowNs &- connections[slot].lastKlineNs >= .ns(ms: patienceMs), connections[slot].successor == nil,
            connections[slot].subscription.endsBarsEachMinute
        else { return }
        journal.note(
            .warning, "a connection to the exchange lives and brings no klines; replacing it", ("connection", label(slot)),
            ("quiet_ms", "\(patienceMs)"))
        connections[slot].quietCount += 1
        replace(slot)
    }
}
