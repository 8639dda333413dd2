// The candles of series as events: in order, what is missing, what comes late, what is corrected. A sequence that one task reads; what it
// means is CandleReading's and CandleOrder's. Any task (a lock, never held while something is waited for).

/// Closed candles of one series or several, as a service writes them: strictly by open time, each once.
///
///     for try await event in streams.candles(bitcoin, after: .after(StreamID(lastOpenTime))) {
///         switch event {
///         case .candle(_, let candle): book(candle)
///         case .gap(let gap): pause(gap)
///         case .late(_, let old), .corrected(_, let old): rebook(old)
///         }
///     }
///
/// Between two candles that are not neighbours first the gap is told. What comes later into an open gap is `.late`; a candle that was told
/// and has other values now is `.corrected`; one that was told and is removed is a `.gap` again. To resume, keep the last open time and
/// `changePosition`: no candle is repeated then; a change may be told twice, and none is missed as long as `changes:*` has it.
///
/// It outlives losses of Redis. It throws `.notAStream`, `.refused`, `.badArgument`, `.closed`, and `.cancelled` when the task is
/// cancelled. One task at a time may read it; another one may go on where that has ended.
public final class CandleStream: AsyncSequence, Sendable {
    public typealias Element = CandleEvent
    public typealias Failure = StreamError

    private struct State {
        var reading: CandleReading
        /// Nil until it is known where to begin.
        var tail: StreamTail?
        /// A reading that is not told yet.
        var entries: [StreamEntry]?
        var isBusy = false
        /// Of those of the tail, the losses after which open gaps were looked at.
        var lossesSeen = 0
    }

    private let streams: RedisStreams
    private let series: [Series]
    private let place: StreamPosition
    private let changesAfter: StreamPosition
    private let refusal: StreamError?
    /// Asked at once: what is added from now on comes.
    private let ends: Lock<StreamTicket?>
    private let state: Lock<State>

    init(_ streams: RedisStreams, _ series: [Series], after place: StreamPosition, changesAfter: StreamPosition) {
        (self.streams, self.place, self.changesAfter) = (streams, place, changesAfter)
        var seen: Set<Series> = []
        self.series = series.filter { seen.insert($0).inserted }
        let most = Limits.streamKeysMax / 2
        refusal = (1...most).contains(self.series.count) ? nil : .badArgument("\(self.series.count) series; 1 to \(most) are possible")
        state = Lock(State(reading: CandleReading(self.series, streams.core.keys, changesAfter: changesAfter)))
        ends = Lock(nil)
        if refusal == nil, let question { ends.withLock { $0 = streams.core.submit(question) } }
    }

    // MARK: What is known

    /// Gaps that nothing has filled yet, by series and time; at most 10,000.
    public var openGaps: [CandleGap] { state.withLock { $0.reading.order.openGaps } }
    /// Where the changes go on behind what was handed out: one position for all series, by the server's millisecond.
    public var changePosition: StreamPosition { state.withLock { $0.reading.position } }
    /// Entries that are not candles or changes, and were passed over.
    public var badEntries: UInt64 { state.withLock { $0.reading.badEntries } }
    /// Entries of histories and changes that were cut off before they were read. Those of a history are told as a gap.
    public var losses: Int { state.withLock { $0.tail }?.losses ?? 0 }
    /// How often a stream was gone, or made anew with smaller ids.
    public var interruptions: Int { state.withLock { $0.tail }?.interruptions ?? 0 }

    /// Goes on where the last reader has ended.
    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    /// Takes events, one by one.
    public struct Iterator: AsyncIteratorProtocol {
        let stream: CandleStream

        /// The next event; never nil.
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(StreamError) -> CandleEvent? {
            try await stream.next()
        }

        /// The next event; never nil.
        public mutating func next() async throws(StreamError) -> CandleEvent? { try await next(isolation: nil) }
    }

    private func next() async throws(StreamError) -> CandleEvent {
        if let event = state.withLock({ $0.reading.next() }) { return event }
        if let refusal { throw refusal }
        let isFree = state.withLock { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFree else { throw .badArgument("one task at a time reads a CandleStream") }
        defer { state.withLock { $0.isBusy = false } }
        while true {
            if let event = state.withLock({ $0.reading.next() }) { return event }
            try await turn()
        }
    }

    // MARK: Turns

    /// Reads once, and tells it. A task that is cancelled leaves what was read to the next one.
    private func turn() async throws(StreamError) {
        let tail = try await begin()
        if state.withLock({ $0.entries == nil }) {
            let entries = try await tail.nextReply()
            state.withLock { $0.entries = entries }
        }
        try await lookIntoGaps(tail)
        var page = state.withLock { $0.reading.sort($0.entries ?? []) }
        let questions = state.withLock { $0.reading.questions(&page) }
        let replies = questions.isEmpty ? [] : try await ask(questions)
        let (told, done) = (page, replies)
        try state.withLock { state throws(StreamError) in
            try state.reading.tell(told, done)
            state.entries = nil
        }
    }

    /// The ends of histories and changes, where these are asked for. Nil where nothing is.
    private var question: StreamBatch? {
        var batch = StreamBatch()
        for series in series {
            if place == .end { batch.append(CandleStream.newest(streams.core.keys.historyKey(series))) }
            if changesAfter == .end { batch.append(CandleStream.newest(streams.core.keys.changesKey(series))) }
        }
        return batch.isEmpty ? nil : batch
    }

    private static func newest(_ key: String) -> StreamCommand {
        var command = StreamCommand("XREVRANGE", key: key)
        command.append(contentsOf: [key, "+", "-", "COUNT", "1"])
        return command
    }

    /// Finds out where everything begins, once.
    private func begin() async throws(StreamError) -> StreamTail {
        if let tail = state.withLock({ $0.tail }) { return tail }
        var replies: ArraySlice<ReplyNode> = []
        if let question {
            let ticket = ends.withLock { $0.take() }
            replies = try await ask(question, ticket)[...]
        }
        let keys = streams.core.keys
        func end(_ key: String) throws(StreamError) -> StreamPosition {
            guard let reply = replies.popFirst(), let page = StreamReplies.page(reply, key: key) else {
                throw .refused("the answer to XREVRANGE is not one that Redis gives")
            }
            // Also the id of an entry that cannot be read.
            return page.last.map { .after($0) } ?? .start
        }
        var (places, firsts, ends) = ([String: StreamPosition](), [StreamPosition](), [StreamID]())
        for series in series {
            let first = place == .end ? try end(keys.historyKey(series)) : place
            let changes = changesAfter == .end ? try end(keys.changesKey(series)) : changesAfter
            (places[keys.historyKey(series)], places[keys.changesKey(series)]) = (first, changes)
            firsts.append(first)
            if case .after(let id) = changes { ends.append(id) } else { ends.append(.min) }
        }
        let tail = streams.follow(places)
        let (begun, newest) = (firsts, ends)
        state.withLock { state in
            for (index, first) in begun.enumerated() { state.reading.begin(index, after: first) }
            if changesAfter == .end { state.reading.beginChanges(behind: newest) }
            state.tail = tail
        }
        return tail
    }

    /// Changes were lost: what has come into open gaps is looked up.
    private func lookIntoGaps(_ tail: StreamTail) async throws(StreamError) {
        let losses = tail.losses
        guard state.withLock({ $0.lossesSeen }) != losses else { return }
        for (key, openMs) in state.withLock({ $0.reading.openTimes }) {
            var from = StreamID(UInt64(openMs.lowerBound))
            let through = StreamID.last(in: UInt64(openMs.upperBound))
            while from <= through {
                var command = StreamCommand("XRANGE", key: key)
                command.append(key)
                command.append(from)
                command.append(through)
                command.append(contentsOf: ["COUNT", "\(Limits.streamPageEntries)"])
                guard let page = StreamReplies.page(try await ask(StreamBatch(command))[0], key: key), let last = page.last else { break }
                state.withLock { state in for entry in page.entries { state.reading.look(entry) } }
                from = last.next
            }
        }
        state.withLock { $0.lossesSeen = losses }
    }

    /// Asks until it is answered. All of it is asked again when one of the replies is a failure that passes.
    /// - Parameter ticket: the first attempt, already under way.
    private func ask(_ batch: StreamBatch, _ ticket: StreamTicket? = nil) async throws(StreamError) -> [ReplyNode] {
        var backoff = Backoff(Limits.streamBackoffMs, seed: SystemRandom.word())
        var ticket = ticket
        while true {
            do throws(StreamError) {
                let replies = try await (ticket ?? streams.core.submit(batch)).wait().get().root.children
                for reply in replies {
                    guard let text = reply.error else { continue }
                    // Which key it is, is in Redis's words only where they name one; a history is what is meant.
                    throw StreamError(reply: text, key: streams.core.keys.historyKey(series[0]))
                }
                return replies
            } catch {
                guard error.isPassing else { throw error }
            }
            ticket = nil
            do { try await Task.sleep(nanoseconds: backoff.nextDelayNs()) } catch { throw .cancelled }
        }
    }
}

extension RedisStreams {
    /// The closed candles of series as events: in order, each once, with what is missing, late and corrected.
    /// - Parameters:
    ///   - series: at most 512.
    ///   - place: `.after(StreamID(openTime))` is behind the candle that one has; `.end`: what closes from now on.
    ///   - changesAfter: a `changePosition` of an earlier reading; `.end`: what changes from now on.
    public func candles(
        _ series: Series..., after place: StreamPosition = .end, changesAfter: StreamPosition = .end
    ) -> CandleStream {
        candles(series, after: place, changesAfter: changesAfter)
    }

    /// Closed candles of several series as one stream; between two series there is no order.
    public func candles(
        _ series: [Series], after place: StreamPosition = .end, changesAfter: StreamPosition = .end
    ) -> CandleStream {
        CandleStream(self, series, after: place, changesAfter: changesAfter)
    }
}
