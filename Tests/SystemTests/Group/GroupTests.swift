// A group of real programs, of which one dies, ends, sleeps or is deaf, on one Redis that forgets. Nothing is missing and nothing is there
// twice. Times are told, and judged by scripts/group.sh: no assertion here knows one.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("A group of services", .serialized)
struct GroupTests {
    private static let names = ["a", "b", "c"]
    private static var symbolCount: Int { Nightly.count(everyday: 40, nightly: 300) }

    private func tell(_ what: String, _ watch: UpdateWatch) {
        print(
            "group, \(what): silence \(String(format: "%.2f", Double(watch.longestSilenceNs) / 1e9)) s, repeated \(watch.repeatedCount) of "
                + "\(watch.messageCount)")
    }

    @Test("One of three is killed: the copies go on, and nothing is missing")
    func killed() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount)
        try rig.start(GroupTests.names)
        try rig.waitForCloses()
        let watch = try UpdateWatch(rig.redis.endpoint)
        try watch.listen(20, "messages") { watch.messageCount > 10 * rig.symbols.count }
        rig.kill("b")
        try watch.listen(40, "the others") { try rig.isSettled(["a", "c"]) }
        let taken = watch.messageCount
        try watch.listen(20, "messages of all") { watch.messageCount > taken + 20 * rig.symbols.count }
        tell("killed", watch)
        try rig.waitForCloses()
        // It comes back under its name, and gets what it had.
        try rig.start("b")
        try rig.settle(GroupTests.names)
        try rig.waitForCloses()
        try rig.finish()
    }

    @Test("The same with one copy: what closed in between comes from REST", .nightly)
    func killedOneCopy() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount, copies: 1, rest: true)
        try rig.start(["a", "b", "c"])
        try rig.waitForCloses()
        let fromMs = WallClock.nowMs()
        rig.kill("b")
        try rig.settle(["a", "c"])
        try rig.waitForCloses(5)
        let settledMs = WallClock.nowMs() - 2_000
        try eventually(60, "all that closed in between") {
            var check = TruthCheck { [client = rig.client] in try client.command($0) }
            try check.checkComplete(rig.venue.exchangeCandles(fromMs: fromMs), settledMs: settledMs)
            return check.missing == 0 && check.same > 0
        }
        try rig.endAll()
    }

    @Test("One joins, one ends, and all are replaced one after the other: nobody is silent for long, and nothing is missing", .nightly)
    func rolling() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount)
        try rig.start(["a", "b"])
        try rig.waitForCloses()
        let watch = try UpdateWatch(rig.redis.endpoint)
        try watch.listen(20, "messages") { watch.messageCount > 10 * rig.symbols.count }
        try rig.start("c")
        try watch.listen(40, "the third") { try rig.isSettled(GroupTests.names) }
        tell("joins", watch)
        for name in GroupTests.names {
            watch.forget()
            try rig.end(name, watch)
            try watch.listen(40, "the others") { try rig.isSettled(GroupTests.names.filter { $0 != name }) }
            try rig.start(name)
            try watch.listen(40, "it again") { try rig.isSettled(GroupTests.names) }
            tell("replaced", watch)
        }
        try rig.waitForCloses()
        try rig.finish()
    }

    @Test("One stands still for three TTLs and wakes: the others have gone on, and it writes nothing of before", .nightly)
    func sleeper() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount)
        try rig.start(GroupTests.names)
        try rig.waitForCloses()
        let watch = try UpdateWatch(rig.redis.endpoint)
        rig.runs["b"]!.signal(SIGSTOP)
        let stoppedNs = MonotonicClock.nowNs()
        try watch.listen(40, "the others") { try rig.isSettled(["a", "c"]) }
        try watch.listen(40, "three TTLs") { MonotonicClock.nowNs() - stoppedNs > UInt64(3 * GroupRig.ttlSeconds) * 1_000_000_000 }
        watch.forget()
        rig.runs["b"]!.signal(SIGCONT)
        try watch.listen(40, "it again") { try rig.isSettled(GroupTests.names) }
        tell("woken", watch)
        #expect(rig.runs["b"]!.shows("declared this member dead"))
        try rig.waitForCloses()
        try rig.finish()
    }

    @Test("Redis loses the members, then all; is away, and comes back: everybody stays what he was", .nightly)
    func forgetful() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount)
        try rig.start(GroupTests.names)
        try rig.waitForCloses()
        let units = try rig.members().mapValues(\.facts.units)
        func expectSame(_ what: String, epochs: Int64) throws {
            let epoch = try rig.epoch()
            try eventually(30, "what was before, \(what)") {
                try rig.isSettled(GroupTests.names) && rig.members().mapValues(\.facts.units) == units
            }
            #expect(try rig.epoch() <= epoch + epochs, "\(what): it has moved")
        }
        _ = try rig.client.command("DEL", Keys.schema.membersKey)
        try expectSame("members deleted", epochs: 3)
        _ = try rig.client.command("DEL", Keys.schema.membersKey, Keys.schema.epochKey)
        try eventually(10, "an epoch") { try rig.epoch() > 0 }
        try expectSame("epoch deleted", epochs: 3)
        _ = try rig.client.command("DEL", Keys.fluxes)
        try eventually(60, "the registry") { try rig.client.command("HLEN", Keys.fluxes).integer == 1 }
        // A Redis that stands still for longer than the TTL is nobody's death.
        kill(rig.redis.pid!, SIGSTOP)
        usleep(UInt32(3 * GroupRig.ttlSeconds) * 1_000_000)
        kill(rig.redis.pid!, SIGCONT)
        try expectSame("Redis stood still", epochs: 0)
        try rig.waitForCloses()
        try rig.finish()
    }

    @Test("The exchange refuses one member alone: it is blind, the others write, and it takes back what it had", .nightly)
    func blind() throws {
        let rig = try GroupRig(symbols: GroupTests.symbolCount)
        let relay = try DelayedRelay(to: rig.venue.port)
        defer { relay.stop() }
        try rig.start("a")
        try rig.start("b", venueWS: "ws://127.0.0.1:\(relay.port)")
        try rig.settle(["a", "b"])
        let units = try rig.members().mapValues(\.facts.units)
        relay.refuse(true)
        try eventually(30, "blind") { try rig.members()["b"]?.state == .blind && rig.members()["a"]?.facts.units == rig.symbols.count }
        try rig.waitForCloses()
        try eventually(30, "the status says so") { try rig.client.command("HGET", Keys.service, Field.blind).text == "1" }
        relay.refuse(false)
        try eventually(60, "it sees again") { try rig.isSettled(["a", "b"]) && rig.members().mapValues(\.facts.units) == units }
        try rig.waitForCloses()
        try rig.finish()
    }

    @Test("A name that lives, and settings that differ, are refused with one sentence; a name of one that was killed is not")
    func refusals() throws {
        let rig = try GroupRig(symbols: 4)
        try rig.start(["a", "b"])
        func refusal(_ name: String, _ more: [String]) throws -> String {
            let run = try rig.start(name, more)
            #expect(run.end(within: 20) == 2, "\(run.errorText)")
            return run.errorText
        }
        let first = rig.runs["a"]!
        #expect(try refusal("a", []).contains("a member 'a' of this group lives already"))
        #expect(try refusal("c", ["--history", "7"]).contains("the group has other settings"))
        #expect(try refusal("c", ["--group", "other"]).contains("group=test"))
        #expect(try rig.members()["c"] == nil)
        first.signal(SIGKILL)
        #expect(first.end() == -SIGKILL)
        try rig.start("a")
        _ = try refusal("c", ["--copies", "1"])
        try eventually(30, "both") { try rig.isSettled(["a", "b"]) }
        // Who has just come has its symbols before the other says that it has fewer.
        try eventually(30, "a list of both, with each symbol once") {
            let listed = try ProgramRun(["members", "--json", "--redis", "unix://\(rig.redis.socketPath)"])
            #expect(listed.end() == 0, "\(listed.errorText)")
            let members = try JSONValue(message: Array(listed.outputText.utf8))[Field.members]?.array ?? []
            return members.compactMap { $0[Field.id]?.string } == ["a", "b"]
                && members.compactMap { $0[Field.units]?.integer }.reduce(0, +) == 4
        }
    }
}
