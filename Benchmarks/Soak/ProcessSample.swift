// What /proc says of another process.

import FastFeed
import Foundation

struct ProcessSample: Codable {
    let residentBytes: Int
    let anonymousBytes: Int
    let descriptors: Int
    let threads: Int
    /// User and system time since its start.
    let cpuSeconds: Double

    init(pid: Int32) throws {
        func text(_ name: String) throws -> String { try String(contentsOfFile: "/proc/\(pid)/\(name)", encoding: .utf8) }
        let memory = try text("smaps_rollup")
        residentBytes = ProcessSample.kilobytes("Rss:", memory) * 1_024
        anonymousBytes = ProcessSample.kilobytes("Anonymous:", memory) * 1_024
        descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
        threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count
        // Fields count from behind the name, which may hold spaces: utime and stime are the 12th and 13th there.
        let fields = try text("stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw FeedError(.system, "/proc/\(pid)/stat is not as expected")
        }
        cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func kilobytes(_ name: String, _ text: String) -> Int {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
}
