// The control thread as a member of a group: its beat, what follows when the group changes, and how it ends. Commands are heard by all
// members and carried out by one (`Control+Claims`). The control thread's alone.
//
// The sink looks at the pulse before it writes: after a sleep nothing is written until the group was asked once. An answer decides; without
// one everything goes on as before.

/// What a member keeps beside its machine.
struct GroupDesk {
    var membership: Membership
    let pulse: Pulse
    /// When the thread was last seen awake.
    var awakeNs: UInt64 = 0
    /// It has stood still and has not asked since.
    var owesBeat = false
    /// Taken over a TTL ago, these are written once more: what their writer of before still had in a socket may have come since.
    var taken: [(dueNs: UInt64, handles: [SeriesHandle])] = []
    /// By id: since when it is followed, as far as was looked.
    var followed: [UInt32: (handle: SeriesHandle, sinceNs: UInt64)] = [:]
    /// The sink was asked of which series nothing has come since then, in this epoch.
    var asked: (epoch: Int64, sinceNs: UInt64)?
    /// Requests that Redis has not let us claim, and when to claim them again.
    var unclaimed: [CommandDesk.Heard] = []
    var claimDueNs: UInt64 = 0
    /// Since when there has been no Redis to leave by.
    var awayNs: UInt64?
    /// What all members must have alike.
    let agreed: String
    var registryDueNs: UInt64 = 0
    var upkeepDueNs: UInt64 = 0

    init(_ settings: Membership.Settings, facts: MemberFacts, agreed: String, schema: KeySchema, pulse: Pulse) {
        (membership, self.pulse, self.agreed) = (Membership(settings, facts: facts, schema: schema), pulse, agreed)
    }

    var dueNs: UInt64 { min(membership.dueNs, taken.first?.dueNs ?? .max, unclaimed.isEmpty ? .max : claimDueNs) }
    /// What a claim of ours says: name and nonce.
    var owner: String { "\(membership.name) \(membership.facts.nonce)" }
    func isWriter(of unit: String) -> Bool { membership.role(in: unit) == .writer }
}

extension Control {
    /// The unit whose writer adds up the status, keeps the exchange's list, and answers what is asked of the whole.
    static let wholeUnit = "status"

    /// Of all that is said once for a group, it is ours to say.
    var speaksForAll: Bool { group?.isWriter(of: Control.wholeUnit) ?? true }

    // MARK: Awake

    /// Called each turn, and while something is waited for.
    func noteAwake() {
        guard let desk = group else { return }
        let nowNs = nowNs
        if desk.awakeNs > 0 && nowNs &- desk.awakeNs > .ns(ms: desk.membership.settings.ttlMs) {
            group!.membership.noteSleep()
            group!.owesBeat = true
            journal.note(
                .warning, "this process has stood still; it asks the group before it writes", key: "group-slept",
                ("ms", "\((nowNs &- desk.awakeNs) / 1_000_000)"))
        }
        group!.awakeNs = nowNs
        if !group!.owesBeat { desk.pulse.beat(nowNs) }
    }

    /// The group was asked, or cannot be.
    func endAsking() {
        guard let desk = group else { return }
        if desk.owesBeat {
            // What has come meanwhile the others have answered.
            standDown()
            group!.unclaimed = []
            group!.owesBeat = false
            group!.membership.beatNow()
        }
        desk.pulse.beat(nowNs)
    }

    // MARK: The beat

    func beatOfGroup() {
        guard var desk = group, line.isReady else { return }
        let isConnected = fluxes.placement.connectionCount == 0 || hasConnection
        desk.membership.note(isConnected: isConnected, nowNs: nowNs)
        desk.membership.facts.series = fluxes.placement.seriesCount
        desk.membership.facts.units = fluxes.writtenCount
        if isLeaving { desk.membership.leave(nowNs: nowNs) }
        let question = desk.membership.question(nowNs: nowNs)
        let event = desk.membership.take(line.ask([question])?[0], nowNs: nowNs)
        group = desk
        switch event {
        case .noAnswer: break
        case .refused(let message):
            journal.note(
                .warning, "Redis does not take this member's beat: the group stays as it is", key: "group-refused:\(message.prefix(12))",
                ("reply", message), ("see", "deploy/redis-acl.conf"))
        case .answered(let answered): take(answered)
        }
        if line.isReady && group!.membership.hasView && !isServing && !isLeaving { serveGroup() }
        writeTakenAgain()
        askSilent()
        guard line.isReady && isServing else { return }
        reloadIfDue()
        line.post(commands.holds(owner: group!.owner, nowNs: nowNs))
        if nowNs >= group!.upkeepDueNs {
            group!.upkeepDueNs = nowNs + .ns(ms: Limits.upkeepMs)
            lookAfterKeys()
        }
    }

    /// Some connection to the exchange is open and subscribed.
    private var hasConnection: Bool { engine.readers.contains { $0.counters.value(.connectionsLive) > 0 } }

    private func take(_ answered: Membership.Answered) {
        if answered.wasGone {
            journal.note(.warning, "the group had declared this member dead; it joins again", key: "group-gone")
            group!.registryDueNs = 0
        }
        status.namesake = answered.rival.map { UInt64(clamping: $0.pid) }
        if let rival = answered.rival {
            journal.note(
                .error, "another process beats under this member's name: both write the same symbols", key: "group-rival",
                ("member", group!.membership.name), ("host", Ascii.printable(rival.host.utf8, limit: 64)), ("pid", "\(rival.pid)"))
        }
        if answered.wasForgotten && fluxes.isResumed {
            journal.note(.warning, "Redis has lost the group's members; they are written again", key: "group-forgotten")
            // Whether the registry is lost, too, shows when it is read.
            group!.registryDueNs = 0
            status.forgetWritten()
        }
        // The registry comes first: what it has is placed once.
        if !isServing && !isLeaving { serveGroup() }
        if answered.hasChanged { followView() }
    }

    /// The group has changed.
    private func followView() {
        let membership = group!.membership
        let change = fluxes.take(GroupShare(member: membership.name, view: membership.view))
        engine.tell(change)
        if !change.own.isEmpty {
            let dueNs = nowNs + .ns(ms: membership.settings.ttlMs)
            group!.taken.append((dueNs, change.own.map(\.placed.handle)))
        }
        let share = max(1, membership.addressCount)
        engine.budget.setLimit(max(1, Limits.connectAttemptsPer5MinMax / share))
        engine.rest?.setShare(share)
        counters.set(.groupMembers, membership.view.count)
        counters.set(.groupWriters, membership.view.writerCount)
        counters.set(.groupBlind, membership.view.blindCount)
        counters.set(.groupEpoch, Int(clamping: membership.epoch))
        counters.set(.groupUnits, fluxes.writtenCount)
        // What is not written here does not stand here.
        for flux in fluxes.list where fluxes.part(of: flux) == nil { engine.standings.remove(flux.id) }
        status.markDue()
        let names = membership.view.states.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.rawValue)" }
        journal.note(
            .info, "the group has changed", key: "group-view:\(names.joined(separator: " "))", ("members", names.joined(separator: " ")),
            ("epoch", "\(membership.epoch)"), ("symbols", "\(fluxes.writtenCount)"), ("taken", "\(change.own.count)"),
            ("given", "\(change.disown.count)"))
    }

    private func writeTakenAgain() {
        while let first = group!.taken.first, nowNs >= first.dueNs {
            group!.taken.removeFirst()
            // Those that were given away meanwhile stay so.
            let ours = Set(fluxes.writtenHandles)
            let handles = first.handles.filter(ours.contains)
            if !handles.isEmpty { _ = engine.sink.commands.offer(.own(handles), untilNs: .max) }
        }
    }

    // MARK: Ready

    /// Whether all that we follow brings something: a moment later the sink has said so.
    private func askSilent() {
        guard group!.membership.isUnready, group!.asked == nil else { return }
        let handles = fluxes.placement.handles
        guard !handles.isEmpty else { return group!.membership.noteReady(epoch: group!.membership.epoch) }
        let (before, sinceNs, askedNs) = (group!.followed, group!.membership.joinedNs, nowNs)
        group!.followed = Dictionary(
            uniqueKeysWithValues: handles.map { handle in
                let known = before[handle.id].flatMap { $0.handle == handle ? $0.sinceNs : nil }
                return (handle.id, (handle, max(known ?? askedNs, sinceNs)))
            })
        if engine.sink.commands.offer(.askSilent(ids: handles.map(\.id), sinceNs: sinceNs)) {
            group!.asked = (group!.membership.epoch, sinceNs)
        }
    }

    /// A stream of which nothing comes though it was asked for a while ago may be one that nobody trades.
    func takeSilent(_ ids: [UInt32]) {
        guard let asked = group?.asked else { return }
        group!.asked = nil
        let nowNs = nowNs
        let isEarly = ids.contains { nowNs &- (group!.followed[$0]?.sinceNs ?? nowNs) < .ns(ms: Limits.firstFrameMs) }
        // Joined anew meanwhile, it is asked again.
        guard !isEarly, hasConnection, asked.sinceNs == group!.membership.joinedNs else { return }
        group!.membership.noteReady(epoch: asked.epoch)
    }

    // MARK: The registry

    /// A message of the group's channel: an epoch, or that the registry has changed.
    func hearGroup(_ payload: [UInt8]) {
        guard payload.count <= 32 else { return }
        let text = String(decoding: payload, as: UTF8.self)
        if let epoch = Int64(text) {
            group!.membership.hear(epoch: epoch)
        } else if text == Field.fluxes {
            group!.registryDueNs = 0
            group!.membership.beatNow()
        }
    }

    /// The registry is ours to change, and the others hear of it.
    func announceRegistry() {
        if let channel = group?.membership.channel { line.post([["PUBLISH", channel, Field.fluxes]]) }
    }

    private func serveGroup() {
        line.flush()
        guard line.isReady, line.listen(isWanted: { waitsOn() }) else { return }
        agree()
        if !fluxes.isResumed {
            line.post(fluxes.offering(.offer))
            announceRegistry()
            line.flush()
        }
        guard line.isReady, reloadRegistry() else { return }
        isServing = true
        status.forgetWritten()
        catalogue.index.forget()
        noteServing()
    }

    /// Redis may have been away when this member came in.
    private func agree() {
        let key = status.schema.groupSettingsKey
        guard let known = line.ask([["SET", key, group!.agreed, "NX"], ["GET", key]])?[1].text, known != group!.agreed else { return }
        journal.note(
            .error, "the group has other settings than this member: end all members, and start them alike", key: "group-settings",
            ("group", Ascii.printable(known.utf8, limit: 256)), ("member", group!.agreed))
    }

    /// Others may have changed it, or have said so.
    func reloadIfDue() {
        if let dueNs = group?.registryDueNs, nowNs >= dueNs { _ = reloadRegistry() }
    }

    /// Takes up what others have created, and ends what they have stopped. What Redis has lost is written again.
    func reloadRegistry() -> Bool {
        guard let reply = line.ask([fluxes.groupRegistryQuestion])?[0] else { return false }
        if case .error(let message) = reply { line.lose("cannot read the registry: \(message)") }
        let parts = reply.elements
        guard parts.count == 2 else { return false }
        let (knewAll, isWhole) = (fluxes.isResumed, FluxBook.isWhole(keeper: parts[0].text, size: parts[1].elements.count / 2))
        resume(parts, endsOthers: isWhole)
        if !isWhole && (knewAll || group!.membership.view.count <= 1) { line.post(fluxes.offering(.restore)) }
        group!.registryDueNs = nowNs + .ns(ms: Limits.registryPeriodMs)
        counters.set(.groupUnits, fluxes.writtenCount)
        return true
    }

    // MARK: The status

    func writeGroupStatus(_ figures: EngineHandles.Figures, nowMs: Int64) {
        guard let membership = group?.membership else { return }
        line.post(status.part(fluxes, figures, member: membership.name, nowMs: nowMs))
        guard speaksForAll else {
            (status.sum, status.summed) = (nil, [:])
            return
        }
        line.flush()
        let names = membership.view.states.keys.sorted()
        guard line.isReady, !names.isEmpty, let replies = line.ask(names.map { ["GET", status.schema.statusPartKey($0)] }) else { return }
        let group: [ServiceStatus.Figure] = [
            .init(Field.series, UInt64(fluxes.wantedCount)), .init(Field.members, UInt64(membership.view.count)),
            .init(Field.epoch, UInt64(clamping: membership.epoch)), .init(Field.writers, UInt64(membership.view.writerCount)),
            .init(Field.blind, UInt64(membership.view.blindCount)),
        ]
        line.post(status.add(replies.compactMap { $0.text.flatMap(StatusSum.Part.init) }, fluxes, figures, group: group, nowMs: nowMs))
    }

    // MARK: The end

    /// Others follow first; then nothing more is written, and then the group hears that we have left. Without Redis nobody would hear it.
    func leaveIfDue() {
        guard isLeaving, !hasLeft, group != nil else { return }
        guard line.isReady else {
            // An answer may only be late.
            let awayNs = group!.awayNs ?? nowNs
            group!.awayNs = awayNs
            if !group!.membership.hasView || nowNs &- awayNs >= .ns(ms: Limits.leavingAwayMs) { noteLeft() }
            return
        }
        group!.awayNs = nil
        if group!.membership.state != .leaving && group!.membership.state != .left { group!.membership.beatNow() }
        guard group!.membership.mayGo(nowNs: nowNs) else { return }
        engine.tell(fluxes.take(GroupShare(member: group!.membership.name, view: .empty(copies: 1))))
        group!.membership.go()
        let question = group!.membership.question(nowNs: nowNs)
        line.flush()
        if line.isReady { _ = line.ask([question]) }
        let isLast = group!.membership.others.allSatisfy { !$0.state.isHere }
        if isLast && isServing { line.post(status.end(fluxes, nowNs: nowNs, nowMs: WallClock.nowMs())) }
        line.post([["DEL", status.schema.statusPartKey(group!.membership.name)]])
        line.flush()
        noteLeft()
    }
}
