// What a batch says to those who listen, in each mode: the same messages by another command, or none, and the same of all else.

import FastFeed
import Testing

struct UpdateModeTests {
    private let btc = Series(symbol: Symbol("btcusdt")!, interval: .m1)

    /// Two batches: a forming state; then two closed candles and the next bar, and late candles behind them.
    private func batches(_ updates: UpdateMode) -> [[[String]]] {
        var rig = BuilderRig(updates: updates)
        rig.follow(btc, 0)
        rig.accept(.sample(2))
        let first = rig.build() ?? []
        #expect(first.count == rig.batch.commandCount)
        for candle in [CandleRecord.sample(2, closed: true), .sample(3, closed: true), .sample(4)] { rig.accept(candle) }
        let isBuilt = rig.builder.build(&rig.table, into: &rig.batch)
        #expect(isBuilt)
        rig.builder.writeMerge(.candles([LateCandle(.sample(1, closed: true))]), rig.table, sha: "abc", to: &rig.batch)
        let second = RESPText.commands(rig.bytes) ?? []
        #expect(second.count == rig.batch.commandCount)
        let commands = (0..<second.count).map { rig.batch.command($0) }
        for (command, text) in zip(commands, second) {
            switch command {
            case .closed: #expect(text[0] == "XADD")
            case .hash: #expect(text[0] == "HSET")
            case .publish: #expect(text[0].hasSuffix("PUBLISH"))
            case .aside: #expect(text[0] == "EVALSHA" || text[0].hasSuffix("PUBLISH"))
            }
        }
        let wrong = rig.batch.checkInvariants(publishes: updates != .off) ?? rig.builder.checkInvariants()
        #expect(wrong == nil)
        rig.acknowledge()
        let third = rig.build()
        #expect(third == [], "nothing of the batch before is left")
        #expect(rig.table.checkInvariants() == nil)
        return [first, second]
    }

    @Test("Sharded messages are the classic ones by SPUBLISH; off leaves them out, and nothing else")
    func modes() {
        let classic = batches(.classic)
        #expect(classic.map { $0.map { $0[0] } } == [["HSET", "PUBLISH"], ["XADD", "XADD", "HSET", "PUBLISH", "EVALSHA", "PUBLISH"]])
        #expect(batches(.sharded) == classic.map { $0.map { $0[0] == "PUBLISH" ? ["SPUBLISH"] + $0.dropFirst() : $0 } })
        #expect(batches(.off) == classic.map { $0.filter { $0[0] != "PUBLISH" } })
    }

    @Test("A batch without messages is told from one that has lost them")
    func invariant() {
        for updates in UpdateMode.allCases {
            var rig = BuilderRig(updates: updates)
            rig.follow(btc, 0)
            rig.accept(.sample(2))
            _ = rig.build()
            let wrong = rig.batch.checkInvariants(publishes: updates == .off)
            #expect(wrong?.contains("messages of") == true)
        }
    }

    @Test("Who would write every update, also those that are replaced already, is in no group and no cluster")
    func everyUpdate() throws {
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.coalesces = false
        try configuration.validate()
        let cluster = try RedisEndpoint(url: "redis+cluster://127.0.0.1")
        for (redis, group) in [(cluster, nil), (configuration.redis, GroupConfiguration(name: "g", member: "a"))] {
            (configuration.redis, configuration.group) = (redis, group)
            configuration.takesCommands = group != nil
            let error = #expect(throws: FeedError.self) { try configuration.validate() }
            #expect(error?.message.contains("no-coalesce") == true, "\(String(describing: error))")
        }
    }

    @Test("Sharded messages need a cluster; a group's members publish alike")
    func refusals() throws {
        var configuration = EngineConfiguration()
        configuration.fluxes = [try FluxDefinition("btcusdt:1m")]
        configuration.updates = .off
        try configuration.validate()
        configuration.updates = .sharded
        let error = #expect(throws: FeedError.self) { try configuration.validate() }
        #expect(error?.message.contains("redis+cluster://") == true)
        configuration.redis = try RedisEndpoint(url: "redis+cluster://127.0.0.1")
        try configuration.validate()
        configuration.group = GroupConfiguration(name: "g", member: "a")
        let sharded = configuration.groupSettings
        configuration.updates = .classic
        #expect(sharded == configuration.groupSettings + " updates=sharded")
    }
}
