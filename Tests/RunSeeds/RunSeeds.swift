// `run-seeds`: simulated worlds by the thousand, on every core. A failure prints its seed, and the seed repeats it.

import ArgumentParser
import FastFeed
import Foundation
import Simulation
import Synchronization

@main
struct RunSeeds: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run-seeds", abstract: "Run the engine in simulated worlds, one for each seed.",
        discussion: "A world is a function of its seed: `run-seeds 1 --first SEED --verbose` repeats a failure and tells its story.")

    @Argument(help: "How many seeds.")
    var count: UInt64 = 1_000

    @Option(help: "The first seed.")
    var first: UInt64 = 1

    @Option(help: "Threads; 0: one for each core.")
    var threads = 0

    @Option(help: "Check after so many turns what must be so between the agents, too (1: after every turn); 0: check no invariant.")
    var turnsPerCheck = World.turnsPerCheck

    @Option(help: "A fault to plant around healer and readers, or in the cluster: its worlds must fail.", transform: RunSeeds.fault)
    var fault: PlantedFault?

    @Flag(help: "Worlds of two members of a group, whose series change hands.")
    var pair = false

    @Flag(help: "Tell each world's story and print its counters.")
    var verbose = false

    func run() throws {
        let totals = Totals()
        let next = Atomic<UInt64>(first)
        let end = first + count
        let workers = threads > 0 ? threads : ProcessInfo.processInfo.activeProcessorCount
        let started = Date()
        DispatchQueue.concurrentPerform(iterations: workers) { _ in
            while true {
                let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard seed < end else { return }
                let outcome = run(seed, verbose ? { print($0) } : nil)
                totals.add(outcome)
                if verbose || !outcome.complaints.isEmpty { RunSeeds.show(outcome, withCounters: verbose) }
            }
        }
        print(totals.summary(count, seconds: Date().timeIntervalSince(started)))
        if totals.failures > 0 { throw ExitCode.failure }
    }

    func validate() throws {
        guard let fault, fault.isOfPair != pair else { return }
        throw ValidationError("'\(fault.rawValue)' is a fault of \(pair ? "the other" : "--pair") worlds")
    }

    private func run(_ seed: UInt64, _ tell: ((String) -> Void)?) -> Outcome {
        if pair { return PairWorld.run(seed: seed, fault: fault, tell: tell) }
        return World.run(seed: seed, fault: fault, turnsPerCheck: turnsPerCheck, tell: tell)
    }

    private static func fault(_ name: String) throws -> PlantedFault {
        guard let fault = PlantedFault(rawValue: name) else {
            throw ValidationError("'\(name)' is not one of \(PlantedFault.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return fault
    }

    private static func show(_ outcome: Outcome, withCounters: Bool) {
        var text = "seed \(outcome.seed): \(outcome.complaints.isEmpty ? "well" : "FAILED"), trace \(String(outcome.trace, radix: 16))\n"
        for complaint in outcome.complaints.prefix(12) { text += "    \(complaint)\n" }
        if withCounters {
            for id in CounterID.allCases where outcome.counters[id] > 0 { text += "    \(id.name) \(outcome.counters[id])\n" }
        }
        FileHandle.standardOutput.write(Data(text.utf8))
    }
}

/// Sums over all worlds.
final class Totals: Sendable {
    private struct Sums {
        var failures = 0
        var virtualNs: UInt64 = 0
        var turns = 0
        var closed = 0
        var counters: [CounterID: UInt64] = [:]
    }

    private let sums = Lock(Sums())

    var failures: Int { sums.withLock { $0.failures } }

    func add(_ outcome: Outcome) {
        sums.withLock { sums in
            if !outcome.complaints.isEmpty { sums.failures += 1 }
            sums.virtualNs += outcome.virtualNs
            sums.turns += outcome.turns
            sums.closed += outcome.closedCompared
            for id in CounterID.allCases { sums.counters[id, default: 0] += outcome.counters[id] }
        }
    }

    func summary(_ count: UInt64, seconds: Double) -> String {
        sums.withLock { sums in
            func c(_ id: CounterID) -> UInt64 { sums.counters[id] ?? 0 }
            return """
                \(count) seeds, \(sums.failures) failed, \(String(format: "%.1f s (%.0f seeds/s)", seconds, Double(count) / seconds))
                simulated \(String(format: "%.1f hours", Double(sums.virtualNs) / 3.6e12)), \(sums.turns) turns, \
                \(c(.messagesReceived)) messages, \(sums.closed) closed candles compared
                connections lost \(c(.connectionsClosed)), replaced \(c(.rollovers)), failed to open \(c(.connectFailures)), violations \
                \(c(.protocolViolations)), rings full \(c(.backPressureStalls)), Redis lost \(c(.redisReconnects)), refusals \
                \(c(.redisErrorsRetried)), redirects \(c(.redisRedirects)), history scripts \(c(.historyScripts)), written again \
                \(c(.closedAgain)) (\(c(.closedAgainMissing)) were lost), queue overflows \(c(.closedQueueOverflow)), \
                duplicates \(c(.duplicates)), coalesced \(c(.coalesced)), gaps \(c(.gapsSeen)), filled late \(c(.gapCandlesFilled)), healed \
                \(c(.gapCandlesHealed)), requests \(c(.healRequests)), late closes \(c(.lateCloses)), mute streams \(c(.muteStreams))
                """
        }
    }
}
