// A world's Redis Cluster as its engine sees it: the map, which in reality a thread of its own asks for (`ClusterWatch`). One thread.

import FastFeed

extension World {
    /// Where a key is.
    func database(_ key: String) -> RedisDatabase { (cluster?.holder(key) ?? redis).database }

    func holds(_ foreignKey: String) -> Bool { database(foreignKey).foreignKeys.contains(foreignKey) }

    /// What Redis's troubles, and the questions of the healer, meet.
    func ask(_ commands: [[String]]) -> [RedisReply]? { cluster?.ask(commands) ?? redis.ask(commands) }

    func misbehave(_ keys: [String]) {
        guard let cluster else { return redis.misbehave(keys) }
        if let node = cluster.anyNode(&random) { node.misbehave(keys.filter { cluster.holder($0) === node }) }
    }

    func forget() {
        guard let cluster else { return redis.forget() }
        cluster.anyNode(&random)?.forget()
    }

    func planMaps() {
        guard let cluster else { return }
        kernel.plan(afterNs: .ns(ms: Limits.clusterMapAgainMs)) { [unowned self] in
            askForMap(cluster)
            planMaps()
        }
    }

    /// One question at a time, as the watch has it.
    private func askForMap(_ cluster: RedisCluster) {
        guard let process, let board = process.clusterBoard, !process.isAskingForMap else { return }
        guard board.takeWanted() || kernel.nowNs >= process.mapDueNs else { return }
        guard let said = cluster.askForMap() else { return process.mapDueNs = 0 }
        process.isAskingForMap = true
        process.mapDueNs = kernel.nowNs + .ns(ms: Limits.clusterMapMs)
        kernel.plan(afterNs: UInt64(random.number(cluster.scenario.mapMs)) * 1_000_000) { [unowned self] in
            guard self.process === process else { return }
            process.isAskingForMap = false
            guard case .map(let map) = SlotMap.read(said.slots, askedHost: "127.0.0.1"),
                board.take(map, epoch: ClusterBoard.epoch(ofInfo: said.info)), map != process.toldMap
            else { return }
            // Whoever has the first one has it for ever.
            if fault == .laneStale && process.toldMap != nil { return }
            kernel.tell? { "the sink hears of a map, \(said.info.suffix(4).dropLast(2))" }
            if process.sink.commands.offer(.route(map)) { process.toldMap = map }
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
