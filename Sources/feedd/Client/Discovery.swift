// Where a private Redis is, told to the same user's other processes by a small file: `feedd list` in another terminal finds
// the one of `feedd demo` or of `feedd run --redis embedded`. Main thread.
//
// Each process has a file of its own, named by its id. It holds five lines (process id, that process's start, Redis URL, key
// prefix, market), has mode 0600 and lives in a directory of ours with mode 0700. A file or directory that is somebody else's, or open to
// others, and one whose process is gone, is as good as none. Credentials are never written.

import FastFeed
import FoundationEssentials
import Glibc

enum Discovery {
    private static let bytesMax = 4_096

    /// A process of ours that has told where its Redis is.
    struct Service {
        let pid: pid_t
        let redis: RedisEndpoint
        let keyPrefix: String
        let market: Market
    }

    /// A file that is ours until we withdraw it.
    struct Announcement {
        fileprivate let path: String

        func withdraw() { unsafe unlink(path) }
    }

    /// Tells where Redis is, without its password. Nil when there is no place that is ours alone: then commands need --redis.
    static func announce(_ endpoint: RedisEndpoint, keyPrefix: String, market: Market) -> Announcement? {
        let (pid, directory) = (getpid(), directory)
        guard let start = startTime(of: pid), keyPrefix.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        unsafe mkdir(directory, 0o700)
        guard isPrivate(directory) else { return nil }
        removeFilesOfTheDead(directory)
        let (path, draft) = ("\(directory)/\(pid)", "\(directory)/draft.\(pid)")
        unsafe unlink(draft)
        let file = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return nil }
        let bytes = Array("\(pid)\n\(start)\n\(endpoint)\n\(keyPrefix)\n\(market.rawValue)\n".utf8)
        let written = unsafe write(file, bytes, bytes.count)
        close(file)
        guard written == bytes.count, unsafe rename(draft, path) == 0 else {
            unsafe unlink(draft)
            return nil
        }
        return Announcement(path: path)
    }

    /// All that still run, by process id.
    static func find() -> [Service] {
        guard isPrivate(directory) else { return [] }
        return pids(directory).sorted().compactMap { service($0, directory) }
    }

    private static func service(_ pid: pid_t, _ directory: String) -> Service? {
        guard let text = read("\(directory)/\(pid)") else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 6, lines[0] == "\(pid)", let start = startTime(of: pid), start == lines[1],
            let redis = try? RedisEndpoint(url: String(lines[2])), let market = Market(rawValue: String(lines[4]))
        else { return nil }
        return Service(pid: pid, redis: redis, keyPrefix: String(lines[3]), market: market)
    }

    /// Process ids of the services that have a file.
    private static func pids(_ directory: String) -> [pid_t] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.compactMap { pid_t($0) }.filter { $0 > 0 }
    }

    /// Who was killed could not withdraw its own.
    private static func removeFilesOfTheDead(_ directory: String) {
        for pid in pids(directory) where startTime(of: pid) == nil { unsafe unlink("\(directory)/\(pid)") }
    }

    private static var directory: String {
        if let runtime = unsafe getenv("XDG_RUNTIME_DIR"), unsafe runtime[0] == CChar(UInt8(ascii: "/")) {
            return unsafe String(cString: runtime) + "/feedd"
        }
        return "/tmp/feedd-\(geteuid())"
    }

    private static func isPrivate(_ directory: String) -> Bool {
        var facts = stat()
        guard unsafe lstat(directory, &facts) == 0 else { return false }
        return isOurs(facts, S_IFDIR)
    }

    private static func isOurs(_ facts: stat, _ kind: mode_t) -> Bool {
        facts.st_mode & S_IFMT == kind && facts.st_uid == geteuid() && facts.st_mode & 0o077 == 0
    }

    private static func read(_ path: String) -> String? {
        let file = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var facts = stat()
        guard unsafe fstat(file, &facts) == 0, isOurs(facts, S_IFREG) else { return nil }
        return contents(file)
    }

    private static func contents(_ file: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let count = unsafe Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(validating: bytes.prefix(count), as: UTF8.self)
    }

    /// Clock ticks since boot when a process began: tells it from a later one with the same number. Nil when there is none.
    private static func startTime(of pid: pid_t) -> String? {
        let file = unsafe open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        // The second field is the program's name, which may contain anything.
        guard let text = contents(file), let name = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return String(fields[19])
    }
}
