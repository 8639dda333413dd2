// One connection as its reader sees it: what it carries, when it may try again, and the socket while there is
// one. The reader's thread alone.

struct ReaderConnection: ~Copyable {
    let key: ConnectionKey
    /// Its place in `ReaderSettings.hosts`.
    let host: Int
    /// Counts uses of the slot, so that a late report of the poller is recognised.
    var generation: UInt32 = 0
    var socket: WebSocketConnection?
    /// What it carries, and what it has asked for.
    var subscription: Subscription
    var backoff: Backoff
    /// When to try again, in a phase without a socket.
    var retryAtNs: UInt64 = 0
    var openedNs: UInt64 = 0
    var bytesReceived: UInt64 = 0
    /// Why it ended the last time.
    var lastLoss = ""
    var lastReceivedNs: UInt64 = 0
    /// When the last klines came, and how many connections before this one were replaced because none came.
    var lastKlineNs: UInt64 = 0
    var quietCount = 0
    var lastPingNs: UInt64 = 0
    /// When to replace the connection, before the exchange ends it; while it is being replaced because of that, when to give that up.
    var rollAtNs = UInt64.max
    var attempts = 0
    /// What the budget knows of it: an attempt is under way, or it is open.
    var (isAttempting, isOpen) = (false, false)
    var attemptNs: UInt64 = 0
    /// Open, and every stream asked for and answered.
    var isLive = false
    /// The poller (or a full read) says there is something to do.
    var isReady = false
    var isStalled = false
    /// Why we are closing, where it is our decision.
    var lossReason: String?
    /// What its end counts as, where that is our decision, too.
    var ending: CounterID?
    /// Why nothing can be sent any more; what has arrived is still being read.
    var writeFailure: String?
    var readsAfterFailure = 0
    /// The slot of the connection that replaces this one.
    var successor: Int?
    /// The slot of the connection that this one replaces once it is live.
    var predecessor: Int?
    /// Nothing is to be opened here any more.
    var isRetired = false

    init(key: ConnectionKey, host: Int, subscription: Subscription, seed: UInt64) {
        (self.key, self.host, self.subscription) = (key, host, subscription)
        backoff = Backoff(Limits.venueBackoffMs, seed: seed)
    }

    /// Where the socket stands; nil when there is none.
    var phase: WebSocketConnection.Phase? {
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

    private var socketFailure: WebSocketConnection.Failure? {
        switch socket {
        case .none: nil
        case .some(let socket): socket.failure
        }
    }

    /// What the failed attempt counts as.
    var failure: CounterID {
        switch socketFailure {
        case .name: .connectFailedDns
        case .tcp, nil: .connectFailedTcp
        case .proxy: .connectFailedProxy
        case .tls: .connectFailedTls
        case .upgrade: .connectFailedHttp
        case .timeout: .connectFailedTimeout
        }
    }

    /// How far the failed attempt has come.
    var reach: WebSocketConnection.Reach {
        switch socket {
        case .none: .noAnswer
        case .some(let socket): socket.reach
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

    /// When this connection wants a turn though nothing is ready.
    func nextDeadlineNs(nowNs: UInt64) -> UInt64 {
        switch socket {
        case .none: return isRetired ? .max : retryAtNs
        case .some(let socket):
            guard socket.phase == .open else { return isStalled ? .max : socket.nextDeadlineNs(nowNs: nowNs) }
            let silence = isStalled ? .max : max(lastReceivedNs, lastPingNs) + .ns(ms: Limits.venueSilencePingMs)
            return min(silence, subscription.nextDeadlineNs, rollAtNs)
        }
    }
}
