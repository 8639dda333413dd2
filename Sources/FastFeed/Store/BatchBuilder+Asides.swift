// What a batch holds besides the flow of candles: merges into histories, holes, removals. Rare, so it may allocate; the sink's thread.

extension BatchBuilder {
    /// The field of a stopped series in `latest:*`.
    package mutating func remove(_ series: Series, from batch: inout Batch) -> Bool {
        let command = RESP.command(["HDEL", schema.latestKey(series.market, series.interval), series.symbol.name])
        return put(command, .removal(series), in: &batch)
    }

    /// The holes of a series as they are.
    mutating func writeGaps(_ series: Series, _ gaps: [Gap], to batch: inout Batch) -> Bool {
        put(RESP.command(GapKeyScript.command(key: schema.gapsKey(series), gaps)), .gaps(series), in: &batch)
    }

    private mutating func put(_ command: [UInt8], _ aside: Batch.Aside, in batch: inout Batch) -> Bool {
        guard command.count <= asideRoom else { return false }
        asideRoom -= command.count
        out.put(command)
        batch.asides.append(aside)
        return true
    }

    /// Most candles of a run that there is room for.
    var mergeRoom: Int { min(Limits.mergeRunMax, (asideRoom - Limits.mergeHeadBytesMax) / Limits.candleRespBytesMax) }

    /// A run of late candles goes into its place, and is published. `mergeRoom` was looked at.
    /// - Parameter sha: the script as this server knows it; nil: its source is sent.
    package mutating func writeMerge(_ run: MergeQueue.Run, _ table: borrowing CandleTable, sha: String?, to batch: inout Batch) {
        let from = out.count
        switch run {
        case .removal(let series, let ids):
            writeMergeHead(series, sha, count: ids.count)
            for id in ids {
                out.put(RESP.bulk(id))
                for _ in CandleField.allCases { out.put("$0\r\n\r\n") }
            }
            batch.asides.append(.merge(run))
        case .candles(let candles):
            guard let first = candles.first, let series = table.series(first.record.seriesID) else { preconditionFailure("an empty run") }
            // Who writes the series now may have corrected a bar.
            writeMerged(candles.lazy.map(\.record), series, sha, isOnlyNew: table.isGivenAway(first.record.seriesID))
            batch.asides.append(.merge(run))
            if updates != .off {
                writeMergeUpdate(candles, Int(first.record.seriesID))
                batch.asides.append(.mergeUpdate)
            }
        }
        asideRoom -= out.count - from
    }

    /// A run that Redis had acknowledged goes there once more. Who listens has heard it. `mergeRoom` was looked at.
    package mutating func writeAgain(_ records: [CandleRecord], _ series: Series, sha: String?, to batch: inout Batch) {
        let from = out.count
        writeMerged(records, series, sha, isOnlyNew: false)
        batch.asides.append(.again(records))
        asideRoom -= out.count - from
    }

    /// A run of what another member of the group has written, or should have. `mergeRoom` was looked at.
    package mutating func writeTakeOver(_ records: [CandleRecord], _ series: Series, sha: String?, to batch: inout Batch) {
        let from = out.count
        writeMerged(records, series, sha, isOnlyNew: true)
        batch.asides.append(.takeOver(records))
        asideRoom -= out.count - from
    }

    private mutating func writeMerged(_ records: some Collection<CandleRecord>, _ series: Series, _ sha: String?, isOnlyNew: Bool) {
        writeMergeHead(series, sha, count: records.count, isOnlyNew: isOnlyNew)
        for record in records {
            lend(record) {
                out.putBulkHead(DigitWriter.digitCount($0.openTimeMs.magnitude) + 2)
                out.put($0.openTimeMs)
                out.put("-0\r\n")
                CandleEncoder.putValues($0, to: &out)
            }
        }
        if isOnlyNew { out.put(MergeScript.onlyNew) }
    }

    private mutating func writeMergeHead(_ series: Series, _ sha: String?, count: Int, isOnlyNew: Bool = false) {
        let head = MergeScript.head(series, schema, history: history, candles: count, isOnlyNew: isOnlyNew, sha: sha)
        out.put(head)
    }

    private mutating func writeMergeUpdate(_ candles: [LateCandle], _ id: Int) {
        out.put(texts[id].publish)
        let headPlace = out.count
        out.advance(ByteWriter.bulkHeadBytesMax)
        let from = out.count
        out.put(texts[id].json)
        out.put("\"rows\":")
        out.put(Int64(candles.count))
        out.put(",\"updates\":")
        out.put(Int64(candles.count { $0.record.receivedNs != 0 }))
        out.put(",\"candles\":[")
        for (place, candle) in candles.enumerated() {
            if place > 0 { out.put(UInt8(ascii: ",")) }
            lend(candle.record) { CandleEncoder.putJSON($0, head: texts[id].json, to: &out) }
        }
        out.put("]}")
        out.closeBulk(headAt: headPlace, from: from)
    }
}

/// Rewrites the hash of a series' holes in one step, so that nobody sees half of it.
package enum GapKeyScript {
    package static let source = """
        redis.call('DEL', KEYS[1])
        if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
        return 1
        """

    /// The newest holes, `Limits.gapFieldsMax` of them at most.
    static func command(key: String, _ gaps: [Gap]) -> [String] {
        ["EVAL", source, "1", key] + gaps.suffix(Limits.gapFieldsMax).flatMap { [GapRow.name($0), GapRow.text($0)] }
    }
}
