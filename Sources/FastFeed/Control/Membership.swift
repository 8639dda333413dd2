// One member of a group, as a machine: what Redis says and what the data path has come to comes in, what is to be written and how the
// group stands comes out. Pure; the control thread's alone.
//
// It is a lease, not a consensus: two members may write the same for a moment, and what both write is the same.
//   - A member is dead when its beat has not moved for the TTL, by our monotonic clock, and Redis agrees that it has not
//     (`GroupScripts.beat`).
//   - While Redis does not answer nobody's time passes, and nothing changes hands.
//   - Who is not in Redis any more without having left (a failover, a deleted key) is here until its TTL is over.
//   - Who has slept asks before it goes on: it may have been declared dead.

package struct Membership {
    package struct Settings: Sendable, Equatable {
        package var name: String
        package var copies = 1
        package var ttlMs = 5_000

        package init(name: String, copies: Int = 1, ttlMs: Int = 5_000) { (self.name, self.copies, self.ttlMs) = (name, copies, ttlMs) }
    }

    package enum Event: Equatable {
        case noAnswer
        /// Redis will not have it, in its words.
        case refused(String)
        case answered(Answered)
    }

    package struct Answered: Equatable {
        package var hasChanged = false
        /// The others had declared us dead.
        package var wasGone = false
        /// Redis did not know us any more.
        package var wasForgotten = false
        /// Another process that beats under our name.
        package var rival: MemberFacts?

        package init(hasChanged: Bool = false, wasGone: Bool = false, wasForgotten: Bool = false, rival: MemberFacts? = nil) {
            (self.hasChanged, self.wasGone, self.wasForgotten, self.rival) = (hasChanged, wasGone, wasForgotten, rival)
        }
    }

    /// What is known of another member.
    private struct Seen {
        var member: GroupMember
        var movedNs: UInt64
    }

    package let settings: Settings
    private let schema: KeySchema
    private let ttlNs: UInt64
    package var facts: MemberFacts

    package private(set) var state = MemberState.joining
    package private(set) var view: GroupView
    /// The highest epoch of the group that was seen.
    package private(set) var epoch: Int64 = 0
    /// All that we follow since this epoch brings something.
    package private(set) var done: Int64 = 0
    /// When to beat.
    package private(set) var dueNs: UInt64 = 0
    private var seen: [String: Seen] = [:]
    private var answeredNs: UInt64?
    private var askedNs: UInt64 = 0
    /// Whose silence has made us beat at once.
    private var hurried: Set<String> = []
    /// Redis has had an entry of ours.
    private var isKnown = false
    private var hasSlept = false
    /// When we last became `joining`: what came before proves nothing.
    package private(set) var joinedNs: UInt64 = 0
    /// Since when there is no connection to the exchange; nil: there is one, or none is wanted.
    private var deafSinceNs: UInt64?
    /// Since when, and in which epoch, we have been about to end; the epoch is nil until Redis has heard of it.
    private var leaving: (sinceNs: UInt64, epoch: Int64?)?

    package init(_ settings: Settings, facts: MemberFacts, schema: KeySchema) {
        (self.settings, self.facts, self.schema) = (settings, facts, schema)
        ttlNs = .ns(ms: settings.ttlMs)
        view = .empty(copies: settings.copies)
    }

    package var name: String { settings.name }
    package var channel: String { schema.membersKey }
    /// Redis has answered at least once.
    package var hasView: Bool { answeredNs != nil }
    package func role(in unit: String) -> GroupView.Role { view.role(of: name, in: unit) }
    /// True while what we follow may not bring anything yet.
    package var isUnready: Bool { done < epoch }
    /// The others, as they were seen last.
    package var others: [GroupMember] { seen.values.map(\.member).sorted { $0.name < $1.name } }

    /// Members that share our address, we among them.
    package var addressCount: Int {
        1 + seen.values.count { $0.member.state.isHere && $0.member.facts.addressGroup == facts.addressGroup }
    }

    // MARK: What we are

    package mutating func beatNow() { dueNs = 0 }

    /// The process has stood still for longer than the TTL.
    package mutating func noteSleep() { (hasSlept, dueNs) = (true, 0) }

    /// - Parameter isConnected: one connection to the exchange is live, or none is wanted.
    package mutating func note(isConnected: Bool, nowNs: UInt64) {
        guard state != .leaving && state != .left else { return }
        guard !isConnected else {
            deafSinceNs = nil
            if state == .blind {
                joinedNs = nowNs
                become(.joining)
            }
            return
        }
        let sinceNs = deafSinceNs ?? nowNs
        deafSinceNs = sinceNs
        if state != .blind && hasView && nowNs &- sinceNs >= .ns(ms: Limits.blindAfterMs) { become(.blind) }
    }

    /// All that we have followed since this epoch brings something.
    package mutating func noteReady(epoch readyEpoch: Int64) {
        if readyEpoch > done { (done, dueNs) = (readyEpoch, 0) }
        if state == .joining && done >= epoch && hasView { become(.member) }
    }

    /// We are about to end.
    package mutating func leave(nowNs: UInt64) {
        guard leaving == nil else { return }
        leaving = (nowNs, nil)
        become(hasView ? .leaving : .left)
    }

    /// We may end now: the others follow what we write, or have had their time.
    package func mayGo(nowNs: UInt64) -> Bool {
        guard let leaving else { return false }
        if state == .left || nowNs &- leaving.sinceNs >= .ns(ms: Limits.leavingMs) { return true }
        guard let epoch = leaving.epoch else { return false }
        let heirs = seen.values.map(\.member).filter { $0.state == .joining || $0.state == .member }
        return heirs.allSatisfy { $0.done >= epoch }
    }

    /// The last beat says so.
    package mutating func go() { become(.left) }

    private func hasStoodStill(_ entry: Seen, atNs nowNs: UInt64) -> Bool { nowNs >= entry.movedNs && nowNs - entry.movedNs >= ttlNs }

    private mutating func become(_ new: MemberState) { (state, dueNs) = (new, 0) }

    // MARK: What Redis is asked

    package mutating func question(nowNs: UInt64) -> [String] {
        (dueNs, askedNs) = (nowNs + .ns(ms: Limits.beatMs), nowNs)
        // As the last answer has shown them. A Redis that stands still carries this out when it goes on: before they can have beaten.
        let dead = seen.values.filter { hasStoodStill($0, atNs: answeredNs ?? 0) }.map(\.member).sorted { $0.name < $1.name }
        return [
            "EVAL", GroupScripts.beat, "2", schema.membersKey, schema.epochKey, name, state.rawValue, String(done),
            JSONValue.members(facts.members).text, String(epoch), channel, hasView && !hasSlept ? "1" : "0",
        ] + dead.flatMap { [$0.name, "\($0.beat) \($0.state.rawValue)"] }
    }

    // MARK: What Redis says

    /// - Parameter nowNs: after the reply came.
    package mutating func take(_ reply: RedisReply?, nowNs: UInt64) -> Event {
        guard let reply else { return .noAnswer }
        if case .error(let message) = reply { return .refused(message) }
        let parts = reply.elements
        guard parts.count == 4, let newEpoch = parts[0].integer, newEpoch >= 0, let was = parts[1].text else {
            return .refused("an answer that is not a group's")
        }
        var answered = Answered()
        // A silence of Redis, or of ours, is nobody's death; nor is the time that it took to answer.
        let isFresh = answeredNs.map { askedNs &- $0 <= max(.ns(ms: Limits.beatSilenceMs), ttlNs / 2) } ?? false
        answeredNs = nowNs
        let members = GroupMember.read(parts[2].pairs)
        defer {
            // Whoever is dead is declared so at once, and if that does not help, with each beat.
            let dead = Set(seen.filter { $0.value.member.state.isHere && hasStoodStill($0.value, atNs: nowNs) }.keys)
            if !dead.isSubset(of: hurried) { dueNs = 0 }
            hurried = dead
        }
        note(members.filter { $0.name != name }, isFresh: isFresh, nowNs: nowNs)
        if let own = members.first(where: { $0.name == name }) {
            if isKnown, let before = parts[3].text.flatMap({ GroupMember(name: name, text: $0) }), before.facts.nonce != facts.nonce {
                answered.rival = before.facts
            }
            // Who was dead for long is forgotten by the others.
            let isMissed = was == "none" && isKnown
            (answered.wasGone, answered.wasForgotten) = (was == MemberState.gone.rawValue || isMissed && hasSlept, isMissed && !hasSlept)
            isKnown = true
            // The script may have put us back; a change of mind since then goes with the next beat.
            if own.state == .joining && state != .leaving && state != .left {
                if state != .joining || answered.wasGone { joinedNs = nowNs }
                state = .joining
            }
            if own.state == .left { state = .left }
        }
        hasSlept = false
        epoch = max(epoch, newEpoch)
        if leaving != nil && leaving?.epoch == nil && state == .leaving { leaving?.epoch = newEpoch }
        var states = seen.mapValues(\.member.state)
        states[name] = state
        let new = GroupView(states, copies: settings.copies)
        answered.hasChanged = new != view
        view = new
        return .answered(answered)
    }

    private mutating func note(_ members: [GroupMember], isFresh: Bool, nowNs: UInt64) {
        let present = Set(members.map(\.name))
        for name in seen.keys { seen[name]!.movedNs = isFresh ? min(nowNs, seen[name]!.movedNs + (nowNs &- askedNs)) : nowNs }
        for member in members {
            let known = seen[member.name]
            // Who has just been declared dead is so for as long again.
            let hasMoved = known.map { $0.member.beat != member.beat || $0.member.state != member.state } ?? true
            seen[member.name] = Seen(member: member, movedNs: hasMoved ? nowNs : known!.movedNs)
        }
        // Absent: forgotten by design, or by accident; then it is here until its time is over.
        seen = seen.filter { name, entry in
            present.contains(name) || entry.member.state.isHere && nowNs &- entry.movedNs < ttlNs
        }
    }

    /// A message of the channel: true when it tells of a change that we have not seen.
    package mutating func hear(epoch heard: Int64) {
        if heard > epoch { dueNs = 0 }
    }
}
