// What of the sink belongs to one server: its connection, the batches on their way to it, bytes it has not taken, its pauses; and in a
// cluster what waits for it. The sink's thread alone, which reaches it by pointer (`Row<Lane>`), without access checks. Bounds:
// `batches` batches in flight; what waits is bounded by the series and by the queue of closed candles.
//
// A Redis that is not a cluster has one lane. What waits for it stays in the table: its queues here are empty.

@safe struct Lane: ~Copyable {
    let place: Int
    /// Its node, `host:port`; nil for the only one.
    let node: String?
    var link: RedisLink
    /// False: its node owns nothing any more, and the place is free for another one.
    var isOpen = true
    /// Batches in flight, oldest first, as a ring of reusable ones.
    let batches: FixedSlots<Batch>
    var firstBatch = 0
    var batchCount = 0
    /// Candles of the batches in flight.
    var candlesInFlight = 0
    var unsentFrom = 0
    var unsentCount = 0
    /// The newest batches of which the kernel has not the last byte.
    var unwrittenCount = 0
    /// A batch with asides is on its way: the next ones wait for its end.
    var asidesInFlight = 0
    /// The merge script is paced: Redis is to spend a quarter of its time on it at most.
    var mergesDueNs: UInt64 = 0
    /// The merge script's name on this server; nil: its source is sent.
    var mergeSHA: String?
    /// What of the table's `stored` is to be written again here, the next run last.
    var again: [[CandleRecord]] = []
    /// Not all of that has been answered.
    var isRewriting = false
    /// It is because of the connection, and not only of series that were taken over or whose slot came here.
    var isNewConnection = false
    /// Series whose slots came here while it was connected. What the healer has brought of them is not among `again`.
    var gained: Set<Series> = []
    /// What has been, on this connection: candles, and how many of them Redis had not.
    var rewritten = (count: 0, missing: 0)
    var pausedUntilNs: UInt64 = 0
    var retryBackoff: Backoff
    /// The poller says that there are replies, or something to say about the connection.
    var isReadable = false
    /// Redis is there and refuses what it is given, for now.
    var isRefusing = false
    var elsewhere: ElsewhereWatch

    // MARK: In a cluster

    /// What waits for this node; and what it takes behind ASKING alone, because its slot is on its way here.
    var queue = LaneQueue()
    var asking = LaneQueue()
    /// What its socket has not taken: the builder's bytes are needed for other lanes. It begins at `restFrom` of what was built.
    var rest: [UInt8] = []
    var restFrom = 0
    /// Batches with newest states in flight, and when the last one left.
    var hashesInFlight = 0
    var hashesSentNs: UInt64 = 0
    /// Of `again`, what cannot be written while its slot is on its way to another node.
    var againLater: [[CandleRecord]] = []
    /// Nothing that is rare was this lane's; then it is looked for again.
    var asidesDueNs: UInt64 = 0
    /// Slots came here from these lanes: first what they were sent must be answered, up to a batch's number.
    var waitsFor: [(lane: Int, number: Int)] = []
    /// Newest states of this lane's slots are on their way to these others, behind ASKING: what is newer goes when they are answered, or it
    /// might come first, and what is older would stand over it.
    var hashesWaitFor: [(lane: Int, number: Int)] = []

    init(place: Int, node: String?, _ settings: RedisLinkSettings, batchCount: Int, batchSize: Int, seed: UInt64) {
        (self.place, self.node) = (place, node)
        link = RedisLink(settings, slot: place, seed: seed)
        elsewhere = ElsewhereWatch(isFound: settings.endpoint.sentinels != nil)
        batches = FixedSlots(count: batchCount) { _ in Batch(capacity: batchSize) }
        retryBackoff = Backoff(Limits.redisBackoffMs, seed: seed ^ 1)
    }

    func batch(_ index: Int) -> Row<Batch> { batches.row((firstBatch &+ index) % batches.count) }

    var isAway: Bool { !link.isReady || isRefusing }

    /// What is in flight is nobody's any more; the caller has restored it.
    mutating func forgetFlight() {
        (batchCount, candlesInFlight, asidesInFlight, hashesInFlight) = (0, 0, 0, 0)
        (unsentFrom, unsentCount, unwrittenCount) = (0, 0, 0)
        rest = []
        (again, againLater, isRewriting, gained) = ([], [], false, [])
        mergesDueNs = 0
        (waitsFor, hashesWaitFor) = ([], [])
    }

    /// Of all that was built, the batches before this number are answered or given up here.
    var doneBefore: Int { batchCount == 0 ? .max : batch(0).value.number }
}

/// What waits for one node of a cluster, each once; the marks that say so are the sink's (`LaneRoute`). An entry that was taken back
/// meanwhile, or is another member's, is passed over when its turn comes.
struct LaneQueue {
    /// Positions in the queue of closed candles.
    var closed = WaitingLine<Int>()
    /// One that was restored stands behind a later one.
    private var isUnsorted = false
    /// Series whose newest state is to be published.
    var updates = WaitingLine<UInt32>()
    /// Series whose newest state is to be written to `latest:*`.
    var latest = WaitingLine<UInt32>()

    var isEmpty: Bool { closed.isEmpty && updates.isEmpty && latest.isEmpty }

    mutating func putClosed(_ position: Int) {
        if let last = closed.last, last > position { isUnsorted = true }
        closed.append(position)
    }

    /// The earliest of them.
    mutating func popClosed() -> Int? {
        if isUnsorted {
            closed.sort()
            isUnsorted = false
        }
        return closed.popFirst()
    }
}

/// First in, first out; what has left is let go of now and then, without moving anything for each that goes.
struct WaitingLine<Element: BitwiseCopyable> {
    fileprivate var elements: [Element] = []
    fileprivate var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count &- head }

    var last: Element? { isEmpty ? nil : elements.last }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head &+= 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: head <= 8_192)
            head = 0
        } else if head > 4_096 && head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    /// All that waits, in order; then nothing does.
    mutating func takeAll() -> [Element] {
        defer { self = WaitingLine() }
        return Array(elements[head...])
    }

    /// For invariants.
    var all: ArraySlice<Element> { elements[head...] }
}

extension WaitingLine where Element: Comparable {
    mutating func sort() { elements[head...].sort() }
}
