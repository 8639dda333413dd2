// What Redis shows of services when nobody listens or answers, so that advice names what was found and not what is often the case. Blocks
// for a second at most to connect, and for each of its few replies; a Redis that does not answer here shows nothing. Any one thread.

import FastFeed

struct ServiceSearch {
    /// A status that a service has left.
    private struct Trace {
        let state: ServiceState?
        let place: String
        let age: String

        init?(_ pairs: [(String, String)]) {
            let fields = Dictionary(pairs) { $1 }
            guard let state = fields[Field.state] else { return nil }
            self.state = ServiceState(rawValue: state)
            place = "pid \(fields[Field.pid] ?? "?") on \(fields[Field.host] ?? "?")"
            age = ClientText.age(fields[Field.heartbeatAt].flatMap { Int64($0) }, nowMs: WallClock.nowMs())
        }
    }

    private let plan: ClientPlan
    private var traces: [Market: Trace] = [:]
    /// Where services listen under other names: prefix and market.
    private var listeners: [(prefix: String, market: Market)] = []
    /// Why the status cannot be read.
    private var refusal: String?
    private static let shownMax = 3

    init(_ plan: ClientPlan) {
        self.plan = plan
        do throws(FeedError) {
            let client = try RedisClient.connect(plan.redis, timeout: min(plan.timeout, .seconds(1)))
            defer { client.close() }
            let replies = try client.pipeline(
                Market.allCases.map { ["HGETALL", KeySchema(prefix: plan.keyPrefix, market: $0).serviceStatusKey] })
            for (market, reply) in zip(Market.allCases, replies) {
                traces[market] = Trace(reply.pairs)
                if case .error(let message) = reply { refusal = message }
            }
            if traces.values.allSatisfy({ $0.state == .stopped }) {
                listeners = ServiceSearch.listeners(try client.command("PUBSUB", "CHANNELS", "*commands:*flux:list").strings)
            }
        } catch {
            refusal = refusal ?? error.message
        }
    }

    private static func listeners(_ channels: [String]) -> [(prefix: String, market: Market)] {
        let found = channels.compactMap { channel -> (prefix: String, market: Market)? in
            for market in Market.allCases {
                let name = KeySchema(prefix: "", market: market).commandChannel(.listFluxes)
                if channel.hasSuffix(name), KeySchema.isPrefix(channel) { return (String(channel.dropLast(name.count)), market) }
            }
            return nil
        }
        return found.sorted { ($0.prefix, $0.market.rawValue) < ($1.prefix, $1.market.rawValue) }
    }

    private var place: String {
        let prefix = plan.keyPrefix.isEmpty ? "" : " with key prefix '\(plan.keyPrefix)'"
        return "\(plan.redis)\(prefix)" + (plan.market == .spot ? "" : " for market \(plan.market.rawValue)")
    }

    private var start: String {
        let flags = plan.redisFlag + ClientPlan.flags(plan.keyPrefix, plan.market)
        return "start one with 'feedd run\(flags) --flux btcusdt:1m', or see it work with 'feedd demo'"
    }

    var whyNobodyListens: String {
        let others = traces.filter { $0.key != plan.market && $0.value.state != .stopped }.sorted { $0.key.rawValue < $1.key.rawValue }
        var findings: [String] = []
        if let own = traces[plan.market], own.state == .stopped {
            findings.append("the last one (\(own.place)) has stopped, \(own.age)")
        } else if let own = traces[plan.market] {
            findings.append(
                "one (\(own.place)) has written its status \(own.age) and listens no more: it has died, or connects again; where another "
                    + "stands by, that one takes over within seconds")
        }
        findings += others.map { "a \($0.key.rawValue) service runs here (\($0.value.place)): use --market \($0.key.rawValue)" }
        findings += listeners.prefix(ServiceSearch.shownMax).map { prefix, market in
            "a \(market.rawValue) service listens under another key prefix: use --key-prefix '\(prefix)' --market \(market.rawValue)"
        }
        if findings.isEmpty {
            findings.append(refusal.map { "nor can a status be read (\($0))" } ?? "none has left a status here: \(start)")
        }
        if traces[plan.market]?.state == .stopped && others.isEmpty { findings.append(start) }
        return "no service listens on \(place): \(findings.joined(separator: "; "))"
    }

    var whyNobodyAnswers: String {
        guard let own = traces[plan.market] else {
            if let refusal { return "its status cannot be read (\(refusal))" }
            return "somebody listens, but no service has written its status to this database in the last 10 s: it hangs, or writes to "
                + "another database number"
        }
        if own.state == .stopped { return "the service (\(own.place)) has stopped, \(own.age)" }
        return "the service (\(own.place)) has written its status \(own.age): it is busy, or hangs since then; a longer --timeout may do"
    }
}
