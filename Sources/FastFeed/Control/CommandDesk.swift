// Requests as they come from the command channels, and their answers: a request is carried out at most once and answered
// exactly once, or counted. Pure but for counters and log: messages come in, what is to be done or published comes out. The
// control thread's alone.

package struct CommandDesk {
    package enum Step {
        /// Its outcome is said to `answer`, once, now or later.
        case carryOut(CommandRequest)
        case publish([String])
        case nothing
    }

    private let schema: KeySchema
    private let counters: CounterBank
    private let journal: Journal
    private var answers = AnswerBook()
    private var rate = RateLimit(perSecond: Limits.commandsPerSecondMax, burst: Limits.commandBurstMax)

    package init(schema: KeySchema, counters: CounterBank, journal: Journal) {
        (self.schema, self.counters, self.journal) = (schema, counters, journal)
    }

    /// Where requests come.
    package var channels: [String] { CommandKind.allCases.map(schema.commandChannel) }

    /// A message of a channel.
    package mutating func take(_ channel: String, _ payload: [UInt8], nowNs: UInt64) -> Step {
        guard let kind = CommandKind.allCases.first(where: { schema.commandChannel($0) == channel }) else { return .nothing }
        counters.add(.commandsReceived)
        let key: RequestKey
        let request: Result<CommandRequest, CommandError>
        do throws(CommandRequest.Refusal) {
            let made = try CommandRequest(kind, payload)
            (key, request) = (made.key, .success(made))
        } catch {
            guard let id = error.id else {
                return leave("a request that cannot be answered", channel, ("reason", error.error.message))
            }
            (key, request) = (RequestKey(kind: kind, id: id), .failure(error.error))
        }
        if case .success = request {
            if let known = answers.find(key, nowNs: nowNs) {
                counters.add(.commandsRepeated)
                if case .answered(let text) = known { return .publish(publication(key, text)) }
                return .nothing
            }
            answers.begin(key, nowNs: nowNs)
        }
        guard rate.take(nowNs) else { return refuse(key, CommandError(.busy, "too many requests; try again in a second")) }
        switch request {
        case .success(let request): return .carryOut(request)
        case .failure(let error): return refuse(key, error)
        }
    }

    /// A message that was longer than a request may be, and was not kept.
    package func skip(_ channel: String, bytes: Int) {
        counters.add(.commandsReceived)
        _ = leave("a request was too long", channel, ("bytes", "\(bytes)"))
    }

    /// Nobody can be told.
    private func leave(_ what: String, _ channel: String, _ particular: (String, String)) -> Step {
        counters.add(.commandsUnanswered)
        journal.note(.warning, what, key: "command:\(what):\(channel)", ("channel", channel), particular)
        return .nothing
    }

    private mutating func refuse(_ key: RequestKey, _ error: CommandError) -> Step { .publish(answer(key, .failure(error))) }

    /// The one answer to a request, as it is to be published.
    package mutating func answer(_ key: RequestKey, _ result: CommandResult) -> [String] {
        var isKept = true
        if case .failure(let error) = result {
            counters.add(.commandsRefused)
            isKept = error.code != .busy && error.code != .internal
        }
        let text = result.text(requestID: key.id)
        answers.end(key, text, isKept: isKept)
        return publication(key, text)
    }

    private func publication(_ key: RequestKey, _ text: String) -> [String] {
        counters.add(.commandsAnswered)
        return ["PUBLISH", schema.responseChannel(key.kind, requestID: key.id), text]
    }
}
