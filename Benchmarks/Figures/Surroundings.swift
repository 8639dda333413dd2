// What a figure means nothing without: the machine, the programs, and how busy it all was. Any thread.

import FastFeed
import Foundation

enum Surroundings {
    static func machine() -> Document.Machine {
        var names = utsname()
        unsafe uname(&names)
        let kernel = unsafe withUnsafeBytes(of: names.release) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Document.Machine(
            cpu: value(of: "model name", in: "/proc/cpuinfo", separator: ":") ?? "unknown", kernel: kernel,
            system: value(of: "PRETTY_NAME", in: "/etc/os-release", separator: "=")?.trimmingCharacters(in: ["\""]) ?? "unknown",
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

    static func loadAverage() -> Double {
        text("/proc/loadavg").split(separator: " ").first.flatMap { Double($0) } ?? 0
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

    private static func value(of key: String, in path: String, separator: Character) -> String? {
        let line = text(path).split(separator: "\n").first { $0.hasPrefix(key) }
        guard let line, let place = line.firstIndex(of: separator) else { return nil }
        return line[line.index(after: place)...].trimmingCharacters(in: .whitespaces)
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
