// Request weight per client and clock minute, and the bans of those who go on after a 429. One thread.

package struct WeightLedger {
    package enum Verdict: Equatable {
        case admitted(used: Int)
        /// 429: wait until the next minute.
        case limited(used: Int, retryAfterSeconds: Int)
        /// 418: this address is banned for so long.
        case banned(retryAfterSeconds: Int)
    }

    private struct Account {
        var minute: Int64 = 0
        var used = 0
        var refusals = 0
        var bannedUntilMs: Int64 = 0
        /// What the last Retry-After said.
        var waitsUntilMs: Int64 = 0
        var banSeconds: Int
    }

    private let weightMax: Int
    private let firstBanSeconds: Int
    private var accounts: [String: Account] = [:]
    /// Requests that came before the Retry-After of an earlier answer was over.
    private(set) var early = 0
    /// The most weight that one client has used in one minute.
    private(set) var weightPeak = 0
    private static let accountsMax = 4_096
    /// Refused requests in one minute before the client is banned.
    package static let refusalsMax = 5
    private static let banSecondsMax = 259_200

    package init(weightMax: Int, firstBanSeconds: Int) {
        self.weightMax = weightMax
        self.firstBanSeconds = firstBanSeconds
    }

    package mutating func charge(_ weight: Int, to address: String, nowMs: Int64) -> Verdict {
        if accounts.count > WeightLedger.accountsMax { accounts.removeAll() }
        var account = accounts[address] ?? Account(banSeconds: firstBanSeconds)
        defer { accounts[address] = account }
        if account.waitsUntilMs > nowMs { early += 1 }
        if account.bannedUntilMs > nowMs {
            return .banned(retryAfterSeconds: Int((account.bannedUntilMs - nowMs + 999) / 1_000))
        }
        let minute = nowMs / 60_000
        if account.minute != minute { (account.minute, account.used, account.refusals) = (minute, 0, 0) }
        account.used += weight
        weightPeak = max(weightPeak, account.used)
        guard account.used > weightMax else { return .admitted(used: account.used) }
        account.refusals += 1
        if account.refusals > WeightLedger.refusalsMax {
            let seconds = account.banSeconds
            account.banSeconds = min(seconds * 2, WeightLedger.banSecondsMax)
            account.bannedUntilMs = nowMs + Int64(seconds) * 1_000
            account.waitsUntilMs = account.bannedUntilMs
            account.refusals = 0
            return .banned(retryAfterSeconds: seconds)
        }
        let toNextMinute = Int(((minute + 1) * 60_000 - nowMs + 999) / 1_000)
        account.waitsUntilMs = nowMs + Int64(toNextMinute) * 1_000
        return .limited(used: account.used, retryAfterSeconds: toNextMinute)
    }

    /// A client is told to wait whatever it has used; a ban is kept up.
    mutating func refuse(_ address: String, seconds: Int, isBan: Bool, nowMs: Int64) {
        var account = accounts[address] ?? Account(banSeconds: firstBanSeconds)
        account.waitsUntilMs = max(account.waitsUntilMs, nowMs + Int64(seconds) * 1_000)
        if isBan { account.bannedUntilMs = max(account.bannedUntilMs, nowMs + Int64(seconds) * 1_000) }
        accounts[address] = account
    }
}
