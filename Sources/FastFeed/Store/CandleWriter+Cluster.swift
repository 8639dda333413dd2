// The sink in a Redis Cluster: what waits for which lane, and what becomes of a new map and of a redirect. The sink's thread alone.
// Nothing of this runs where Redis is one server, and what is called on the way of a frame is kept out of the functions that run there.
//
// Redirects are not followed command by command: what was refused goes back into the table, and what is sent next is rendered from there,
// for the right node. So nothing old can be sent behind something new.

import CShims

extension CandleWriter {
    // MARK: What waits for whom

    /// Out of the table into the lanes' queues, as redirects have changed the map since: what has become dirty, and closed candles that have
    /// come or were given back.
    @inline(never)
    mutating func distribute() {
        if moved != nil { followMoved() }
        guard route.map != nil else { return }
        while let id = table.popDirty() {
            guard table.isWritable(id) else { continue }
            let marks = route.marks[id]
            route.marks[id] = LaneRoute.updateWaits | LaneRoute.latestWaits
            let number = UInt32(truncatingIfNeeded: id)
            if marks & LaneRoute.updateWaits == 0 {
                let (place, isAsked) = route.messageLane(id)
                let lane = lanes.row(place)
                if isAsked { lane.value.asking.updates.append(number) } else { lane.value.queue.updates.append(number) }
            }
            if marks & LaneRoute.latestWaits == 0 {
                let (place, isAsked) = route.latestLane(Int(table.states[id].interval))
                let lane = lanes.row(place)
                if isAsked { lane.value.asking.latest.append(number) } else { lane.value.queue.latest.append(number) }
            }
        }
        var position = table.closed.sent
        while position < table.closed.tail {
            if table.closed.state(position) == .pending {
                table.closed.mark(position, .assigned)
                let (place, isAsked) = route.updateLane(Int(table.closed[position].seriesID))
                let lane = lanes.row(place)
                if isAsked { lane.value.asking.putClosed(position) } else { lane.value.queue.putClosed(position) }
            }
            position &+= 1
        }
        table.closed.sent = position
        route.forgetAsked()
    }

    /// All that waits goes back into the table, to be distributed anew.
    private mutating func recall() {
        for place in 0..<lanes.count {
            let lane = lanes.row(place)
            takeBack(&lane.value.asking)
            takeBack(&lane.value.queue)
        }
    }

    /// What waits for its connection to be written behind ASKING may be found elsewhere meanwhile.
    mutating func takeBackAsked(_ lane: Row<Lane>) { if !lane.value.asking.isEmpty { takeBack(&lane.value.asking) } }

    private mutating func takeBack(_ queue: inout LaneQueue) {
        for position in queue.closed.takeAll() where position >= table.closed.head && table.closed.state(position) == .assigned {
            table.closed.mark(position, .pending)
        }
        for id in queue.updates.takeAll() {
            route.unmark(id, LaneRoute.updateWaits)
            table.markDirty(Int(id))
        }
        for id in queue.latest.takeAll() {
            route.unmark(id, LaneRoute.latestWaits)
            table.markDirty(Int(id))
        }
    }

    /// Its history is in a slot of this lane.
    func historyIsOf(_ lane: Row<Lane>, _ series: Series) -> Bool {
        !isCluster || route.lane(HashSlot(key: schema.historyKey(series))) == lane.value.place
    }

    /// Its newest state is.
    func latestIsOf(_ lane: Row<Lane>, _ series: Series) -> Bool {
        !isCluster || route.lane(HashSlot(key: schema.latestKey(series.market, series.interval))) == lane.value.place
    }

    /// A new connection: what its server has of these may be old.
    mutating func markDirty(of lane: Row<Lane>) {
        guard isCluster else { return table.markAllDirty() }
        guard route.map != nil else { return }
        for id in 0..<table.seriesCount
        where route.updateLane(id).lane == lane.value.place || route.latestLane(Int(table.states[id].interval)).lane == lane.value.place {
            table.markDirty(id)
        }
    }

    // MARK: Maps

    /// Redis, or its connection, says something that a newer map may explain.
    @inline(never)
    func wantMap() { cluster?.board.want() }

    /// A whole map. Lanes open and close; who gains slots writes all that the one before may have lost.
    mutating func take(_ map: SlotMap, _ nowNs: UInt64) {
        guard isCluster, map != route.map else { return }
        let owners = map.primaryNames
        for place in 0..<lanes.count {
            let lane = lanes.row(place)
            if lane.value.isOpen, !owners.contains(lane.value.node!) { close(lane) }
        }
        moved = nil
        follow(map)
        if isConnected && !hasTrouble { troubles.clear(.redis) }
    }

    /// What redirects have said since, all at once.
    private mutating func followMoved() {
        guard let map = moved else { return }
        moved = nil
        follow(map)
    }

    private mutating func follow(_ map: SlotMap) {
        recall()
        let owners = Set(map.primaryNames)
        var places: [Int] = []
        for node in map.nodes {
            // Who owns nothing needs none; a map has no more primaries than there are places.
            guard owners.contains(node.name) else {
                places.append(0)
                continue
            }
            guard let place = lane(for: node.name) else { return }
            places.append(place)
        }
        let (changes, moved) = route.take(map, lanes: places)
        for change in changes {
            if lanes[change.from].isOpen && lanes[change.from].batchCount > 0 {
                lanes[change.to].waitsFor.append((change.from, builtCount - 1))
            }
            for wait in lanes[change.from].hashesWaitFor where wait.lane != change.to { barHashes(of: change.to, until: wait) }
        }
        guard !moved.isEmpty else { return }
        for id in 0..<table.seriesCount
        where route.isMoved(series: id, moved) || route.isMoved(latest: Int(table.states[id].interval), moved) { table.markDirty(id) }
        // The lane may have its connection since a MOVED of another slot, and the one before may have died.
        let schema = schema
        func isMoved(_ key: String) -> Bool { moved.contains(HashSlot(key: key).number) }
        redo(
            removals: Set(removed.keys.filter { isMoved(schema.latestKey($0.market, $0.interval)) }),
            gaps: Set(gaps.all.map(\.series).filter { isMoved(schema.historyKey($0)) }))
        noteGained { id, route in route.isMoved(series: Int(id), moved) }
        for place in Set(changes.map(\.to)).sorted() { rewriteGained(lanes.row(place)) { isMoved(schema.historyKey($0)) } }
    }

    private mutating func noteGained(_ isGained: (UInt32, borrowing LaneRoute) -> Bool) {
        for id in 0..<UInt32(table.seriesCount) where hasHealer && isGained(id, route) {
            if let series = table.series(id), table.writes(series) { lanes[route.historyLane(id)!].gained.insert(series) }
        }
    }

    /// A new connection writes all of it.
    private mutating func rewriteGained(_ lane: Row<Lane>, of isGained: (Series) -> Bool) {
        guard lane.value.isOpen && lane.value.link.isReady else { return }
        rewrite(lane, of: isGained)
        if !lane.value.isRewriting { endRewriting(lane) }
    }

    /// A node is lost that owned nothing, and with it perhaps keys that had gone there ahead of their slots. Which ones is not known: the
    /// owners of all slots have what they lack written, and looked at, again.
    @inline(never)
    mutating func writeElsewhere() {
        guard route.map != nil else { return }
        table.markAllDirty()
        redo(removals: Set(removed.keys), gaps: Set(gaps.all.map(\.series)))
        noteGained { _, _ in true }
        for place in 0..<lanes.count { rewriteGained(lanes.row(place)) { _ in true } }
    }

    // MARK: Redirects

    /// A node does not own what it was sent, or not any more. The command's state is back in the table, or goes there.
    @inline(never)
    mutating func redirect(_ lane: Row<Lane>, _ reply: Row<ff_reply>, _ command: Batch.Command, _ batch: Row<Batch>, _ nowNs: UInt64) {
        counters.add(.redisRedirects)
        if case .hash(let index) = command { restoreHash(batch, index) }
        guard let cluster else { return }
        cluster.board.want()
        if case .aside = command {
            // What is rare waits until the slot has one owner.
            lane.value.asidesDueNs = nowNs + Limits.asidesAgainNs
        }
        let redirect = Redirect(error: reply.message, bytesKept: FF_REPLY_TEXT_MAX)
        guard let redirect, let node = redirect.nodeName, node != lane.value.node, var map = moved ?? route.map else {
            if case .aside = command { return }
            return pause(lane, nowNs)
        }
        switch redirect.kind {
        case .moved:
            if map.ownerName(redirect.slot) == node {
                // Sent before that was known; or each of them sends us to the other one until a key is back where it was.
                if batch.value.isAsking && !route.noteMove(redirect.slot, nowNs) { pause(lane, nowNs) }
                return
            }
            // Its nodes do not agree; a later map will.
            guard route.noteMove(redirect.slot, nowNs), map.move(redirect) else { return pause(lane, nowNs) }
            cluster.board.take(redirect)
            moved = map
        case .ask:
            guard let place = self.lane(for: node) else { return pause(lane, nowNs) }
            switch command {
            case .closed(let index):
                route.ask(series: table.closed[batch.value.closedPositions[index]].seriesID, lane: place)
            case .hash(let index):
                let id = batch.value.seriesIDs[batch.value.seriesRange(ofHash: index).lowerBound]
                route.ask(latest: Int(table.states[Int(id)].interval), lane: place)
            case .aside, .publish: break
            }
        }
    }

    private mutating func restoreHash(_ batch: Row<Batch>, _ index: Int) {
        for place in batch.value.seriesRange(ofHash: index) {
            table.restore(Int(batch.value.seriesIDs[place]), wasForming: batch.value.seriesWasForming[place])
            batch.value.seriesWasForming[place] = false
        }
    }

    // MARK: Writing

    /// Once a second. A classic message goes to all nodes, over the bus that has their heartbeats, too.
    @inline(never)
    mutating func noteMessageRate(_ nowNs: UInt64) {
        let spanNs = nowNs &- messages.sinceNs
        guard spanNs >= Limits.messageRateNs else { return }
        let rate = messages.count * 1_000_000_000 / Int(clamping: spanNs)
        messages = (0, nowNs)
        guard builder.updates == .classic, rate > Limits.classicMessagesPerSecond else { return }
        journal.note(
            .warning, "so many update messages load each node of the cluster; --updates sharded sends each to one node alone",
            key: "message-rate", ("per_second", "\(rate)"))
    }

    @inline(never)
    func hasWaiting(_ lane: Row<Lane>) -> Bool {
        !lane.value.asking.isEmpty || !lane.value.queue.closed.isEmpty || !lane.value.queue.updates.isEmpty || hashesAreDue(lane)
            || !lane.value.again.isEmpty || asidesWait(lane) && table.held.nowNs >= lane.value.asidesDueNs
    }

    /// Of any lane: whose they are is looked at when they are written, and seldom where none was this one's.
    private func asidesWait(_ lane: Row<Lane>) -> Bool {
        !removals.isEmpty || !lane.value.againLater.isEmpty || mergeIsDue(lane) || gapKeyIsDue(lane)
    }

    /// All that come within the pace go together: a system call for each frame and node would cost more than the frames.
    private func hashesAreDue(_ lane: Row<Lane>) -> Bool {
        let count = lane.value.queue.latest.count
        guard count > 0, !areHashesBarred(lane) else { return false }
        return count >= Limits.latestFieldsMax
            || lane.value.hashesInFlight == 0 && table.held.nowNs >= lane.value.hashesSentNs + Limits.latestPaceNs
    }

    /// When the pace lets something go.
    @inline(never)
    func paceDueNs(_ lane: Row<Lane>) -> UInt64 {
        var dueNs = UInt64.max
        if !lane.value.queue.latest.isEmpty && lane.value.hashesInFlight == 0 && !areHashesBarred(lane) {
            dueNs = lane.value.hashesSentNs + Limits.latestPaceNs
        }
        if asidesWait(lane) { dueNs = min(dueNs, lane.value.asidesDueNs) }
        return dueNs
    }

    @inline(never)
    mutating func append(from lane: Row<Lane>, into batch: Row<Batch>, _ nowNs: UInt64) -> Bool {
        if !lane.value.againLater.isEmpty && nowNs >= lane.value.asidesDueNs && lane.value.asidesInFlight == 0 {
            // What is another lane's now, that one has written.
            let later = lane.value.againLater.filter { isOf(lane, $0) }
            (lane.value.again, lane.value.againLater) = (later + lane.value.again, [])
            if !later.isEmpty { lane.value.isRewriting = true }
        }
        if !lane.value.again.isEmpty {
            // What Redis had acknowledged goes before what is new, so that a history grows in order.
            let isBuilt = builder.appendNothing(into: &batch.value)
            buildAsides(lane, &batch.value)
            return isBuilt
        }
        let asks = !lane.value.asking.isEmpty
        let isBuilt =
            asks
            ? builder.append(
                &table, from: &lane.value.asking, marks: route.marks, takesLatest: true, isAsking: true, into: &batch.value)
            : builder.append(
                &table, from: &lane.value.queue, marks: route.marks, takesLatest: hashesAreDue(lane), isAsking: false, into: &batch.value)
        messages.count &+= batch.value.publishCount
        if batch.value.hashCount > 0 {
            lane.value.hashesInFlight &+= 1
            lane.value.hashesSentNs = nowNs
            if asks { barHashes(lane, batch) }
        }
        if !asks && asidesWait(lane) && nowNs >= lane.value.asidesDueNs {
            buildAsides(lane, &batch.value)
            if batch.value.asides.isEmpty { lane.value.asidesDueNs = nowNs + Limits.asidesAgainNs }
        }
        return isBuilt
    }

    /// What the socket has not taken is put aside: the next lane builds into the same bytes.
    @inline(never)
    func keepRest(_ lane: Row<Lane>) {
        guard lane.value.unsentCount > 0 else {
            if !lane.value.rest.isEmpty { lane.value.rest = [] }
            return
        }
        guard lane.value.rest.isEmpty else { return }
        lane.value.restFrom = lane.value.unsentFrom
        lane.value.rest = builder.out.withBytes(from: lane.value.unsentFrom, length: lane.value.unsentCount) { bytes in
            var copy: [UInt8] = []
            copy.reserveCapacity(bytes.count)
            for index in bytes.indices { copy.append(bytes[index]) }
            return copy
        }
    }
}
