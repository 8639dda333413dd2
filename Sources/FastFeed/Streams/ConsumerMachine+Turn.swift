// The consumer's machine: what is due. Pure.

extension ConsumerMachine {
    /// One turn. What it wants is carried out, or answered with `.lost`.
    /// - Parameter canSend: the shared connection takes commands.
    package mutating func turn(_ nowNs: UInt64, canSend: Bool) -> ConsumerTurn {
        self.nowNs = nowNs
        if canSend, nowNs >= pausedUntilNs, stage != .over {
            if hasGone, isWorking {
                // First, because only one renewal is under way at a time, and what is in hand of a group that is made is renewed with it.
                renewLeases()
                makeGroups()
            }
            sendReturns()
            sendVanished()
            sendBurials()
            if isWorking {
                sendRetries()
                renewLeases()
                if !hasGone {
                    clean()
                    askCounts()
                    recover()
                    claim()
                }
            } else if case .stopping = stage {
                renewLeases()
            }
            read()
        }
        settleEnd(canSend: canSend)
        underWay += out.commands.count
        defer { out = ConsumerTurn() }
        return out
    }

    private mutating func send(_ command: ConsumerCommand) { out.commands.append(command) }

    /// When a turn is due though nothing comes.
    package func dueNs(canSend: Bool) -> UInt64 {
        var due = UInt64.max
        switch stage {
        case .over: return .max
        case .stopping(let deadlineNs, let hardNs): due = nowNs < deadlineNs ? deadlineNs : hardNs
        case .working, .idle: break
        }
        // `onOpen` comes when a connection stands; one that is full has room after a moment.
        guard canSend else { return min(due, nowNs + .ns(ms: Limits.ackPauseMs)) }
        var wanted = UInt64.max
        if !returns.isEmpty || !vanished.isEmpty { wanted = nowNs }
        if !reasons.isEmpty, nowNs < buryAtNs { wanted = min(wanted, buryAtNs) }
        if !unsent.isEmpty { wanted = min(wanted, unsentSinceNs + .ns(ms: Limits.ackPauseMs)) }
        if hand.heldCount > 0 { wanted = min(wanted, nextLeaseNs) }
        if isWorking {
            wanted = min(wanted, nextRetryNs, nextCleanNs)
            if !isReadingShared, !isWaiting, room > 0 { wanted = min(wanted, nextClaimNs) }
        }
        if nowNs < pausedUntilNs { wanted = pausedUntilNs }
        // What this turn could not do waits for a reply, which brings the next turn.
        if wanted <= nowNs { wanted = nowNs + .ns(ms: Limits.ackPauseMs) }
        if isWorking, isReadingPaused { wanted = min(wanted, max(nextReadNs, pausedUntilNs)) }
        return min(due, wanted)
    }

    // MARK: Groups

    /// Makes what is gone, and puts back what is in hand of it: behind each other in one write.
    private mutating func makeGroups() {
        for key in tracks.indices where tracks[key].isGone && !tracks[key].isMaking {
            tracks[key].isMaking = true
            send(.makeGroup(key: key, seen: tracks[key].seen))
            let held = hand.numbers(.out, .retrying, .recording, .burying, .buried).filter { Int(hand[$0].key) == key }
            hold(held, .lease, key: key, putsBack: true)
        }
    }

    /// Sends the script that holds on to messages, in parts.
    private mutating func hold(_ slots: [Int], _ kind: ConsumerHold.Kind, key: Int, putsBack: Bool) {
        for start in stride(from: 0, to: slots.count, by: Limits.holdsPerScriptMax) {
            let items = slots[start..<min(start + Limits.holdsPerScriptMax, slots.count)].map { slot in
                let deliveries = Int(hand[slot].deliveries)
                return switch kind {
                case .lease, .giveBack: ConsumerHold.Item(slot: slot, id: hand[slot].id, deliveries: deliveries)
                case .again: ConsumerHold.Item(slot: slot, id: hand[slot].id, deliveries: deliveries + 1)
                case .stay: ConsumerHold.Item(slot: slot, id: hand[slot].id, deliveries: min(settings.maxDeliveries, .max - 1) + 1)
                }
            }
            if kind == .lease { leasesUnderWay += 1 }
            send(.hold(ConsumerHold(kind: kind, key: key, putsBack: putsBack, sentNs: nowNs, items: items)))
        }
    }

    /// Nobody can have taken it over: Redis has heard of it in time.
    func isLeaseWhole(_ slot: Int) -> Bool { nowNs < hand[slot].leaseNs + settings.claimAfterNs }

    /// The same for several messages, by stream and by whether their lease is whole.
    mutating func hold(_ slots: [Int], _ kind: ConsumerHold.Kind) {
        if settings.keyCount == 1 {
            hold(slots.filter(isLeaseWhole), kind, key: 0, putsBack: true)
            return hold(slots.filter { !isLeaseWhole($0) }, kind, key: 0, putsBack: false)
        }
        for (key, slots) in Dictionary(grouping: slots, by: { Int(hand[$0].key) }).sorted(by: { $0.key < $1.key }) {
            hold(slots.filter(isLeaseWhole), kind, key: key, putsBack: true)
            hold(slots.filter { !isLeaseWhole($0) }, kind, key: key, putsBack: false)
        }
    }

    // MARK: What is in hand

    /// Each third of the time after which others may take a message. What has come in the last quarter can wait for the next time; what is
    /// in a group that is gone, for the group (`makeGroups`).
    private mutating func renewLeases() {
        guard nowNs >= nextLeaseNs, leasesUnderWay == 0 else { return }
        nextLeaseNs = nowNs + settings.claimAfterNs / 3
        guard hand.heldCount > 0 else { return }
        let due = hand.numbers(.out, .retrying, .burying).filter {
            hand[$0].leaseNs + settings.claimAfterNs / 4 <= nowNs && !tracks[Int(hand[$0].key)].isGone
        }
        hold(due, .lease)
    }

    private mutating func sendRetries() {
        guard nowNs >= nextRetryNs else { return }
        let due = retries.filter { $0.value.atNs <= nowNs && hand.state($0.key) == .retrying }.keys.sorted { hand[$0].id < hand[$1].id }
        for slot in due { hand.move(slot, to: .recording) }
        hold(due, .again)
        setNextRetry()
    }

    mutating func setNextRetry() {
        nextRetryNs = retries.filter { hand.state($0.key) == .retrying }.map(\.value.atNs).min() ?? .max
    }

    private mutating func sendBurials() {
        guard !reasons.isEmpty, nowNs >= buryAtNs else { return }
        let due = hand.numbers(.burying)
        for slot in due {
            hand.move(slot, to: .buried)
            if settings.staysPending { continue }
            let held = hand[slot]
            send(
                .bury(key: Int(held.key), slot: slot, id: held.id, deliveries: Int(held.deliveries), reason: reasons[slot] ?? ""))
        }
        if settings.staysPending { hold(due, .stay) }
    }

    private mutating func sendReturns() {
        guard !returns.isEmpty else { return }
        for (key, items) in returns.sorted(by: { $0.key < $1.key }) where !items.isEmpty {
            for start in stride(from: 0, to: items.count, by: Limits.holdsPerScriptMax) {
                let part = Array(items[start..<min(start + Limits.holdsPerScriptMax, items.count)])
                send(.hold(ConsumerHold(kind: .giveBack, key: key, putsBack: false, sentNs: nowNs, items: part)))
            }
        }
        returns = [:]
    }

    private mutating func sendVanished() {
        guard !vanished.isEmpty else { return }
        for (key, ids) in vanished.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: ids.count, by: Limits.streamIDsPerCommand) {
                send(.ackVanished(key: key, ids: Array(ids[start..<min(start + Limits.streamIDsPerCommand, ids.count)])))
            }
        }
        vanished = [:]
    }

    private var areAcksDue: Bool {
        guard !unsent.isEmpty else { return false }
        return unsent.count >= worthwhile || nowNs >= unsentSinceNs + .ns(ms: Limits.ackPauseMs) || !isWorking
    }

    private mutating func sendAcks() {
        guard !unsent.isEmpty else { return }
        if settings.keyCount == 1 {
            sendAcks(0, unsent)
        } else {
            for (key, slots) in Dictionary(grouping: unsent, by: { Int(hand[$0].key) }).sorted(by: { $0.key < $1.key }) {
                sendAcks(key, slots)
            }
        }
        unsent.removeAll(keepingCapacity: true)
    }

    private mutating func sendAcks(_ key: Int, _ slots: [Int]) {
        for start in stride(from: 0, to: slots.count, by: Limits.streamIDsPerCommand) {
            let part =
                slots.count <= Limits.streamIDsPerCommand
                ? slots : Array(slots[start..<min(start + Limits.streamIDsPerCommand, slots.count)])
            var forgiven = 0
            let ids = part.map { slot in
                hand.move(slot, to: .acked)
                if hand[slot].isForgiven { forgiven += 1 }
                return hand[slot].id
            }
            send(.ack(key: key, ids: ids, slots: part, forgiven: forgiven))
        }
    }

    // MARK: Looking for more

    /// The next page of what is this consumer's already, one stream after the other.
    private mutating func recover() {
        while isRecovering {
            guard let key = tracks.firstIndex(where: { $0.phase != .ready }) else { return isRecovering = false }
            guard !tracks[key].isAsking, tracks[key].fetching == 0, tracks[key].arrived.isEmpty else { return }
            switch tracks[key].phase {
            case .ready: return
            case .history(let after):
                let count = min(room, Limits.claimPageMax)
                guard count > 0 else { return }
                tracks[key].isAsking = true
                tracks[key].reserved += count
                tracks[key].areCountsAsked = true
                send(.history(key: key, after: after, count: count))
                send(.counts(key: key, from: after.next, through: .max, count: count))
                return
            case .search(let after):
                if !tracks[key].toFetch.isEmpty { return fetch(key) }
                tracks[key].fetchesAlone = false
                if after == .max {
                    tracks[key].phase = .ready
                    continue
                }
                // No more than is fetched at once: nobody renews the lease of what waits for that.
                let count = min(room, Limits.claimPageMax)
                guard count > 0 else { return }
                tracks[key].isAsking = true
                return send(.assigned(key: key, after: after, count: count))
            }
        }
    }

    private mutating func fetch(_ key: Int) {
        let count = min(room, tracks[key].fetchesAlone ? 1 : Limits.fetchesAtOnceMax, tracks[key].toFetch.count)
        guard count > 0 else { return }
        tracks[key].isFetchedAlone = count == 1
        for row in tracks[key].toFetch.prefix(count) { send(.fetch(key: key, row: row)) }
        tracks[key].toFetch.removeFirst(count)
        tracks[key].fetching += count
        tracks[key].reserved += count
    }

    /// How often what was taken over was delivered.
    private mutating func askCounts() {
        for key in tracks.indices where !tracks[key].arrived.isEmpty && !tracks[key].areCountsAsked {
            let ids = tracks[key].arrived.map(\.id)
            tracks[key].areCountsAsked = true
            // Other messages in hand may lie between them.
            let count = ids.count + hand.heldCount + hand.ackCount
            send(.counts(key: key, from: ids.min() ?? .min, through: ids.max() ?? .max, count: count))
        }
    }

    /// Messages that nobody holds.
    private mutating func claim() {
        guard !isRecovering, nowNs >= nextClaimNs, room > 0, !isReadingShared, !isWaiting, !isLooking else { return }
        nextClaimNs = nowNs + claimPeriodNs
        let each = max(1, min(Limits.claimPageMax, room / settings.keyCount))
        for _ in 0..<min(settings.keyCount, max(1, room / each)) {
            let key = nextClaimKey
            nextClaimKey = (nextClaimKey + 1) % settings.keyCount
            tracks[key].isClaiming = true
            tracks[key].reserved += each
            send(.claim(key: key, from: tracks[key].cursor, count: each))
        }
    }

    /// What nobody holds is asked for, or has come and waits for its counts.
    private var isLooking: Bool { tracks.contains { $0.isClaiming || !$0.arrived.isEmpty } }

    private mutating func clean() {
        guard nowNs >= nextCleanNs else { return }
        nextCleanNs = nowNs + max(settings.forgetAfterNs / 6, 10_000_000)
        for key in tracks.indices { send(.clean(key: key)) }
    }

    // MARK: Reading

    /// The next read, if there is room that is worth it, and the acknowledgements: with it, or when their time has come.
    private mutating func read() {
        let areAcksDue = areAcksDue
        let isReading = isWorking && !hasGone && !isRecovering && !isReadingShared && !isWaiting && !isReadingPaused
        if isReading, looksFirst { looksFirst = nowNs >= nextClaimNs || isLooking }
        guard isReading, !looksFirst, hand.ackCount <= Limits.acksOwedMax + settings.prefetch else {
            if areAcksDue { sendAcks() }
            return
        }
        let room = room
        if isDrained, room - hand.ackCount > 0 {
            // The look may find that the next one is due at once, and a read that waits would be in its way.
            if tracks.contains(where: \.isClaiming) {
                if areAcksDue { sendAcks() }
                return
            }
            // On the other connection: what is acknowledged here may be so only after that read.
            let count = max(1, min(Limits.streamPageEntries, (room - hand.ackCount) / settings.keyCount))
            let untilClaimMs = nextClaimNs > nowNs ? Int((nextClaimNs - nowNs) / 1_000_000) + 1 : 1
            isWaiting = true
            readReserved = count * settings.keyCount
            out.read = .fresh(count: count, blockMs: min(Limits.streamBlockMs, untilClaimMs))
            return sendAcks()
        }
        let isWorthIt = room >= worthwhile || areAcksDue || hand.heldCount == 0
        if room > 0, isWorthIt, !isDrained || !unsent.isEmpty {
            sendAcks()
            let count = max(1, min(Limits.streamPageEntries, room / settings.keyCount))
            isReadingShared = true
            readReserved = count * settings.keyCount
            send(.fresh(count: count, blockMs: nil))
        } else if areAcksDue {
            sendAcks()
        }
    }

    // MARK: The end

    /// Gives up the name once nothing is in hand, and sees when all is done.
    private mutating func settleEnd(canSend: Bool) {
        let isQuiet = !isWaiting && underWay == 0 && out.commands.isEmpty && returns.isEmpty && unsent.isEmpty && !out.withdrawsAll
        switch stage {
        case .working, .over: return
        case .idle:
            if isQuiet, hand.isEmpty { forget(canSend: canSend) }
        case .stopping(let deadlineNs, let hardNs):
            if nowNs >= hardNs { return end() }
            guard isQuiet, hand.isEmpty || nowNs >= deadlineNs else { return }
            if isForgotten || (!canSend && nowNs >= deadlineNs) { end() } else { forget(canSend: canSend) }
        }
    }

    private mutating func forget(canSend: Bool) {
        guard canSend, !isForgotten else { return }
        isForgotten = true
        for key in tracks.indices { send(.forget(key: key)) }
    }

    private mutating func end() {
        stage = .over
        out.isOver = true
        out.error = error
    }
}
