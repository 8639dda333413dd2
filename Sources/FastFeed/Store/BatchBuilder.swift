// Takes what is to be written out of the candle table and encodes it as one pipelined batch into one reusable
// buffer. Thread: the sink's. Allocates nothing after the series are known.

struct BatchBuilder: ~Copyable {
    private let schema: KeySchema
    private let batchSize: Int
    private let memory: PaddedBuffer
    private let scratchMemory: PaddedBuffer
    /// RESP bytes of the batch.
    private(set) var out: ByteWriter
    /// JSON of the newest states, rendered once and copied twice.
    private var scratch: ByteWriter
    /// By series id; all zero until the series is followed.
    private let texts: MappedArray<SeriesText>
    /// Series with a place in this batch, in order of first touch.
    private let touched: MappedArray<UInt32>
    private var touchedCount = 0
    private var followedMax = 0
    /// Dirty series of this batch, bucketed by interval: heads and links over `touched`' order.
    private let bucketLinks: MappedArray<UInt32>
    private var buckets: [UInt32]
    private let latestHeads: [[UInt8]]
    private let latestMarketHeads: Int

    init(schema: KeySchema, market: Market, batchSize: Int, seriesMax: Int = Limits.seriesCountMax) {
        self.schema = schema
        self.batchSize = batchSize
        let bytes = batchSize * Limits.candleRespBytesMax + 16_384
        memory = PaddedBuffer(count: bytes)
        scratchMemory = PaddedBuffer(count: batchSize * CandleEncoder.jsonBytesMax)
        out = ByteWriter(memory.base, capacity: bytes)
        scratch = ByteWriter(scratchMemory.base, capacity: batchSize * CandleEncoder.jsonBytesMax)
        texts = MappedArray(zeroed: seriesMax)
        touched = MappedArray(zeroed: 2 * batchSize)
        bucketLinks = MappedArray(zeroed: seriesMax)
        buckets = Array(repeating: .max, count: Interval.allCases.count)
        latestHeads = Interval.allCases.map { RESP.bulk("HSET") + RESP.bulk(schema.latestKey(market, $0)) }
        latestMarketHeads = latestHeads.count
    }

    deinit { for id in 0..<followedMax { texts.base[id].free() } }

    mutating func follow(_ series: Series, _ id: UInt32) {
        texts.base[Int(id)].free()
        texts.base[Int(id)] = SeriesText(series, schema)
        followedMax = max(followedMax, Int(id) + 1)
    }

    /// Builds the next batch. False when there is nothing to write.
    mutating func build(_ table: inout CandleTable, into batch: inout Batch) -> Bool {
        out.removeAll()
        scratch.removeAll()
        batch.clear()
        touchedCount = 0
        takeClosed(&table, &batch)
        takeNewest(&table, &batch)
        guard batch.closedCount + batch.seriesCount > 0 || touchedCount > 0 else { return false }
        writeHashes(&table, &batch)
        writeUpdates(&table, &batch)
        return true
    }

    // MARK: Closed candles

    /// Unsent closed candles in the order they came; each is one command, and is chained to its series for the
    /// update message.
    private mutating func takeClosed(_ table: inout CandleTable, _ batch: inout Batch) {
        var position = table.closed.sent
        while position < table.closed.tail && batch.closedCount < batchSize {
            let state = table.closed.state(position)
            if state != .acknowledged {
                let candle = table.closed.candle(position)
                writeClosed(candle, table, needsScript: state == .needsScript)
                batch.closedPositions.base[batch.closedCount] = position
                batch.closedReceivedNs.base[batch.closedCount] = candle.pointee.receivedNs
                batch.closedCount += 1
                chain(table.closed.offset(position), Int(candle.pointee.seriesID), &table)
            }
            position += 1
        }
        table.closed.sent = position
    }

    private mutating func writeClosed(_ candle: UnsafePointer<Candle>, _ table: borrowing CandleTable, needsScript: Bool) {
        let id = Int(candle.pointee.seriesID)
        if needsScript, let series = table.series(candle.pointee.seriesID) {
            let head = HistoryScript.head(key: schema.historyKey(series), history: schema.history, openTimeMs: candle.pointee.openTimeMs)
            head.withUnsafeBufferPointer { out.put($0) }
            CandleEncoder.putFields(candle, to: &out)
        } else {
            CandleEncoder.putAppend(candle, texts.base[id], to: &out)
        }
    }

    private mutating func chain(_ offset: UInt32, _ id: Int, _ table: inout CandleTable) {
        let state = table.states.base + id
        table.closed.setLink(offset, .max)
        if state.pointee.batchClosedFirst == .max {
            state.pointee.batchClosedFirst = offset
        } else {
            table.closed.setLink(state.pointee.batchClosedLast, offset)
        }
        state.pointee.batchClosedLast = offset
        state.pointee.batchClosedCount &+= 1
        touch(id, table)
    }

    @inline(__always)
    private mutating func touch(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.base + id
        guard !state.pointee.has(SeriesFlags.inBatch) else { return }
        state.pointee.flags |= SeriesFlags.inBatch
        state.pointee.batchJSONCount = 0
        touched.base[touchedCount] = UInt32(truncatingIfNeeded: id)
        touchedCount &+= 1
    }

    // MARK: Newest states

    /// Dirty series up to the batch's size: JSON rendered into the scratch, sorted into buckets by interval.
    private mutating func takeNewest(_ table: inout CandleTable, _ batch: inout Batch) {
        var room = batchSize &- batch.closedCount
        while room > 0, let id = table.popDirty() {
            let state = table.states.base + id
            guard state.pointee.has(SeriesFlags.known) else { continue }
            let from = scratch.count
            CandleEncoder.putJSON(UnsafePointer(table.newest.base + id), head: texts.base[id].json, to: &scratch)
            touch(id, table)
            state.pointee.batchJSON = UInt32(truncatingIfNeeded: from)
            state.pointee.batchJSONCount = UInt16(truncatingIfNeeded: scratch.count &- from)
            let interval = Int(state.pointee.interval)
            bucketLinks.base[id] = buckets[interval]
            buckets[interval] = UInt32(truncatingIfNeeded: id)
            room &-= 1
        }
    }

    /// One HSET per interval for all its series of this batch.
    private mutating func writeHashes(_ table: inout CandleTable, _ batch: inout Batch) {
        for interval in 0..<latestMarketHeads where buckets[interval] != .max {
            var count = 0
            var next = buckets[interval]
            while next != .max {
                count &+= 1
                next = bucketLinks.base[Int(next)]
            }
            out.put(UInt8(ascii: "*"))
            out.put(Int64(2 &+ 2 &* count))
            out.putLineEnd()
            latestHeads[interval].withUnsafeBufferPointer { out.put($0) }
            next = buckets[interval]
            while next != .max {
                let id = Int(next)
                next = bucketLinks.base[id]
                writeField(id, &table, &batch)
            }
            buckets[interval] = .max
            batch.endHash()
        }
    }

    @inline(__always)
    private mutating func writeField(_ id: Int, _ table: inout CandleTable, _ batch: inout Batch) {
        let state = table.states.base + id
        out.put(texts.base[id].field)
        let count = Int(state.pointee.batchJSONCount)
        out.putBulkHead(count)
        out.put(scratch.start + Int(state.pointee.batchJSON), count: count)
        out.putLineEnd()
        let place = batch.seriesCount
        batch.seriesIDs.base[place] = UInt32(truncatingIfNeeded: id)
        batch.seriesReceivedNs.base[place] = table.newest.base[id].receivedNs
        batch.seriesWasForming.base[place] = state.pointee.has(SeriesFlags.formingPending)
        state.pointee.flags &= ~SeriesFlags.formingPending
        batch.seriesCount = place &+ 1
    }

    // MARK: Updates

    /// One message per series: closed candles first, then the newest state unless it is the last of those.
    private mutating func writeUpdates(_ table: inout CandleTable, _ batch: inout Batch) {
        for index in 0..<touchedCount {
            let id = Int(touched.base[index])
            let state = table.states.base + id
            writeUpdate(id, table)
            state.pointee.flags &= ~SeriesFlags.inBatch
            state.pointee.updates = 0
            (state.pointee.batchClosedFirst, state.pointee.batchClosedLast, state.pointee.batchClosedCount) = (.max, .max, 0)
            batch.publishCount &+= 1
        }
    }

    @inline(__always)
    private mutating func writeUpdate(_ id: Int, _ table: borrowing CandleTable) {
        let state = table.states.base + id
        out.put(texts.base[id].publish)
        // The newest state is the last closed candle itself: listed once.
        let newestIsListed = state.pointee.batchClosedFirst != .max && isNewestLastClosed(id, table)
        let writesNewest = state.pointee.batchJSONCount > 0 && !newestIsListed
        // The length comes first in RESP, so the message is written behind a gap as wide as the widest head.
        let headPlace = out.count
        out.skip(ByteWriter.bulkHeadBytesMax)
        let from = out.count
        out.put(texts.base[id].json)
        out.put("\"rows\":")
        out.put(Int64(state.pointee.batchClosedCount) &+ (writesNewest ? 1 : 0))
        out.put(",\"updates\":")
        out.put(Int64(state.pointee.updates))
        out.put(",\"candles\":[")
        if state.pointee.batchClosedFirst != .max { writeClosedList(id, table) }
        if writesNewest {
            if state.pointee.batchClosedFirst != .max { out.put(UInt8(ascii: ",")) }
            out.put(scratch.start + Int(state.pointee.batchJSON), count: Int(state.pointee.batchJSONCount))
        }
        out.put("]}")
        out.closeBulk(headAt: headPlace, from: from)
    }

    private func isNewestLastClosed(_ id: Int, _ table: borrowing CandleTable) -> Bool {
        let last = table.closed.candle(offset: table.states.base[id].batchClosedLast)
        return table.states.base[id].has(SeriesFlags.newestClosed) && last.pointee.openTimeMs == table.states.base[id].openTimeMs
    }

    private mutating func writeClosedList(_ id: Int, _ table: borrowing CandleTable) {
        var offset = table.states.base[id].batchClosedFirst
        var isFirst = true
        while offset != .max {
            if !isFirst { out.put(UInt8(ascii: ",")) }
            isFirst = false
            CandleEncoder.putJSON(table.closed.candle(offset: offset), head: texts.base[id].json, to: &out)
            offset = table.closed.link(offset)
        }
    }
}

extension ByteWriter {
    /// `$` + 9 digits + line end.
    static let bulkHeadBytesMax = 12

    @inline(__always)
    mutating func skip(_ bytes: Int) { advance(bytes) }

    /// Writes the head of the bulk string that began at `from` into the gap before it, moves the body up to it,
    /// and ends the line.
    @inline(__always)
    mutating func closeBulk(headAt place: Int, from: Int) {
        let length = count &- from
        rewind(to: place)
        putBulkHead(length)
        move(from: from, length: length)
        putLineEnd()
    }
}
