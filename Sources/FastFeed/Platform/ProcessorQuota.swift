// How much processor time control groups allow: a container with a quota of two processors still sees all of the machine's. Pure but for
// the reading of files, which the caller may replace. Any thread. Bounded by the size of those files.

/// Format: cgroups(7), proc(5); `cpu.max` of version 2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` of version 1.
package struct ProcessorQuota {
    private static let fileBytesMax = 1 << 20

    private let read: (String) -> String?

    /// - Parameter read: a file's text, nil where there is none.
    package init(
        read: @escaping (String) -> String? = { path in
            SmallFile.bytes(path, most: ProcessorQuota.fileBytesMax).map { String(decoding: $0, as: UTF8.self) }
        }
    ) { self.read = read }

    /// Whole processors, at least one: who uses more than the quota stands still for the rest of its period, so a part of one does not
    /// count. Nil where nothing is limited.
    package func processors() -> Int? {
        guard let groups = read("/proc/self/cgroup"), let mounts = read("/proc/self/mountinfo") else { return nil }
        let found = mounts.split(separator: "\n").compactMap(Mount.init).flatMap { mount in
            mount.folders(of: groups).compactMap { mount.isUnified ? unified($0) : legacy($0) }
        }
        return found.min().map { max(1, Int(min($0, 65_536))) }
    }

    /// Cores of a cgroup v2: `max 100000` has no limit, `150000 100000` are one and a half.
    private func unified(_ folder: String) -> Double? {
        let words = read("\(folder)/cpu.max")?.split(whereSeparator: \.isWhitespace) ?? []
        return words.count == 2 ? ProcessorQuota.ratio(words[0], words[1]) : nil
    }

    /// Cores of a cgroup v1; a quota of -1 means without a limit.
    private func legacy(_ folder: String) -> Double? {
        let words = ["quota", "period"].compactMap { read("\(folder)/cpu.cfs_\($0)_us")?.split(whereSeparator: \.isWhitespace).first }
        return words.count == 2 ? ProcessorQuota.ratio(words[0], words[1]) : nil
    }

    private static func ratio(_ quota: Substring, _ period: Substring) -> Double? {
        guard let quota = UInt32(quota), let period = UInt32(period), quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }

    /// A line of mountinfo that shows a hierarchy with processor time.
    private struct Mount {
        let isUnified: Bool
        /// The group that is seen at `place`.
        let root: String
        let place: String

        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count > dash + 3 else { return nil }
            switch words[dash + 1] {
            case "cgroup2": isUnified = true
            case "cgroup" where words[dash + 3].split(separator: ",").contains("cpu"): isUnified = false
            default: return nil
            }
            (root, place) = (Mount.path(words[3]), Mount.path(words[4]))
        }

        /// The kernel writes a space, a tab, a new line and a backslash as `\040` and so on.
        private static func path(_ field: Substring) -> String {
            var bytes: [UInt8] = []
            var rest = field.utf8
            while let byte = rest.popFirst() {
                let digits = rest.prefix(3)
                let isEscape = byte == UInt8(ascii: "\\") && digits.count == 3
                guard isEscape, let decoded = UInt8(Substring(digits), radix: 8) else {
                    bytes.append(byte)
                    continue
                }
                bytes.append(decoded)
                rest = rest.dropFirst(3)
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        /// Those of the process's group and of all groups around it that can be seen: each may have a quota, and the smallest counts.
        /// - Parameter groups: lines as `0::/a/b` (version 2) and `4:cpu,cpuacct:/a/b`.
        func folders(of groups: String) -> [String] {
            for line in groups.split(separator: "\n") {
                let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                guard fields.count == 3, isUnified ? fields[0] == "0" : fields[1].split(separator: ",").contains("cpu") else { continue }
                // A group that lies outside of what is mounted (`/../x`) leaves the mount's own.
                let names = fields[2].split(separator: "/")
                let above = root.split(separator: "/")
                guard names.starts(with: above), !names.contains("..") else { return [place] }
                let inside = names.dropFirst(above.count)
                return (0...inside.count).map { ([place] + inside.prefix($0).map(String.init)).joined(separator: "/") }
            }
            return []
        }
    }
}
