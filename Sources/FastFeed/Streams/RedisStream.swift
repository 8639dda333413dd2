// One stream by its key. A value, any task.

/// A stream. Its calls throw `.notAStream` when the key holds something else, `.refused`, `.unavailable`, `.timeout`, `.disconnected`,
/// `.cancelled`, `.closed`; what else, each one says.
public struct RedisStream: Sendable {
    /// The whole key, as Redis has it.
    public let key: String
    let streams: RedisStreams

    var core: StreamCore { streams.core }

    init(key: String, streams: RedisStreams) { (self.key, self.streams) = (key, streams) }

    func command(_ name: String) -> StreamCommand {
        var command = StreamCommand(name, key: key)
        command.append(key)
        return command
    }

    /// What came is not an answer to what was asked: another kind of server.
    func strange(_ command: String) -> StreamError { .refused("the answer to \(command) is not one that Redis gives") }

    // MARK: Reading

    /// Entries between two ids, both included, oldest first. None when there is no such stream. Asked for in pages of 1,000.
    /// - Parameters:
    ///   - from: the first id.
    ///   - through: the last id.
    ///   - limit: at most so many.
    /// - Throws: `.badEntry` for one with a name or value of more than 8 MiB.
    public func range(
        from: StreamID = .min, through: StreamID = .max, limit: Int = 1_000
    ) async throws(StreamError) -> [StreamEntry] {
        try await collect(RangeWalk(self, from: from, through: through, isReversed: false), limit)
    }

    /// The newest entries, newest first.
    /// - Parameters:
    ///   - count: at most so many.
    ///   - through: up to this id.
    /// - Throws: as `range`.
    public func newest(_ count: Int = 1, through: StreamID = .max) async throws(StreamError) -> [StreamEntry] {
        try await collect(RangeWalk(self, from: .min, through: through, isReversed: true), count)
    }

    private func collect(_ walk: consuming RangeWalk, _ limit: Int) async throws(StreamError) -> [StreamEntry] {
        guard limit >= 0 else { throw .badArgument("a limit of \(limit) entries") }
        var entries: [StreamEntry] = []
        while entries.count < limit, let page = try await walk.next(limit - entries.count) {
            if entries.isEmpty { entries = page } else { entries += page }
        }
        return entries
    }

    /// Every entry between two ids, both included, oldest first, to the end that is there; page by page, while the next page is on its way.
    public func entries(from: StreamID = .min, through: StreamID = .max) -> StreamPages { StreamPages(self, from: from, through: through) }

    /// What comes, from a place on, without end. The place is resolved now: what is added from now on comes.
    public func follow(after place: StreamPosition = .end) -> StreamTail { streams.follow([key: place]) }

    // MARK: What is there

    /// Entries; 0 when there is no such stream.
    public func length() async throws(StreamError) -> Int {
        let reply = try await core.ask(command("XLEN"))
        guard let length = StreamReplies.count(reply) else { throw strange("XLEN") }
        return length
    }

    /// Nil when there is no such stream.
    public func info() async throws(StreamError) -> StreamInfo? {
        var (info, memory) = (StreamCommand("XINFO", "STREAM", key: key), StreamCommand("MEMORY", "USAGE", key: key))
        info.append(key)
        memory.append(key)
        let replies = try await core.ask(StreamBatch(info, memory)).root.children
        if let error = replies[0].error {
            let failure = StreamError(reply: error, key: key)
            if failure == .noSuchStream(key: key) { return nil }
            throw failure
        }
        guard let value = StreamReplies.info(replies[0], memory: replies[1], key: key) else { throw strange("XINFO STREAM") }
        return value
    }

    /// The stream's groups; none when there is no such stream.
    public func groups() async throws(StreamError) -> [GroupInfo] {
        var command = StreamCommand("XINFO", "GROUPS", key: key)
        command.append(key)
        do throws(StreamError) {
            guard let groups = StreamReplies.groups(try await core.ask(command)) else { throw strange("XINFO GROUPS") }
            return groups
        } catch {
            if error == .noSuchStream(key: key) { return [] }
            throw error
        }
    }

    /// A group by its name. Asks nothing; it need not be there.
    public func group(_ name: String) -> StreamGroup { StreamGroup(stream: self, name: name) }

    // MARK: Taking away

    /// Deletes entries, and says how many of them were there.
    @discardableResult
    public func delete(_ ids: [StreamID]) async throws(StreamError) -> Int { try await total("XDEL", ids) { command("XDEL") } }

    /// One command after the other for as many ids as there are, in one write; the sum of what they answer.
    func total(_ name: String, _ ids: [StreamID], _ begin: () -> StreamCommand) async throws(StreamError) -> Int {
        guard !ids.isEmpty else { return 0 }
        var (batch, group) = (StreamBatch(), "")
        for start in stride(from: 0, to: ids.count, by: Limits.streamIDsPerCommand) {
            var command = begin()
            group = command.group
            command.append(contentsOf: ids[start..<min(ids.count, start + Limits.streamIDsPerCommand)])
            batch.append(command)
        }
        var total = 0
        for reply in try await core.ask(batch).root.children {
            if let error = reply.error { throw StreamError(reply: error, key: key, group: group) }
            guard let count = StreamReplies.count(reply), count <= ids.count else { throw strange(name) }
            total += count
        }
        return total
    }

    /// Cuts off the oldest entries, and says how many went.
    /// - Parameters:
    ///   - keep: what remains. `.unacknowledged`: whatever some group has not read or not acknowledged; the smallest such id of all groups
    ///     is found, and what lies before it is cut off, at one moment.
    ///   - limit: at most so many go (0: however many); only where not exactly is cut. With `.unacknowledged`, a few more may remain then.
    /// - Throws: `.badArgument`.
    @discardableResult
    public func trim(_ keep: StreamKeep, limit: Int? = nil) async throws(StreamError) -> Int {
        if let limit, limit < 0 { throw .badArgument("a limit of \(limit) entries") }
        var trim: StreamCommand
        if keep == .unacknowledged {
            trim = StreamCommand("EVAL", StreamScripts.trimDone, "1", key, limit.map(String.init) ?? "", key: key)
        } else {
            let (isExact, words) = try keep.arguments(nowMs: WallClock.nowMs())
            if isExact && limit != nil { throw .badArgument("a limit is for what is not cut exactly") }
            trim = command("XTRIM")
            trim.append(contentsOf: words)
            if let limit { trim.append(contentsOf: ["LIMIT", String(limit)]) }
        }
        guard let count = StreamReplies.count(try await core.ask(trim)) else { throw strange("XTRIM") }
        return count
    }
}
