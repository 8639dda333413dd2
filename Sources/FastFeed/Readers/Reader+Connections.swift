// Opening, reading, closing and replacing connections. The reader's thread; cold but for `readOpen`.

extension Reader {
    // MARK: Slots

    /// A slot for a connection: a retired one, or a new one. Nil when the reader is full.
    func addConnection(_ key: ConnectionKey, host: Int, _ subscription: Subscription, predecessor: Int?) -> Int? {
        let free = (0..<connections.count).first {
            connections[$0].isRetired && connections[$0].phase == nil && !connections[$0].isReady
        }
        var made = ReaderConnection(key: key, host: host, subscription: subscription, seed: random.next())
        made.predecessor = predecessor
        if let free {
            made.generation = connections[free].generation &+ 1
            connections[free] = made
        } else {
            guard connections.count < connections.capacity else { return nil }
            connections.append(made)
        }
        timersDueNs = 0
        return free ?? connections.count - 1
    }

    func subscription(to streams: [String]) -> Subscription {
        var fresh = Subscription(
            streams: streams, profile: settings.profile, subscribeForm: settings.subscribeForm,
            usesCombinedStreams: settings.usesCombinedStreams)
        fresh.answerTimeoutMs = settings.subscribeTimeoutMs
        return fresh
    }

    /// Changes what a connection carries, and the one that is to replace it.
    func change(_ key: ConnectionKey, _ nowNs: UInt64, _ edit: (inout Subscription) -> Void) {
        for slot in 0..<connections.count where connections[slot].key == key && !connections[slot].isRetired {
            edit(&connections[slot].subscription)
            // What is new has its time, too.
            connections[slot].lastKlineNs = nowNs
            // While it is opening, the messages wait; while there is none, the next one begins with the new list.
            if connections[slot].phase == .open { sendSubscriptions(slot, nowNs) }
        }
    }

    func disconnect(_ key: ConnectionKey, _ nowNs: UInt64) {
        for slot in 0..<connections.count where connections[slot].key == key && !connections[slot].isRetired {
            leave(slot, .endedByStop, nowNs)
        }
    }

    // MARK: Turning

    func turn(_ slot: Int, _ nowNs: UInt64) {
        guard let phase = connections[slot].phase else { return }
        switch phase {
        case .dialing, .upgrading: open(slot, nowNs)
        case .open, .closing: readOpen(slot, nowNs)
        case .closed: break
        }
    }

    private func open(_ slot: Int, _ nowNs: UInt64) {
        switch connections[slot].socket!.open(nowNs: nowNs) {
        // A refusal whose body is waited for ends before the handshake's deadline.
        case .pending: timersDueNs = min(timersDueNs, connections[slot].nextDeadlineNs(nowNs: nowNs))
        case .failed(let reason, let retryAfter):
            counters.add(.connectFailures)
            counters.add(connections[slot].failure)
            endAttempt(slot, .failed(connections[slot].reach), nowNs)
            let delayNs = min(
                retryAfter == nil ? budget.longestPauseNs : .max, connections[slot].backoff.nextDelayNs(atLeastSeconds: retryAfter ?? 0))
            connections[slot].lastLoss = reason
            troubles.note(.connection(label(slot)), reason)
            // Alike from its beginning on: a page may have a number of its own for each request in it.
            journal.note(
                .warning, "cannot connect to the exchange", key: "connect-failed:\(label(slot)):\(reason.prefix(60))",
                ("connection", label(slot)), ("url", "\(settings.hosts[connections[slot].host].base)"), ("reason", reason),
                ("retry_in_ms", "\(delayNs / 1_000_000)"))
            vacate(slot, retryAtNs: nowNs + delayNs)
        case .opened: onOpened(slot, nowNs)
        }
    }

    private func onOpened(_ slot: Int, _ nowNs: UInt64) {
        counters.add(.connectionsOpened)
        endAttempt(slot, .opened, nowNs)
        connections[slot].isOpen = true
        connections[slot].openedNs = nowNs
        connections[slot].lastReceivedNs = nowNs
        connections[slot].lastKlineNs = nowNs
        // Up to a 48th earlier (half an hour of a day), so that not all are due at once.
        let earlierMs = random.next() % UInt64(max(1, settings.connectionAgeMs / 48))
        connections[slot].rollAtNs = nowNs + .ns(ms: UInt64(settings.connectionAgeMs) - earlierMs)
        journal.note(
            .info, "connected to the exchange", ("connection", label(slot)), ("streams", "\(connections[slot].subscription.streams.count)"))
        timersDueNs = 0
        sendSubscriptions(slot, nowNs)
        // The peer may have gone already.
        guard connections[slot].phase == .open else { return }
        checkLive(slot, nowNs)
        markReady(slot)
    }

    private func endAttempt(_ slot: Int, _ outcome: ConnectBudget.Outcome, _ nowNs: UInt64) {
        guard connections[slot].isAttempting else { return }
        connections[slot].isAttempting = false
        budget.end(outcome, madeNs: connections[slot].attemptNs, nowNs: nowNs)
    }

    func label(_ slot: Int) -> String { "\(index).\(slot)" }

    // MARK: Reading

    /// One read of at most a buffer, and everything in it.
    private func readOpen(_ slot: Int, _ nowNs: UInt64) {
        let bytesMax = klines.value.readableBytes()
        guard bytesMax >= 4_096 else {
            stall(slot)
            return
        }
        switch connections[slot].socket!.read(into: buffer, most: bytesMax) {
        case .bytes(let count):
            connections[slot].lastReceivedNs = nowNs
            connections[slot].bytesReceived &+= UInt64(count)
            counters.add(.bytesReceived, count)
            decode(count, slot, nowNs)
            if count == bytesMax || connections[slot].hasPending { markReady(slot) }
            if connections[slot].writeFailure != nil { readOut(slot, nowNs) }
        case .wouldBlock: if let reason = connections[slot].writeFailure { lose(slot, reason, .endedByNetwork, nowNs) }
        case .endOfStream: lose(slot, "the exchange ended the connection without a close frame (1006)", .endedByPeer, nowNs)
        case .failed(let code): lose(slot, connections[slot].socket!.describe(code), .endedByNetwork, nowNs)
        }
    }

    /// Nothing can be sent any more. What the exchange had sent before is still taken: it may hold closed candles.
    func failWrite(_ slot: Int, _ reason: String) {
        guard connections[slot].writeFailure == nil else { return }
        connections[slot].writeFailure = reason
        markReady(slot)
    }

    /// A peer that goes on talking without listening is left after a while.
    private func readOut(_ slot: Int, _ nowNs: UInt64) {
        connections[slot].readsAfterFailure += 1
        guard connections[slot].readsAfterFailure < Limits.readsAfterWriteFailureMax else {
            return lose(slot, connections[slot].writeFailure!, .endedByNetwork, nowNs)
        }
        markReady(slot)
    }

    /// Decodes `count` bytes of the buffer and hands the records over.
    private func decode(_ count: Int, _ slot: Int, _ nowNs: UInt64) {
        connections[slot].socket!.decoder.supply(buffer, count: count)
        var pings = 0
        var latePing: [UInt8] = []
        window: while connections[slot].phase != nil {
            switch klines.value.run(&connections[slot].socket!.decoder, nowNs: nowNs) {
            case .consumed: break window
            case .ping(let payload):
                pings += 1
                if pings <= Limits.pongsPerReadMax {
                    answer(payload.span, slot, nowNs)
                } else {
                    latePing = Array(payload)
                }
            case .notice(let message): onNotice(slot, message, nowNs)
            case .close(let code, let reason): onClose(slot, code, Ascii.printable(reason, limit: 123), nowNs)
            case .notUTF8: violate(slot, 1007, "text that is not UTF-8", nowNs)
            case .violation(let code, let reason): violate(slot, code, "\(reason)", nowNs)
            }
        }
        if pings > Limits.pongsPerReadMax { answer(latePing.span, slot, nowNs) }
        guard klines.value.hasKept else { return }
        (connections[slot].lastKlineNs, connections[slot].quietCount) = (nowNs, 0)
        // One reading of the clock for all of them.
        let parsedAfterNs = UInt32(clamping: port!.poller.nowNs &- nowNs)
        klines.value.publish(parsedAfterNs: parsedAfterNs)
        sinkWakeUp?.signal()
    }

    /// A pong with the ping's payload; it counts against the exchange's limit of messages.
    private func answer(_ ping: Span<UInt8>, _ slot: Int, _ nowNs: UInt64) {
        // Nothing follows our close frame.
        guard connections[slot].phase == .open else { return }
        connections[slot].subscription.noteSent(nowNs: nowNs)
        if !connections[slot].socket!.send(.pong, ping) { failWrite(slot, "cannot answer a ping") }
    }

    /// The ring is full: leave the socket alone until there is room; the kernel's window does the rest.
    private func stall(_ slot: Int) {
        counters.add(.backPressureStalls)
        guard !connections[slot].isStalled else { return }
        connections[slot].isStalled = true
        stalledCount += 1
        connections[slot].socket!.setReading(false)
        timersDueNs = 0
    }

    func resumeStalled(_ nowNs: UInt64) {
        guard klines.value.readableBytes() >= klines.value.resumeBytes else { return }
        for slot in 0..<connections.count where connections[slot].isStalled {
            connections[slot].isStalled = false
            connections[slot].socket?.setReading(true)
            // The silence was ours.
            (connections[slot].lastReceivedNs, connections[slot].lastKlineNs) = (nowNs, nowNs)
            markReady(slot)
        }
        stalledCount = 0
    }

    // MARK: What the exchange says

    private func onNotice(_ slot: Int, _ message: PaddedBytes, _ nowNs: UInt64) {
        guard let notice = VenueNotice(message) else {
            let isText = UTF8Validator.isValid(message.span)
            counters.add(isText ? .rejectedMalformed : .rejectedNotUTF8)
            if !isText { violate(slot, 1007, "text that is not UTF-8", nowNs) }
            return
        }
        counters.add(notice == .kline ? .rejectedMissing : .noticesReceived)
        switch notice {
        case .result(let id):
            connections[slot].subscription.onResult(id: id)
            checkLive(slot, nowNs)
        case .error(let id, let code, let text):
            counters.add(.subscribeErrors)
            let refusedBefore = connections[slot].subscription.refused.count
            connections[slot].subscription.onError(id: id)
            for stream in connections[slot].subscription.refused.dropFirst(refusedBefore) { _ = refusedStreams.offer(stream) }
            journal.note(
                .error, "the exchange refused a subscription", key: "subscribe-refused:\(text)",
                ("connection", label(slot)), ("code", "\(code)"), ("message", text),
                ("refused_so_far", connections[slot].subscription.refused.prefix(8).joined(separator: " ")))
            timersDueNs = 0
            checkLive(slot, nowNs)
        case .serverShutdown:
            journal.note(.notice, "the exchange announces a shutdown; replacing the connection", ("connection", label(slot)))
            replace(slot)
        case .kline: break
        case .other(let event):
            journal.note(.debug, "an event that is not a kline", key: "other-event", ("event", event))
        }
    }

    private func onClose(_ slot: Int, _ code: UInt16, _ reason: String, _ nowNs: UInt64) {
        guard connections[slot].phase != .closing else { return lose(slot, "closed as we asked", .endedByPeer, nowNs) }
        connections[slot].socket!.close(code: code, nowNs: nowNs)
        lose(slot, "close \(code)\(reason.isEmpty ? "" : " '\(reason)'")", .endedByPeer, nowNs)
    }

    private func violate(_ slot: Int, _ code: UInt16, _ reason: String, _ nowNs: UInt64) {
        counters.add(.protocolViolations)
        connections[slot].lossReason = "protocol violation: \(reason) (closed with \(code))"
        connections[slot].ending = .endedByViolation
        connections[slot].socket!.decoder.finish()
        // What still comes is read and forgotten until the peer ends TCP or the time is up: closing with unread bytes
        // would turn into a reset that swallows our close frame.
        connections[slot].socket!.close(code: code, reason: reason, nowNs: nowNs)
        timersDueNs = 0
    }

    // MARK: Endings

    /// The connection is no more. It is opened again unless another has taken its place.
    /// - Parameter ending: what it counts as, unless we have begun to close it ourselves.
    func lose(_ slot: Int, _ reason: String, _ ending: CounterID, _ nowNs: UInt64) {
        guard connections[slot].phase != nil else { return }
        counters.add(.connectionsClosed)
        counters.add(connections[slot].ending ?? ending)
        guard !connections[slot].isRetired else {
            vacate(slot, retryAtNs: .max)
            return finishStopIfDone()
        }
        let wasSuperseded = connections[slot].successor != nil
        // After a connection that held for a while the backoff begins anew; one that dies young waits longer each time.
        let ageNs = nowNs &- connections[slot].openedNs
        if ageNs >= UInt64.ns(ms: Limits.connectionProvenMs) { connections[slot].backoff.succeeded() }
        let delayNs = connections[slot].backoff.nextDelayNs()
        let reason = connections[slot].lossReason ?? reason
        connections[slot].lastLoss = reason
        troubles.note(.connection(label(slot)), reason)
        journal.note(
            .warning, "connection to the exchange lost",
            ("connection", label(slot)), ("reason", reason),
            ("retry_in_ms", wasSuperseded ? "never: replaced" : "\(delayNs / 1_000_000)"))
        vacate(slot, retryAtNs: nowNs + delayNs)
        if wasSuperseded { retire(slot) }
    }

    /// Ends the socket and readies the slot for the next attempt.
    private func vacate(_ slot: Int, retryAtNs: UInt64) {
        setLost(slot)
        endAttempt(slot, .abandoned, 0)
        if connections[slot].isOpen { budget.close() }
        connections[slot].isOpen = false
        if connections[slot].isStalled {
            connections[slot].isStalled = false
            stalledCount -= 1
        }
        connections[slot].socket?.drop()
        connections[slot].socket = nil
        (connections[slot].lossReason, connections[slot].ending) = (nil, nil)
        connections[slot].writeFailure = nil
        connections[slot].readsAfterFailure = 0
        connections[slot].generation &+= 1
        connections[slot].retryAtNs = retryAtNs
        timersDueNs = 0
    }

    private func retire(_ slot: Int) {
        connections[slot].isRetired = true
        if rollingSlot == slot { endRoll() }
        connections[slot].retryAtNs = .max
        troubles.clear(.connection(label(slot)))
        // It leaves the chain of those that replace one another: who waited for it now waits for its successor.
        let (before, after) = (connections[slot].predecessor, connections[slot].successor)
        (connections[slot].predecessor, connections[slot].successor) = (nil, nil)
        if let before, connections[before].successor == slot { connections[before].successor = after }
        if let after, connections[after].predecessor == slot { connections[after].predecessor = before }
    }

    // MARK: Replacing

    /// Opens a second connection for the same streams; this one ends when that one is live.
    func replace(_ slot: Int) {
        guard !connections[slot].isRetired, connections[slot].successor == nil, !isStopping else { return }
        connections[slot].rollAtNs = .max
        let (key, host) = (connections[slot].key, connections[slot].host)
        guard let successor = addConnection(key, host: host, connections[slot].subscription.renewed, predecessor: slot) else {
            // The exchange will end it, and then it is opened again like any other.
            journal.note(.warning, "no room to replace a connection", key: "no-room", ("connection", label(slot)))
            return
        }
        connections[slot].successor = successor
        connections[successor].quietCount = connections[slot].quietCount
    }

    /// Open and fully subscribed: from now on it counts, and the one it replaces may go.
    private func checkLive(_ slot: Int, _ nowNs: UInt64) {
        guard !connections[slot].isLive, connections[slot].subscription.isComplete, connections[slot].phase == .open else { return }
        setLive(slot, nowNs)
        // The one it replaces may itself have been on its way to replace another.
        var next = connections[slot].predecessor
        connections[slot].predecessor = nil
        while let old = next {
            next = connections[old].predecessor
            connections[old].predecessor = nil
            counters.add(.rollovers)
            journal.note(.info, "connection replaced", ("old", label(old)), ("new", label(slot)))
            leave(old, .endedByRollover, nowNs)
        }
    }

    /// For good: closes properly what is open and drops what is not yet.
    func leave(_ slot: Int, _ ending: CounterID, _ nowNs: UInt64) {
        retire(slot)
        connections[slot].ending = connections[slot].ending ?? ending
        setLost(slot)
        connections[slot].socket?.close(code: 1000, nowNs: nowNs)
        if connections[slot].phase == .closed { vacate(slot, retryAtNs: .max) }
        timersDueNs = 0
    }

    func sendSubscriptions(_ slot: Int, _ nowNs: UInt64) {
        while let message = connections[slot].subscription.nextMessage(nowNs: nowNs) {
            counters.add(.subscribeRequests)
            // Its answer has a deadline.
            timersDueNs = 0
            guard connections[slot].socket!.send(.text, message) else { return failWrite(slot, "cannot send a subscription") }
        }
        // What was left to ask for may have been overtaken by a later wish.
        checkLive(slot, nowNs)
    }
}
