// Groups over what services write: two services on the same series, one of which is killed.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Streams: services and groups", .serialized, .streamLimit)
struct StreamServiceTests {
    @Test("Two services write the same series, and one is killed: ten workers of a group get each candle once, and none is missing")
    func twoServices() async throws {
        let rig = try await StreamRig()
        var simulator = SimulatorConfiguration()
        (simulator.symbolCount, simulator.illiquidEvery, simulator.pushPeriodMs) = (2, 0, 100)
        let venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        defer { venue.stop() }
        let symbols = venue.symbols.map(\.symbol.name)
        let keys = symbols.map { Keys.history($0, .s1) }
        let arguments = ["run", "--flux", "\(symbols.joined(separator: ",")):1s", "--venue-ws", venue.webSocketBase, "--redis", rig.url]
        let services = try (0..<2).map { _ in try ProgramRun(arguments) }
        let log = HandledLog()
        let consumers = (0..<10).map { rig.streams.consumer(group: "g", of: keys, as: "worker-\($0)", ConsumerOptions(prefetch: 5)) }
        let tasks = consumers.map { $0.work(into: log) }
        func said() -> String { services.map(\.errorText).joined(separator: "\n") }
        func wait(for more: Int) async throws {
            let target = log.count + more
            try await eventually(60, "\(more) more candles: \(said())") { log.count >= target }
        }
        for service in services { #expect(service.shows("connected to the exchange", within: 30), "\(service.errorText)") }
        try await wait(for: 10)
        services[0].signal(SIGKILL)
        #expect(services[0].end() == -SIGKILL)
        try await wait(for: 10)
        services[1].signal(SIGTERM)
        #expect(services[1].end(within: 20) == 0, "\(said())")
        let stored = try Set(keys.flatMap { key in try rig.ids(key).map { "\(key) \($0)" } })
        func handled() -> [String] { log.lines.map { "\($0.key) \($0.id)" } }
        try await eventually(30, "all: \(stored.subtracting(handled()).count) are missing") {
            stored.isSubset(of: handled()) && keys.allSatisfy { rig.pending($0, "g") == 0 }
        }
        #expect(handled().count == stored.count && Set(handled()) == stored, "each candle once")
        for key in keys {
            let openTimes = try rig.ids(key).map(\.milliseconds)
            #expect(zip(openTimes, openTimes.dropFirst()).allSatisfy { $1 - $0 == 1_000 }, "\(key): \(openTimes)")
        }
        // (Redis 6.2 does not know it.)
        for info in try await rig.streams[keys[0]].groups() { #expect([0, nil].contains(info.lag), "\(info)") }
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }
}
