// What the running service keeps in Redis, and the questions that show whether it is still there: evicted, expired or deleted keys, a
// hand that has cleared the database. Pure: fluxes and standings come in, questions and losses come out. The control thread's alone.
//
// Status hashes are written again and again anyway; closed candles that were deleted from a history are not looked for. What is left is
// the registry and the newest states. A whole key that is gone shows at once; of many fluxes a single missing entry has its turn
// (`registryChecksMax`).

package struct Upkeep {
    package enum Thing: String, CaseIterable, Sendable { case registry, latest }

    private struct Check {
        let thing: Thing
        let question: [String]
        /// What Redis will not say is taken to be there.
        let isThere: (RedisReply) -> Bool
    }

    private let schema: KeySchema
    private var checks: [Check] = []
    private var nextEntry = 0
    /// By interval, how many series had a state the last time: by now these are written.
    private var statesBefore: [Interval: Int] = [:]

    package init(schema: KeySchema) { self.schema = schema }

    /// - Parameters:
    ///   - registry: nil for a service that does not keep it.
    ///   - keeper: who keeps it, as it stands beside it; nil where that is not written.
    ///   - standings: of all series; nil while newest states cannot be written.
    package mutating func questions(registry: FluxBook?, keeper: String?, standings: [FluxOnBoard]?) -> [[String]] {
        checks = registry.map { registryChecks($0) } ?? []
        if registry != nil, let keeper {
            checks.append(
                Check(thing: .registry, question: ["GET", schema.keeperKey]) { reply in
                    if case .error = reply { return true }
                    return reply.text == keeper
                })
        }
        if let standings { checks += latestChecks(standings) }
        return checks.map(\.question)
    }

    /// What is not there any more, by the replies to the questions.
    package func losses(_ replies: some Collection<RedisReply>) -> [Thing] {
        let lost = zip(checks, replies).filter { !$0.isThere($1) }.map(\.0.thing)
        return Thing.allCases.filter(lost.contains)
    }

    private mutating func registryChecks(_ book: FluxBook) -> [Check] {
        let kept = book.list.filter { $0.origin == .command }
        guard !kept.isEmpty else { return [] }
        let key = schema.fluxesKey
        let turn = (kept + kept)[(nextEntry % kept.count)...].prefix(min(kept.count, Limits.registryChecksMax))
        nextEntry = (nextEntry + turn.count) % kept.count
        let all = Check(thing: .registry, question: ["HLEN", key]) { $0.integer ?? .max >= kept.count }
        return [all]
            + turn.map { flux in
                Check(thing: .registry, question: ["HGET", key, flux.id]) { reply in
                    if case .error = reply { return true }
                    return reply.text.flatMap { Flux(json: $0) } == flux
                }
            }
    }

    /// Of each interval, how many fields there are; and that of the series which was quiet the longest, because it does not come back by
    /// itself.
    private mutating func latestChecks(_ standings: [FluxOnBoard]) -> [Check] {
        var states: [Interval: [Symbol: Int64]] = [:]
        for one in standings {
            for (symbol, standing) in one.series where standing.seriesLive > 0 && standing.lastUpdateMs > 0 {
                states[one.flux.interval, default: [:]][symbol] = standing.lastUpdateMs
            }
        }
        defer { statesBefore = states.mapValues(\.count) }
        return states.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { interval, series -> [Check] in
            let count = min(series.count, statesBefore[interval] ?? 0)
            guard count > 0, let quietest = series.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key else { return [] }
            let key = schema.latestKey(schema.market, interval)
            return [
                Check(thing: .latest, question: ["HLEN", key]) { $0.integer ?? .max >= count },
                Check(thing: .latest, question: ["HGET", key, quietest.name]) { $0 != .null },
            ]
        }
    }
}
