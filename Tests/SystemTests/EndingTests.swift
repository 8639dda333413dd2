// How the program ends when its terminal goes, and when nobody reads what it logs.

import Foundation
import Glibc
import TestKit
import Testing

@Suite("Ending", .serialized)
struct EndingTests {
    private static let run = ["run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1", "--redis", "redis://127.0.0.1:1"]

    private static func blocks(_ signal: Int32, _ pid: Int32) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let mask = status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }?.split(separator: "\t").last.flatMap {
            UInt64($0, radix: 16)
        }
        return mask.map { $0 >> UInt64(signal - 1) & 1 == 1 } ?? false
    }

    @Test("SIGHUP ends it as SIGTERM does")
    func hangUp() throws {
        // Whoever runs the tests may have told them to ignore it.
        let before = signal(SIGHUP, SIG_DFL)
        defer { signal(SIGHUP, before) }
        let run = try ProgramRun(EndingTests.run)
        try #require(run.shows("starting"))
        run.signal(SIGHUP)
        #expect(run.end() == 0)
        #expect(run.errorText.contains("stopping: SIGHUP"))
    }

    /// The feed goes on, and so does everything else that the thread has to do which writes the log.
    @Test("A standard error that nobody reads holds nothing up")
    func fullPipe() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/errors"
        try #require(mkfifo(path, 0o600) == 0)
        let pipe = open(path, O_RDWR | O_NONBLOCK)
        defer { close(pipe) }
        let page = [UInt8](repeating: 0x2E, count: 4_096)
        while write(pipe, page, page.count) > 0 {}
        let run = try ProgramRun(EndingTests.run + ["--report-seconds", "1"], output: .redirected("2>'\(path)'"))
        // It is the program, not the shell before it, and it has taken signals to itself.
        try #require(comesTrue(within: 10) { EndingTests.blocks(SIGTERM, run.pid) })
        run.signal(SIGTERM)
        #expect(run.end() == 0)
    }
}
