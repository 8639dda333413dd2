// Who asks a Redis Cluster for its map. `findMap` blocks its thread; the watch is a thread of its own, so that neither the data path nor
// control waits for a node that is away: it asks one node each second, and at once when somebody has learned that the map is another
// (`ClusterBoard.want`). Bounds: `Limits.clusterTimeoutMs` for each node, `Limits.clusterMapAgainMs` between two questions.

import Synchronization

extension RedisEndpoint {
    /// Nodes that may say who owns what, another one first each time: the one before may hang, or be of the past.
    private func informants(_ seeds: ClusterSeeds) -> [Authority] {
        let nodes = seeds.board.map?.nodes ?? []
        var all: [Authority] = []
        for authority in nodes.map(\.primary) + nodes.flatMap(\.replicas) + seeds.addresses where !all.contains(authority) {
            all.append(authority)
        }
        let start = seeds.board.nextTurn() % all.count
        return Array(all[start...] + all[..<start])
    }

    /// Asks one node after the other until one says it; then it is on the board.
    /// - Throws: one sentence with what each node has said; it is `.configuration` when a node was set up otherwise and none was of use.
    @discardableResult
    package func findMap(untilNs: UInt64, isWanted: () -> Bool = { true }) throws(FeedError) -> SlotMap? {
        guard let seeds = cluster else { return nil }
        var (reasons, isLasting, isPast) = ([String](), false, false)
        for node in informants(seeds) where isWanted() {
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < untilNs else { break }
            let endNs = min(untilNs, nowNs + .ns(ms: Limits.clusterTimeoutMs))
            do throws(FeedError) {
                let connection = try RedisConnection.connect(at(node), timeoutMs: Int((endNs - nowNs) / 1_000_000) + 1, isWanted: isWanted)
                defer { connection.close() }
                let (map, epoch) = try ask(connection, node, untilNs: endNs)
                if seeds.board.take(map, epoch: epoch) { return map }
                isPast = true
                reasons.append("the node \(node): its map is of the past (epoch \(epoch))")
            } catch {
                // A wrong password does not pass by itself; another node may have another one.
                isLasting = isLasting || error.stage == .configuration
                reasons.append("the node \(node): \(error.message)")
            }
        }
        if isPast { seeds.board.notePast() }
        throw FeedError(
            isLasting && !isPast ? .configuration : .redis,
            "\(self): no node says who owns which slots (\(reasons.joined(separator: "; ")))")
    }

    /// The map, and the cluster's epoch as the node knows it; 0 where that may not be asked. A primary that has hung and wakes names itself
    /// with conviction, at the epoch of before.
    private func ask(_ connection: RedisConnection, _ node: Authority, untilNs: UInt64) throws(FeedError) -> (SlotMap, epoch: Int64) {
        let replies = try connection.ask([["CLUSTER", "INFO"], ["CLUSTER", "SLOTS"]], untilNs: untilNs)
        switch SlotMap.read(replies[1], askedHost: node.host) {
        case .map(let map): return (map, ClusterBoard.epoch(ofInfo: replies[0].text ?? ""))
        case .unusable(let reason):
            let isNone = reason.hasPrefix("ERR This instance has cluster support disabled")
            throw FeedError(isNone ? .configuration : .redis, isNone ? "it is not a node of a Redis Cluster: name it as redis://…" : reason)
        }
    }

    /// The owner of the cluster's home slot, as far as is known; else of the map that is asked for.
    func findHome(untilNs: UInt64, isWanted: () -> Bool = { true }) throws(FeedError) -> Authority? {
        guard let seeds = cluster else { return nil }
        let map = try findMap(untilNs: untilNs, isWanted: isWanted)
        return map?.owner(seeds.homeSlot)
    }
}

package final class ClusterWatch: Sendable {
    private let endpoint: RedisEndpoint
    private let seeds: ClusterSeeds
    private let journal: Journal
    private let onMap: @Sendable (SlotMap) -> Bool
    private let wakeUp: WakeUp
    package let meter: ThreadMeter
    private let stopping = Atomic<Bool>(false)
    private let thread = Lock<PinnedThread?>(nil)

    /// - Parameter onMap: called on the watch's thread with each map that differs from the one before, and with the newest after MOVED has
    ///   changed the board; each second until it is true.
    package init(
        _ endpoint: RedisEndpoint, _ seeds: ClusterSeeds, journal: Journal, onMap: @escaping @Sendable (SlotMap) -> Bool
    ) throws(SystemError) {
        (self.endpoint, self.seeds, self.journal, self.onMap) = (endpoint, seeds, journal, onMap)
        wakeUp = try WakeUp()
        meter = ThreadMeter(name: "cluster-watch", wakeUp: wakeUp)
        seeds.board.setReceiver(wakeUp)
    }

    package func start() throws(SystemError) {
        let started = try PinnedThread.start(name: meter.name) { [self] in run() }
        thread.withLock { $0 = started }
    }

    package func stop() {
        seeds.board.setReceiver(nil)
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
        thread.withLock { $0.take() }?.join()
    }

    private var isWanted: Bool { !stopping.load(ordering: .acquiring) }

    // MARK: Its thread

    private func run() {
        var outage = OutageWatch()
        // With the board's version: where MOVED has changed the map of who is told, it has changed the board, too. A node that has not
        // heard yet of a slot's move shall not take it back: the next one must say the same.
        var told: (map: SlotMap, version: Int)?
        var seenVersion = 0
        while isWanted {
            let turnNs = MonotonicClock.nowNs()
            _ = seeds.board.takeWanted()
            let (map, reason) = ask()
            note(outage.note(isGood: map != nil), reason)
            let version = seeds.board.version
            let isStill = version == seenVersion
            if let map, told.map({ $0.map != map || isStill && $0.version != version }) ?? true, onMap(map) { told = (map, version) }
            seenVersion = version
            meter.add(MonotonicClock.nowNs() &- turnNs)
            let periodMs = map.map { $0.isLong ? Limits.clusterMapSlowlyMs : Limits.clusterMapMs } ?? Limits.clusterMapAgainMs
            rest(fromNs: turnNs, periodMs)
        }
    }

    /// One node after the other has its turn: what a single one believes is not all there is to know.
    private func ask() -> (SlotMap?, String) {
        do throws(FeedError) {
            return (try endpoint.findMap(untilNs: MonotonicClock.nowNs() + .ns(ms: 4 * Limits.clusterTimeoutMs)) { goesOn() }, "")
        } catch {
            return (nil, error.message)
        }
    }

    /// Waiting for a node is not standing still.
    private func goesOn() -> Bool {
        meter.add(0)
        return isWanted
    }

    private func note(_ news: OutageWatch.News?, _ reason: String) {
        switch news {
        case .began: journal.note(.warning, "no node says who owns the cluster's slots: all goes where it went", ("reasons", reason))
        case .ended: journal.note(.notice, "a node says who owns the cluster's slots")
        case nil: break
        }
    }

    /// Until the period has passed, or somebody wants the map and it was not asked for a moment ago.
    private func rest(fromNs: UInt64, _ periodMs: Int) {
        let (endNs, soonNs) = (fromNs + .ns(ms: periodMs), fromNs + .ns(ms: Limits.clusterMapAgainMs))
        while isWanted {
            let nowNs = MonotonicClock.nowNs()
            if nowNs >= endNs || nowNs >= soonNs && seeds.board.isWanted { return }
            wakeUp.park(untilNs: seeds.board.isWanted ? soonNs : endNs) { [self] in !isWanted || seeds.board.isWanted && nowNs >= soonNs }
            meter.add(0)
        }
    }
}
