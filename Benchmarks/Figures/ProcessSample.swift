// What /proc says of a process. Any thread.

import FastFeed
import Foundation

struct ProcessSample: Codable {
    let residentBytes, anonymousBytes, descriptors, threads: Int
    /// Of all threads that live now.
    let cpuSeconds: Double

    init(pid: Int32) throws {
        func count(_ folder: String) throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/\(folder)").count }
        let memory = Surroundings.text("/proc/\(pid)/smaps_rollup").split(separator: "\n").map { $0.split(separator: " ") }
        func bytes(_ name: String) -> Int { (memory.first { $0.first == name[...] }?.dropFirst().first.flatMap { Int($0) } ?? 0) * 1_024 }
        (residentBytes, anonymousBytes) = (bytes("Rss:"), bytes("Anonymous:"))
        (descriptors, threads) = (try count("fd"), try count("task"))
        guard residentBytes > 0 else { throw FeedError(.system, "/proc/\(pid) is not as expected") }
        cpuSeconds = Double(try ProcessorTime.ofProcess(pid)) / 1e9
    }
}

/// CPU time as the scheduler keeps it, in nanoseconds.
enum ProcessorTime {
    /// All threads of a process that live now.
    static func ofProcess(_ pid: Int32) throws -> UInt64 { try sum("/proc/\(pid)/task") { _ in true } }

    /// The engine's threads in this process: what else runs here (the subscriber of a latency run) is not in it.
    static func ofEngine() throws -> UInt64 {
        try sum("/proc/self/task") { ["feed", "sink", "control"].contains($0) || $0.hasPrefix("reader-") }
    }

    /// Of the thread, or the process's main thread, whose folder this is. Nil: the kernel does not say.
    static func ofTask(_ folder: String) -> UInt64? {
        Surroundings.text("\(folder)/schedstat").split(separator: " ").first.flatMap { UInt64($0) }
    }

    /// - Throws: when the kernel does not say. A figure of nothing would look like no cost at all.
    private static func sum(_ folder: String, _ isWanted: (String) -> Bool) throws -> UInt64 {
        var total: UInt64 = 0
        for task in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard isWanted(Surroundings.text("\(folder)/\(task)/comm").trimmingCharacters(in: .newlines)) else { continue }
            guard let spentNs = ofTask("\(folder)/\(task)") else {
                // A thread may end between the list and the look.
                guard FileManager.default.fileExists(atPath: "\(folder)/\(task)") else { continue }
                throw FeedError(.system, "\(folder)/\(task)/schedstat cannot be read: CPU time is not known on this kernel")
            }
            total += spentNs
        }
        guard total > 0 else { throw FeedError(.system, "\(folder) names no CPU time") }
        return total
    }
}
