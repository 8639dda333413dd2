// What comes into one stream or several, without end: the sequence that tasks take from, and the agent that reads for it on the streams'
// thread. The agent's functions: that thread alone. Bounds: `Limits.tailEntriesMax` and `tailBytesMax` read ahead; full, it does not read.

/// Entries as they come, each once, in the order of their stream: lost connections are made anew, and the reading goes on behind the last
/// entry. It begins when it is made, and reads ahead a little. A stream that was made anew is read from its beginning (`interruptions`); a
/// Redis that has lost its last entries looks the same, and what it still has comes twice.
///
/// It throws `.notAStream`, `.refused`, `.badArgument`, `.closed`, and `.cancelled` when the task is cancelled; all else it outlives.
/// Several iterators share the entries. It ends when nobody holds it any more.
public final class StreamTail: AsyncSequence, Sendable {
    public typealias Element = StreamEntry
    public typealias Failure = StreamError

    private let streams: RedisStreams
    private let buffer = TailBuffer()
    /// Nil where it could not begin.
    private let seat: StreamSeat?

    init(_ streams: RedisStreams, _ places: [String: StreamPosition]) {
        self.streams = streams
        do throws(StreamError) {
            guard !places.isEmpty, places.count <= Limits.streamKeysMax else {
                throw .badArgument("\(places.count) streams to follow; 1 to \(Limits.streamKeysMax) are possible")
            }
            seat = try streams.core.attach(TailAgent(buffer, places))
        } catch {
            seat = nil
            buffer.finish(error)
        }
    }

    deinit { if let seat { streams.core.detach(seat) } }

    /// Entries that were cut off before they were read, exactly where Redis counts them (7.0), and those that could not be read (a name or
    /// value of more than 8 MiB). Known some seconds later, at most.
    public var losses: Int { buffer.losses }
    /// How often a stream was made anew with smaller ids, or was gone; then it is read from its beginning.
    public var interruptions: Int { buffer.interruptions }

    /// Another reader of the same entries: each entry goes to one of them.
    public func makeAsyncIterator() -> Iterator { Iterator(tail: self) }

    /// The entries of one reply at once.
    func nextReply() async throws(StreamError) -> [StreamEntry] { try await buffer.takeReply { seat?.wake() }.get() }

    /// Takes entries, one by one.
    public struct Iterator: AsyncIteratorProtocol {
        let tail: StreamTail

        /// The next entry; never nil.
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(StreamError) -> StreamEntry? {
            try await tail.buffer.take { tail.seat?.wake() }.get()
        }

        /// The next entry; never nil.
        public mutating func next() async throws(StreamError) -> StreamEntry? { try await next(isolation: nil) }
    }
}

@safe final class TailAgent: StreamAgent, @unchecked Sendable {
    private enum Phase {
        /// It is not known yet where the end is.
        case resolving
        /// Nothing is under way.
        case idle
        case checking([Int])
        case reading
        case pausing(untilNs: UInt64)
        case over
    }

    private enum Tag { static let check: UInt64 = 1, newest: UInt64 = 2, read: UInt64 = 3 }

    private let buffer: TailBuffer
    private var reading: TailReading
    private var phase = Phase.resolving
    private var isAsked = false
    private var resolveAtNs: UInt64 = 0
    private static let resolvePauseNs: UInt64 = 100_000_000
    /// XINFO is allowed.
    private var mayCheck = true
    /// Streams that are looked at before the next reading.
    private var toCheck: Set<Int> = []
    private var checkedNs: UInt64 = 0
    /// One of the streams is not one, and their newest entries say which.
    private var asksNewest = false
    private var backoff = Backoff(Limits.streamBackoffMs, seed: SystemRandom.word())

    init(_ buffer: TailBuffer, _ places: [String: StreamPosition]) { (self.buffer, reading) = (buffer, TailReading(places)) }

    var dueNs: UInt64 {
        switch phase {
        case .resolving: isAsked ? .max : resolveAtNs
        case .pausing(let untilNs): untilNs
        case .idle, .checking, .reading, .over: .max
        }
    }

    func turn(_ port: StreamPort, nowNs: UInt64) {
        switch phase {
        case .resolving: resolve(port)
        case .pausing(let untilNs):
            guard nowNs >= untilNs else { return }
            phase = .idle
            goOn(port)
        case .idle: goOn(port)
        case .checking, .reading, .over: break
        }
    }

    private var all: [Int] { Array(reading.places.indices) }
    private var unresolved: [Int] { all.filter { reading.places[$0].cursor == nil } }

    /// On the shared connection: what a task has been told is in is before the end, what it adds from now on is behind it.
    private func resolve(_ port: StreamPort) {
        guard !isAsked, port.nowNs >= resolveAtNs else { return }
        guard port.canSend else {
            resolveAtNs = port.nowNs + TailAgent.resolvePauseNs
            return
        }
        let batch = mayCheck ? reading.check(all) : reading.newest(unresolved)
        guard !batch.isEmpty else {
            phase = .idle
            return goOn(port)
        }
        isAsked = port.send(batch, tag: mayCheck ? Tag.check : Tag.newest)
        if !isAsked { resolveAtNs = port.nowNs + TailAgent.resolvePauseNs }
    }

    /// The next thing to ask, where there is room for what it brings.
    private func goOn(_ port: StreamPort) {
        guard buffer.hasRoom() else {
            // Meanwhile much may be cut off.
            toCheck.formUnion(all)
            return
        }
        if asksNewest {
            asksNewest = false
            phase = .checking(all)
            return port.read(reading.newest(all), tag: Tag.newest)
        }
        let isTime = port.nowNs >= checkedNs + .ns(ms: Limits.streamBlockMs)
        if mayCheck, !toCheck.isEmpty || isTime {
            let wanted = isTime ? all : toCheck.sorted()
            (toCheck, checkedNs) = ([], isTime ? port.nowNs : checkedNs)
            phase = .checking(wanted)
            return port.read(reading.check(wanted), tag: Tag.check)
        }
        phase = .reading
        port.read(reading.read(), tag: Tag.read)
    }

    // MARK: Replies

    func onReply(_ port: StreamPort, tag: UInt64, _ replies: ReplyBlock) {
        guard case .resolving = phase else { return }
        isAsked = false
        let isDone =
            tag == Tag.check ? note(replies.root.children, all, port) : begin(replies.root.children, unresolved, port)
        guard isDone, case .resolving = phase else { return }
        checkedNs = port.nowNs
        if mayCheck || unresolved.isEmpty { phase = .idle }
        backoff.succeeded()
        // `turn` goes on.
    }

    func onRead(_ port: StreamPort, tag: UInt64, _ reply: ReplyBlock) {
        switch phase {
        case .checking(let wanted):
            let isDone = tag == Tag.newest ? begin(reply.root.children, wanted, port) : note(reply.root.children, wanted, port)
            if isDone { phase = .idle }
        case .reading:
            phase = .idle
            take(reply, port)
        case .resolving, .idle, .pausing, .over: break
        }
    }

    private func take(_ reply: ReplyBlock, _ port: StreamPort) {
        if let error = reply.root.error {
            let failure = StreamError(reply: error, key: reading.places[0].key)
            switch failure {
            // Which stream it is, is asked: by XINFO, or where that is not allowed, by their newest entries.
            case .notAStream where reading.places.count > 1:
                if mayCheck { toCheck.formUnion(all) } else { asksNewest = true }
                pause(port)
            case .unavailable, .noSuchStream, .noSuchGroup: pause(port)
            default: fail(failure, port)
            }
            return
        }
        guard let brought = reading.take(reply.root) else { return fail(.refused("the answer to XREAD is not one that Redis gives"), port) }
        backoff.succeeded()
        // Nothing has come for as long as it waits: is the stream still the one it was?
        toCheck.formUnion(reply.root.isNull ? all : brought.full)
        buffer.put(brought.entries, bytes: reply.byteCount)
        buffer.note(losses: reading.losses, interruptions: reading.interruptions)
        if !brought.entries.isEmpty { port.runTasks() }
    }

    /// What XINFO says of some streams. False: it goes on otherwise.
    private func note(_ replies: [ReplyNode], _ wanted: [Int], _ port: StreamPort) -> Bool {
        for (index, reply) in zip(wanted, replies) {
            let key = reading.places[index].key
            if let error = reply.error {
                let failure = StreamError(reply: error, key: key)
                switch failure {
                case .noSuchStream: reading.note(.nothing, at: index)
                case .notAStream:
                    fail(failure, port)
                    return false
                case .refused:
                    // No right to: then only the newest entry says where the end is, and nobody what was missed.
                    mayCheck = false
                    toCheck = []
                    return true
                default:
                    toCheck.formUnion(wanted)
                    pause(port)
                    return false
                }
            } else if let extent = StreamReplies.extent(reply) {
                reading.note(extent, at: index)
            } else {
                fail(.refused("the answer to XINFO STREAM is not one that Redis gives"), port)
                return false
            }
        }
        buffer.note(losses: reading.losses, interruptions: reading.interruptions)
        return true
    }

    /// The newest entries of streams: where the end is, if that is not known.
    private func begin(_ replies: [ReplyNode], _ wanted: [Int], _ port: StreamPort) -> Bool {
        for (index, reply) in zip(wanted, replies) {
            let key = reading.places[index].key
            if let error = reply.error {
                let failure = StreamError(reply: error, key: key)
                if failure.isPassing { pause(port) } else { fail(failure, port) }
                return false
            }
            guard let page = StreamReplies.page(reply, key: key) else {
                fail(.refused("the answer to XREVRANGE is not one that Redis gives"), port)
                return false
            }
            if reading.places[index].cursor == nil { reading.begin(behind: page.last ?? .min, at: index) }
        }
        return true
    }

    private func pause(_ port: StreamPort) {
        let untilNs = port.nowNs + backoff.nextDelayNs()
        if case .resolving = phase { resolveAtNs = untilNs } else { phase = .pausing(untilNs: untilNs) }
    }

    private func fail(_ error: StreamError, _ port: StreamPort) {
        phase = .over
        port.closeReader()
        buffer.finish(error)
    }

    // MARK: Connections

    func onOpen(_ port: StreamPort, _ line: StreamLine) { if line == .shared { turn(port, nowNs: port.nowNs) } }

    func onLost(_ port: StreamPort, _ line: StreamLine, _ reason: String) {
        switch (line, phase) {
        case (.shared, .resolving): isAsked = false
        case (.reader, .reading), (.reader, .checking):
            // One that was not sent yet waits on.
            guard !port.isReading else { return }
            // The port makes it anew, and pauses between attempts.
            phase = .idle
            toCheck.formUnion(all)
        default: break
        }
    }

    func onClose() {
        phase = .over
        buffer.finish(.closed)
    }
}
