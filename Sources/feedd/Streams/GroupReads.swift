// `feedd group read`, `ack`, `claim` and `pending`: what a consumer does, by hand.

import ArgumentParser
import FastFeed

extension GroupCommands {
    struct Read: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take entries as a consumer of a group, and print them.",
            discussion: """
                What is not acknowledged stays pending: with --ack each entry is, once it is printed. With --follow and --ack it is a \
                consumer like any other: it begins with what its name had pending, takes over what others have left for a minute, and \
                goes on until Ctrl-C.

                  feedd group read orders --group payment --as worker-1
                  feedd group read orders refunds --group payment --as worker-1 --follow --ack
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: [String]

        @Option(help: GroupCommands.groupHelp)
        var group: String

        @Option(name: .customLong("as"), help: ArgumentHelp("The consumer's name.", valueName: "name"))
        var consumer: String

        @Flag(help: "Go on with what comes.")
        var follow = false

        @Option(help: ArgumentHelp("End after so many entries. (default: 100, none with --follow)", valueName: "n"))
        var count: Int?

        @Flag(help: "Acknowledge what was printed.")
        var ack = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let names = try key.map { try StreamName($0) }
            let limit = try StreamArguments.count(count)
            let (group, consumer) = (try StreamArguments.name(group, "a group"), try StreamArguments.name(consumer, "a consumer"))
            let (follow, ack) = (follow, ack)
            try StreamSession.run(options, endsOnSignal: true) { session in
                let groups = names.map { session.group($0, group) }
                let reading = GroupReading(session: session, groups: groups, consumer: consumer, acknowledges: ack)
                switch (follow, ack) {
                case (false, _): try await reading.once(limit ?? 100)
                case (true, false): try await reading.look(limit ?? .max)
                case (true, true): try await reading.work(limit ?? .max)
                }
            }
        }
    }

    struct Ack: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Acknowledge entries.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Argument(help: ArgumentHelp("Which ones.", valueName: "id"))
        var ids: [String]

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, ids) = (try StreamName(key), group, try StreamArguments.ids(ids))
            try StreamSession.run(options) { session in
                let count = try await session.group(name, group).ack(ids)
                try session.show(
                    [("acknowledged", .integer(Int64(count))), ("of", .integer(Int64(ids.count)))],
                    lines: ["acknowledged \(count) of \(ids.count)"])
            }
        }
    }

    struct Claim: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give pending entries to a consumer, and print them.",
            discussion: """
                Those that their consumer has left for --idle at least; without ids all of them.

                  feedd group claim orders payment worker-2 --idle 10m
                  feedd group claim orders payment worker-2 1702301234567-0 --idle 0s
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Argument(help: "The consumer that gets them.")
        var consumer: String

        @Argument(help: ArgumentHelp("Which ones.", valueName: "id"))
        var ids: [String] = []

        @Option(help: ArgumentHelp("For how long nobody must have touched them: \(StreamSpan.forms).", valueName: "span"))
        var idle = "60s"

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, consumer) = (try StreamName(key), group, try StreamArguments.name(consumer, "a consumer"))
            let (ids, idle) = (try StreamArguments.ids(ids), try StreamArguments.span(idle, "--idle"))
            try StreamSession.run(options) { session in
                let reading = GroupReading(
                    session: session, groups: [session.group(name, group)], consumer: consumer, acknowledges: false)
                try await reading.claim(ids.isEmpty ? nil : ids, idle)
            }
        }
    }

    struct Pending: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what was handed out and not acknowledged.",
            discussion: """
                How much each consumer has; entry by entry with a consumer's name, --idle or --count.

                  feedd group pending orders payment
                  feedd group pending orders payment worker-1
                  feedd group pending orders payment --idle 10m --count 1000
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Argument(help: "Only of this consumer.")
        var consumer: String?

        @Option(help: ArgumentHelp("Only what nobody has touched for so long: \(StreamSpan.forms).", valueName: "span"))
        var idle: String?

        @Option(help: ArgumentHelp("At most so many entries. (default: 100)", valueName: "n"))
        var count: Int?

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, consumer) = (try StreamName(key), group, consumer)
            let count = try StreamArguments.count(count)
            let idle = try idle.map { try StreamArguments.span($0, "--idle") }
            try StreamSession.run(options) { session in
                let asked = session.group(name, group)
                if consumer == nil, idle == nil, count == nil {
                    try Pending.show(try await asked.pending(), asked, session)
                } else {
                    let rows = try await asked.pending(of: consumer, idle: idle ?? .zero, limit: count ?? 100)
                    try Pending.show(rows, asked, session)
                }
            }
        }

        private static func head(_ group: StreamGroup) -> [(String, JSONValue)] {
            [("stream", .string(group.stream.key)), ("group", .string(group.name))]
        }

        private static func show(_ summary: PendingSummary, _ group: StreamGroup, _ session: StreamSession) throws {
            func id(_ id: StreamID?) -> JSONValue { id.map { .string("\($0)") } ?? .null }
            let consumers = summary.byConsumer.sorted { $0.key < $1.key }
            let members: [(String, JSONValue)] = [
                ("pending", .integer(Int64(summary.count))), ("min", id(summary.min)), ("max", id(summary.max)),
                (
                    "consumers",
                    .array(consumers.map { .members([("name", .string($0.key)), ("pending", .integer(Int64($0.value)))]) })
                ),
            ]
            guard summary.count > 0, let min = summary.min, let max = summary.max else {
                return try session.show(head(group) + members, lines: ["nothing is pending"])
            }
            var table = TextTable(["CONSUMER", " PENDING"])
            for (name, count) in consumers { table.add([.init(name, .bold), .init(Numbers.grouped(count))]) }
            let span = "\(min) (\(EntryPrinter.time(min))) to \(max) (\(EntryPrinter.time(max)))"
            let sentence = "\(Numbers.grouped(summary.count)) pending, \(span)"
            try session.show(head(group) + members, lines: table.lines() + [sentence])
        }

        private static func show(_ rows: [PendingEntry], _ group: StreamGroup, _ session: StreamSession) throws {
            let entries = rows.map { row in
                JSONValue.members([
                    ("id", .string("\(row.id)")), ("consumer", .string(row.consumer)), ("idle", .integer(Int64(row.idle.milliseconds))),
                    ("deliveries", .integer(Int64(row.deliveries))),
                ])
            }
            var table = TextTable(["ID", "TIME (UTC)", "CONSUMER", " IDLE", " DELIVERIES"])
            for row in rows {
                table.add([
                    .init("\(row.id)"), .init(EntryPrinter.time(row.id), .dim), .init(row.consumer, .bold),
                    .init(StreamFacts.span(row.idle)), .init(Numbers.grouped(row.deliveries), row.deliveries > 1 ? .yellow : .plain),
                ])
            }
            try session.show(head(group) + [("entries", .array(entries))], lines: rows.isEmpty ? ["nothing is pending"] : table.lines())
        }
    }
}

/// A consumer that prints.
struct GroupReading: Sendable {
    let session: StreamSession
    let groups: [StreamGroup]
    let consumer: String
    let acknowledges: Bool

    private static let page = 1_000
    /// Between two looks, and after a failure that passes.
    private static let pause = Duration.milliseconds(200)
    private static let failurePause = Duration.seconds(1)

    /// What is there now, at most so many.
    func once(_ limit: Int) async throws {
        // Nothing is taken, and no document begun, when one of several is not there.
        if groups.count > 1 { try await find() }
        try await EntryPrinter.print(session, streams: groups.count, showsDeliveries: true) { printer in
            var left = limit
            for group in groups {
                printer.begin(group.stream.key)
                while left > 0 {
                    let entries = try await group.read(as: consumer, limit: min(left, GroupReading.page))
                    if entries.isEmpty { break }
                    left -= entries.count
                    guard try await show(entries, group, &printer) else { return false }
                }
            }
            return true
        }
    }

    /// Looks again and again; leaves pending what it prints.
    func look(_ limit: Int) async throws {
        var printer = EntryPrinter(session, streams: groups.count, isEndless: true, showsDeliveries: true)
        var left = limit
        var wasTold = false
        while left > 0 {
            var isQuiet = true
            do {
                for group in groups where left > 0 {
                    let entries = try await group.read(as: consumer, limit: min(left, GroupReading.page))
                    isQuiet = isQuiet && entries.isEmpty
                    left -= entries.count
                    guard try await show(entries, group, &printer) else { return }
                }
                wasTold = false
            } catch let error as StreamError {
                switch error {
                case .unavailable, .timeout, .disconnected: break
                default: throw error
                }
                if !wasTold { StandardError.write(LogText.escaped("\(error); trying again") + "\n") }
                wasTold = true
                try? await Task.sleep(for: GroupReading.failurePause)
            }
            if isQuiet { try? await Task.sleep(for: GroupReading.pause) }
            if Task.isCancelled { return }
        }
    }

    /// A consumer like any other, until the task is cancelled. It buries nothing: what fails here is a terminal.
    func work(_ limit: Int) async throws {
        // A consumer would make a group that is not there.
        try await find()
        var options = ConsumerOptions()
        options.deadLetter = .stayPending
        options.maxDeliveries = 1_000_000_000
        // No more is taken than is shown.
        options.prefetch = min(limit, options.prefetch)
        let messages = session.streams.consumer(group: groups[0].name, of: groups.map(\.stream.key), as: consumer, options)
        var printer = EntryPrinter(session, streams: groups.count, isEndless: true, showsDeliveries: true)
        var left = limit
        do {
            for try await message in messages {
                guard try printer.add(message.entry, deliveries: message.deliveries), try printer.flush() else { break }
                message.ack()
                left -= 1
                if left == 0 { break }
            }
        } catch StreamError.cancelled {
            // Ctrl-C.
        }
        await messages.stop(within: .seconds(2))
    }

    func claim(_ ids: [StreamID]?, _ idle: Duration) async throws {
        let group = groups[0]
        try await EntryPrinter.print(session) { printer in
            printer.begin(group.stream.key)
            if let ids { return try await show(try await group.claim(ids, for: consumer, idle: idle), group, &printer) }
            var from = StreamID.min
            while true {
                let rows = try await group.pending(idle: idle, from: from, limit: GroupReading.page)
                let others = rows.filter { $0.consumer != consumer }.map(\.id)
                if !others.isEmpty {
                    guard try await show(try await group.claim(others, for: consumer, idle: idle), group, &printer) else { return false }
                }
                guard rows.count == GroupReading.page, let last = rows.last?.id, last < .max else { return true }
                from = last.next
            }
        }
    }

    /// - Throws: `.noSuchGroup` for the first group that is not there.
    private func find() async throws {
        for group in groups {
            guard try await group.stream.groups().contains(where: { $0.name == group.name }) else {
                throw StreamError.noSuchGroup(key: group.stream.key, group: group.name)
            }
        }
    }

    /// Acknowledged is what was written.
    private func show(_ entries: [StreamEntry], _ group: StreamGroup, _ printer: inout EntryPrinter) async throws -> Bool {
        for entry in entries {
            guard try printer.add(entry) else { return false }
        }
        guard try printer.flush() else { return false }
        if acknowledges, !entries.isEmpty { _ = try await group.ack(entries.map(\.id)) }
        return true
    }
}
