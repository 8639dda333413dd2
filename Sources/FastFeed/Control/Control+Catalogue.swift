// The catalogue's part of the control thread: when the exchange is asked for its 24 h figures, and what of it goes to Redis. Only the
// service that holds the lease asks and writes, or the member that speaks for its group.

extension Control {
    func listSymbols(_ query: SymbolQuery) throws(CommandError) -> [(String, JSONValue)] {
        guard engine.rest != nil else {
            throw CommandError(.internal, "the exchange is not asked for its symbols (venue-rest is off)")
        }
        return try catalogue.answer(query)
    }

    /// Requests that have waited, what Redis has, and what it lacks; so much of it that nothing else waits for long.
    func keepCatalogue() {
        guard isServing, line.isReady, isWanted, speaksForAll else { return }
        for _ in 0..<Limits.commandsPerTurnMax {
            guard lease.isHeld(nowNs), let (request, query) = catalogue.takeWaiters(nowNs: nowNs, max: 1).first else { break }
            carryOut(request, .listSymbols(query), mayWait: false)
        }
        guard lease.isHeld(nowNs) else { return }
        if let question = catalogue.index.question(nowNs: nowNs) {
            guard let replies = line.ask(question) else { return }
            note(refusal: catalogue.index.learn(replies, nowNs: nowNs))
        }
        guard lease.isHeld(nowNs) else { return }
        let commands = catalogue.index.take(nowMs: engine.clock.nowMs, max: Limits.catalogueWritesPerTurnMax)
        // Asked, not posted: what Redis has not taken is not to be taken for written.
        if !commands.isEmpty { note(refusal: catalogue.index.settle(commands, line.ask(commands), nowNs: nowNs)) }
    }

    private func note(refusal: String?) {
        guard let refusal else { return }
        let outlook = RedisReply.isForbidden(refusal) ? "they are listed by the command alone" : "they are written again later"
        journal.note(
            .warning, "Redis refuses the exchange's symbols: \(outlook)", key: "catalogue-refused:\(refusal.prefix(12))",
            ("reply", refusal), ("see", "deploy/redis-acl.conf"))
    }

    func askForFigures(_ rest: RestClient) {
        guard isServing, lease.isHeld(nowNs), speaksForAll, catalogue.isDue(nowNs) else { return }
        rest.dayTickers(patienceMs: 50_000) { [exchangeAnswers] in _ = exchangeAnswers.offer(.figures($0)) }
    }

    func learnFigures(_ result: Result<DayTickers, RestFailure>) {
        switch result {
        case .success(let tickers):
            guard catalogue.learn(tickers, nowMs: engine.clock.nowMs, nowNs: nowNs) else {
                return noteNoFigures("the exchange says nothing of most symbols", skipped: tickers.skipped)
            }
            journal.note(
                .info, "24 h figures of the exchange", key: "figures", ("count", "\(tickers.figures.count)"),
                ("skipped", "\(tickers.skipped)"))
        case .failure(.limited(waitMs: .max)):
            catalogue.failFigures(nowNs: nowNs, mayTheyCome: false)
            journal.note(
                .warning, "24 h figures cost more REST weight than they may ever have here; symbols are listed without",
                key: "never-figures")
        case .failure(let failure):
            catalogue.failFigures(nowNs: nowNs)
            noteNoFigures("\(failure)")
        }
    }

    private func noteNoFigures(_ reason: String, skipped: Int = 0) {
        journal.note(
            .warning, "no 24 h figures come; symbols are listed by the last ones, or without", key: "no-figures", ("reason", reason),
            ("skipped", "\(skipped)"))
    }
}
