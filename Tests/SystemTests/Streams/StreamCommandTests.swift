// Adding, trimming, deleting, reading: against the same commands typed by hand, and against a model.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: commands", .serialized, .streamLimit)
struct StreamCommandTests {
    // MARK: Adding

    @Test("Ids: Redis's, one's own, one that is there, smaller ones, none; and only where there is a stream")
    func ids() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        #expect(await failure { try await orders.add(["n": "0"], onlyIfExists: true) } == .noSuchStream(key: "orders"))
        #expect(try rig.ask("EXISTS", "orders").integer == 0)
        let own = StreamID(1_000, 5)
        #expect(try await orders.add(["n": "1"], id: own) == own)
        // Again the same: it may be the second try of one whose answer was lost.
        #expect(try await orders.add(["n": "1"], id: own) == own)
        #expect(try await orders.add(["n": "2"], id: own.next, onlyIfExists: true) == StreamID(1_000, 6))
        let before = StreamID(UInt64(WallClock.nowMs()) - 60_000)
        let automatic = try await orders.add(["n": "3"])
        #expect(automatic > before && automatic < StreamID(before.milliseconds + 120_000))
        for (id, n) in [(own, "other"), (StreamID(999), "1"), (StreamID(1_000, 4), "1")] {
            #expect(await failure { try await orders.add(["n": n], id: id) } == .idNotNewer(id), "\(id)")
        }
        let xadds = try rig.calls("xadd") + rig.refusals("xadd")
        guard case .badArgument = await failure({ try await orders.add(["n": "1"], id: .min) }) else {
            Issue.record("0-0 is nobody's")
            return
        }
        #expect(try rig.calls("xadd") + rig.refusals("xadd") == xadds, "nothing was sent")
        #expect(await failure { try await orders.add([:]) } != nil, "an entry without fields")
        #expect(try rig.rows("orders").map { $0.fields[1] } == ["1", "2", "3"])
        #expect(try rig.ids("orders") == [own, own.next, automatic])
        // Deleted, and not used again.
        #expect(try await orders.delete([automatic]) == 1)
        let next = try await orders.add(["n": "4"])
        #expect(next > automatic)
    }

    @Test("Fields: binary, empty, repeated, large, many: as they were given, in order")
    func fields() async throws {
        let rig = try await StreamRig()
        let binary = [UInt8](0...255)
        let cases: [(String, StreamFields)] = [
            ("text", ["a": "ü€😀", "b": "x y\r\n$3\r\n*1\r\n"]),
            ("binary", StreamFields(bytes: [(name: binary, value: binary.reversed()), (name: [0], value: [0xFF, 0xFE])])),
            ("empty", StreamFields([("", ""), ("a", ""), ("", "b")])),
            ("repeated", StreamFields([("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")])),
            ("large", StreamFields([("big", String(repeating: "x", count: 1_000_000)), ("small", "y")])),
            ("many", StreamFields((0..<1_000).map { ("name-\($0)", "value-\($0)") })),
        ]
        for (name, fields) in cases {
            let stream = rig.streams[name]
            let id = try await stream.add(fields)
            let entry = try #require(try await stream.range().first)
            #expect(entry.id == id && entry.key == name && entry.fields == fields, "\(name)")
            // The same bytes as anybody else reads.
            let parts = try rig.ask("XRANGE", name, "-", "+").elements[0].elements[1].elements.compactMap(\.bytes)
            let flat = (0..<fields.count).flatMap { [fields.bytes(at: $0).name, fields.bytes(at: $0).value] }
            #expect(parts == flat, "\(name)")
        }
        let repeated = try #require(try await rig.streams["repeated"].range().first)
        #expect(repeated["a"] == "1" && repeated["b"] == "2" && repeated["c"] == nil && repeated.fields.count == 4)
    }

    // MARK: Keeping and trimming

    @Test("What is kept when adding: as Redis does it")
    func keeps() async throws {
        let rig = try await StreamRig()
        let cases: [(StreamKeep, [String])] = [
            (.newest(10), ["MAXLEN", "~", "10"]), (.exactlyNewest(7), ["MAXLEN", "=", "7"]), (.exactlyNewest(0), ["MAXLEN", "=", "0"]),
            (.from(StreamID(1_300)), ["MINID", "~", "1300"]), (.exactlyFrom(StreamID(1_450, 3)), ["MINID", "=", "1450-3"]),
        ]
        for (place, (keep, words)) in cases.enumerated() {
            let (ours, theirs) = ("ours-\(place)", "theirs-\(place)")
            for number in 0..<500 {
                let id = StreamID(1_000 + UInt64(number))
                _ = try await rig.streams[ours].add(["n": "\(number)"], id: id, keep: keep)
            }
            let typed = (0..<500).map { ["XADD", theirs] + words + ["\(1_000 + $0)-0", "n", "\($0)"] }
            #expect(try rig.admin.pipeline(typed).allSatisfy { $0.text != nil })
            #expect(try rig.ids(ours) == rig.ids(theirs), "\(keep)")
        }
    }

    @Test("Trimming: as Redis does it, with its answers")
    func trims() async throws {
        let rig = try await StreamRig()
        let cases: [(StreamKeep, Int?, [String])] = [
            (.newest(150), nil, ["MAXLEN", "~", "150"]), (.newest(0), 100, ["MAXLEN", "~", "0", "LIMIT", "100"]),
            (.exactlyNewest(150), nil, ["MAXLEN", "=", "150"]), (.exactlyNewest(1_000), nil, ["MAXLEN", "=", "1000"]),
            (.from(StreamID(1_250)), nil, ["MINID", "~", "1250"]), (.exactlyFrom(StreamID(1_250)), nil, ["MINID", "=", "1250"]),
            (.from(StreamID(1_450)), 200, ["MINID", "~", "1450", "LIMIT", "200"]),
            (.exactlyFrom(.max), nil, ["MINID", "=", "\(StreamID.max)"]),
        ]
        for (place, (keep, limit, words)) in cases.enumerated() {
            let keys = ["ours-\(place)", "theirs-\(place)"]
            for key in keys { _ = try rig.admin.pipeline((0..<500).map { ["XADD", key, "\(1_000 + $0)-0", "n", "\($0)"] }) }
            let removed = try await rig.streams[keys[0]].trim(keep, limit: limit)
            let theirs = try rig.admin.command(["XTRIM", keys[1]] + words).integer
            #expect(Int64(removed) == theirs, "\(keep) \(limit as Any)")
            #expect(try rig.ids(keys[0]) == rig.ids(keys[1]), "\(keep) \(limit as Any)")
        }
        #expect(try await rig.streams["nothing"].trim(.exactlyNewest(1)) == 0)
    }

    @Test("Trimming by age is by our clock")
    func age() async throws {
        let rig = try await StreamRig()
        let nowMs = UInt64(WallClock.nowMs())
        _ = try rig.admin.pipeline((0..<300).map { ["XADD", "orders", "\(nowMs - 3_000_000 + 10_000 * UInt64($0))-0", "n", "\($0)"] })
        // An hour has all of it. Of half an hour, whole nodes of a hundred entries may stay.
        #expect(try await rig.streams["orders"].trim(.age(.seconds(3_600))) == 0)
        #expect(try await rig.streams["orders"].trim(.age(.seconds(1_800))) == 100)
    }

    @Test("Trimming what every group is done with: never what is pending or unread, in any of them")
    func unacknowledged() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        #expect(try await orders.trim(.unacknowledged) == 0)
        let ids = try rig.fill("orders", 1_000)
        #expect(try await orders.trim(.unacknowledged) == 0, "without a group nobody is done with anything")
        for name in ["a", "b", "c"] { _ = try await orders.group(name).create() }
        func read(_ name: String, _ count: Int, acknowledging acked: Int) async throws {
            let entries = try await orders.group(name).read(as: "one", limit: count)
            #expect(entries.count == count)
            #expect(try await orders.group(name).ack(entries.prefix(acked).map(\.id)) == acked)
        }
        try await read("a", 600, acknowledging: 500)
        try await read("b", 400, acknowledging: 400)
        #expect(try await orders.trim(.unacknowledged) == 0, "the third one has read nothing")
        try await read("c", 300, acknowledging: 300)
        // The third one is the slowest: 300 are done with. Whole nodes may be what goes.
        let first = try await orders.trim(.unacknowledged)
        #expect((200...300).contains(first))
        #expect(try rig.ids("orders") == Array(ids.dropFirst(first)))
        try await read("c", 400, acknowledging: 400)
        try await read("b", 600, acknowledging: 600)
        // Now it is the first one, which has 100 pending from the 500th on.
        let second = try await orders.trim(.unacknowledged)
        #expect((400...500).contains(first + second))
        #expect(try await orders.group("a").read(as: "one", limit: 1_000).count == 400, "the unread ones are all there")
        #expect(try await orders.group("a").ack(Array(ids[500...])) == 500)
        #expect(try await orders.group("c").read(as: "one", limit: 1_000).count == 300)
        let third = try await orders.trim(.unacknowledged)
        #expect((600...700).contains(first + second + third), "the last one has 300 pending")
    }

    // MARK: Length, deletion, information

    @Test("Length, deletion, information: of what is there, and of what is not")
    func information() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        #expect(try await orders.length() == 0)
        #expect(try await orders.delete([StreamID(1)]) == 0)
        #expect(try await orders.delete([]) == 0)
        #expect(try await orders.info() == nil)
        #expect(try await orders.groups().isEmpty)
        #expect(try await orders.range().isEmpty)
        #expect(try await orders.newest(3).isEmpty)
        let ids = try rig.fill("orders", 100)
        #expect(try await orders.length() == 100)
        #expect(try await orders.delete([ids[0], ids[50], ids[50], StreamID(1)]) == 2)
        let many = ids[60...] + (0..<2_000).map { StreamID(2, $0) }
        #expect(try await orders.delete(Array(many)) == 40)
        let info = try #require(try await orders.info())
        #expect(info.length == 58 && info.first?.id == ids[1] && info.last?.id == ids[59] && info.last?["n"] == "59")
        #expect(info.lastID == ids[99] && info.entriesAdded == 100 && info.memory ?? 0 > 0)
        #expect(try await orders.trim(.exactlyNewest(0)) == 58)
        let empty = try #require(try await orders.info())
        #expect(empty.length == 0 && empty.first == nil && empty.last == nil && empty.lastID == ids[99])
    }

    // MARK: Reading

    @Test("Ranges: both ends belong to it, in either order of reading, in pages, and of nothing")
    func ranges() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        for ms in 1...30 { for seq in 0..<100 { _ = try rig.ask("XADD", "orders", "\(ms)-\(seq)", "n", "\(ms * 100 + seq)") } }
        #expect(try await orders.range().count == 1_000, "a thousand, unless told otherwise")
        #expect(try await orders.range(limit: 5_000).count == 3_000)
        #expect(
            try await orders.range(from: StreamID(5, 98), through: StreamID(6, 1)).map(\.id.description) == ["5-98", "5-99", "6-0", "6-1"])
        #expect(try await orders.range(from: StreamID(5), through: .last(in: 5)).count == 100)
        #expect(try await orders.range(from: StreamID(5), through: StreamID(5)).count == 1, "an id is one entry, not a millisecond")
        #expect(try await orders.range(from: StreamID(6), through: StreamID(5)).isEmpty)
        #expect(try await orders.range(from: StreamID(31)).isEmpty)
        #expect(try await orders.range(from: StreamID(30, 98).next, limit: 10).map(\.id) == [StreamID(30, 99)])
        #expect(try await orders.newest().map(\.id) == [StreamID(30, 99)])
        #expect(try await orders.newest(3, through: StreamID(7)).map(\.id.description) == ["7-0", "6-99", "6-98"])
        #expect(try await orders.newest(10_000).count == 3_000)
        var ids: [StreamID] = []
        for try await entry in orders.entries() { ids.append(entry.id) }
        #expect(try ids == rig.ids("orders"))
        ids = []
        for try await entry in orders.entries(from: StreamID(2, 50), through: StreamID(28, 49)) { ids.append(entry.id) }
        #expect(ids.count == 2_600 && ids.first == StreamID(2, 50) && ids.last == StreamID(28, 49) && Set(ids).count == 2_600)
        for try await _ in rig.streams["nothing"].entries() { Issue.record("an entry of nothing") }
    }

    /// Random adds, deletions, trims and readings against an array.
    @Test func agreesWithAModel() async throws {
        let rig = try await StreamRig()
        for seed in 0..<Nightly.count(everyday: 20, nightly: 1_000) {
            var random = SplitMix64(seed: UInt64(seed))
            let stream = rig.streams["s\(seed)"]
            var model: [(id: StreamID, n: String)] = []
            var last = StreamID.min
            for step in 0..<60 {
                func some() -> StreamID { StreamID(random.next() % 40, random.next() % 4) }
                func matches(_ entries: [StreamEntry], _ wanted: some Sequence<(id: StreamID, n: String)>, _ what: String) {
                    #expect(
                        entries.map { "\($0.id) \($0["n"] ?? "")" } == wanted.map { "\($0.id) \($0.n)" },
                        "seed \(seed), step \(step): \(what)")
                }
                switch random.next() % 8 {
                case 0, 1, 2:
                    last = random.next() % 2 == 0 ? last.next : StreamID(last.milliseconds + 1, 0)
                    #expect(try await stream.add(["n": "\(step)"], id: last) == last)
                    model.append((last, "\(step)"))
                case 3:
                    let gone = [some(), some(), some()]
                    let count = try await stream.delete(gone)
                    #expect(count == model.count { gone.contains($0.id) }, "seed \(seed), step \(step): delete \(gone)")
                    model.removeAll { gone.contains($0.id) }
                case 4 where step % 3 == 0:
                    let keep = Int(random.next() % 10) + 5
                    #expect(try await stream.trim(.exactlyNewest(keep)) == max(0, model.count - keep), "seed \(seed), step \(step): trim")
                    model = Array(model.suffix(keep))
                case 5:
                    let (from, through, limit) = (some(), some(), Int(random.next() % 8) + 1)
                    let inside = model.filter { $0.id >= from && $0.id <= through }
                    matches(
                        try await stream.range(from: from, through: through, limit: limit), inside.prefix(limit), "range \(from) \(through)"
                    )
                case 6:
                    let (through, count) = (some(), Int(random.next() % 8) + 1)
                    let inside = model.filter { $0.id <= through }.reversed().prefix(count)
                    matches(try await stream.newest(count, through: through), inside, "newest \(count) \(through)")
                default:
                    var entries: [StreamEntry] = []
                    for try await entry in stream.entries() { entries.append(entry) }
                    matches(entries, model, "all")
                }
            }
            #expect(try await stream.length() == model.count, "seed \(seed)")
        }
    }
}
