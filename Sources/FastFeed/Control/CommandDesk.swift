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
        let busy = CommandError(.busy, "too many requests; try again in a second")
        switch rate.take(nowNs) ? request.command : .failure(busy) {
        case .success(let command): return .carryOut(key, command)
        case .failure(let error): return .publish(answer(key, .failure(error)))
        }
    }

    /// A message that was longer than a request may be, and was not kept.
    package func skip(_ channel: String, bytes: Int) {
        counters.add(.commandsReceived)
        leave("a request was too long", channel, "\(bytes) bytes")
    }

    /// Nobody can be told.
    private func leave(_ what: String, _ channel: String, _ reason: String) {
        counters.add(.commandsUnanswered)
        journal.note(.warning, what, key: "command:\(what):\(channel)", ("channel", channel), ("reason", reason))
    }

    /// The one answer to a request, as it is to be published.
    package mutating func answer(
        _ key: RequestKey, _ result: CommandResult, nowNs: UInt64 = MonotonicClock.nowNs()
    ) -> [String] {
        var isKept = true
        if case .failure(let error) = result {
            counters.add(.commandsRefused)
            isKept = error.code != .busy && error.code != .internal
        }
        let text = result.text(requestID: key.id)
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
