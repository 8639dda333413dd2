// `feedd members`: who is in the group, as Redis has it. No member is asked: it also tells of a group that does not answer.

import ArgumentParser
import FastFeed
import FoundationEssentials
import Glibc

struct MembersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members",
        abstract: "List the members of the group: which there are, how each stands, and how much of the work it has.",
        discussion: """
            Looks for two seconds: a member whose beat moves lives.

              feedd members
              feedd members --json
            """)

    @OptionGroup var options: ClientOptions

    /// A member, and for how long its beat has stood still, as far as was watched; nil: it moved.
    private typealias Row = (member: GroupMember, stillMs: UInt64?)

    private static let watchMs: UInt64 = 2_200

    func run() throws {
        let plan = try ClientPlan(flags: options.values, environment: ProcessInfo.processInfo.environment)
        let schema = KeySchema(prefix: plan.keyPrefix, market: plan.market)
        let client = try RedisClient.connect(plan.redis, timeout: plan.timeout)
        defer { client.close() }
        let question = [["HGETALL", schema.membersKey], ["GET", schema.epochKey]]
        func look() throws -> (members: [GroupMember], epoch: Int64) {
            let replies = try client.pipeline(question)
            if case .error(let message) = replies[0] { throw Failure(Failure.refused, "Redis says: \(message)") }
            return (GroupMember.read(replies[0].pairs), replies[1].text.flatMap { Int64($0) } ?? 0)
        }
        let first = try look()
        let startNs = MonotonicClock.nowNs()
        let beats = Dictionary(first.members.map { ($0.name, $0.beat) }) { $1 }
        var now = first
        var moved: Set<String> = []
        while MonotonicClock.nowNs() - startNs < MembersCommand.watchMs * 1_000_000 {
            usleep(100_000)
            now = try look()
            for member in now.members where beats[member.name] != member.beat { moved.insert(member.name) }
            if now.members.allSatisfy({ moved.contains($0.name) || !$0.state.isHere }) { break }
        }
        let stillMs = (MonotonicClock.nowNs() - startNs) / 1_000_000
        let rows: [Row] = now.members.map { ($0, moved.contains($0.name) ? nil : stillMs) }
        let lines = options.json ? [MembersCommand.document(rows, now.epoch).text] : MembersCommand.lines(rows, now.epoch)
        try Terminal.print(lines.joined(separator: "\n") + "\n")
    }

    private static func document(_ rows: [Row], _ epoch: Int64) -> JSONValue {
        let members = rows.map { row -> JSONValue in
            let facts = row.member.facts
            return .members([
                (Field.id, .string(row.member.name)), (Field.state, .string(row.member.state.rawValue)), (Field.host, .string(facts.host)),
                (Field.pid, .integer(Int64(facts.pid))), (Field.version, .string(facts.version)),
                (Field.addressGroup, .string(facts.addressGroup)), (Field.units, .integer(Int64(facts.units))),
                (Field.series, .integer(Int64(facts.series))), (Field.done, .integer(row.member.done)),
                (Field.beat, .integer(Int64(clamping: row.member.beat))), ("still_ms", .integer(Int64(clamping: row.stillMs ?? 0))),
            ])
        }
        return .members([(Field.status, .string("ok")), (Field.epoch, .integer(epoch)), (Field.members, .array(members))])
    }

    private static func lines(_ rows: [Row], _ epoch: Int64) -> [String] {
        guard !rows.isEmpty else { return ["no group: services run alone here, or stand by for one another"] }
        var table = TextTable(["MEMBER", "STATE", " SYMBOLS", " SERIES", "HOST", " PID", "BEAT"])
        for row in rows {
            let facts = row.member.facts
            let isStill = row.stillMs != nil && row.member.state.isHere
            table.add([
                .init(row.member.name, .bold), .init(row.member.state.rawValue, style(row.member.state)),
                .init(Numbers.grouped(facts.units)), .init(Numbers.grouped(facts.series)), .init(facts.host), .init("\(facts.pid)"),
                .init(row.stillMs.map { "still for \($0 / 100 * 100) ms" } ?? "moves", isStill ? .red : .plain),
            ])
        }
        let here = rows.count { $0.member.state.isHere }
        return table.lines() + ["\(here) here, epoch \(epoch)"]
    }

    private static func style(_ state: MemberState) -> Style {
        switch state {
        case .member: .green
        case .joining, .leaving: .yellow
        case .blind, .gone: .red
        case .left: .dim
        }
    }
}
