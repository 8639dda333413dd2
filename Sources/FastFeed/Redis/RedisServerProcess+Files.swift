// What the embedded server needs of the file system. Control path; the thread that starts or ends it.

import Glibc

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
