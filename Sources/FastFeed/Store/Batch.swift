// One pipelined batch in flight: what was asked, in order, so that each reply finds its command.
//
//   closed candles (one XADD each) · HSET per interval · PUBLISH per series · asides, which are rare: merges, holes, removals
//
// All arrays are made once, for the largest batch: the builder counts its room down and puts no more states into one than that. The
// sink's thread alone.

@safe package struct Batch: ~Copyable {
    /// Queue positions of the closed candles, one command each.
    package let closedPositions: MappedArray<Int>
    /// Receive times of the closed candles.
    let closedReceivedNs: MappedArray<UInt64>
    /// For each of these: nanoseconds from there until it stood in the ring.
    let closedParsedAfterNs: MappedArray<UInt32>
    /// Series whose newest state is written, grouped by interval.
    package let seriesIDs: MappedArray<UInt32>
    let seriesReceivedNs: MappedArray<UInt64>
    let seriesParsedAfterNs: MappedArray<UInt32>
    /// Per series: the state was a forming one that counts as a record.
    package let seriesWasForming: MappedArray<Bool>
    package var closedCount = 0
    package var seriesCount = 0
    package var hashCount = 0
    /// Where each HSET's series end in `seriesIDs`.
    private(set) var hashEnds = InlineArray<16, Int>(repeating: 0)
    package var publishCount = 0
    /// Rare, and empty otherwise.
    var asides: [Aside] = []
    /// Replies seen so far.
    var answered = 0
    var sentNs: UInt64 = 0
    /// When it was begun, and when the kernel had its last byte; until then, when the kernel had the newest piece of it.
    var takenNs: UInt64 = 0
    var writtenNs: UInt64 = 0
    /// Where it ends in the builder's bytes.
    var end = 0
    /// Of all batches of the sink, which one it is.
    var number = 0
    /// Each command has an ASKING before it, with a reply of its own; that of the next command has come.
    var isAsking = false
    var hasAsked = false
    /// Some command was answered "not now": the forming states go back into the table.
    var mustRetry = false

    package init(capacity: Int) {
        closedPositions = MappedArray(zeroed: capacity)
        closedReceivedNs = MappedArray(zeroed: capacity)
        closedParsedAfterNs = MappedArray(zeroed: capacity)
        seriesIDs = MappedArray(zeroed: capacity)
        seriesReceivedNs = MappedArray(zeroed: capacity)
        seriesParsedAfterNs = MappedArray(zeroed: capacity)
        seriesWasForming = MappedArray(zeroed: capacity)
    }

    /// In a cluster a message may be all that a batch has of a series.
    var candleCount: Int { max(closedCount + seriesCount, publishCount) }
    package var commandCount: Int { closedCount + hashCount + publishCount + asides.count }
    var isAnswered: Bool { answered == commandCount }

    package mutating func clear() {
        (closedCount, seriesCount, hashCount, publishCount, answered) = (0, 0, 0, 0, 0)
        (mustRetry, isAsking, hasAsked) = (false, false, false)
        if !asides.isEmpty { asides = [] }
    }

    mutating func endHash() {
        hashEnds[hashCount] = seriesCount
        hashCount += 1
    }

    /// The series of one HSET, as a range of `seriesIDs`.
    package func seriesRange(ofHash index: Int) -> Range<Int> { (index == 0 ? 0 : hashEnds[index - 1])..<hashEnds[index] }

    /// What the next reply answers.
    package enum Command: Equatable {
        case closed(Int)
        case hash(Int)
        case publish
        case aside(Int)
    }

    /// A command that the flow of candles does not bring about by itself.
    package enum Aside {
        /// The series' newest state is taken out of `latest:*`.
        case removal(Series)
        /// The merge script.
        case merge(MergeQueue.Run)
        /// What it does is published.
        case mergeUpdate
        /// The merge script for candles of one series that Redis has acknowledged before.
        case again([CandleRecord])
        /// The same for candles that another member of the group has written, or should have: what is there stays.
        case takeOver([CandleRecord])
        /// The holes of the series.
        case gaps(Series)
        /// It has had its answer for good.
        case settled
    }

    /// A message for whoever listens: nothing depends on it.
    func isPublish(_ command: Command) -> Bool {
        if case .aside(let index) = command, case .mergeUpdate = asides[index] { return true }
        return command == .publish
    }

    package func command(_ reply: Int) -> Command {
        if reply < closedCount { return .closed(reply) }
        if reply < closedCount + hashCount { return .hash(reply - closedCount) }
        let aside = reply - closedCount - hashCount - publishCount
        return aside < 0 ? .publish : .aside(aside)
    }
}
