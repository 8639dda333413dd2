// The programs that are run in turns: `feedd run`, the C++ reference (perf/reference), and the peers (perf/peers). All are
// processes of their own, so that their CPU time is taken in the same way: all threads of the process, by the
// scheduler's own account. Main thread.

import FastFeed
import Foundation

/// A program and how it is run.
struct Contestant {
    enum Kind { case feedd, reference, nio, cryptofeed }

    let name: String
    let kind: Kind
    /// Further flags of the program.
    var flags: [String] = []

    static let feedd = Contestant(name: "feedd", kind: .feedd)
    static let spinning = Contestant(name: "feedd-spin", kind: .feedd, flags: ["--idle", "spin"])
    /// Like for like with those that do not coalesce.
    static let every = Contestant(name: "feedd-every", kind: .feedd, flags: ["--no-coalesce"])
    static let pausing = Contestant(name: "feedd-pause", kind: .feedd, flags: ["--idle", "pause:\(pauseMicroseconds)"])
    static let scanner = Contestant(name: "reference", kind: .reference)
    static let onDemand = Contestant(name: "reference-simdjson", kind: .reference, flags: ["--parser", "simdjson"])
    /// Of the parsers alone: every field as a value, not only its token.
    static let onDemandValues = Contestant(name: "reference-simdjson-values", kind: .reference)
    /// As many batches in flight as the engine lets be.
    static let deep = Contestant(name: "reference-4-batches", kind: .reference, flags: ["--in-flight", "4"])
    static let draining = Contestant(name: "reference", kind: .reference, flags: ["--drain"])
    static let lazy = Contestant(name: "reference-lazy", kind: .reference, flags: ["--lazy"])
    static let spinningReference = Contestant(name: "reference-spin", kind: .reference, flags: ["--spin"])
    static let pausingReference = Contestant(name: "reference-pause", kind: .reference, flags: ["--pause-us", "\(pauseMicroseconds)"])
    /// perf/peers.
    static let nio = Contestant(name: "swift-nio", kind: .nio)
    static let cryptofeed = Contestant(name: "cryptofeed", kind: .cryptofeed)
    /// Half of what the other one stores.
    static let cryptofeedSet = Contestant(name: "cryptofeed-zset", kind: .cryptofeed, flags: ["--backends", "zset"])

    /// Of the throughput profile: at 20,000 frames/s six frames come meanwhile.
    static let pauseMicroseconds = 300

    /// Starts it, and waits until it follows the exchange.
    func start(_ rig: Rig, _ programs: ContestantPrograms) throws -> Program {
        let (setup, exchange) = (rig.setup, rig.exchange)
        /// A path, or `ADDRESS:PORT`.
        let address =
            switch rig.redisEndpoint.place {
            case .unix(let path): path
            case .tcp(let place): place.description
            case .sentinel, .cluster: preconditionFailure("a contestant talks to one server")
            }
        let both = ["--flux", setup.flux, "--history", "\(setup.history)", "--venue", exchange.webSocketBase, "--redis", address]
        let authority = exchange.authorityFile.map { ["--ca-file", $0] } ?? []
        let program: Program
        switch kind {
        case .feedd:
            program = try FeeddProcess(
                setup.with { $0.feedd += flags }, exchange, rig.redisEndpoint, logFile: rig.directory.appendingPathComponent("feedd.log"))
        case .reference:
            program = try ReferenceProcess(programs.reference, both + authority + (setup.coalesces ? [] : ["--every"]) + flags)
        case .nio: program = try ReferenceProcess(programs.nio, both + flags)
        case .cryptofeed:
            // It keeps no books. What it says when it is ended in the middle is nobody's concern; what it says before shows in the counts.
            program = try Program(
                programs.python,
                [programs.cryptofeed.path, "--venue", exchange.webSocketBase, "--rest", exchange.restBase, "--redis", address] + flags
                    + ["--log", rig.directory.appendingPathComponent("cryptofeed.log").path],
                in: rig.directory, errors: FileHandle.nullDevice)
        }
        try Wait.until(30, "\(name) to follow the exchange", turn: { try program.mustRun() }) { try exchange.klineFrames() > 0 }
        return program
    }
}

/// Where the other programs are: each is left by its build script in a place beside the directory of this program's
/// configuration.
struct ContestantPrograms {
    let reference, nio: URL
    /// The interpreter of its virtual environment, and our script.
    let python, cryptofeed: URL

    init(reference: URL? = nil) throws {
        let build = try Program.feedd().appendingPathComponent("../../..").standardized
        self.reference = reference ?? build.appendingPathComponent("reference/reference")
        nio = build.appendingPathComponent("peers/nio/nio-peer")
        python = build.appendingPathComponent("peers/cryptofeed/bin/python")
        cryptofeed = build.appendingPathComponent("peers/cryptofeed/candles.py")
    }

    /// - Throws: a sentence that says how to get what is not there.
    func check(_ contestants: [Contestant]) throws {
        let files: [Contestant.Kind: [URL]] = [.reference: [reference], .nio: [nio], .cryptofeed: [python, cryptofeed]]
        for contestant in contestants {
            for file in files[contestant.kind] ?? [] where !FileManager.default.fileExists(atPath: file.path) {
                let script = contestant.kind == .reference ? "perf/reference/build.sh" : "perf/peers/build.sh"
                throw FeedError(.system, "'\(file.path)' is not there; build it with: \(script)")
            }
        }
    }
}

/// A program that ends with the exchange and says what it did in one line of JSON: the reference, and the NIO program.
final class ReferenceProcess: Program {
    private let output = Pipe()

    init(_ program: URL, _ arguments: [String]) throws { try super.init(program, arguments, output: output) }

    override func finish() throws -> Books {
        let books = try said()
        guard waitForEnd() == 0, let klines = books["klines"] as? NSNumber, let closed = books["closed_written"] as? NSNumber,
            (books["others"] as? NSNumber)?.intValue == 0, (books["fallbacks"] as? NSNumber)?.intValue == 0
        else { throw FeedError(.system, "the program has failed, or met messages that it does not know: \(books)") }
        return (klines.uint64Value, closed.uint64Value)
    }

    /// What it says when it ends, for the modes that need no exchange of ours to end first.
    func said() throws -> [String: Any] {
        let text = output.fileHandleForReading.readDataToEndOfFile()
        guard let object = try? JSONSerialization.jsonObject(with: text) as? [String: Any] else {
            throw FeedError(.system, "the program has failed: its complaint is above")
        }
        return object
    }
}
