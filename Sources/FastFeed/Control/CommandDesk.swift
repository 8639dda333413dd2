// Requests as they come from the command channels, and their answers: a request is carried out at most once and answered
// exactly once, or counted. Pure but for counters and log: messages come in, what is to be done or published comes out. The
// control thread's alone.

package struct CommandDesk {
    package enum Step {
        /// Its outcome is said to `answer`, once, now or later.
        case carryOut(RequestKey, Command)
        case publish([String])
        case nothing
    }

    private let schema: KeySchema
    private let counters: CounterBank
    private let journal: Journal
    /// How long each kind of command took, from its message to its answer. Of those that were carried out.
    private let durations: [CommandKind: LatencyHistogram]
    private var answers = AnswerBook()
    private var rate = RateLimit()
    /// In a group: requests that are ours and not answered yet.
    private var claimedNs: [RequestKey: UInt64] = [:]

    package init(schema: KeySchema, counters: CounterBank, durations: [CommandKind: LatencyHistogram] = [:], journal: Journal) {
        (self.schema, self.counters, self.durations, self.journal) = (schema, counters, durations, journal)
    }

    /// Where requests come.
    package var channels: [String] { CommandKind.allCases.map(schema.commandChannel) }

    /// A message of a channel.
    package mutating func take(_ channel: String, _ payload: [UInt8], nowNs: UInt64) -> Step {
        guard let kind = CommandKind.allCases.first(where: { schema.commandChannel($0) == channel }) else { return .nothing }
        counters.add(.commandsReceived)
        let request = CommandRequest(kind, payload)
        guard let key = request.key else {
            if case .failure(let error) = request.command { leave("a request that cannot be answered", channel, error.message) }
            return .nothing
        }
        if case .success = request.command, let known = answers.begin(key, nowNs: nowNs) {
            counters.add(.commandsRepeated)
            if case .answered(let text) = known { return .publish(publication(key, text)) }
            return .nothing
        }
        switch rate.take(nowNs) ? request.command : .failure(CommandDesk.tooMany) {
        case .success(let command): return .carryOut(key, command)
        case .failure(let error): return .publish(answer(key, .failure(error)))
        }
    }

    private static let tooMany = CommandError(.busy, "too many requests; try again in a second")

    // MARK: In a group

    /// A request that all members of the group have heard.
    package struct Heard: Sendable {
        package let key: RequestKey
        /// The command, or why the request is refused.
        package let asked: Result<Command, CommandError>
        /// More than may be heard: it is answered without a claim.
        package let isTooMuch: Bool
        package let atNs: UInt64
    }

    /// Nil for what nobody can answer.
    package mutating func hear(_ channel: String, _ payload: [UInt8], nowNs: UInt64) -> Heard? {
        guard let kind = CommandKind.allCases.first(where: { schema.commandChannel($0) == channel }) else { return nil }
        counters.add(.commandsReceived)
        let request = CommandRequest(kind, payload)
        guard let key = request.key else {
            if case .failure(let error) = request.command { leave("a request that cannot be answered", channel, error.message) }
            return nil
        }
        guard rate.take(nowNs) else { return Heard(key: key, asked: .failure(CommandDesk.tooMany), isTooMuch: true, atNs: nowNs) }
        return Heard(key: key, asked: request.command, isTooMuch: false, atNs: nowNs)
    }

    /// Asks Redis whose the request is.
    /// - Parameter owner: of the claim; no other process has it.
    package func claim(_ key: RequestKey, owner: String) -> [String] {
        let claim = schema.claimKey(key.kind, requestID: key.id)
        return [
            "EVAL", GroupScripts.claim, "2", claim, claim + ":again", owner, String(Limits.claimPendingMs), String(Limits.claimRepeatMs),
        ]
    }

    /// We have claimed it, and work on it.
    package func isPending(_ key: RequestKey) -> Bool { claimedNs[key] != nil }

    /// Notes that this service carries the request out.
    package mutating func begin(_ key: RequestKey, nowNs: UInt64) {
        _ = answers.begin(key, nowNs: nowNs)
        claimedNs[key] = nowNs
    }

    /// With each beat: what we still work on stays ours.
    package mutating func holds(owner: String, nowNs: UInt64) -> [[String]] {
        claimedNs = claimedNs.filter { nowNs &- $0.value < .ns(ms: Limits.claimKeptMs) }
        let keys = claimedNs.filter { nowNs &- $0.value >= .ns(ms: Limits.beatMs) }.keys.map { schema.claimKey($0.kind, requestID: $0.id) }
        return stride(from: 0, to: keys.count, by: Limits.registeredPerScriptMax).map { start in
            hold(keys[start..<min(start + Limits.registeredPerScriptMax, keys.count)], owner, Limits.claimPendingMs)
        }
    }

    private func hold(_ keys: ArraySlice<String>, _ owner: String, _ ms: Int) -> [String] {
        ["EVAL", GroupScripts.hold, String(keys.count)] + keys + [owner, String(ms)]
    }

    /// A request that could not be claimed in time.
    package func giveUp(_ heard: Heard) {
        leave("a request could not be claimed", schema.commandChannel(heard.key.kind), "Redis does not answer")
    }

    /// An answer that another member has given, or we have, once more.
    package func repetition(_ key: RequestKey, _ text: String) -> [String] {
        counters.add(.commandsRepeated)
        return publication(key, text)
    }

    /// What Redis is to keep of an answer, so that nobody gives another.
    package func settlement(_ key: RequestKey, _ result: CommandResult, _ text: String, owner: String, ttlMs: Int) -> [String] {
        let claim = schema.claimKey(key.kind, requestID: key.id)
        guard CommandDesk.isKept(result), text.utf8.count <= Limits.claimAnswerBytesMax else {
            return hold([claim], owner, Limits.claimUnkeptMs)
        }
        return [
            "EVAL", GroupScripts.settle, "2", claim, claim + ":again", owner, text, String(Limits.claimKeptMs),
            String(ttlMs + Limits.claimHeardMs),
        ]
    }

    private static func isKept(_ result: CommandResult) -> Bool {
        guard case .failure(let error) = result else { return true }
        return error.code != .busy && error.code != .internal
    }

    // MARK: Answers

    /// A message that was longer than a request may be, and was not kept.
    package func skip(_ channel: String, bytes: Int) {
        counters.add(.commandsReceived)
        leave("a request was too long", channel, "\(bytes) bytes")
    }

    /// Counts and logs a request whose sender cannot be told.
    private func leave(_ what: String, _ channel: String, _ reason: String) {
        counters.add(.commandsUnanswered)
        journal.note(.warning, what, key: "command:\(what):\(channel)", ("channel", channel), ("reason", reason))
    }

    /// The one answer to a request, as it is to be published.
    package mutating func answer(
        _ key: RequestKey, _ result: CommandResult, nowNs: UInt64 = MonotonicClock.nowNs()
    ) -> [String] {
        if case .failure = result { counters.add(.commandsRefused) }
        let isKept = CommandDesk.isKept(result)
        let text = result.text(requestID: key.id)
        claimedNs[key] = nil
        if let sinceNs = answers.end(key, text, isKept: isKept) { durations[key.kind]?.record(nowNs &- min(sinceNs, nowNs)) }
        return publication(key, text)
    }

    private func publication(_ key: RequestKey, _ text: String) -> [String] {
        counters.add(.commandsAnswered)
        return ["PUBLISH", schema.responseChannel(key.kind, requestID: key.id), text]
    }
}

/// So many requests a second on average, more at once.
private struct RateLimit {
    private var tokens = Limits.commandBurstMax
    private var lastNs: UInt64 = 0

    mutating func take(_ nowNs: UInt64) -> Bool {
        tokens = min(Limits.commandBurstMax, tokens + Double(nowNs &- lastNs) / 1e9 * Limits.commandsPerSecondMax)
        lastNs = nowNs
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
