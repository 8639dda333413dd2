// Looks after servers that change their roles: once a second it asks one Sentinel after the other in turn which server is the primary,
// and, where replicas are read from, each of them how well it follows. (`ClusterWatch` asks which servers a cluster has.) A thread of
// its own, so that neither the data path nor control waits for a server that is away. Bounds: `Limits.sentinelTimeoutMs` for each Sentinel
// and each primary, twice that for all replicas of one; `Limits.replicasMax` of them. (When so many nodes of a cluster hang that a round
// takes `Limits.replicaTrustNs`, no replica is trusted for a while.) What is of no use for `Limits.redisOutageRounds` is told in the log,
// once, and once that it is over.
//
// It asks, because a Sentinel's messages are lost to who is not connected at that moment.

import Synchronization

package final class RedisWatch: Sendable {
    private let endpoint: RedisEndpoint
    /// A replica that is named, besides those that the Sentinels know.
    private let replica: RedisEndpoint?
    /// Nil: replicas are not read from.
    private let board: ReplicaBoard?
    private let journal: Journal
    private let onMove: @Sendable () -> Bool
    private let wakeUp: WakeUp
    package let meter: ThreadMeter
    private let answering = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let thread = Lock<PinnedThread?>(nil)

    /// - Parameter onMove: called on the watch's thread when another server has become the primary, each second until it is true.
    package init(
        _ endpoint: RedisEndpoint, replica: RedisEndpoint?, board: ReplicaBoard?, journal: Journal, onMove: @escaping @Sendable () -> Bool
    ) throws(SystemError) {
        (self.endpoint, self.replica, self.board, self.journal, self.onMove) = (endpoint, replica, board, journal, onMove)
        wakeUp = try WakeUp()
        meter = ThreadMeter(name: "redis-watch", wakeUp: wakeUp)
    }

    package func start() throws(SystemError) {
        let started = try PinnedThread.start(name: meter.name) { [self] in run() }
        thread.withLock { $0 = started }
    }

    package func stop() {
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
        thread.withLock { $0.take() }?.join()
    }

    /// Any thread: Sentinels whose last word was believed.
    package var answeringCount: Int { answering.load(ordering: .relaxed) }

    private var isWanted: Bool { !stopping.load(ordering: .acquiring) }

    // MARK: Its thread

    private func run() {
        var round = Round(sentinels: endpoint.sentinels.map { $0.addresses.map { _ in Sentinel() } } ?? [])
        while isWanted {
            let turnNs = MonotonicClock.nowNs()
            if let sentinels = endpoint.sentinels {
                askSentinels(sentinels, &round)
                // Whoever has learned it first.
                let primary = sentinels.board.primary
                if round.told != primary && onMove() { round.told = primary }
            }
            if let board { judgeReplicas(board, &round) }
            meter.add(MonotonicClock.nowNs() &- turnNs)
            rest(untilNs: turnNs + .ns(ms: Limits.redisWatchMs))
        }
    }

    /// Who asks whether the thread goes on wakes it; that brings no further round.
    private func rest(untilNs: UInt64) {
        while isWanted && MonotonicClock.nowNs() < untilNs {
            wakeUp.park(untilNs: untilNs) { [self] in !isWanted }
            meter.add(0)
        }
    }

    private struct Sentinel {
        /// Nil for a Sentinel that is away.
        var link: RedisConnection?
        /// Its last word was believed.
        var isOfUse = false
    }

    /// The primary, or a replica.
    private struct Server {
        let to: RedisEndpoint
        var link: RedisConnection?
        /// What it said last.
        var info: ReplicationInfo?
        /// When and why it could not be read from; 0 for not yet.
        var refusal: (atNs: UInt64, reason: String) = (0, "it was not asked yet")
    }

    /// A primary and its replicas: all servers, or a part of a cluster.
    private struct Shard {
        /// As the board has it.
        let name: String
        var primary: Server?
        var replicas: [Server] = []
        var outage = OutageWatch()

        /// For the log.
        var field: (String, String) { ("primary", primary?.to.description ?? "not known yet") }
    }

    /// What one second leaves to the next.
    private struct Round {
        /// In the order of the endpoint's addresses.
        var sentinels: [Sentinel]
        var nextPlace = 0
        var told: NamedPrimary?
        var known: [Authority] = []
        var shards: [Shard] = []
        var sentinelOutage = OutageWatch()
    }

    // MARK: Sentinels

    /// Asks until an answer is of use; with that this second's question is answered.
    private func askSentinels(_ sentinels: Sentinels, _ round: inout Round) {
        var reasons: [String] = []
        for _ in sentinels.addresses where isWanted {
            let place = round.nextPlace
            round.nextPlace = (place + 1) % sentinels.addresses.count
            let reason = hear(sentinels, place, &round)
            round.sentinels[place].isOfUse = reason == nil
            guard let reason else { break }
            reasons.append("\(sentinels.addresses[place]): \(reason)")
        }
        guard isWanted else { return }
        answering.store(round.sentinels.count(where: \.isOfUse), ordering: .relaxed)
        switch round.sentinelOutage.note(isGood: reasons.count < sentinels.addresses.count) {
        case .began:
            journal.note(
                .warning, "no Sentinel says where Redis's primary is: it is taken to be where it was",
                ("primary", sentinels.board.primary?.description ?? "not known yet"), ("reasons", reasons.joined(separator: "; ")))
        case .ended:
            journal.note(
                .notice, "a Sentinel says where Redis's primary is", ("primary", sentinels.board.primary?.description ?? ""))
        case nil: break
        }
    }

    /// Why its answer is of no use; nil when it is believed.
    private func hear(_ sentinels: Sentinels, _ place: Int, _ round: inout Round) -> String? {
        let further = board == nil ? [] : [SentinelReply.replicasQuestion(sentinels.name)]
        do throws(FeedError) {
            let replies = try ask(
                SentinelReply.question(sentinels.name) + further, endpoint.sentinel(sentinels, place), &round.sentinels[place].link)
            switch SentinelReply.primary(Array(replies.prefix(2))) {
            case .named(let primary):
                guard sentinels.board.take(primary, from: place, keepsEqual: true) else {
                    return "it names \(primary), known is \(sentinels.board.primary?.description ?? "")"
                }
                if board != nil { round.known = SentinelReply.replicas(replies[2]) }
                return nil
            case .unknown: return "it watches no primary of the name '\(sentinels.name)'"
            case .unusable(let reason): return reason
            }
        } catch {
            return error.message
        }
    }

    // MARK: Replicas

    private func judgeReplicas(_ board: ReplicaBoard, _ round: inout Round) {
        let parts = parts(round)
        for old in round.shards where !parts.contains(where: { $0.name == old.name }) {
            for server in old.replicas + [old.primary].compactMap(\.self) { server.link?.close() }
            if old.outage.isTold { journal.note(.notice, "it is not a primary any more: its replicas are not asked", old.field) }
        }
        board.keep(parts.map(\.name))
        round.shards = parts.map { part in
            var shard = round.shards.first { $0.name == part.name } ?? Shard(name: part.name)
            if shard.primary?.to != part.primary {
                shard.primary?.link?.close()
                shard.primary = part.primary.map { Server(to: $0) }
            }
            for old in shard.replicas where !part.replicas.contains(old.to) { old.link?.close() }
            shard.replicas = part.replicas.map { to in shard.replicas.first { $0.to == to } ?? Server(to: to) }
            return shard
        }
        for place in round.shards.indices where isWanted { judge(&round.shards[place], board) }
    }

    /// Where which primary is, as far as that is known, and what its replicas are said to be.
    private func parts(_ round: Round) -> [(name: String, primary: RedisEndpoint?, replicas: [RedisEndpoint])] {
        if let cluster = endpoint.cluster {
            return (cluster.board.map?.owningNodes ?? []).map { ($0.name, endpoint.at($0.primary), $0.replicas.map(endpoint.at)) }
        }
        let primary = endpoint.sentinels.map { $0.board.primary.map { endpoint.at($0.authority) } } ?? endpoint
        return [("", primary, Array(([replica].compactMap(\.self) + round.known.map(endpoint.at)).prefix(Limits.replicasMax)))]
    }

    /// The one that was read from goes first; then those that have failed longest ago, so that each has its turn though the time is bound.
    private func judge(_ shard: inout Shard, _ board: ReplicaBoard) {
        let had = shard.primary?.info
        // Once it has refused INFO each further question would be noted there.
        if let primary = shard.primary, primary.link == nil || had != nil { _ = look(at: &shard.primary!) }
        // Whoever has what it had a round ago follows closely; what it writes at this moment nobody can have yet.
        let isUnknown = had == nil && shard.primary?.info != nil
        let startNs = MonotonicClock.nowNs()
        let current = board.replica(of: shard.name, nowNs: startNs)
        let order = shard.replicas.indices.sorted { one, other in
            let (a, b) = (shard.replicas[one], shard.replicas[other])
            if (a.to == current) != (b.to == current) { return a.to == current }
            return (a.refusal.atNs, one) < (b.refusal.atNs, other)
        }
        for place in order where isWanted {
            let askedNs = MonotonicClock.nowNs()
            guard askedNs < startNs + .ns(ms: Limits.sentinelTimeoutMs) else { break }
            let reason =
                look(at: &shard.replicas[place], mayRead: endpoint.cluster != nil)
                ?? (isUnknown ? "what its primary has is not known yet" : shard.replicas[place].info?.staleness(behind: had))
            guard let reason else {
                board.show(shard.replicas[place].to, of: shard.name, seenNs: askedNs)
                return tell(isRead: true, &shard)
            }
            shard.replicas[place].refusal = (askedNs, reason)
        }
        board.show(nil, of: shard.name, seenNs: 0)
        tell(isRead: false, &shard)
    }

    /// Asks how its replication stands; why it does not say it, or nil.
    /// - Parameter mayRead: it must permit, too, what a reader of a cluster's replica needs.
    private func look(at server: inout Server, mayRead: Bool = false) -> String? {
        do throws(FeedError) {
            let replies = try ask((mayRead ? [ReplicationInfo.permission] : []) + [ReplicationInfo.question], server.to, &server.link)
            server.info = replies.last?.text.map(ReplicationInfo.init)
            for case .error(let message) in replies { return message }
            return server.info == nil ? "it answers INFO with something else" : nil
        } catch {
            server.info = nil
            return error.message
        }
    }

    private func tell(isRead: Bool, _ shard: inout Shard) {
        guard isWanted else { return }
        switch shard.outage.note(isGood: isRead) {
        case .began:
            let reasons = shard.replicas.map { "\($0.to): \($0.refusal.reason)" }
            journal.note(
                .warning, "no replica can be read from: the primary answers", shard.field,
                ("reasons", reasons.isEmpty ? "no replica is known" : reasons.joined(separator: "; ")))
        case .ended: journal.note(.notice, "a replica can be read from", shard.field)
        case nil: break
        }
    }

    // MARK: Asking

    /// When it does not answer its connection is gone.
    private func ask(_ commands: [[String]], _ place: RedisEndpoint, _ link: inout RedisConnection?) throws(FeedError) -> [RedisReply] {
        let untilNs = MonotonicClock.nowNs() + .ns(ms: Limits.sentinelTimeoutMs)
        do throws(FeedError) {
            let connection: RedisConnection
            if let link {
                connection = link
            } else {
                connection = try RedisConnection.connect(place, timeoutMs: Limits.sentinelTimeoutMs) { waitsOn() }
            }
            link = connection
            return try connection.ask(commands, untilNs: untilNs)
        } catch {
            link?.close()
            link = nil
            throw error
        }
    }

    /// Waiting for a connection is not standing still.
    private func waitsOn() -> Bool {
        meter.add(0)
        return isWanted
    }
}

/// Whether something has been of no use for `Limits.redisOutageRounds`. Pure.
package struct OutageWatch {
    package enum News { case began, ended }
    private var badCount = 0

    package init() {}

    package var isTold: Bool { badCount >= Limits.redisOutageRounds }

    /// Counts one more round.
    package mutating func note(isGood: Bool) -> News? {
        let wasTold = isTold
        badCount = isGood ? 0 : badCount + 1
        if isGood { return wasTold ? .ended : nil }
        return badCount == Limits.redisOutageRounds ? .began : nil
    }
}
