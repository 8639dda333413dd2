// Candles as events: in order, each once, what is missing, what comes late, what is corrected; and consumer groups over candles.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Streams: candles", .serialized, .streamLimit)
struct CandleStreamTests {
    private static func series(_ interval: Interval) -> Series { Series(symbol: Symbol("btcusdt")!, interval: interval) }

    /// The values of a candle, in the order of `CandleField`.
    private static func values(_ openMs: Int64, _ interval: Interval, close: String = "50000.10000000") -> [String] {
        CandleField.allCases.map { field in
            switch field {
            case .close: close
            case .closeTime: "\(interval.closeTime(ofBarOpening: openMs))"
            case .count, .firstTradeID, .lastTradeID: "\(openMs / 1_000 % 100_000)"
            case .source: "live"
            case .revision: "0"
            default: "49999.50000000"
            }
        }
    }

    /// What the service does: appends, inserts, corrects.
    private static func merge(_ rig: StreamRig, _ interval: Interval, _ openMs: [Int64], close: String = "50000.10000000") throws {
        let series = series(interval)
        let keys = [Keys.schema.historyKey(series), Keys.schema.changesKey(series)]
        for start in stride(from: 0, to: openMs.count, by: 100) {
            let candles = openMs[start..<min(start + 100, openMs.count)].flatMap { ["\($0)-0"] + values($0, interval, close: close) }
            let reply = try rig.admin.command(["EVAL", MergeScript.source, "2"] + keys + ["100000", "1000"] + candles)
            try #require(reply.integer != nil, "\(reply)")
        }
    }

    /// Open times from a bar on.
    private static func openTimes(_ interval: Interval, _ count: Int, from firstMs: Int64) -> [Int64] {
        var times = [firstMs]
        while times.count < count { times.append(interval.nextOpenTime(after: times.last!)) }
        return times
    }

    /// 2023-11-06, a Monday.
    private static let mondayMs: Int64 = 1_699_228_800_000

    private static func first(_ interval: Interval) -> Int64 { interval.openTime(containing: mondayMs, anchorMs: mondayMs) }

    /// An event in a word.
    private static func word(_ event: CandleEvent) -> String {
        switch event {
        case .candle(_, let candle): "candle \(candle.openTime)"
        case .gap(let gap): "gap \(gap.from) \(gap.until) \(gap.cause)"
        case .late(_, let candle): "late \(candle.openTime)"
        case .corrected(_, let candle): "corrected \(candle.openTime) \(candle.revision) \(candle.close)"
        }
    }

    /// Reads on a task of its own until it is cancelled.
    private static func read(_ stream: CandleStream, into words: Shared<[String]>) -> Task<Void, any Error> {
        Task { for try await event in stream { words.withLock { $0.append(word(event)) } } }
    }

    @Test("Missing, late, corrected, doubled: every interval's own neighbours", arguments: ["1m", "3d", "1w", "1M"])
    func events(_ token: String) async throws {
        let rig = try await StreamRig()
        let interval = try #require(Interval(token: token))
        let series = CandleStreamTests.series(interval)
        let times = CandleStreamTests.openTimes(interval, 12, from: CandleStreamTests.first(interval))
        let missing = [3, 4, 7]
        try CandleStreamTests.merge(rig, interval, times.indices.filter { !missing.contains($0) && $0 < 10 }.map { times[$0] })
        let stream = rig.streams.candles(series, after: .start)
        let words = Shared<[String]>([])
        let task = CandleStreamTests.read(stream, into: words)
        var wanted = [0, 1, 2].map { "candle \(times[$0])" }
        wanted += ["gap \(times[3]) \(times[5]) missing"] + [5, 6].map { "candle \(times[$0])" }
        wanted += ["gap \(times[7]) \(times[8]) missing"] + [8, 9].map { "candle \(times[$0])" }
        try await eventually(10, "what is there: \(words.value)") { words.value.count >= wanted.count }
        #expect(words.value == wanted)
        #expect(stream.openGaps.map(\.from) == [times[3], times[7]])

        // The second candle of the first gap, a correction, and one again that is there already.
        try CandleStreamTests.merge(rig, interval, [times[4]])
        try CandleStreamTests.merge(rig, interval, [times[1]], close: "51000.00000000")
        try CandleStreamTests.merge(rig, interval, [times[9]])
        wanted += ["late \(times[4])", "corrected \(times[1]) 1 51000.00000000"]
        try await eventually(15, "a late and a corrected one: \(words.value.suffix(3))") { words.value.count >= wanted.count }
        #expect(words.value == wanted)
        #expect(stream.openGaps.map { [$0.from, $0.until] } == [[times[3], times[4]], [times[7], times[8]]])

        // All is healed, and time goes on.
        try CandleStreamTests.merge(rig, interval, [times[3], times[7]])
        try CandleStreamTests.merge(rig, interval, [times[10], times[11]])
        let last = ["late \(times[3])", "late \(times[7])", "candle \(times[10])", "candle \(times[11])"]
        try await eventually(15, "the rest: \(words.value.suffix(5))") { words.value.count >= wanted.count + 4 }
        #expect(Set(words.value.suffix(4)) == Set(last) && words.value.count == wanted.count + 4)
        #expect(stream.openGaps.isEmpty)
        task.cancel()
        _ = try? await task.end()
    }

    @Test("Resumed behind the last candle, and behind the last change: none is repeated, none is missed")
    func resumed() async throws {
        let rig = try await StreamRig()
        let (series, times) = (CandleStreamTests.series(.m1), CandleStreamTests.openTimes(.m1, 40, from: CandleStreamTests.mondayMs))
        try CandleStreamTests.merge(rig, .m1, Array(times[..<10]))
        let words = Shared<[String]>([])
        let stream = rig.streams.candles(series, after: .start)
        let task = CandleStreamTests.read(stream, into: words)
        try await eventually(10, "ten") { words.value.count == 10 }
        try CandleStreamTests.merge(rig, .m1, [times[2]], close: "1.00000000")
        try await eventually(15, "a correction") { words.value.count == 11 }
        let place = stream.changePosition
        task.cancel()
        _ = try? await task.end()

        // Away: candles come, one is missing, one that was read is corrected.
        try CandleStreamTests.merge(rig, .m1, Array(times[10..<20] + times[21..<30]))
        try CandleStreamTests.merge(rig, .m1, [times[4]], close: "2.00000000")
        let again = Shared<[String]>([])
        let position = StreamPosition.after(StreamID(UInt64(times[9])))
        let second = rig.streams.candles(series, after: position, changesAfter: place)
        let reading = CandleStreamTests.read(second, into: again)
        let gap = "gap \(times[20]) \(times[21]) missing"
        let wanted = times[10..<20].map { "candle \($0)" } + [gap] + times[21..<30].map { "candle \($0)" }
        try await eventually(15, "what came meanwhile: \(again.value)") { again.value.count >= wanted.count + 1 }
        let corrections = again.value.filter { $0.hasPrefix("corrected") }
        #expect(again.value.filter { !$0.hasPrefix("corrected") } == wanted)
        // One position by the millisecond may tell a change again; it misses none.
        #expect(corrections.contains("corrected \(times[4]) 1 2.00000000"))
        #expect(Set(corrections).isSubset(of: ["corrected \(times[4]) 1 2.00000000", "corrected \(times[2]) 1 1.00000000"]))
        reading.cancel()
        _ = try? await reading.end()
    }

    @Test("Away for longer than the history: the gap says that it was trimmed")
    func trimmed() async throws {
        let rig = try await StreamRig()
        let (series, times) = (CandleStreamTests.series(.m1), CandleStreamTests.openTimes(.m1, 60, from: CandleStreamTests.mondayMs))
        try CandleStreamTests.merge(rig, .m1, times)
        try rig.ask("XTRIM", Keys.schema.historyKey(series), "MAXLEN", "20")
        let words = Shared<[String]>([])
        let stream = rig.streams.candles(series, after: .after(StreamID(UInt64(times[9]))))
        let task = CandleStreamTests.read(stream, into: words)
        try await eventually(10, "a gap and twenty candles") { words.value.count >= 21 }
        #expect(words.value == ["gap \(times[10]) \(times[40]) trimmed"] + times[40...].map { "candle \($0)" })
        task.cancel()
        _ = try? await task.end()
    }

    @Test("kill -9 of Redis and killed connections while it reads: no candle twice, none missed")
    func recovery() async throws {
        let rig = try await StreamRig()
        let (series, times) = (CandleStreamTests.series(.m1), CandleStreamTests.openTimes(.m1, 300, from: CandleStreamTests.mondayMs))
        let words = Shared<[String]>([])
        let task = CandleStreamTests.read(rig.streams.candles(series, after: .start), into: words)
        for part in 0..<6 {
            try CandleStreamTests.merge(rig, .m1, Array(times[part * 50..<part * 50 + 50]))
            try await eventually(20, "\((part + 1) * 50) candles, not \(words.value.count)") { words.value.count >= part * 50 + 20 }
            if part == 3 { try await rig.killServer() } else { rig.killConnections() }
        }
        try await eventually(20, "all, not \(words.value.count)") { words.value.count >= 300 }
        #expect(words.value == times.map { "candle \($0)" })
        task.cancel()
        _ = try? await task.end()
    }

    @Test("What is not a candle is passed over by a stream, and an error where it is asked for")
    func foreign() async throws {
        let rig = try await StreamRig()
        let (series, times) = (CandleStreamTests.series(.m1), CandleStreamTests.openTimes(.m1, 3, from: CandleStreamTests.mondayMs))
        let key = Keys.schema.historyKey(series)
        try CandleStreamTests.merge(rig, .m1, [times[0]])
        try rig.ask("XADD", key, "\(times[0])-7", "x", "y")
        try rig.ask("XADD", key, "\(times[1])-0", "open", "abc")
        try CandleStreamTests.merge(rig, .m1, [times[2]])
        let words = Shared<[String]>([])
        let task = CandleStreamTests.read(rig.streams.candles(series, after: .start), into: words)
        try await eventually(10, "a gap and two candles: \(words.value)") { words.value.count >= 3 }
        #expect(words.value == ["candle \(times[0])", "gap \(times[1]) \(times[2]) missing", "candle \(times[2])"])
        let entries = try await rig.streams[series].range()
        #expect(entries.count == 4)
        for (place, isCandle) in [true, false, false, true].enumerated() {
            do throws(StreamError) {
                let candle = try ClientCandle(entries[place])
                #expect(isCandle && candle.openTime == times[place == 0 ? 0 : 2], "entry \(place)")
            } catch {
                guard case .badEntry = error, !isCandle else {
                    Issue.record("entry \(place): \(error)")
                    continue
                }
            }
        }
        task.cancel()
        _ = try? await task.end()
    }

    // MARK: Groups

    /// Late candles behind a group's place come from `changes:*`, which a group may consume like any stream.
    @Test func groupsOverCandles() async throws {
        let rig = try await StreamRig()
        let (series, times) = (CandleStreamTests.series(.m1), CandleStreamTests.openTimes(.m1, 600, from: CandleStreamTests.mondayMs))
        let stream = rig.streams[series]
        let groups = (0..<3).map { "group-\($0)" }
        let logs = groups.map { _ in HandledLog() }
        var (consumers, tasks): ([StreamConsumer], [Task<Void, any Error>]) = ([], [])
        let refused = Shared(0)
        for (place, group) in groups.enumerated() {
            for worker in 0..<3 {
                let consumer = stream.group(group).consumer(as: "worker-\(worker)", ConsumerOptions(prefetch: 20))
                tasks.append(
                    consumer.work(into: logs[place]) { message in
                        do { _ = try ClientCandle(message.entry) } catch { refused.withLock { $0 += 1 } }
                        if place == 2 { try await Task.sleep(for: .milliseconds(1)) }
                    })
                consumers.append(consumer)
            }
        }
        // Every seventh one is missing at first, and comes when others are behind it.
        for start in stride(from: 0, to: times.count, by: 60) {
            let part = Array(start..<start + 60)
            try CandleStreamTests.merge(rig, .m1, part.filter { $0 % 7 != 3 }.map { times[$0] })
            if start > 0 { try CandleStreamTests.merge(rig, .m1, part.map { $0 - 60 }.filter { $0 % 7 == 3 }.map { times[$0] }) }
        }
        // What was appended is told by the history; what was inserted behind a group's place is in its changes.
        let appended = Set(times.indices.filter { $0 % 7 != 3 }.map { StreamID(UInt64(times[$0])) })
        for (place, group) in groups.enumerated() {
            try await eventually(20, "\(group): \(appended.subtracting(logs[place].distinct).count) are missing") {
                appended.isSubset(of: logs[place].distinct) && rig.pending(stream.key, group) == 0
            }
            #expect(logs[place].count == logs[place].distinct.count, "\(group): each once")
        }
        #expect(refused.value == 0)
        for info in try await stream.groups() { #expect(info.lag == 0 && info.pending == 0, "\(info)") }
        for consumer in consumers { await consumer.stop() }
        for task in tasks { try await task.end() }
    }

    /// A service and the local exchange: what the stream tells is what the history has.
    @Test func theServicesCandles() async throws {
        var options = Rig.Options()
        options.simulator.symbolCount = 2
        options.simulator.pushPeriodMs = 100
        options.simulator.illiquidEvery = 0
        let rig = try Rig(options)
        let streams = try await RedisStreams.connect(rig.redis.endpoint)
        defer { streams.close() }
        let symbols = rig.venue.symbols.map(\.symbol)
        let all = symbols.map { Series(symbol: $0, interval: .s1) }
        let told = Shared<[String: [Int64]]>([:])
        let others = Shared(0)
        let task = Task {
            for try await event in streams.candles(all[0], all[1], after: .start) {
                guard case .candle(let series, let candle) = event else {
                    others.withLock { $0 += 1 }
                    continue
                }
                told.withLock { $0[series.symbol.name, default: []].append(candle.openTime) }
            }
        }
        try await eventually(30, "four candles of each") { told.value.count == 2 && told.value.values.allSatisfy { $0.count >= 4 } }
        #expect(rig.finish().isClean)
        for (symbol, series) in zip(symbols, all) {
            let entries = try rig.client.command("XRANGE", Keys.schema.historyKey(series), "-", "+").elements
            let kept = entries.compactMap { $0.elements[0].text.flatMap { StreamID($0) } }.map { Int64($0.milliseconds) }
            try await eventually(10, "\(symbol.name): all \(kept.count)") { told.value[symbol.name]?.count ?? 0 >= kept.count }
            #expect(told.value[symbol.name] == kept)
        }
        task.cancel()
        _ = try? await task.end()
    }
}
