// `/metrics` as Prometheus reads it: all series from the first scrape, names as documented, figures that agree with one another.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing
import VenueSimulator

/// A text of the format 0.0.4, taken apart.
private struct Scrape {
    struct Sample {
        let name: String
        let labels: String
        let value: Double
    }

    private(set) var samples: [Sample] = []
    private(set) var types: [String: String] = [:]
    private(set) var helps: Set<String> = []

    init(_ text: String) throws {
        for line in text.split(separator: "\n") {
            if let match = line.wholeMatch(of: /# (HELP|TYPE) ([a-z_]+) (.+)/) {
                let (name, rest) = (String(match.2), String(match.3))
                if match.1 == "TYPE" {
                    #expect(types.updateValue(rest, forKey: name) == nil, "\(name) has two types")
                } else {
                    #expect(helps.insert(name).inserted, "\(name) has two helps")
                }
                continue
            }
            let match = try #require(line.wholeMatch(of: /([a-z_]+)(\{[^}]*\})? ([-+.0-9e]+)/), "\(line)")
            samples.append(Sample(name: String(match.1), labels: String(match.2 ?? ""), value: try #require(Double(match.3))))
        }
    }

    /// The metric that a sample belongs to.
    func family(_ name: String) -> String {
        if types[name] != nil { return name }
        return ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map { String(name.dropLast($0.count)) } ?? name
    }

    var names: Set<String> { Set(samples.map { family($0.name) }) }
    var keys: Set<String> { Set(samples.map { $0.name + $0.labels }) }
    func sum(_ name: String) -> Double { samples.filter { $0.name == name }.reduce(0) { $0 + $1.value } }
    func value(_ name: String, _ labels: String = "") -> Double? { samples.first { $0.name == name && $0.labels == labels }?.value }

    /// Where Prometheus's `histogram_quantile` looks for it, in seconds: it draws a straight line through this bucket.
    func bucket(_ share: Double, _ name: String, _ label: String = "") -> ClosedRange<Double>? {
        let buckets = samples.filter { $0.name == name + "_bucket" && (label.isEmpty || $0.labels.contains(label)) }
        var lower = 0.0
        for bucket in buckets {
            guard let upper = bucket.labels.firstMatch(of: /le="([^"]+)"/).flatMap({ Double($0.1) }) else { return nil }
            if bucket.value > 0, bucket.value >= share * buckets.last!.value { return lower...upper }
            lower = upper
        }
        return nil
    }

    func labelNames(_ family: String) -> Set<String> {
        let texts = samples.filter { self.family($0.name) == family }.map(\.labels)
        return Set(texts.flatMap { $0.matches(of: /([a-z_]+)="/).map { String($0.1) } }).subtracting(["le"])
    }
}

@Suite("Ops server: metrics", .serialized)
struct OpsMetricsTests {
    private static let table = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../docs/operations.md").standardized

    private func scrape(_ rig: OpsRig) throws -> Scrape {
        let answer = try rig.get("/metrics")
        #expect(answer.status == 200 && answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        return try Scrape(answer.body)
    }

    /// The table of docs/operations.md: names and labels.
    private func documented() throws -> [String: Set<String>] {
        let text = try String(contentsOf: OpsMetricsTests.table, encoding: .utf8)
        var rows: [String: Set<String>] = [:]
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 5, ["counter", "gauge", "histogram"].contains(cells[2]) else { continue }
            let names = cells[3].replacing(/\([^)]*\)/, with: "").split { ", ".contains($0) }.map { $0.trimmingCharacters(in: ["`"]) }
            rows[cells[1].trimmingCharacters(in: ["`"])] = Set(names)
        }
        return rows
    }

    @Test func theyAreAsDocumentedAndThereFromTheStart() throws {
        let rig = try OpsRig(symbols: 5)
        let first = try scrape(rig)
        try rig.waitUntilReady()
        try eventually(20, "candles") { try scrape(rig).value("feedd_closed_candles_written_total") ?? 0 > 20 }
        try eventually(10, "INFO") { try scrape(rig).names.contains("feedd_redis_info") }
        let later = try scrape(rig)
        #expect(Set(later.types.keys) == later.helps && later.names == later.helps, "\(later.names.symmetricDifference(later.helps))")

        let rows = try documented()
        #expect(later.names == Set(rows.keys), "\(later.names.symmetricDifference(rows.keys).sorted())")
        for (name, labels) in rows { #expect(later.labelNames(name) == labels, "\(name)") }

        // What comes later is only what is of a flux or of Redis, and the threads that were not there yet.
        let new = later.keys.subtracting(first.keys).filter {
            !$0.hasPrefix("feedd_flux_") && !$0.hasPrefix("feedd_redis_") && !$0.hasPrefix("feedd_thread_")
                && !$0.contains("_command_duration_")
        }
        #expect(new.isEmpty, "\(new.sorted())")
        #expect(first.keys.subtracting(later.keys).isEmpty, "\(first.keys.subtracting(later.keys).sorted())")
        for sample in first.samples where first.types[first.family(sample.name)] != "gauge" {
            let now = try #require(later.value(sample.name, sample.labels), "\(sample.name)\(sample.labels)")
            #expect(now >= sample.value, "\(sample.name)\(sample.labels)")
        }
        for (name, type) in later.types where type == "counter" { #expect(name.hasSuffix("_total"), "\(name)") }
        #expect(later.samples.count < 700, "\(later.samples.count)")
        try checkWithPromtool(try rig.get("/metrics").body)
    }

    /// Prometheus's own tool, where it is installed.
    private func checkWithPromtool(_ text: String) throws {
        guard let tool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first(where: FileManager.default.isExecutableFile) else {
            print("skipped: promtool is not installed, the format is not checked by it")
            return
        }
        let folder = try TemporaryDirectory()
        try text.write(toFile: folder.path + "/metrics", atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "'\(tool)' check metrics <'\(folder.path)/metrics' >'\(folder.path)/said' 2>&1"]
        try process.run()
        process.waitUntilExit()
        let said = try String(contentsOfFile: folder.path + "/said", encoding: .utf8)
        #expect(process.terminationStatus == 0, "\(said)")
    }

    @Test func figuresAgree() throws {
        // The exchange's clock is behind ours, so that its events are late even where our clock is set back meanwhile.
        let rig = try OpsRig(symbols: 20, clockOffsetMs: -1_000)
        try rig.waitUntilReady()
        try eventually(20, "candles") { try scrape(rig).value("feedd_closed_candles_written_total") ?? 0 > 200 }
        // Nothing comes any more: soon all has come to an end.
        rig.venue.stop()
        let ends = [
            "feedd_notices_total", "feedd_rejected_total", "feedd_duplicates_total", "feedd_coalesced_total",
            "feedd_candles_written_total", "feedd_candles_rejected_total", "feedd_closed_queue_overflow_total",
            "feedd_stale_generation_total",
        ]
        try eventually(30, "books that balance") {
            let now = try scrape(rig)
            return now.sum("feedd_messages_total") + now.sum("feedd_heal_records_total") == ends.reduce(0) { $0 + now.sum($1) }
                && now.sum("feedd_closed_candles_pending") == 0 && now.sum("feedd_connections_closed_total") >= 1
        }
        let found = try scrape(rig)

        for name in ["feedd_latency_seconds", "feedd_closed_candle_delay_seconds", "feedd_exchange_delay_seconds"] {
            let buckets = found.samples.filter { $0.name == name + "_bucket" }.map(\.value)
            #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0 <= $1 }, "\(name)")
            let count = try #require(found.value(name + "_count"))
            #expect(count > 0 && buckets.last == count, "\(name)")
            let mean = try #require(found.value(name + "_sum")) / count
            #expect(mean > (name == "feedd_latency_seconds" ? 0 : 0.5), "\(name)")
        }
        // Each written state has its place in each part of the way; what the healer has brought was never received.
        let written = found.sum("feedd_candles_written_total") - found.sum("feedd_healed_candles_written_total")
        #expect(found.value("feedd_latency_seconds_count") == written)
        for step in LatencyStage.allCases {
            #expect(found.value("feedd_latency_step_seconds_count", "{step=\"\(step.name)\"}") == written, "\(step)")
        }
        try quantilesAgree(rig)
    }

    /// What Prometheus finds in the buckets is what `feedd status` says, to a bucket. Nothing is written any more, but the status has its beat.
    private func quantilesAgree(_ rig: OpsRig) throws {
        let found = try scrape(rig)
        var wrong: [String] = []
        try eventually(20, "quantiles that agree: \(wrong)") {
            let run = try ProgramRun(["status", "--json", "--redis", "unix://\(rig.redis.socketPath)"])
            // 1: the exchange is gone.
            guard [0, 1].contains(run.end()) else { return false }
            let status = try JSONValue(parsing: Array(run.outputText.utf8))
            wrong = []
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                for step in [nil] + LatencyStage.allCases.map({ Optional($0.name) }) {
                    let field = Field.latency(name, stage: step)
                    let bucket = found.bucket(
                        share, step == nil ? "feedd_latency_seconds" : "feedd_latency_step_seconds", step.map { "step=\"\($0)\"" } ?? "")
                    let seconds = status[field]?.integer.map { Double($0) / 1e6 }
                    if let bucket, let seconds, bucket.contains(seconds) { continue }
                    wrong.append("\(field): \(seconds ?? -1) s, in the bucket \(bucket.map { "\($0)" } ?? "none")")
                }
            }
            return wrong.isEmpty
        }
    }

    @Test func manyFluxesAreCapped() throws {
        let intervals = ["1m", "3m", "5m", "15m"]
        let names = (0..<100).map { "sym\($0)usdt" }
        let fluxes = intervals.flatMap { interval in names.map { "\($0):\(interval)" } }.joined(separator: " ")
        let folder = try TemporaryDirectory()
        let run = try ProgramRun(
            [
                "run", "--venue-ws", "ws://127.0.0.1:1", "--redis", "embedded:\(folder.path)/redis", "--ops", "127.0.0.1:0",
                "--metrics-fluxes", "130",
            ],
            environment: ["FEEDD_FLUX": fluxes])
        defer {
            run.signal(SIGTERM)
            _ = run.end()
        }
        let port = try OpsRig.port(of: run)
        func scrape() throws -> Scrape { try Scrape(OpsRig.get(port, "/metrics").body) }
        try eventually(20, "all judged") { try scrape().sum("feedd_fluxes") == 400 }
        let found = try scrape()
        #expect(found.value("feedd_fluxes_not_exported") == 270)
        #expect(found.samples.count { $0.name == "feedd_flux_info" } == 130)
        // What a Prometheus may be asked to take (deploy/prometheus), with as many fluxes as there may be.
        let ofFluxes = found.samples.count { $0.name.hasPrefix("feedd_flux_") }
        #expect(found.samples.count - ofFluxes + ofFluxes / 130 * 250 < 5_000)
        #expect(found.sum("feedd_series") == 400)
    }
}
