// `Benchmarks stream-worker`: one consumer of a group as a process of its own, with a handler that may take its time or take the process
// down. Tests start it; nobody else need. The work runs on the tasks' threads while the main thread waits for its end.
//
// It prints `ID DELIVERIES` for each entry that it has handled. SIGTERM stops it in order: then it ends with 0.

import ArgumentParser
import Dispatch
import FastFeed
import Foundation
import Glibc

struct StreamWorker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks stream-worker", abstract: "One consumer of a group, which may die: for tests.")

    @Argument(help: "Redis's socket.") var socket: String
    @Argument var key: String
    @Argument var group: String
    @Argument(help: "The consumer's name.") var name: String
    @Option(help: "Messages in hand.") var prefetch = 100
    @Option(help: "After how many ms others' messages are taken over.") var claimAfterMs = 60_000
    @Option(help: "The handler of the entry with this field `n` calls abort().") var abortAt: String?
    @Option(help: "The handler of the entry with this field `n` waits until there is a stream `gate`.") var waitAt: String?

    func run() throws {
        // A core of each death would fill the disk.
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0 else { throw SystemError("setrlimit") }
        signal(SIGTERM, SIG_IGN)
        let work = self
        Task.detached {
            do {
                try await work.carryOut()
                StreamWorker.exit()
            } catch {
                StreamWorker.exit(withError: error)
            }
        }
        while true { pause() }
    }

    private func carryOut() async throws {
        let streams = try await RedisStreams.connect(RedisEndpoint(place: .unix(path: socket)))
        defer { streams.close() }
        let options = ConsumerOptions(prefetch: prefetch, claimAfter: .milliseconds(claimAfterMs))
        let consumer = streams[key].group(group).consumer(as: name, options)
        let source = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        source.setEventHandler { Task { await consumer.stop() } }
        source.resume()
        try await consumer.run { message in
            let number = message.entry["n"]
            if let number, number == abortAt { abort() }
            if let number, number == waitAt {
                while try await streams["gate"].length() == 0 { try await Task.sleep(for: .milliseconds(5)) }
            }
            try FileHandle.standardOutput.write(contentsOf: Data("\(message.entry.id) \(message.deliveries)\n".utf8))
        }
        // What it has acknowledged is answered when this returns.
        await consumer.stop()
        source.cancel()
    }
}
