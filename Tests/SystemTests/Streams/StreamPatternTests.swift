// Five patterns, as docs/streams.md shows them.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: patterns", .serialized, .streamLimit)
struct StreamPatternTests {
    @Test("Time series: points with a time to live, a range by time, the newest ones")
    func timeSeries() async throws {
        let rig = try await StreamRig()
        let temperature = rig.streams["temperature:{room1}"]
        let nowMs = UInt64(WallClock.nowMs())
        // An old one per minute, two days long; then one of now, with a day to live.
        for part in 0..<6 {
            _ = try rig.admin.pipeline(
                (part * 480..<part * 480 + 480).map { minute in
                    ["XADD", temperature.key, "\(nowMs - UInt64(2_880 - minute) * 60_000)-0", "celsius", "\(20 + minute % 5)"]
                })
        }
        let id = try await temperature.add(["celsius": "23.5", "sensor": "a"], keep: .age(.seconds(86_400)))
        let oldest = try #require(try await temperature.range(limit: 1).first)
        // Whole nodes of a hundred entries go: what is a day old may stay for so long.
        #expect(oldest.id.milliseconds > nowMs - 86_400_000 - 110 * 60_000 && oldest.id.milliseconds <= nowMs - 86_400_000 + 60_000)
        let hour = try await temperature.range(from: StreamID(nowMs - 3_600_000), through: .last(in: nowMs - 1))
        #expect(hour.count == 60 && hour.allSatisfy { (20...24).contains(Int($0["celsius"] ?? "") ?? 0) })
        let newest = try await temperature.newest(3)
        #expect(newest.first?.id == id && newest.first?["sensor"] == "a" && newest.map(\.id) == newest.map(\.id).sorted(by: >))
    }

    /// A balance, and how events change it.
    private struct Account: Equatable {
        var balance = 0
        var version: UInt64 = 0

        mutating func apply(_ event: StreamEntry) {
            balance += Int(event["amount"] ?? "") ?? 0
            version = event.id.milliseconds
        }
    }

    @Test("Event sourcing: the id is the version; who was slower reads again; a snapshot and the rest are the whole")
    func eventSourcing() async throws {
        let rig = try await StreamRig()
        let stream = rig.streams["account:{4711}"]
        let conflicts = Shared(0)
        func replay(from account: Account = Account(), until version: UInt64? = nil) async throws -> Account {
            var account = account
            for try await event in stream.entries(from: StreamID(account.version).next, through: version.map { StreamID($0) } ?? .max) {
                account.apply(event)
            }
            return account
        }
        let each = Nightly.count(everyday: 25, nightly: 125)
        try await withThrowingTaskGroup(of: Void.self) { writers in
            for writer in 0..<8 {
                writers.addTask {
                    var account = Account()
                    for number in 0..<each {
                        while true {
                            for try await event in stream.entries(from: StreamID(account.version).next) { account.apply(event) }
                            do throws(StreamError) {
                                let event: StreamFields = ["amount": "\(number - 10)", "writer": "\(writer)", "number": "\(number)"]
                                _ = try await stream.add(event, id: StreamID(account.version + 1))
                                break
                            } catch {
                                // Somebody was faster: what he wrote comes first.
                                guard case .idNotNewer = error else { throw error }
                                conflicts.withLock { $0 += 1 }
                            }
                        }
                    }
                }
            }
            try await writers.waitForAll()
        }
        let whole = try await replay()
        #expect(whole.version == UInt64(8 * each) && conflicts.value > 0)
        #expect(whole.balance == 8 * (0..<each).reduce(0) { $0 + $1 - 10 })
        let half = try await replay(until: UInt64(4 * each))
        #expect(half.version == UInt64(4 * each))
        try rig.ask("HSET", "snapshot:{4711}", "balance", "\(half.balance)", "version", "\(half.version)")
        let kept = try rig.ask("HMGET", "snapshot:{4711}", "balance", "version").strings
        let restored = try await replay(from: Account(balance: Int(kept[0])!, version: UInt64(kept[1])!))
        #expect(restored == whole)
    }

    @Test("Audit log: the writer adds and cannot delete; by user and by resource through index streams")
    func auditLog() async throws {
        let rig = try await StreamRig()
        try rig.ask(
            "ACL", "SETUSER", "auditor", "on", ">secret", "-@all", "+ping", "+select", "+client|id", "+xadd", "+xrange", "+multi", "+exec",
            "~audit:*")
        var place = rig.server.endpoint
        (place.user, place.password) = ("auditor", "secret")
        let writer = try RedisClient.connect(place)
        // The index has the entry's id; both are written or none.
        for number in 0..<30 {
            let (user, resource) = ("u\(number % 3)", "r\(number % 5)")
            let id = "\(1_000 + number)-0"
            let replies = try writer.pipeline([
                ["MULTI"],
                ["XADD", "audit:{log}", id, "action", "update", "user", user, "resource", resource],
                ["XADD", "audit:{log}:user:\(user)", id, "id", id],
                ["XADD", "audit:{log}:resource:\(resource)", id, "id", id],
                ["EXEC"],
            ])
            #expect(replies.last?.elements.count == 3, "\(replies)")
        }
        let auditor = try await RedisStreams.connect(place)
        defer { auditor.close() }
        let log = auditor["audit:{log}"]
        var actions: [StreamEntry] = []
        for try await index in auditor["audit:{log}:user:u1"].entries() {
            let id = try #require(index["id"].flatMap { StreamID($0) })
            actions += try await log.range(from: id, through: id)
        }
        #expect(actions.count == 10 && actions.allSatisfy { $0["user"] == "u1" })
        let since = try await auditor["audit:{log}:resource:r2"].range(from: StreamID(1_015))
        #expect(since.map(\.id.milliseconds) == [1_017, 1_022, 1_027])
        for attempt in ["delete", "trim"] {
            do throws(StreamError) {
                _ = attempt == "delete" ? try await log.delete([StreamID(1_000)]) : try await log.trim(.exactlyNewest(1))
                Issue.record("the writer may \(attempt)")
            } catch {
                guard case .refused(let words) = error, words.contains("NOPERM") else {
                    Issue.record("\(attempt): \(error)")
                    continue
                }
            }
        }
        #expect(try rig.length("audit:{log}") == 30)
    }

    @Test("Departments: each group has all, failures come again, dead letters are looked at and sent back")
    func departments() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        let (paid, sent) = (HandledLog(), HandledLog())
        let isMended = Shared(false)
        let payment = orders.group("payment").consumer(as: "payment-1", ConsumerOptions(maxDeliveries: 2))
        let mail = orders.group("mail").consumer(as: "mail-1")
        let paying = payment.work(into: paid, parallel: 4) { order in
            if order.entry["amount"] == "broken", !isMended.value { throw CancellationError() }
        }
        let mailing = mail.work(into: sent, parallel: 4)
        let added = try await orders.add(contentsOf: (0..<20).map { ["order_id": "\($0)", "amount": $0 == 7 ? "broken" : "\($0)"] })
        try await eventually(20, "19 paid, 20 sent, and a dead letter") {
            try paid.count == 19 && sent.count == 20 && rig.length("dead:{orders}:payment") == 1
        }
        #expect(paid.distinct == Set(added).subtracting([added[7]]) && sent.distinct == Set(added))
        // The handler is mended: what is dead goes back, without what says why it died.
        isMended.withLock { $0 = true }
        for try await letter in rig.streams["dead:{orders}:payment"].follow(after: .start) {
            _ = try await orders.add(StreamFields(letter.fields.filter { !$0.name.hasPrefix("dead_") }.map { ($0.name, $0.value) }))
            _ = try await rig.streams[letter.key].delete([letter.id])
            break
        }
        try await eventually(20, "the twentieth payment") { paid.count == 20 && rig.pending("orders", "payment") == 0 }
        #expect(try rig.length("dead:{orders}:payment") == 0)
        for consumer in [payment, mail] { await consumer.stop() }
        try await paying.end()
        try await mailing.end()
    }

    @Test("Stages: consume, add to the next stream with where it came from, acknowledge; doubles are known by it")
    func stages() async throws {
        let rig = try await StreamRig()
        let (raw, clean) = (rig.streams["raw"], rig.streams["clean"])
        let ids = try rig.fill("raw", 300)
        let first = (0..<2).map { raw.group("cleaners").consumer(as: "cleaner-\($0)", ConsumerOptions(claimAfter: .seconds(1))) }
        let log = HandledLog()
        let cleaning = first.map { cleaner in
            cleaner.work(into: log, parallel: 2) { message in
                _ = try await clean.add(["source_id": message.entry.id.description, "value": "clean \(message.entry["n"] ?? "")"])
                // Dies behind the addition and before the acknowledgement: the entry comes again, and is added again.
                if message.entry["n"]?.hasSuffix("9") == true, message.deliveries == 1 { throw CancellationError() }
            }
        }
        let stored = Shared<[String: String]>([:])
        let doubles = Shared(0)
        let second = clean.group("store").consumer(as: "store-1")
        let storing = Task {
            for try await message in second {
                let source = message.entry["source_id"] ?? ""
                if stored.value[source] == nil {
                    stored.withLock { $0[source] = message.entry["value"] }
                } else {
                    doubles.withLock { $0 += 1 }
                }
                message.ack()
            }
        }
        try await eventually(20, "all, and thirty doubles: \(stored.value.count), \(doubles.value)") {
            stored.value.count == 300 && doubles.value == 30 && rig.pending("raw", "cleaners") == 0 && rig.pending("clean", "store") == 0
        }
        #expect(Set(stored.value.keys) == Set(ids.map(\.description)))
        #expect(stored.value[ids[42].description] == "clean 42")
        for consumer in first + [second] { await consumer.stop() }
        for task in cleaning + [storing] { try await task.end() }
    }
}
