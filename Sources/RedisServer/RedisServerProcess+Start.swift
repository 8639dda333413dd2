// Starting the server: its files, the shell that leaves the watcher behind, and the wait until it answers. Control path; the
// thread that starts or ends it.

import FastFeed
import Glibc

extension RedisServerProcess {
    func launch(waitsForAnswer: Bool = true) throws(FeedError) {
        try writeConfiguration()
        try child.withLock { (child) throws(FeedError) in child = try spawn() }
        if waitsForAnswer { try waitUntilReady() }
    }

    /// Options go through a file, not arguments: a password must not show in the process list.
    private func writeConfiguration() throws(FeedError) {
        let quoted = RedisServerProcess.quoted
        // A server that is killed has written what it has acknowledged, synced or not; a sync would stop it while the disk is busy.
        let lines =
            [
                "daemonize no", "port 0", "bind 127.0.0.1", "protected-mode yes", "unixsocket \(quoted(socketPath))", "unixsocketperm 700",
                "dir \(quoted(directory))", "logfile \(quoted(logPath))", "save \"\"", "appendonly yes", "appendfsync no",
            ] + (options.password.map { ["requirepass \(quoted($0))"] } ?? [])
        let path = directory + "/redis.conf"
        let file = try RedisServerProcess.openFile(path, O_WRONLY | O_CREAT | O_TRUNC)
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        guard unsafe write(file.number, bytes, bytes.count) == bytes.count else {
            throw FeedError(.system, "cannot write '\(path)': \(SystemError("write").reason)")
        }
    }

    /// Descriptors of the child: 3 the lock, 4 the watcher's socket. The watcher is a grandchild, so that the server has
    /// no child it does not know. `read` succeeds on an orderly end; its failure means that we are gone. (A dead
    /// process that nobody reaps has no /proc/PID/exe, but could still be signalled.)
    private static let script = """
        umask 077
        (
            (
                read -r word <&4 && exit
                kill -TERM $$
                turns=0
                while [ -e /proc/$$/exe ] && [ $turns -lt 60 ]; do sleep 0.1; turns=$((turns + 1)); done
                kill -KILL $$
                [ -n "$1" ] && rm -rf -- "$1"
            ) >/dev/null 2>&1 &
        )
        shift
        exec "$@" 4<&-
        """

    private func spawn() throws(FeedError) -> Child {
        var ends: [Int32] = [-1, -1]
        // A socket pair, not a pipe: it is close-on-exec from birth, so no other child can inherit our end.
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw FeedError(.system, SystemError("socketpair").description)
        }
        let watched = Descriptor(owning: ends[0])
        let leash = Descriptor(owning: ends[1])
        let log = try RedisServerProcess.openFile(logPath, O_WRONLY | O_CREAT | O_APPEND)
        let server = [executable, directory + "/redis.conf"] + options.arguments
        let shell = ["sh", "-c", RedisServerProcess.script, "sh", isTemporary ? directory : ""]
        let descriptors = [(log.number, Int32(1)), (log.number, 2), (lockFile.withLock { $0.number }, 3), (watched.number, 4)]
        let (pid, code) = ChildProcess.spawn("/bin/sh", shell + server, descriptors: descriptors)
        guard let pid else { throw FeedError(.system, "cannot start redis-server: \(SystemError("posix_spawn", code: code).reason)") }
        return Child(pid: pid, leash: leash)
    }

    private func waitUntilReady() throws(FeedError) {
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: RedisServerProcess.startTimeoutMs)
        while MonotonicClock.nowNs() < deadlineNs {
            guard pid != nil else { throw FeedError(.redis, "redis-server ended at its start: \(lastLogLine())") }
            // While a large append-only file is read, the greeting is answered with an error (LOADING).
            if (try? RedisClient.connect(endpoint, timeout: .seconds(1))) != nil { return }
            usleep(5_000)
        }
        throw FeedError(.redis, "redis-server did not answer within \(RedisServerProcess.startTimeoutMs / 1_000) s: \(lastLogLine())")
    }

    private func lastLogLine() -> String {
        guard let file = try? RedisServerProcess.openFile(logPath, O_RDONLY) else { return "no log" }
        let size = lseek(file.number, 0, Int32(SEEK_END))
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe max(0, pread(file.number, &bytes, bytes.count, max(0, size - 4_096)))
        let lines = bytes[..<count].split(separator: UInt8(ascii: "\n"))
        return lines.last.map { Ascii.printable($0, limit: 300) } ?? "its log is empty"
    }
}

// MARK: - Files

extension RedisServerProcess {
    /// Redis's configuration syntax: double quotes with backslash escapes.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): quoted += "\\" + String(UnicodeScalar(byte))
            case 0x20..<0x7F: quoted += String(UnicodeScalar(byte))
            default: quoted += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return quoted + "\""
    }

    static func findExecutable() throws(FeedError) -> String {
        let path = environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
        for directory in path.split(separator: ":") {
            let candidate = "\(directory)/redis-server"
            if unsafe access(candidate, X_OK) == 0 { return candidate }
        }
        throw FeedError(
            .redis,
            "redis-server is not in PATH: install it (Debian: apt-get install redis-server), or name a running one with --redis URL")
    }

    /// - Returns: the absolute path of a directory that only we may enter.
    static func makeDirectory(_ wanted: String?) throws(FeedError) -> String {
        guard let wanted else {
            let base = environment("TMPDIR") ?? "/tmp"
            var template = Array("\(base)/feedd-redis-XXXXXX".utf8CString)
            guard unsafe mkdtemp(&template) != nil else {
                throw FeedError(.system, "cannot make a directory in '\(base)': \(SystemError("mkdtemp").reason)")
            }
            return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        func refuse(_ why: String) -> FeedError {
            FeedError(.configuration, "the directory '\(Ascii.printable(wanted.utf8))' for the embedded Redis \(why)")
        }
        if unsafe mkdir(wanted, 0o700) != 0, errno != EEXIST { throw refuse("cannot be made: \(SystemError("mkdir").reason)") }
        var facts = stat()
        guard unsafe stat(wanted, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else { throw refuse("is not a directory") }
        guard facts.st_uid == geteuid() else { throw refuse("belongs to another user") }
        guard let resolved = unsafe realpath(wanted, nil) else { throw refuse("cannot be resolved: \(SystemError("realpath").reason)") }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    static func openFile(_ path: String, _ flags: Int32) throws(FeedError) -> Descriptor {
        let file = unsafe open(path, flags | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FeedError(.system, "cannot open '\(path)': \(SystemError("open").reason)") }
        return Descriptor(owning: file)
    }

    /// One server per directory. Waits a bounded time for a predecessor that is just ending.
    static func takeLock(_ directory: String) throws(FeedError) -> Descriptor {
        let file = try openFile(directory + "/lock", O_RDWR | O_CREAT)
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: lockTimeoutMs)
        while flock(file.number, LOCK_EX | LOCK_NB) != 0 {
            guard MonotonicClock.nowNs() < deadlineNs else {
                throw FeedError(.redis, "another process runs an embedded Redis in '\(directory)'")
            }
            usleep(20_000)
        }
        return file
    }

    /// Removes a temporary directory of ours and all that is in it.
    static func removeTree(_ path: String) {
        let (pid, _) = ChildProcess.spawn("/bin/rm", ["rm", "-rf", "--", path], descriptors: [])
        if let pid { waitpid(pid, nil, 0) }
    }

    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
