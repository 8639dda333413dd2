// The sink's lanes in a Redis Cluster, one a node: which are open, and which wait for what another has in flight. The sink's thread alone.

extension CandleWriter {
    /// Some server that there is does not take what is written.
    @inline(never)
    func isPartlyAway() -> Bool { !isWhole() || (0..<lanes.count).contains { lanes[$0].isOpen && lanes[$0].isRefusing } }

    /// All of them are connected.
    @inline(never)
    func isWhole() -> Bool {
        var openCount = 0
        for place in 0..<lanes.count where lanes[place].isOpen {
            guard lanes[place].link.isReady else { return false }
            openCount += 1
        }
        return openCount > 0
    }

    /// Once a turn: connections come and go in it, and a redirect may open a lane, too.
    @inline(never)
    func countLanes() {
        var (open, up) = (0, 0)
        for place in 0..<lanes.count where lanes[place].isOpen { (open, up) = (open + 1, up + (lanes[place].link.isReady ? 1 : 0)) }
        counters.set(.redisLanes, open)
        counters.set(.redisLanesUp, up)
    }

    /// - Returns: its place; nil when all are taken.
    mutating func lane(for node: String) -> Int? {
        let known = (0..<lanes.count).first { lanes[$0].node == node }
        if let known, lanes[known].isOpen { return known }
        journal.note(.info, "a node of the cluster has slots: it is connected to", key: "lane-opened:\(node)", ("node", node))
        if let known {
            // Its link knows which connection of before must end first.
            lanes[known].isOpen = true
            lanes[known].link.reopen()
            return known
        }
        if lanes.count < lanes.capacity {
            lanes.append(makeLane(lanes.count, node))
            return lanes.count - 1
        }
        guard let free = (0..<lanes.count).first(where: { !lanes[$0].isOpen }) else { return nil }
        lanes[free] = makeLane(free, node)
        return free
    }

    /// Its node owns nothing, as far as we know; it was there because of keys that were on their way to it.
    func isIdle(_ lane: Row<Lane>) -> Bool { isCluster && route.map != nil && !route.isOwner(lane.value.place) }

    /// Its node owns nothing any more, or hangs while another has taken its place: it is not waited for.
    mutating func close(_ lane: Row<Lane>) {
        restoreFlight(lane)
        lane.value.link.close()
        lane.value.isOpen = false
        journal.note(
            .info, "a node of the cluster owns nothing any more", key: "lane-closed:\(lane.value.node!)", ("node", "\(lane.value.node!)"))
    }

    /// Slots have come here from a lane that has something in flight: that must be answered first, or it might come behind.
    @inline(never)
    func isBarred(_ lane: Row<Lane>) -> Bool {
        if lane.value.waitsFor.isEmpty { return false }
        lane.value.waitsFor.removeAll { lanes[$0.lane].doneBefore > $0.number }
        return !lane.value.waitsFor.isEmpty
    }

    func areHashesBarred(_ lane: Row<Lane>) -> Bool {
        if lane.value.hashesWaitFor.isEmpty { return false }
        lane.value.hashesWaitFor.removeAll { lanes[$0.lane].doneBefore > $0.number }
        return !lane.value.hashesWaitFor.isEmpty
    }

    /// What is newer of the hashes in this batch, which is built and has no number yet, waits for it.
    func barHashes(_ lane: Row<Lane>, _ batch: Row<Batch>) {
        for index in 0..<batch.value.hashCount {
            let id = Int(batch.value.seriesIDs[batch.value.seriesRange(ofHash: index).lowerBound])
            barHashes(of: route.latestLane(Int(table.states[id].interval)).lane, until: (lane.value.place, builtCount))
        }
    }

    func barHashes(of place: Int, until wait: (lane: Int, number: Int)) {
        let lane = lanes.row(place)
        guard let known = lane.value.hashesWaitFor.firstIndex(where: { $0.lane == wait.lane }) else {
            return lane.value.hashesWaitFor.append(wait)
        }
        lane.value.hashesWaitFor[known].number = max(lane.value.hashesWaitFor[known].number, wait.number)
    }
}
