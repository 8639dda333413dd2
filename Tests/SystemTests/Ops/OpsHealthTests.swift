// Probes, what a supervisor hears, and the exit codes of `feedd health`.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

@Suite("Ops server: health", .serialized)
struct OpsHealthTests {
    private func health(_ rig: OpsRig, _ flags: String...) throws -> (code: Int32, text: String) {
        let run = try ProgramRun(["health", "http://127.0.0.1:\(rig.port)"] + flags)
        return (run.end(), run.outputText + run.errorText)
    }

    @Test func redisAway() throws {
        let rig = try OpsRig()
        try rig.waitUntilReady()
        try eventually(20, "healthy") { try health(rig).code == 0 }
        #expect(try health(rig, "--ready").code == 0 && health(rig, "--live").text == "ok\n")
        rig.redis.kill9()
        try eventually(10, "not ready") { try rig.get("/readyz").status == 503 }
        #expect(try rig.get("/livez").status == 200)
        #expect(try rig.get("/healthz").body.contains("[-]redis no connection"))
        let said = try health(rig)
        #expect(said.code == 1 && said.text.contains("[-]redis"), "\(said)")
        #expect(try health(rig, "--live").code == 0)
        let json = try rig.get("/healthz", ["Accept: application/json"]).json
        #expect(json["ok"]?.bool == false && json["checks"]?.array?.isEmpty == false)
        try rig.redis.restart()
        try eventually(20, "ready again") { try rig.get("/readyz").status == 200 }
    }

    @Test func exchangeAway() throws {
        let rig = try OpsRig()
        try rig.waitUntilReady()
        rig.venue.inject(Fault(.refuseConnect, durationMs: 5_000))
        rig.venue.inject(Fault(.massDisconnect))
        try eventually(10, "not ready") { try rig.get("/readyz").body.contains("[-]exchange 0 of 1 connections") }
        #expect(try rig.get("/livez").status == 200)
        try eventually(40, "ready again") { try rig.get("/readyz").status == 200 }
    }

    @Test func nobodyThere() throws {
        let run = try ProgramRun(["health", "http://127.0.0.1:1"])
        #expect(run.end() == 3 && run.errorText.contains("http://127.0.0.1:1"), "\(run.errorText)")
        #expect(try ProgramRun(["health", "--live", "--ready"]).end() == 2)
        // The service's own settings tell where it is.
        let rig = try OpsRig()
        let found = try ProgramRun(["health", "--live"], environment: ["FEEDD_OPS": "0.0.0.0:\(rig.port)"])
        #expect(found.end() == 0, "\(found.errorText)")
    }

    /// One thread of the program stands still: only another process can do that to it.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "needs python3"))
    func aThreadThatStandsStill() throws {
        let supervisor = try Supervisor()
        let environment = ["NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "600000"]
        let rig = try OpsRig(arguments: ["--threading", "dedicated"], environment: environment)
        try rig.waitUntilReady()
        let tasks = "/proc/\(rig.program.pid)/task"
        let sink = try FileManager.default.contentsOfDirectory(atPath: tasks).first { task in
            (try? String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)) == "sink\n"
        }
        let thread = try #require(sink)
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        // Seized and interrupted: it goes on when the holder ends.
        let hold =
            "import ctypes,sys,time\np=ctypes.CDLL(None).ptrace\nsys.exit(1) if p(0x4206,\(thread),0,0) or p(0x4207,\(thread),0,0) else time.sleep(60)"
        holder.arguments = ["-c", hold]
        try holder.run()
        defer {
            kill(holder.processIdentifier, SIGKILL)
            holder.waitUntilExit()
        }
        try eventually(30, "livez says so (\(holder.isRunning ? "held" : "ptrace is refused here"))") {
            if !holder.isRunning { return true }
            return try rig.get("/livez").body.contains("sink has not answered for")
        }
        guard holder.isRunning else { return print("skipped: ptrace is refused here") }
        #expect(try rig.get("/livez").status == 503 && health(rig, "--live").code == 1)
        // The watchdog gets no sign of life while it is so.
        let before = supervisor.listen().filter { $0 == "WATCHDOG=1" }.count
        sleep(2)
        #expect(supervisor.listen().filter { $0 == "WATCHDOG=1" }.count == before)
        kill(holder.processIdentifier, SIGKILL)
        try eventually(20, "alive again") { try rig.get("/livez").status == 200 }
    }

    // MARK: Supervisors

    /// A supervisor's socket.
    private final class Supervisor {
        let path: String
        private let number: Int32
        private(set) var heard: [String] = []
        private let folder: TemporaryDirectory

        init() throws {
            folder = try TemporaryDirectory()
            path = folder.path + "/notify"
            number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            let address = try #require(SocketAddress(unixPath: path))
            let code = address.bytes.withUnsafeBytes {
                bind(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
            }
            try #require(code == 0)
        }

        deinit { close(number) }

        func listen() -> [String] {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            while true {
                let count = recv(number, &bytes, bytes.count, 0)
                guard count > 0 else { return heard }
                heard.append(String(decoding: bytes.prefix(count), as: UTF8.self))
            }
        }
    }

    @Test func aSupervisorHears() throws {
        let supervisor = try Supervisor()
        let environment = ["NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "600000"]
        let rig = try OpsRig(environment: environment)
        try eventually(15, "ready") { supervisor.listen().contains("READY=1") }
        try eventually(15, "signs of life") { supervisor.listen().filter { $0 == "WATCHDOG=1" }.count >= 5 }
        try eventually(15, "status") { supervisor.listen().contains { $0.hasPrefix("STATUS=") && $0.contains("connections") } }
        rig.program.signal(SIGTERM)
        #expect(rig.program.end() == 0)
        let heard = supervisor.listen()
        #expect(heard.filter { $0 == "READY=1" }.count == 1 && heard.last == "STOPPING=1", "\(heard.suffix(3))")
    }

    @Test func redisAwayDoesNotFailTheBoot() throws {
        let supervisor = try Supervisor()
        let run = try ProgramRun(
            ["run", "--flux", "btcusdt:1m", "--redis", "unix:///nowhere/redis.sock", "--venue-ws", "ws://127.0.0.1:1"],
            environment: ["NOTIFY_SOCKET": supervisor.path])
        try eventually(20, "ready all the same") { supervisor.listen().contains("READY=1") }
        run.signal(SIGTERM)
        _ = run.end()
    }
}
