// What a user may decide about a group, as plain values, and how a member enters it. Any thread; entering blocks the starting one, for
// `Limits.newcomerWatchMs` and the time-outs of one connection at most.

import Glibc

/// A member of a group of services, which share the work: each symbol has one that writes it.
public struct GroupConfiguration: Sendable, Equatable {
    /// Name of the group; all members have it alike.
    public var name: String
    /// Name of this member; the same after a restart, so that it gets the same symbols.
    public var member: String
    /// Members that follow a symbol, 1 to 8: with two of them nothing is missing when one dies.
    public var copies = 1
    /// A member that has not been heard for so long is taken for dead, 2 s to a minute.
    public var memberTTL = Duration.seconds(5)
    /// Members with the same one share an address, and with it the exchange's limits.
    public var addressGroup: String

    /// - Parameters:
    ///   - name: of the group.
    ///   - member: nil: this host's name.
    ///   - addressGroup: nil: this host's name.
    public init(name: String, member: String? = nil, addressGroup: String? = nil) {
        self.name = name
        (self.member, self.addressGroup) = (member ?? GroupConfiguration.hostName, addressGroup ?? GroupConfiguration.hostName)
    }

    /// This host's name, as far as it may be a member's.
    public static let hostName: String = {
        let name = String(StatusDesk.hostName.map { GroupMember.isName(String($0)) ? $0 : "-" })
        return name.isEmpty ? "localhost" : name
    }()

    package func validate(rewriteMs: Int) throws(FeedError) {
        func check(_ ok: Bool, _ sentence: String) throws(FeedError) { if !ok { throw FeedError(.configuration, sentence) } }
        for (what, text) in [("group", name), ("member", member), ("address-group", addressGroup)] {
            try check(GroupMember.isName(text), "\(what) must be \(GroupMember.nameRule), not '\(Ascii.printable(text.utf8, limit: 80))'")
        }
        try check(Limits.copies.contains(copies), "copies must be 1 to 8, not \(copies)")
        let ttlMs = memberTTL.milliseconds
        try check(Limits.memberTTLMs.contains(ttlMs), "member-ttl must be 2 to 60 seconds")
        // What a dead writer had in its hands comes from what the others have kept.
        try check(rewriteMs >= 3 * ttlMs, "rewrite-seconds must be at least three times member-ttl in a group")
    }
}

extension EngineConfiguration {
    /// What all members of the group must have alike.
    package var groupSettings: String {
        guard let group else { return "" }
        return "group=\(group.name) market=\(market.rawValue) prefix=\(keyPrefix) history=\(history) copies=\(group.copies) "
            + "ttl=\(group.memberTTL.milliseconds)" + (updates == .classic ? "" : " updates=\(updates.rawValue)")
    }

    /// - Throws: why the group does not take this member. (A Redis that is away may come: then a difference shows in the log.)
    func enterGroup(_ journal: Journal) throws(FeedError) {
        guard let group else { return }
        let client: RedisClient
        do {
            client = try RedisClient.connect(redis, timeout: .seconds(2))
        } catch {
            return journal.note(
                .warning, "Redis cannot be asked whether the group takes this member; it joins when Redis is there",
                ("reason", error.message))
        }
        defer { client.close() }
        try GroupDoor(client, schema: schema, member: group.member, settings: groupSettings).enter()
    }

    /// Who we are in the group.
    func member(nonce: UInt64, pulse: Pulse?) -> (settings: Membership.Settings, facts: MemberFacts, agreed: String, pulse: Pulse)? {
        guard let group, let pulse else { return nil }
        let facts = MemberFacts(
            nonce: Ascii.hex(nonce), host: StatusDesk.hostName, pid: getpid(), version: FastFeedVersion.text,
            addressGroup: group.addressGroup)
        let settings = Membership.Settings(name: group.member, copies: group.copies, ttlMs: group.memberTTL.milliseconds)
        return (settings, facts, groupSettings, pulse)
    }
}
