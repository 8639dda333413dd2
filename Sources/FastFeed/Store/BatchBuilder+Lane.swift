// A batch for one node of a cluster: what of a series is that node's, its history and messages or its newest state. The sink's thread
// alone. A newest state goes to `latest:*` at one node and, in a message, to another: it is rendered for each of them.

extension BatchBuilder {
    /// Builds the next batch of what waits there. False when there is nothing to write.
    /// - Parameters:
    ///   - takesLatest: newest states, too.
    ///   - isAsking: each command is sent behind ASKING.
    mutating func append(
        _ table: inout CandleTable, from queue: inout LaneQueue, marks: borrowing MappedArray<UInt8>, takesLatest: Bool, isAsking: Bool,
        into batch: inout Batch
    ) -> Bool {
        batch.clear()
        batch.isAsking = isAsking
        touchedCount = 0
        takeClosed(&queue, &table, &batch)
        var left = room &- batch.closedCount
        if takesLatest { takeLatest(&queue, table, marks, &left) }
        takeUpdates(&queue, table, marks, &left)
        guard left < room else { return false }
        writeHashes(&table, &batch)
        switch updates {
        case .off: passOver(table)
        // The owner of a slot that is half moved serves its channels to the end (`LaneRoute.messageLane`): here nobody would hear them.
        case .sharded where isAsking: passOver(table, counts: false)
        case .classic, .sharded: writeMessages(table, &batch)
        }
        room = left
        return batch.commandCount > 0
    }

    private mutating func writeMessages(_ table: borrowing CandleTable, _ batch: inout Batch) {
        for index in 0..<touchedCount {
            let id = Int(touched[index])
            if batch.isAsking { putAsking() }
            writeMessage(id, table)
            endUpdate(id, table, &batch)
        }
    }

    @inline(never)
    mutating func putAsking() { out.put("*1\r\n$6\r\nASKING\r\n") }

    private mutating func takeClosed(_ queue: inout LaneQueue, _ table: inout CandleTable, _ batch: inout Batch) {
        while batch.closedCount < room, let position = queue.popClosed() {
            // Given up, or another member's meanwhile.
            guard position >= table.closed.head, table.closed.state(position) == .assigned else { continue }
            if batch.isAsking { putAsking() }
            putClosed(position, &table, &batch)
        }
    }

    private mutating func takeLatest(
        _ queue: inout LaneQueue, _ table: borrowing CandleTable, _ marks: borrowing MappedArray<UInt8>, _ left: inout Int
    ) {
        while left > 0, let id = queue.latest.popFirst() {
            let place = Int(id)
            marks[place] &= ~LaneRoute.latestWaits
            guard table.isWritable(place) else { continue }
            putInBucket(place, Int(table.states[place].interval))
            left &-= 1
        }
    }

    /// Who is in the batch by a closed candle has the newest state in the same message, if that waits, too.
    private mutating func takeUpdates(
        _ queue: inout LaneQueue, _ table: borrowing CandleTable, _ marks: borrowing MappedArray<UInt8>, _ left: inout Int
    ) {
        while left > 0, let id = queue.updates.popFirst() {
            let place = Int(id)
            marks[place] &= ~LaneRoute.updateWaits
            guard table.isWritable(place) else { continue }
            touch(place, table)
            table.states.row(place).batchJSONCount = BatchBuilder.unrendered
            left &-= 1
        }
    }

    /// The newest state goes into the message and stands nowhere yet. (No candle's JSON is so short.)
    private static let unrendered: UInt16 = 1

    /// As `writeUpdate`, which finds the newest state rendered.
    private mutating func writeMessage(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.row(id)
        guard state.batchJSONCount == BatchBuilder.unrendered, !state.flags.contains(.newestIsChained) else {
            return writeUpdate(id, table)
        }
        out.put(texts[id].publish)
        let headPlace = out.count
        out.advance(ByteWriter.bulkHeadBytesMax)
        let from = out.count
        out.put(texts[id].json)
        out.put("\"rows\":")
        out.put(Int64(state.batchClosedCount) &+ 1)
        out.put(",\"updates\":")
        out.put(Int64(state.updates))
        out.put(",\"candles\":[")
        writeClosedList(id, table)
        if state.batchClosedCount > 0 { out.put(UInt8(ascii: ",")) }
        CandleEncoder.putJSON(table.newest.lent(id), head: texts[id].json, to: &out)
        out.put("]}")
        out.closeBulk(headAt: headPlace, from: from)
    }
}
