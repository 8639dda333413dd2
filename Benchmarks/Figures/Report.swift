// A run whose figures go into one document, and to people while it goes on. Main thread.

import ArgumentParser
import FastFeed
import Foundation

struct ReportOptions: ParsableArguments {
    @Flag(help: "One JSON document on the standard output, nothing else; progress goes to the standard error.")
    var json = false

    @Option(help: ArgumentHelp("Also write the JSON document here.", valueName: "file"))
    var out: String?
}

final class Report {
    var document: Document
    private let options: ReportOptions

    private init(_ options: ReportOptions, isQuick: Bool) {
        self.options = options
        document = Document(isQuick: isQuick)
        show(TextReport.head(document))
    }

    /// - Throws: an exit code of 1 when anything has failed.
    static func make(_ options: ReportOptions, isQuick: Bool, _ body: (Report) throws -> Void) throws {
        signal(SIGPIPE, SIG_IGN)
        let report = Report(options, isQuick: isQuick)
        let before = (MonotonicClock.nowNs(), Surroundings.processorTicks())
        try body(report)
        let ticks = Surroundings.processorTicks()
        report.document.conditions.seconds = Double(MonotonicClock.nowNs() - before.0) / 1e9
        report.document.conditions.stealPercent = (ticks.stolen - before.1.stolen) / max(1, ticks.all - before.1.all) * 100
        let data = try JSONFile.encoded(report.document)
        if options.json { try FileHandle.standardOutput.write(contentsOf: data) }
        if let out = options.out { try JSONFile.write(data, to: out) }
        if !report.document.failures.isEmpty { throw ExitCode(1) }
    }

    /// One part of the run; the others go on when it fails.
    func attempt(_ name: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            document.failures.append(Document.Failure(name: name, reason: "\(error)"))
            show("\(name) FAILED: \(error)")
        }
    }

    /// For people. At once, also into a pipe: a run takes minutes. A reader that has gone (`| head`) ends nothing: `--out` is
    /// still to be written.
    func show(_ text: String) {
        guard !options.json else { return Report.say(text) }
        try? FileHandle.standardOutput.write(contentsOf: Data("\(text)\n".utf8))
    }

    /// How far it is.
    static func say(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8)) }
}

/// Documents and records: for programs, and to be read by people and by `git diff`.
enum JSONFile {
    static func encoded(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value) + Data("\n".utf8)
    }

    static func write(_ data: Data, to file: String) throws {
        let url = URL(fileURLWithPath: file)
        do {
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try data.write(to: url)
        } catch {
            throw FeedError(.system, "cannot write '\(file)': \(error.localizedDescription)")
        }
    }
}
