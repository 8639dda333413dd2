// A group on loopback: a local exchange, a real redis-server or a cluster, and members that are the real program. On the test's thread.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

final class GroupRig {
    let venue: VenueSimulator
    /// With a cluster it stands idle beside.
    let redis: RedisServerProcess
    private(set) var client: RedisClient
    let symbols: [String]
    /// By name; those that were killed or have ended are not among them.
    private(set) var runs: [String: ProgramRun] = [:]
    private let options: [String]
    private let set: ClusterSet?

    static let ttlSeconds = 2

    /// - Parameter arguments: of every member.
    init(
        symbols count: Int, copies: Int = 2, pushPeriodMs: Int64 = 50, arguments: [String] = [], rest: Bool = false,
        on set: ClusterSet? = nil
    ) throws {
        var simulator = SimulatorConfiguration()
        (simulator.symbolCount, simulator.illiquidEvery, simulator.pushPeriodMs) = (count, 0, pushPeriodMs)
        venue = try VenueSimulator(configuration: simulator)
        try venue.start()
        redis = try RedisServerProcess()
        client = try RedisClient.connect(toAllOf: try set?.endpoint() ?? redis.endpoint)
        self.set = set
        symbols = venue.symbols.map(\.symbol.name)
        options =
            [
                "--venue-ws", venue.webSocketBase, "--redis", set?.url ?? "unix://\(redis.socketPath)", "--group", "test",
                "--copies", "\(copies)", "--member-ttl", "\(GroupRig.ttlSeconds)", "--history", "100000",
                "--flux", symbols.joined(separator: ",") + ":1s",
            ] + (rest ? ["--venue-rest", venue.restBase, "--backfill", "0"] : []) + arguments
    }

    deinit { venue.stop() }

    /// - Parameter venueWS: where its exchange is, if not where the others' is.
    @discardableResult
    func start(_ name: String, _ more: [String] = [], venueWS: String? = nil) throws -> ProgramRun {
        var arguments = options
        if let venueWS, let place = arguments.firstIndex(of: "--venue-ws") { arguments[place + 1] = venueWS }
        let run = try ProgramRun(["run"] + arguments + ["--member", name, "--address-group", name] + more)
        runs[name] = run
        return run
    }

    func start(_ names: [String]) throws {
        for name in names { try start(name) }
        try settle(names)
    }

    func kill(_ name: String) {
        let run = runs.removeValue(forKey: name)!
        run.signal(SIGKILL)
        #expect(run.end() == -SIGKILL)
    }

    /// An orderly end.
    /// - Parameter watch: listens meanwhile.
    func end(_ name: String, _ watch: UpdateWatch? = nil) throws {
        let run = runs.removeValue(forKey: name)!
        run.signal(SIGTERM)
        try watch?.listen(60, "the end of \(name)") { !run.isRunning }
        #expect(run.end(within: 60) == 0, "\(run.errorText)")
    }

    func endAll() throws { for name in runs.keys.sorted() { try end(name) } }

    // MARK: Looking

    func members() throws -> [String: GroupMember] {
        let list = GroupMember.read(try client.command("HGETALL", Keys.schema.membersKey).pairs)
        return Dictionary(list.map { ($0.name, $0) }) { $1 }
    }

    func epoch() throws -> Int64 { try client.command("GET", Keys.schema.epochKey).text.flatMap { Int64($0) } ?? 0 }

    func stored(_ symbol: String) throws -> Int64 { try client.command("XLEN", Keys.history(symbol, .s1)).integer ?? 0 }

    /// These are members, nobody else is here, and each symbol has one writer.
    func isSettled(_ names: [String]) throws -> Bool {
        let here = try members().filter(\.value.state.isHere)
        return here.keys.sorted() == names.sorted() && here.values.allSatisfy { $0.state == .member && $0.done > 0 }
            && here.values.reduce(0) { $0 + $1.facts.units } == symbols.count
    }

    /// The same where nodes come and go: a connection that is lost is made anew.
    func isSettledAgain(_ names: [String]) -> Bool {
        if let isSettled = try? isSettled(names) { return isSettled }
        if let set, let anew = (try? set.endpoint()).flatMap({ try? RedisClient.connect($0) }) { client = anew }
        return false
    }

    func settle(_ names: [String], within seconds: Double = 40) throws {
        func state() -> String { "\((try? members()) ?? [:]) \(runs.mapValues { $0.errorText.suffix(2_000) })" }
        try eventually(seconds, "members \(names): \(state())") { try isSettled(names) }
    }

    /// Every series has stored some more.
    func waitForCloses(_ more: Int64 = 3) throws {
        let before = try symbols.map(stored)
        try eventually(40, "\(more) more closed candles of each series") {
            try zip(symbols, before).allSatisfy { try stored($0) >= $1 + more }
        }
    }

    private func truth(_ isRequired: (ClosedCandle) -> Bool) throws -> TruthCheck {
        var check = TruthCheck { [client] in try client.command($0) }
        try check.checkHistories(venue.closedCandles()) { closed, _ in closed.delivered && isRequired(closed) }
        // Other intervals are of fluxes that have been stopped.
        try check.checkLatest(venue.latestStates().filter { $0.series.interval == .s1 })
        return check
    }

    /// What was delivered to anybody is stored, once, and right; `latest` is what came last.
    func expectTruth(isRequired: (ClosedCandle) -> Bool = { _ in true }) throws {
        let check = try truth(isRequired)
        #expect(check.isFlawless, "\(check)")
        #expect(check.same > symbols.count && check.latestCompared == symbols.count, "nothing is proven: \(check)")
    }

    /// The exchange ends, what it has sent is written, the members end, and what is stored is judged.
    func finish(isRequired: (ClosedCandle) -> Bool = { _ in true }) throws {
        venue.stop()
        func state() -> String { (try? truth(isRequired).description) ?? "" }
        try eventually(30, "what it has sent is written: \(state())") { try truth(isRequired).isFlawless }
        try endAll()
        try expectTruth(isRequired: isRequired)
    }
}

/// What is told of the forming states of all series: who listens sees a state twice, and silence.
final class UpdateWatch {
    private let subscriber: RedisSubscriber
    private var lastNs: [String: UInt64] = [:]
    private var seen: [String: Set<String>] = [:]
    /// The longest time in which nothing was told of a series, and how many messages had nothing new.
    private(set) var longestSilenceNs: UInt64 = 0
    private(set) var repeatedCount = 0
    private(set) var messageCount = 0

    init(_ endpoint: RedisEndpoint) throws {
        subscriber = try RedisSubscriber.connect(endpoint, messageBytesMax: 1 << 20)
        subscriber.psubscribe(["updates:*"])
        while subscriber.next(timeoutMs: 5_000) != .subscribed("updates:*") {}
    }

    /// Takes what comes until the condition holds.
    func listen(_ seconds: Double, _ what: String, until isEnough: () throws -> Bool) throws {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(seconds * 1e9)
        var lookNs: UInt64 = 0
        while true {
            take(subscriber.next(timeoutMs: 20))
            let nowNs = MonotonicClock.nowNs()
            guard nowNs >= lookNs else { continue }
            lookNs = nowNs + 50_000_000
            if try isEnough() { return }
            // Says so, in the words of whoever waits.
            if nowNs >= deadlineNs { return try eventually(0, "\(what), after \(seconds) s", isEnough) }
        }
    }

    /// From now on.
    func forget() { (lastNs, longestSilenceNs, repeatedCount, messageCount) = ([:], 0, 0, 0) }

    private func take(_ event: RedisSubscriber.Event) {
        guard case .message(let channel, let payload) = event, let value = try? JSONValue(message: payload) else { return }
        let nowNs = MonotonicClock.nowNs()
        if let last = lastNs[channel] { longestSilenceNs = max(longestSilenceNs, nowNs - last) }
        lastNs[channel] = nowNs
        messageCount += 1
        // A state has an event time of its own.
        let states = (value[Field.candles]?.array ?? []).map { "\($0["open_time"]?.integer ?? 0) \($0["event_time"]?.integer ?? 0)" }
        if !states.isEmpty && states.allSatisfy({ seen[channel]?.contains($0) ?? false }) { repeatedCount += 1 }
        seen[channel, default: []].formUnion(states)
    }
}
