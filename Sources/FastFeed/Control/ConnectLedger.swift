// The ledger of attempts to connect to the exchange, in Redis: a process that is started again and again keeps to the exchange's limit, too.
// Pure: replies and the budget's news come in, commands for Redis come out. The control thread's alone. Bounds: as many entries as the
// limit has, for as long as it counts them.
//
// All services of one market and key prefix share it. It is read once, before anything is written: what is read then is of others.

package struct ConnectLedger {
    private enum State: Equatable { case unread, kept, refused }

    private let key: String
    /// Unix ms when the monotonic clock began: an attempt has one name for good.
    private let epochMs: Int64
    private var state = State.unread
    private var dueNs: UInt64 = 0
    private static let most = String(Limits.connectAttemptsPer5MinMax - 1)

    package init(key: String, nowNs: UInt64, nowMs: Int64) {
        (self.key, epochMs) = (key, nowMs - Int64(nowNs / 1_000_000))
    }

    private func nameMs(_ atNs: UInt64) -> Int64 { epochMs + Int64(atNs / 1_000_000) }

    /// Nil when it is read already, or was asked for a moment ago.
    package mutating func question(nowNs: UInt64) -> [String]? {
        guard state == .unread, nowNs >= dueNs else { return nil }
        dueNs = nowNs + 1_000_000_000
        return ["LRANGE", key, "0", ConnectLedger.most]
    }

    /// How long ago each attempt of others was; nil while that is not known. What lies in the future was written by another clock, and
    /// says nothing.
    package mutating func take(_ reply: RedisReply, nowNs: UInt64) -> [UInt64]? {
        switch reply {
        case .array(let entries):
            state = .kept
            let agesMs = entries.compactMap { $0.text.flatMap { Int64($0) } }.map { nameMs(nowNs) &- $0 }
            return agesMs.filter { (-1_000...Int64(Limits.connectWindowMs)).contains($0) }.map { .ns(ms: UInt64(max(0, $0))) }
        case .error(let message) where [.later, .elsewhere, .reconnect].contains(ReplyVerdict(error: message)): return nil
        default:
            state = .refused
            return []
        }
    }

    /// It will not be had, with the rights that we have.
    package var isRefused: Bool { state == .refused }

    /// True once the budget's news may be written.
    package var isKept: Bool { state == .kept }

    package func writes(_ news: ConnectBudget.LedgerNews) -> [[String]] {
        guard isKept, !news.isEmpty else { return [] }
        let taken = news.unmadeNs.map { ["LREM", key, "1", String(nameMs($0))] }
        guard !news.madeNs.isEmpty else { return taken }
        let made = ["LPUSH", key] + news.madeNs.map { String(nameMs($0)) }
        return taken + [made, ["LTRIM", key, "0", ConnectLedger.most], ["PEXPIRE", key, String(Limits.connectWindowMs)]]
    }
}
