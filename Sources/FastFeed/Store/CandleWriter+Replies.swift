// The sink's other half: what Redis answers, command by command, and what follows from it. The sink's thread alone.

import CShims

extension CandleWriter {
    mutating func readReplies(_ nowNs: UInt64, _ port: PollerPort) {
        let ackNs = port.poller.nowNs
        var mayHaveMore = true
        while mayHaveMore {
            switch link.fill() {
            case .empty: mayHaveMore = false
            case .ended(let reason): return lose(reason, nowNs, peerIsGone: true)
            case .lost(let reason): return lose(reason, nowNs)
            case .filled(let more):
                mayHaveMore = more
                if let reason = settleAll(ackNs) { return lose(reason, nowNs) }
            }
        }
        if batchCount == 0 && pausedUntilNs == 0 { retryBackoff.succeeded() }
    }

    /// Settles every reply that has been read. A reason to reconnect, if there is one.
    private mutating func settleAll(_ nowNs: UInt64) -> String? {
        while true {
            guard let count = link.takeReplies() else { return link.protocolError }
            counters.add(.repliesReceived, count)
            for index in 0..<count {
                if let reason = unsafe settle(link.replies + index, nowNs) { return reason }
            }
            // Not before there is none: behind the last one may be a protocol error.
            if count == 0 { return nil }
        }
    }

    /// One reply, for the oldest unanswered command. A reason to reconnect, if it is one.
    private mutating func settle(_ reply: UnsafeMutablePointer<ff_reply>, _ nowNs: UInt64) -> String? {
        guard batchCount > 0 else { return "a reply that nobody asked for" }
        let batch = unsafe batches.base + firstBatch
        let command = unsafe batch.pointee.command(batch.pointee.answered)
        unsafe batch.pointee.answered &+= 1
        var verdict = ReplyVerdict.done
        if unsafe reply.pointee.isError { verdict = unsafe judge(reply, command) }
        if case .closed(let index) = command {
            unsafe settleClosed(batch, index, verdict, nowNs)
        }
        if case .hash(let index) = command, verdict == .never { unsafe refuseHash(batch, index) }
        if command == .publish && verdict != .done { counters.add(.updatesRefused) }
        switch verdict {
        case .later where command == .publish: break
        case .later:
            unsafe batch.pointee.mustRetry = true
            isRefusing = true
            if pausedUntilNs == 0 { pausedUntilNs = nowNs + retryBackoff.nextDelayNs() }
        case .reconnect: return unsafe "Redis says: \(reply.pointee.message)"
        case .done, .notNewest, .never: break
        }
        if unsafe batch.pointee.isAnswered { unsafe finish(batch, nowNs) }
        return nil
    }

    @inline(never)
    private func judge(_ reply: UnsafeMutablePointer<ff_reply>, _ command: Batch.Command) -> ReplyVerdict {
        let message = unsafe reply.pointee.message
        let verdict = ReplyVerdict(error: message)
        if command == .publish {
            journal.note(.warning, "Redis refuses to publish updates", key: "redis-publish", ("reply", message))
            return verdict
        }
        switch verdict {
        case .later:
            counters.add(.redisErrorsRetried)
            journal.note(.warning, "Redis refuses for now; trying again", key: "redis-later:\(message.prefix(12))", ("reply", message))
        case .never:
            journal.note(.error, "Redis refuses a write", key: "redis-never:\(message.prefix(12))", ("reply", message))
        default: break
        }
        return verdict
    }

    private mutating func settleClosed(_ batch: UnsafeMutablePointer<Batch>, _ index: Int, _ verdict: ReplyVerdict, _ nowNs: UInt64) {
        let position = unsafe batch.pointee.closedPositions.base[index]
        guard position >= table.closed.head, table.closed.state(position) != .acknowledged else { return }
        switch verdict {
        case .done:
            if table.closed.state(position) == .scriptSent { counters.add(.historyScripts) }
            table.closed.mark(position, .acknowledged)
            counters.add(.closedWritten)
            counters.add(.candlesWritten)
            unsafe recordClosed(batch, index, ackNs: nowNs)
        case .notNewest: table.closed.mark(position, .needsScript)
        case .later, .reconnect: table.closed.unsend(position)
        case .never:
            table.closed.mark(position, .acknowledged)
            counters.add(.redisRejected)
            counters.add(.closedRejected)
            unsafe table.noteLost(table.closed.candle(position).pointee, .refused)
        }
    }

    private mutating func refuseHash(_ batch: UnsafeMutablePointer<Batch>, _ index: Int) {
        for place in unsafe batch.pointee.seriesRange(ofHash: index) where unsafe batch.pointee.seriesWasForming.base[place] {
            unsafe batch.pointee.seriesWasForming.base[place] = false
            counters.add(.redisRejected)
        }
    }

    /// All replies of the oldest batch are in.
    private mutating func finish(_ batch: UnsafeMutablePointer<Batch>, _ nowNs: UInt64) {
        if unsafe batch.pointee.mustRetry {
            unsafe restore(batch)
        } else {
            isRefusing = false
            let written = unsafe recordForming(batch, ackNs: nowNs)
            counters.add(.candlesWritten, written)
        }
        table.closed.advance()
        unsafe candlesInFlight &-= batch.pointee.candleCount
        firstBatch = (firstBatch &+ 1) % batches.count
        batchCount &-= 1
        endedCount &+= 1
    }

    mutating func restore(_ batch: UnsafeMutablePointer<Batch>) {
        for place in unsafe 0..<batch.pointee.seriesCount {
            unsafe table.restore(Int(batch.pointee.seriesIDs.base[place]), wasForming: batch.pointee.seriesWasForming.base[place])
        }
        unsafe removals.append(contentsOf: batch.pointee.removals)
    }
}
