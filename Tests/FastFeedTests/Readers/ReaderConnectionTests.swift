// One connection and its events: what it asks its reader to do. No reader, no socket, and a clock that is a number.

import FastFeed
import TestKit
import Testing

/// What the socket is to say, and what was done to it.
private final class Script {
    var phase = WebSocketConnection.Phase.dialing
    var openings: [Opening] = []
    var failure: WebSocketConnection.Failure?
    var reach = WebSocketConnection.Reach.noAnswer
    var takesBytes = true
    var sent: [(opcode: FrameOpcode, text: String)] = []
    var closedWith: [UInt16] = []
    var isReading = true
    var isDecoding = true

    func texts(_ opcode: FrameOpcode) -> [String] { sent.filter { $0.opcode == opcode }.map(\.text) }
}

private struct ScriptedSocket: ReaderSocket, ~Copyable {
    let script: Script

    var phase: WebSocketConnection.Phase { script.phase }
    var hasPending: Bool { false }
    var failure: WebSocketConnection.Failure? { script.failure }
    var reach: WebSocketConnection.Reach { script.reach }

    func nextDeadlineNs(nowNs: UInt64) -> UInt64 { script.phase == .closing ? closeDeadlineNs : .max }
    var closeDeadlineNs: UInt64 { 5_000_000_000_000 }

    mutating func open(nowNs: UInt64) -> Opening {
        let step = script.openings.isEmpty ? .pending : script.openings.removeFirst()
        if step == .opened { script.phase = .open }
        return step
    }

    mutating func send(_ opcode: FrameOpcode, _ payload: Span<UInt8>) -> Bool {
        if script.takesBytes { script.sent.append((opcode, String(decoding: payload.copy, as: UTF8.self))) }
        return script.takesBytes
    }

    mutating func flush() -> Bool { script.takesBytes }
    mutating func setReading(_ isReading: Bool) { script.isReading = isReading }
    mutating func stopDecoding() { script.isDecoding = false }

    mutating func close(code: UInt16, reason: String, nowNs: UInt64) {
        guard script.phase == .open else {
            if script.phase != .closing { drop() }
            return
        }
        script.closedWith.append(code)
        script.phase = .closing
    }

    mutating func drop() { script.phase = .closed }
}

struct ReaderConnectionTests {
    private static let startNs: UInt64 = 1_000_000_000_000
    private static let quietMs: UInt64 = 150_000

    /// - Parameter streams: asked for by messages, so that there are some.
    private static func connection(_ streams: [String] = ["btcusdt@kline_1m"]) -> ReaderConnection<ScriptedSocket> {
        let subscription = Subscription(streams: streams, dialect: Binance(.spot), subscribeForm: .message, usesCombinedStreams: true)
        return ReaderConnection(key: ConnectionKey(1), host: 0, subscription: subscription, seed: 7)
    }

    private static func attempt(_ connection: inout ReaderConnection<ScriptedSocket>, _ script: Script, at nowNs: UInt64 = startNs) {
        script.phase = .dialing
        connection.begin(nowNs: nowNs) { _, _ in ScriptedSocket(script: script) }
    }

    /// Open, asked for its stream and answered, at `startNs`.
    private static func open(_ connection: inout ReaderConnection<ScriptedSocket>, _ script: Script) -> [ConnectionAction] {
        attempt(&connection, script)
        script.openings = [.opened]
        var actions: [ConnectionAction] = []
        guard connection.open(nowNs: startNs, longestPauseNs: .max) == .opened else { return [] }
        _ = connection.onOpened(nowNs: startNs, ageMs: 1_000_000)
        actions.append(connection.nextSubscription(nowNs: startNs))
        actions.append(connection.nextSubscription(nowNs: startNs))
        actions.append(connection.onResult(id: 1))
        return actions
    }

    private static func due(_ connection: inout ReaderConnection<ScriptedSocket>, _ nowNs: UInt64) -> [ConnectionAction] {
        var actions: [ConnectionAction] = []
        while true {
            let action = connection.nextDue(nowNs: nowNs, klineSilenceMs: quietMs)
            if action == .none { return actions }
            actions.append(action)
        }
    }

    private static func at(ms: Int) -> UInt64 { startNs + UInt64(ms) * 1_000_000 }

    private func ending(of action: ConnectionAction) -> ConnectionLoss? { if case .lost(let loss) = action { loss } else { nil } }

    // MARK: Opening

    @Test func anAttemptThatFailsIsTriedAgainLaterAndLater() throws {
        var connection = Self.connection()
        let script = Script()
        var delays: [UInt64] = []
        for count in 0..<8 {
            Self.attempt(&connection, script)
            (script.openings, script.failure, script.reach) = ([.failed("no way")], .tls, .server)
            guard case .failed(let loss, let reach) = connection.open(nowNs: Self.startNs, longestPauseNs: 3_000_000_000) else {
                throw FeedError(.venue, "attempt \(count) has not failed")
            }
            #expect(loss.reason == "no way" && loss.counts == .connectFailedTls && reach == .server)
            #expect(loss.left.attemptNs == Self.startNs && !loss.left.wasOpen && !loss.left.wasLive)
            let (phase, deadlineNs) = (connection.phase, connection.nextDeadlineNs(nowNs: Self.startNs))
            #expect(phase == nil && deadlineNs == Self.startNs + loss.delayNs!)
            delays.append(loss.delayNs!)
        }
        #expect(delays.last == 3_000_000_000 && delays[0] < 3_000_000_000, "\(delays)")
    }

    @Test func theExchangesOwnPauseIsKept() throws {
        var connection = Self.connection()
        let script = Script()
        Self.attempt(&connection, script)
        script.openings = [.failed("HTTP status 429", retryAfterSeconds: 90)]
        guard case .failed(let loss, _) = connection.open(nowNs: Self.startNs, longestPauseNs: 3_000_000_000) else {
            throw FeedError(.venue, "it has not failed")
        }
        #expect(loss.delayNs! >= 90_000_000_000)
    }

    @Test func liveIsWhoHasAskedAndWasAnswered() {
        var connection = Self.connection()
        let script = Script()
        let actions = Self.open(&connection, script)
        #expect(actions == [.asked(isReady: false), .none, .live])
        #expect(script.texts(.text) == [#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}"#])
        let again = connection.onResult(id: 1)
        #expect(again == .none, "once")
    }

    @Test func aSubscriptionWithoutAnAnswerIsAskedForAgain() {
        var connection = Self.connection()
        let script = Script()
        Self.attempt(&connection, script)
        script.openings = [.opened]
        _ = connection.open(nowNs: Self.startNs, longestPauseNs: .max)
        _ = connection.onOpened(nowNs: Self.startNs, ageMs: 1_000_000)
        let first = Self.due(&connection, Self.startNs)
        let later = Self.due(&connection, Self.at(ms: Limits.subscribeTimeoutMs))
        #expect(first == [.asked(isReady: false)] && later == [.unanswered(1), .asked(isReady: false)])
    }

    @Test func aRefusedStreamIsNamed() {
        var connection = Self.connection()
        let script = Script()
        Self.attempt(&connection, script)
        script.openings = [.opened]
        _ = connection.open(nowNs: Self.startNs, longestPauseNs: .max)
        _ = connection.onOpened(nowNs: Self.startNs, ageMs: 1_000_000)
        _ = connection.nextSubscription(nowNs: Self.startNs)
        let (refused, action) = connection.onError(id: 1)
        #expect(refused == ["btcusdt@kline_1m"] && action == .live)
    }

    // MARK: Silence and age

    @Test func silenceIsAskedAndThenLeft() throws {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        let pinged = Self.due(&connection, Self.at(ms: Limits.venueSilencePingMs))
        #expect(pinged == [] && script.texts(.ping) == [""])
        let lost = Self.due(&connection, Self.at(ms: Limits.venueSilenceDropMs))
        let loss = try #require(lost.last.flatMap(ending))
        #expect(lost.count == 1 && loss.counts == .endedBySilence && loss.reason.hasPrefix("silent for "))
        #expect(loss.left.wasLive && loss.left.wasOpen && loss.left.attemptNs == nil)
        let phase = connection.phase
        #expect(phase == nil && script.phase == .closed)
    }

    @Test func ourOwnSilenceIsNotTheirs() {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        let (first, second) = (connection.stall(), connection.stall())
        #expect(first && !second && !script.isReading)
        let whileStalled = Self.due(&connection, Self.at(ms: 10 * Limits.venueSilenceDropMs - 1))
        connection.resume(nowNs: Self.at(ms: 10 * Limits.venueSilenceDropMs))
        let afterwards = Self.due(&connection, Self.at(ms: 10 * Limits.venueSilenceDropMs + 1))
        #expect(whileStalled == [] && afterwards == [] && script.isReading)
    }

    @Test func whoBringsNoKlinesIsReplacedEachTimeLater() {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        var found: [Int] = []
        for second in 1..<900 {
            connection.onReceived(2, nowNs: Self.at(ms: second * 1_000))
            let actions = Self.due(&connection, Self.at(ms: second * 1_000))
            if actions.contains(where: { if case .quiet = $0 { true } else { false } }) { found.append(second) }
        }
        #expect(found == [150, 300, 600])
        connection.successor = 3
        connection.onReceived(2, nowNs: Self.at(ms: 980_000))
        let replaced = Self.due(&connection, Self.at(ms: 980_000))
        #expect(!replaced.contains { if case .quiet = $0 { true } else { false } }, "another takes its place already")
    }

    @Test func ageIsToldOnce() {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        connection.onReceived(2, nowNs: Self.at(ms: 1_000_000))
        let actions = Self.due(&connection, Self.at(ms: 1_000_000))
        #expect(actions.filter { $0 == .rollDue }.count == 1)
        let rollAtNs = connection.rollAtNs
        #expect(rollAtNs == .max, "until its reader says when again")
    }

    // MARK: Endings

    @Test func aCloseFrameIsAnsweredAndLost() throws {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        let action = connection.onClose(code: 1001, reason: "going", nowNs: Self.at(ms: 5))
        let loss = try #require(ending(of: action))
        #expect(loss.reason == "close 1001 'going'" && loss.counts == .endedByPeer && script.closedWith == [1001])
        #expect(loss.delayNs != nil)
    }

    /// What the exchange did wrong is the reason, whatever ends the connection then.
    @Test func aViolationIsWhatItEndsBy() throws {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        connection.violate(code: 1002, reason: "a reserved bit is set", nowNs: Self.at(ms: 5))
        #expect(script.closedWith == [1002] && !script.isDecoding)
        let early = connection.onCloseDeadline(nowNs: Self.at(ms: 6))
        let late = connection.onCloseDeadline(nowNs: 5_000_000_000_000)
        let loss = try #require(ending(of: late))
        #expect(early == .none && loss.counts == .endedByViolation)
        #expect(loss.reason == "protocol violation: a reserved bit is set (closed with 1002)")
    }

    /// Nothing can be sent: what has arrived is read, for a while.
    @Test func whoCannotWriteReadsOn() throws {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        script.takesBytes = false
        let actions = [connection.onWritable(), connection.onWritable(), connection.onPing([UInt8]().span, nowNs: Self.startNs)]
        #expect(actions == [.ready, .none, .none], "told once")
        for _ in 1..<Limits.readsAfterWriteFailureMax {
            let action = connection.onReadAfterFailure(nowNs: Self.startNs)
            #expect(action == .ready)
        }
        let last = connection.onReadAfterFailure(nowNs: Self.startNs)
        let loss = try #require(ending(of: last))
        #expect(loss.reason == "write failed" && loss.counts == .endedByNetwork)
    }

    @Test func whoLeavesComesBackNoMore() throws {
        var connection = Self.connection()
        let script = Script()
        _ = Self.open(&connection, script)
        let left = connection.leave(.endedByRollover, nowNs: Self.at(ms: 5))
        #expect(left.wasLive && !left.wasOpen && script.closedWith == [1000], "open until its end is there")
        let action = connection.onClose(code: 1000, reason: "", nowNs: Self.at(ms: 6))
        let loss = try #require(ending(of: action))
        #expect(loss.delayNs == nil && loss.counts == .endedByRollover && loss.left.wasOpen && !loss.left.wasLive)
        let deadlineNs = connection.nextDeadlineNs(nowNs: Self.at(ms: 7))
        #expect(deadlineNs == .max)
    }

    @Test func anAttemptThatIsLeftIsDropped() {
        var connection = Self.connection()
        let script = Script()
        Self.attempt(&connection, script)
        let left = connection.leave(.endedByStop, nowNs: Self.at(ms: 5))
        let phase = connection.phase
        #expect(left.attemptNs == Self.startNs && !left.wasLive && phase == nil && script.phase == .closed)
    }

    // MARK: Invariants

    @Test func whatCannotBeIsSaid() {
        var connection = Self.connection()
        let script = Script()
        let actions = Self.open(&connection, script)
        let before = connection.checkInvariants()
        #expect(actions.last == .live && before == nil)
        connection.socket = nil
        let without = connection.checkInvariants()
        #expect(without == "connection: it goes on without a socket")
        let doubled = Self.connection(["btcusdt@kline_1m", "btcusdt@kline_1m"])
        let twice = doubled.checkInvariants()
        #expect(twice == "subscription: a stream is carried twice")
        var retired = Self.connection()
        (retired.isRetired, retired.successor) = (true, 1)
        let gone = retired.checkInvariants()
        #expect(gone == "connection: it has gone for good, and is waited for")
    }
}
