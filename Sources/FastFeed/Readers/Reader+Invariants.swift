// What is always so of a reader between two turns, and of each of its connections. Tests and simulated worlds ask for it, the product
// never does. The reader's thread, or whoever turns it.

extension ReaderConnection where Socket: ~Copyable {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        if let wrong = subscription.checkInvariants() { return wrong }
        let isIdle = !isLive && !isOpen && !isStalled && writeFailure == nil && attemptNs == nil
        guard phase != nil || isIdle else { return "connection: it goes on without a socket" }
        guard isOpen || !isLive else { return "connection: it is live and not open" }
        guard attemptNs == nil || !isOpen else { return "connection: it is open, and its attempt has not ended" }
        guard !isRetired || successor == nil && predecessor == nil else { return "connection: it has gone for good, and is waited for" }
        guard !isRetired || !isLive else { return "connection: it has gone for good, and is live" }
        return nil
    }
}

extension Reader where Parser: ~Copyable {
    /// What each connection is to carry that has not gone for good, those that replace another among them. Nil while the reader stops.
    package var carried: [(key: ConnectionKey, streams: [String])]? {
        guard !isStopping else { return nil }
        let slots = (0..<connections.count).filter { !connections[$0].isRetired }
        return slots.map { (connections[$0].key, connections[$0].subscription.streams) }
    }

    /// The first invariant that does not hold, as a sentence; nil: all hold. Between two turns alone.
    package func checkInvariants() -> String? {
        var (live, stalled, ready) = (0, 0, 0)
        /// Those that replace nobody: one for each key.
        var heads: Set<ConnectionKey> = []
        for slot in 0..<connections.count {
            if let wrong = connections[slot].checkInvariants() ?? wrongLink(slot) { return "reader \(label(slot)): \(wrong)" }
            if connections[slot].isLive { live += 1 }
            if connections[slot].isStalled { stalled += 1 }
            if connections[slot].isReady { ready += 1 }
            guard !connections[slot].isRetired, connections[slot].predecessor == nil else { continue }
            let key = connections[slot].key
            guard heads.insert(key).inserted else { return "reader \(label(slot)): connection \(key.number) is there twice" }
        }
        guard stalled == stalledCount else { return "reader \(index): \(stalledCount) connections counted as stalled, \(stalled) are" }
        let counted = counters.value(.connectionsLive)
        guard counted == UInt64(live) else { return "reader \(index): \(counted) connections counted as live, \(live) are" }
        guard Set(readySlots).count == readySlots.count else { return "reader \(index): a connection is in the list of ready ones twice" }
        guard ready == readySlots.count, readySlots.allSatisfy({ connections[$0].isReady }) else {
            return "reader \(index): \(readySlots.count) connections are in the list of ready ones, \(ready) are ready"
        }
        if let rollingSlot, connections[rollingSlot].isRetired { return "reader \(index): what is being replaced for its age has gone" }
        return nil
    }

    /// Who replaces whom is known to both.
    private func wrongLink(_ slot: Int) -> String? {
        let key = connections[slot].key
        for (other, isBack) in [
            (connections[slot].successor, connections[slot].successor.map { connections[$0].predecessor == slot }),
            (connections[slot].predecessor, connections[slot].predecessor.map { connections[$0].successor == slot }),
        ] {
            guard let other, let isBack else { continue }
            guard isBack && connections[other].key == key && !connections[other].isRetired else {
                return "it and \(label(other)) do not replace one another"
            }
        }
        return nil
    }
}
