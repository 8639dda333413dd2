// A world's Redis Cluster as its engine sees it: the map, which in reality a thread of its own asks for (`ClusterWatch`). One thread.

import FastFeed

extension World {
    func database(_ key: String) -> RedisDatabase { servers.database(key) }
    func holds(_ foreignKey: String) -> Bool { servers.holds(foreignKey) }

    /// What Redis's troubles, and the questions of the healer, meet.
    func ask(_ commands: [[String]]) -> [RedisReply]? { cluster?.ask(commands) ?? redis.ask(commands) }

    func forget() {
        guard let cluster else { return redis.forget() }
        cluster.anyNode(&random)?.forget()
    }

    func planMaps() {
        guard let cluster else { return }
        kernel.plan(afterNs: .ns(ms: Limits.clusterMapAgainMs)) { [unowned self] in
            let asking = process
            asking?.askForMap(
                cluster, kernel, afterMs: { self.random.number(cluster.scenario.mapMs) }, isAlive: { [unowned self] in process === asking })
            planMaps()
        }
    }
}

extension EngineProcess {
    /// One question at a time, as the watch has it.
    /// - Parameter afterMs: how long the answer is on its way.
    func askForMap(_ cluster: RedisCluster, _ kernel: SimulatedKernel, afterMs: () -> Int, isAlive: @escaping () -> Bool) {
        guard let board = clusterBoard, !isAskingForMap else { return }
        guard board.takeWanted() || kernel.nowNs >= mapDueNs else { return }
        guard let said = cluster.askForMap() else { return mapDueNs = 0 }
        isAskingForMap = true
        mapDueNs = kernel.nowNs + .ns(ms: Limits.clusterMapMs)
        kernel.plan(afterNs: UInt64(afterMs()) * 1_000_000) { [unowned self, unowned kernel] in
            guard isAlive() else { return }
            isAskingForMap = false
            guard case .map(let map) = SlotMap.read(said.slots, askedHost: "127.0.0.1"),
                board.take(map, epoch: ClusterBoard.epoch(ofInfo: said.info)), map != toldMap
            else { return }
            // Whoever has the first one has it for ever.
            if fault == .laneStale && toldMap != nil { return }
            kernel.tell? { "the sink hears of a map, \(said.info.suffix(4).dropLast(2))" }
            if sink.commands.offer(.route(map)) { toldMap = map }
        }
    }
}

extension RedisCluster {
    /// Nil where that one has enough to bear.
    func anyNode(_ random: inout SplitMix64) -> RedisServer? {
        let place = random.number(0...nodes.count - 1)
        return busy.contains(place) || nodes[place].isSpared ? nil : nodes[place]
    }
}
