// What is done with streams, by whom, and what is asked of the library: ratios of its figures to those of the other programs in the same
// run. Plain values, and one run of one program. Main thread.

import FastFeed
import Foundation
import RedisServer
import VenueSimulator

/// A program that does the same work with the same arguments.
enum StreamContestant: String, CaseIterable {
    /// The library: this program, as a process of its own.
    case fastfeed
    /// perf/reference/streams, in C over hiredis.
    case hiredis
    /// perf/peers/redis-py with hiredis; not everywhere to be had.
    case redisPy = "redis-py"

    /// The program and what stands before the work's own arguments.
    func command(_ programs: StreamPrograms) -> (URL, [String]) {
        switch self {
        case .fastfeed: (programs.fastfeed, ["stream-work"])
        case .hiredis: (programs.hiredis, [])
        case .redisPy: (programs.python, [programs.script.path])
        }
    }
}

/// Where they are: each is left there by perf/streams.sh.
struct StreamPrograms {
    let fastfeed, hiredis, python, script: URL

    init(reference: URL? = nil) {
        fastfeed = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let build = fastfeed.appendingPathComponent("../../..").standardized
        hiredis = reference ?? build.appendingPathComponent("reference/streams")
        python = build.appendingPathComponent("peers/redis-py/bin/python")
        script = build.appendingPathComponent("peers/redis-py/streams.py")
    }

    /// Nil: all of it is there.
    func missing(_ contestant: StreamContestant) -> URL? {
        let files: [URL] =
            switch contestant {
            case .fastfeed: []
            case .hiredis: [hiredis]
            case .redisPy: [python, script]
            }
        return files.first { !FileManager.default.fileExists(atPath: $0.path) }
    }
}

/// A ratio of the library's figure to another program's.
struct StreamGoal {
    let figure: String
    let against: StreamContestant
    let limit: Double
    var isAtLeast: Bool { figure == StreamCase.rate }

    static func rate(_ limit: Double, _ against: StreamContestant) -> StreamGoal {
        StreamGoal(figure: StreamCase.rate, against: against, limit: limit)
    }
    /// go-redis's cost by that of the C program on the machine where both were measured (perf/README.md): the library's is to be no more.
    static func cpuOfGo(_ byC: Double) -> StreamGoal { StreamGoal(figure: StreamCase.cpu, against: .hiredis, limit: byC) }

    func isMet(_ ratio: Double) -> Bool { isAtLeast ? ratio >= limit : ratio <= limit }
    func text(_ ratio: Double) -> String { "(goal: \(isAtLeast ? "≥" : "≤") \(shown(limit)), \(isMet(ratio) ? "met" : "MISSED"))" }
}

struct StreamCase {
    let name: String
    let mode: StreamMode
    let batch: Int
    let fields: Int
    /// The library's handler runs wherever tasks run (`RedisStreams.executor`).
    var isElsewhere = false
    let goals: [StreamGoal]

    static let rate = "messages"
    static let cpu = "message-cpu"
    /// A second.
    static let latencyRate = 1_000
    private static let key = "bench:{stream}"

    var figures: [String] { mode == .latency ? ["p50", "p99", StreamCase.cpu] : [StreamCase.rate, StreamCase.cpu] }

    private static let latencyGoals = [
        StreamGoal(figure: "p50", against: .hiredis, limit: 1.3), StreamGoal(figure: "p50", against: .redisPy, limit: 0.8),
    ]

    static let all = [
        StreamCase(
            name: "consume", mode: .consume, batch: 100, fields: 4,
            goals: [.rate(0.85, .hiredis), .rate(1.9, .redisPy), .cpuOfGo(2.3 / 0.9)]),
        StreamCase(
            name: "consume-candles", mode: .consume, batch: 100, fields: 14,
            goals: [.rate(0.85, .hiredis), .rate(1.5, .redisPy), .cpuOfGo(3.7 / 1.9)]),
        StreamCase(
            name: "consume-by-10", mode: .consume, batch: 10, fields: 14, goals: [.rate(0.85, .hiredis), .rate(2, .redisPy)]),
        StreamCase(name: "produce", mode: .produce, batch: 100, fields: 4, goals: [.rate(0.9, .hiredis), .rate(3, .redisPy)]),
        StreamCase(name: "produce-candles", mode: .produce, batch: 100, fields: 14, goals: [.rate(0.9, .hiredis), .rate(3, .redisPy)]),
        StreamCase(name: "range-candles", mode: .range, batch: 1_000, fields: 14, goals: [.rate(0.85, .hiredis)]),
        StreamCase(
            name: "latency", mode: .latency, batch: 100, fields: 4,
            goals: latencyGoals),
        StreamCase(name: "latency-elsewhere", mode: .latency, batch: 100, fields: 4, isElsewhere: true, goals: latencyGoals),
    ]

    // MARK: One run

    /// A fresh stream, the program's work, and the proof that all of it was done.
    /// - Parameter count: entries.
    /// - Parameter port: of the server, on 127.0.0.1.
    func run(
        _ contestant: StreamContestant, count: Int, _ programs: StreamPrograms, _ server: RedisServerProcess, port: UInt16
    ) throws -> [String: Double] {
        let client = try RedisClient.connect(server.endpoint, timeout: .seconds(60))
        defer { client.close() }
        try expect("OK", client.command("FLUSHALL"))
        let isRead = mode == .consume || mode == .range
        if isRead { try fill(client, count) }
        if mode != .produce { try expect("OK", client.command("XGROUP", "CREATE", StreamCase.key, "bench", "0", "MKSTREAM")) }
        let (program, first) = contestant.command(programs)
        let flags = contestant == .fastfeed && isElsewhere ? ["--elsewhere"] : []
        let process = try ReferenceProcess(
            program, first + [mode.rawValue, "\(port)", StreamCase.key, "\(count)", "\(batch)", "\(fields)"] + flags)
        if mode == .latency { try produce(client, count, process) }
        let said = try JSONDecoder().decode(StreamSaid.self, from: JSONSerialization.data(withJSONObject: process.said()))
        guard process.waitForEnd() == 0 else { throw FeedError(.system, "the program has failed") }
        try prove(said, client, count)
        let cpu = said.cpuSeconds / Double(said.messages) * 1e6
        if mode == .latency { return ["p50": said.p50 ?? 0, "p99": said.p99 ?? 0, StreamCase.cpu: cpu] }
        return [StreamCase.rate: Double(said.messages) / said.seconds, StreamCase.cpu: cpu]
    }

    private func expect(_ text: String, _ reply: RedisReply) throws {
        guard reply.text == text else { throw FeedError(.redis, "Redis answers \(reply)") }
    }

    /// A script is faster than any client, and holds the server for a fraction of a second.
    private func fill(_ client: RedisClient, _ count: Int) throws {
        let script = """
            for place = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2)) end
            return redis.call('XLEN', KEYS[1])
            """
        let texts = StreamSaid.fields(fields).flatMap { [$0.0, $0.1] }
        var there = 0
        while there < count {
            let reply = try client.command(["EVAL", script, "1", StreamCase.key, "\(min(20_000, count - there))"] + texts)
            guard let length = reply.integer, length > there else { throw FeedError(.redis, "filling the stream: \(reply)") }
            there = Int(length)
        }
    }

    /// An open loop: entries leave at even distances, once the program waits for them.
    private func produce(_ client: RedisClient, _ count: Int, _ process: Program) throws {
        try Wait.until(20, "the program to wait for entries", turn: process.mustRun) {
            try client.command("INFO", "clients").text?.contains("blocked_clients:1") == true
        }
        let startedNs = MonotonicClock.nowNs()
        for place in 0..<count {
            let dueNs = startedNs + UInt64(place) * 1_000_000_000 / UInt64(StreamCase.latencyRate)
            while case let nowNs = MonotonicClock.nowNs(), nowNs < dueNs { usleep(UInt32((dueNs - nowNs) / 1_000 + 1)) }
            let reply = try client.command(
                "XADD", StreamCase.key, "*", "order_id", "123456789", "amount", "99.99", "status", "created", "sent",
                "\(MonotonicClock.nowNs())")
            guard reply.text != nil else { throw FeedError(.redis, "XADD: \(reply)") }
        }
    }

    /// Every entry once, with all of its fields; nothing is left pending.
    private func prove(_ said: StreamSaid, _ client: RedisClient, _ count: Int) throws {
        let bytes = count * StreamSaid.fields(fields).reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count }
        guard said.messages == count, mode == .latency || said.bytes == bytes else {
            throw FeedError(.redis, "\(said.messages) messages of \(said.bytes) bytes, not \(count) of \(bytes)")
        }
        let length = try client.command("XLEN", StreamCase.key).integer ?? 0
        guard length == count else { throw FeedError(.redis, "the stream has \(length) entries, not \(count)") }
        guard mode == .consume || mode == .latency else { return }
        let group = Dictionary(try StreamCase.pairs(client.command("XINFO", "GROUPS", StreamCase.key).elements.first)) { $1 }
        guard group["pending"] == 0, group["lag"] == 0 else {
            throw FeedError(.redis, "the group has \(group["pending"] ?? -1) pending and a lag of \(group["lag"] ?? -1)")
        }
    }

    /// The numbers of an XINFO reply.
    private static func pairs(_ reply: RedisReply?) -> [(String, Int64)] {
        let parts = reply?.elements ?? []
        return stride(from: 0, to: parts.count - 1, by: 2).compactMap { place in
            guard let name = parts[place].text, let value = parts[place + 1].integer else { return nil }
            return (name, value)
        }
    }
}
