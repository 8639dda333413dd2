// The merge script among consumer groups: late, corrected and healed runs, foreign entries and deletions by others, in random order. Before
// and after each call it is compared with a model: entries, changes, pending entries, places and lags of five groups, and a waiting reader.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite(.serialized) struct MergeScriptRoundTests {
    private static let rounds = ProcessInfo.processInfo.environment["FASTFEED_NIGHTLY"] == nil ? 150 : 1_000

    @Test(arguments: [UInt64(1), 2]) func groupsDoNotNotice(seed: UInt64) throws {
        var rounds = try MergeRounds(seed: seed)
        for round in 0..<MergeScriptRoundTests.rounds {
            try rounds.next(round)
            guard rounds.complaints.isEmpty else { break }
        }
        #expect(rounds.complaints == [], "seed \(seed)")
        #expect(rounds.mergeCount > MergeScriptRoundTests.rounds / 4)
    }
}

/// An entry's id, in the order that Redis has.
private struct EntryID: Hashable, Comparable, CustomStringConvertible {
    let (ms, place): (Int64, Int64)

    init(_ ms: Int64, _ place: Int64 = 0) { (self.ms, self.place) = (ms, place) }
    init(_ text: String) {
        let parts = text.split(separator: "-").map { Int64($0)! }
        (ms, place) = (parts[0], parts[1])
    }
    var description: String { "\(ms)-\(place)" }
    var isForeign: Bool { place != 0 || ms % 60_000 != 0 }
    static func < (a: EntryID, b: EntryID) -> Bool { (a.ms, a.place) < (b.ms, b.place) }
}

private struct GroupState {
    let place: EntryID
    let lag: Int?
    /// Ids and consumers.
    let pending: [[String]]
}

private struct MergeRounds {
    private(set) var complaints: [String] = []
    private(set) var mergeCount = 0
    private let rig: MergeRig
    private var random: SplitMix64
    private var model: [EntryID: [String]] = [:]
    private var changes: [[String]] = []
    /// The newest minute that there was.
    private var top: Int64 = 0
    private let groups = (0..<5).map { "g\($0)" }
    private let waiter: RedisConnection
    private let waiterID: String
    /// Redis 6.2 knows none.
    private var hasLags = false

    init(seed: UInt64) throws {
        rig = try MergeRig()
        random = SplitMix64(seed: seed)
        waiter = try RedisConnection.connect(rig.server.endpoint, timeoutMs: 5_000, stringBytesMax: 1 << 20, outboxBytesMax: 1 << 20)
        _ = waiter.send(["CLIENT", "ID"])
        guard case .reply(.integer(let id)) = waiter.next(timeoutMs: 5_000) else { throw FeedError(.redis, "no id of a connection") }
        waiterID = "\(id)"
        for _ in 0..<30 { try append() }
        for (index, group) in groups.enumerated() {
            _ = try rig.redis.command("XGROUP", "CREATE", rig.key, group, ["0", "0", "$", "420000-0", "0"][index])
        }
        hasLags = try rig.stream()["entries-added"] != nil
    }

    mutating func next(_ round: Int) throws {
        switch random.below(100) {
        case 0..<25: try read()
        case 25..<35: try append()
        case 35..<42: try delete()
        case 42..<46: try addForeign()
        default: try merge(round)
        }
    }

    // MARK: What others do

    private mutating func read() throws {
        let (group, consumer) = (random.pick(groups), "c\(random.below(3))")
        let reply = try rig.redis.command(
            "XREADGROUP", "GROUP", group, consumer, "COUNT", "\(1 + random.below(12))", "STREAMS", rig.key, ">")
        for entry in reply.elements.first?.elements[1].elements ?? [] where random.chance(50) {
            _ = try rig.redis.command("XACK", rig.key, group, entry.elements[0].text!)
        }
    }

    private mutating func append() throws {
        top += Int64(1 + random.below(3))
        let candle = CandleRecord.sample(top, closed: true)
        if try rig.append(candle).text != nil { model[EntryID(candle.openTimeMs)] = RESPText.fields(candle) }
    }

    private mutating func delete() throws {
        guard model.count > 5 else { return }
        let ids = model.keys.sorted()
        let id = random.chance(40) ? ids.last! : random.pick(ids)
        _ = try rig.redis.command("XDEL", rig.key, "\(id)")
        model[id] = nil
    }

    private mutating func addForeign() throws {
        let id = EntryID((top + Int64(random.below(3))) * 60_000 + Int64(random.below(2)), Int64(1 + random.below(9)))
        if try rig.redis.command("XADD", rig.key, "\(id)", "a", "b").text != nil { model[id] = ["a", "b"] }
    }

    // MARK: The script

    private mutating func merge(_ round: Int) throws {
        let (before, last) = (try groupStates(), EntryID(try rig.stream()["last-generated-id"]!.text!))
        let newest = model.keys.max()
        let run = anyRun()
        guard !run.isEmpty else { return }
        let toldBefore = changes.count
        let expected = run.filter { apply($0.id, $0.values, last) }.count
        let isTold = changes.count > toldBefore
        let waits = random.chance(30)
        if waits { try wait(from: last) }
        mergeCount += 1
        let reply = try rig.merge(run.map { ("\($0.id)", $0.values) })
        if reply != .integer(Int64(expected)) { complain(round, "\(reply) instead of \(expected)") }
        try checkEntries(round)
        if waits { try checkWaiter(round, last) }
        // Where the newest entry is removed, nothing is beyond what remains.
        let isBack = run.contains { $0.values == nil && $0.id == newest } && newest.map { model[$0] == nil } == true
        let newLast = max(isBack ? EntryID(0, 1) : last, model.keys.max() ?? EntryID(0, 1))
        let found = try rig.stream()["last-generated-id"]?.text
        if found != "\(newLast)" { complain(round, "the last id is \(found ?? "") instead of \(newLast)") }
        // What is only appended leaves the lags to Redis.
        try checkGroups(round, before, newLast: isBack ? newLast : nil, lagsAreKnown: isTold)
    }

    /// Candles from some minute on, right or wrong, with ids and without, some to be removed; and sometimes all that is foreign.
    private mutating func anyRun() -> [(id: EntryID, values: [String]?)] {
        let first = random.chance(50) ? max(1, top - Int64(random.below(8))) : 1 + Int64(random.below(Int(top) + 3))
        var run: [EntryID: [String]?] = [:]
        for minute in first..<(first + 1 + Int64(random.below([2, 6, 30].randomElement(using: &random)!))) where random.chance(80) {
            if random.chance(5) {
                run.updateValue(nil, forKey: EntryID(minute * 60_000))
                continue
            }
            var candle = CandleRecord.sample(minute, closed: true)
            if random.chance(40) { candle.volume = DecimalText("9.\(random.below(3))")! }
            if random.chance(50) { (candle.firstTradeID, candle.lastTradeID, candle.source) = (-1, -1, .backfill) }
            run[EntryID(candle.openTimeMs)] = MergeRig.values(candle)
            top = max(top, minute)
        }
        if random.chance(50) { for id in model.keys where id.isForeign { run.updateValue(nil, forKey: id) } }
        return run.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What one candle of a run does to the model. False for nothing.
    private mutating func apply(_ id: EntryID, _ values: [String]?, _ last: EntryID) -> Bool {
        let names = CandleField.allCases.map(\.rawValue)
        func named(_ fields: [String]) -> [String: String] {
            Dictionary(stride(from: 0, to: fields.count, by: 2).map { (fields[$0], fields[$0 + 1]) }) { $1 }
        }
        let old = model[id].map(named)
        guard var new = values.map({ Dictionary(uniqueKeysWithValues: zip(names, $0)) }) else {
            guard let old else { return false }
            model[id] = nil
            tell(id, "removed", old["revision"] ?? "0", old["source"] ?? "")
            return true
        }
        if let old {
            for name in ["first_trade_id", "last_trade_id"] {
                guard let stored = old[name] else { continue }
                if new[name] == "-1" { new[name] = stored }
            }
            let differs = names.contains { name in
                guard let stored = old[name] else { return true }
                if ["source", "revision"].contains(name) || (name.hasSuffix("trade_id") && stored == "-1") { return false }
                return stored != new[name]
            }
            guard differs || old.count != names.count else { return false }
            new["revision"] = "\((old["revision"].flatMap { Int($0) } ?? 0) + 1)"
            tell(id, "corrected", new["revision"]!, new["source"]!)
        } else if id <= last {
            tell(id, "inserted", "0", new["source"]!)
        }
        model[id] = names.flatMap { [$0, new[$0]!] }
        return true
    }

    private mutating func tell(_ id: EntryID, _ kind: String, _ revision: String, _ source: String) {
        changes.append(["open_time", "\(id.ms)", "kind", kind, "revision", revision, "source", source])
    }

    // MARK: Checks

    private mutating func complain(_ round: Int, _ text: String) { complaints.append("round \(round): \(text)") }

    private mutating func checkEntries(_ round: Int) throws {
        let found = try rig.entries().map { [$0.id] + $0.fields }
        let expected = model.sorted { $0.key < $1.key }.map { ["\($0.key)"] + $0.value }
        if found != expected {
            complain(round, "\(found.filter { !expected.contains($0) }) instead of \(expected.filter { !found.contains($0) })")
        }
        if try rig.entries(rig.changesKey).map(\.fields) != changes { complain(round, "the changes differ") }
        if changes.count > 400 {
            _ = try rig.redis.command("DEL", rig.changesKey)
            changes = []
        }
    }

    private func groupStates() throws -> [GroupState] {
        try rig.redis.command("XINFO", "GROUPS", rig.key).elements.map { group in
            let group = MergeRig.pairs(group)
            let pending = try rig.redis.command("XPENDING", rig.key, group["name"]!.text!, "-", "+", "100000").elements
            return GroupState(
                place: EntryID(group["last-delivered-id"]!.text!), lag: group["lag"]?.integer.map { Int($0) },
                pending: pending.map { [$0.elements[0].text!, $0.elements[1].text!] })
        }
    }

    private mutating func checkGroups(_ round: Int, _ before: [GroupState], newLast: EntryID?, lagsAreKnown: Bool) throws {
        let after = try groupStates()
        let places = zip(groups, zip(before, after))
        let ids = model.keys.sorted()
        // More than a thousand ahead of one group: what Redis does not know stays unknown.
        let mayBeUnknown = after.contains { state in ids.count { $0 > state.place } > 950 }
        for (name, (old, new)) in places {
            if new.pending != old.pending { complain(round, "\(name): other pending entries") }
            let place = newLast.map { min($0, old.place) } ?? old.place
            if new.place != place { complain(round, "\(name) is at \(new.place) instead of \(place)") }
            guard hasLags && lagsAreKnown && !(mayBeUnknown && new.lag == nil) else { continue }
            let lag = ids.count { $0 > new.place }
            if new.lag != lag { complain(round, "\(name): lag \(new.lag.map(String.init) ?? "unknown") instead of \(lag)") }
        }
    }

    private func blockedCount() throws -> Int {
        let text = try rig.redis.command("INFO", "clients").text ?? ""
        return text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("blocked_clients:") }.flatMap { Int($0.dropFirst(16)) } ?? 0
    }

    private func wait(from last: EntryID) throws {
        _ = waiter.send(["XREAD", "BLOCK", "0", "STREAMS", rig.key, "\(last)"])
        _ = waiter.next(timeoutMs: 1)
        try eventually(20, "a blocked reader") { try blockedCount() == 1 }
    }

    /// Who waits is woken by what is newer than all, and by nothing else.
    private mutating func checkWaiter(_ round: Int, _ last: EntryID) throws {
        let newer = model.keys.filter { $0 > last }.sorted().map(\.description)
        if newer.isEmpty { _ = try rig.redis.command("CLIENT", "UNBLOCK", waiterID) }
        guard case .reply(let reply) = waiter.next(timeoutMs: 5_000) else { return complain(round, "a reader got nothing") }
        let read = reply.elements.first?.elements[1].elements.map { $0.elements[0].text ?? "" } ?? []
        if read != newer { complain(round, "a reader got \(read) instead of \(newer)") }
    }
}
