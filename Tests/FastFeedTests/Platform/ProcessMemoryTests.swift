// The start's memory is given back, and what is still needed comes back by itself.

import FastFeed
import Foundation
import Testing

@Suite(.serialized)
struct ProcessMemoryTests {
    /// Resident pages of files, in KiB.
    private func codeKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return try #require(status.firstMatch(of: /RssFile:\s+(\d+)/).flatMap { Int($0.1) })
    }

    @Test func codeComesBackWhenItIsUsed() throws {
        let bench = ParserBench()
        let before = bench.parse(KlineText().combined().bytes)
        let kib = try codeKiB()
        ProcessMemory.giveBackStart()
        // Tests run beside this one and bring some of it back at once.
        #expect(try codeKiB() < kib * 3 / 4)
        #expect(bench.parse(KlineText().combined().bytes) == before)
        #expect(bench.parse("{\"e\":1}") == .notice)
    }
}
