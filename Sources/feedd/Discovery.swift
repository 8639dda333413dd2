// Where a private Redis is, told to the same user's other processes by a small file: `feedd list` in another terminal finds
// the one of `feedd demo`. Main thread.
//
// The file holds three lines (process id, that process's start, Redis URL), has mode 0600 and lives in a directory of ours with
// mode 0700. A file or directory that is somebody else's, or open to others, and one whose process is gone, is as good
// as none. Credentials are never written.

import FastFeed
import Glibc

enum Discovery {
    private static let bytesMax = 4_096

    /// A file that is ours until we withdraw it.
    struct Announcement {
        fileprivate let path: String
        fileprivate let text: String

        /// Removes the file, unless a later process has put its own in place.
        func withdraw() {
            guard let found = Discovery.read(path), found == text else { return }
            unsafe unlink(path)
        }
    }

    /// Tells where Redis is. Nil when there is no place that is ours alone: then commands need --redis.
    static func announce(_ endpoint: RedisEndpoint) -> Announcement? {
        guard endpoint.password == nil, let start = startTime(of: getpid()) else { return nil }
        let directory = directory
        unsafe mkdir(directory, 0o700)
        guard isPrivate(directory) else { return nil }
        let text = "\(getpid())\n\(start)\n\(endpoint)\n"
        let (path, draft) = (directory + "/current", directory + "/current.\(getpid())")
        unsafe unlink(draft)
        let file = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return nil }
        let bytes = Array(text.utf8)
        let written = unsafe write(file, bytes, bytes.count)
        close(file)
        guard written == bytes.count, unsafe rename(draft, path) == 0 else {
            unsafe unlink(draft)
            return nil
        }
        return Announcement(path: path, text: text)
    }

    /// The Redis of a process of ours that still runs.
    static func find() -> RedisEndpoint? {
        guard isPrivate(directory), let text = read(directory + "/current") else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, let pid = pid_t(lines[0]), pid > 0, let start = startTime(of: pid), start == lines[1] else { return nil }
        return try? RedisEndpoint(url: String(lines[2]))
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
