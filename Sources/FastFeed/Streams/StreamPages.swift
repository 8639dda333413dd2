// Walking through a stream page by page. Any task; an iterator is one task's.

/// A range, forwards or backwards, a page at a time. The next page is asked for as soon as it is known where it begins.
struct RangeWalk {
    private let stream: RedisStream
    private let isReversed: Bool
    private var from: StreamID
    private var through: StreamID
    private var isAtEnd = false
    /// Entries of one question: fewer once a reply was full.
    private var pageEntries = Limits.streamPageEntries
    private var ahead: (ticket: StreamTicket, count: Int)?

    init(_ stream: RedisStream, from: StreamID, through: StreamID, isReversed: Bool) {
        (self.stream, self.from, self.through, self.isReversed) = (stream, from, through, isReversed)
        isAtEnd = from > through
    }

    /// The next page: at least one entry, at most `limit`; nil at the end.
    /// - Parameter readsOn: the page behind it is asked for, too.
    mutating func next(_ limit: Int, readsOn: Bool = false) async throws(StreamError) -> [StreamEntry]? {
        while !isAtEnd {
            let question = ahead ?? ask(limit)
            ahead = nil
            let replies = try await question.ticket.wait().get()
            let entries = try take(replies.root.children[0], question.count)
            if readsOn, !isAtEnd { ahead = ask(limit) }
            if !entries.isEmpty { return entries }
        }
        return nil
    }

    private func ask(_ limit: Int) -> (ticket: StreamTicket, count: Int) {
        let count = max(1, min(limit, pageEntries))
        var command = stream.command(isReversed ? "XREVRANGE" : "XRANGE")
        command.append(isReversed ? through : from)
        command.append(isReversed ? from : through)
        command.append("COUNT")
        command.append(count)
        return (stream.core.submit(StreamBatch(command)), count)
    }

    private mutating func take(_ reply: ReplyNode, _ count: Int) throws(StreamError) -> [StreamEntry] {
        if let error = reply.error { throw StreamError(reply: error, key: stream.key) }
        guard let page = StreamReplies.page(reply, key: stream.key) else { throw stream.strange("XRANGE") }
        var entries = page.entries
        // In the order of the walk: what lies behind one that was left out is asked for again with it.
        let leftOut = isReversed ? page.leftOut.max() : page.leftOut.min()
        if let leftOut {
            entries.removeAll { isReversed ? $0.id < leftOut : $0.id > leftOut }
            if entries.isEmpty, count == 1 { throw unreadable(leftOut) }
            pageEntries = max(1, entries.count / 2)
        }
        let isBefore = { (id: StreamID) in leftOut.map { isReversed ? id > $0 : id < $0 } ?? true }
        if let id = page.unreadable.first(where: isBefore) { throw unreadable(id) }
        if let last = leftOut == nil ? page.last : entries.last?.id {
            isAtEnd = isReversed ? last <= from : last >= through
            if isReversed { through = last.previous } else { from = last.next }
        }
        if leftOut == nil, page.count < count { isAtEnd = true }
        return entries
    }

    private func unreadable(_ id: StreamID) -> StreamError {
        .badEntry("the entry \(id) of '\(StreamError.shown(stream.key))' is too long: 8 MiB are the most for a name or a value")
    }
}

/// Every entry between two ids as an asynchronous sequence, oldest first, to the end that is there when the walk comes to it.
///
/// - Throws: as `RedisStream.range`. After that the walk is over.
public struct StreamPages: AsyncSequence, Sendable {
    public typealias Element = StreamEntry
    public typealias Failure = StreamError

    private let stream: RedisStream
    private let from: StreamID
    private let through: StreamID

    init(_ stream: RedisStream, from: StreamID, through: StreamID) { (self.stream, self.from, self.through) = (stream, from, through) }

    /// A walk of its own, from the beginning.
    public func makeAsyncIterator() -> Iterator { Iterator(RangeWalk(stream, from: from, through: through, isReversed: false)) }

    /// Takes entries, one by one, from pages that it asks for.
    public struct Iterator: AsyncIteratorProtocol {
        private var walk: RangeWalk
        private var page: [StreamEntry] = []
        private var place = 0
        private var isOver = false

        init(_ walk: RangeWalk) { self.walk = walk }

        /// The next entry; nil at the end.
        @inline(__always)
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(StreamError) -> StreamEntry? {
            if place < page.count {
                place += 1
                return page[place - 1]
            }
            return try await turnPage()
        }

        /// The next entry; nil at the end.
        public mutating func next() async throws(StreamError) -> StreamEntry? { try await next(isolation: nil) }

        private mutating func turnPage() async throws(StreamError) -> StreamEntry? {
            guard !isOver else { return nil }
            (page, place) = ([], 0)
            do throws(StreamError) {
                guard let next = try await walk.next(Limits.streamPageEntries, readsOn: true) else {
                    isOver = true
                    return nil
                }
                (page, place) = (next, 1)
                return next[0]
            } catch {
                isOver = true
                throw error
            }
        }
    }
}
