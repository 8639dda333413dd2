// One run of one program: a fresh exchange and redis-server, a while to warm up, a window, and the proof that Redis holds
// what the exchange said. Everything is measured from outside, for all programs alike (Pace.swift). Main thread.

import FastFeed
import Foundation
import VenueSimulator

final class ReferenceRun {
    let rig: Rig
    let program: ContestantProcess

    init(_ setup: Setup, _ contestant: Contestant, _ programs: ContestantPrograms, isBound: Bool = false) throws {
        rig = try Rig(setup)
        program = try contestant.start(rig, programs)
        guard isBound else { return }
        // The exchange and Redis share a core, the program has another to itself.
        let cores = Cores.allowed()
        guard cores.count >= 2 else { throw FeedError(.system, "binding needs two cores") }
        for (pid, core) in [(rig.exchange.pid, 0), (try rig.redis.live(), 0), (program.pid, 1)] {
            // All threads that it has now; those that they start inherit it.
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").compactMap(Int32.init) {
                try Cores.bind(thread: thread, to: cores[core])
            }
        }
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
