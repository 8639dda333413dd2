// `feedd group`: consumer groups, made, listed, moved and removed. Reading is in GroupReads.

import ArgumentParser
import FastFeed

struct GroupCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Read Redis Streams through consumer groups, and look after these; no service is needed.",
        discussion: """
            A group hands each entry to one of its consumers, and remembers it until it is acknowledged.

              feedd group create orders payment --from start
              feedd group read orders --group payment --as worker-1 --follow --ack
              feedd group pending orders payment
              feedd group list orders
            """,
        subcommands: [
            Create.self, Destroy.self, List.self, Seek.self, Forget.self, Read.self, Ack.self, Claim.self, Pending.self,
        ])

    static let groupHelp = ArgumentHelp("The group's name.")
}

extension GroupCommands {
    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a group.",
            discussion: """
                Ends with 1 when it is there already.

                  feedd group create orders payment
                  feedd group create @btcusdt:1m research --from 24h
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Option(help: ArgumentHelp("Where it begins: \(StreamPlace.forms). (default: start)", valueName: "place"))
        var from: String?

        @Flag(help: "Not for a stream that is not there: do not make one.")
        var noMake = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, makes) = (try StreamName(key), try StreamArguments.name(group, "a group"), !noMake)
            let place = try StreamArguments.place(from, else: .start).position
            try StreamSession.run(options) { session in
                let made = session.group(name, group)
                guard try await made.create(from: place, makingStream: makes) else {
                    throw StreamRefusal("group_exists", "the group '\(group)' is there already on '\(made.stream.key)'")
                }
                try session.show(
                    [("stream", .string(made.stream.key)), ("group", .string(group)), ("created", .bool(true))],
                    lines: [LogText.escaped("created \(group) on \(made.stream.key)")])
            }
        }
    }

    struct Destroy: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a group, with what it remembers.",
            discussion: "Refuses as long as it has entries that nobody has acknowledged; --force removes it all the same.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Flag(help: "With entries pending, and of a history that the service keeps, too.")
        var force = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, force) = (try StreamName(key), group, force)
            try StreamSession.run(options) { session in
                let gone = session.group(name, group)
                try session.refuseCandles(gone.stream, force: force)
                let pending = force ? 0 : try await gone.pending().count
                guard pending == 0 else {
                    throw StreamRefusal.pending(pending, gone, "--force removes it with them")
                }
                guard try await gone.destroy() else { throw StreamError.noSuchGroup(key: gone.stream.key, group: group) }
                try session.show(
                    [("stream", .string(gone.stream.key)), ("group", .string(group)), ("destroyed", .bool(true))],
                    lines: [LogText.escaped("destroyed \(group) on \(gone.stream.key)")])
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the groups of a stream.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @OptionGroup var options: ClientOptions

        func run() throws {
            let name = try StreamName(key)
            try StreamSession.run(options) { session in
                let facts = try await StreamFacts.take(session.stream(name))
                try session.show(
                    [("stream", .string(facts.key)), ("groups", .array(facts.groups.map(StreamFacts.json)))],
                    lines: facts.groups.isEmpty ? ["no groups"] : facts.groupLines())
            }
        }
    }

    struct Seek: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move a group to a place: what lies behind it is handed out next.",
            discussion: """
                Refuses as long as the group has entries that nobody has acknowledged: moved back, it would take them from their consumers.

                  feedd group seek orders payment start
                  feedd group seek orders payment 1h
                """)

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Argument(help: ArgumentHelp("\(StreamPlace.forms).", valueName: "place"))
        var to: String

        @Flag(help: "With entries pending, too.")
        var force = false

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, force) = (try StreamName(key), group, force)
            let place = try StreamArguments.place(to).position
            let shown = to
            try StreamSession.run(options) { session in
                let moved = session.group(name, group)
                let pending = force ? 0 : try await moved.pending().count
                guard pending == 0 else { throw StreamRefusal.pending(pending, moved, "--force moves it all the same") }
                try await moved.seek(to: place, evenIfPending: force)
                try session.show(
                    [("stream", .string(moved.stream.key)), ("group", .string(group)), ("place", .string(shown))],
                    lines: [LogText.escaped("moved \(group) on \(moved.stream.key) to \(shown)")])
            }
        }
    }

    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a consumer's name from a group.",
            discussion: "Refuses as long as it has entries pending: acknowledge them, or have another one claim them.")

        @Argument(help: ArgumentHelp(StreamName.help))
        var key: String

        @Argument(help: GroupCommands.groupHelp)
        var group: String

        @Argument(help: "The consumer's name.")
        var consumer: String

        @OptionGroup var options: ClientOptions

        func run() throws {
            let (name, group, consumer) = (try StreamName(key), group, consumer)
            try StreamSession.run(options) { session in
                let left = session.group(name, group)
                guard try await left.forget(consumer) else {
                    throw StreamRefusal("refused", "'\(consumer)' has entries pending in '\(group)' on '\(left.stream.key)', and stays")
                }
                try session.show(
                    [("stream", .string(left.stream.key)), ("group", .string(group)), ("forgotten", .string(consumer))],
                    lines: [LogText.escaped("forgot \(consumer) in \(group) on \(left.stream.key)")])
            }
        }
    }
}
