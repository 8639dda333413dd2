// Many at once: tasks that add, large batches, a Redis that is full in the middle; names and servers that mean no good.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing

@Suite("Streams: many at once, and hostile", .serialized, .streamLimit)
struct StreamLoadTests {
    @Test("Sixteen tasks add at once: all of it is there, each task's in its order")
    func manyTasks() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        let each = Nightly.count(everyday: 500, nightly: 5_000)
        let ids = try await withThrowingTaskGroup(of: (Int, [StreamID]).self) { tasks in
            for task in 0..<16 {
                tasks.addTask {
                    var ids: [StreamID] = []
                    for number in 0..<each { ids.append(try await orders.add(["task": "\(task)", "n": "\(number)"])) }
                    return (task, ids)
                }
            }
            return try await tasks.reduce(into: [Int: [StreamID]]()) { $0[$1.0] = $1.1 }
        }
        let rows = try rig.rows("orders")
        #expect(rows.count == 16 * each)
        for task in 0..<16 {
            let own = rows.filter { $0.fields[1] == "\(task)" }
            #expect(own.map(\.id) == ids[task] && own.map { $0.fields[3] } == (0..<each).map(String.init), "task \(task)")
        }
    }

    @Test("A batch of a hundred thousand: pipelined, in order; two at a time do not mix up their answers")
    func largeBatch() async throws {
        let rig = try await StreamRig()
        let (one, other) = (rig.streams["one"], rig.streams["other"])
        let count = 100_000
        async let first = one.add(contentsOf: (0..<count).map { ["n": "\($0)"] })
        async let second = other.add(contentsOf: (0..<1_000).map { ["n": "\($0)"] }, keep: .exactlyNewest(100))
        let (ids, few) = try await (first, second)
        #expect(ids.count == count && ids == ids.sorted() && Set(ids).count == count)
        #expect(try rig.length("one") == count && rig.length("other") == 100 && few.count == 1_000)
        let last = try rig.rows("one", ids[count - 3].description)
        #expect(last.map { $0.fields[1] } == ["99997", "99998", "99999"] && last.map(\.id) == Array(ids.suffix(3)))
        #expect(try rig.ids("other") == Array(few.suffix(100)))
        #expect(try await one.add(contentsOf: []).isEmpty)
    }

    @Test("Redis is full in the middle of a batch: what is in has its id, what is not has none, and the stream agrees")
    func fullInTheMiddle() async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let orders = rig.streams["orders"]
        let used = try #require(try rig.ask("INFO", "memory").text?.firstMatch(of: /used_memory:(\d+)/).flatMap { Int($0.1) })
        try rig.ask("CONFIG", "SET", "maxmemory", "\(used + 12_000_000)")
        let text = String(repeating: "x", count: 1_000)
        let error = await #expect(throws: StreamError.self) {
            try await orders.add(contentsOf: (0..<30_000).map { ["n": "\($0)", "text": text] })
        }
        guard case .partly(let ids, .unavailable(let words)) = error else {
            Issue.record("\(error.map { String("\($0)".prefix(200)) } ?? "nothing thrown")")
            return
        }
        let inside = ids.compactMap { $0 }
        #expect(ids.count == 30_000 && inside.count > 0 && inside.count < 30_000 && words.contains("OOM"))
        #expect(try rig.ids("orders") == inside)
        let numbers = ids.enumerated().filter { $0.element != nil }.map { "\($0.offset)" }
        #expect(try rig.rows("orders").map { $0.fields[1] } == numbers)
        try rig.ask("CONFIG", "SET", "maxmemory", "0")
        #expect(try await orders.add(contentsOf: [["n": "a"], ["n": "b"]]).count == 2)
    }

    @Test(
        "Too many calls are under way in the middle of a batch: what was sent before has its ids, and nothing comes behind it",
        .disabled(if: Sanitizer.isOn, "thousands of tasks, while Redis's patience is counted"))
    func tooManyCalls() async throws {
        let rig = try await StreamRig(timeout: .seconds(60))
        let orders = rig.streams["orders"]
        let pid = try #require(rig.server.pid)
        // Each of these is submitted when it is made: there is room for four of the batch's parts.
        kill(pid, SIGSTOP)
        try await eventually(10, "the server to stand still") {
            try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8).contains(") T ")
        }
        let others = (0..<Limits.streamCallsMax - 4).map { _ in Task.immediate { try await orders.length() } }
        let adding = Task.immediate { try await orders.add(contentsOf: (0..<20_000).map { ["n": "\($0)"] }) }
        kill(pid, SIGCONT)
        let error = await failure { try await adding.end() }
        for task in others { _ = try await task.end() }
        guard case .partly(let ids, .unavailable) = error else {
            Issue.record("\(error.map { String("\($0)".prefix(200)) } ?? "nothing thrown")")
            return
        }
        let known = ids.prefix { $0 != nil }.compactMap(\.self)
        #expect(ids.count == 20_000 && known.count == 4 * Limits.streamAddsPerBatch && ids[known.count...].allSatisfy { $0 == nil })
        #expect(try rig.ids("orders") == known)
        #expect(try await orders.add(contentsOf: [["n": "a"], ["n": "b"]]).count == 2)
    }

    @Test("The connection is lost in the middle of a batch: every id that is known is in the stream, and nothing comes later")
    func lostInTheMiddle() async throws {
        let rig = try await StreamRig()
        let orders = rig.streams["orders"]
        var wasPartly = false
        for _ in 0..<200 where !wasPartly {
            let before = try rig.length("orders")
            let adding = Task { try await orders.add(contentsOf: (0..<50_000).map { ["n": "\($0)"] }) }
            try await eventually(20, "the first of them") { try rig.length("orders") > before }
            rig.killConnections()
            let error = await failure { try await adding.end() }
            let length = try rig.length("orders")
            if case .partly(let ids, .disconnected) = error {
                #expect(ids.count == 50_000)
                #expect(Set(try rig.ids("orders")).isSuperset(of: ids.compactMap(\.self)))
                wasPartly = true
            }
            _ = try await orders.length()
            #expect(try rig.length("orders") == length, "what was not sent is not sent any more")
            try rig.ask("DEL", "orders")
        }
        #expect(wasPartly)
    }

    /// Some minutes.
    @Test("Ten million messages through a group: each once, in order, and memory stays flat", .nightly)
    func tenMillion() async throws {
        let rig = try await StreamRig(["--appendonly", "no"])
        let orders = rig.streams["orders"]
        let (total, batch, ahead) = (10_000_000, 10_000, 100_000)
        let handled = Shared(0)
        let producing = Task {
            for first in stride(from: 0, to: total, by: batch) {
                // What is trimmed must have been handled.
                try await eventually(60, "the consumer to come near") { first - handled.value < ahead }
                _ = try await orders.add(contentsOf: (first..<first + batch).map { ["n": "\($0)"] }, keep: .newest(2 * ahead))
            }
        }
        let consumer = orders.group("g").consumer(as: "one", ConsumerOptions(prefetch: 1_000))
        var (next, residentBefore) = (0, 0)
        for try await message in consumer {
            guard message.entry["n"] == "\(next)" else {
                Issue.record("\(message.entry["n"] ?? "nothing") instead of \(next)")
                break
            }
            message.ack()
            next += 1
            if next == total { break }
            if next % batch == 0 { handled.withLock { $0 = next } }
            if next == total / 10 { residentBefore = Int(ProcessMemory.residentBytes()) }
        }
        await consumer.stop()
        try await producing.end()
        #expect(next == total && rig.pending("orders", "g") == 0)
        let more = Int(ProcessMemory.residentBytes()) - residentBefore
        print("streams, ten million: \(residentBefore >> 20) MiB after a tenth, \(more >> 20) MiB more at the end")
        #expect(Sanitizer.isOn || more < 32 << 20, "\(more >> 20) MiB more")
    }

    // MARK: Hostile

    @Test("Names of control bytes, braces, quotes, 64 KiB: as keys, groups, consumers and fields")
    func names() async throws {
        let rig = try await StreamRig()
        let long = String(repeating: "n", count: 65_536)
        let names = ["\r\n$1\r\nx", "{", "}{", "a b", "\u{0}", "'\"\\", "ключ", "*", ">", "$", "-", long]
        for name in names {
            let stream = rig.streams[name]
            let id = try await stream.add(StreamFields([(name, name)]))
            #expect(try await stream.range().first?[name] == name)
            let consumer = stream.group(name).consumer(as: String(name.prefix(4_096)), ConsumerOptions(maxDeliveries: 1))
            var seen: [StreamID] = []
            for try await message in consumer {
                seen.append(message.entry.id)
                message.reject(name)
                break
            }
            let grave = try #require(DeadLetter.standard.key(of: name, group: name))
            try await eventually(10, "the dead letter of \(name.prefix(10).debugDescription)") { try rig.length(grave) == 1 }
            await consumer.stop()
            #expect(seen == [id])
            let groups = try await stream.groups()
            #expect(groups.map(\.name) == [name] && groups.map(\.pending) == [0])
        }
        let tooLong = rig.streams["orders"].group("g").consumer(as: long)
        guard case .badArgument = await failure({ for try await _ in tooLong {} }) else {
            Issue.record("a name of 64 KiB")
            return
        }
    }

    /// What a server that is none answers to whatever it is asked behind the greeting.
    private struct Answer {
        let name: String
        let text: String
        /// To no question is it an answer.
        var isNever = false
        /// To a read that has waited it is an answer, which only comes too early: the next read follows at once.
        var isEarly = false
    }

    private static let answers: [Answer] = [
        Answer(name: "a length of 2^31", text: "$2147483648\r\nxx", isNever: true),
        Answer(name: "a length of 2^63", text: "$9223372036854775808\r\n", isNever: true),
        Answer(name: "a negative length", text: "$-5\r\n"),
        Answer(name: "2^31 elements", text: "*2147483648\r\n", isNever: true),
        Answer(name: "many elements that do not come", text: "*1000000\r\n:1\r\n", isNever: true),
        Answer(name: "a thousand levels", text: String(repeating: "*1\r\n", count: 1_000) + ":1\r\n", isNever: true),
        Answer(name: "null", text: "*-1\r\n", isEarly: true),
        Answer(name: "nulls", text: "*3\r\n$-1\r\n*-1\r\n:1\r\n"),
        Answer(name: "a number", text: ":7\r\n", isNever: true), Answer(name: "text", text: "+OK\r\n", isNever: true),
        Answer(name: "an entry of nulls", text: "*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n"),
        Answer(
            name: "an odd number of fields", text: "*1\r\n*2\r\n$3\r\n1-0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"),
        Answer(name: "an id that is none", text: "*1\r\n*2\r\n$3\r\nabc\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        Answer(name: "no protocol at all", text: "HTTP/1.1 400 Bad Request\r\n\r\n", isNever: true),
        Answer(name: "zeros", text: String(repeating: "\u{0}", count: 5_000), isNever: true),
        Answer(name: "an endless line", text: "+" + String(repeating: "x", count: 200_000), isNever: true),
    ]

    @Test("A server of wrong depths, lengths and kinds: an error or nothing, in time, in bounded memory, without asking all the time")
    func hostileServer() async throws {
        let rig = try await StreamRig()
        let hostile = HostileStreams(rig.server.socketPath)
        let listener = try LoopbackListener()
        defer { listener.stop() }
        listener.start { client in hostile.serve(client) }
        let place = RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: listener.port)))
        let before = Int(ProcessMemory.residentBytes())
        for answer in StreamLoadTests.answers {
            hostile.answer.withLock { $0 = answer.text }
            let streams = try await HostileStreams.connect(place)
            try await askAll(streams["orders"], answer)
            // Its connections are lost all the time and come back with growing pauses: that takes long.
            if Nightly.isOn { try await runAll(streams, answer, hostile) } else { streams.close() }
        }
        let grown = Int(ProcessMemory.residentBytes()) - before
        #expect(Sanitizer.isOn || grown < 200 << 20, "\(grown >> 20) MiB more")
    }

    /// Every call comes to its end by itself, and takes nothing for an answer that is none.
    private func askAll(_ stream: RedisStream, _ answer: Answer) async throws {
        let calls: [(String, () async throws -> Void)] = [
            ("range", { _ = try await stream.range() }), ("info", { _ = try await stream.info() }),
            ("groups", { _ = try await stream.groups() }), ("pending", { _ = try await stream.group("g").pending() }),
            ("read", { _ = try await stream.group("g").read(as: "a") }), ("consumers", { _ = try await stream.group("g").consumers() }),
            ("add", { _ = try await stream.add(contentsOf: [["a": "b"], ["c": "d"]]) }),
        ]
        for (name, call) in calls {
            let startNs = MonotonicClock.nowNs()
            let error = await failure(call)
            #expect(MonotonicClock.nowNs() - startNs < 10_000_000_000, "\(answer.name), \(name): not in time")
            #expect(!answer.isNever || error != nil, "\(answer.name), \(name): taken for an answer")
            #expect(error != .cancelled && error != .closed, "\(answer.name), \(name)")
        }
    }

    /// What runs for long outlives it, or ends with an error; it is there to be stopped, and does not ask without a pause.
    private func runAll(_ streams: RedisStreams, _ answer: Answer, _ hostile: HostileStreams) async throws {
        let stream = streams["orders"]
        let consumer = stream.group("g").consumer(as: "a")
        let (asked, ended) = (hostile.books.value, Shared(0))
        let tasks = [
            Task {
                defer { ended.withLock { $0 += 1 } }
                try await consumer.run { _ in }
            },
            Task {
                defer { ended.withLock { $0 += 1 } }
                for try await _ in stream.follow(after: .start) {}
            },
        ]
        try await eventually(30, "\(answer.name): a consumer and a tail that ask") {
            let books = hostile.books.value
            return (books.consumers > asked.consumers && books.tails > asked.tails) || ended.value == 2
        }
        let (before, startNs) = (hostile.books.value.commands, MonotonicClock.nowNs())
        try await Task.sleep(for: .milliseconds(300))
        let perSecond = Double(hostile.books.value.commands - before) / (Double(MonotonicClock.nowNs() - startNs) / 1e9)
        #expect(answer.isEarly || perSecond < 500, "\(answer.name): \(Int(perSecond)) commands a second")
        streams.close()
        for task in tasks { await #expect(throws: StreamError.self, "\(answer.name)") { try await task.end() } }
    }
}

/// A server that is none. Its greeting is a real one's: it passes on what is no command about streams, and answers those itself.
private final class HostileStreams: Sendable {
    struct Books: Sendable {
        /// About streams.
        var commands = 0
        /// Of them, what a consumer asks, and what a tail asks.
        var consumers = 0, tails = 0
    }

    let answer = Shared("")
    let books = Shared(Books())
    private let genuine: String

    init(_ genuine: String) { self.genuine = genuine }

    /// With a short time-out, which a machine that stands still may exceed at the greeting.
    static func connect(_ place: RedisEndpoint) async throws -> RedisStreams {
        for _ in 0..<20 { if let streams = try? await RedisStreams.connect(place, timeout: .milliseconds(300)) { return streams } }
        return try await RedisStreams.connect(place)
    }

    func serve(_ client: Int32) {
        defer { close(client) }
        guard let address = SocketAddress(unixPath: genuine) else { return }
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(server) }
        let code = address.bytes.withUnsafeBytes {
            Glibc.connect(server, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard code == 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&ends, 2, 5_000) >= 0 else { return }
            for place in 0..<2 where ends[place].revents != 0 {
                let count = read(ends[place].fd, &bytes, bytes.count)
                guard count > 0 else { return }
                let text = String(decoding: bytes[..<count], as: UTF8.self).uppercased()
                // The greeting asks, by a command without arguments, whether the server is new enough.
                if place == 0, text.contains("\r\nX") || text.contains("EVAL"), !text.contains("*1\r\n$10\r\nXAUTOCLAIM") {
                    note(bytes[..<count], text)
                    let reply = Array(answer.value.utf8)
                    guard send(client, reply, reply.count, Int32(MSG_NOSIGNAL)) >= 0 else { return }
                } else {
                    guard send(ends[1 - place].fd, bytes, count, Int32(MSG_NOSIGNAL)) == count else { return }
                }
            }
        }
    }

    private func note(_ bytes: ArraySlice<UInt8>, _ text: String) {
        let commands = zip(bytes, bytes.dropFirst()).count { $0 == UInt8(ascii: "\n") && $1 == UInt8(ascii: "X") }
        let isConsumer = ["XREADGROUP", "XPENDING", "XAUTOCLAIM", "XGROUP"].contains { (name: String) in text.contains(name) }
        let isTail = text.contains("XINFO") || text.contains("XREAD\r\n")
        books.withLock { books in
            books.commands += max(1, commands)
            if isConsumer { books.consumers += 1 }
            if isTail { books.tails += 1 }
        }
    }
}
