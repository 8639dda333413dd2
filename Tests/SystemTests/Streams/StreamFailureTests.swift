// Messages that fail: tried again, refused, dropped, poison; and where they end.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: messages that fail", .serialized, .streamLimit)
struct StreamFailureTests {
    /// - Returns: the fields of the dead letters.
    private func deadLetters(_ rig: StreamRig, _ key: String) throws -> [[String: String]] {
        try rig.rows(key).map { row in
            Dictionary(uniqueKeysWithValues: stride(from: 0, to: row.fields.count, by: 2).map { (row.fields[$0], row.fields[$0 + 1]) })
        }
    }

    @Test("Poison: after five deliveries in the dead letters, once, with where it came from; others go on")
    func poison() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 50)
        let consumer = rig.streams["orders"].group("payment").consumer(as: "one")
        let deliveries = Shared<[Int]>([])
        let log = HandledLog()
        let task = Task {
            for try await message in consumer {
                if message.entry["n"] == "7" {
                    deliveries.withLock { $0.append(message.deliveries) }
                    message.retry(after: .milliseconds(20))
                } else {
                    log.add(message)
                    message.ack()
                }
            }
        }
        try await eventually(20, "a dead letter and nothing pending") {
            try rig.length("dead:{orders}:payment") == 1 && rig.pending("orders", "payment") == 0 && consumer.counters.buried == 1
        }
        #expect(deliveries.value == [1, 2, 3, 4, 5])
        #expect(log.ids == ids.filter { $0 != ids[7] })
        let letter = try #require(try deadLetters(rig, "dead:{orders}:payment").first)
        #expect(letter["n"] == "7" && letter["text"] == "entry 7")
        #expect(letter["dead_stream"] == "orders" && letter["dead_group"] == "payment" && letter["dead_id"] == ids[7].description)
        #expect(letter["dead_deliveries"] == "5" && letter["dead_reason"]?.isEmpty == false)
        #expect(consumer.counters.retried >= 4)
        #expect(try rig.length("orders") == 50, "the entry itself stays")
        await consumer.stop()
        _ = try await task.end()
    }

    @Test("A handler that throws has its message again; a refused one is buried at once, with the reason")
    func thrownAndRejected() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 3)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let tries = Shared<[String: [Int]]>([:])
        let log = HandledLog()
        let task = consumer.work(into: log) { message in
            let number = message.entry["n"] ?? ""
            tries.withLock { $0[number, default: []].append(message.deliveries) }
            if number == "0" { message.reject("no amount\r\n\u{1}") }
            if number == "1", message.deliveries < 2 { throw CancellationError() }
        }
        try await eventually(20, "all to be done with") { rig.pending("orders", "g") == 0 && log.count >= 2 }
        #expect(tries.value == ["0": [1], "1": [1, 2], "2": [1]])
        let letters = try deadLetters(rig, "dead:{orders}:g")
        #expect(letters.count == 1 && letters.first?["n"] == "0" && letters.first?["dead_reason"]?.hasPrefix("no amount") == true)
        await consumer.stop()
        try await task.end()
    }

    @Test("Dead letters go elsewhere, or stay pending and are not delivered again here")
    func deadLetterOptions() async throws {
        let rig = try await StreamRig()
        try rig.fill("{orders}", 2)
        let elsewhere = ConsumerOptions(maxDeliveries: 1, deadLetter: .to("graves:{orders}"))
        let stays = ConsumerOptions(claimAfter: .seconds(1), maxDeliveries: 2, deadLetter: .stayPending)
        let deliveries = Shared<[Int]>([])
        let consumers = [
            rig.streams["{orders}"].group("a").consumer(as: "one", elsewhere),
            rig.streams["{orders}"].group("b").consumer(as: "one", stays),
        ]
        let tasks = consumers.enumerated().map { place, consumer in
            Task {
                for try await message in consumer {
                    if place == 1 { deliveries.withLock { $0.append(message.deliveries) } }
                    message.retry(after: .milliseconds(10))
                }
            }
        }
        try await eventually(20, "two graves") {
            try rig.length("graves:{orders}") == 2 && rig.pending("{orders}", "a") == 0 && consumers[1].counters.buried == 2
        }
        let before = deliveries.value.count
        // Only the other one looks for idle messages now.
        await consumers[0].stop(within: .seconds(1))
        let looks = try rig.calls("xautoclaim")
        try await Task.sleep(for: .milliseconds(1_500))
        try await eventually(30, "two looks") { try rig.calls("xautoclaim") >= looks + 2 }
        #expect(rig.pending("{orders}", "b") == 2 && deliveries.value.count == before && deliveries.value.sorted() == [1, 1, 2, 2])
        await consumers[1].stop(within: .seconds(1))
        for task in tasks { _ = try? await task.end() }
    }

    @Test("In order by key, and what fails stays pending: it is not delivered again, and those behind it go on")
    func orderedAndStaying() async throws {
        let rig = try await StreamRig()
        for turn in 0..<5 { for customer in ["a", "b"] { try rig.ask("XADD", "orders", "*", "customer", customer, "turn", "\(turn)") } }
        let first = try rig.ids("orders")[0]
        let group = rig.streams["orders"].group("g")
        let consumer = group.consumer(as: "one", ConsumerOptions(maxDeliveries: 2, deadLetter: .stayPending))
        let seen = Shared<[String: [String]]>([:])
        let task = Task {
            try await consumer.run(parallel: 4, orderedBy: { $0.entry["customer"] ?? "" }) { message in
                let (customer, turn) = (message.entry["customer"] ?? "", message.entry["turn"] ?? "")
                seen.withLock { $0[customer, default: []].append("\(turn) \(message.deliveries)") }
                if customer == "a", turn == "0" { message.retry(after: .milliseconds(20)) }
            }
        }
        try await eventually(30, "all but one to be done with: \(seen.value)") {
            seen.value["a"]?.count ?? 0 >= 6 && seen.value["b"]?.count ?? 0 >= 5 && rig.pending("orders", "g") == 1
        }
        #expect(seen.value == ["a": ["0 1", "0 2", "1 1", "2 1", "3 1", "4 1"], "b": ["0 1", "1 1", "2 1", "3 1", "4 1"]])
        #expect(consumer.counters.buried == 1)
        // What comes later of its key goes on as well.
        try rig.ask("XADD", "orders", "*", "customer", "a", "turn", "5")
        try await eventually(30, "a later one") { seen.value["a"]?.last == "5 1" && rig.pending("orders", "g") == 1 }
        #expect(try await group.pending(of: nil).map(\.id) == [first])
        await consumer.stop(within: .seconds(1))
        try await task.end()
    }

    @Test("A message that is dropped without an answer comes again")
    func dropped() async throws {
        let rig = try await StreamRig()
        try rig.fill("orders", 2)
        let consumer = rig.streams["orders"].group("g").consumer(as: "one")
        let seen = Shared<[String]>([])
        let task = Task {
            for try await message in consumer {
                seen.withLock { $0.append("\(message.entry["n"] ?? "") \(message.deliveries)") }
                if message.deliveries > 1 || message.entry["n"] == "1" { message.ack() }
            }
        }
        try await eventually(20, "both to be done with: \(seen.value)") { rig.pending("orders", "g") == 0 && seen.value.count >= 3 }
        #expect(seen.value == ["0 1", "1 1", "0 2"])
        await consumer.stop()
        try await task.end()
    }

    /// The script that buries runs whole or not at all, whatever becomes of the connection around it.
    @Test(.nightly) func connectionsDieAroundBurying() async throws {
        let rig = try await StreamRig()
        let ids = try rig.fill("orders", 400)
        let consumers = (0..<2).map {
            rig.streams["orders"].group("g").consumer(as: "worker-\($0)", ConsumerOptions(claimAfter: .seconds(2), maxDeliveries: 2))
        }
        let log = HandledLog()
        let tasks = consumers.map { consumer in
            Task {
                for try await message in consumer {
                    if (Int(message.entry["n"] ?? "") ?? 0) % 2 == 0 {
                        message.retry(after: .milliseconds(Int.random(in: 0...50)))
                    } else {
                        log.add(message)
                        message.ack()
                    }
                }
            }
        }
        for _ in 0..<200 {
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...30)))
            rig.killConnections()
        }
        try await eventually(60, "nothing to be pending, not \(rig.pending("orders", "g"))") {
            try rig.pending("orders", "g") == 0 && rig.length("dead:{orders}:g") >= 200
        }
        let buried = try deadLetters(rig, "dead:{orders}:g").compactMap { $0["dead_id"].flatMap { StreamID($0) } }
        #expect(buried.count == 200 && Set(buried) == Set(ids.indices.filter { $0 % 2 == 0 }.map { ids[$0] }), "each of them once")
        #expect(log.distinct == Set(ids.indices.filter { $0 % 2 == 1 }.map { ids[$0] }))
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }
}
