// The consumer's machine: what was refused, lost, or answered with what is not an answer. Pure.

extension ConsumerMachine {
    mutating func failed(_ command: ConsumerCommand, _ error: StreamError) {
        switch command {
        // Nice to have.
        case .forget, .clean: return
        default: break
        }
        switch error {
        // A stream of another type only where several are read: it is not said which one it is about, and making their groups finds it.
        case .noSuchGroup, .noSuchStream,
            .notAStream where command.key == nil && tracks.count > 1:
            for key in tracks.indices where command.key ?? key == key { goneMissing(key) }
            // Made and gone again at once: not in circles without a pause.
            if case .makeGroup = command { pause() }
            undo(command, isLost: false, isRefused: true)
        case _ where error.isPassing:
            if case .bury = command { pauseBurials() } else { pause() }
            undo(command, isLost: false)
        default:
            undo(command, isLost: false, isRefused: true)
            fail(error)
            dropWhatCannotBe()
        }
    }

    private mutating func pauseBurials() {
        if nowNs >= buryAtNs { buryAtNs = nowNs + buryBackoff.nextDelayNs() }
    }

    /// What came is not an answer to this command: it may have been carried out. Again with pauses, and not for ever.
    mutating func strange(_ command: ConsumerCommand) {
        switch command {
        // Nice to have.
        case .forget, .clean: return
        default: break
        }
        pause()
        undo(command, isLost: true)
        var (count, atNs) = strange[command.word] ?? (0, nowNs &- 1)
        // Those of one write are one.
        if atNs != nowNs { (count, atNs) = (count + 1, nowNs) }
        strange[command.word] = (count, atNs)
        guard count >= Limits.strangeAnswersMax else { return }
        fail(.refused("the answer to \(command.word) is not one that Redis gives"))
        dropWhatCannotBe()
    }

    private mutating func goneMissing(_ key: Int) {
        guard !tracks[key].isGone else { return }
        tracks[key].isGone = true
        tracks[key].isMaking = false
        hasGone = true
        tracks[key].cursor = .min
        // A group that goes again and again is made with pauses; a read that succeeds ends them.
        if tracks[key].isKnown, nowNs != lastGoneNs, nowNs < lastGoneNs + 1_000_000_000 { pause() }
        lastGoneNs = nowNs
    }

    /// As if it had not been sent.
    /// - Parameters:
    ///   - isLost: it may have been carried out.
    ///   - isRefused: it is of no use to send it again.
    mutating func undo(_ command: ConsumerCommand, isLost: Bool, isRefused: Bool = false) {
        switch command {
        case .ack(_, _, let slots, _):
            if unsent.isEmpty { unsentSinceNs = nowNs }
            for slot in slots where hand.state(slot) == .acked {
                if isLost { hand.forgive(slot) }
                hand.move(slot, to: .acking)
                unsent.append(slot)
            }
        case .fresh(_, let blockMs):
            endRead(blockMs != nil)
            isDrained = false
            if isLost { for key in tracks.indices { search(key) } }
        case .history(let key, _, _): (tracks[key].isAsking, tracks[key].reserved) = (false, 0)
        // A stale one begins at the beginning already.
        case .assigned(let key, _, _): _ = tracks[key].endSearch()
        case .counts(let key, _, _, _):
            // What has come is asked for anew: its count is not known.
            let arrived = tracks[key].takeArrived()
            guard !arrived.isEmpty else { return }
            if !isWorking, !isRefused { for entry in arrived { giveBack(key, entry.id, 1) } }
            tracks[key].phase = .search(after: .min)
            isRecovering = true
        case .fetch(let key, let row):
            tracks[key].endFetch()
            if isWorking { reinsert(key, row) } else if !isRefused { giveBack(key, row.id, row.deliveries - 1) }
        case .claim(let key, _, _):
            tracks[key].endClaim()
            if isLost { search(key) }
        case .hold(let hold): undo(hold, isRefused: isRefused)
        case .bury(_, let slot, _, _, _):
            guard hand.state(slot) == .buried else { return }
            if isLost { hand.forgive(slot) }
            hand.move(slot, to: .burying)
        case .makeGroup(let key, _): tracks[key].isMaking = false
        // The next look finds them again.
        case .ackVanished(let key, _): search(key)
        case .forget, .clean: break
        }
        if hasGone { dropWhatCannotBe() }
    }

    private mutating func undo(_ hold: ConsumerHold, isRefused: Bool) {
        switch hold.kind {
        case .lease:
            leasesUnderWay = max(0, leasesUnderWay - 1)
            nextLeaseNs = nowNs
        case .again:
            for item in hold.items where hand.state(item.slot) == .recording {
                hand.move(item.slot, to: .retrying)
                nextRetryNs = nowNs
            }
            if !isWorking { for slot in hand.numbers(.retrying) { giveBack(slot, undone: 0) } }
        case .stay:
            for item in hold.items where hand.state(item.slot) == .buried { hand.move(item.slot, to: .burying) }
        case .giveBack:
            guard !isRefused else { return }
            let inHand = hand.ids(of: hold.key)
            returns[hold.key, default: []] += hold.items.filter { !inHand.contains($0.id) }
        }
    }

    /// At the end, where Redis refuses or the group is gone and nobody makes it any more, nothing can be acknowledged.
    private mutating func dropWhatCannotBe() {
        guard !isWorking else { return }
        for slot in hand.numbers(.acking, .burying, .retrying) where error != nil || tracks[Int(hand[slot].key)].isGone {
            drop(slot)
            counters.ackMisses += 1
        }
        unsent.removeAll { hand.state($0) == .free }
    }
}
