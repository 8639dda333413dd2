// Commands in a group: all members hear all of them. Most are carried out by whoever claims them first; what only one member knows is left
// to it. Redis keeps the claim, and the answer behind it: so each request is answered once, whoever of them dies. A claim that Redis does
// not answer is asked for again (`Limits.claimsWaitingMax` of them). The control thread's alone.

extension Control {
    /// The owner's name when only one member can carry the command out; nil: anybody can.
    private func home(of command: Command) -> String? {
        switch command {
        case .backfill(let symbol, _, _), .audit(let symbol, _, _, _): status.schema.unit(symbol)
        case .listFluxes, .getStatus, .listSymbols: Control.wholeUnit
        case .createFlux, .stopFlux, .getData, .listGaps: nil
        }
    }

    /// Carries the request out if it is ours.
    func claim(_ heard: CommandDesk.Heard) {
        guard let desk = group else { return }
        let request = heard.key
        // What is over the limit costs nothing more.
        if heard.isTooMuch {
            if speaksForAll { line.post([commands.answer(request, heard.asked.map { _ in [] })]) }
            return
        }
        if commands.isPending(request) { return counters.add(.commandsRepeated) }
        if case .success(let command) = heard.asked, let unit = home(of: command), !desk.isWriter(of: unit) { return }
        switch line.ask([commands.claim(request, owner: desk.owner)])?[0] {
        case .integer(1): break
        case .bytes(let known): return line.post([commands.repetition(request, String(decoding: known, as: UTF8.self))])
        case .error(let message) where Lease.isLasting(message):
            journal.note(
                .warning, "Redis refuses claims of commands: one member carries out all of them",
                key: "claim-refused:\(message.prefix(12))", ("reply", message), ("see", "deploy/redis-acl.conf"))
            guard speaksForAll else { return }
        case .error, nil: return claimLater(heard)
        default: return
        }
        commands.begin(request, nowNs: nowNs)
        switch heard.asked {
        case .success(let command): carryOut(request, command)
        case .failure(let error): answer(request, .failure(error))
        }
    }

    /// Redis may have carried the claim out all the same: then it says so the next time.
    private func claimLater(_ heard: CommandDesk.Heard) {
        if group!.unclaimed.count >= Limits.claimsWaitingMax { commands.giveUp(group!.unclaimed.removeFirst()) }
        group!.unclaimed.append(heard)
        group!.claimDueNs = nowNs + .ns(ms: Limits.claimAgainMs)
    }

    /// What Redis has not answered, while somebody may still wait for it.
    func claimAgain() {
        guard let desk = group, !desk.unclaimed.isEmpty, nowNs >= desk.claimDueNs, line.isReady, mayAnswer() else { return }
        group!.unclaimed = []
        for (place, heard) in desk.unclaimed.enumerated() {
            guard line.isReady && isWanted else {
                group!.unclaimed += desk.unclaimed[place...]
                return
            }
            if nowNs &- heard.atNs < .ns(ms: Limits.claimPendingMs) { claim(heard) } else { commands.giveUp(heard) }
        }
    }

    /// The one answer to a request.
    func answer(_ request: RequestKey, _ result: CommandResult) {
        let publication = commands.answer(request, result)
        if let desk = group {
            line.post([
                commands.settlement(request, result, publication[2], owner: desk.owner, ttlMs: desk.membership.settings.ttlMs)
            ])
        }
        line.post([publication])
    }

    // MARK: What is known of the whole

    func fluxList() -> [JSONValue] {
        fluxes.list.map { flux in status.sum.map { $0.flux(flux).flux.json } ?? status.summary(flux).json }
    }

    func fluxStatus(_ flux: Flux) -> FluxStatus { status.sum?.flux(flux) ?? status.fluxStatus(flux, fluxes) }

    func serviceStatus() -> ServiceStatus? {
        status.sum?.service ?? engine.figures().map { status.serviceStatus(fluxes, $0, nowMs: WallClock.nowMs()) }
    }

    /// The holes of these, as their writers have told Redis; nil without a group: the board has them.
    func groupGaps(symbol: Symbol?, interval: Interval?, flux: Flux?) throws(CommandError) -> GapList? {
        guard group != nil else { return nil }
        let all = flux.map { $0.series(fluxes.market) } ?? fluxes.wantedSeries
        let series = all.filter { (symbol ?? $0.symbol) == $0.symbol && (interval ?? $0.interval) == $0.interval }
        var gaps: [Gap] = []
        let untilNs = nowNs + .ns(ms: group!.membership.settings.ttlMs) / 2
        for start in stride(from: 0, to: series.count, by: Limits.gapKeysPerQuestionMax) {
            // A member that asks for longer is dead to the others.
            noteAwake()
            guard nowNs < untilNs else { throw CommandError(.busy, "Redis is too slow for the holes of all series; name a symbol") }
            let part = series[start..<min(start + Limits.gapKeysPerQuestionMax, series.count)]
            guard let replies = line.ask(part.map { ["HGETALL", status.schema.gapsKey($0)] }) else {
                throw CommandError(.internal, "Redis is away, or does not answer in time")
            }
            for (one, reply) in zip(part, replies) { gaps += reply.pairs.compactMap { GapRow.gap(one, name: $0.0, text: $0.1) } }
        }
        return GapList(of: gaps.sorted { $0.fromMs < $1.fromMs })
    }
}
