// `Benchmarks stream-work`: one piece of work with streams by the library, as a process of its own, with the arguments and the line of
// JSON of perf/reference/streams. `Benchmarks streams` starts it; nobody else need. The work runs on the tasks' threads while the main
// thread waits for its end.

import ArgumentParser
import FastFeed
import Foundation

/// What is done with a stream.
enum StreamMode: String, CaseIterable, ExpressibleByArgument {
    /// Reads as consumer `one` of the group `bench`, looks at every field and acknowledges each message.
    case consume
    /// Adds, in pipelines.
    case produce
    /// Reads the whole stream, page by page.
    case range
    /// Waits for entries and says how old they are: their field `sent` has the nanoseconds of the monotonic clock.
    case latency
}

struct StreamWork: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks stream-work", abstract: "One piece of work with streams: for `Benchmarks streams`.")

    @Argument(help: "consume, produce, range, latency") var mode: StreamMode
    @Argument(help: "Redis's port on 127.0.0.1.") var port: UInt16
    @Argument var key: String
    @Argument(help: "Entries.") var count: Int
    @Argument(help: "Entries a read, a pipeline, a page.") var batch: Int
    @Argument(help: "Fields of an entry that is added: 4, or a candle's 14.") var fields: Int
    @Flag(help: "Latency: the handler runs wherever tasks run, not on the streams' thread.") var elsewhere = false
    @Option(help: .hidden) var endWithParent: Int32?

    func validate() throws {
        guard count > 0, batch > 0, [4, 14].contains(fields) else { throw ValidationError("a number is out of its range") }
    }

    func run() throws {
        if let endWithParent { try ParentProcess.end(with: endWithParent) }
        let work = self
        // The main thread has nothing else to do, and must not return: this one ends the program.
        Task.detached {
            do {
                let said = try await work.carryOut()
                try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(said))
                StreamWork.exit()
            } catch {
                StreamWork.exit(withError: error)
            }
        }
        while true { pause() }
    }

    private var names: [String] { StreamSaid.fields(fields).map(\.0) }

    private func carryOut() async throws -> StreamSaid {
        let streams = try await RedisStreams.connect(RedisEndpoint(place: .tcp(Authority(host: "127.0.0.1", port: port))))
        defer { streams.close() }
        let (stream, names) = (streams[key], names)
        var said = StreamSaid()
        let (cpu, startedNs) = (StreamSaid.processSeconds(), MonotonicClock.nowNs())
        switch mode {
        case .consume: try await consume(stream, names, &said)
        case .produce: try await produce(stream, &said)
        case .range: for try await entry in stream.entries() { said.see(entry, names) }
        case .latency:
            said = try await withTaskExecutorPreference(elsewhere ? nil : streams.executor) { try await wait(stream, names) }
        }
        said.seconds = Double(MonotonicClock.nowNs() - startedNs) / 1e9
        said.cpuSeconds = StreamSaid.processSeconds() - cpu
        return said
    }

    /// One batch in hand and one on its way: the reads are as large as those of the others. Its end is the last acknowledgement's answer.
    private func consume(_ stream: RedisStream, _ names: [String], _ said: inout StreamSaid) async throws {
        let consumer = stream.group("bench").consumer(as: "one", ConsumerOptions(prefetch: 2 * batch))
        for try await message in consumer {
            said.see(message.entry, names)
            message.ack()
            if said.messages == count { break }
        }
        await consumer.stop()
    }

    private func wait(_ stream: RedisStream, _ names: [String]) async throws -> StreamSaid {
        var said = StreamSaid()
        let consumer = stream.group("bench").consumer(as: "one", ConsumerOptions(prefetch: 2 * batch))
        var latenciesNs: [UInt64] = []
        latenciesNs.reserveCapacity(count)
        for try await message in consumer {
            guard let sent = message.entry["sent"].flatMap({ UInt64($0) }) else { throw FeedError(.redis, "an entry without `sent`") }
            latenciesNs.append(MonotonicClock.nowNs() &- sent)
            said.see(message.entry, names)
            message.ack()
            if said.messages == count { break }
        }
        await consumer.stop()
        latenciesNs.sort()
        said.p50 = Double(latenciesNs[latenciesNs.count / 2]) / 1e3
        said.p99 = Double(latenciesNs[latenciesNs.count * 99 / 100]) / 1e3
        return said
    }

    private func produce(_ stream: RedisStream, _ said: inout StreamSaid) async throws {
        let pairs = StreamSaid.fields(fields)
        let fields = StreamFields(pairs)
        let bytes = pairs.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count }
        while said.messages < count {
            let now = min(batch, count - said.messages)
            _ = try await stream.add(contentsOf: [StreamFields](repeating: fields, count: now))
            said.messages += now
            said.bytes += now * bytes
        }
    }
}

/// What one of the programs says at its end.
struct StreamSaid: Codable {
    var messages = 0
    /// Of the names and values of all fields.
    var bytes = 0
    var seconds = 0.0
    /// Of the process, in these seconds.
    var cpuSeconds = 0.0
    /// Microseconds.
    var p50: Double?
    var p99: Double?

    enum CodingKeys: String, CodingKey {
        case messages, bytes, seconds
        case cpuSeconds = "cpu_seconds"
        case p50 = "p50_us"
        case p99 = "p99_us"
    }

    /// Every field by its name, as a handler reads them.
    mutating func see(_ entry: StreamEntry, _ names: [String]) {
        for name in names { if let value = entry[name] { bytes += name.utf8.count + value.utf8.count } }
        messages += 1
    }

    static func processSeconds() -> Double {
        var used = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &used)
        return Double(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + Double(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6
    }

    /// The texts of the other programs: an order's, or a candle's.
    static func fields(_ count: Int) -> [(String, String)] {
        if count == 4 { return [("order_id", "123456789"), ("customer", "user-4711"), ("amount", "99.99"), ("status", "created")] }
        return [
            ("open", "50000.00000001"), ("high", "50001.00000000"), ("low", "49999.90000000"), ("close", "50000.10000000"),
            ("volume", "12.34500000"), ("close_time", "1702301294999"), ("quote_volume", "617250.12345678"), ("count", "1234"),
            ("taker_buy_volume", "6.17250000"), ("taker_buy_quote_volume", "308625.06172839"), ("first_trade_id", "3001234567"),
            ("last_trade_id", "3001235800"), ("source", "stream"), ("revision", "0"),
        ]
    }
}
