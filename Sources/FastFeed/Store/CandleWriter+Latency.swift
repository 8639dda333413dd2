// The ways of acknowledged states into the latency meter. Thread: the sink's.

extension CandleWriter {
    /// Since when the queue's head waits. (What is held for a hole, or apart for its key, is not counted here.)
    mutating func noteOldestPending(_ nowNs: UInt64) {
        if table.closed.count == 0 {
            oldest = (-1, 0)
        } else if table.closed.head != oldest.head {
            oldest = (table.closed.head, nowNs)
        }
        latency.noteOldestPending(oldest.sinceNs)
    }

    @inline(__always)
    func recordClosed(_ batch: Row<Batch>, _ index: Int, ackNs: UInt64) {
        let closeTimeMs = table.closed[batch.value.closedPositions[index]].closeTimeMs
        recordClosed(
            batch, batch.value.closedReceivedNs[index], batch.value.closedParsedAfterNs[index], closeTimeMs, ackNs: ackNs)
    }

    func recordMerged(_ batch: Row<Batch>, _ candle: LateCandle, ackNs: UInt64) {
        recordClosed(batch, candle.record.receivedNs, candle.parsedAfterNs, candle.record.closeTimeMs, ackNs: ackNs)
    }

    /// What the healer has brought was never received, and has no latency.
    @inline(__always)
    private func recordClosed(
        _ batch: Row<Batch>, _ receivedNs: UInt64, _ parsedAfterNs: UInt32, _ closeTimeMs: Int64, ackNs: UInt64
    ) {
        guard receivedNs != 0 else { return counters.add(.healedWritten) }
        let (takenNs, writtenNs) = (batch.value.takenNs, batch.value.writtenNs)
        latency.recordStates(receivedNs: receivedNs, parsedAfterNs: parsedAfterNs, takenNs: takenNs, ackNs: ackNs, count: 1)
        latency.recordBatch(takenNs: takenNs, writtenNs: writtenNs, ackNs: ackNs, count: 1)
        latency.noteClosed(ackNs: ackNs)
        // A bar ends with its last millisecond.
        latency.closedDelay.record(sinceNs(closeTimeMs &+ 1, ackNs))
    }

    /// From an instant of the exchange's clock (Unix ms) until one of ours.
    @inline(__always)
    func sinceNs(_ theirMs: Int64, _ nowNs: UInt64) -> UInt64 {
        UInt64(max(0, Int64(bitPattern: nowNs) &+ wallOffsetNs &- theirMs &* 1_000_000))
    }

    /// How many forming states the batch has written. Those that were read together mostly stand together, and cost one record.
    @inline(__always)
    func recordForming(_ batch: Row<Batch>, ackNs: UInt64) -> Int {
        let (takenNs, writtenNs) = (batch.value.takenNs, batch.value.writtenNs)
        var (place, written) = (0, 0)
        while place < batch.value.seriesCount {
            let (receivedNs, parsedAfterNs) = (
                batch.value.seriesReceivedNs[place], batch.value.seriesParsedAfterNs[place]
            )
            var together = 0
            while place < batch.value.seriesCount && batch.value.seriesReceivedNs[place] == receivedNs
                && batch.value.seriesParsedAfterNs[place] == parsedAfterNs
            {
                if batch.value.seriesWasForming[place] { together &+= 1 }
                place &+= 1
            }
            guard together > 0 else { continue }
            latency.recordStates(
                receivedNs: receivedNs, parsedAfterNs: parsedAfterNs, takenNs: takenNs, ackNs: ackNs, count: together)
            written &+= together
        }
        latency.recordBatch(takenNs: takenNs, writtenNs: writtenNs, ackNs: ackNs, count: written)
        return written
    }
}
