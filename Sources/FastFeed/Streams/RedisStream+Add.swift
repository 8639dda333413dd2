// Adding to a stream: one entry, or many in a pipeline. Any task.

extension RedisStream {
    /// Adds an entry at the end and answers its id. It waits while 8 MiB are unsent.
    ///
    /// When the connection is lost in the middle it throws `.disconnected`: the entry may be in. With an `id` of one's own the call can be
    /// repeated: the same id with the same fields, already there, is success. Of two writers that add the same fields under the same id
    /// both are told that: where that matters, a field says who.
    /// - Parameters:
    ///   - fields: at least one.
    ///   - id: larger than all ids of the stream, and than `0-0`; nil: the server's clock.
    ///   - keep: what remains of the stream.
    ///   - onlyIfExists: the stream is not made.
    /// - Throws: `.badArgument`, `.idNotNewer`, `.noSuchStream` (with `onlyIfExists`).
    @discardableResult
    public func add(
        _ fields: StreamFields, id: StreamID? = nil, keep: StreamKeep? = nil, onlyIfExists: Bool = false
    ) async throws(StreamError) -> StreamID {
        try RedisStream.check(fields)
        if id == .min { throw .badArgument("0-0 is not an entry's id: 0-1 is the smallest one") }
        var command = try addHead(keep, onlyIfExists: onlyIfExists)
        if let id { command.append(id) } else { command.append("*") }
        command.append(fields)
        let reply: ReplyNode
        do throws(StreamError) {
            reply = try await core.ask(command, id: id)
        } catch {
            if let id, error == .idNotNewer(id), await isThere(id, fields) { return id }
            throw error
        }
        if reply.isNull, onlyIfExists { throw .noSuchStream(key: key) }
        guard let given = StreamReplies.id(reply) else { throw strange("XADD") }
        return given
    }

    private func isThere(_ id: StreamID, _ fields: StreamFields) async -> Bool {
        guard let found = try? await range(from: id, through: id, limit: 1).first else { return false }
        return found.fields == fields
    }

    /// Adds entries in this order, pipelined, and answers their ids in the same order. Others may add in between.
    ///
    /// An entry that Redis refuses does not stop the others. When the connection is lost, `timeout` passes or too many calls are under way,
    /// what was sent is waited for, and nothing is sent behind what has failed. A task that is cancelled waits for nothing: what was sent may
    /// be in.
    /// - Throws: `.partly` when some ids are known and some are not; when none is, the first failure. With a first failure of
    ///   `.disconnected`, `.timeout` or `.cancelled` an entry without an id may be in.
    @discardableResult
    public func add(contentsOf batch: [StreamFields], keep: StreamKeep? = nil) async throws(StreamError) -> [StreamID] {
        for fields in batch { try RedisStream.check(fields) }
        var head = try addHead(keep, onlyIfExists: false)
        head.append("*")
        var (ids, failure) = ([StreamID?](), StreamError?.none)
        ids.reserveCapacity(batch.count)
        var (tickets, next) = (PipelineQueue<StreamTicket>(), 0)
        let order = StreamOrder()
        while next < batch.count || !tickets.isEmpty {
            if next < batch.count, tickets.count < Limits.streamAddBatchesMax {
                tickets.append(core.submit(RedisStream.chunk(of: batch, from: &next, head), order))
                if order.isBroken() { next = batch.count }
                continue
            }
            let ticket = tickets.removeFirst()
            switch await ticket.wait() {
            case .success(let replies): take(replies, &ids, &failure)
            case .failure(let error):
                ids += repeatElement(nil, count: ticket.batch.count)
                if failure == nil { failure = error }
                next = batch.count
            }
        }
        guard let failure else { return ids.compactMap(\.self) }
        guard ids.contains(where: { $0 != nil }) else { throw failure }
        throw .partly(ids: ids + repeatElement(nil, count: batch.count - ids.count), first: failure)
    }

    /// The answers to some XADDs.
    private func take(_ replies: ReplyBlock, _ ids: inout [StreamID?], _ failure: inout StreamError?) {
        var place = 1
        for _ in 0..<replies[0].length {
            let part = replies[place]
            if part.kind == .string, let id = unsafe replies.withBytes(part, { unsafe StreamID($0) }) {
                ids.append(id)
            } else {
                let text = ReplyNode(replies, place).error
                if failure == nil { failure = text.map { StreamError(reply: $0, key: key) } ?? strange("XADD") }
                ids.append(nil)
            }
            place = replies.following(place)
        }
    }

    /// The next entries as one write.
    private static func chunk(of batch: [StreamFields], from next: inout Int, _ head: StreamCommand) -> StreamBatch {
        var chunk = StreamBatch()
        let left = min(batch.count - next, Limits.streamAddsPerBatch)
        chunk.reserve(min(Limits.streamAddBatchBytes, left * (head.arguments.count + batch[next].byteCount + 32)))
        repeat {
            chunk.append(head, batch[next])
            next += 1
        } while next < batch.count && chunk.count < Limits.streamAddsPerBatch && chunk.bytes.count < Limits.streamAddBatchBytes
        return chunk
    }

    private static func check(_ fields: StreamFields) throws(StreamError) {
        if fields.isTooLong { throw .badArgument("an entry of more than 128 MiB; \(Limits.streamReplyBytesMax) bytes are the most") }
        if fields.isEmpty { throw .badArgument("an entry needs at least one field") }
        if fields.byteCount > Limits.streamReplyBytesMax {
            throw .badArgument("an entry of \(fields.byteCount) bytes; \(Limits.streamReplyBytesMax) are the most")
        }
    }

    /// XADD up to the id.
    private func addHead(_ keep: StreamKeep?, onlyIfExists: Bool) throws(StreamError) -> StreamCommand {
        var head = command("XADD")
        if onlyIfExists { head.append("NOMKSTREAM") }
        if let keep { head.append(contentsOf: try keep.arguments(nowMs: WallClock.nowMs()).words) }
        return head
    }
}
