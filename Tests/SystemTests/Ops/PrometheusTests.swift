// A real Prometheus scrapes a real service: every query of the rules and of the dashboard has data there. Skipped, aloud, where it is
// not installed.

import FastFeed
import Foundation
import TestKit
import Testing
import VenueSimulator

@Suite("Ops server: Prometheus", .serialized)
struct PrometheusTests {
    private static let program = ["/usr/bin/prometheus", "/usr/local/bin/prometheus"].first(where: FileManager.default.isExecutableFile)
    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized

    @Test(
        .enabled(
            if: program != nil && FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "skipped: needs prometheus and python3")
    )
    func everyQueryHasData() throws {
        let rig = try OpsRig(symbols: 5)
        try rig.waitUntilReady()
        let (folder, port) = (try TemporaryDirectory(), try FreePort.find())
        let rules = PrometheusTests.root.appendingPathComponent("deploy/prometheus/feedd.rules.yml").path
        let configuration = """
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: ["\(rules)"]
            scrape_configs: [{job_name: feedd, sample_limit: 5000, static_configs: [{targets: ["127.0.0.1:\(rig.port)"]}]}]
            """
        try configuration.write(toFile: folder.path + "/prometheus.yml", atomically: true, encoding: .utf8)
        let prometheus = Process()
        prometheus.executableURL = URL(fileURLWithPath: try #require(PrometheusTests.program))
        prometheus.arguments = [
            "--config.file=\(folder.path)/prometheus.yml", "--storage.tsdb.path=\(folder.path)/data",
            "--web.listen-address=127.0.0.1:\(port)",
            "--log.level=error",
        ]
        try prometheus.run()
        defer {
            prometheus.terminate()
            prometheus.waitUntilExit()
        }
        func ask(_ path: String) -> JSONValue {
            // In one piece: HTTP/1.0 knows no chunks.
            (try? OpsRig.send("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n", to: port))?.json ?? .null
        }
        try eventually(60, "a target that is up") {
            prometheus.isRunning && ask("/api/v1/targets")["data"]?["activeTargets"]?.array?.first?["health"]?.string == "up"
        }
        // All that is shown over minutes wants some scrapes.
        try eventually(60, "twenty scrapes") {
            let count = ask("/api/v1/query?query=count_over_time(up%5B5m%5D)")["data"]?["result"]?.array?.first?["value"]?.array?.last?
                .string
            return Int(count ?? "") ?? 0 >= 20
        }
        let check = Process()
        let said = Pipe()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        check.arguments = [PrometheusTests.root.appendingPathComponent("scripts/check-dashboard.py").path, "http://127.0.0.1:\(port)"]
        (check.standardOutput, check.standardError) = (said, said)
        try check.run()
        let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        #expect(check.terminationStatus == 0, "\(text)")
        #expect(ask("/api/v1/targets")["data"]?["activeTargets"]?.array?.first?["lastError"]?.string == "")
    }
}
