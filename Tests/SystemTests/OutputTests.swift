// What becomes of what a command prints: a full disk is an error that is said, a reader who has gone is none.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Command line: output that cannot be written", .serialized)
struct OutputTests {
    private let server: RedisServerProcess
    private var place: [String] { ["--redis", "unix://\(server.socketPath)"] }

    init() throws { server = try RedisServerProcess() }

    private static let full = ProgramRun.Place.redirected(">/dev/full")
    private static let noRoom = "feedd: cannot write to standard output: No space left on device\n"

    private static let commands = [
        ["list"], ["list", "--json"], ["create", "btcusdt", "1m"], ["stop", "x"], ["status"], ["status", "1m_btcusdt"],
        ["data", "btcusdt", "1m", "3"], ["data", "btcusdt", "1m", "3", "--json"], ["monitor", "--count", "1"],
        ["monitor", "--count", "1", "--json"], ["monitor", "--every", "0.1"], ["monitor", "--every", "0.1", "--json"],
    ]

    @Test("A full disk: 1 and a sentence; a closed pipe: 0 and silence", arguments: commands)
    func client(command: [String]) throws {
        let service = try ScriptedService(server.endpoint)
        let full = try ProgramRun(command + place, output: OutputTests.full)
        #expect(full.end() == 1)
        #expect(full.errorText == OutputTests.noRoom)
        let piped = try ProgramRun(command + place, output: .closedPipe)
        #expect(piped.end() == 0)
        #expect(piped.errorText.isEmpty, "\(piped.errorText)")
        let closed = try ProgramRun(command + place, output: .redirected(">&-"))
        #expect(closed.end() == 1)
        #expect(closed.errorText == "feedd: cannot write to standard output: Bad file descriptor\n")
        service.stop()
    }

    @Test("The same for watch")
    func watch() async throws {
        let publisher = try RedisClient.connect(server.endpoint)
        for (output, status, errors) in [(OutputTests.full, Int32(1), OutputTests.noRoom), (.closedPipe, 0, "")] {
            let watch = try ProgramRun(["watch", "btcusdt", "1m"] + place, output: output)
            try await eventually(10, "somebody who listens") {
                try publisher.command("PUBLISH", Keys.updates("btcusdt", .m1), ScriptedService.update(1)).integer == 1
            }
            #expect(watch.end() == status)
            #expect(watch.errorText == errors)
        }
    }

    /// The window was closed; nobody is told anything any more.
    @Test("A live view whose terminal has gone ends silently", arguments: [["monitor"], ["demo", "--symbols", "1", "--speed", "60"]])
    func terminalGone(command: [String]) throws {
        let service = try ScriptedService(server.endpoint)
        let (ours, theirs) = try OutputTests.terminal()
        let options = command[0] == "demo" ? [] : place
        let run = try ProgramRun(command + options, environment: ["TERM": "xterm"], output: .terminal(theirs))
        var (bytes, frames) = ([UInt8](repeating: 0, count: 65_536), 0)
        try eventually(20, "ten frames: \(run.errorText)") {
            let count = max(0, read(ours, &bytes, bytes.count))
            // Each begins with mode 2026.
            frames += String(decoding: bytes[..<count], as: UTF8.self).ranges(of: "\u{1B}[?2026h").count
            return frames >= 10
        }
        close(ours)
        #expect(run.end(within: 30) == 0)
        #expect(run.errorText.isEmpty, "\(run.errorText)")
        service.stop()
    }

    /// A terminal's two ends: ours to read what is shown, and the program's. Nobody's controlling terminal.
    private static func terminal() throws -> (ours: Int32, theirs: FileHandle) {
        let ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        var (locked, number) = (Int32(0), Int32(0))
        // TIOCSPTLCK and TIOCGPTN, which are macros.
        try #require(ours >= 0 && ioctl(ours, 0x4004_5431, &locked) == 0 && ioctl(ours, 0x8004_5430, &number) == 0)
        let theirs = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(theirs >= 0)
        return (ours, FileHandle(fileDescriptor: theirs, closeOnDealloc: true))
    }

    @Test(
        "Help, version and completion",
        arguments: [["--help"], ["--version"], ["data", "--help"], ["help", "run"], ["--generate-completion-script", "bash"]])
    func texts(command: [String]) throws {
        let full = try ProgramRun(command, output: OutputTests.full)
        #expect(full.end() == 1)
        #expect(full.errorText == OutputTests.noRoom)
        let piped = try ProgramRun(command, output: .closedPipe)
        #expect(piped.end() == 0)
        #expect(piped.errorText.isEmpty, "\(piped.errorText)")
    }

    @Test("simulate and demo end and say so")
    func longOnes() throws {
        let simulate = try ProgramRun(["simulate", "--port", "0"], output: OutputTests.full)
        #expect(simulate.end() == 1)
        #expect(simulate.errorText == OutputTests.noRoom)
        let demo = try ProgramRun(["demo", "--plain", "--symbols", "1"], output: OutputTests.full)
        #expect(demo.end(within: 30) == 1)
        #expect(demo.errorText.contains(OutputTests.noRoom), "\(demo.errorText)")
        let piped = try ProgramRun(["simulate", "--port", "0", "--status-seconds", "0"], output: .closedPipe)
        // Blocked before the program prints, and fetched only when it has: it goes on without a reader, and ends as asked.
        piped.signal(SIGTERM)
        let status = piped.end()
        #expect(status == 0 || status == -SIGTERM)
        #expect(piped.errorText.isEmpty, "\(piped.errorText)")
    }

    @Test("A truth file that is cut off is said")
    func truthFile() throws {
        let run = try ProgramRun(["simulate", "--port", "0", "--symbols", "2", "--truth-file", "/dev/full", "--speed", "100"])
        try eventually(10, "a line") { run.outputText.contains("\n") }
        let port = try #require(run.outputText.firstMatch(of: /ws:\/\/127.0.0.1:(\d+)/)).1
        // What nobody follows is not in the truth.
        let client = try WebSocketClient.connect(url: "ws://127.0.0.1:\(port)/ws/btcusdt@kline_1s")
        guard case .text? = try client.receive(timeout: .seconds(10)) else {
            Issue.record("no event")
            return
        }
        run.signal(SIGTERM)
        #expect(run.end() == 1)
        #expect(run.errorText == "feedd: the truth file is not whole: No space left on device\n")
    }

    /// The log of a daemon that was started with its descriptors closed must not end up in a socket.
    @Test("A service without standard descriptors", .looksIntoProgram)
    func noDescriptors() throws {
        let client = try RedisClient.connect(server.endpoint)
        let run = try ProgramRun(
            ["run", "--flux", "btcusdt:1m", "--venue-ws", "ws://127.0.0.1:1"] + place, output: .redirected("<&- >&- 2>&-"))
        try eventually(20, "its status") { try client.command("HGET", Keys.service, "state").text != nil }
        for number in 0...2 {
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(run.pid)/fd/\(number)") == "/dev/null")
        }
        run.signal(SIGTERM)
        #expect(run.end() == 0)
    }
}
