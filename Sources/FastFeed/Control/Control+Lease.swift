// Who may take commands, and what becomes of them when that changes: the lease is asked for, a service that gets it takes over, and one
// that another has it before stands by. Both follow the same fluxes, so that a take-over misses nothing: what they write is the same.
// With the lease goes the question whether Redis still has what was written there. The control thread.

extension Control {
    /// The line stands (again).
    func greetRedis() {
        let wasServing = isServing
        beat()
        if wasServing && isServing {
            // A Redis that has come back empty is told again.
            line.post(fluxes.registry)
            status.forgetWritten()
            noteServing()
        }
        if line.isReady { line.confirm() }
    }

    private func noteServing() { journal.note(.info, "taking commands", key: "control-connected") }

    var beatIsDue: Bool { line.isReady && (nowNs >= lease.dueNs || lease.isHeld(nowNs) && !isServing) }

    /// True while what was heard until now is ours to answer.
    func mayAnswer() -> Bool { (lease.isHeld(nowNs) || beat()) && isServing && lease.isHeld(nowNs) }

    /// Asks for the lease, and for what must be in Redis. True unless the service begins anew or stands by.
    @discardableResult
    func beat() -> Bool {
        guard line.isReady else { return false }
        let askedNs = nowNs
        if isServing && !lease.isHeld(askedNs) {
            journal.note(.warning, "the lease was not renewed in time: no command is answered until it is", key: "lease-lapsed")
        }
        let reply = line.ask([lease.question])?[0]
        lateLeaseNs = reply == nil ? askedNs : nil
        let goesOn = settle(reply, askedNs: askedNs)
        lookAfterKeys()
        return goesOn
    }

    /// A Redis that is always slow shall not cost the lease.
    func takeLateLease() {
        guard let askedNs = lateLeaseNs, let reply = line.takeLateReply() else { return }
        lateLeaseNs = nil
        _ = settle(reply, askedNs: askedNs)
    }

    private func settle(_ reply: RedisReply?, askedNs: UInt64) -> Bool {
        let event = Lease.event(of: reply)
        if case .error(let message) = reply, event == .noReply {
            journal.note(.warning, "Redis does not take the lease now", key: "lease-later:\(message.prefix(12))", ("reply", message))
        }
        let step = lease.take(event, askedNs: askedNs, nowNs: nowNs)
        switch step {
        case .goOn: break
        case .takeOver: standDown()
        case .standBy(let owner): standBy(owner)
        case .goWithout(let reason):
            journal.note(
                .warning, "Redis refuses the lease: another service of this market would answer the same commands", ("reply", reason),
                ("see", "deploy/redis-acl.conf"))
        }
        if !isServing {
            if lease.isHeld(nowNs) { takeOver() } else if line.isReady { _ = readRegistry() }
        }
        switch step {
        case .goOn, .goWithout: return true
        case .takeOver, .standBy: return false
        }
    }

    // MARK: What must be in Redis

    private func lookAfterKeys() {
        guard line.isReady else { return }
        let questions = upkeep.questions(
            registry: isServing ? fluxes : nil, standings: engine.sink.isConnected ? engine.standings.fluxes : nil)
        if !questions.isEmpty, let replies = line.ask(questions) { restore(upkeep.losses(replies)) }
    }

    private func restore(_ lost: [Upkeep.Thing]) {
        guard !lost.isEmpty else { return }
        journal.note(
            .warning, "Redis has lost what the service keeps there; it is written again", key: "upkeep",
            ("what", lost.map(\.rawValue).joined(separator: " ")))
        if lost.contains(.registry) && isServing { line.post(fluxes.registry) }
        // Refused by a full mailbox, it is seen again.
        if lost.contains(.latest) { _ = engine.sink.commands.offer(.rewriteNewest) }
        status.forgetWritten()
    }

    // MARK: Coming and going

    private func takeOver() {
        let wasResumed = fluxes.isResumed
        line.flush()
        if !wasResumed { warnOfStrangers() }
        // Else the line is lost, and the next one tries again.
        guard line.listen(), readRegistry() else { return }
        if wasResumed && !registryIsTheirs { line.post(fluxes.registry) }
        (isServing, registryIsTheirs) = (true, false)
        status.forgetWritten()
        noteServing()
    }

    private func standDown() {
        line.stopListening()
        isServing = false
    }

    private func standBy(_ owner: String) {
        standDown()
        registryIsTheirs = true
        let (host, pid) = Lease.place(of: owner)
        journal.note(
            .notice, "another service of this market takes commands; this one stands by", ("state", "standby"), ("host", host), ("pid", pid)
        )
    }

    /// All databases of a Redis share their channels, and older versions know no lease.
    private func warnOfStrangers() {
        let reply = line.ask([["PUBSUB", "NUMSUB", commands.channels[0]]])?[0]
        guard let count = reply?.elements.last?.integer, count > 0 else { return }
        journal.note(
            .warning, "others listen for the same commands and do not heed the lease: a request may have several answers",
            ("listeners", "\(count)"), ("perhaps", "an older version, or a service in another database of this Redis"))
    }

    /// False when it cannot be read: the line is lost.
    private func readRegistry() -> Bool {
        let reply = line.ask([fluxes.registryQuestion])?[0]
        guard case .array = reply, let kept = reply?.pairs else {
            if case .error(let message) = reply { line.lose("cannot read the registry: \(message)") }
            if reply == nil { line.lose("it does not say what fluxes there are") }
            return false
        }
        if registryIsTheirs { endWhatEnded(kept) }
        for change in fluxes.resume(kept) + fluxes.judge(by: symbols) { engine.tell(change) }
        return true
    }

    /// The other has stopped fluxes, or made others under their ids.
    private func endWhatEnded(_ kept: [(id: String, json: String)]) {
        let kept = Dictionary(kept.compactMap { Flux(json: $0.json) }.map { ($0.id, $0) }) { $1 }
        for flux in fluxes.list where flux.origin == .command && kept[flux.id] != flux {
            engine.tell(fluxes.remove(flux))
            _ = status.end(flux)
        }
    }
}
