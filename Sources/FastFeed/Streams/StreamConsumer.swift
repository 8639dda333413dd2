// One consumer of a group, for as long as somebody holds it. Any task; what it does is in ConsumerMachine, on the streams' thread.

import Glibc
import Synchronization

/// Works on what comes into streams, together with the other consumers of a group: each message comes to one of them, until it is
/// acknowledged.
///
///     let workers = orders.group("payment").consumer(as: "worker-1")
///     for try await order in workers { try charge(order); order.ack() }
///
/// - It begins with the first message that is wanted. Several tasks may iterate it at once and share what comes.
/// - At least once: after a crash, a loss or a stop a message comes again, so whoever handles it must bear that; `entry.id` tells.
/// - A consumer with a given name first gets what it had before. What other consumers have left for `claimAfter` it takes over. A message
///   that fails comes again, and after `maxDeliveries` goes to the dead letters.
/// - It outlives losses of Redis, of the group and of the stream, and counts them (`counters`). The group is made where it is not there.
/// - In the order of their ids within one consumer; what comes again, or from another consumer, comes out of order. `run(orderedBy:)` keeps
///   the order.
/// - When nobody iterates any more, what waits goes back to the group; when nobody holds the consumer any more, its name is given up, too.
///   What tasks still have then may be answered for 30 s.
///
/// Throws `.notAStream`, `.refused`, `.badArgument`, `.closed`, and outlives everything else.
public final class StreamConsumer: AsyncSequence, Sendable {
    public typealias Element = StreamMessage
    public typealias Failure = StreamError

    /// Its name in the group: as given, or `host-process-number-random`.
    public let name: String
    let desk: ConsumerDesk
    private let streams: RedisStreams
    private let group: String
    let keys: [String]
    private let options: ConsumerOptions
    private let isNamed: Bool

    static let patience = Duration.seconds(30)

    init(_ streams: RedisStreams, group: String, keys: [String], name: String?, _ options: ConsumerOptions) {
        (self.streams, self.group, self.options) = (streams, group, options)
        isNamed = name != nil
        self.name = name ?? StreamConsumer.makeName()
        var seen: Set<String> = []
        self.keys = keys.filter { seen.insert($0).inserted }
        desk = ConsumerDesk(worthwhile: Swift.min(Limits.acksPerFlushMax, Swift.max(1, options.prefetch / 2)))
    }

    deinit { requestStop(within: StreamConsumer.patience) }

    /// Names that were made in this process.
    private static let madeCount = Atomic<UInt64>(0)

    /// No other consumer of this process has it. Of processes with the same host and number, as containers have them, the random part
    /// tells one from the other.
    package static func makeName() -> String {
        var names = utsname()
        unsafe uname(&names)
        let host = unsafe withUnsafeBytes(of: names.nodename) { unsafe Ascii.printable($0.prefix { $0 != 0 }, limit: 64) }
        let number = madeCount.wrappingAdd(1, ordering: .relaxed).newValue
        return "\(host)-\(getpid())-\(number)-\(Ascii.hex(UInt32(truncatingIfNeeded: SystemRandom.word())))"
    }

    /// What it has done so far.
    public var counters: ConsumerCounters { desk.counters }

    // MARK: The end

    /// Ends the consumer: it reads no more, what waits goes back to the group at once, iterations end, what tasks have may still be
    /// answered; returns when all is answered and acknowledged, or the time is over. What is not answered then is taken over by others
    /// after `claimAfter`.
    /// - Parameter patience: for what tasks have.
    public func stop(within patience: Duration = .seconds(30)) async {
        requestStop(within: patience)
        await desk.waitForEnd()
    }

    private func requestStop(within patience: Duration) { desk.stop(MonotonicClock.nowNs() + patience.nanoseconds) }

    // MARK: The beginning

    func start() throws(StreamError) {
        try desk.start { () throws(StreamError) in
            if let refusal { throw .badArgument(refusal) }
            let words = ConsumerWords(group: group, name: name, keys: keys, options)
            var settings = ConsumerMachine.Settings()
            (settings.keyCount, settings.prefetch, settings.isNamed) = (keys.count, options.prefetch, isNamed)
            settings.claimAfterNs = options.claimAfter.nanoseconds
            (settings.maxDeliveries, settings.staysPending) = (options.maxDeliveries, options.deadLetter == .stayPending)
            (settings.forgetAfterNs, settings.seed) = (options.forgetAfter.nanoseconds, SystemRandom.word())
            return try streams.core.attach(ConsumerAgent(desk, words, settings, streams))
        }
    }

    private var refusal: String? {
        if keys.isEmpty { return "a consumer of no stream" }
        if keys.count > Limits.streamKeysMax { return "a consumer of \(keys.count) streams; \(Limits.streamKeysMax) are possible" }
        if group.isEmpty { return "the group's name is empty" }
        if !(1...Limits.consumerNameBytesMax).contains(name.utf8.count) {
            return "a consumer's name has 1 to \(Limits.consumerNameBytesMax) bytes"
        }
        return options.refusal
    }

    // MARK: Messages

    /// Another reader of the same messages: each message goes to one of them.
    public func makeAsyncIterator() -> Iterator { Iterator(ConsumerIteration(self)) }

    /// Takes messages, one by one. As long as it lives, the consumer reads.
    public struct Iterator: AsyncIteratorProtocol {
        private let iteration: ConsumerIteration
        /// Shared with the other iterators.
        private var batch: ConsumerBatch?

        init(_ iteration: ConsumerIteration) { self.iteration = iteration }

        /// The next message; nil when the consumer was stopped or the task is cancelled.
        @inline(__always)
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(StreamError) -> StreamMessage? {
            if Task.isCancelled { return nil }
            if let delivery = batch?.take() { return StreamMessage(delivery, iteration.desk) }
            return try await nextOfBatch()
        }

        /// The next message; nil when the consumer was stopped or the task is cancelled.
        public mutating func next() async throws(StreamError) -> StreamMessage? { try await next(isolation: nil) }

        private mutating func nextOfBatch() async throws(StreamError) -> StreamMessage? {
            // Not the whole reply for as long as nothing comes.
            batch = nil
            try iteration.consumer.start()
            while true {
                switch await iteration.desk.next() {
                case .gone: continue
                case .over(let error):
                    if let error { throw error }
                    return nil
                case .batch(let next):
                    guard let delivery = next.take() else { continue }
                    batch = next
                    return StreamMessage(delivery, iteration.desk)
                }
            }
        }
    }
}

/// An iteration, for as long as somebody holds its iterator.
final class ConsumerIteration: Sendable {
    let consumer: StreamConsumer
    let desk: ConsumerDesk

    init(_ consumer: StreamConsumer) {
        (self.consumer, desk) = (consumer, consumer.desk)
        desk.beginIteration()
    }

    deinit { desk.endIteration() }
}

extension StreamGroup {
    /// A consumer of this group. Asks nothing; it begins with the first message that is wanted, and makes the group where it is not there.
    /// - Parameters:
    ///   - name: a consumer that is started again under its name goes on with what it had. Two at a time must not have the same. Without
    ///     one it gets a name of its own.
    ///   - options: how it works.
    public func consumer(as name: String? = nil, _ options: ConsumerOptions = .init()) -> StreamConsumer {
        StreamConsumer(stream.streams, group: self.name, keys: [stream.key], name: name, options)
    }
}

extension RedisStreams {
    /// One consumer of groups of the same name on several streams.
    /// - Parameters:
    ///   - group: the groups' name.
    ///   - keys: 1 to 1,024 streams, by their whole keys.
    ///   - name: as of `StreamGroup.consumer`.
    ///   - options: how it works.
    public func consumer(
        group: String, of keys: [String], as name: String? = nil, _ options: ConsumerOptions = .init()
    ) -> StreamConsumer {
        StreamConsumer(self, group: group, keys: keys, name: name, options)
    }
}
