// Who may take commands, and what becomes of them when that changes: the lease is asked for, a service that gets it takes over, and one
// that another has it before stands by. Both follow the same fluxes, so that a take-over misses nothing: what they write is the same.
// With the lease goes the question whether Redis still has what was written there. The control thread.
//
// A flux that is missing in the registry was stopped by another holder, or lost by Redis. A key beside it tells which: `keeperKey` names
// who has kept the registry last. Each holder writes it behind its own fluxes, it does not expire, and what loses the registry loses it,
// too. So the registry's word ends fluxes of ours only where the key names
//   - the one that holds the lease, while we stand by;
//   - another than us, when we take over: it was the last to serve, also while we were paused.
// Otherwise ours are the last word, and are written again.

import Glibc

extension Control {
    /// What is done whenever the line to Redis stands anew.
    func greetRedis() {
        let wasServing = isServing
        catalogue.index.forget()
        mayAskInfo = true
        // What was said while the line was away was not heard.
        group?.registryDueNs = 0
        beat()
        if wasServing && isServing && lease.isHeld(nowNs) && group == nil {
            // A Redis that has come back empty is told again.
            postRegistry()
            status.forgetWritten()
            noteServing()
        }
        if line.isReady { line.confirm() }
    }

    func noteServing() { journal.note(.info, "taking commands", key: "control-connected") }

    var beatIsDue: Bool {
        if let group { return line.isReady && (group.owesBeat || nowNs >= group.dueNs) }
        return line.isReady && (nowNs >= lease.dueNs || lease.isHeld(nowNs) && !isServing)
    }

    /// True while what was heard until now is ours to answer.
    func mayAnswer() -> Bool {
        // In a group the claim decides.
        if group != nil { return isServing }
        return (lease.isHeld(nowNs) || beat()) && isServing && lease.isHeld(nowNs)
    }

    /// Asks for the lease, and for what must be in Redis. True unless the service begins anew or stands by.
    @discardableResult
    func beat() -> Bool {
        guard line.isReady else { return false }
        if group != nil {
            beatOfGroup()
            return true
        }
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
        if !isServing && line.isReady {
            if lease.isHeld(nowNs) { takeOver() } else { followRegistry() }
        }
        switch step {
        case .goOn, .goWithout: return true
        case .takeOver, .standBy: return false
        }
    }

    // MARK: What must be in Redis

    func lookAfterKeys() {
        // What was posted goes before the question whether it is there.
        line.flush()
        guard line.isReady else { return }
        let questions = upkeep.questions(
            registry: isServing && lease.isHeld(nowNs) && group == nil ? fluxes : nil, keeper: lease.keeper,
            standings: engine.sink.isConnected ? engine.standings.fluxes : nil)
        guard let replies = line.ask(questions + (mayAskInfo ? [ReplicationInfo.question] : [])) else { return }
        if mayAskInfo, let reply = replies.last {
            status.redis = RedisStanding(redis, replicas: reply.text.map(ReplicationInfo.init))
            // Each time would be noted there.
            if case .error(let message) = reply, message.hasPrefix("NOPERM") { mayAskInfo = false }
        }
        restore(upkeep.losses(replies.prefix(questions.count)))
    }

    private func restore(_ lost: [Upkeep.Thing]) {
        guard !lost.isEmpty else { return }
        journal.note(
            .warning, "Redis has lost what the service keeps there; it is written again", key: "upkeep",
            ("what", lost.map(\.rawValue).joined(separator: " ")))
        if lost.contains(.registry) && isServing && lease.isHeld(nowNs) { postRegistry() }
        // Refused by a full mailbox, it is seen again.
        if lost.contains(.latest) { _ = engine.sink.commands.offer(.rewriteNewest) }
        status.forgetWritten()
        catalogue.index.doubt()
    }

    /// Who keeps it comes last: named there, the registry is whole.
    private func postRegistry() {
        line.post(erased.map(fluxes.erasure) + fluxes.registry)
        if let keeper = lease.keeper { line.post([fluxes.keeperEntry(keeper)]) }
    }

    // MARK: Coming and going

    private func takeOver() {
        let wasResumed = fluxes.isResumed
        line.flush()
        if !wasResumed { warnOfStrangers() }
        // Else Redis is slow, or the line is lost: a later turn tries again.
        guard line.isReady, line.listen(isWanted: { waitsOn() }), var reading = readRegistry() else { return }
        let keeper = reading[0].text
        let isTheirs = keeper != nil && keeper != lease.owner
        if isTheirs {
            erased = []
        } else if !erased.isEmpty {
            // It is ours, and may be from before they were stopped.
            line.post(erased.map(fluxes.erasure))
            line.flush()
            guard line.isReady, let anew = readRegistry() else { return }
            reading = anew
        }
        resume(reading, endsOthers: isTheirs)
        if wasResumed && !isTheirs { line.post(fluxes.registry) }
        if let keeper = lease.keeper { line.post([fluxes.keeperEntry(keeper)]) }
        isServing = true
        status.forgetWritten()
        catalogue.index.forget()
        noteServing()
    }

    func standDown() {
        line.stopListening()
        (isServing, registryReading) = (false, [])
        // Whoever has the lease now has not heard them, so this answer is the only one; and has not carried them out, nor do we.
        let waiting =
            symbols.takeWaiters(nowNs: .max, max: .max).map(\.request) + catalogue.takeWaiters(nowNs: .max, max: .max).map(\.request)
        for request in waiting {
            answer(request, .failure(CommandError(.busy, "the service has lost its lease; try again")))
        }
    }

    private func standBy(_ owner: String) {
        standDown()
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
            ("listeners", "\(count)"), ("perhaps", "an older version, a service in another database of this Redis, or a group"))
    }

    /// Who writes the status without the lease goes on doing so: a group, or a service that is denied the lease. Asked before ours is
    /// written.
    func lookForRival() {
        guard let reply = line.ask([status.rivalQuestion])?[0] else { return }
        let known = status.rivals.rival
        status.rivals.take(reply.elements.map(\.text), nowNs: nowNs)
        guard let rival = status.rivals.rival, known == nil || known! != rival else { return }
        journal.note(
            .warning, "another service writes the same keys: each needs its --key-prefix, or all the same --group",
            ("host", Ascii.printable(rival.host.utf8, limit: 64)), ("pid", "\(rival.pid)"))
    }

    /// Who keeps the registry, and its entries. Nil when it cannot be read: the line is lost.
    private func readRegistry() -> [RedisReply]? {
        let reading = line.ask([fluxes.keeperQuestion, fluxes.registryQuestion])
        switch reading?[1] {
        case .array: return reading
        case .error(let message): line.lose("cannot read the registry: \(message)")
        case nil: line.lose("it does not say what fluxes there are")
        default: line.lose("the registry is not a hash")
        }
        return nil
    }

    /// A standby follows what the holder follows.
    private func followRegistry() {
        guard let reading = readRegistry() else { return }
        let isNew = reading != registryReading
        registryReading = reading
        // A key may be lost alone (evicted, deleted), and is written again at its holder's next beat: none is believed the second time.
        let isEmpty = reading[1].elements.isEmpty
        guard isNew != isEmpty else { return }
        resume(reading, endsOthers: lease.standsBehind(reading[0].text))
    }

    func resume(_ reading: [RedisReply], endsOthers: Bool) {
        let (changes, ended) = fluxes.resume(reading[1].pairs.map { (id: $0.0, json: $0.1) }, endsOthers: endsOthers)
        for flux in ended { _ = status.end(flux) }
        for change in changes + fluxes.placeMissing() + fluxes.judge(by: symbols) { engine.tell(change) }
    }
}
