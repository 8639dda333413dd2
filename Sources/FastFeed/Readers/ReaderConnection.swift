// One connection: its socket while there is one, what it carries and has asked for, when it tries again, when it has been silent or has
// become old. Each event is answered with what its reader is to do about it (`ConnectionAction`). No I/O but its socket's, and no clock:
// instants come in. The reader's thread alone. Bounds of time: `Limits.venueBackoffMs` between attempts, `Limits.venueSilencePingMs` and
// `Limits.venueSilenceDropMs` of silence, and the age that its reader names.

package struct ReaderConnection<Socket: ReaderSocket & ~Copyable>: ~Copyable {
    let key: ConnectionKey
    /// Its place in `ReaderSettings.hosts`.
    let host: Int
    /// Counts uses of the slot, so that a late report of the poller is recognised.
    var generation: UInt32 = 0
    package var socket: Socket?
    /// What it carries, and what it has asked for.
    package private(set) var subscription: Subscription
    private var backoff: Backoff
    /// When to try again, in a phase without a socket.
    package var retryAtNs: UInt64 = 0
    private(set) var attempts = 0
    /// An attempt is under way, since then.
    private(set) var attemptNs: UInt64?
    private var openedNs: UInt64 = 0
    private var bytesReceived: UInt64 = 0
    private var lastReceivedNs: UInt64 = 0
    private var lastPingNs: UInt64 = 0
    /// When the last klines came, and how many connections before this one were replaced because none came.
    private var lastKlineNs: UInt64 = 0
    package var quietCount = 0
    /// When to replace the connection, before the exchange ends it; while it is being replaced because of that, when to give that up.
    package var rollAtNs = UInt64.max
    /// The budget counts the connection as open.
    private(set) var isOpen = false
    /// Open, and every stream asked for and answered.
    package private(set) var isLive = false
    /// The poller (or a full read) says there is something to do.
    var isReady = false
    package private(set) var isStalled = false
    /// Why we are closing, where it is our decision, and what its end counts as.
    private var lossReason: String?
    private var ending: CounterID?
    /// Why nothing can be sent any more; what has arrived is still being read.
    package private(set) var writeFailure: String?
    private var readsAfterFailure = 0
    /// Why it ended the last time.
    private var lastLoss = ""
    /// The slot of the connection that replaces this one.
    package var successor: Int?
    /// The slot of the connection that this one replaces once it is live.
    var predecessor: Int?
    /// Nothing is to be opened here any more.
    package var isRetired = false

    package init(key: ConnectionKey, host: Int, subscription: Subscription, seed: UInt64) {
        (self.key, self.host, self.subscription) = (key, host, subscription)
        backoff = Backoff(Limits.venueBackoffMs, seed: seed)
    }

    /// Where the socket stands; nil when there is none.
    package var phase: WebSocketConnection.Phase? {
        switch socket {
        case .none: nil
        case .some(let socket): socket.phase
        }
    }

    var hasPending: Bool {
        switch socket {
        case .none: false
        case .some(let socket): socket.hasPending
        }
    }

    /// When this connection wants a turn though nothing is ready.
    package func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        switch socket {
        case .none: return isRetired ? .max : retryAtNs
        case .some(let socket):
            guard socket.phase == .open else { return isStalled ? .max : socket.nextDeadlineNs(nowNs: nowNs) }
            let silence = isStalled ? .max : max(lastReceivedNs, lastPingNs) + .ns(ms: Limits.venueSilencePingMs)
            return min(silence, subscription.nextDeadlineNs, rollAtNs)
        }
    }

    func report(label: String, host: String) -> ConnectionReport {
        ConnectionReport(
            label: label, host: host, state: stateName, streams: subscription.streams.count, attempts: attempts,
            openedNs: isOpen ? openedNs : 0, lastReceivedNs: lastReceivedNs, rollAtNs: rollAtNs, bytesReceived: bytesReceived,
            lastLoss: lastLoss)
    }

    private var stateName: String {
        if isLive { return "live" }
        return switch phase {
        case .dialing: "dialing"
        case .upgrading: "upgrading"
        case .open: "subscribing"
        case .closing: "closing"
        case .closed, nil: "waiting"
        }
    }
}

// MARK: - Opening

extension ReaderConnection where Socket: ~Copyable {
    /// Begins an attempt with a fresh subscription.
    /// - Parameter make: the socket, to a path and query, after so many attempts.
    package mutating func begin(nowNs: UInt64, _ make: (_ target: String, _ attempt: Int) -> Socket) {
        attemptNs = nowNs
        subscription = subscription.renewed
        socket = make(subscription.target, attempts)
        attempts += 1
    }

    /// Goes on with the opening as far as it goes without waiting. Once it is open: `onOpened`.
    /// - Parameter longestPauseNs: until the next attempt, where the exchange names none.
    package mutating func open(nowNs: UInt64, longestPauseNs: UInt64) -> ConnectionOpening {
        switch socket!.open(nowNs: nowNs) {
        case .pending: return .pending
        case .opened: return .opened
        case .failed(let reason, let retryAfter):
            let (counts, reach) = failedAttempt
            let delayNs = min(retryAfter == nil ? longestPauseNs : .max, backoff.nextDelayNs(atLeastSeconds: retryAfter ?? 0))
            lastLoss = reason
            let left = vacate(retryAtNs: nowNs + delayNs)
            return .failed(ConnectionLoss(reason: reason, counts: counts, delayNs: delayNs, left: left), reach)
        }
    }

    /// What it counts as, and how far it has come.
    private var failedAttempt: (CounterID, WebSocketConnection.Reach) {
        switch socket {
        case .none: (.connectFailedTcp, .noAnswer)
        case .some(let socket): (socket.failure?.counter ?? .connectFailedTcp, socket.reach)
        }
    }

    /// - Parameter ageMs: then it is to be replaced.
    /// - Returns: when the attempt was made.
    package mutating func onOpened(nowNs: UInt64, ageMs: UInt64) -> UInt64? {
        isOpen = true
        (openedNs, lastReceivedNs, lastKlineNs) = (nowNs, nowNs, nowNs)
        rollAtNs = nowNs + .ns(ms: ageMs)
        defer { attemptNs = nil }
        return attemptNs
    }
}

// MARK: - Open

extension ReaderConnection where Socket: ~Copyable {
    /// What time has made due while it is open, one after the other, until there is nothing.
    /// - Parameter klineSilenceMs: so long a connection that carries bars of a minute may bring none.
    package mutating func nextDue(nowNs: UInt64, klineSilenceMs: UInt64) -> ConnectionAction {
        guard phase == .open else { return .none }
        let overdue = subscription.requeueOverdue(nowNs: nowNs)
        if overdue > 0 { return .unanswered(overdue) }
        let action = nextSubscription(nowNs: nowNs)
        if action != .none { return action }
        if nowNs >= rollAtNs {
            rollAtNs = .max
            return .rollDue
        }
        // While we leave the socket unread, its silence says nothing of the exchange.
        return isStalled ? .none : nextOfSilence(nowNs, klineSilenceMs)
    }

    /// The next subscription that may go out now, and once all are answered: live. (What was left to ask for may have been overtaken by a
    /// later wish.)
    package mutating func nextSubscription(nowNs: UInt64) -> ConnectionAction {
        guard phase == .open else { return .none }
        if let message = subscription.nextMessage(nowNs: nowNs) {
            let isSent = socket!.send(.text, message.span)
            return .asked(isReady: !isSent && failWrite("cannot send a subscription") == .ready)
        }
        return becomeLive()
    }

    private mutating func becomeLive() -> ConnectionAction {
        guard phase == .open, !isLive, subscription.isComplete else { return .none }
        isLive = true
        return .live
    }

    /// A connection may live on, with pings, and bring nothing any more. Where a bar ends each minute, klines are due; in an exchange's
    /// pause they are not, so each next one is given twice the time.
    private mutating func nextOfSilence(_ nowNs: UInt64, _ klineSilenceMs: UInt64) -> ConnectionAction {
        let silentNs = nowNs &- lastReceivedNs
        if silentNs >= UInt64.ns(ms: Limits.venueSilenceDropMs) {
            return lose("silent for \(Limits.venueSilenceDropMs / 1_000) s", .endedBySilence, nowNs: nowNs)
        }
        let pingNs = UInt64.ns(ms: Limits.venueSilencePingMs)
        if silentNs >= pingNs, nowNs &- lastPingNs >= pingNs {
            lastPingNs = nowNs
            subscription.noteSent(nowNs: nowNs)
            if !socket!.send(.ping, [UInt8]().span) { return failWrite("cannot send a ping") }
        }
        let patienceMs = klineSilenceMs << UInt64(min(quietCount, 6))
        guard nowNs &- lastKlineNs >= .ns(ms: patienceMs), successor == nil, subscription.endsBarsEachMinute else { return .none }
        quietCount += 1
        return .quiet(ms: patienceMs)
    }

    /// What it carries becomes another. While it is opening, the messages wait; while there is no socket, the next one begins with the new
    /// list.
    mutating func change(nowNs: UInt64, _ edit: (inout Subscription) -> Void) {
        edit(&subscription)
        // What is new has its time, too.
        lastKlineNs = nowNs
    }

    package mutating func onResult(id: Int64?) -> ConnectionAction {
        subscription.onResult(id: id)
        return becomeLive()
    }

    /// - Returns: the streams that are refused for good now, too.
    package mutating func onError(id: Int64?) -> (refused: [String], ConnectionAction) {
        let before = subscription.refused.count
        subscription.onError(id: id)
        return (Array(subscription.refused.dropFirst(before)), becomeLive())
    }

    /// A pong with the ping's payload; it counts against the exchange's limit of messages. Nothing follows our close frame.
    package mutating func onPing(_ payload: Span<UInt8>, nowNs: UInt64) -> ConnectionAction {
        guard phase == .open else { return .none }
        subscription.noteSent(nowNs: nowNs)
        return socket!.send(.pong, payload) ? .none : failWrite("cannot answer a ping")
    }

    package mutating func onWritable() -> ConnectionAction {
        guard phase == .open || phase == .closing, !socket!.flush() else { return .none }
        return failWrite("write failed")
    }

    /// Nothing can be sent any more. What the exchange had sent before is still taken: it may hold closed candles.
    private mutating func failWrite(_ reason: String) -> ConnectionAction {
        guard writeFailure == nil else { return .none }
        writeFailure = reason
        return .ready
    }

    // MARK: What is read

    package mutating func onReceived(_ count: Int, nowNs: UInt64) {
        lastReceivedNs = nowNs
        bytesReceived &+= UInt64(count)
    }

    mutating func onRecords(nowNs: UInt64) { (lastKlineNs, quietCount) = (nowNs, 0) }

    /// Bytes were read though nothing can be sent: a peer that goes on talking without listening is left after a while.
    package mutating func onReadAfterFailure(nowNs: UInt64) -> ConnectionAction {
        guard let writeFailure else { return .none }
        readsAfterFailure += 1
        return readsAfterFailure < Limits.readsAfterWriteFailureMax ? .ready : lose(writeFailure, .endedByNetwork, nowNs: nowNs)
    }

    /// Leaves the socket alone; the kernel's window does the rest. False when it is left alone already.
    package mutating func stall() -> Bool {
        guard !isStalled else { return false }
        isStalled = true
        socket!.setReading(false)
        return true
    }

    /// The silence was ours.
    package mutating func resume(nowNs: UInt64) {
        isStalled = false
        socket?.setReading(true)
        (lastReceivedNs, lastKlineNs) = (nowNs, nowNs)
    }
}

// MARK: - Endings

extension ReaderConnection where Socket: ~Copyable {
    /// The exchange's close frame.
    package mutating func onClose(code: UInt16, reason: String, nowNs: UInt64) -> ConnectionAction {
        guard phase != .closing else { return lose("closed as we asked", .endedByPeer, nowNs: nowNs) }
        socket!.close(code: code, reason: "", nowNs: nowNs)
        return lose("close \(code)\(reason.isEmpty ? "" : " '\(reason)'")", .endedByPeer, nowNs: nowNs)
    }

    /// The exchange has broken the protocol. What still comes is read and forgotten until it ends TCP or the time is up: closing with
    /// unread bytes would turn into a reset that swallows our close frame.
    package mutating func violate(code: UInt16, reason: String, nowNs: UInt64) {
        lossReason = "protocol violation: \(reason) (closed with \(code))"
        ending = .endedByViolation
        socket!.stopDecoding()
        socket!.close(code: code, reason: reason, nowNs: nowNs)
    }

    /// Our close frame has not been answered in time. What waits unread may hold closed candles, unless the connection is one that we
    /// believe nothing any more.
    package mutating func onCloseDeadline(nowNs: UInt64) -> ConnectionAction {
        let isHeard = lossReason == nil
        guard !isStalled, !(isHeard && isReady), nowNs >= nextDeadlineNs(nowNs: nowNs) else { return .none }
        return lose("no answer to our close frame", .endedBySilence, nowNs: nowNs)
    }

    /// The connection is no more.
    /// - Parameter ending: what it counts as, unless we have begun to close it ourselves.
    package mutating func lose(_ reason: String, _ ending: CounterID, nowNs: UInt64) -> ConnectionAction {
        guard phase != nil else { return .none }
        let counts = self.ending ?? ending
        guard !isRetired else {
            return .lost(ConnectionLoss(reason: reason, counts: counts, delayNs: nil, left: vacate(retryAtNs: .max)))
        }
        // After a connection that held for a while the backoff begins anew; one that dies young waits longer each time.
        if nowNs &- openedNs >= UInt64.ns(ms: Limits.connectionProvenMs) { backoff.succeeded() }
        let delayNs = backoff.nextDelayNs()
        lastLoss = lossReason ?? reason
        let left = vacate(retryAtNs: nowNs + delayNs)
        return .lost(ConnectionLoss(reason: lastLoss, counts: counts, delayNs: delayNs, left: left))
    }

    /// Ends for good: closes properly what is open and drops what is not yet. What is still read of it counts for nothing.
    /// - Returns: what it was.
    package mutating func leave(_ ending: CounterID, nowNs: UInt64) -> ConnectionLoss.Left {
        isRetired = true
        retryAtNs = .max
        self.ending = self.ending ?? ending
        var left = ConnectionLoss.Left()
        (left.wasLive, isLive) = (isLive, false)
        socket?.close(code: 1000, reason: "", nowNs: nowNs)
        if phase == .closed {
            let wasLive = left.wasLive
            left = vacate(retryAtNs: .max)
            left.wasLive = wasLive
        }
        return left
    }

    /// Ends the socket and readies the slot for the next attempt.
    private mutating func vacate(retryAtNs: UInt64) -> ConnectionLoss.Left {
        var left = ConnectionLoss.Left()
        (left.wasLive, left.wasOpen, left.wasStalled, left.attemptNs) = (isLive, isOpen, isStalled, attemptNs)
        (isLive, isOpen, isStalled, attemptNs) = (false, false, false, nil)
        socket?.drop()
        socket = nil
        (lossReason, ending, writeFailure, readsAfterFailure) = (nil, nil, nil, 0)
        generation &+= 1
        self.retryAtNs = retryAtNs
        return left
    }
}

extension WebSocketConnection.Failure {
    fileprivate var counter: CounterID {
        switch self {
        case .name: .connectFailedDns
        case .tcp: .connectFailedTcp
        case .proxy: .connectFailedProxy
        case .tls: .connectFailedTls
        case .upgrade: .connectFailedHttp
        case .timeout: .connectFailedTimeout
        }
    }
}
