// Whether a newcomer may join a group: nobody lives under its name, and those who live have its settings. Blocks for
// `Limits.newcomerWatchMs` at most where that must be watched. The starting thread's, before any other runs.

import Glibc

package struct GroupDoor {
    private let client: RedisClient
    private let schema: KeySchema
    private let member: String
    /// What all members must have alike, as one text.
    private let settings: String

    package init(_ client: RedisClient, schema: KeySchema, member: String, settings: String) {
        (self.client, self.schema, self.member, self.settings) = (client, schema, member, settings)
    }

    /// - Throws: one sentence; or that Redis cannot be asked.
    package func enter() throws(FeedError) {
        let (before, known) = try look()
        // An entry of our name may be that of a process that has died.
        let isTaken = before[member].map(\.state.isHere) ?? false
        guard isTaken || known != settings else { return }
        let untilNs = MonotonicClock.nowNs() + .ns(ms: Limits.newcomerWatchMs)
        // Others' settings in an empty group may be those of a newcomer that has not beaten yet.
        while true {
            usleep(100_000)
            let (now, _) = try look()
            // Who has left says nothing more.
            let living = now.filter { $0.value.state.isHere && $0.value.beat != before[$0.key]?.beat }
            if let other = living[member] {
                throw FeedError(
                    .configuration,
                    "a member '\(member)' of this group lives already (\(other.facts.host), process \(other.facts.pid)): "
                        + "--member names this one"
                )
            }
            if known != settings, let other = living.values.min(by: { $0.name < $1.name }) {
                throw FeedError(
                    .configuration,
                    "the group has other settings: '\(Ascii.printable(known.utf8))' ('\(other.name)' lives by them), not '\(settings)'")
            }
            if MonotonicClock.nowNs() >= untilNs { break }
        }
        _ = try client.command("SET", schema.groupSettingsKey, settings)
    }

    /// Members by name, and the settings in force; ours, where there are none.
    private func look() throws(FeedError) -> ([String: GroupMember], String) {
        let replies = try client.pipeline([
            ["HGETALL", schema.membersKey], ["SET", schema.groupSettingsKey, settings, "NX"], ["GET", schema.groupSettingsKey],
        ])
        for case .error(let message) in replies { throw FeedError(.redis, "Redis refuses the group's keys: \(message)") }
        let members = GroupMember.read(replies[0].pairs)
        return (Dictionary(members.map { ($0.name, $0) }) { $1 }, replies[2].text ?? settings)
    }
}
