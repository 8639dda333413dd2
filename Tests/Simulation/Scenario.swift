// What one seed decides: how big the world is, how fast, and what goes wrong in it.

import FastFeed

public struct Scenario: Sendable {
    public let seed: UInt64
    let series: [Series]
    let streamsPerConnection: Int
    let readerCount: Int
    /// All agents in one turn, or each turned by itself in any order.
    let isShared: Bool
    let ringCount: Int
    let batchSize: Int
    let closedMax: Int
    let coalesces: Bool
    let subscribeForm: SubscribeForm
    let usesCombinedStreams: Bool
    let usesUnixSocket: Bool
    let updatePeriodMs: Int
    /// Faults happen until then.
    let troubleNs: UInt64
    let connectionAgeMs: Int
    let latencyNs: ClosedRange<UInt64>
    /// Mean distance between faults of each side; nil for none.
    let exchangeFaultNs: UInt64?
    let redisFaultNs: UInt64?
    let processPauseNs: UInt64?
    /// Chances per frame.
    let damage: Double
    let duplicate: Double
    let hold: Double
    let lose: Double
    let fragment: Double
    /// Somebody else writes the same history.
    let hasOtherWriter: Bool
    /// So many of the series, the last ones, are stopped and followed again while everything else goes on.
    let changingCount: Int
    /// Two connections carry every stream: what overtakes what is chance.
    let isDoubled: Bool
    /// What a healer finds and how it is hindered; nil: nobody heals.
    let healing: HealScenario?
    /// Redis is a cluster; nil: one server.
    let cluster: ClusterScenario?

    /// Nothing that was written goes astray.
    var hasSteadyRedis: Bool { redisFaultNs == nil && cluster?.troubleNs == nil }

    public init(seed: UInt64) {
        var random = SplitMix64(seed: SplitMix64.mix(seed))
        self.seed = seed
        // Decided by itself: worlds with one Redis are what they are without clusters.
        var clusterRandom = SplitMix64(seed: SplitMix64.mix(seed ^ 0xC7))
        let isCluster = clusterRandom.chance(0.25)
        let symbols = ["btcusdt", "ethusdt", "a1", "x_usdt"].prefix(random.number(1...4)).map { Symbol($0)! }
        let slow = random.chance(0.15)
        let intervals: [Interval] = slow ? [.m1] : random.pick([[.s1], [.s1], [.s1, .m1]])
        series = intervals.flatMap { interval in symbols.map { Series(symbol: $0, interval: interval) } }
        streamsPerConnection = random.pick([1, 2, 8])
        readerCount = random.number(1...2)
        isShared = random.chance(0.5)
        ringCount = random.pick([64, 64, 128, 2_048])
        batchSize = random.pick([1, 2, 3, 8, 64])
        closedMax = random.pick([16, 64, 1_024])
        let coalesces = random.chance(0.85)
        self.coalesces = coalesces || isCluster
        subscribeForm = random.pick([.automatic, .url, .message])
        usesCombinedStreams = random.chance(0.8)
        usesUnixSocket = random.chance(0.5)
        updatePeriodMs = slow ? random.number(5_000...30_000) : random.number(100...900)
        troubleNs = UInt64(slow ? random.number(300...2_400) : random.number(5...60)) * 1_000_000_000
        connectionAgeMs = random.chance(0.5) ? Int(troubleNs / 1_000_000) / random.number(2...5) : 23 * 3_600_000
        latencyNs = random.pick([20_000...80_000, 500_000...3_000_000, 1_000_000...60_000_000])
        let troubleNs = troubleNs
        func distance(_ chance: Double) -> UInt64? {
            random.chance(chance) ? troubleNs / UInt64(random.number(1...12)) : nil
        }
        let heals = random.chance(0.6)
        let isGentle = heals && random.chance(0.25)
        exchangeFaultNs = isGentle ? troubleNs / UInt64(random.number(1...6)) : distance(0.75)
        redisFaultNs = isGentle ? nil : distance(0.75)
        processPauseNs = isGentle ? nil : distance(0.2)
        func rate(_ chance: Double, _ list: [Double]) -> Double { !isGentle && random.chance(chance) ? random.pick(list) : 0 }
        damage = rate(0.3, [0.01, 0.1])
        duplicate = rate(0.3, [0.02, 0.3])
        hold = rate(0.3, [0.02, 0.2])
        lose = rate(0.3, [0.01, 0.1])
        fragment = rate(0.3, [0.05, 0.5])
        hasOtherWriter = !isGentle && random.chance(0.2)
        changingCount = !isGentle && random.chance(0.3) ? random.number(0...series.count - 1) : 0
        isDoubled = !isGentle && random.chance(0.15)
        healing = heals ? HealScenario(&random, troubleNs: troubleNs, isGentle: isGentle) : nil
        cluster = isCluster ? ClusterScenario(&clusterRandom, troubleNs: troubleNs, isGentle: isGentle) : nil
    }
}

/// The part of a world that has a healer in it, and with it everything that nobody could make good without one.
struct HealScenario: Sendable {
    /// Only the exchange's connections have faults, and a hole is filled well within the hold: nothing is ever written behind its time.
    let isGentle: Bool
    let holdMs: Int
    let backfill: Int
    let auditPercent: Int
    /// Closed bars from before the start that the exchange knows.
    let pastCount: Int
    /// Of the exchange, by minute and address.
    let weightLimit: Int
    let restLatencyMs: ClosedRange<Int>
    /// How far REST is behind what the streams say.
    let restLagMs: ClosedRange<Int>
    /// Mean distance between faults of each kind; nil for none.
    let restFaultNs: UInt64?
    let killNs: UInt64?
    /// Redis forgets: everything, or its last moments.
    let lossNs: UInt64?
    /// Bars that nobody makes, and bars that only REST has not.
    let windowNs: UInt64?
    let muteNs: UInt64?
    /// Holes that the board has room for.
    let gapCountMax: Int

    init(_ random: inout SplitMix64, troubleNs: UInt64, isGentle: Bool) {
        self.isGentle = isGentle
        holdMs = isGentle ? 20_000 : random.pick([5_000, 5_000, 5_000, 500, 20_000])
        backfill = random.pick([0, 3, 20, 60])
        auditPercent = random.pick([0, 5])
        pastCount = random.pick([0, 10, 100])
        weightLimit = isGentle ? 6_000 : random.pick([40, 1_200, 6_000, 6_000])
        restLatencyMs = isGentle ? 5...200 : random.pick([5...40, 50...300, 50...300, 300...3_000])
        restLagMs = isGentle ? 0...800 : random.pick([0...0, 0...800, 0...800, 0...5_000])
        func distance(_ chance: Double, _ countMax: Int) -> UInt64? {
            !isGentle && random.chance(chance) ? troubleNs / UInt64(random.number(1...countMax)) : nil
        }
        restFaultNs = distance(0.5, 8)
        killNs = distance(0.5, 5)
        lossNs = distance(0.3, 3)
        windowNs = distance(0.3, 4)
        muteNs = distance(0.4, 3)
        // (What the exchange lacks stays on the board, and could fill such a small one for good. What is forgotten holds nothing up.)
        gapCountMax = windowNs == nil && !isGentle && random.chance(0.3) ? random.number(4...12) : Limits.gapCountMax
    }
}

/// The part of a world whose Redis is a cluster.
struct ClusterScenario: Sendable {
    /// Nodes that own slots at first.
    let primaryCount: Int
    let nodeCount: Int
    /// Where one slot has no owner nobody serves any.
    let coversFully: Bool
    /// How long the map is on its way to the engine.
    let mapMs: ClosedRange<Int>
    /// Mean distance between the cluster's own troubles; nil for none.
    let troubleNs: UInt64?

    init(_ random: inout SplitMix64, troubleNs: UInt64, isGentle: Bool) {
        primaryCount = random.number(2...4)
        nodeCount = primaryCount + random.number(1...3)
        coversFully = random.chance(0.3)
        mapMs = random.pick([1...20, 20...300, 100...1_000])
        self.troubleNs = isGentle || random.chance(0.1) ? nil : troubleNs / UInt64(random.number(2...30))
    }
}
