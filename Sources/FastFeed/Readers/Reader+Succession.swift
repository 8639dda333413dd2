// One connection after another for the same streams: which replaces which, and which has gone for good. The reader's thread; cold.

extension Reader where Parser: ~Copyable {
    /// Opens a second connection for the same streams; this one ends when that one is live.
    func replace(_ slot: Int) {
        guard !connections[slot].isRetired, connections[slot].successor == nil, !isStopping else { return }
        connections[slot].rollAtNs = .max
        let (key, host) = (connections[slot].key, connections[slot].host)
        guard let successor = addConnection(key, host: host, connections[slot].subscription.renewed, predecessor: slot) else {
            // The exchange will end it, and then it is opened again like any other.
            journal.note(.warning, "no room to replace a connection", key: "no-room", ("connection", label(slot)))
            return
        }
        connections[slot].successor = successor
        connections[successor].quietCount = connections[slot].quietCount
    }

    /// Open and fully subscribed: from now on it counts, and the one it replaces may go.
    func onLive(_ slot: Int, _ nowNs: UInt64) {
        troubles.clear(.connection(label(slot)))
        board.noteLive(connections[slot].key.number, nowNs: nowNs)
        counters.add(.connectionsLive)
        // The one it replaces may itself have been on its way to replace another.
        var next = connections[slot].predecessor
        connections[slot].predecessor = nil
        while let old = next {
            next = connections[old].predecessor
            connections[old].predecessor = nil
            counters.add(.rollovers)
            journal.note(.info, "connection replaced", ("old", label(old)), ("new", label(slot)))
            leave(old, .endedByRollover, nowNs)
        }
    }

    /// For good: closes properly what is open and drops what is not yet.
    func leave(_ slot: Int, _ ending: CounterID, _ nowNs: UInt64) {
        retire(slot)
        onLeft(slot, connections[slot].leave(ending, nowNs: nowNs))
    }

    /// Nothing is to be opened in the slot any more.
    func retire(_ slot: Int) {
        connections[slot].isRetired = true
        if rollingSlot == slot { endRoll() }
        connections[slot].retryAtNs = .max
        troubles.clear(.connection(label(slot)))
        // It leaves the chain of those that replace one another: who waited for it now waits for its successor.
        let (before, after) = (connections[slot].predecessor, connections[slot].successor)
        (connections[slot].predecessor, connections[slot].successor) = (nil, nil)
        if let before, connections[before].successor == slot { connections[before].successor = after }
        if let after, connections[after].predecessor == slot { connections[after].predecessor = before }
    }

    // MARK: Age

    /// It is old enough to be replaced, when no other is being replaced for that reason; or it is not replaced in time.
    func onRollDue(_ slot: Int, _ nowNs: UInt64) {
        if rollingSlot == slot { return giveUpRoll(slot, nowNs) }
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

    private func endRoll() {
        rollingSlot = nil
        budget.endRoll()
    }
}
