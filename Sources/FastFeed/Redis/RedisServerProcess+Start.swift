// Starting the server: its configuration, the shell that leaves the watcher behind, and the wait until it answers. Control
// path; the thread that starts it.

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
        let lines =
            [
                "daemonize no", "port 0", "bind 127.0.0.1", "protected-mode yes", "unixsocket \(quoted(socketPath))", "unixsocketperm 700",
                "dir \(quoted(directory))", "logfile \(quoted(logPath))", "save \"\"", "appendonly yes", "appendfsync everysec",
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
