// Takes what is to be written out of the candle table and encodes it as one pipelined batch into one reusable
// buffer. Thread: the sink's. Allocates nothing after the series are known, asides left out.
//
// Bounds: `batchSize` states, `Limits.candleRespBytesMax` bytes for each of them, `Limits.asideBytesMax` for all asides. The buffer is as
// large as these together, so nothing is checked while it is written. A series has one place in a batch (`SeriesFlags.inBatch`).

@safe package struct BatchBuilder: ~Copyable {
    let schema: KeySchema
    /// About so many entries of a series are kept (MAXLEN ~).
    let history: Int
    /// Looked at once a batch.
    let updates: UpdateMode
    let batchSize: Int
    /// States that still fit into `out`.
    var room: Int
    /// Bytes that asides may still have in `out`.
    var asideRoom = Limits.asideBytesMax
    let memory: PaddedBuffer
    /// RESP bytes of the batch.
    package internal(set) var out: ByteWriter
    /// By series id; all zero until the series is followed.
    let texts: MappedArray<SeriesText>
    /// Series with a place in this batch, in order of first touch.
    let touched: MappedArray<UInt32>
    var touchedCount = 0
    private var followedMax = 0
    /// Dirty series of this batch, bucketed by interval: heads and links over `touched`' order.
    let bucketLinks: MappedArray<UInt32>
    var buckets: [UInt32]
    private let latestHeads: [[UInt8]]

    /// - Parameter batchCountMax: the most batches between two `begin`.
    package init(
        schema: KeySchema, history: Int, updates: UpdateMode = .classic, market: Market, batchSize: Int, batchCountMax: Int = 1,
        seriesMax: Int = Limits.seriesCountMax
    ) {
        (self.schema, self.history, self.updates, self.batchSize) = (schema, history, updates, batchSize)
        room = batchSize
        let bytes =
            batchSize * Limits.candleRespBytesMax + batchCountMax * 16_384 + Limits.asideBytesMax
        precondition(CandleEncoder.jsonBytesMax <= 999, "its length is written with three digits")
        memory = PaddedBuffer(count: bytes)
        out = unsafe ByteWriter(memory.base)
        texts = MappedArray(zeroed: seriesMax)
        touched = MappedArray(zeroed: 2 * batchSize)
        bucketLinks = MappedArray(zeroed: seriesMax)
        buckets = Array(repeating: .max, count: Interval.allCases.count)
        latestHeads = Interval.allCases.map { RESP.bulk("HSET") + RESP.bulk(schema.latestKey(market, $0)) }
    }

    deinit { for id in 0..<followedMax { texts[id].free() } }

    package mutating func follow(_ series: Series, _ id: UInt32) {
        texts[Int(id)].free()
        texts[Int(id)] = SeriesText(series, schema, history: history, updates: updates)
        followedMax = max(followedMax, Int(id) + 1)
    }

    /// Kline events of a series that update messages have stood for.
    func updateCount(_ id: UInt32) -> UInt64 { texts[Int(id)].updateCount }

    /// Builds the next batch alone. False when there is nothing to write.
    package mutating func build(_ table: inout CandleTable, into batch: inout Batch) -> Bool {
        begin()
        return append(&table, into: &batch)
    }

    /// What was built is forgotten.
    /// - Parameter most: of states, until the next time.
    package mutating func begin(most: Int = .max) {
        out.removeAll()
        room = min(batchSize, most)
        asideRoom = Limits.asideBytesMax
    }

    /// Builds the next batch behind those since `begin`, of as many states as there is room for. False when there is nothing
    /// to write.
    mutating func append(_ table: inout CandleTable, into batch: inout Batch) -> Bool {
        batch.clear()
        touchedCount = 0
        takeClosed(&table, &batch)
        let newestCount = takeNewest(&table, &batch)
        guard batch.closedCount + newestCount > 0 else { return false }
        writeHashes(&table, &batch)
        if updates != .off { writeUpdates(&table, &batch) } else { passOver(table) }
        room &-= batch.closedCount &+ batch.seriesCount
        return true
    }

    /// A batch of nothing but asides.
    @inline(never)
    func appendNothing(into batch: inout Batch) -> Bool {
        batch.clear()
        return false
    }

    // MARK: Closed candles

    /// Unsent closed candles in the order they came; each is one command, and is chained to its series for the
    /// update message. They come before all newest states: none may overtake a closed candle of its series.
    private mutating func takeClosed(_ table: inout CandleTable, _ batch: inout Batch) {
        var position = table.closed.sent
        while position < table.closed.tail && batch.closedCount < room {
            let state = table.closed.state(position)
            if state == .pending { putClosed(position, &table, &batch) }
            position += 1
        }
        table.closed.sent = position
    }

    @inline(__always)
    mutating func putClosed(_ position: Int, _ table: inout CandleTable, _ batch: inout Batch) {
        let id = Int(table.closed[position].seriesID)
        CandleEncoder.putAppend(table.closed.lent(position), texts[id], to: &out)
        batch.closedPositions[batch.closedCount] = position
        batch.closedReceivedNs[batch.closedCount] = table.closed[position].receivedNs
        batch.closedParsedAfterNs[batch.closedCount] = table.closed.parsedAfterNs(position)
        batch.closedCount += 1
        table.closed.mark(position, .sent)
        chain(table.closed.offset(position), id, &table)
    }

    private mutating func chain(_ offset: UInt32, _ id: Int, _ table: inout CandleTable) {
        let state = table.states.row(id)
        table.closed.setLink(offset, .max)
        if state.batchClosedFirst == .max {
            state.batchClosedFirst = offset
        } else {
            table.closed.setLink(state.batchClosedLast, offset)
        }
        state.batchClosedLast = offset
        state.batchClosedCount &+= 1
        touch(id, table)
        let isNewest = table.closed.lent(offset: offset).openTimeMs == state.openTimeMs
        if isNewest && state.flags.contains(.newestClosed) { state.flags.insert(.newestIsChained) }
    }

    @inline(__always)
    mutating func touch(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.row(id)
        guard !state.flags.contains(.inBatch) else { return }
        state.flags.insert(.inBatch)
        state.batchJSONCount = 0
        touched[touchedCount] = UInt32(truncatingIfNeeded: id)
        touchedCount &+= 1
    }

    // MARK: Newest states

    /// Dirty series up to the batch's size, sorted into buckets by interval. How many.
    private mutating func takeNewest(_ table: inout CandleTable, _ batch: inout Batch) -> Int {
        let most = room &- batch.closedCount
        var room = most
        while room > 0, let id = table.popDirty() {
            let state = table.states.row(id)
            guard state.flags.contains(.known) else { continue }
            touch(id, table)
            putInBucket(id, Int(state.interval))
            room &-= 1
        }
        return most &- room
    }

    @inline(__always)
    mutating func putInBucket(_ id: Int, _ interval: Int) {
        bucketLinks[id] = buckets[interval]
        buckets[interval] = UInt32(truncatingIfNeeded: id)
    }

    /// One HSET per interval for all its series of this batch.
    mutating func writeHashes(_ table: inout CandleTable, _ batch: inout Batch) {
        for interval in latestHeads.indices where buckets[interval] != .max {
            var count = 0
            var next = buckets[interval]
            while next != .max {
                count &+= 1
                next = bucketLinks[Int(next)]
            }
            if batch.isAsking { putAsking() }
            out.put(UInt8(ascii: "*"))
            out.put(Int64(2 &+ 2 &* count))
            out.putLineEnd()
            out.put(latestHeads[interval])
            next = buckets[interval]
            while next != .max {
                let id = Int(next)
                next = bucketLinks[id]
                writeField(id, &table, &batch)
            }
            buckets[interval] = .max
            batch.endHash()
        }
    }

    @inline(__always)
    private mutating func writeField(_ id: Int, _ table: inout CandleTable, _ batch: inout Batch) {
        let state = table.states.row(id)
        out.put(texts[id].field)
        // Rendered in its place: the update message copies it from here.
        let headPlace = out.count
        out.advance(ByteWriter.jsonHeadBytes)
        let from = out.count
        CandleEncoder.putJSON(table.newest.lent(id), head: texts[id].json, to: &out)
        let count = out.count &- from
        out.putJSONHead(count, at: headPlace)
        out.putLineEnd()
        state.batchJSON = UInt32(truncatingIfNeeded: from)
        state.batchJSONCount = UInt16(truncatingIfNeeded: count)
        let place = batch.seriesCount
        batch.seriesIDs[place] = UInt32(truncatingIfNeeded: id)
        batch.seriesReceivedNs[place] = table.newest[id].receivedNs
        batch.seriesParsedAfterNs[place] = state.parsedAfterNs
        batch.seriesWasForming[place] = state.flags.contains(.formingPending)
        state.flags.remove(.formingPending)
        batch.seriesCount = place &+ 1
    }

    // MARK: Updates

    /// One message per series: closed candles first, then the newest state unless it is the last of those.
    private mutating func writeUpdates(_ table: inout CandleTable, _ batch: inout Batch) {
        for index in 0..<touchedCount {
            let id = Int(touched[index])
            writeUpdate(id, table)
            endUpdate(id, table, &batch)
        }
    }

    @inline(__always)
    mutating func endUpdate(_ id: Int, _ table: borrowing CandleTable, _ batch: inout Batch) {
        countUpdates(id, table)
        leave(id, table)
        batch.publishCount &+= 1
    }

    @inline(__always)
    private func countUpdates(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.row(id)
        texts[id].updateCount &+= UInt64(state.updates)
        state.updates = 0
    }

    /// What the batch knew of the series is forgotten.
    @inline(__always)
    private func leave(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.row(id)
        state.flags.subtract([.inBatch, .newestIsChained])
        (state.batchClosedFirst, state.batchClosedLast, state.batchClosedCount) = (.max, .max, 0)
    }

    /// The batch has no messages.
    /// - Parameter counts: what has come of a series is counted here. False: another message tells of it.
    @inline(never)
    func passOver(_ table: borrowing CandleTable, counts: Bool = true) {
        for index in 0..<touchedCount {
            let id = Int(touched[index])
            if counts { countUpdates(id, table) }
            leave(id, table)
        }
    }

    @inline(__always)
    mutating func writeUpdate(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.row(id)
        out.put(texts[id].publish)
        // A newest state that is one of the closed candles is listed once.
        let writesNewest = state.batchJSONCount > 0 && !state.flags.contains(.newestIsChained)
        let newestCount = writesNewest ? Int(state.batchJSONCount) : 0
        let newest = Int(state.batchJSON)
        guard state.batchClosedFirst != .max else {
            // The common case: one candle, so the length is known before, as RESP wants it.
            let head = texts[id].json
            let updates = Int64(state.updates)
            let words: StaticString = "\"rows\":1,\"updates\":"
            let opening: StaticString = ",\"candles\":["
            let digits = DigitWriter.digitCount(updates.magnitude)
            out.putBulkHead(head.count &+ words.utf8CodeUnitCount &+ digits &+ opening.utf8CodeUnitCount &+ newestCount &+ 2)
            out.put(head)
            out.put(words)
            out.put(updates)
            out.put(opening)
            out.putAgain(from: newest, length: newestCount)
            out.put("]}\r\n")
            return
        }
        // With closed candles it is not: the message is written behind a gap as wide as the widest head.
        let headPlace = out.count
        out.advance(ByteWriter.bulkHeadBytesMax)
        let from = out.count
        out.put(texts[id].json)
        out.put("\"rows\":")
        out.put(Int64(state.batchClosedCount) &+ (writesNewest ? 1 : 0))
        out.put(",\"updates\":")
        out.put(Int64(state.updates))
        out.put(",\"candles\":[")
        writeClosedList(id, table)
        if writesNewest {
            out.put(UInt8(ascii: ","))
            out.putAgain(from: newest, length: newestCount)
        }
        out.put("]}")
        out.closeBulk(headAt: headPlace, from: from)
    }

    mutating func writeClosedList(_ id: Int, _ table: borrowing CandleTable) {
        var offset = table.states[id].batchClosedFirst
        var isFirst = true
        while offset != .max {
            if !isFirst { out.put(UInt8(ascii: ",")) }
            isFirst = false
            CandleEncoder.putJSON(table.closed.lent(offset: offset), head: texts[id].json, to: &out)
            offset = table.closed.link(offset)
        }
    }
}

extension ByteWriter {
    /// `$`, three digits, line end: no candle's JSON has fewer than 100 bytes or more than 999.
    static let jsonHeadBytes = 6

    @inline(__always)
    mutating func putJSONHead(_ length: Int, at place: Int) {
        let (hundreds, rest) = UInt32(truncatingIfNeeded: length).quotientAndRemainder(dividingBy: 100)
        let (tens, ones) = rest.quotientAndRemainder(dividingBy: 10)
        store((hundreds &<< 8 | tens &<< 16 | ones &<< 24 | 0x3030_3024).littleEndian, at: place)
        store(UInt16(0x0A0D).littleEndian, at: place &+ 4)
    }

    /// `$` + 9 digits + line end.
    static let bulkHeadBytesMax = 12

    /// Writes the head of the bulk string that began at `from` into the gap before it, moves the body up to it,
    /// and ends the line.
    @inline(__always)
    mutating func closeBulk(headAt place: Int, from: Int) {
        let length = count &- from
        rewind(to: place)
        putBulkHead(length)
        putAgain(from: from, length: length)
        putLineEnd()
    }
}
