// One group of a stream by its name. A value, any task.

/// A group: its place in the stream, and what its consumers have not acknowledged. Its calls throw as `RedisStream`'s do; and
/// `.noSuchGroup` when the stream or the group is not there, unless they say otherwise.
public struct StreamGroup: Sendable {
    /// The stream whose group it is.
    public let stream: RedisStream
    /// The group's name, as Redis has it.
    public let name: String

    var core: StreamCore { stream.core }

    func command(_ words: String...) -> StreamCommand {
        var command = StreamCommand(key: stream.key, group: name)
        command.append(contentsOf: words)
        command.append(stream.key)
        command.append(name)
        return command
    }

    // MARK: The group

    /// Makes the group.
    /// - Parameters:
    ///   - place: behind which its consumers begin.
    ///   - makingStream: an empty stream is made where there is none.
    /// - Returns: false: it was there, and stays where it is.
    /// - Throws: `.noSuchStream` where the stream is not made.
    @discardableResult
    public func create(from place: StreamPosition = .start, makingStream: Bool = true) async throws(StreamError) -> Bool {
        var create = command("XGROUP", "CREATE")
        create.append(place.word)
        if makingStream { create.append("MKSTREAM") }
        do throws(StreamError) {
            _ = try await core.ask(create)
            return true
        } catch {
            if case .refused(let words) = error, words.hasPrefix("BUSYGROUP") { return false }
            throw error
        }
    }

    /// Ends the group with its place and all that is pending.
    /// - Returns: false: there was no such group, or no such stream.
    @discardableResult
    public func destroy() async throws(StreamError) -> Bool {
        do throws(StreamError) {
            guard let count = StreamReplies.count(try await core.ask(command("XGROUP", "DESTROY"))) else {
                throw stream.strange("XGROUP DESTROY")
            }
            return count > 0
        } catch {
            if error == .noSuchStream(key: stream.key) { return false }
            throw error
        }
    }

    /// Moves the group: its consumers go on behind this place. What is pending stays pending.
    /// - Parameters:
    ///   - place: behind which its consumers go on.
    ///   - evenIfPending: without it a group with pending entries is refused: moved back, it would deliver them a second time, to others,
    ///     and with their counts begun anew.
    /// - Throws: `.refused` for the pending ones, `.noSuchStream`.
    public func seek(to place: StreamPosition, evenIfPending: Bool = false) async throws(StreamError) {
        let seek = StreamCommand(
            "EVAL", StreamScripts.seek, "1", stream.key, name, place.word, evenIfPending ? "1" : "0", key: stream.key, group: name)
        guard let pending = StreamReplies.count(try await core.ask(seek)) else { throw stream.strange("XGROUP SETID") }
        guard pending == 0 else {
            throw .refused("the group '\(StreamError.shown(name))' has \(pending) pending entries")
        }
    }

    // MARK: Entries

    /// Delivers what no consumer of the group has got yet, without waiting for it. They are pending until they are acknowledged. For work
    /// that goes on, `consumer` does this and everything around it.
    /// - Parameters:
    ///   - consumer: made by this where it is not there.
    ///   - limit: at most so many, 1 to 1,000.
    /// - Returns: those that can be read: one with a name or value of more than 8 MiB only becomes pending.
    public func read(as consumer: String, limit: Int = 100) async throws(StreamError) -> [StreamEntry] {
        try check(limit)
        let read = StreamCommand(
            "XREADGROUP", "GROUP", name, consumer, "COUNT", String(limit), "STREAMS", stream.key, ">", key: stream.key, group: name)
        guard let pages = StreamReplies.pages(try await core.ask(read), keys: [stream.key]) else { throw stream.strange("XREADGROUP") }
        return try await whole(pages)
    }

    /// Their entries, and those that were left out because the reply was full: they are assigned, too.
    private func whole(_ pages: [StreamPage]) async throws(StreamError) -> [StreamEntry] {
        var entries = pages.flatMap(\.entries)
        let leftOut = pages.flatMap(\.leftOut)
        guard !leftOut.isEmpty else { return entries }
        for id in leftOut {
            // One that does not fit even alone only stays pending.
            if let entry = try? await stream.range(from: id, through: id, limit: 1).first { entries.append(entry) }
        }
        return entries.sorted { $0.id < $1.id }
    }

    /// - Returns: how many of them were pending. None, too, when there is no such group or stream.
    @discardableResult
    public func ack(_ ids: [StreamID]) async throws(StreamError) -> Int {
        try await stream.total("XACK", ids) { command("XACK") }
    }

    /// Delivers pending entries to another consumer; each counts as one delivery more.
    /// - Parameters:
    ///   - ids: those that are not pending are left out.
    ///   - consumer: made by this where it is not there.
    ///   - idle: only those whose last delivery is at least so long ago.
    /// - Returns: those that are now this consumer's and can be read. Deleted ones are not pending any more.
    public func claim(_ ids: [StreamID], for consumer: String, idle: Duration) async throws(StreamError) -> [StreamEntry] {
        var entries: [StreamEntry] = []
        for start in stride(from: 0, to: ids.count, by: Limits.streamIDsPerCommand) {
            var claim = command("XCLAIM")
            claim.append(consumer)
            claim.append(idle.milliseconds)
            claim.append(contentsOf: ids[start..<min(ids.count, start + Limits.streamIDsPerCommand)])
            guard let page = StreamReplies.page(try await core.ask(claim), key: stream.key) else { throw stream.strange("XCLAIM") }
            entries += try await whole([page])
        }
        return entries
    }

    // MARK: What is pending, and whose

    /// What is pending, in sum.
    public func pending() async throws(StreamError) -> PendingSummary {
        guard let summary = StreamReplies.pendingSummary(try await core.ask(command("XPENDING"))) else { throw stream.strange("XPENDING") }
        return summary
    }

    /// What is pending, one by one, by id.
    /// - Parameters:
    ///   - consumer: only this one's.
    ///   - idle: only those whose last delivery is at least so long ago.
    ///   - from: the first id.
    ///   - through: the last id.
    ///   - limit: at most so many, 1 to 100,000.
    public func pending(
        of consumer: String? = nil, idle: Duration = .zero, from: StreamID = .min, through: StreamID = .max, limit: Int = 100
    ) async throws(StreamError) -> [PendingEntry] {
        try check(limit, 100_000)
        var ask = command("XPENDING")
        if idle > .zero { ask.append(contentsOf: ["IDLE", String(idle.milliseconds)]) }
        ask.append(from)
        ask.append(through)
        ask.append(limit)
        if let consumer { ask.append(consumer) }
        guard let entries = StreamReplies.pendingEntries(try await core.ask(ask)) else { throw stream.strange("XPENDING") }
        return entries
    }

    /// The group's consumers.
    public func consumers() async throws(StreamError) -> [ConsumerInfo] {
        guard let consumers = StreamReplies.consumers(try await core.ask(command("XINFO", "CONSUMERS"))) else {
            throw stream.strange("XINFO CONSUMERS")
        }
        return consumers
    }

    /// Deletes a consumer that has nothing pending; looked at and done at one moment.
    /// - Returns: false: it has pending entries and stays. True as well when there was no such consumer.
    @discardableResult
    public func forget(_ consumer: String) async throws(StreamError) -> Bool {
        let forget = StreamCommand("EVAL", StreamScripts.forget, "1", stream.key, name, consumer, key: stream.key, group: name)
        guard let count = StreamReplies.count(try await core.ask(forget)) else { throw stream.strange("XGROUP DELCONSUMER") }
        return count > 0
    }

    private func check(_ limit: Int, _ most: Int = Limits.streamPageEntries) throws(StreamError) {
        guard (1...most).contains(limit) else { throw .badArgument("a limit of \(limit) entries; 1 to \(most) are possible") }
    }
}

extension StreamPosition {
    /// As XGROUP has it.
    var word: String {
        switch self {
        case .start: "0-0"
        case .end: "$"
        case .after(let id): id.description
        }
    }
}
