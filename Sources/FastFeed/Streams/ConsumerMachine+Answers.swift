// The consumer's machine: what Redis has answered. Pure.

extension ConsumerMachine {
    /// The answer to a command, in the order in which they were sent on each connection.
    package mutating func answered(_ command: ConsumerCommand, _ answer: ConsumerAnswer, _ nowNs: UInt64) {
        self.nowNs = nowNs
        if case .fresh(_, .some) = command {} else { underWay = max(0, underWay - 1) }
        switch answer {
        case .lost: undo(command, isLost: true)
        case .failed(let error): failed(command, error)
        case .strange: strange(command)
        default:
            if !taken(command, answer) { strange(command) } else if !strange.isEmpty { strange[command.word] = nil }
        }
    }

    /// A connection is lost; what was under way on it has been answered with `.lost`.
    package mutating func lost(_ nowNs: UInt64) {
        self.nowNs = nowNs
        counters.interruptions += 1
        isDrained = false
    }

    // MARK: What it means

    /// False for an answer that this command cannot have.
    private mutating func taken(_ command: ConsumerCommand, _ answer: ConsumerAnswer) -> Bool {
        switch (command, answer) {
        case (.ack(_, let ids, let slots, let forgiven), .count(let count)):
            let count = min(max(0, count), ids.count)
            let missing = ids.count - count
            counters.acked += UInt64(count + min(missing, forgiven))
            counters.ackMisses += UInt64(max(0, missing - forgiven))
            for slot in slots { drop(slot) }
        case (.ackVanished(_, let ids), .count(let count)): counters.vanished += UInt64(min(max(0, count), ids.count))
        case (.fresh(let count, let blockMs), .pages(let pages)): takeFresh(pages, asked: count, isWaiting: blockMs != nil)
        case (.history(let key, _, _), .pages(let pages)):
            know(key)
            takeHistory(key, pages.first?.page)
        case (.assigned(let key, _, let count), .rows(let rows)):
            know(key)
            takeAssigned(key, rows, asked: count)
        case (.counts(let key, _, _, _), .rows(let rows)): takeCounts(key, rows)
        case (.fetch(let key, let row), .pages(let pages)): takeFetched(key, row, pages.first?.page ?? ConsumerPage())
        case (.claim(let key, _, let count), .claimed(let cursor, let page, let unnamed)):
            know(key)
            takeClaimed(key, cursor, page, unnamed: unnamed, asked: count)
        case (.hold(let hold), .codes(let codes)):
            guard codes.count == hold.items.count else { return false }
            takeHeld(hold, codes)
        case (.bury(_, let slot, _, _, _), .count(let code)): takeBuried(slot, code)
        case (.makeGroup(let key, _), .count(let count)):
            if count > 0, tracks[key].isKnown { counters.groupsMade += 1 }
            (tracks[key].isGone, tracks[key].isMaking, tracks[key].isKnown) = (false, false, true)
            hasGone = tracks.contains(where: \.isGone)
            isDrained = false
        case (.forget, .count), (.clean, .count): break
        default: return false
        }
        return true
    }

    private mutating func know(_ key: Int) { tracks[key].isKnown = true }

    private mutating func takeFresh(_ pages: [(key: Int, page: ConsumerPage)], asked: Int, isWaiting: Bool) {
        endRead(isWaiting)
        backoff.succeeded()
        isDrained = true
        if settings.keyCount == 1 { know(0) }
        for (key, page) in pages where tracks.indices.contains(key) {
            know(key)
            if page.count >= asked { isDrained = false }
            // A group may have been set back: then what is in hand comes once more.
            let (seen, first) = (tracks[key].seen, page.entries.first?.id ?? .max)
            let inHand = seen.map { $0 >= first } ?? false ? hand.ids(of: key) : []
            for entry in page.entries where inHand.isEmpty || !inHand.contains(entry.id) {
                receive(entry, key: key, deliveries: 1)
            }
            takeOthers(key, page, inHand, deliveries: 1)
            if let last = page.last { see(key, last) }
        }
        out.hasBacklog = !isDrained
        if settings.keyCount >= Limits.vainKeysMin { pauseReading(pages, asked: asked) }
    }

    /// Where a message has ended a read of many streams, more is about to come; unless some stream has a backlog: all that was asked for,
    /// twice in a row.
    private mutating func pauseReading(_ pages: [(key: Int, page: ConsumerPage)], asked: Int) {
        let vain = settings.keyCount - pages.count { $0.page.count > 0 }
        let full = Set(pages.lazy.filter { $0.page.count >= asked }.map(\.key))
        let isBacklog = !full.isDisjoint(with: fullKeys)
        fullKeys = full
        if vain < settings.keyCount, vain >= Limits.vainKeysMin, !isBacklog { nextReadNs = nowNs + UInt64(vain) * Limits.vainKeyPauseNs }
    }

    mutating func endRead(_ isWaitingRead: Bool) {
        if isWaitingRead { isWaiting = false } else { isReadingShared = false }
        readReserved = 0
    }

    /// What a page has besides entries.
    private mutating func takeOthers(_ key: Int, _ page: ConsumerPage, _ inHand: Set<StreamID>, deliveries: Int) {
        if !page.vanished.isEmpty { vanished[key, default: []] += page.vanished.filter { !inHand.contains($0) } }
        for id in page.unreadable where !inHand.contains(id) { takeUnreadable(key, id, deliveries: deliveries) }
        if !page.leftOut.isEmpty { search(key) }
    }

    private mutating func takeUnreadable(_ key: Int, _ id: StreamID, deliveries: Int) {
        let reason = "a field of more than \(Limits.streamStringBytesMax) bytes, or not pairs of fields"
        buryUnread(id, key: key, deliveries: deliveries, reason)
    }

    // MARK: One's own

    private mutating func takeHistory(_ key: Int, _ page: ConsumerPage?) {
        guard case .history(let after) = tracks[key].phase else { return }
        tracks[key].isAsking = false
        guard let page, let last = page.last else {
            tracks[key].phase = tracks[key].isStale ? .search(after: .min) : .ready
            (tracks[key].reserved, tracks[key].isStale) = (0, false)
            return
        }
        let inHand = hand.ids(of: key)
        tracks[key].phase = .history(after: max(last, after))
        tracks[key].arrived = page.entries.filter { !inHand.contains($0.id) }
        see(key, last)
        if !page.leftOut.isEmpty { tracks[key].phase = .search(after: .min) }
        takeOthers(key, page, inHand, deliveries: 1)
    }

    private mutating func takeCounts(_ key: Int, _ rows: [PendingRow]) {
        let arrived = tracks[key].takeArrived()
        guard !arrived.isEmpty else { return }
        let counts = Dictionary(rows.map { ($0.id, $0.deliveries) }, uniquingKeysWith: max)
        let inHand = hand.ids(of: key)
        var isAnyMissing = false
        for entry in arrived where !inHand.contains(entry.id) {
            if let count = counts[entry.id] { receive(entry, key: key, deliveries: count) } else { isAnyMissing = true }
        }
        // Somebody else's by now, or behind the answer's end: then the look for one's own finds it, with its count.
        if isAnyMissing { search(key) }
    }

    private mutating func takeAssigned(_ key: Int, _ rows: [PendingRow], asked: Int) {
        let isStale = tracks[key].endSearch()
        guard case .search = tracks[key].phase else { return }
        // More may have been assigned meanwhile; and for whom nobody waits now may be somebody else's when it is fetched.
        guard isWorking, !isStale else { return tracks[key].phase = .search(after: .min) }
        let inHand = hand.ids(of: key)
        let waiting = Set((returns[key] ?? []).map(\.id)).union(vanished[key] ?? [])
        // Of those that are to stay pending none is delivered.
        tracks[key].toFetch = rows.filter { row in
            !inHand.contains(row.id) && !waiting.contains(row.id) && !(settings.staysPending && row.deliveries > settings.maxDeliveries)
        }
        tracks[key].phase = .search(after: rows.count < asked ? .max : rows.map(\.id).max() ?? .max)
    }

    private mutating func takeFetched(_ key: Int, _ row: PendingRow, _ page: ConsumerPage) {
        tracks[key].endFetch()
        guard !hand.ids(of: key).contains(row.id) else { return }
        if let entry = page.entries.first {
            see(key, entry.id)
            receive(entry, key: key, deliveries: row.deliveries)
        } else if !page.leftOut.isEmpty {
            if tracks[key].isFetchedAlone {
                buryUnread(row.id, key: key, deliveries: row.deliveries, "more than \(Limits.streamReplyBytesMax) bytes in all")
            } else if isWorking {
                // The whole answer was too long; by itself it comes.
                tracks[key].fetchesAlone = true
                reinsert(key, row)
            } else {
                giveBack(key, row.id, row.deliveries - 1)
            }
        } else if !page.unreadable.isEmpty {
            takeUnreadable(key, row.id, deliveries: row.deliveries)
        } else {
            vanished[key, default: []].append(row.id)
        }
    }

    // MARK: Others'

    private mutating func takeClaimed(_ key: Int, _ cursor: StreamID, _ page: ConsumerPage, unnamed: Int, asked: Int) {
        tracks[key].endClaim()
        tracks[key].cursor = cursor
        // Redis has acknowledged these itself.
        counters.vanished += UInt64(page.vanished.count)
        let inHand = hand.ids(of: key)
        let arrived = page.entries.filter { !inHand.contains($0.id) }
        counters.claimed += UInt64(arrived.count)
        if let last = page.last { see(key, last) }
        for id in page.unreadable where !inHand.contains(id) { takeUnreadable(key, id, deliveries: 1) }
        if isWorking {
            tracks[key].arrived = arrived
            tracks[key].reserved = arrived.count
            // There may be more behind these.
            if page.count >= asked {
                nextClaimNs = min(nextClaimNs, nowNs)
            } else if cursor != .min {
                // One look passes some of those that are held, not all.
                nextClaimNs = min(nextClaimNs, nowNs + .ns(ms: Limits.claimOnMs))
            }
        } else {
            // How often they were delivered is not known: once at least.
            for entry in arrived { giveBack(key, entry.id, 1) }
        }
        // These are found by their ids.
        if unnamed > 0 || !page.leftOut.isEmpty { search(key) }
    }

    // MARK: In hand

    private mutating func takeHeld(_ hold: ConsumerHold, _ codes: [Int]) {
        if hold.kind == .lease { leasesUnderWay = max(0, leasesUnderWay - 1) }
        for (item, code) in zip(hold.items, codes) where item.slot >= 0 && hand[item.slot].id == item.id {
            let state = hand.state(item.slot)
            switch hold.kind {
            case .giveBack: break
            case .lease: takeLease(item.slot, state, code, hold)
            case .again:
                if state == .recording { takeAgain(item, code, hold) }
            case .stay:
                guard state == .buried else { continue }
                if code == ConsumerScripts.HoldCode.ours { counters.buried += 1 } else { counters.ackMisses += 1 }
                out.gone.append(GoneMessage(key: hold.key, id: item.id))
                drop(item.slot)
            }
        }
        if hold.kind == .again { setNextRetry() }
    }

    private mutating func takeLease(_ slot: Int, _ state: ConsumerHand.State, _ code: Int, _ hold: ConsumerHold) {
        guard state != .free else { return }
        switch code {
        case ConsumerScripts.HoldCode.ours: hand.renew(slot, hold.sentNs)
        // Its entry was trimmed, or the stream is a new one: what is in hand is finished.
        case ConsumerScripts.HoldCode.trimmed: hand.forgive(slot)
        case ConsumerScripts.HoldCode.missing where hold.putsBack: hand.forgive(slot)
        default: takenOver(slot, state)
        }
    }

    /// Somebody else has it, or has had it: this consumer was away for too long.
    private mutating func takenOver(_ slot: Int, _ state: ConsumerHand.State) {
        switch state {
        // Whether a task has it already, the agent knows.
        case .out: out.withdrawn.append(slot)
        case .retrying, .recording: loseRetry(slot)
        case .free, .burying, .buried, .acking, .acked: break
        }
    }

    private mutating func loseRetry(_ slot: Int) {
        out.gone.append(GoneMessage(key: Int(hand[slot].key), id: hand[slot].id))
        counters.ackMisses += 1
        drop(slot)
    }

    private mutating func takeAgain(_ item: ConsumerHold.Item, _ code: Int, _ hold: ConsumerHold) {
        guard let entry = retries[item.slot]?.entry else { return }
        switch code {
        case ConsumerScripts.HoldCode.ours: hand.renew(item.slot, hold.sentNs)
        case ConsumerScripts.HoldCode.trimmed: hand.forgive(item.slot)
        case ConsumerScripts.HoldCode.missing where hold.putsBack: hand.forgive(item.slot)
        default: return loseRetry(item.slot)
        }
        hand.setDeliveries(item.slot, item.deliveries)
        retries[item.slot] = nil
        guard isWorking else {
            giveBack(Int(hand[item.slot].key), item.id, item.deliveries - 1)
            return drop(item.slot)
        }
        hand.move(item.slot, to: .out)
        counters.retried += 1
        out.deliveries.append(ConsumerDelivery(entry: entry, slot: item.slot, deliveries: item.deliveries))
    }

    private mutating func takeBuried(_ slot: Int, _ code: Int) {
        buryBackoff.succeeded()
        guard hand.state(slot) == .buried else { return }
        switch code {
        case ConsumerScripts.HoldCode.ours: counters.buried += 1
        case ConsumerScripts.HoldCode.trimmed: counters.vanished += 1
        // Sent before, and not answered: then it was done.
        case ConsumerScripts.HoldCode.missing where hand[slot].isForgiven: counters.buried += 1
        // Nobody can have taken it over: its group must have been made anew. It is put back and buried once more.
        case ConsumerScripts.HoldCode.missing where isLeaseWhole(slot):
            hand.forgive(slot)
            hand.move(slot, to: .burying)
            return hold([slot], .lease)
        default: counters.ackMisses += 1
        }
        out.gone.append(GoneMessage(key: Int(hand[slot].key), id: hand[slot].id))
        drop(slot)
    }
}
