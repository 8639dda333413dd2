// `feedd stream range`, `revrange` and `read`: entries as they are, and as they come.

import ArgumentParser
import FastFeed

extension StreamCommands {
    struct Range: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print entries between two places, oldest first.",
            discussion: """
                Both ends belong to it.

                  feedd stream range orders
                  feedd stream range orders 24h
                  feedd stream range @btcusdt:1m 2026-11-28T03:00Z 2026-11-28T03:59Z --json
                """)

        @OptionGroup var arguments: RangeArguments

        func run() throws { try arguments.run(isReversed: false) }
    }

    struct RevRange: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revrange",
            abstract: "Print entries between two places, newest first.",
            discussion: """
                The places stand as those of range: the older one first.

                  feedd stream revrange orders --count 10
                  feedd stream revrange orders 24h
                """)

        @OptionGroup var arguments: RangeArguments

        func run() throws { try arguments.run(isReversed: true) }
    }

    struct RangeArguments: ParsableArguments {
        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: ArgumentHelp("The oldest: \(StreamPlace.forms). (default: start)"))
        var from: String?

        @Argument(help: "The newest. (default: end)")
        var through: String?

        @Option(help: ArgumentHelp("At most so many.", valueName: "n"))
        var count: Int?

        @OptionGroup var options: ClientOptions

        func run(isReversed: Bool) throws {
            let name = try StreamName(key)
            let from = try StreamArguments.place(from, else: .start).from
            let through = try StreamArguments.place(through, else: .end).through
            let count = try StreamArguments.count(count)
            try StreamSession.run(options, endsOnSignal: true) { session in
                let stream = session.stream(name)
                try await EntryPrinter.print(session) { printer in
                    printer.begin(stream.key)
                    var left = count ?? .max
                    return isReversed
                        ? try await EntryReads.newest(stream, from, through, &left, &printer)
                        : try await EntryReads.oldest(stream, from, through, &left, &printer)
                }
            }
        }
    }

    struct Read: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the entries of streams, and with --follow those that come, until Ctrl-C.",
            discussion: """
                It begins with the oldest entry, with --follow behind the newest: unless --from names a place. An id is the last one that \
                is known already. With --follow it outlives losses of Redis, and goes on where it was.

                  feedd stream read orders --from 1702301234567-0
                  feedd stream read orders payments --follow
                  feedd stream read @btcusdt:1m --follow --json | jq .fields.close
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: [String]

        @Option(help: ArgumentHelp("Where to begin: \(StreamPlace.forms).", valueName: "place"))
        var from: String?

        @Flag(help: "Go on with what comes.")
        var follow = false

        @Option(help: ArgumentHelp("End after so many entries.", valueName: "n"))
        var count: Int?

        @OptionGroup var options: ClientOptions

        func run() throws {
            let names = try key.map { try StreamName($0) }
            let place = try StreamArguments.place(from, else: follow ? .end : .start)
            let (count, follow) = (try StreamArguments.count(count) ?? .max, follow)
            try StreamSession.run(options, endsOnSignal: true) { session in
                let streams = names.map { session.stream($0) }
                if follow {
                    try await EntryReads.follow(session, streams.map(\.key), place.position, count)
                } else {
                    try await EntryReads.all(session, streams, place.position, count)
                }
            }
        }
    }
}

/// Reading for a printer. Each returns false when nobody reads what is printed any more.
enum EntryReads {
    /// Entries of one request.
    private static let page = 1_000

    static func oldest(
        _ stream: RedisStream, _ from: StreamID, _ through: StreamID, _ left: inout Int, _ printer: inout EntryPrinter
    ) async throws -> Bool {
        guard from <= through, left > 0 else { return true }
        if left <= page {
            // No more is fetched than is shown.
            for entry in try await stream.range(from: from, through: through, limit: left) {
                guard try printer.add(entry) else { return false }
                left -= 1
            }
            return true
        }
        for try await entry in stream.entries(from: from, through: through) {
            guard try printer.add(entry) else { return false }
            left -= 1
            if left == 0 { break }
        }
        return true
    }

    static func newest(
        _ stream: RedisStream, _ from: StreamID, _ through: StreamID, _ left: inout Int, _ printer: inout EntryPrinter
    ) async throws -> Bool {
        var through = through
        while from <= through, left > 0 {
            let entries = try await stream.newest(min(left, page), through: through)
            for entry in entries {
                guard entry.id >= from else { return true }
                guard try printer.add(entry) else { return false }
                left -= 1
            }
            guard let last = entries.last?.id, last > .min else { return true }
            through = last.previous
        }
        return true
    }

    /// What is there now, one stream after the other.
    static func all(_ session: StreamSession, _ streams: [RedisStream], _ place: StreamPosition, _ count: Int) async throws {
        try await EntryPrinter.print(session, streams: streams.count) { printer in
            var left = count
            for stream in streams {
                printer.begin(stream.key)
                let from: StreamID
                switch place {
                case .start: from = .min
                case .end: continue
                case .after(.max): continue
                case .after(let id): from = id.next
                }
                guard try await oldest(stream, from, .max, &left, &printer) else { return false }
            }
            return true
        }
    }

    static func follow(_ session: StreamSession, _ keys: [String], _ place: StreamPosition, _ count: Int) async throws {
        let tail = session.streams.follow(Dictionary(keys.map { ($0, place) }) { $1 })
        var printer = EntryPrinter(session, streams: keys.count, isEndless: true)
        var (left, losses, interruptions) = (count, 0, 0)
        for try await entry in tail {
            if tail.interruptions != interruptions {
                interruptions = tail.interruptions
                StandardError.write("a stream was gone, or made anew with smaller ids: it is read from its beginning\n")
            }
            if tail.losses != losses {
                StandardError.write("trimmed before they were read: \(EntryPrinter.entries(tail.losses - losses))\n")
                losses = tail.losses
            }
            left -= 1
            guard try printer.add(entry), try printer.flush(), left > 0 else { return }
        }
    }
}
