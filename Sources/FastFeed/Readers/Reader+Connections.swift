// The reader's connections: their slots, what is read from them, and what they ask for (`ConnectionAction`) carried out. The reader's
// thread; cold but for `readOpen`.

extension Reader where Parser: ~Copyable {
    // MARK: Slots

    /// A slot for a connection: a retired one, or a new one. Nil when the reader is full.
    func addConnection(_ key: ConnectionKey, host: Int, _ subscription: Subscription, predecessor: Int?) -> Int? {
        let free = (0..<connections.count).first {
            connections[$0].isRetired && connections[$0].phase == nil && !connections[$0].isReady
        }
        var made = ReaderConnection<WebSocketConnection>(key: key, host: host, subscription: subscription, seed: random.next())
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
            streams: streams, dialect: settings.dialect, subscribeForm: settings.subscribeForm,
            usesCombinedStreams: settings.usesCombinedStreams)
        fresh.answerTimeoutMs = settings.subscribeTimeoutMs
        return fresh
    }

    /// Changes what a connection carries, and the one that is to replace it.
    func change(_ key: ConnectionKey, _ nowNs: UInt64, _ edit: (inout Subscription) -> Void) {
        for slot in 0..<connections.count where connections[slot].key == key && !connections[slot].isRetired {
            connections[slot].change(nowNs: nowNs, edit)
            subscribe(slot, nowNs)
        }
    }

    func disconnect(_ key: ConnectionKey, _ nowNs: UInt64) {
        for slot in 0..<connections.count where connections[slot].key == key && !connections[slot].isRetired {
            leave(slot, .endedByStop, nowNs)
        }
    }

    func label(_ slot: Int) -> String { "\(index).\(slot)" }

    // MARK: What connections want

    func carryOut(_ action: ConnectionAction, of slot: Int, _ nowNs: UInt64) {
        switch action {
        case .none: break
        case .asked(let isReady):
            counters.add(.subscribeRequests)
            // Its answer has a deadline.
            timersDueNs = 0
            if isReady { markReady(slot) }
        case .unanswered(let count):
            counters.add(.subscribeErrors, count)
            journal.note(.warning, "no answer to a subscription; asking again", key: "subscribe-timeout", ("connection", label(slot)))
        case .live: onLive(slot, nowNs)
        case .ready: markReady(slot)
        case .rollDue: onRollDue(slot, nowNs)
        case .quiet(let ms):
            journal.note(
                .warning, "a connection to the exchange lives and brings no klines; replacing it", ("connection", label(slot)),
                ("quiet_ms", "\(ms)"))
            replace(slot)
        case .lost(let loss): onLost(slot, loss)
        }
    }

    /// One after the other: what one of them leads to may change the next.
    func carryOutAll(
        of slot: Int, _ nowNs: UInt64, _ next: (inout ReaderConnection<WebSocketConnection>) -> ConnectionAction
    ) {
        while true {
            let action = next(&connections[slot])
            if action == .none { return }
            carryOut(action, of: slot, nowNs)
        }
    }

    /// Subscriptions that may go out now, and what follows from there being none.
    private func subscribe(_ slot: Int, _ nowNs: UInt64) { carryOutAll(of: slot, nowNs) { $0.nextSubscription(nowNs: nowNs) } }

    /// It is opened again unless another has taken its place.
    private func onLost(_ slot: Int, _ loss: ConnectionLoss) {
        counters.add(.connectionsClosed)
        counters.add(loss.counts)
        onLeft(slot, loss.left)
        guard let delayNs = loss.delayNs else { return finishStopIfDone() }
        let wasSuperseded = connections[slot].successor != nil
        troubles.note(.connection(label(slot)), loss.reason)
        journal.note(
            .warning, "connection to the exchange lost",
            ("connection", label(slot)), ("reason", loss.reason),
            ("retry_in_ms", wasSuperseded ? "never: replaced" : "\(delayNs / 1_000_000)"))
        if wasSuperseded { retire(slot) }
    }

    /// Tells the budget and the boards that a connection has ended.
    func onLeft(_ slot: Int, _ left: ConnectionLoss.Left) {
        if left.wasLive {
            counters.add(.connectionsLive, -1)
            // While one replaces it the connection is live all the time.
            let key = connections[slot].key
            let isReplaced = (0..<connections.count).contains { connections[$0].isLive && connections[$0].key == key }
            if !isReplaced { board.noteLost(key.number) }
        }
        if let madeNs = left.attemptNs { budget.end(.abandoned, madeNs: madeNs, nowNs: 0) }
        if left.wasOpen { budget.close() }
        if left.wasStalled { stalledCount -= 1 }
        timersDueNs = 0
    }

    // MARK: Turning

    func turn(_ slot: Int, _ nowNs: UInt64) {
        switch connections[slot].phase {
        case .dialing, .upgrading: open(slot, nowNs)
        case .open, .closing: readOpen(slot, nowNs)
        case .closed, nil: break
        }
    }

    private func open(_ slot: Int, _ nowNs: UInt64) {
        switch connections[slot].open(nowNs: nowNs, longestPauseNs: budget.longestPauseNs) {
        // A refusal whose body is waited for ends before the handshake's deadline.
        case .pending: timersDueNs = min(timersDueNs, connections[slot].nextDeadlineNs(nowNs: nowNs))
        case .failed(let loss, let reach): onFailed(slot, loss, reach, nowNs)
        case .opened: onOpened(slot, nowNs)
        }
    }

    private func onFailed(_ slot: Int, _ loss: ConnectionLoss, _ reach: WebSocketConnection.Reach, _ nowNs: UInt64) {
        counters.add(.connectFailures)
        counters.add(loss.counts)
        var left = loss.left
        if let madeNs = left.attemptNs { budget.end(.failed(reach), madeNs: madeNs, nowNs: nowNs) }
        left.attemptNs = nil
        onLeft(slot, left)
        troubles.note(.connection(label(slot)), loss.reason)
        // Alike from its beginning on: a page may have a number of its own for each request in it.
        journal.note(
            .warning, "cannot connect to the exchange", key: "connect-failed:\(label(slot)):\(loss.reason.prefix(60))",
            ("connection", label(slot)), ("url", "\(settings.hosts[connections[slot].host].base)"), ("reason", loss.reason),
            ("retry_in_ms", "\((loss.delayNs ?? 0) / 1_000_000)"))
    }

    private func onOpened(_ slot: Int, _ nowNs: UInt64) {
        counters.add(.connectionsOpened)
        // Up to a 48th earlier (half an hour of a day), so that not all are due at once.
        let earlierMs = random.next() % UInt64(max(1, settings.connectionAgeMs / 48))
        let madeNs = connections[slot].onOpened(nowNs: nowNs, ageMs: UInt64(settings.connectionAgeMs) - earlierMs)
        if let madeNs { budget.end(.opened, madeNs: madeNs, nowNs: nowNs) }
        journal.note(
            .info, "connected to the exchange", ("connection", label(slot)), ("streams", "\(connections[slot].subscription.streams.count)"))
        timersDueNs = 0
        subscribe(slot, nowNs)
        markReady(slot)
    }

    // MARK: Reading

    /// One read of at most a buffer, and everything in it.
    private func readOpen(_ slot: Int, _ nowNs: UInt64) {
        let bytesMax = decoder.value.readableBytes()
        guard bytesMax >= 4_096 else {
            stall(slot)
            return
        }
        switch connections[slot].socket!.read(into: buffer, most: bytesMax) {
        case .bytes(let count):
            connections[slot].onReceived(count, nowNs: nowNs)
            counters.add(.bytesReceived, count)
            decode(count, slot, nowNs)
            if count == bytesMax || connections[slot].hasPending { markReady(slot) }
            if connections[slot].writeFailure != nil { carryOut(connections[slot].onReadAfterFailure(nowNs: nowNs), of: slot, nowNs) }
        case .wouldBlock: if let reason = connections[slot].writeFailure { lose(slot, reason, .endedByNetwork, nowNs) }
        case .endOfStream: lose(slot, "the exchange ended the connection without a close frame (1006)", .endedByPeer, nowNs)
        case .failed(let code): lose(slot, connections[slot].socket!.describe(code), .endedByNetwork, nowNs)
        }
    }

    private func lose(_ slot: Int, _ reason: String, _ ending: CounterID, _ nowNs: UInt64) {
        carryOut(connections[slot].lose(reason, ending, nowNs: nowNs), of: slot, nowNs)
    }

    /// Decodes `count` bytes of the buffer and hands the records over.
    private func decode(_ count: Int, _ slot: Int, _ nowNs: UInt64) {
        connections[slot].socket!.decoder.supply(buffer, count: count)
        var pings = 0
        var latePing: [UInt8] = []
        window: while connections[slot].phase != nil {
            switch decoder.value.run(&connections[slot].socket!.decoder, nowNs: nowNs) {
            case .consumed: break window
            case .ping(let payload):
                pings += 1
                if pings <= Limits.pongsPerReadMax {
                    carryOut(connections[slot].onPing(payload.span, nowNs: nowNs), of: slot, nowNs)
                } else {
                    latePing = Array(payload)
                }
            case .notice(let message): onNotice(slot, message, nowNs)
            case .close(let code, let reason):
                let words = Ascii.printable(reason, limit: 123)
                carryOut(connections[slot].onClose(code: code, reason: words, nowNs: nowNs), of: slot, nowNs)
            case .notUTF8: violate(slot, 1007, "text that is not UTF-8", nowNs)
            case .violation(let code, let reason): violate(slot, code, "\(reason)", nowNs)
            }
        }
        if pings > Limits.pongsPerReadMax { carryOut(connections[slot].onPing(latePing.span, nowNs: nowNs), of: slot, nowNs) }
        guard decoder.value.hasKept else { return }
        connections[slot].onRecords(nowNs: nowNs)
        // One reading of the clock for all of them.
        let parsedAfterNs = UInt32(clamping: port!.poller.nowNs &- nowNs)
        decoder.value.publish(parsedAfterNs: parsedAfterNs)
        sinkWakeUp?.signal()
    }

    private func violate(_ slot: Int, _ code: UInt16, _ reason: String, _ nowNs: UInt64) {
        counters.add(.protocolViolations)
        connections[slot].violate(code: code, reason: reason, nowNs: nowNs)
        timersDueNs = 0
    }

    /// The ring is full: leave the socket alone until there is room.
    private func stall(_ slot: Int) {
        counters.add(.backPressureStalls)
        guard connections[slot].stall() else { return }
        stalledCount += 1
        timersDueNs = 0
    }

    func resumeStalled(_ nowNs: UInt64) {
        guard decoder.value.readableBytes() >= decoder.value.resumeBytes else { return }
        for slot in 0..<connections.count where connections[slot].isStalled {
            connections[slot].resume(nowNs: nowNs)
            markReady(slot)
        }
        stalledCount = 0
    }

    // MARK: What the exchange says

    private func onNotice(_ slot: Int, _ message: PaddedBytes, _ nowNs: UInt64) {
        guard let notice = settings.dialect.notice(message) else {
            let isText = UTF8Validator.isValid(message.span)
            counters.add(isText ? .rejectedMalformed : .rejectedNotUTF8)
            if !isText { violate(slot, 1007, "text that is not UTF-8", nowNs) }
            return
        }
        counters.add(notice == .incompleteKline ? .rejectedMissing : .noticesReceived)
        switch notice {
        case .result(let id): carryOut(connections[slot].onResult(id: id), of: slot, nowNs)
        case .error(let id, let code, let text):
            counters.add(.subscribeErrors)
            let (refused, action) = connections[slot].onError(id: id)
            for stream in refused { _ = refusedStreams.offer(stream) }
            journal.note(
                .error, "the exchange refused a subscription", key: "subscribe-refused:\(text)",
                ("connection", label(slot)), ("code", "\(code)"), ("message", text),
                ("refused_so_far", connections[slot].subscription.refused.prefix(8).joined(separator: " ")))
            timersDueNs = 0
            carryOut(action, of: slot, nowNs)
        case .serverShutdown:
            journal.note(.notice, "the exchange announces a shutdown; replacing the connection", ("connection", label(slot)))
            replace(slot)
        case .incompleteKline: break
        case .other(let event):
            journal.note(.debug, "an event that is not a kline", key: "other-event", ("event", event))
        }
    }
}
