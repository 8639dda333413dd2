// Three services, a cluster of six nodes, and a fault every five seconds: nodes are killed, stopped and replaced, slots move, services are
// killed. Nothing that the exchange has delivered may be missing, and memory stays flat. FASTFEED_CLUSTER_MINUTES says for how long (2).

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Redis Cluster: soak", .serialized, .nightly, .looksIntoProgram)
struct ClusterSoakTests {
    private static let minutes = ProcessInfo.processInfo.environment["FASTFEED_CLUSTER_MINUTES"].flatMap { Double($0) } ?? 2
    private static let names = ["a", "b", "c"]

    private enum Fault: CaseIterable {
        case primaryKilled, slotsMoved, serviceKilled, primaryStopped, replicaKilled, failover
    }

    private func residentBytes(_ run: ProgramRun?) -> Int {
        let pages = run.flatMap { try? String(contentsOfFile: "/proc/\($0.pid)/statm", encoding: .utf8) }?.split(separator: " ")
        return (pages?.dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }

    private func descriptorCount(_ run: ProgramRun?) -> Int {
        run.flatMap { try? FileManager.default.contentsOfDirectory(atPath: "/proc/\($0.pid)/fd").count } ?? 0
    }

    /// - Parameter round: takes turns among nodes and services.
    private func strike(_ fault: Fault, _ round: Int, _ set: ClusterSet, _ rig: GroupRig) throws {
        let (primaries, replicas) = (set.nodes.filter(\.isPrimary), set.nodes.filter { !$0.isPrimary })
        let (primary, replica) = (primaries[round % primaries.count], replicas[round % replicas.count])
        switch fault {
        case .primaryKilled:
            primary.server.kill9()
            try set.waitForSuccessor(of: primary)
            try primary.server.restart()
        case .primaryStopped:
            primary.pause()
            defer { primary.resume() }
            try set.waitForSuccessor(of: primary)
        case .replicaKilled:
            replica.server.kill9()
            try replica.server.restart()
        case .failover:
            try set.failOver(to: replica)
        case .slotsMoved:
            let other = primaries[(round + 1) % primaries.count]
            let map = try set.map()
            let slots = Set(rig.symbols.map { HashSlot(key: Keys.history($0, .s1)) }).filter { map.owner($0) == primary.address }.sorted()
            for slot in slots.prefix(10) { try set.move(slot, from: primary, to: other) }
        case .serviceKilled:
            // The first one lives through all of it.
            let name = ClusterSoakTests.names[1 + round % 2]
            rig.kill(name)
            try rig.start(name)
        }
    }

    @Test func nothingIsLost() throws {
        let set = try ClusterSet()
        let rig = try GroupRig(symbols: 100, pushPeriodMs: 250, on: set)
        try rig.start(ClusterSoakTests.names)
        try rig.waitForCloses()
        let (startNs, descriptorsBefore) = (MonotonicClock.nowNs(), descriptorCount(rig.runs["a"]))
        func isPast(_ share: Double) -> Bool { Double(MonotonicClock.nowNs() - startNs) > share * ClusterSoakTests.minutes * 60e9 }
        var (round, residentBefore) = (0, 0)
        while !isPast(1) {
            let fault = Fault.allCases[round % Fault.allCases.count]
            let nextNs = MonotonicClock.nowNs() + 5_000_000_000
            try strike(fault, round / Fault.allCases.count, set, rig)
            round += 1
            try eventually(60, "five seconds") { MonotonicClock.nowNs() >= nextNs }
            // A second fault while one lasts may take what only one node, or only one service, has.
            try eventually(120, "a whole cluster after \(fault)") { set.isWhole }
            try eventually(120, "a whole group after \(fault): \((try? rig.members()) ?? [:])") {
                rig.isSettledAgain(ClusterSoakTests.names)
            }
            if residentBefore == 0, isPast(1 / 3) { residentBefore = residentBytes(rig.runs["a"]) }
        }
        // Each fault has opened and closed lanes; control's connections to nodes are opened when they are needed.
        try eventually(30, "its descriptors to be as many as before: \(descriptorCount(rig.runs["a"])), \(descriptorsBefore) then") {
            descriptorCount(rig.runs["a"]) <= descriptorsBefore + 8
        }
        let residentAfter = residentBytes(rig.runs["a"])
        let mebibytes = "\(residentBefore >> 20) MiB after a third, \(residentAfter >> 20) MiB at the end"
        print("cluster, soak: \(round) faults in \(ClusterSoakTests.minutes) min, \(mebibytes)")
        #expect(round >= Int(ClusterSoakTests.minutes) && residentBefore > 0, "nothing is proven")
        #expect(Sanitizer.isOn || residentAfter - residentBefore < 32 << 20, "\((residentAfter - residentBefore) >> 20) MiB more")
        try rig.finish()
    }
}
