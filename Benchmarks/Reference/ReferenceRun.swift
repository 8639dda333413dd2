// One run of one program: a fresh exchange and redis-server, a while to warm up, a window, and the proof that Redis holds
// what the exchange said. Everything is measured from outside, for all programs alike (Pace.swift). Main thread.

import FastFeed
import Foundation
import VenueSimulator

final class ReferenceRun {
    let rig: Rig
    let program: ContestantProcess

    init(
        _ setup: Setup, _ contestant: Contestant, _ programs: ContestantPrograms, keepsTruth: Bool = true, subscribes: Bool,
        isBound: Bool = false
    ) throws {
        rig = try Rig(setup, keepsTruth: keepsTruth, subscribes: subscribes)
        program = try contestant.start(rig, programs)
        guard isBound else { return }
        // The exchange and Redis share a core, the program has another to itself.
        let cores = Cores.allowed()
        guard cores.count >= 2 else { throw FeedError(.system, "binding needs two cores") }
        for pid in [rig.exchange.pid, try rig.redis.live()] { try Cores.bind(process: pid, to: cores[0]) }
        try Cores.bind(process: program.pid, to: cores[1])
    }

    func read() throws -> Reading {
        try program.mustRun()
        return try rig.read(program.pid)
    }

    /// Of its pace, by name; and its memory now.
    func figures(_ pace: Pace) throws -> [String: Double] {
        let rss = Double(try ProcessSample(pid: program.pid).residentBytes) / 1_048_576
        return pace.figures.merging(["rss": rss]) { $1 }
    }

    /// Lets it run for a while. Returns figures by name.
    func measure(warmUpSeconds: Double, seconds: Double) throws -> [String: Double] {
        try figures(rig.measure(program.pid, warmUpSeconds: warmUpSeconds, seconds: seconds))
    }

    /// Ends the exchange, lets the program take what was sent, and compares Redis with the exchange's truth.
    /// - Returns: what the subscriber has seen, if there is one.
    func finish() throws -> UpdateSubscriber.Findings? {
        rig.exchange.stop()
        let books = try program.finish()
        try rig.subscriber?.expect(updates: books.updates)
        try rig.prove(closedWritten: books.closedWritten)
        return rig.subscriber?.result()
    }
}

extension Cores {
    /// Binds all threads that the process has now; those that they start inherit it.
    static func bind(process pid: Int32, to core: Int) throws {
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").compactMap(Int32.init) {
            try bind(thread: thread, to: core)
        }
    }
}
