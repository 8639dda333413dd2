// One connection to Redis for who neither knows nor cares whether Redis is a cluster: commands go in, replies come out in the same order.
// In a cluster each command goes to the node that owns its key, and redirects are followed. One thread at a time. Once it stands it blocks
// only for a node that it has no connection to (`Limits.clusterTimeoutMs`, and not again for `Limits.clusterAwayMs`), and, where no
// `ClusterWatch` asks for a new map, for that (twice the time for a node, `Limits.clusterMapAgainMs` apart).
//
// Bounds: those of a connection for each node; `Limits.redirectsMax` redirects of a command. A node that owes replies and says nothing for
// `silenceMs` is given up, so that the others' replies go on; of the home node its owner is the judge. Commands to different nodes are
// carried out in any order, and so are those that were redirected: what must follow something else waits for its reply. (The data path has
// its own way.)

import Glibc

package final class RoutedConnection {
    private let endpoint: RedisEndpoint
    /// Nil: Redis is one server.
    private let seeds: ClusterSeeds?
    /// The only one; in a cluster that of all commands without a key. With it all are lost.
    private let home: RedisConnection
    private let stringBytesMax: Int
    private let outboxBytesMax: Int
    private let silenceNs: UInt64

    private struct Node {
        let connection: RedisConnection
        /// Whose replies it owes: places among the tickets; nil for what an ASKING is answered.
        var owed = PipelineQueue<Int?>()
        /// When its last reply came, or the first command was sent that has none.
        var heardNs: UInt64 = 0
    }
    private struct Ticket {
        let command: [String]
        var reply: RedisReply?
        var redirectCount = 0
    }
    /// By `host:port`; empty where Redis is not a cluster.
    private var nodes: [String: Node] = [:]
    private let homeName: String
    /// Nodes that are not asked before then, and why.
    private var away: [String: (untilNs: UInt64, reason: String, backoff: Backoff)] = [:]
    private var mapDueNs: UInt64 = 0
    /// Commands whose replies were not handed out. A place stays the same for as long as the ticket is in it.
    private var tickets: ArraySlice<Ticket> = []
    /// The board's version when nodes were last looked through.
    private var seenVersion = 0

    private init(_ endpoint: RedisEndpoint, _ home: RedisConnection, stringBytesMax: Int, outboxBytesMax: Int, silenceMs: Int) {
        (self.endpoint, self.home, seeds) = (endpoint, home, endpoint.cluster)
        (self.stringBytesMax, self.outboxBytesMax, silenceNs) = (stringBytesMax, outboxBytesMax, .ns(ms: silenceMs))
        homeName = home.homeNode?.description ?? ""
        guard let seeds else { return }
        nodes[homeName] = Node(connection: home)
        // The map has just been asked for.
        if !seeds.board.isWatched { _ = seeds.board.takeWanted() }
    }

    /// Connects as `RedisConnection.connect` does; of a cluster, to its home node.
    /// - Parameter silenceMs: no command is answered later than that by a node that works.
    package static func connect(
        _ endpoint: RedisEndpoint, timeoutMs: Int = Limits.redisConnectTimeoutMs, stringBytesMax: Int = Limits.replyBytesMax,
        outboxBytesMax: Int = Limits.redisOutboxBytesMax, silenceMs: Int = Limits.clusterSilenceMs, isWanted: () -> Bool = { true }
    ) throws(FeedError) -> RoutedConnection {
        let home = try RedisConnection.connect(
            endpoint, timeoutMs: timeoutMs, stringBytesMax: stringBytesMax, outboxBytesMax: outboxBytesMax, isWanted: isWanted)
        return RoutedConnection(endpoint, home, stringBytesMax: stringBytesMax, outboxBytesMax: outboxBytesMax, silenceMs: silenceMs)
    }

    package var isOutdated: Bool { home.isOutdated }
    /// Why the connection is of no more use.
    var loss: String? { home.loss }
    package var wantsWrite: Bool { seeds == nil ? home.wantsWrite : nodes.values.contains { $0.connection.wantsWrite } }
    /// What to poll for: after `next` has said `.nothing`.
    var pollEntries: [pollfd] { seeds == nil ? [home.pollEntry] : nodes.values.map(\.connection.pollEntry) }
    /// When `next` is to be called though nothing has come.
    var dueNs: UInt64 { nodes.keys.lazy.filter { $0 != self.homeName }.map(silentNs).min() ?? .max }

    package func close() {
        home.close()
        for node in nodes.values { node.connection.close() }
    }

    // MARK: Sending

    /// As `RedisConnection.send`. In a cluster a node that is away answers with an error.
    package func send(_ commands: [[String]]) -> Bool {
        guard let seeds else { return home.send(commands) }
        guard home.loss == nil else { return false }
        if !seeds.board.isWatched && seeds.board.isWanted { findMap(seeds) }
        var order: [String] = []
        var parts: [String: [Int]] = [:]
        for command in commands {
            if let refusal = CommandKey.refusal(command) {
                tickets.append(Ticket(command: command, reply: .error(refusal)))
                continue
            }
            let node = CommandKey.slot(command).flatMap(seeds.board.owner)?.description ?? homeName
            if parts[node] == nil { order.append(node) }
            parts[node, default: []].append(tickets.endIndex)
            tickets.append(Ticket(command: command))
        }
        for node in order { send(parts[node]!, to: node, asking: false) }
        return true
    }

    package func send(_ command: [String]) -> Bool { send([command]) }

    private func send(_ places: [Int], to name: String, asking: Bool) {
        if let reason = open(name) { return fail(places, "CLUSTERDOWN \(name): \(reason)") }
        let commands = places.flatMap { (asking ? [["ASKING"]] : []) + [tickets[$0].command] }
        guard nodes[name]!.connection.send(commands) else { return fail(places, "CLUSTERDOWN \(name): too much waits to be sent there") }
        if nodes[name]!.owed.isEmpty { nodes[name]!.heardNs = MonotonicClock.nowNs() }
        for place in places {
            if asking { nodes[name]!.owed.append(nil) }
            nodes[name]!.owed.append(place)
        }
    }

    private func fail(_ places: [Int], _ reason: String) {
        for place in places where tickets[place].reply == nil { tickets[place].reply = .error(reason) }
    }

    /// Why there is no connection to it; nil when there is one.
    private func open(_ name: String) -> String? {
        if nodes[name] != nil { return nil }
        if let absence = away[name], MonotonicClock.nowNs() < absence.untilNs { return absence.reason }
        guard let authority = Authority(name[...], portElse: 0) else { return "its address is none" }
        do throws(FeedError) {
            let made = try RedisConnection.connect(
                endpoint.at(authority), timeoutMs: Limits.clusterTimeoutMs, stringBytesMax: stringBytesMax, outboxBytesMax: outboxBytesMax)
            nodes[name] = Node(connection: made)
            return nil
        } catch {
            leaveAlone(name, error.message)
            seeds?.board.want()
            return error.message
        }
    }

    private func leaveAlone(_ name: String, _ reason: String) {
        var backoff = away[name]?.backoff ?? Backoff(Limits.clusterAwayMs, seed: SystemRandom.word())
        away[name] = (MonotonicClock.nowNs() + backoff.nextDelayNs(), reason, backoff)
    }

    /// Where no engine runs nobody else asks.
    private func findMap(_ seeds: ClusterSeeds) {
        let nowNs = MonotonicClock.nowNs()
        guard nowNs >= mapDueNs else { return }
        _ = seeds.board.takeWanted()
        if (try? endpoint.findMap(untilNs: nowNs + .ns(ms: 2 * Limits.clusterTimeoutMs))) == nil { seeds.board.want() }
        mapDueNs = MonotonicClock.nowNs() + .ns(ms: Limits.clusterMapAgainMs)
    }

    // MARK: Receiving

    /// The next reply. With 0 it does not wait.
    package func next(timeoutMs: Int = 0) -> RedisConnection.Event {
        guard seeds != nil else { return home.next(timeoutMs: timeoutMs) }
        let untilNs = timeoutMs > 0 ? MonotonicClock.nowNs() + .ns(ms: timeoutMs) : 0
        while true {
            if let reply = tickets.first?.reply {
                tickets.removeFirst()
                return .reply(reply)
            }
            if let reason = hear() { return .lost(reason) }
            if tickets.first?.reply != nil { continue }
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < untilNs else { return .nothing }
            var entries = pollEntries
            let wakeNs = max(nowNs, min(untilNs, dueNs))
            _ = unsafe poll(&entries, nfds_t(entries.count), Int32(clamping: (wakeNs - nowNs) / 1_000_000 + 1))
        }
    }

    /// The replies to these commands, error replies among them; blocks.
    /// - Throws: one sentence; the connection is of no more use.
    package func ask(_ commands: [[String]], untilNs: UInt64) throws(FeedError) -> [RedisReply] {
        guard send(commands) else { throw FeedError(.redis, loss ?? "too many bytes for one command to Redis") }
        return try commands.map { _ throws(FeedError) in
            let nowNs = MonotonicClock.nowNs()
            switch next(timeoutMs: untilNs > nowNs ? Int((untilNs - nowNs) / 1_000_000) + 1 : 0) {
            case .reply(let reply): return reply
            case .nothing: throw FeedError(.redis, "no answer in time")
            case .lost(let reason): throw FeedError(.redis, reason)
            }
        }
    }

    /// Takes what all nodes have said. Why the whole is lost, if it is: with its home.
    private func hear() -> String? {
        if let seeds, seeds.board.version != seenVersion { leavePast(seeds) }
        for name in nodes.keys.sorted() {
            while let event = nodes[name]?.connection.next() {
                if case .nothing = event { break }
                if case .lost(let reason) = event {
                    guard name != homeName else { return reason }
                    lose(name, reason)
                } else if case .reply(let reply) = event {
                    guard nodes[name]?.owed.isEmpty == false else { return "Redis answers what was not asked" }
                    nodes[name]!.heardNs = MonotonicClock.nowNs()
                    away[name] = nil
                    if let place = nodes[name]!.owed.removeFirst() { settle(place, reply) }
                }
            }
            if name != homeName, silentNs(name) <= MonotonicClock.nowNs() {
                let reason = "it does not answer"
                leaveAlone(name, reason)
                lose(name, reason)
            }
        }
        return nil
    }

    /// When it is given up unless it says something.
    private func silentNs(_ name: String) -> UInt64 {
        guard let node = nodes[name], !node.owed.isEmpty else { return .max }
        return node.heardNs + silenceNs
    }

    /// One that owns nothing any more may hang: nobody waits for it.
    private func leavePast(_ seeds: ClusterSeeds) {
        seenVersion = seeds.board.version
        guard let map = seeds.board.map else { return }
        let owners = Set(map.primaries.map(\.description))
        for name in nodes.keys.sorted() where name != homeName && !owners.contains(name) { lose(name, "it owns nothing any more") }
        away = away.filter { owners.contains($0.key) }
    }

    private func lose(_ name: String, _ reason: String) {
        guard var node = nodes.removeValue(forKey: name) else { return }
        node.connection.close()
        seeds?.board.want()
        fail(node.owed.takeAll().compactMap(\.self), "CLUSTERDOWN \(name): \(reason)")
    }

    private func settle(_ place: Int, _ reply: RedisReply) {
        guard case .error(let message) = reply, let redirect = Redirect(error: message), let seeds,
            tickets[place].redirectCount < Limits.redirectsMax
        else {
            if case .error(let message) = reply, message.hasPrefix("CLUSTERDOWN") { seeds?.board.want() }
            tickets[place].reply = reply
            return
        }
        seeds.board.take(redirect)
        seeds.board.want()
        tickets[place].redirectCount += 1
        guard let node = redirect.node else { return tickets[place].reply = reply }
        send([place], to: node.description, asking: redirect.kind == .ask)
    }
}

/// Where the key of a command stands. Pure.
package enum CommandKey {
    /// Nil for what has no key: any node takes it.
    package static func slot(_ command: [String]) -> HashSlot? { key(command).map(HashSlot.init(key:)) }

    /// A transaction is of one connection; here its commands would go to several, and be none.
    static func refusal(_ command: [String]) -> String? {
        switch command.first?.uppercased() {
        case "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH":
            "ERR \(command[0]): no transactions in a Redis Cluster by this client; a script (EVAL) changes keys of one slot at once"
        default: nil
        }
    }

    /// The first one: all of them must be in one slot.
    static func key(_ command: [String]) -> String? {
        let place: Int
        switch command.first?.uppercased() {
        case "PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "PUBSUB", "PING", "ECHO", "INFO", "ROLE", "CLIENT",
            "SCRIPT",
            "CLUSTER", "CONFIG", "ACL", "AUTH", "SELECT", "TIME", "DBSIZE", "SCAN", "KEYS", "FLUSHALL", "FLUSHDB", "COMMAND", "LATENCY",
            "SLOWLOG", "WAIT", "ASKING", "READONLY", "READWRITE", "SHUTDOWN", "SAVE", "BGSAVE", "HELLO", "RESET", "QUIT", nil:
            return nil
        case "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL":
            guard command.count > 3, command[2] != "0" else { return nil }
            place = 3
        case "XREAD", "XREADGROUP":
            guard let word = command.firstIndex(where: { $0.uppercased() == "STREAMS" }) else { return nil }
            place = word + 1
        case "XGROUP", "XINFO", "OBJECT", "MEMORY", "DEBUG": place = 2
        default: place = 1
        }
        return place < command.count ? command[place] : nil
    }
}
