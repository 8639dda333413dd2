// `feedd stream`: add to a stream, and look after it. Reading is in StreamReads.

import ArgumentParser
import FastFeed

struct StreamCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stream",
        abstract: "Read and write Redis Streams; no service is needed.",
        discussion: """
            A stream is named by its key; @btcusdt:1m (@um:btcusdt:1m) is the one of a series' candles. A place in it is start, end, an \
            id, Unix ms, a time such as 2026-11-28T03:00Z, or an age such as 10m or 24h.

              feedd stream add orders order_id=123 amount=99.99
              feedd stream range orders 24h
              feedd stream read orders --follow
              feedd stream read @btcusdt:1m --from 2h --follow --json
              feedd stream info orders
            """,
        subcommands: [Add.self, Range.self, RevRange.self, Read.self, Len.self, Del.self, Trim.self, Info.self])
}

extension StreamCommands {
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add an entry, or one for each line of standard input.",
            discussion: """
                Prints the entry's id. With - in place of fields each line of standard input is a JSON object, as --json prints them: \
                a list is a name that comes several times, {"base64":"…"} any bytes. A line that is not one is named and left out; the \
                others are added, and the command ends with 1.

                  feedd stream add orders order_id=123 amount=99.99 --keep 100000
                  feedd stream add events - <events.jsonl
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: ArgumentHelp("The fields; -: JSON objects from standard input.", valueName: "name=value"))
        var fields: [String]

        @Option(help: ArgumentHelp("The entry's own id; larger than all before it. (default: the server's time)", valueName: "id"))
        var id: String?

        @Option(help: ArgumentHelp("Keep about so many of the newest entries.", valueName: "n"))
        var keep: Int?

        @Option(help: ArgumentHelp("Keep about the entries from this place on.", valueName: "place"))
        var keepFrom: String?

        @Flag(help: "Keep exactly what is said, at a higher price.")
        var exactly = false

        @Flag(help: "Add to a stream that is there; do not make one.")
        var ifExists = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let name = try StreamName(key)
            let keep = try StreamArguments.keep(newest: keep, from: keepFrom, isExact: exactly, "--keep-from")
            guard !exactly || keep != nil else { throw Failure.usage("--exactly has no meaning without --keep or --keep-from") }
            let id = try id.map { try StreamArguments.id($0) }
            if fields == ["-"] {
                guard id == nil, !ifExists else { throw Failure.usage("--id and --if-exists have no meaning with -") }
                return try StreamSession.run(options) { session in
                    try await LineFeed(session.stream(name), keep).run(session)
                }
            }
            let fields = StreamFields(try fields.map(Add.pair))
            let mustExist = ifExists
            try StreamSession.run(options) { session in
                let made = try await session.stream(name).add(fields, id: id, keep: keep, onlyIfExists: mustExist)
                try session.show([("id", .string("\(made)"))], lines: ["\(made)"])
            }
        }

        private static func pair(_ text: String) throws -> (String, String) {
            guard let place = text.firstIndex(of: "=") else {
                throw Failure.usage("'\(text)' is not a field: as in order_id=123 (or - alone for standard input)")
            }
            return (String(text[..<place]), String(text[text.index(after: place)...]))
        }
    }

    struct Len: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Count the entries of a stream.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @OptionGroup var options: ClientOptions

        func run() throws {
            let name = try StreamName(key)
            try StreamSession.run(options) { session in
                let length = try await session.stream(name).length()
                try session.show([("length", .integer(Int64(length)))], lines: ["\(length)"])
            }
        }
    }

    struct Del: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete entries; prints how many there were.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: ArgumentHelp("Which ones.", valueName: "id"))
        var ids: [String]

        @Flag(help: "From a history that the service keeps, too.")
        var force = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, ids, force) = (try StreamName(key), try StreamArguments.ids(ids), force)
            try StreamSession.run(options) { session in
                let stream = session.stream(name)
                try session.refuseCandles(stream, force: force)
                let count = try await stream.delete(ids)
                try session.show([("deleted", .integer(Int64(count)))], lines: ["\(count)"])
            }
        }
    }

    struct Trim: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove the oldest entries; prints how many went.",
            discussion: """
                Without --exactly Redis removes whole blocks, which costs it less: some more entries stay.

                  feedd stream trim orders --keep 100000
                  feedd stream trim orders --before 7d --exactly
                  feedd stream trim orders --acknowledged
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Option(help: ArgumentHelp("Keep so many of the newest entries.", valueName: "n"))
        var keep: Int?

        @Option(help: ArgumentHelp("Remove what lies before this place.", valueName: "place"))
        var before: String?

        @Flag(help: "Remove what all groups have acknowledged; without a group nothing.")
        var acknowledged = false

        @Flag(help: "Exactly what is said, at a higher price.")
        var exactly = false

        @Option(help: ArgumentHelp("Remove about so many at most. Not with --exactly.", valueName: "n"))
        var limit: Int?

        @Flag(help: "From a history that the service keeps, too.")
        var force = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let name = try StreamName(key)
            let limit = try StreamArguments.count(limit, "--limit")
            let wanted = try StreamArguments.keep(newest: keep, from: before, isExact: exactly, "--before")
            guard (wanted != nil) != acknowledged else {
                throw Failure.usage("one of --keep, --before and --acknowledged says what goes")
            }
            guard limit == nil || !exactly && !acknowledged else {
                throw Failure.usage("--limit has no meaning with --exactly or --acknowledged")
            }
            let force = force
            try StreamSession.run(options) { session in
                let stream = session.stream(name)
                try session.refuseCandles(stream, force: force)
                let count = try await stream.trim(wanted ?? .unacknowledged, limit: limit)
                try session.show([("trimmed", .integer(Int64(count)))], lines: ["\(count)"])
            }
        }
    }
}
