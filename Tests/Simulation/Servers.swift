// What is around the engine in a world: a kernel, and on it an exchange and a Redis, one server or a cluster. One thread.

import FastFeed

struct Servers {
    let kernel: SimulatedKernel
    let exchange: Exchange
    /// The only one, or the first node.
    let redis: RedisServer
    let cluster: RedisCluster?

    init(_ scenario: Scenario, _ schema: KeySchema, _ fault: PlantedFault?) {
        var accept: (SocketAddress) -> Acceptance = { _ in .swallow }
        let kernel = SimulatedKernel(seed: scenario.seed ^ 0xC, latencyNs: scenario.latencyNs) { accept($0) }
        let exchange = Exchange(scenario, kernel: kernel)
        let cluster = scenario.cluster.map { RedisCluster(scenario, $0, schema, kernel: kernel, fault: fault) }
        let redis = cluster?.nodes[0] ?? RedisServer(scenario, kernel: kernel)
        let exchangeAddress = SocketAddress(numericHost: "127.0.0.1", port: 9_443)!
        accept = { [unowned exchange, unowned redis] in
            $0 == exchangeAddress ? exchange.accept() : (cluster?.node(at: $0) ?? redis).accept()
        }
        (self.kernel, self.exchange, self.redis, self.cluster) = (kernel, exchange, redis, cluster)
    }

    /// Where a key is.
    func database(_ key: String) -> RedisDatabase { (cluster?.holder(key) ?? redis).database }

    func holds(_ foreignKey: String) -> Bool { database(foreignKey).foreignKeys.contains(foreignKey) }

    func misbehave(_ keys: [String], _ random: inout SplitMix64) {
        guard let cluster else { return redis.misbehave(keys) }
        if let node = cluster.anyNode(&random) { node.misbehave(keys.filter { cluster.holder($0) === node }) }
    }

    func heal() {
        exchange.heal()
        cluster?.heal() ?? redis.heal()
    }
}
