// Updates as a sequence: order, slow readers, several readers, cancellation, losses of Redis.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Client: updates", .serialized)
struct ClientUpdateTests {
    private let server: RedisServerProcess
    private let publisher: RedisClient
    private let channel = Keys.updates("btcusdt", .m1)

    init() throws {
        server = try RedisServerProcess()
        publisher = try RedisClient.connect(server.endpoint)
    }

    @Test("Every update in order, from the moment of the call; what is no update is counted")
    func order() async throws {
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        for number in 1...500 as ClosedRange<Int64> {
            #expect(
                try publisher.command("PUBLISH", channel, number % 100 == 0 ? "{\"rows\":1" : ScriptedService.update(number)).integer == 1)
        }
        var next: Int64 = 1
        for await update in updates {
            if next % 100 == 0 { next += 1 }
            #expect(update.updates == next)
            #expect(update.candles.count == 1 && "\(update.candles[0].close)" == "50000.10000000")
            next += 1
            if next == 500 { break }
        }
        #expect(updates.missed == 4)
    }

    @Test("A slow consumer loses the oldest, counted; bytes are bounded, too")
    func slow() async throws {
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        for number in 1...3_000 as ClosedRange<Int64> { _ = try publisher.command("PUBLISH", channel, ScriptedService.update(number)) }
        try await eventually(20, "what was missed: \(updates.missed)") { updates.missed == 3_000 - 1_024 }
        var iterator = updates.makeAsyncIterator()
        #expect(await iterator.next()?.updates == 3_000 - 1_024 + 1)
        let large = try await client.updates(symbol: "btcusdt", interval: .m1)
        for number in 1...40 as ClosedRange<Int64> {
            _ = try publisher.command("PUBLISH", channel, ScriptedService.update(number, padding: 500_000))
        }
        // 16 of 500 kB fit into 8 MiB.
        try await eventually(20, "what was missed: \(large.missed)") { large.missed == 24 }
        _ = try publisher.command("PUBLISH", channel, ScriptedService.update(41, padding: 2 << 20))
        try await eventually(20, "what was missed: \(large.missed)") { large.missed == 25 }
    }

    @Test("Two readers of one series have each all of it; the last to leave ends the subscription")
    func shared() async throws {
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        var first: FluxUpdates? = try await client.updates(symbol: "btcusdt", interval: .m1)
        var second: FluxUpdates? = try await client.updates(symbol: "btcusdt", interval: .m1)
        _ = try publisher.command("PUBLISH", channel, ScriptedService.update(7))
        #expect(await first?.first { _ in true }?.updates == 7)
        #expect(await second?.first { _ in true }?.updates == 7)
        first = nil
        try await Task.sleep(for: .milliseconds(50))
        #expect(try channels(publisher) == [channel])
        second = nil
        try await eventually(20, "no channel listened to") { try channels(publisher).isEmpty }
    }

    @Test("Cancelling the reader's task ends the loop and the subscription")
    func cancellation() async throws {
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        let count = Shared(0)
        let reader = Task { for await _ in updates { count.withLock { $0 += 1 } } }
        _ = try publisher.command("PUBLISH", channel, ScriptedService.update(1))
        try await eventually(20, "an update") { count.value == 1 }
        reader.cancel()
        await reader.value
        #expect(count.value == 1)
        try await eventually(20, "no channel listened to") { try channels(publisher).isEmpty }
    }

    @Test("Updates go on after Redis has been away, and say that it was")
    func interruption() async throws {
        let client = try await FluxClient.connect(server.endpoint, timeout: .seconds(20))
        let updates = try await client.updates(symbol: "btcusdt", interval: .m1)
        _ = try publisher.command("PUBLISH", channel, ScriptedService.update(1))
        var iterator = updates.makeAsyncIterator()
        #expect(await iterator.next()?.updates == 1)
        #expect(updates.interruptions == 0)
        try server.restart()
        let again = try RedisClient.connect(server.endpoint)
        try await eventually(10, "the channel listened to again") { try channels(again) == [channel] }
        _ = try again.command("PUBLISH", channel, ScriptedService.update(2))
        #expect(await iterator.next()?.updates == 2)
        #expect(updates.interruptions == 1)
    }

    @Test("The client lives as long as somebody listens, and ends with the last")
    func lifetime() async throws {
        var updates: FluxUpdates? = try await FluxClient.connect(server.endpoint, timeout: .seconds(20)).updates(
            symbol: "btcusdt", interval: .m1)
        _ = try publisher.command("PUBLISH", channel, ScriptedService.update(3))
        #expect(await updates?.first { _ in true }?.updates == 3)
        updates = nil
        try await eventually(20, "one client left") { try publisher.command("CLIENT", "LIST").text?.split(separator: "\n").count == 1 }
    }
}
