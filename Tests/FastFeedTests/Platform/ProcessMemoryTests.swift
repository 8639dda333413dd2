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

    @Test func aLeanThreadKeepsNothing() throws {
        let (count, bytes) = (256, 1 << 20)
        let seen = Lock((full: UInt64(0), after: UInt64(0), heap: UInt64(0)))
        try PinnedThread.start(name: "lean") {
            ProcessMemory.keepNothing()
            let heap = HeapStatistics.allocatedBytes() ?? 0
            var blocks = (0..<count).map { _ in [UInt8](repeating: 1, count: bytes) }
            seen.withLock { $0 = (ProcessMemory.residentBytes(), 0, (HeapStatistics.allocatedBytes() ?? 0) &- heap) }
            blocks.removeAll()
            seen.withLock { $0.after = ProcessMemory.residentBytes() }
        }.join()
        let (full, after, heap) = seen.withLock { $0 }
        guard heap >= UInt64(count * bytes / 2), heap < UInt64.max / 2 else {
            print("skipped: jemalloc does not allocate here, a sanitizer does")
            return
        }
        // Tests run beside this one.
        #expect(Int(full) - Int(after) > count * bytes / 2, "\(full >> 20) MiB, then \(after >> 20)")
    }
}
