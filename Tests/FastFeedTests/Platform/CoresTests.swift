// The cores that the process may use, against the kernel's own list.

import FastFeed
import Foundation
import Testing

struct CoresTests {
    /// `Cpus_allowed_list: 0-3,64` of this process.
    private func listed() throws -> [Int] {
        let status = try String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
        return try line.split(separator: ":")[1].trimmingCharacters(in: .whitespaces).split(separator: ",").flatMap { range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            return Array(try #require(ends.first)...(try #require(ends.last)))
        }
    }

    @Test func allowedAreThoseOfTheKernel() throws {
        let cores = Cores.allowed()
        #expect(try cores == listed() && !cores.isEmpty)
    }

    @Test func aThreadIsBoundUnlessItHasEnded() throws {
        let core = try #require(Cores.allowed().last)
        let bound = Lock<[Int]>([])
        try PinnedThread.start(name: "bound", core: core) { bound.withLock { $0 = Cores.allowed() } }.join()
        #expect(bound.withLock { $0 } == [core])
        // No thread has this id: ids end below.
        try Cores.bind(thread: .max, to: core)
        #expect(throws: SystemError.self) { try Cores.bind(thread: 0, to: 1_023) }
    }
}
