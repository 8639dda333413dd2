// What a figure means nothing without: the machine, the programs, how busy it all was, and what a process had. Any thread.

import FastFeed
import Foundation

enum Surroundings {
    static func machine() -> Document.Machine {
        var names = utsname()
        unsafe uname(&names)
        let kernel = unsafe withUnsafeBytes(of: names.release) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Document.Machine(
            cpu: text("/proc/cpuinfo").firstMatch(of: /model name\s*: (.+)/).map { String($0.1) } ?? "unknown", kernel: kernel,
            system: text("/etc/os-release").firstMatch(of: /PRETTY_NAME="?([^"\n]+)/).map { String($0.1) } ?? "unknown",
            simdjsonKernel: KlineParser.kernel, cores: Cores.allowed().count, memoryBytes: ProcessInfo.processInfo.physicalMemory)
    }

    static func software() -> Document.Software {
        // The program lies in the build directory of the working tree.
        let tree = Bundle.main.bundlePath
        // What is not tracked changes no program: records of runs lie in the tree before they are committed.
        let status = output("git", "-C", tree, "status", "--porcelain", "--untracked-files=no")
        return Document.Software(
            commit: output("git", "-C", tree, "rev-parse", "--short=12", "HEAD") ?? "unknown",
            swift: output("swiftc", "--version").map { String($0.prefix { $0 != "\n" }) } ?? "unknown",
            redis: output("redis-server", "--version")?.firstMatch(of: /v=(\S+)/).map { String($0.1) } ?? "unknown",
            isDirty: status.map { !$0.isEmpty } ?? true)
    }

    /// Ticks of all cores since the start: in all, and taken by the host.
    static func processorTicks() -> (all: Double, stolen: Double) {
        let fields = text("/proc/stat").prefix { $0 != "\n" }.split(separator: " ").dropFirst().compactMap { Double($0) }
        // Guests' time is already in the users' time.
        return (fields.prefix(8).reduce(0, +), fields.count > 7 ? fields[7] : 0)
    }

    static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// What a program prints; nil when it is not there or fails.
    static func output(_ arguments: String...) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) : nil
    }
}

/// What /proc says of a process.
struct ProcessSample: Codable {
    let residentBytes, anonymousBytes, descriptors, threads: Int
    /// Of all threads that live now.
    let cpuSeconds: Double

    init(pid: Int32) throws {
        func count(_ folder: String) throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/\(folder)").count }
        let memory = Surroundings.text("/proc/\(pid)/smaps_rollup").split(separator: "\n").map { $0.split(separator: " ") }
        func bytes(_ name: String) -> Int { (memory.first { $0.first == name[...] }?.dropFirst().first.flatMap { Int($0) } ?? 0) * 1_024 }
        (residentBytes, anonymousBytes) = (bytes("Rss:"), bytes("Anonymous:"))
        // `feedd` lets nobody look into it who is not root.
        guard residentBytes > 0 else { throw FeedError(.system, "/proc/\(pid)/smaps_rollup says nothing: that of feedd is for root alone") }
        (descriptors, threads) = (try count("fd"), try count("task"))
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
