// The JSON cases as a whole frame, as the envelope's data, as the bar, as each field that is read, and as an unknown
// member or its name before, between and after: the whole message is validated, not only what is looked at.

import FastFeed
import Foundation
import TestKit
import Testing

struct JSONCorpusTests {
    @Test func enoughCases() {
        #expect(JSONCases.accepted.count > 110 && JSONCases.refused.count > 280 && JSONCases.open.count > 40)
        // The table is not wrong about itself; where it leaves a case open, UTF-8, grammar and depth decide.
        for json in JSONCases.all where json.verdict != .open {
            #expect((ReferenceJSON.read(json.bytes) != nil) == (json.verdict == .accepted), "\(json.name)")
        }
    }

    @Test func outcomes() {
        let (complaints, seen) = outcomes(of: JSONCases.all)
        #expect(complaints.isEmpty, "\(complaints.summary)")
        // Every reason that a single bad value can have was there.
        for reason: CounterID in [
            .rejectedMalformed, .rejectedNotUTF8, .rejectedMissing, .rejectedType, .rejectedLong, .rejectedNumber, .rejectedInterval,
            .rejectedContradiction,
        ] { #expect(seen[reason, default: 0] > 0, "\(reason)") }
    }

    /// Each case in every place: what does not become of it what must, and how often each reason for a refusal came.
    private func outcomes(of cases: [JSONCase]) -> (complaints: Complaints, seen: [CounterID: Int]) {
        let bench = ParserBench()
        var complaints = Complaints()
        var seen: [CounterID: Int] = [:]
        for json in cases {
            for frame in JSONPlace.frames(json) {
                let parsed = bench.parse(frame.bytes)
                let expected = JSONPlace.outcome(frame, json)
                complaints.check(FrameOutcome(parsed) == expected, "\(json.name) as \(frame.name): \(parsed), not \(expected)")
                if frame.place == .unknownMember || frame.place == .unknownKey, expected == .kline {
                    complaints.check(parsed == .kline(KlineText.expected), "\(json.name) as \(frame.name): \(parsed)")
                }
                if json.verdict == .refused { complaints.check(parsed.isMalformed, "\(json.name) as \(frame.name): \(parsed)") }
                if case .rejected(let reason) = expected { seen[reason, default: 0] += 1 }
            }
        }
        return (complaints, seen)
    }

    private static let corpusPath = ProcessInfo.processInfo.environment["FASTFEED_JSON_CORPUS"]

    /// nst/JSONTestSuite itself: every file in every place, and none whose content the tables leave out.
    @Test(.enabled(if: corpusPath != nil, "FASTFEED_JSON_CORPUS names no directory with the files of nst/JSONTestSuite"))
    func corpusFiles() throws {
        let directory = try #require(JSONCorpusTests.corpusPath)
        let paths = try FileManager.default.subpathsOfDirectory(atPath: directory).filter { $0.hasSuffix(".json") }.sorted()
        let files = try paths.map { path in
            let name = path.split(separator: "/").last!
            let verdict: JSONCase.Verdict = name.hasPrefix("y_") ? .accepted : name.hasPrefix("n_") ? .refused : .open
            return JSONCase(verdict: verdict, bytes: [UInt8](try Data(contentsOf: URL(filePath: "\(directory)/\(path)"))), label: path)
        }
        #expect(files.count > 300, "\(files.count) files in \(directory)")
        let known = Set(JSONCases.all.map(\.bytes))
        for file in files {
            #expect(known.contains(file.bytes) || known.contains(unwrapped(file.bytes)), "not in the tables: \(file.name)")
            guard file.verdict != .open else { continue }
            #expect((ReferenceJSON.read(file.bytes) != nil) == (file.verdict == .accepted), "\(file.name)")
        }
        let (complaints, seen) = outcomes(of: files)
        #expect(complaints.isEmpty, "\(complaints.summary)")
        print("\(files.count) files; refusals by reason: \(seen.map { "\($0.key.name) \($0.value)" }.sorted().joined(separator: ", "))")
    }

    /// What a list holds, whatever white space is around the list.
    private func unwrapped(_ bytes: [UInt8]) -> [UInt8] {
        let isSpace: (UInt8) -> Bool = { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }), first < last,
            bytes[first] == UInt8(ascii: "["), bytes[last] == UInt8(ascii: "]")
        else { return bytes }
        return Array(bytes[(first + 1)..<last])
    }

    /// Through a reader's decoder: the counters rise by exactly one, no record is kept, the next good frame is.
    @Test func counters() {
        let bench = DecoderBench()
        var complaints = Complaints()
        for json in JSONCases.all {
            for frame in JSONPlace.frames(json) {
                let expected = JSONPlace.outcome(frame, json)
                var (records, changes) = bench.run(RawFrame(1, frame.bytes).bytes)
                // Which of the two parsers has read it is another matter.
                changes[.layoutMisses] = nil
                let what = "\(json.name) as \(frame.name)"
                if frame.bytes.count > Limits.venueMessageBytesMax {
                    complaints.check(records == 0 && changes == [:], "\(what): \(records) records, \(changes)")
                } else if frame.bytes.count < Limits.klineBytesMin || expected == .notice {
                    // The reader's affair: it is handed out.
                    complaints.check(records == 0 && changes == [.messagesReceived: 1] && bench.notices == 1, "\(what): \(changes)")
                } else if case .rejected(let reason) = expected {
                    complaints.check(records == 0 && changes == [.messagesReceived: 1, reason: 1], "\(what): \(changes), not \(reason)")
                } else {
                    complaints.check(records == 1 && changes == [.messagesReceived: 1], "\(what): \(records) records, \(changes)")
                }
                let (good, _) = bench.run(RawFrame(1, KlineText().text).bytes)
                complaints.check(good == 1, "\(what): the next good frame is not taken")
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    /// The control path's parser is another one: it must not crash on any of them either, nor take JSON that is none.
    @Test func notices() {
        var complaints = Complaints()
        for json in JSONCases.all {
            let notice = withPadded(json.bytes) { Binance(.spot).notice($0) }
            switch json.verdict {
            // (It allows more depth than the hot path: 100 levels are fine with it.)
            case .refused: complaints.check(notice == nil || ReferenceJSON.read(json.bytes, depthMax: 1_024) != nil, json.name)
            case .accepted: complaints.check(notice == .other("") || isBeyond64Bits(json.bytes), json.name)
            case .open: break
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    private func isBeyond64Bits(_ bytes: [UInt8]) -> Bool {
        String(decoding: bytes, as: UTF8.self).wholeMatch(of: /-?[0-9]{20,}/) != nil
    }
}

/// A reader's decoder with its ring and counters, and a connection that is replaced when it breaks.
private final class DecoderBench {
    private let counters = CounterBank()
    private let ring = SPSCRing<CandleRecord>(zeroed: 64)
    private var consumer: SPSCRing<CandleRecord>.Consumer
    private let decode: UnsafeMutablePointer<RecordDecoder<KlineParser>>
    private let frames = UnsafeMutablePointer<FrameDecoder>.allocate(capacity: 1)
    private var needsConnection = false
    /// Messages handed out in the last run.
    private(set) var notices = 0

    init() {
        consumer = SPSCRing.Consumer(ring)
        // For the life of the process: a test's.
        decode = .allocate(capacity: 1)
        decode.initialize(to: RecordDecoder(ring: ring, counters: counters))
        decode.pointee.index.set(Symbol("btcusdt")!, .m1, SeriesHandle(id: 0, generation: 1))
        frames.initialize(to: DecoderBench.connection())
    }

    private static func connection() -> FrameDecoder {
        var options = FrameDecoder.Options()
        options.checksTextInPlace = false
        return FrameDecoder(options)
    }

    /// Records kept of these bytes, and the counters that rose.
    func run(_ bytes: [UInt8]) -> (records: Int, changes: [CounterID: UInt64]) {
        let before = CounterID.allCases.map { counters.value($0) }
        notices = 0
        if needsConnection { frames.pointee = DecoderBench.connection() }
        needsConnection = false
        withPadded(bytes) { raw in
            frames.pointee.supply(UnsafeMutableRawPointer(mutating: raw.start), count: raw.count)
            while true {
                switch decode.pointee.run(&frames.pointee, nowNs: 1) {
                case .notice: notices += 1
                case .violation, .notUTF8, .close: needsConnection = true
                default: return
                }
                if needsConnection { return }
            }
        }
        decode.pointee.publish()
        let records = consumer.available()
        consumer.free(records)
        var changes: [CounterID: UInt64] = [:]
        for id in CounterID.allCases where counters.value(id) != before[id.rawValue] {
            changes[id] = counters.value(id) - before[id.rawValue]
        }
        return (records, changes)
    }
}
