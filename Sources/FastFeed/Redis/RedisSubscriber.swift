// The connection that listens: published messages as they come. One thread at a time; never blocks, but for
// `connect` and for as long as `next` is allowed to wait. A message longer than the bound is skipped, without
// being held in memory, and reported by its length.
//
// Read it until `.nothing` before you poll: bytes that have been read are not on the socket any more.
// After `.lost` make a new one and subscribe again; what was published meanwhile is gone (at most once).

import Glibc

package final class RedisSubscriber {
    package enum Event: Equatable {
        /// A message of a channel, by its name or by a pattern, or of a sharded one.
        case message(channel: String, payload: [UInt8])
        /// A message of this many bytes was longer than `messageBytesMax`.
        case tooLong(channel: String, bytes: Int)
        /// Redis has confirmed a channel or a pattern: what is published from now on, comes.
        case subscribed(String)
        /// Of a sharded channel also unasked: its slot has another node now.
        case unsubscribed(String)
        /// The answer to `ping`.
        case pong
        /// Redis refuses something, as a rule by its ACL: the connection stays. Answers come in the order of what was asked.
        case refused(String)
        /// Nothing (more) has come.
        case nothing
        /// The connection is of no more use; one sentence.
        case lost(String)
    }

    /// What watching over the connection came to.
    package enum Watch: Equatable {
        case nothing
        /// It was silent and has been asked for a sign of life: `.pong` will come.
        case pinged
        /// It was asked and stayed silent, or takes no bytes any more.
        case dead
    }

    private let connection: RedisConnection
    /// When it last said anything, or was asked to.
    private var quietSinceNs = MonotonicClock.nowNs()
    private var isPinged = false

    private init(_ connection: RedisConnection) { self.connection = connection }

    /// Connects, authenticates and selects; blocks up to the time-out.
    /// - Parameter isWanted: asked at each tenth of a second until it stands; false gives up.
    /// - Throws: one sentence saying what failed.
    package static func connect(
        _ endpoint: RedisEndpoint, timeoutMs: Int = Limits.redisConnectTimeoutMs, messageBytesMax: Int = Limits.replyBytesMax,
        isWanted: () -> Bool = { true }
    ) throws(FeedError) -> RedisSubscriber {
        RedisSubscriber(
            try RedisConnection.connect(endpoint, timeoutMs: timeoutMs, stringBytesMax: messageBytesMax, isWanted: isWanted))
    }

    var pollEntry: pollfd { connection.pollEntry }

    /// Each of them is confirmed by one `.subscribed` (or the whole call by one `.refused`). False: too much waits to be sent, or the
    /// connection is lost, which `next` tells.
    @discardableResult
    package func subscribe(_ channels: [String]) -> Bool { send("SUBSCRIBE", channels) }
    @discardableResult
    package func psubscribe(_ patterns: [String]) -> Bool { send("PSUBSCRIBE", patterns) }
    @discardableResult
    package func unsubscribe(_ channels: [String]) -> Bool { send("UNSUBSCRIBE", channels) }
    /// Sharded channels are the business of their slot's node alone; several of one call must be in one slot.
    @discardableResult
    package func ssubscribe(_ channels: [String]) -> Bool { send("SSUBSCRIBE", channels) }
    @discardableResult
    package func sunsubscribe(_ channels: [String]) -> Bool { send("SUNSUBSCRIBE", channels) }

    /// A connection that only listens does not notice that its peer has gone. Call this from time to time, after `next` has said
    /// `.nothing`: after this much silence it asks, and after as much again gives up.
    package func watch(nowNs: UInt64, silenceNs: UInt64) -> Watch {
        guard nowNs >= watchDueNs(silenceNs: silenceNs) else { return .nothing }
        guard !isPinged, ping() else { return .dead }
        (quietSinceNs, isPinged) = (nowNs, true)
        return .pinged
    }

    /// When `watch` has something to do, unless something comes before.
    package func watchDueNs(silenceNs: UInt64) -> UInt64 { quietSinceNs + silenceNs }

    /// Asks for a sign of life: `.pong`.
    @discardableResult
    package func ping() -> Bool { connection.send(["PING"]) }

    /// Without names Redis would take all of them.
    private func send(_ command: String, _ names: [String]) -> Bool { names.isEmpty || connection.send([command] + names) }

    /// The next event, within the time; with 0 it does not wait.
    package func next(timeoutMs: Int = 0) -> Event {
        let event = connection.next(timeoutMs: timeoutMs)
        if event != .nothing { (quietSinceNs, isPinged) = (MonotonicClock.nowNs(), false) }
        switch event {
        case .nothing: return .nothing
        case .lost(let reason): return .lost(reason)
        case .reply(.error(let message)): return .refused(message)
        // Outside of any subscription PING is answered as everywhere.
        case .reply(.bytes(let word)) where word.elementsEqual("PONG".utf8): return .pong
        case .reply(.array(let parts)): return RedisSubscriber.event(parts) ?? .lost("Redis pushes what is not a message")
        case .reply: return .lost("Redis answers what is not a message")
        }
    }

    private static func event(_ parts: [RedisReply]) -> Event? {
        switch (parts.first?.text, parts.count) {
        case ("message", 3), ("smessage", 3): message(parts[1], parts[2])
        case ("pmessage", 4): message(parts[2], parts[3])
        case ("subscribe", 3), ("psubscribe", 3), ("ssubscribe", 3): .subscribed(parts[1].text ?? "")
        case ("unsubscribe", 3), ("sunsubscribe", 3): .unsubscribed(parts[1].text ?? "")
        case ("pong", _): .pong
        default: nil
        }
    }

    private static func message(_ channel: RedisReply, _ payload: RedisReply) -> Event? {
        guard let channel = channel.text else { return nil }
        switch payload {
        case .bytes(let bytes): return .message(channel: channel, payload: bytes)
        case .tooLong(let count): return .tooLong(channel: channel, bytes: count)
        default: return nil
        }
    }

    var isOutdated: Bool { connection.isOutdated }

    package func close() { connection.close() }
}
