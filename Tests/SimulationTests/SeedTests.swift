// Simulated worlds in the test run. Each is a function of its seed; what fails here is repeated and told by
// `scripts/simulate.sh 1 --first SEED --verbose`.

import FastFeed
import Foundation
import Simulation
import Synchronization
import Testing

@Suite struct SeedTests {
    /// How many worlds: FASTFEED_SEEDS, or enough to be quick.
    private static let count = ProcessInfo.processInfo.environment["FASTFEED_SEEDS"].flatMap(UInt64.init) ?? 500

    @Test func everyWorldEndsWithNothingLost() {
        let total = run(SeedTests.count) { World.run(seed: $0) }
        // The worlds are bad enough: everything that can go wrong went wrong somewhere.
        let mustHappen: [CounterID] = [
            .connectionsClosed, .connectFailures, .rollovers, .protocolViolations, .subscribeErrors, .backPressureStalls,
            .rejectedMalformed,
            .rejectedNotUTF8, .rejectedMissing, .rejectedType, .rejectedNumber, .rejectedRepeated, .rejectedInterval, .duplicates,
            .coalesced,
            .gapsSeen, .gapCandlesFilled, .closedQueueOverflow, .redisReconnects, .redisErrorsRetried, .closedRejected, .historyScripts,
            .updatesRefused, .redisRedirects, .closedAgainMissing, .gapCandlesHealed, .healRequestsFailed, .lateCloses, .muteStreams,
            .gapCandlesAbsent,
        ]
        for id in mustHappen { #expect(total[id] ?? 0 > 0, "\(id.name) never happened in \(SeedTests.count) worlds") }
    }

    /// - Returns: what all of them have counted.
    private func run(_ count: UInt64, _ world: @Sendable (_ seed: UInt64) -> Outcome) -> [CounterID: UInt64] {
        let next = Atomic<UInt64>(1)
        let failures = Lock<[String]>([])
        let sums = Lock<[CounterID: UInt64]>([:])
        DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
            while true {
                let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard seed <= count else { return }
                let outcome = world(seed)
                sums.withLock { for id in CounterID.allCases { $0[id, default: 0] += outcome.counters[id] } }
                guard !outcome.complaints.isEmpty else { continue }
                failures.withLock { $0.append("seed \(seed): \(outcome.complaints.prefix(3).joined(separator: "; "))") }
            }
        }
        for failure in failures.withLock({ $0 }).prefix(10) { Issue.record("\(failure)") }
        return sums.withLock { $0 }
    }

    /// Two members of a group, whose series change hands. `scripts/simulate.sh 1 --pair --first SEED --verbose` tells one.
    @Test func everyPairEndsWithNothingLost() {
        let judged = Atomic(0)
        let total = run(SeedTests.count / 4) {
            let outcome = PairWorld.run(seed: $0)
            judged.add(outcome.closedCompared, ordering: .relaxed)
            return outcome
        }
        #expect(judged.load(ordering: .relaxed) > 0)
        for id: CounterID in [.closedWatched, .seriesWatched, .historyScripts, .redisReconnects] {
            #expect(total[id] ?? 0 > 0, "\(id.name) never happened in \(SeedTests.count / 4) pairs")
        }
    }

    /// What a fault of the healer's or the sink's would leave behind is seen, in a world that is well without it.
    @Test(arguments: PlantedFault.allCases) func plantedFaultIsFound(_ fault: PlantedFault) {
        let suits = fault.isOfCluster ? World.hasCluster : World.heals
        let found = (1...400 as ClosedRange<UInt64>).first { seed in
            guard !fault.isOfPair else { return !PairWorld.run(seed: seed, fault: fault).complaints.isEmpty }
            return suits(seed) && !World.run(seed: seed, fault: fault).complaints.isEmpty && World.run(seed: seed).complaints.isEmpty
        }
        #expect(found != nil, "\(fault) was not found in 400 worlds")
    }

    /// A fault that leaves a part in a state that cannot be is told by the invariant's sentence, which names its turn.
    @Test func aBrokenInvariantFailsItsWorld() {
        let complaints = (1...400).lazy.map { World.run(seed: $0, fault: .unsubscribeLost).complaints }.joined()
        #expect(complaints.contains { $0.hasPrefix("after turn ") && $0.contains("carries [") }, "no world has a word on it")
    }

    @Test func aSeedIsTheWholeWorld() {
        for seed: UInt64 in [1, 77, 4_711, (1...).first { World.hasCluster(seed: $0) }!] {
            let traces = Set((0..<3).map { _ in World.run(seed: seed).trace })
            #expect(traces.count == 1, "seed \(seed) gives different runs")
        }
        #expect(World.run(seed: 1).trace != World.run(seed: 2).trace)
    }
}
