// A redis-server of our own, as a child process: what `--redis embedded` and the tests talk to.
//
// Control path only; any thread, one call at a time (a lock). The server never outlives us: the shell that
// becomes the server first leaves a watcher behind, which waits on a socket whose other end only this process
// holds. However we end, kill -9 included, that end closes, and the watcher stops the server and removes a
// temporary directory. The lock file is inherited by the server, so it is free again only when the server,
// too, has ended: a successor in the same directory waits for that instead of writing beside it.

import Glibc
import Synchronization

package final class RedisServerProcess: Sendable {
    /// Certificates of a TLS port, all PEM files.
    package struct TLS: Sendable {
        package var port: UInt16
        package var certificateFile: String
        package var keyFile: String
        package var authorityFile: String
        /// The server asks for a client certificate and refuses clients without.
        package var requiresClientCertificate = false

        package init(port: UInt16, certificateFile: String, keyFile: String, authorityFile: String) {
            self.port = port
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.authorityFile = authorityFile
        }
    }

    package struct Options: Sendable {
        /// Where data, log and socket live; made with mode 0700 if it is not there. Nil: a fresh temporary
        /// directory, removed at the end.
        package var directory: String?
        /// Also listen on this port of 127.0.0.1. Nil: the Unix socket is the only way in.
        package var port: UInt16?
        package var tls: TLS?
        package var password: String?
        /// Append-only file, synced every second.
        package var isDurable = true
        /// Further redis-server arguments, as in `["--maxmemory", "10mb"]`; they win over everything else.
        package var arguments: [String] = []

        package init(directory: String? = nil) { self.directory = directory }
    }

    package let options: Options
    /// Absolute path of the directory in use.
    package let directory: String
    private let executable: String
    private let isTemporary: Bool
    /// Held for our whole life; also open in the server.
    private let lock: Int32

    private struct Child {
        var pid: pid_t
        /// Our end of the watcher's socket.
        var leash: Int32
    }
    private let child = Mutex<Child?>(nil)

    static let startTimeoutMs = 30_000
    /// A predecessor in the directory may take this long to end after its parent did.
    static let lockTimeoutMs = 8_000

    /// Starts the server and waits until it answers.
    /// - Throws: one sentence; with the last line of the server's log when it did not come up.
    package init(_ options: Options = Options()) throws(FeedError) {
        self.options = options
        executable = try RedisServerProcess.findExecutable()
        isTemporary = options.directory == nil
        directory = try RedisServerProcess.makeDirectory(options.directory)
        lock = try RedisServerProcess.takeLock(directory)
        guard SocketAddress(unixPath: directory + "/redis.sock") != nil else {
            throw FeedError(.configuration, "the directory '\(directory)' is too long for a Unix socket path (107 bytes)")
        }
        do {
            try launch()
        } catch {
            // deinit does not run for an object whose init throws.
            finish(timeoutMs: 1_000)
            throw error
        }
    }

    deinit { finish(timeoutMs: 2_000) }

    // MARK: Where to find it

    package var socketPath: String { directory + "/redis.sock" }
    package var logPath: String { directory + "/redis.log" }

    /// Over the Unix socket, with the password.
    package var endpoint: RedisEndpoint {
        var endpoint = RedisEndpoint(place: .unix(path: socketPath))
        endpoint.password = options.password
        return endpoint
    }

    /// Over the TLS port, if there is one.
    package var tlsEndpoint: RedisEndpoint? {
        guard let tls = options.tls else { return nil }
        var endpoint = RedisEndpoint(place: .tcp(host: "127.0.0.1", port: tls.port))
        endpoint.password = options.password
        endpoint.isSecure = true
        endpoint.authorityFile = tls.authorityFile
        return endpoint
    }

    /// Process id while the server runs.
    package var pid: Int32? {
        child.withLock { child in
            RedisServerProcess.reapIfEnded(&child)
            return child?.pid
        }
    }

    // MARK: Ending and coming back

    /// Asks for SHUTDOWN, then SIGTERM, then SIGKILL, within about `timeoutMs` in all. Data stays; a temporary
    /// directory goes when this object does.
    package func stop(timeoutMs: Int = 4_000) {
        let deadlineNs = MonotonicClock.nowNs() + UInt64(timeoutMs) * 1_000_000
        guard pid != nil else { return }
        if let client = try? RedisClient.connect(endpoint, timeoutMs: max(50, timeoutMs / 4)) {
            // The answer to SHUTDOWN is the end of the connection.
            _ = try? client.command(["SHUTDOWN"])
            client.close()
            if waitUntilEnded(untilNs: MonotonicClock.nowNs() + UInt64(timeoutMs) * 500_000) { return }
        }
        if let pid { kill(pid, SIGTERM) }
        if waitUntilEnded(untilNs: deadlineNs) { return }
        killNow()
    }

    /// kill -9, as a crash would be; returns when the process is gone.
    package func kill9() { killNow() }

    /// Starts again in the same directory with the same options, after `stop` or `kill9` (or stops first).
    /// - Parameter waitsForAnswer: false returns as soon as the process runs; it may load its data for long.
    package func restart(waitsForAnswer: Bool = true) throws(FeedError) {
        stop()
        try launch(waitsForAnswer: waitsForAnswer)
    }

    private func killNow() {
        guard let pid else { return }
        kill(pid, SIGKILL)
        _ = waitUntilEnded(untilNs: MonotonicClock.nowNs() + 5_000_000_000)
    }

    private func waitUntilEnded(untilNs: UInt64) -> Bool {
        while pid != nil {
            if MonotonicClock.nowNs() >= untilNs { return false }
            usleep(2_000)
        }
        return true
    }

    private func finish(timeoutMs: Int) {
        stop(timeoutMs: timeoutMs)
        close(lock)
        if isTemporary { RedisServerProcess.removeTree(directory) }
    }

    /// Takes the exit status of an ended server and lets the watcher go: from then on the pid may be anyone's.
    private static func reapIfEnded(_ child: inout Child?) {
        guard let current = child else { return }
        var status: Int32 = 0
        // Look without reaping, tell the watcher, then reap: it must never signal a pid that is someone else's.
        var info = unsafe siginfo_t()
        guard unsafe waitid(P_PID, id_t(current.pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 else {
            child = nil
            return
        }
        guard unsafe info.si_signo == SIGCHLD else { return }
        var word = UInt8(ascii: "\n")
        _ = unsafe write(current.leash, &word, 1)
        close(current.leash)
        unsafe waitpid(current.pid, &status, 0)
        child = nil
    }

    // MARK: Starting

    private func launch(waitsForAnswer: Bool = true) throws(FeedError) {
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
        let deadlineNs = MonotonicClock.nowNs() + UInt64(RedisServerProcess.startTimeoutMs) * 1_000_000
        while MonotonicClock.nowNs() < deadlineNs {
            guard pid != nil else { throw FeedError(.redis, "redis-server ended at its start: \(lastLogLine())") }
            if let client = try? RedisClient.connect(endpoint, timeoutMs: 1_000) {
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
