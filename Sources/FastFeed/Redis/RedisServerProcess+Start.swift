// Starting the server: its configuration, the shell that leaves the watcher behind, and the wait until it answers. Control
// path; the thread that starts it.

import Glibc
import Synchronization

extension RedisServerProcess {
    func launch(waitsForAnswer: Bool = true) throws(FeedError) {
        try writeConfiguration()
        let started = try spawn()
        child.withLock { $0 = started }
        if waitsForAnswer { try waitUntilReady() }
    }

    /// Options go through a file, not arguments: a password must not show in the process list.
    private func writeConfiguration() throws(FeedError) {
        var lines = [
            "daemonize no", "port \(options.port ?? 0)", "bind 127.0.0.1", "protected-mode yes",
            "unixsocket \(RedisServerProcess.quoted(socketPath))", "unixsocketperm 700",
            "dir \(RedisServerProcess.quoted(directory))", "logfile \(RedisServerProcess.quoted(logPath))",
            "save \"\"", "appendonly \(options.isDurable ? "yes" : "no")", "appendfsync everysec",
        ]
        if let password = options.password { lines.append("requirepass \(RedisServerProcess.quoted(password))") }
        if let tls = options.tls {
            lines += [
                "tls-port \(tls.port)", "tls-cert-file \(RedisServerProcess.quoted(tls.certificateFile))",
                "tls-key-file \(RedisServerProcess.quoted(tls.keyFile))",
                "tls-ca-cert-file \(RedisServerProcess.quoted(tls.authorityFile))",
                "tls-auth-clients \(tls.requiresClientCertificate ? "yes" : "no")",
            ]
        }
        let path = directory + "/redis.conf"
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FeedError(.system, "cannot write '\(path)': \(SystemError("open").reason)") }
        defer { close(file) }
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        guard unsafe write(file, bytes, bytes.count) == bytes.count else {
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
        let log = unsafe open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw FeedError(.system, "cannot write '\(logPath)': \(SystemError("open").reason)") }
        defer {
            close(log)
            close(ends[0])
        }
        let server = [executable, directory + "/redis.conf"] + options.arguments
        let shell = ["sh", "-c", RedisServerProcess.script, "sh", isTemporary ? directory : ""]
        let (pid, code) = ChildProcess.spawn("/bin/sh", shell + server, descriptors: [(log, 1), (log, 2), (lock, 3), (ends[0], 4)])
        guard let pid else {
            close(ends[1])
            throw FeedError(.system, "cannot start redis-server: \(SystemError("posix_spawn", code: code).reason)")
        }
        return Child(pid: pid, leash: ends[1])
    }

    private func waitUntilReady() throws(FeedError) {
        let deadlineNs = MonotonicClock.nowNs() + .ns(ms: RedisServerProcess.startTimeoutMs)
        while MonotonicClock.nowNs() < deadlineNs {
            guard pid != nil else { throw FeedError(.redis, "redis-server ended at its start: \(lastLogLine())") }
            if let client = try? RedisClient.connect(endpoint, timeout: .seconds(1)) {
                // While a large append-only file is read, the answer is an error (LOADING).
                let answer = try? client.command(["PING"])
                client.close()
                if answer?.text == "PONG" { return }
            }
            usleep(5_000)
        }
        throw FeedError(.redis, "redis-server did not answer within \(RedisServerProcess.startTimeoutMs / 1_000) s: \(lastLogLine())")
    }

    private func lastLogLine() -> String {
        let file = unsafe open(logPath, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "no log" }
        defer { close(file) }
        lseek(file, -min(4_096, lseek(file, 0, Int32(SEEK_END))), Int32(SEEK_END))
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe max(0, read(file, &bytes, bytes.count))
        let lines = bytes[..<count].split(separator: UInt8(ascii: "\n"))
        return lines.last.map { Ascii.printable($0, limit: 300) } ?? "its log is empty"
    }
}
