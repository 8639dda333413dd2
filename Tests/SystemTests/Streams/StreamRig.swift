// A redis-server of a test, the library's streams on it, and somebody who looks into it and disturbs it. On the test's task.

import FastFeed
import Foundation
import Glibc
import RedisServer
import TestKit
import Testing
import VenueSimulator

final class StreamRig {
    let server: RedisServerProcess
    let streams: RedisStreams
    /// Asks and disturbs; no right is missing.
    private(set) var admin: RedisClient

    /// - Parameter port: also listens there, on 127.0.0.1; what the library takes then.
    init(_ arguments: [String] = [], port: UInt16? = nil, timeout: Duration = .seconds(20)) async throws {
        var options = RedisServerProcess.Options()
        options.arguments = (port.map { ["--port", "\($0)"] } ?? []) + arguments
        server = try RedisServerProcess(options)
        admin = try RedisClient.connect(server.endpoint, timeout: .seconds(20))
        let place = port.map { RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: $0))) } ?? server.endpoint
        streams = try await RedisStreams.connect(place, timeout: timeout)
    }

    deinit { streams.close() }

    /// What the command line's `--redis` takes.
    var url: String { "unix://\(server.socketPath)" }

    // MARK: Asking

    @discardableResult
    func ask(_ words: String...) throws -> RedisReply {
        let reply = try admin.command(words)
        if case .error(let text) = reply { throw FeedError(.redis, "\(words.prefix(3).joined(separator: " ")): \(text)") }
        return reply
    }

    func length(_ key: String) throws -> Int { Int(try ask("XLEN", key).integer ?? -1) }

    /// Entries of a group, or of one of its consumers, that are not acknowledged; −1 without such a group.
    func pending(_ key: String, _ group: String, of consumer: String? = nil) -> Int {
        guard let reply = try? admin.command("XPENDING", key, group), case .array(let parts) = reply else { return -1 }
        guard let consumer else { return Int(parts[0].integer ?? -1) }
        let counts = parts[3].elements.filter { $0.elements.first?.text == consumer }
        return counts.first?.elements.last?.text.flatMap { Int($0) } ?? 0
    }

    func consumerNames(_ key: String, _ group: String) throws -> Set<String> {
        Set(try ask("XINFO", "CONSUMERS", key, group).elements.compactMap { $0.elements[1].text })
    }

    /// An entry as Redis has it.
    typealias Row = (id: StreamID, fields: [String])
    func rows(_ key: String, _ from: String = "-", _ through: String = "+") throws -> [Row] {
        try ask("XRANGE", key, from, through).elements.map { (StreamID($0.elements[0].text ?? "")!, $0.elements[1].strings) }
    }

    /// The ids that Redis has.
    func ids(_ key: String) throws -> [StreamID] { try rows(key).map(\.id) }

    /// How often a command was carried out.
    func calls(_ command: String) throws -> Int {
        let text = try ask("INFO", "commandstats").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.firstMatch(of: /calls=(\d+)/).flatMap { Int($0.1) } ?? 0
    }

    /// How often a command was refused before it was carried out: a replica that is asked to write does that.
    func refusals(_ command: String) throws -> Int {
        let text = try ask("INFO", "commandstats").text ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.firstMatch(of: /rejected_calls=(\d+)/).flatMap { Int($0.1) } ?? 0
    }

    /// Reads that wait.
    func waiting() throws -> Int {
        let text = try ask("INFO", "clients").text ?? ""
        return text.firstMatch(of: /blocked_clients:(\d+)/).flatMap { Int($0.1) } ?? -1
    }

    // MARK: Filling and disturbing

    /// Entries `n` = from, from + 1, …
    @discardableResult
    func fill(_ key: String, _ count: Int, from first: Int = 0) throws -> [StreamID] {
        let replies = try admin.pipeline((first..<first + count).map { ["XADD", key, "*", "n", "\($0)", "text", "entry \($0)"] })
        return try replies.map { try #require($0.text.flatMap { StreamID($0) }, "\($0)") }
    }

    /// Everybody's connections but this one.
    func killConnections() { _ = try? admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

    /// kill -9, and back with what it had written.
    func killServer(away seconds: Double = 0.2) async throws {
        server.kill9()
        try await Task.sleep(for: .seconds(seconds))
        try restart()
    }

    func restart() throws {
        try server.restart()
        admin = try RedisClient.connect(server.endpoint, timeout: .seconds(20))
    }
}

extension Trait where Self == TimeLimitTrait {
    /// Of each test of a suite: one that hangs ends, and says so.
    static var streamLimit: Self {
        // The soak is told for how long it goes on.
        let soak = ProcessInfo.processInfo.environment["FASTFEED_STREAM_MINUTES"].flatMap { Double($0) } ?? 0
        return .timeLimit(.minutes(Nightly.isOn ? 60 + Int(soak) : Sanitizer.isOn ? 10 : 2))
    }
}

extension Task where Failure == any Error {
    /// Its value. It is cancelled together with whoever waits for it: so a test's time limit ends it, too.
    func end() async throws -> Success {
        try await withTaskCancellationHandler {
            try await value
        } onCancel: {
            cancel()
        }
    }
}

/// What a call threw; nil when it did not, or threw something else, which is an issue.
func failure<Value>(_ call: () async throws -> Value) async -> StreamError? {
    do {
        _ = try await call()
    } catch let error as StreamError {
        return error
    } catch {
        Issue.record("not an error of streams: \(error)")
    }
    return nil
}

/// Who handled which entry, in order. Any thread.
final class HandledLog: Sendable {
    struct Line: Sendable {
        let key: String
        let id: StreamID
        let deliveries: Int
        let by: String
    }

    private let log = Lock<[Line]>([])

    func add(_ message: StreamMessage, by name: String = "") {
        let line = Line(key: message.entry.key, id: message.entry.id, deliveries: message.deliveries, by: name)
        log.withLock { $0.append(line) }
    }

    var lines: [Line] { log.withLock { $0 } }
    var ids: [StreamID] { lines.map(\.id) }
    var distinct: Set<StreamID> { Set(ids) }
    var count: Int { log.withLock { $0.count } }
}

extension StreamConsumer {
    /// Handles everything, on a task of its own, until it is stopped or cancelled.
    func work(
        into log: HandledLog, parallel: Int = 1, _ handle: @escaping @Sendable (StreamMessage) async throws -> Void = { _ in }
    ) -> Task<Void, any Error> {
        Task {
            try await run(parallel: parallel) { message in
                try await handle(message)
                log.add(message, by: self.name)
            }
        }
    }
}

/// A TCP proxy that may go silent: connections that it has then stay open and carry nothing any more; new ones are carried.
final class SilentProxy: Sendable {
    private let listener: LoopbackListener
    private let silentBefore = Shared(0)
    private let connections = Shared(0)
    var port: UInt16 { listener.port }

    init(to target: UInt16) throws {
        listener = try LoopbackListener()
        listener.start { [silentBefore, connections] client in
            connections.withLock { $0 += 1 }
            let number = connections.value
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer {
                close(client)
                close(server)
            }
            guard let address = SocketAddress(numericHost: "127.0.0.1", port: target) else { return }
            let code = address.bytes.withUnsafeBytes {
                connect(server, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
            }
            guard code == 0 else { return }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            while true {
                var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                // A silent one only waits for its client to give up.
                let isSilent = number <= silentBefore.value
                _ = poll(&ends, isSilent ? 1 : 2, 100)
                for (place, other) in [(0, server), (1, client)] where ends[place].revents != 0 && !(isSilent && place == 1) {
                    let got = read(ends[place].fd, &bytes, bytes.count)
                    guard got > 0 else { return }
                    if isSilent { continue }
                    var sent = 0
                    while sent < got {
                        let count = bytes.withUnsafeBytes {
                            send(other, $0.baseAddress! + sent, got - sent, Int32(MSG_NOSIGNAL))
                        }
                        guard count > 0 else { return }
                        sent += count
                    }
                }
            }
        }
    }

    deinit { listener.stop() }

    /// All connections that there are.
    func goSilent() { silentBefore.withLock { $0 = connections.value } }
}
