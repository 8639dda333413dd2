// The program: its commands, and how it ends. Exit codes are part of the contract: 0 all is well, 1 refused
// or failed, 2 wrong usage, 3 Redis or the exchange cannot be reached, 4 closed candles that came are not in Redis.

import ArgumentParser
import FastFeed
import Glibc

@main
struct Feedd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feedd",
        abstract: "Takes Binance's klines over WebSocket and puts them into Redis: complete, exact, within milliseconds.",
        discussion: """
            Try it, offline and without setting anything up:
              feedd demo

            Follow three symbols at two intervals, into the Redis at 127.0.0.1:6379:
              feedd run --flux btcusdt,ethusdt,solusdt:1m,5m

            The same against a local exchange:
              feedd simulate --port 9443
              feedd run --flux btcusdt:1m --venue-ws ws://127.0.0.1:9443 --redis embedded

            Talk to a running service:
              feedd create btcusdt,ethusdt 1m
              feedd create --top 100 --quote USDT 1m
              feedd watch btcusdt 1m

            Any Redis Stream, with or without a service:
              feedd stream read @btcusdt:1m --follow
            """,
        version: "feedd \(Build.text)",
        subcommands: [Run.self, Simulate.self, Demo.self],
        groupedSubcommands: [
            CommandGroup(
                name: "Client",
                subcommands: [
                    List.self, Create.self, Stop.self, Status.self, Health.self, DataCommand.self, SymbolsCommand.self, Gaps.self,
                    Backfill.self, Audit.self, Monitor.self, Watch.self, MembersCommand.self,
                ]),
            CommandGroup(name: "Redis Streams", subcommands: [StreamCommands.self, GroupCommands.self]),
        ]
    )

    static func main() {
        // Before there is a password to read.
        ProcessMemory.refuseCoreDumps()
        // Before the first thread is made: threads inherit what is blocked.
        Signals.claim()
        Terminal.claimStandardDescriptors()
        do {
            var command = try parseAsRoot()
            try command.run()
            try Terminal.finish()
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        if let failure = error as? Failure ?? (error as? FeedError).map(Failure.init) {
            StandardError.write("feedd: \(failure.sentence)\n")
            Glibc.exit(failure.status)
        }
        // Help, version and completion scripts come this way, too.
        guard exitCode(for: error) == .validationFailure else { endAsAsked(error) }
        StandardError.write("feedd: \(message(for: error))\nSee 'feedd --help', or --help after a command.\n")
        Glibc.exit(Failure.usage)
    }

    private static func endAsAsked(_ error: any Error) -> Never {
        let (code, text) = (exitCode(for: error), fullMessage(for: error))
        guard code == .success else { exit(withError: error) }
        do throws(Failure) {
            if !text.isEmpty { try Terminal.print(text + "\n") }
            try Terminal.finish()
        } catch {
            end(with: error)
        }
        Glibc.exit(code.rawValue)
    }
}

/// Why the program ends early: a status and one sentence for a person.
struct Failure: Error {
    static let refused: Int32 = 1
    static let usage: Int32 = 2
    static let unreachable: Int32 = 3
    static let incomplete: Int32 = 4

    let status: Int32
    let sentence: String

    init(_ status: Int32, _ sentence: String) {
        self.status = status
        self.sentence = LogText.escaped(sentence)
    }

    static func usage(_ sentence: String) -> Failure { Failure(usage, sentence) }

    init(_ error: FeedError) {
        switch error.stage {
        case .configuration, .tls: self.init(Failure.usage, error.message)
        case .redis, .handshake, .webSocket, .venue: self.init(Failure.unreachable, error.message)
        case .system: self.init(Failure.refused, error.message)
        }
    }
}

enum StandardError {
    /// Whole or not at all as far as a pipe allows: one write per line.
    static func write(_ text: String) { _ = LogSink.standardError.write(text) }
}
