// `feedd stream info` and `feedd group list`: what Redis says of a stream, its groups and their consumers.

import ArgumentParser
import FastFeed

extension StreamCommands {
    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a stream, its groups and their consumers.",
            discussion: "The lag is how many entries a group has not had yet; a question mark where Redis does not know it.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @OptionGroup var options: ClientOptions

        func run() throws {
            let name = try StreamName(key)
            try StreamSession.run(options) { session in
                let stream = session.stream(name)
                let facts = try await StreamFacts.take(stream)
                guard let info = try await stream.info() else { throw StreamError.noSuchStream(key: stream.key) }
                try session.show(facts.json(info), lines: facts.lines(info))
            }
        }
    }
}

/// A stream's groups and their consumers.
struct StreamFacts: Sendable {
    struct Group: Sendable {
        let info: GroupInfo
        let consumers: [ConsumerInfo]
        let oldestPending: StreamID?
    }

    let key: String
    private(set) var groups: [Group] = []

    /// - Throws: `.noSuchStream` as `groups()` does.
    static func take(_ stream: RedisStream) async throws -> StreamFacts {
        var facts = StreamFacts(key: stream.key)
        for info in try await stream.groups() {
            let group = stream.group(info.name)
            do throws(StreamError) {
                let oldest = info.pending > 0 ? try await group.pending().min : nil
                facts.groups.append(Group(info: info, consumers: try await group.consumers(), oldestPending: oldest))
            } catch .noSuchGroup {
                continue  // destroyed meanwhile
            }
        }
        return facts
    }

    // MARK: For people

    func lines(_ info: StreamInfo) -> [String] {
        var table = TextTable(["", ""])
        func entry(_ entry: StreamEntry?) -> String { entry.map { "\($0.id)  \(EntryPrinter.time($0.id))" } ?? "–" }
        table.add([.init("length", .dim), .init(Numbers.grouped(info.length))])
        table.add([.init("first", .dim), .init(entry(info.first))])
        table.add([.init("last", .dim), .init(entry(info.last))])
        table.add([.init("last id", .dim), .init("\(info.lastID)")])
        if let added = info.entriesAdded { table.add([.init("added", .dim), .init(Numbers.grouped(added))]) }
        if let memory = info.memory { table.add([.init("memory", .dim), .init(StreamFacts.size(memory))]) }
        return table.lines() + (groups.isEmpty ? [] : [""] + groupLines() + consumerLines())
    }

    func groupLines() -> [String] {
        var table = TextTable(["GROUP", " CONSUMERS", " PENDING", " LAG", "LAST DELIVERED", "OLDEST PENDING"])
        for group in groups {
            let oldest = group.oldestPending.map { "\($0) (\(EntryPrinter.time($0)))" } ?? "–"
            table.add([
                .init(group.info.name, .bold), .init(Numbers.grouped(group.info.consumers)),
                .init(Numbers.grouped(group.info.pending), group.info.pending > 0 ? .yellow : .plain),
                .init(group.info.lag.map { Numbers.grouped($0) } ?? "?"), .init("\(group.info.lastDelivered)"), .init(oldest),
            ])
        }
        return table.lines()
    }

    private func consumerLines() -> [String] {
        guard groups.contains(where: { !$0.consumers.isEmpty }) else { return [] }
        var table = TextTable(["GROUP", "CONSUMER", " PENDING", " IDLE"])
        for group in groups {
            for consumer in group.consumers {
                table.add([
                    .init(group.info.name, .bold), .init(consumer.name), .init(Numbers.grouped(consumer.pending)),
                    .init(StreamFacts.span(consumer.idle)),
                ])
            }
        }
        return [""] + table.lines()
    }

    /// `250 ms`, `12.3 s`, `1:02:03`, `61 d`.
    static func span(_ span: Duration) -> String {
        let ms = span.milliseconds
        if ms < 1_000 { return "\(ms) ms" }
        if ms < 60_000 { return "\(Numbers.fixed(Double(ms) / 1_000, digits: 1)) s" }
        return ms < 2 * 86_400_000 ? Numbers.duration(seconds: ms / 1_000) : "\(ms / 86_400_000) d"
    }

    /// `5.8 KiB`, `15.0 MiB`.
    private static func size(_ bytes: Int) -> String {
        let kibibytes = Double(bytes) / 1_024
        return kibibytes < 1_024 ? "\(Numbers.fixed(kibibytes, digits: 1)) KiB" : "\(Numbers.fixed(kibibytes / 1_024, digits: 1)) MiB"
    }

    // MARK: JSON, by Redis's own names

    func json(_ info: StreamInfo) -> [(String, JSONValue)] {
        func entry(_ entry: StreamEntry?) -> JSONValue { entry.map(StreamText.json) ?? .null }
        func number(_ number: Int?) -> JSONValue { number.map { .integer(Int64($0)) } ?? .null }
        return [
            ("stream", .string(key)), ("length", .integer(Int64(info.length))), ("last_generated_id", .string("\(info.lastID)")),
            ("entries_added", number(info.entriesAdded)), ("memory", number(info.memory)), ("first_entry", entry(info.first)),
            ("last_entry", entry(info.last)), ("groups", .array(groups.map(StreamFacts.json))),
        ]
    }

    static func json(_ group: Group) -> JSONValue {
        func number(_ number: Int?) -> JSONValue { number.map { .integer(Int64($0)) } ?? .null }
        let consumers = group.consumers.map { consumer in
            JSONValue.members([
                ("name", .string(consumer.name)), ("pending", .integer(Int64(consumer.pending))),
                ("idle", .integer(Int64(consumer.idle.milliseconds))),
            ])
        }
        return .members([
            ("name", .string(group.info.name)), ("pending", .integer(Int64(group.info.pending))),
            ("last_delivered_id", .string("\(group.info.lastDelivered)")), ("entries_read", number(group.info.entriesRead)),
            ("lag", number(group.info.lag)), ("oldest_pending_id", group.oldestPending.map { .string("\($0)") } ?? .null),
            ("consumers", .array(consumers)),
        ])
    }
}
