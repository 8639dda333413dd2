// The benchmark program runs, measures something, and writes a document that it can read again: benchmarks that nobody
// runs rot. What takes less than ten seconds is run with every change, the rest at night.

import FastFeed
import Foundation
import TestKit
import Testing

@Suite(.serialized, .disabled(if: Sanitizer.isOn, "speeds under a sanitizer are its own"))
struct BenchmarkSmokeTests {
    private struct Outcome {
        let code: Int32
        let output: Data
        let errors: String
    }

    /// Runs the built program, which stands beside the test bundle.
    private func run(_ arguments: String..., within seconds: Double = 30) throws -> Outcome {
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let scratch = try TemporaryDirectory()
        let (output, errors) = (URL(fileURLWithPath: scratch.path + "/out"), URL(fileURLWithPath: scratch.path + "/err"))
        for file in [output, errors] { #expect(FileManager.default.createFile(atPath: file.path, contents: nil)) }
        let process = Process()
        process.executableURL = folder.appendingPathComponent("Benchmarks")
        process.arguments = arguments
        let files = [try FileHandle(forWritingTo: output), try FileHandle(forWritingTo: errors)]
        (process.standardOutput, process.standardError) = (files[0], files[1])
        try process.run()
        for file in files { try file.close() }
        if !comesTrue(within: seconds, { !process.isRunning }) {
            // It has servers to end.
            kill(process.processIdentifier, SIGTERM)
            if !comesTrue(within: 2, { !process.isRunning }) { kill(process.processIdentifier, SIGKILL) }
            Issue.record("still running after \(seconds) s: \(arguments)")
        }
        process.waitUntilExit()
        return Outcome(
            code: process.terminationStatus, output: try Data(contentsOf: output), errors: try String(contentsOf: errors, encoding: .utf8))
    }

    private func results(_ outcome: Outcome) throws -> (document: [String: Any], byName: [String: [String: Any]]) {
        let document = try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
        let results = try #require(document["results"] as? [[String: Any]])
        return (
            document, Dictionary(uniqueKeysWithValues: results.compactMap { result in (result["name"] as? String).map { ($0, result) } })
        )
    }

    private func value(_ result: [String: Any]?, _ figure: String) -> Double? { (result?["values"] as? [String: Any])?[figure] as? Double }

    @Test func aDocumentIsWrittenAndComparedWith() throws {
        let scratch = try TemporaryDirectory()
        let file = scratch.path + "/first.json"
        let first = try run("parse", "--quick", "--json", "--out", file)
        #expect(first.code == 0, "\(first.errors)")
        let (document, byName) = try results(first)
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == first.output, "nothing but the document on the standard output")
        #expect(try #require(value(byName["parse"], "median")) > 0)
        for part in ["machine", "software", "conditions"] { #expect(document[part] is [String: Any], "\(part)") }
        let second = try run("parse", "--quick", "--json", "--compare", file)
        #expect(second.code == 0, "\(second.errors)")
        let lines = try #require(try results(second).document["comparison"] as? [[String: Any]])
        #expect(lines.compactMap { $0["name"] as? String } == ["parse", "parse/um", "parse/in-order", "parse/any-order"])
        for line in lines {
            #expect(line["figure"] as? String == "median")
            #expect(["same", "BETTER", "WORSE"].contains(line["mark"] as? String))
        }
    }

    @Test func allThereIsIsListed() throws {
        let outcome = try run("--list")
        let names = String(decoding: outcome.output, as: UTF8.self).split(separator: "\n").compactMap { $0.split(separator: " ").first }
        #expect(outcome.code == 0 && names.contains("parse") && names.contains("latency/20000/wss+unix") && names.contains("burst/5000"))
    }

    @Test(.nightly) func everyStageRuns() throws {
        for stage in ["frame-decode", "ring", "coalesce", "encode", "replies"] {
            let outcome = try run(stage, "--quick", "--rounds", "1", "--json")
            #expect(outcome.code == 0, "\(outcome.errors)")
            let (_, byName) = try results(outcome)
            #expect(byName.contains { $0.key.hasPrefix(stage) } && byName.values.allSatisfy { value($0, "median") ?? 0 > 0 })
        }
    }

    @Test func theWholeEngineRunsAndIsRight() throws {
        let outcome = try run("latency/2000/ws+unix", "--quick", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        let latency = byName["latency/2000/ws+unix/due-to-subscriber"]
        // An open loop asks at its rate, however slow the answers are and however late the window was closed.
        let seconds = try #require(value(byName["latency/2000/ws+unix/window"], "median"))
        let count = try #require(value(latency, "n"))
        #expect(seconds >= 0.7 && abs(count - 2_000 * seconds) < 0.1 * 2_000 * seconds, "\(count) samples in \(seconds) s")
        #expect(try #require(value(latency, "p50")) > 0)
        // What the engine wrote has passed all of its stages.
        let written = try #require(value(byName["latency/2000/ws+unix/socket-to-ack"], "n"))
        for stage in ["socket-to-parsed", "parsed-to-taken", "taken-to-written", "written-to-ack"] {
            let figure = byName["latency/2000/ws+unix/\(stage)"]
            #expect(value(figure, "p50") ?? 0 > 0 && abs((value(figure, "n") ?? 0) - written) <= 0.1 * written, "\(stage)")
        }
    }

    @Test(.nightly) func aBurstEndsWithItsLastAcknowledgement() throws {
        let outcome = try run("burst/300", "--quick", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        let acknowledged = byName["burst/300/close-to-ack"]
        let made = try #require(value(byName["burst/300/exchange-lateness"], "last"))
        #expect(try #require(value(acknowledged, "last")) > made && value(acknowledged, "n") ?? 0 >= 2)
    }

    /// The C++ reference, freshly built; or another program that one of the scripts builds.
    private func reference(_ script: String = "build.sh", _ name: String = "reference") throws -> String {
        let perf = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../perf/reference").standardized
        let build = try Process.run(perf.appendingPathComponent(script), arguments: [])
        build.waitUntilExit()
        try #require(build.terminationStatus == 0)
        return perf.appendingPathComponent("../../.build/reference/\(name)").standardized.path
    }

    @Test func streamsAreCompared() throws { try compareStreams("consume-by-10,latency") }
    @Test(.nightly) func allOfStreamsIsCompared() throws { try compareStreams("consume,produce,range,latency") }

    /// By the library and by C over hiredis; by redis-py only where perf/streams.sh has installed it. Each run proves that all was done.
    private func compareStreams(_ cases: String) throws {
        let outcome = try run(
            "streams", cases, "--quick", "--json", "--reference", reference("streams/build.sh", "streams"), within: 120)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        let all = [
            "consume-by-10/messages", "latency/p50", "consume/messages", "consume-candles/messages", "produce/messages",
            "produce-candles/messages", "range-candles/messages",
        ]
        for name in all where cases.split(separator: ",").contains(where: { name.hasPrefix($0) }) {
            let parts = name.split(separator: "/")
            func figure(_ program: String) throws -> Double {
                try #require(value(byName["streams/\(parts[0])/\(program)/\(parts[1])"], "median"), "\(name) of \(program)")
            }
            let (own, other) = (try figure("fastfeed"), try figure("hiredis"))
            #expect(own > 0 && other > 0)
            #expect(abs(try figure("fastfeed-to-hiredis") - own / other) < 1e-6 * own / other, "\(name)")
            #expect(value(byName["streams/\(parts[0])/fastfeed/message-cpu"], "median") ?? 0 > 0, "\(name)")
        }
    }

    /// Cases in which FastFeed's own ways to idle are compared. Bars are of a second, and each series must close one. Who spins has a
    /// core to itself, where there are two.
    @Test(.nightly) func waysToIdleAreCompared() throws {
        let spins = Cores.allowed().count >= 2
        let outcome = try run(
            "reference", spins ? "spin-2000,pause-20000" : "pause-20000", "--rounds", "1", "--seconds", "2.5", "--reference", reference(),
            "--json", within: 120)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        let pausing = try #require(value(byName["pause-20000/feedd-pause/p50"], "median"))
        let parked = try #require(value(byName["pause-20000/feedd/p50"], "median"))
        let ratio = try #require(value(byName["pause-20000/feedd-pause-to-feedd/p50"], "median"))
        #expect(abs(ratio - pausing / parked) < 1e-9)
        // Frames that come in a pause of 300 us wait for its end: half of it, on average.
        #expect(pausing > 150)
        #expect(!spins || value(byName["spin-2000/feedd-spin-to-feedd/p50"], "median") ?? 0 > 0)
        #expect(value(byName["pause-20000/feedd-pause-to-reference-pause/cpu"], "median") ?? 0 > 0)
    }

    /// The reference runs, and stores what the exchange said: the comparison with the truth is part of the run. The cost of TLS is
    /// a difference of two cases of the same round.
    @Test(.nightly, .looksIntoProgram) func theReferenceIsComparedWith() throws {
        let outcome = try run(
            "reference", "saturated,every-update,wss", "--rounds", "1", "--seconds", "0.7", "--reference", reference(), "--json",
            within: 120)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        for name in ["saturated", "every-update"] { #expect(value(byName["\(name)/feedd-to-reference/cpu"], "median") ?? 0 > 0, "\(name)") }
        for program in ["reference", "feedd"] {
            func cpu(_ name: String) throws -> Double { try #require(value(byName["\(name)/\(program)/cpu"], "median")) }
            let above = try #require(value(byName["wss/\(program)/cpu-above-ws"], "median"))
            #expect(abs(above - (try cpu("wss") - cpu("saturated"))) < 1e-9, "\(program)")
        }
        #expect(byName["wss/feedd-to-reference/cpu-above-ws"] == nil)
    }

    @Test(.nightly) func commandsAreAnswered() throws {
        let outcome = try run("commands/idle", "--quick", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        for kind in ["flux:create", "flux:stop", "flux:list", "status:get", "data:get"] {
            let latency = byName["commands/idle/\(kind)"]
            #expect(value(latency, "p50") ?? 0 > 0 && value(latency, "n") ?? 0 >= 50, "\(kind)")
        }
    }

    /// A cold backfill, an outage over the end of a bar, and a backfill beside live candles.
    @Test(.nightly) func healingIsMeasured() throws {
        let outcome = try run("heal/", "--quick", "--json", within: 600)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true, "\(document["failures"] ?? "")")
        for name in ["backfill/candles", "outage/300/time", "outage/1500/time", "live/with/p99", "live/without/p99", "live/ratio/p99"] {
            #expect(value(byName["heal/\(name)"], "median") ?? 0 > 0, "\(name)")
        }
        #expect(value(byName["heal/outage/300/scripts"], "max") == 0, "all are appended")
    }

    /// Not a measurement: memory is judged over minutes (`scripts/churn.sh`).
    @Test(.nightly, .looksIntoProgram) func nothingIsLeftOfFluxes() throws {
        let outcome = try run("churn", "--minutes", "0.1", "--every-ms", "100", within: 120)
        let text = String(decoding: outcome.output, as: UTF8.self)
        #expect(outcome.code == 0 && text.contains("churn: all holds"), "\(text)\(outcome.errors)")
    }

    /// Memory and CPU of a hundred series with two readers, and the picture of it.
    @Test(.nightly, .looksIntoProgram) func theScaleRunsAndIsDrawn() throws {
        let scratch = try TemporaryDirectory()
        let file = scratch.path + "/scale.json"
        let outcome = try run("scale", "100/readers-2", "--quick", "--json", "--out", file, within: 120)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, byName) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        for readers in ["readers-2", "readers-2-dedicated"] {
            for figure in ["rss", "anonymous", "cpu", "cpu-share"] {
                for load in ["paced", "saturated"] {
                    #expect(value(byName["scale/\(load)/100/\(readers)/\(figure)"], "median") ?? 0 > 0, "\(load) \(readers) \(figure)")
                }
            }
            // Each of the hundred series has a frame a second.
            let frames = try #require(value(byName["scale/paced/100/\(readers)/frames"], "median"))
            #expect(frames > 50 && frames < 200, "\(frames) frames/s")
        }
        let text = try drawn(by: "scale-chart.py", file)
        #expect(text.hasPrefix("<svg") && text.hasSuffix("</svg>\n"))
        #expect(text.contains("<circle") && !text.contains("not measured"))
    }

    /// A row of the capacity sheet, for the size that is tried quickly.
    @Test(.nightly, .looksIntoProgram) func theCapacitySheetIsWritten() throws {
        let scratch = try TemporaryDirectory()
        let file = scratch.path + "/capacity.json"
        let outcome = try run("scale", "times-5", "--quick", "--json", "--out", file, within: 120)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let (document, _) = try results(outcome)
        #expect((document["failures"] as? [Any])?.isEmpty == true)
        let lines = try drawn(by: "capacity-sheet.py", file).split(separator: "\n").filter { $0.hasPrefix("|") }
        let cells = lines.last?.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } ?? []
        #expect(lines.count == 3 && cells.count == 13 && cells.prefix(2) == ["300", "5"] && !cells.contains(""), "\(lines)")
    }

    /// What a script of perf/ makes of a document.
    private func drawn(by script: String, _ file: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../perf/\(script)").standardized
        process.arguments = [file]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        return text
    }

    /// Not a measurement: a minute of it is `perf/overload.sh`.
    @Test(.nightly, .looksIntoProgram) func anOverloadLosesNothing() throws {
        let scratch = try TemporaryDirectory()
        let file = scratch.path + "/overload.json"
        let outcome = try run("overload", "--quick", "--record", file, within: 120)
        let text = String(decoding: outcome.output, as: UTF8.self)
        #expect(outcome.code == 0 && text.contains("overload: all holds"), "\(text)\(outcome.errors)")
        let record = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file))) as? [String: Any])
        let (received, ceiling) = (try #require(record["received"] as? Double), try #require(record["ceiling"] as? Double))
        #expect(received > ceiling && ceiling > 0, "\(received) came, the ceiling is \(ceiling)")
    }

    /// Not a measurement: a hundred million frames are `perf/endurance.sh`.
    @Test(.nightly, .looksIntoProgram) func manyFramesAllocateNothing() throws {
        let outcome = try run("endurance", "--frames", "5000000", "--warm-up", "1", "--heap-frames", "1000000", within: 120)
        let text = String(decoding: outcome.output, as: UTF8.self)
        #expect(outcome.code == 0 && text.contains("endurance: all holds"), "\(text)\(outcome.errors)")
    }

    @Test func whatIsWrongIsNamed() throws {
        let filter = try run("nonsense")
        #expect(filter.code != 0 && filter.errors.contains("'nonsense'") && filter.errors.contains("frame-decode"))
        let missing = try run("parse", "--quick", "--compare", "/nowhere/old.json")
        #expect(missing.code != 0 && missing.errors.contains("/nowhere/old.json"))
        let scratch = try TemporaryDirectory()
        let file = scratch.path + "/other.json"
        try #"{"format":99}"#.write(toFile: file, atomically: true, encoding: .utf8)
        let foreign = try run("parse", "--quick", "--compare", file)
        #expect(foreign.code != 0 && foreign.errors.contains("format 99"))
    }
}
