// How far a tail has read and what it has missed: a model of a stream against what the tail counts.

import FastFeed
import Testing

@Suite("A tail's reading")
struct TailReadingTests {
    /// A stream as Redis keeps it.
    private struct Model {
        var ids: [UInt64] = []
        var (last, added) = (UInt64(0), 0)
        var deleted: UInt64 = 0

        var extent: StreamExtent {
            StreamExtent(
                length: ids.count, first: ids.first.map { StreamID($0) }, lastID: StreamID(last), maxDeletedID: StreamID(deleted),
                entriesAdded: added)
        }

        mutating func add(_ step: UInt64 = 1) {
            last += step
            ids.append(last)
            added += 1
        }

        func reply(after cursor: StreamID, count: Int) -> RedisReply {
            let rows = ids.filter { StreamID($0) > cursor }.prefix(count).map { StreamReplyText.row("\($0)-0", "n", "\($0)") }
            return rows.isEmpty ? .null : .array([.array([StreamReplyText.text("s"), .array(Array(rows))])])
        }
    }

    private func read(_ reading: inout TailReading, _ model: Model) -> [UInt64] {
        let reply = StreamReplyText.node(model.reply(after: reading.places[0].cursor ?? .min, count: reading.pageEntries))
        return reading.take(reply)?.entries.map(\.id.milliseconds) ?? []
    }

    @Test("What is cut off unread is counted exactly, and nothing else")
    func losses() {
        for seed in 0..<500 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var model = Model()
            for _ in 0..<random.next() % 20 { model.add() }
            var reading = TailReading(["s": seed % 2 == 0 ? .end : .start])
            reading.note(model.extent, at: 0)
            let begin = seed % 2 == 0 ? model.last : 0
            var (seen, cut) = (Set<UInt64>(), Set<UInt64>())
            for _ in 0..<200 {
                switch random.next() % 5 {
                case 0, 1: for _ in 0..<random.next() % 8 { model.add(1 + random.next() % 3) }
                case 2:
                    for _ in 0..<min(UInt64(model.ids.count), random.next() % 10) { cut.insert(model.ids.removeFirst()) }
                case 3:
                    for id in read(&reading, model) { #expect(seen.insert(id).inserted, "seed \(seed): \(id) twice") }
                default: reading.note(model.extent, at: 0)
                }
                #expect(reading.losses <= cut.filter { $0 > begin && !seen.contains($0) }.count, "seed \(seed): a false alarm")
            }
            while true {
                let ids = read(&reading, model)
                seen.formUnion(ids)
                if ids.isEmpty { break }
            }
            reading.note(model.extent, at: 0)
            #expect(reading.losses == cut.filter { $0 > begin && !seen.contains($0) }.count, "seed \(seed)")
            #expect(reading.interruptions == 0)
        }
    }

    @Test("Of a stream that is not there yet, all that will be added is to be read")
    func fromNothing() {
        var (reading, model) = (TailReading(["s": .start]), Model())
        reading.note(.nothing, at: 0)
        reading.note(.nothing, at: 0)
        for _ in 0..<10 { model.add() }
        model.ids.removeFirst(4)
        #expect(read(&reading, model) == Array(5...10))
        reading.note(model.extent, at: 0)
        #expect(reading.losses == 4 && reading.interruptions == 0)
    }

    @Test("A stream that is made anew is read from its beginning")
    func anew() {
        var model = Model()
        for _ in 0..<10 { model.add() }
        var reading = TailReading(["s": .start])
        reading.note(model.extent, at: 0)
        #expect(read(&reading, model) == Array(1...10))
        reading.note(model.extent, at: 0)
        #expect(reading.losses == 0 && reading.interruptions == 0)
        model = Model()
        for _ in 0..<3 { model.add() }
        #expect(read(&reading, model) == [])
        reading.note(model.extent, at: 0)
        #expect(reading.interruptions == 1 && read(&reading, model) == [1, 2, 3])
        // Gone: whatever comes is new.
        reading.note(.nothing, at: 0)
        #expect(reading.interruptions == 2 && reading.places[0].cursor == .min)
        reading.note(.nothing, at: 0)
        #expect(reading.interruptions == 2 && reading.losses == 0)
    }

    @Test("Where a place lies before what is there, or the stream is not there yet, nothing is lost")
    func places() {
        var model = Model()
        model.last = 100
        model.added = 100
        for _ in 0..<5 { model.add() }
        var reading = TailReading(["s": .after(StreamID(50))])
        reading.note(model.extent, at: 0)
        #expect(read(&reading, model) == Array(101...105))
        reading.note(model.extent, at: 0)
        #expect(reading.losses == 0)
        var early = TailReading(["s": .after(StreamID(50))])
        early.note(.nothing, at: 0)
        #expect(early.interruptions == 0 && early.places[0].cursor == StreamID(50))
        var end = TailReading(["s": .end])
        end.note(.nothing, at: 0)
        #expect(end.places[0].cursor == .min)
    }

    @Test("Corrections of a history are no loss, though they count as added")
    func corrections() {
        var model = Model()
        for _ in 0..<10 { model.add() }
        var reading = TailReading(["s": .start])
        reading.note(model.extent, at: 0)
        _ = read(&reading, model)
        model.added += 3
        reading.note(model.extent, at: 0)
        model.add()
        #expect(read(&reading, model) == [11])
        reading.note(model.extent, at: 0)
        #expect(reading.losses == 0)
    }

    @Test("What was left out of a full reply is asked for again, and what cannot be read is counted")
    func leftOut() throws {
        let long = RedisReply.tooLong(2_000)
        func reply(_ rows: [(Int, RedisReply)]) -> ReplyNode {
            let rows = rows.map { RedisReply.array([StreamReplyText.text("\($0)-0"), .array([StreamReplyText.text("n"), $1])]) }
            return StreamReplyText.node(.array([.array([StreamReplyText.text("s"), .array(rows)])]))
        }
        var reading = TailReading(["s": .start])
        let value = StreamReplyText.text("v")
        #expect(reading.take(reply([(1, value), (2, long), (3, value)]))?.entries.map(\.id) == [StreamID(1)])
        #expect(reading.places[0].cursor == StreamID(1) && reading.pageEntries == 250 && reading.losses == 0)
        #expect(reading.take(reply([(2, value), (3, value)]))?.entries.count == 2 && reading.pageEntries == 500)
        for _ in 0..<6 { #expect(reading.take(reply([(4, long), (5, value)]))?.entries.isEmpty == true) }
        #expect(reading.pageEntries == 1 && reading.losses == 0 && reading.places[0].cursor == StreamID(3))
        #expect(reading.take(reply([(4, long)]))?.entries.isEmpty == true)
        #expect(reading.losses == 1 && reading.places[0].cursor == StreamID(4))
    }
}
