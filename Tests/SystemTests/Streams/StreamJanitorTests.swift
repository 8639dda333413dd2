// Names of consumers that are long gone: they vanish, but never with something pending.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: names of dead consumers", .serialized, .streamLimit)
struct StreamJanitorTests {
    @Test("Five hundred dead names vanish; those with something pending stay, and keep it")
    func deadNames() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 3)
        let group = rig.streams["orders"].group("g")
        _ = try await group.create()
        for reply in try rig.admin.pipeline((0..<500).map { ["XGROUP", "CREATECONSUMER", "orders", "g", "dead-\($0)"] }) {
            #expect(reply.integer == 1)
        }
        #expect(try await group.read(as: "holder").count == 3)
        var options = ConsumerOptions(claimAfter: .seconds(3_600))
        options.forgetAfter = .milliseconds(500)
        let consumer = group.consumer(as: "one", options)
        let log = HandledLog()
        let task = consumer.work(into: log)
        try await eventually(30, "two names") { try rig.consumerNames("orders", "g").subtracting(["one"]) == ["holder"] }
        #expect(rig.pending("orders", "g", of: "holder") == 3)
        await consumer.stop()
        try await task.end()
    }

    @Test("forget: a name without anything pending goes, another one stays")
    func forget() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 2)
        let group = rig.streams["orders"].group("g")
        _ = try await group.create()
        let entries = try await group.read(as: "holder")
        #expect(try await group.forget("holder") == false)
        #expect(try rig.consumerNames("orders", "g") == ["holder"] && rig.pending("orders", "g") == 2)
        #expect(try await group.ack(entries.map(\.id)) == 2)
        #expect(try await group.forget("holder"))
        #expect(try rig.consumerNames("orders", "g") == [])
    }

    /// A consumer that wakes while its name is looked at: either it has its entry and its name, or nothing is pending.
    @Test func aRaceWithOneThatWakes() async throws {
        let rig = try await StreamRig()
        let group = rig.streams["orders"].group("g")
        _ = try await group.create()
        let reader = try await RedisStreams.connect(rig.server.endpoint)
        defer { reader.close() }
        let sleeper = reader["orders"].group("g")
        var raced = 0
        for turn in 0..<Nightly.count(everyday: 200, nightly: 1_000) {
            try rig.fill("orders", 1, from: turn)
            try rig.ask("XGROUP", "CREATECONSUMER", "orders", "g", "sleeper")
            async let forgotten = group.forget("sleeper")
            let got = try await sleeper.read(as: "sleeper", limit: 1)
            if try await forgotten { raced += 1 }
            #expect(got.count == 1 && rig.pending("orders", "g", of: "sleeper") == 1, "turn \(turn): the entry is lost")
            #expect(try await sleeper.ack(got.map(\.id)) == 1)
            _ = try await group.forget("sleeper")
        }
        #expect(raced > 0, "never in this order: nothing is proven")
    }
}
