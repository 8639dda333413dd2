// The local exchange as a child process, so that its CPU time is not the engine's.

import FastFeed
import Foundation

/// The program `feedd`, built beside this one.
enum FeeddProgram {
    static func url() throws -> URL {
        let feedd = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("feedd")
        guard FileManager.default.isExecutableFile(atPath: feedd.path) else {
            let configuration = feedd.deletingLastPathComponent().lastPathComponent == "debug" ? "" : " -c release"
            throw FeedError(.system, "'\(feedd.path)' is not there; build it with: swift build\(configuration) --product feedd")
        }
        return feedd
    }

    /// With these it ends when this process does, however that ends. (The kernel looks at the thread that starts it, so
    /// children are started by the main thread.)
    static var endsWithUs: [String] { ["--end-with-parent", "\(getpid())"] }
}

final class ExchangeProcess {
    /// `ws://127.0.0.1:PORT`, or `wss://` with `--tls`.
    let webSocketBase: String
    /// `http://127.0.0.1:PORT`: truth and faults (docs/simulator.md).
    let restBase: String
    /// With `--tls`: the authority to trust, a PEM file.
    let authorityFile: String?
    /// Where the closed candles are written when it stops, if that was asked for.
    let truthFile: String?
    private let process = Process()

    var processIdentifier: Int32 { process.processIdentifier }

    /// - Parameter arguments: further flags of `feedd simulate`.
    /// - Parameter keepsTruth: on `stop` all closed candles go into `truthFile`, which is gone with this object.
    init(_ arguments: [String], keepsTruth: Bool = false) throws {
        truthFile =
            keepsTruth ? FileManager.default.temporaryDirectory.appendingPathComponent("benchmark-truth-\(UUID().uuidString)").path : nil
        process.executableURL = try FeeddProgram.url()
        process.arguments =
            ["simulate", "--port", "0", "--status-seconds", "0"] + FeeddProgram.endsWithUs + arguments
            + (truthFile.map { ["--truth-file", $0] } ?? [])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        var text = ""
        while !text.contains("\n") {
            let chunk = output.fileHandleForReading.availableData
            guard !chunk.isEmpty else { throw FeedError(.system, "the exchange process ended: \(text)") }
            text += String(decoding: chunk, as: UTF8.self)
        }
        guard let match = text.firstMatch(of: /(wss?:\/\/\S+)\s+rest (\S+)/) else {
            throw FeedError(.system, "the exchange process does not say where it is: \(text)")
        }
        webSocketBase = String(match.1)
        restBase = String(match.2)
        authorityFile = text.firstMatch(of: /ca-file (\S+)/).map { String($0.1) }
    }

    deinit {
        stop()
        if let truthFile { try? FileManager.default.removeItem(atPath: truthFile) }
    }

    func stop() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }
}
