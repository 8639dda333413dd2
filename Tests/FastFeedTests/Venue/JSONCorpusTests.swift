// The JSON cases as a whole frame, as the envelope's data, as the bar, as each field that is read, and as an unknown
// member before, between and after: the whole message is validated, not only what is looked at.

import FastFeed
import Testing

struct JSONCorpusTests {
    private let bench = ParserBench()

    @Test func enoughCases() {
        #expect(JSONCases.accepted.count > 70 && JSONCases.refused.count > 150 && JSONCases.open.count > 15)
    }

    @Test func acceptedCases() {
        var complaints = Complaints()
        for text in JSONCases.accepted {
            for frame in JSONPlace.frames(Array(text.utf8)) {
                let verdict = ReferenceVerdict(bench.parse(frame.bytes))
                complaints.check(verdict == ReferenceVerdict.of(frame.bytes), "\(text) as \(frame.name): \(verdict)")
                if frame.isUnknownMember {
                    complaints.check(verdict == .kline(KlineText.expected), "\(text) as \(frame.name) is \(verdict)")
                }
            }
            complaints.check(bench.parse(text) == .notice, "\(text) alone")
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func refusedCases() {
        var complaints = Complaints()
        for bytes in JSONCases.refused {
            for frame in JSONPlace.frames(bytes) {
                let verdict = bench.parse(frame.bytes)
                complaints.check(verdict.isMalformed, "\(String(decoding: bytes.prefix(60), as: UTF8.self)) as \(frame.name): \(verdict)")
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    @Test func openCases() {
        var complaints = Complaints()
        for text in JSONCases.open {
            for frame in JSONPlace.frames(Array(text.utf8)) {
                let verdict = ReferenceVerdict(bench.parse(frame.bytes))
                complaints.check(verdict == ReferenceVerdict.of(frame.bytes), "\(text) as \(frame.name): \(verdict)")
            }
        }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }

    /// The control path's parser is another one: it must not crash on any of them either, nor take JSON that is none.
    @Test func notices() {
        var complaints = Complaints()
        // (It allows more depth than the hot path: 100 levels are fine with it.)
        for bytes in JSONCases.refused where bytes.count(where: { $0 == UInt8(ascii: "]") }) != 100 {
            complaints.check(withPadded(bytes) { VenueNotice($0) } == nil, String(decoding: bytes.prefix(60), as: UTF8.self))
        }
        for text in JSONCases.accepted where text.wholeMatch(of: /-?[0-9]{20,}/) == nil {
            complaints.check(withPadded(Array(text.utf8)) { VenueNotice($0) } == .other(""), text)
        }
        for text in JSONCases.open { _ = withPadded(Array(text.utf8)) { VenueNotice($0) } }
        #expect(complaints.isEmpty, "\(complaints.summary)")
    }
}
