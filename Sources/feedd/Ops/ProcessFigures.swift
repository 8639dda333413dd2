// What the kernel says of this process, under the names that every client library of Prometheus gives it. Any thread.

import Glibc

struct ProcessFigures {
    let cpuSeconds: Double
    let virtualBytes: UInt64
    let openDescriptors: Int
    let maxDescriptors: UInt64

    /// Unix seconds, the same for the whole life.
    static let startSeconds: Double = {
        // The fields of /proc/self/stat behind the program's name, which may contain anything. /proc/stat, which has the time of the boot,
        // is hidden from a hardened service.
        guard let stat = text("/proc/self/stat"), let name = stat.lastIndex(of: ")") else { return 0 }
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return 0 }
        return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()

    init() {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        let pages = ProcessFigures.text("/proc/self/statm").flatMap { $0.split(separator: " ").first.flatMap { UInt64($0) } } ?? 0
        virtualBytes = pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        var count = 0
        if let directory = unsafe opendir("/proc/self/fd") {
            while unsafe readdir(directory) != nil { count += 1 }
            unsafe closedir(directory)
        }
        // Without `.`, `..` and the directory's own.
        openDescriptors = max(0, count - 3)
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        maxDescriptors = UInt64(limit.rlim_cur)
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var now = timespec()
        unsafe clock_gettime(clock, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    private static func text(_ path: String) -> String? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var (bytes, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while bytes.count < 4 << 20 {
            let count = unsafe read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
