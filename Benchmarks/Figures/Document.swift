// The JSON document of a run: the figures, and all that must be known to read them. A plain value.

import FastFeed
import Foundation

struct Document: Codable {
    struct Machine: Codable {
        let cpu, kernel, system, simdjsonKernel: String
        let cores: Int
        let memoryBytes: UInt64
    }

    struct Software: Codable {
        let commit, swift, redis: String
        /// The working tree had changes that are not in the commit.
        let isDirty: Bool
    }

    struct Conditions: Codable {
        let date, command: String
        let isQuick: Bool
        /// Of the last minute, before the run began: above the number of running programs others were at work.
        let loadAverageBefore: Double
        /// Share of the machine's time that its host took away during the run.
        var stealPercent: Double
        var seconds: Double
    }

    struct Failure: Codable {
        let name, reason: String
    }

    static let formatNow = 1
    var format = Document.formatNow
    let machine: Machine
    let software: Software
    var conditions: Conditions
    var results: [Measure] = []
    var failures: [Failure] = []
    var comparison: [Comparison.Line]?

    init(isQuick: Bool) {
        machine = Surroundings.machine()
        software = Surroundings.software()
        conditions = Conditions(
            date: ISO8601DateFormatter().string(from: Date()),
            command: (["Benchmarks"] + CommandLine.arguments.dropFirst()).joined(separator: " "), isQuick: isQuick,
            loadAverageBefore: Double(Surroundings.text("/proc/loadavg").prefix { $0 != " " }) ?? 0, stealPercent: 0, seconds: 0)
    }

    /// - Throws: one sentence saying why the file cannot be compared.
    init(file: String) throws {
        let compressed = file.hasSuffix(".gz") ? Surroundings.output("gzip", "-dc", file).map { Data($0.utf8) } : nil
        guard let data = compressed ?? FileManager.default.contents(atPath: file) else {
            throw FeedError(.configuration, "'\(file)' cannot be read")
        }
        struct Header: Decodable { let format: Int }
        let format = (try? JSONDecoder().decode(Header.self, from: data))?.format
        guard format == Document.formatNow else {
            let what = format.map { "has format \($0), this program reads \(Document.formatNow)" }
            throw FeedError(.configuration, "'\(file)' \(what ?? "is not a document of this program (--json or --out writes one)")")
        }
        do {
            self = try JSONDecoder().decode(Document.self, from: data)
        } catch {
            throw FeedError(.configuration, "'\(file)' is damaged: \(error)")
        }
    }
}
