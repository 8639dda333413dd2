// What others say to the healer and what it says back, and what it needs of the world. Plain values, any thread.

/// Where the healer finds the exchange's own history.
package protocol KlineSource: Sendable {
    /// Bars of a series, oldest first, the forming one last; arguments and bounds are those of `RestClient.klines`.
    func klines(
        _ series: Series, startMs: Int64?, endMs: Int64?, limit: Int, patienceMs: Int64?,
        completion: @escaping @Sendable (Result<[CandleRecord], RestFailure>) -> Void)
}

extension RestClient: KlineSource {}

/// Where the healer reads what Redis has. The healer's thread alone; a call may block for `Limits.healerRedisTimeoutMs`.
package protocol HistoryReader: AnyObject {
    /// Replies in the order of the commands; nil when Redis is away.
    func ask(_ commands: [[String]]) -> [RedisReply]?
}

package struct HealSettings: Sendable {
    /// How long closed candles wait for a hole before them; 0: never.
    package var holdMs = 5_000
    /// A bar whose end has passed so long ago by the exchange's clock, and has not closed, is asked for.
    package var closeGraceMs = 2_000
    /// Candles that a series should have from its start, at most `history`.
    package var backfill = 1_000
    /// Entries of a series that Redis keeps, about.
    package var history = 1_500
    /// The audit's part of the exchange's weight limit, in percent; 0: no audit.
    package var auditPercent = 5

    package init() {}
}

package enum HealCommand: Sendable {
    /// Series that are followed from now on, or moved to other connections, with the candles each should have.
    case follow([(series: Series, handle: SeriesHandle, connections: [UInt32], backfill: Int)])
    case unfollow([SeriesHandle])
    /// So many candles before the present bar should be there.
    case backfill(Series, count: Int)
    /// Compares the last candles of a series with the exchange's own; answered by `HealEvent.audited`.
    case audit(token: UInt64, Series, count: Int, repairs: Bool)
}

/// What the healer tells the control thread.
package enum HealEvent: Sendable {
    case audited(token: UInt64, Result<AuditReport, RestFailure>)
    /// The exchange has trades and the stream brings nothing: it is to be subscribed anew; from the second time on elsewhere.
    case mute(Series, times: Int)
}

/// What an audit has found in one series.
package struct AuditReport: Sendable, Equatable {
    package typealias Finding = HistoryAudit.Finding.Kind

    /// Bars of the exchange that were compared.
    package var checked = 0
    package var findings: [(entryID: String, finding: Finding)] = []
    /// They were handed to the sink to be put right.
    package var isRepaired = false

    package init() {}

    package static func == (a: AuditReport, b: AuditReport) -> Bool {
        a.checked == b.checked && a.isRepaired == b.isRepaired && a.findings.elementsEqual(b.findings, by: ==)
    }
}
