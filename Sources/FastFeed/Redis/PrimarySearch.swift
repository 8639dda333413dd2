// The search for the primary: one Sentinel after the other is asked until one answers. It blocks its thread: control, the healer, the ops
// server and clients search by themselves, the data path has it done on a thread that lives for one question (`PrimaryQuery`), as name
// resolution has. Each Sentinel has `Limits.sentinelTimeoutMs`.

import Glibc

extension RedisEndpoint {
    /// Nil where Redis is at a fixed place.
    package var sentinels: Sentinels? { if case .sentinel(let sentinels) = place { sentinels } else { nil } }

    /// The same Redis at a server that was found, and a place on another server of it.
    func at(_ authority: Authority) -> RedisEndpoint {
        var endpoint = self
        endpoint.place = .tcp(authority)
        endpoint.isNodeOfCluster = cluster != nil
        return endpoint
    }

    /// Where a Sentinel listens. TLS is the same as to the servers, who we are is not.
    func sentinel(_ sentinels: Sentinels, _ place: Int) -> RedisEndpoint {
        var endpoint = at(sentinels.addresses[place])
        (endpoint.user, endpoint.password, endpoint.passwordFile) = (sentinels.user, sentinels.password, sentinels.passwordFile)
        endpoint.database = 0
        return endpoint
    }

    /// Which server is the primary now. Nil where Redis is at a fixed place. When no Sentinel says anything of use, the last one is: it
    /// may be there while they are not.
    /// - Throws: one sentence with what each Sentinel has said.
    package func findPrimary(untilNs: UInt64, isWanted: () -> Bool = { true }) throws(FeedError) -> NamedPrimary? {
        guard let sentinels else { return nil }
        let (board, count) = (sentinels.board, sentinels.addresses.count)
        var (reasons, unknownCount, lasting) = ([String](), 0, FeedError?.none)
        for place in (0..<count).map({ ($0 + board.firstPlace) % count }) where isWanted() {
            let nowNs = MonotonicClock.nowNs()
            guard nowNs < untilNs else { break }
            let found: SentinelReply.Primary
            do throws(FeedError) {
                let endNs = min(untilNs, nowNs + .ns(ms: Limits.sentinelTimeoutMs))
                let connection = try RedisConnection.connect(
                    sentinel(sentinels, place), timeoutMs: Int((endNs - nowNs) / 1_000_000) + 1, isWanted: isWanted)
                defer { connection.close() }
                found = SentinelReply.primary(try connection.ask(SentinelReply.question(sentinels.name), untilNs: endNs))
            } catch {
                // Wrong credentials do not pass by themselves; another Sentinel may have others.
                if error.stage == .configuration {
                    lasting = FeedError(.configuration, "the Sentinel \(sentinels.addresses[place]): \(error.message)")
                }
                found = .unusable(error.message)
            }
            switch found {
            case .named(let primary):
                if board.take(primary, from: place) { return primary }
                reasons.append("the Sentinel \(sentinels.addresses[place]): it names \(primary), a primary of the past")
            case .unknown: unknownCount += 1
            case .unusable(let reason): reasons.append("the Sentinel \(sentinels.addresses[place]): \(reason)")
            }
        }
        if let known = board.primary { return known }
        if unknownCount == count {
            throw FeedError(.configuration, "\(self): no Sentinel there watches a primary of the name '\(sentinels.name)'")
        }
        if let lasting, reasons.count == count { throw lasting }
        if unknownCount > 0 { reasons.append("\(unknownCount) do not know '\(sentinels.name)'") }
        throw FeedError(.redis, "\(self): no Sentinel says where the primary is (\(reasons.joined(separator: "; ")))")
    }
}

/// One search in the background: its owner polls `answer`.
final class PrimaryQuery: Sendable {
    private let result = Lock<Result<NamedPrimary, FeedError>?>(nil)

    init(_ endpoint: RedisEndpoint, timeoutMs: Int) {
        let untilNs = MonotonicClock.nowNs() + .ns(ms: timeoutMs)
        do {
            let thread = try PinnedThread.start(name: "sentinels") { [result] in
                let answer = Result<NamedPrimary, FeedError> { () throws(FeedError) in
                    guard let found = try endpoint.findPrimary(untilNs: untilNs) else { preconditionFailure("there are Sentinels") }
                    return found
                }
                result.withLock { $0 = answer }
            }
            // Not joined: it ends by itself in time, and holds only its own result.
            thread.detach()
        } catch {
            result.withLock { $0 = .failure(FeedError(.system, "cannot look for the primary: \(error)")) }
        }
    }

    var answer: Result<NamedPrimary, FeedError>? { result.withLock { $0 } }
}
