// Which of several services with one market and key prefix answers commands, keeps the registry and writes the status: the one that
// holds a key in Redis. Pure: what Redis says comes in with the time, what is to be asked and what follows comes out. The control
// thread's alone.
//
// The key is asked for at each third of its life, and after a second where no reply says whose it is. Its holder counts that life from
// before it asked, and an eighth shorter than Redis does: so it has stopped when another begins, also when it was paused meanwhile. It
// is as safe as one Redis key: a failover that forgets it may make two holders of it until the next time they ask. No candle depends
// on it.

package struct Lease {
    /// What came of asking.
    package enum Event: Equatable {
        /// The key was free, and is ours.
        case acquired
        /// The key was ours, and lasts longer.
        case renewed
        case refused(by: String)
        /// Redis will not let us have it, whenever we ask; in its words.
        case denied(String)
        case noReply
    }

    package enum Step: Equatable {
        case goOn
        /// It begins: what was heard until now may be another's to answer.
        case takeOver
        /// Another holds it: serve no more.
        case standBy(owner: String)
        /// Serve as if there were no other.
        case goWithout(String)
    }

    private enum State: Equatable {
        case none
        case held(untilNs: UInt64)
        case waiting(owner: String)
        case without
    }

    private let key: String
    private let lifeMs: Int
    /// Host, process and a number that no other process has.
    package let owner: String
    private var state = State.none
    /// When Redis is to be asked next.
    package private(set) var dueNs: UInt64 = 0

    /// - Parameter isNeeded: false in a group, whose members claim each command.
    package init(key: String, lifeMs: Int, host: String, pid: Int32, nonce: UInt64, isNeeded: Bool = true) {
        (self.key, self.lifeMs, owner) = (key, lifeMs, "\(host) \(pid) \(Ascii.hex(nonce))")
        if !isNeeded { state = .without }
    }

    /// Read the clock after what is to be answered, not before.
    package func isHeld(_ nowNs: UInt64) -> Bool {
        switch state {
        case .held(let untilNs): nowNs < untilNs
        case .without: true
        case .none, .waiting: false
        }
    }

    /// The name that says who keeps the registry; nil for a service that goes without the lease, where several may.
    package var keeper: String? { state == .without ? nil : owner }

    /// True for the name of the one that holds it instead of us.
    package func standsBehind(_ name: String?) -> Bool {
        if case .waiting(let owner) = state { return name == owner }
        return false
    }

    /// Host and process of an owner's name, which somebody else has written.
    package static func place(of owner: String) -> (host: String, pid: String) {
        let words = Ascii.printable(owner.utf8).split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        return (words[0], words.count > 1 ? words[1] : "")
    }

    // MARK: What Redis is asked

    /// Acquires or renews: 0, 1, or who holds it. (PEXPIRE is taken by a Redis that is out of memory, too.)
    private static let ask = """
        local owner = redis.call('GET', KEYS[1])
        if owner == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
        if owner then return owner end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 0
        """

    package var question: [String] { ["EVAL", Lease.ask, "1", key, owner, String(lifeMs)] }

    /// Gives it back, unless it is another's by now. Nothing while it is not held.
    package var release: [[String]] {
        guard case .held = state else { return [] }
        return [["EVAL", "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0", "1", key, owner]]
    }

    // MARK: What Redis says

    package static func event(of reply: RedisReply?) -> Event {
        switch reply {
        case .integer(0): .acquired
        case .integer: .renewed
        case .bytes(let owner): .refused(by: String(decoding: owner.prefix(256), as: UTF8.self))
        case .error(let message): isLasting(message) ? .denied(message) : .noReply
        default: .noReply
        }
    }

    /// Refused whenever it is asked: by rights, by a server without scripts, by a value of another type under the key. All other words may
    /// be said of a server that is away, and two that went without the lease for a moment would answer twice.
    static func isLasting(_ message: String) -> Bool {
        if message.hasPrefix("ERR unknown command") || RedisReply.isForbidden(message) { return true }
        return message.split(separator: " ").contains { $0 == "WRONGTYPE" || $0 == "-WRONGTYPE" }
    }

    /// - Parameters:
    ///   - askedNs: before the question was sent.
    ///   - nowNs: after its reply came.
    package mutating func take(_ event: Event, askedNs: UInt64, nowNs: UInt64) -> Step {
        dueNs = askedNs + .ns(ms: event == .noReply ? min(lifeMs / 3, Limits.leaseRetryMs) : lifeMs / 3)
        let before = state
        switch event {
        case .acquired:
            // Held all the time: Redis has lost the key. Otherwise another may have held it since.
            let goesOn = isHeld(nowNs)
            state = .held(untilNs: askedNs + .ns(ms: lifeMs - lifeMs / 8))
            return goesOn ? .goOn : .takeOver
        case .renewed:
            state = .held(untilNs: askedNs + .ns(ms: lifeMs - lifeMs / 8))
            // Ours to the end, however late we are. (Without having been held: the reply that said so was lost.)
            if case .held = before { return .goOn }
            return before == .without ? .goOn : .takeOver
        case .refused(let owner):
            state = .waiting(owner: owner)
            return before == state ? .goOn : .standBy(owner: owner)
        case .denied(let reason):
            state = .without
            return before == state ? .goOn : .goWithout(reason)
        case .noReply: return .goOn
        }
    }
}
