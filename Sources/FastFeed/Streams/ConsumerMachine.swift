// What a consumer does next: events come in, what is to be sent and handed out comes out. Pure: no socket, no clock, no thread; one owner
// (`ConsumerAgent`). Tests drive it by hand.
//
// It promises: what was assigned to it is handed out, given back, buried or acknowledged, whatever is lost in between; what is in hand is
// not handed out a second time; nothing is forgotten before Redis has answered. Bounds: `prefetch` in hand (with several streams one more
// of each), `Limits.acksOwedMax` acknowledgements that are not answered; nothing grows with what has passed through.
//
// The streams are numbers here. Errors that pass are waited for; others end it, after what it has in hand was given back.

package struct ConsumerMachine: Sendable {
    package struct Settings: Sendable {
        package var keyCount = 1
        package var prefetch = 100
        package var claimAfterNs: UInt64 = 60_000_000_000
        package var maxDeliveries = 5
        /// Dead letters stay pending.
        package var staysPending = false
        /// Somebody of this name may have been here before.
        package var isNamed = false
        package var forgetAfterNs: UInt64 = 3_600_000_000_000
        package var seed: UInt64 = 1

        package init() {}
    }

    package enum Stage: Equatable, Sendable {
        /// Nobody takes messages.
        case idle
        case working
        case stopping(deadlineNs: UInt64, hardNs: UInt64)
        case over
    }

    /// What is known of one stream.
    struct Track: Sendable {
        enum Phase: Equatable, Sendable {
            /// What somebody of this name had before comes first: behind this id.
            case history(after: StreamID)
            /// What was assigned and may not have arrived is looked for: behind this id.
            case search(after: StreamID)
            case ready
        }

        var phase = Phase.ready
        /// A page of the phase is under way; and what it brings is to be asked once more, from the beginning.
        var isAsking = false, isStale = false
        /// The last id that has come.
        var seen: StreamID?
        /// The group has been there.
        var isKnown = false
        /// It is not there any more, or not yet; and it is being made.
        var isGone = false, isMaking = false
        /// Where the look for messages that nobody holds goes on.
        var cursor = StreamID.min
        var isClaiming = false
        /// Came, and it is not known how often it was delivered before; and that has been asked.
        var arrived: [StreamEntry] = []
        var areCountsAsked = false
        /// Assigned, and to be fetched one by one.
        var toFetch: [PendingRow] = []
        var fetching = 0
        /// Together they did not fit a reply: one at a time. And the one that is under way is the only one.
        var fetchesAlone = false, isFetchedAlone = false
        /// Room that is kept for what is under way.
        var reserved = 0

        /// The look for what was assigned has ended.
        /// - Returns: whether it is to begin anew.
        mutating func endSearch() -> Bool {
            defer { (isAsking, isStale) = (false, false) }
            return isStale
        }

        /// The question how often they were delivered has ended.
        mutating func takeArrived() -> [StreamEntry] {
            defer { (arrived, areCountsAsked, reserved) = ([], false, 0) }
            return arrived
        }

        mutating func endFetch() { (fetching, reserved) = (max(0, fetching - 1), max(0, reserved - 1)) }
        mutating func endClaim() { (isClaiming, reserved) = (false, 0) }
    }

    let settings: Settings
    package internal(set) var stage = Stage.idle
    package internal(set) var hand = ConsumerHand()
    var tracks: [Track]
    package internal(set) var counters = ConsumerCounters()
    var out = ConsumerTurn()
    var nowNs: UInt64 = 0

    /// Acknowledged and not sent yet, and since when.
    var unsent: [Int] = []
    var unsentSinceNs: UInt64 = 0
    /// By slot: messages that wait for another attempt.
    var retries: [Int: (atNs: UInt64, entry: StreamEntry)] = [:]
    var nextRetryNs = UInt64.max
    /// By slot: why a message goes to the dead letters.
    var reasons: [Int: String] = [:]
    /// What goes back, by stream.
    var returns: [Int: [ConsumerHold.Item]] = [:]
    /// Pending ids without entries, by stream.
    var vanished: [Int: [StreamID]] = [:]

    /// Reads that are under way: on the shared connection, and the one that waits.
    var isReadingShared = false, isWaiting = false
    var readReserved = 0
    /// The last read brought less than it asked for: the next one may wait.
    var isDrained = false
    /// The next read waits until then, for more of what has just begun to come: a read of many streams costs Redis as much for one message
    /// as for one of each.
    var nextReadNs: UInt64 = 0
    /// Of many streams those of which the last read brought all that it asked for.
    var fullKeys: Set<Int> = []
    /// Some stream is not `.ready`; some group is not there.
    var isRecovering: Bool
    var hasGone = false
    /// Commands on the shared connection that are not answered.
    var underWay = 0
    var leasesUnderWay = 0
    /// The name has been given up in all streams, or that has been asked.
    var isForgotten = false

    var startedNs: UInt64?
    var nextLeaseNs: UInt64 = 0, nextClaimNs: UInt64 = 0, nextCleanNs: UInt64 = 0
    var nextClaimKey = 0
    var pausedUntilNs: UInt64 = 0
    var backoff: Backoff
    /// Dead letters need memory that the rest does not: they wait by themselves.
    var buryAtNs: UInt64 = 0
    var buryBackoff: Backoff
    /// What was given back comes before what is new: nothing is read before that was looked for.
    var looksFirst = false
    /// Answers in a row that are none, by command, and when the last came.
    var strange: [String: (count: Int, atNs: UInt64)] = [:]
    /// When a group was last found gone.
    var lastGoneNs: UInt64 = 0
    package internal(set) var error: StreamError?

    package init(_ settings: Settings) {
        self.settings = settings
        var track = Track()
        if settings.isNamed { track.phase = .history(after: .min) }
        tracks = Array(repeating: track, count: settings.keyCount)
        isRecovering = settings.isNamed
        backoff = Backoff(Limits.streamBackoffMs, seed: settings.seed)
        buryBackoff = Backoff(Limits.streamBackoffMs, seed: settings.seed)
    }

    var isWorking: Bool { stage == .working }
    var isReadingPaused: Bool { nowNs < nextReadNs }
    /// The thread comes by itself: a read is answered soon, or its pause ends.
    package var isTurnNear: Bool { isReadingShared || isReadingPaused }
    private var leasePeriodNs: UInt64 { settings.claimAfterNs / 3 }
    var claimPeriodNs: UInt64 { min(settings.claimAfterNs / 4, .ns(ms: Limits.claimPauseMs)) }
    /// Acknowledgements that go out without waiting for more; room that is worth a read.
    var worthwhile: Int { min(Limits.acksPerFlushMax, max(1, settings.prefetch / 2)) }
    /// How many messages may still come.
    var room: Int { settings.prefetch - hand.heldCount - readReserved - tracks.reduce(0) { $0 + $1.reserved } }

    // MARK: Events

    /// Tasks take messages, or none does any more: then what waits goes back.
    package mutating func want(_ isWanted: Bool, _ nowNs: UInt64) {
        self.nowNs = nowNs
        switch (stage, isWanted) {
        case (.idle, true):
            stage = .working
            isForgotten = false
            if startedNs == nil {
                startedNs = nowNs
                nextLeaseNs = nowNs + leasePeriodNs
                nextCleanNs = nowNs + settings.forgetAfterNs / 6
            }
            // What was given back in between comes first.
            nextClaimNs = nowNs
            looksFirst = true
        case (.working, false):
            stage = .idle
            letGo()
        default: break
        }
    }

    /// The end: messages that tasks have may still be finished until then.
    package mutating func stop(_ deadlineNs: UInt64, _ nowNs: UInt64) {
        self.nowNs = nowNs
        switch stage {
        case .idle, .working: break
        case .stopping, .over: return
        }
        // Whoever may not end a read that waits waits for its end: what it brings would be lost for long.
        let readMs = isWaiting ? Limits.stopReadMs : 0
        stage = .stopping(deadlineNs: deadlineNs, hardNs: max(deadlineNs, nowNs + .ns(ms: readMs)) + .ns(ms: Limits.stopGraceMs))
        pausedUntilNs = min(pausedUntilNs, nowNs + .ns(ms: Limits.stopPauseMs))
        letGo()
    }

    /// Nothing can be done about an error: what is in hand goes back, then this is over.
    mutating func fail(_ error: StreamError) {
        if self.error == nil { self.error = error }
        stop(nowNs, nowNs)
    }

    /// Gives back what no task has.
    private mutating func letGo() {
        isForgotten = false
        if isWaiting { out.unblocks = true }
        out.withdrawsAll = true
        // What is on its way to the tasks is not with them.
        for delivery in out.deliveries { giveBack(delivery.slot, undone: 1) }
        out.deliveries = []
        for slot in hand.numbers(.retrying) { giveBack(slot, undone: 0) }
        for key in tracks.indices {
            for row in tracks[key].toFetch { giveBack(key, row.id, row.deliveries - 1) }
            tracks[key].toFetch = []
            // What has been asked is answered soon, and goes back then. How often the rest was delivered nobody asks any more: once at
            // least.
            guard !tracks[key].areCountsAsked else { continue }
            for entry in tracks[key].arrived { giveBack(key, entry.id, 1) }
            tracks[key].reserved = max(0, tracks[key].reserved - tracks[key].arrived.count)
            tracks[key].arrived = []
        }
    }

    /// - Parameter undone: deliveries that have not happened.
    mutating func giveBack(_ slot: Int, undone: Int) {
        let held = hand[slot]
        giveBack(Int(held.key), held.id, Int(held.deliveries) - undone)
        drop(slot)
    }

    mutating func giveBack(_ key: Int, _ id: StreamID, _ deliveries: Int) {
        returns[key, default: []].append(.init(slot: -1, id: id, deliveries: max(0, deliveries)))
    }

    /// Takes a message out of the hand.
    mutating func drop(_ slot: Int) {
        retries[slot] = nil
        reasons[slot] = nil
        hand.remove(slot)
    }

    // MARK: What tasks say

    package mutating func acknowledge(_ slots: [Int32], _ nowNs: UInt64) {
        self.nowNs = nowNs
        if unsent.isEmpty { unsentSinceNs = nowNs }
        for slot in slots {
            guard hand.state(Int(slot)) == .out else { continue }
            hand.move(Int(slot), to: .acking)
            unsent.append(Int(slot))
        }
    }

    package mutating func settle(_ slot: Int, _ outcome: ConsumerOutcome, _ nowNs: UInt64) {
        self.nowNs = nowNs
        guard hand.state(slot) == .out else { return }
        switch outcome {
        case .returned: isWorking ? bringAgain(slot) : giveBack(slot, undone: 1)
        case .reject(let reason): bury(slot, reason)
        case .retry(let afterNs, let reason, let entry):
            let deliveries = Int(hand[slot].deliveries)
            if deliveries >= settings.maxDeliveries {
                bury(slot, "delivered \(deliveries) times; the last time: \(reason)")
            } else if isWorking {
                hand.move(slot, to: .retrying)
                let atNs = nowNs + min(afterNs, 1 << 62)
                retries[slot] = (atNs, entry)
                nextRetryNs = min(nextRetryNs, atNs)
            } else {
                giveBack(slot, undone: 0)
            }
        }
    }

    /// A message that came back without need: the look for what nobody holds brings it again.
    private mutating func bringAgain(_ slot: Int) {
        giveBack(slot, undone: 1)
        nextClaimNs = min(nextClaimNs, nowNs)
    }

    /// A message that was withdrawn before a task had it.
    package mutating func withdrawn(_ slot: Int) {
        guard hand.state(slot) == .out else { return }
        drop(slot)
        counters.ackMisses += 1
    }

    mutating func bury(_ slot: Int, _ reason: String) {
        hand.move(slot, to: .burying)
        reasons[slot] = reason
    }

    // MARK: What comes

    /// A message has come that is not in hand.
    mutating func receive(_ entry: StreamEntry, key: Int, deliveries: Int) {
        // It need not be fetched any more, nor goes back what has come again.
        if !tracks[key].toFetch.isEmpty { tracks[key].toFetch.removeAll { $0.id == entry.id } }
        if !returns.isEmpty { returns[key]?.removeAll { $0.id == entry.id } }
        guard deliveries <= settings.maxDeliveries else { return refuse(entry.id, key: key, deliveries: deliveries) }
        guard isWorking else { return giveBack(key, entry.id, deliveries - 1) }
        let slot = hand.add(entry.id, key: key, deliveries: deliveries, leaseNs: nowNs)
        counters.received += 1
        out.deliveries.append(ConsumerDelivery(entry: entry, slot: slot, deliveries: deliveries))
    }

    /// A message that was delivered too often comes once more.
    private mutating func refuse(_ id: StreamID, key: Int, deliveries: Int) {
        if settings.staysPending {
            // Each look counts up: the first of them all counts it.
            if deliveries == settings.maxDeliveries + 1 { counters.buried += 1 }
            return
        }
        buryUnread(id, key: key, deliveries: deliveries - 1, "delivered \(deliveries - 1) times, and never answered")
    }

    /// For the dead letters without having been handed out.
    mutating func buryUnread(_ id: StreamID, key: Int, deliveries: Int, _ reason: String) {
        let slot = hand.add(id, key: key, deliveries: deliveries, leaseNs: nowNs, state: .burying)
        reasons[slot] = reason
    }

    mutating func see(_ key: Int, _ id: StreamID) {
        tracks[key].seen = max(tracks[key].seen ?? .min, id)
    }

    /// What is assigned in a stream, or in all, may not have arrived.
    package mutating func search(_ key: Int) {
        if case .history = tracks[key].phase {
            // Behind it.
            tracks[key].isStale = true
            return
        }
        // What is under way was asked before.
        if tracks[key].isAsking { tracks[key].isStale = true }
        tracks[key].phase = .search(after: .min)
        tracks[key].toFetch = []
        isRecovering = true
    }

    /// To be fetched again, in its place.
    mutating func reinsert(_ key: Int, _ row: PendingRow) {
        let place = tracks[key].toFetch.firstIndex { $0.id > row.id } ?? tracks[key].toFetch.endIndex
        tracks[key].toFetch.insert(row, at: place)
    }

    /// One pause for all that was sent together.
    mutating func pause() {
        guard nowNs >= pausedUntilNs else { return }
        var delayNs = backoff.nextDelayNs()
        if case .stopping = stage { delayNs = min(delayNs, .ns(ms: Limits.stopPauseMs)) }
        pausedUntilNs = nowNs + delayNs
    }
}
