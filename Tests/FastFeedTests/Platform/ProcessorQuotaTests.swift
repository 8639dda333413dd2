// What control groups allow, as machines, containers and services show it; and whatever stands in those files.

import FastFeed
import TestKit
import Testing

struct ProcessorQuotaTests {
    struct Machine: CustomTestStringConvertible {
        let testDescription: String
        let groups: String
        let mounts: [String]
        var files: [String: String] = [:]
        let expected: Int?

        func text(_ path: String) -> String? {
            switch path {
            case "/proc/self/cgroup": groups
            case "/proc/self/mountinfo": mounts.joined(separator: "\n") + "\n"
            default: files[path]
            }
        }
    }

    static let unified = "30 25 0:26 / /sys/fs/cgroup rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
    static let root = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
    static let service = "0::/system.slice/feedd.service\n"

    static let machines = [
        Machine(
            testDescription: "no limit", groups: service, mounts: [root, unified],
            files: [
                "/sys/fs/cgroup/system.slice/feedd.service/cpu.max": "max 100000\n"
            ], expected: nil),
        Machine(
            testDescription: "a service's CPUQuota=250%", groups: service, mounts: [root, unified],
            files: [
                "/sys/fs/cgroup/system.slice/feedd.service/cpu.max": "250000 100000\n"
            ], expected: 2),
        Machine(
            testDescription: "the slice around it has less", groups: service, mounts: [root, unified],
            files: [
                "/sys/fs/cgroup/system.slice/feedd.service/cpu.max": "400000 100000\n",
                "/sys/fs/cgroup/system.slice/cpu.max": "150000 50000\n",
            ], expected: 3),
        Machine(
            testDescription: "less than a processor", groups: service, mounts: [unified],
            files: [
                "/sys/fs/cgroup/system.slice/feedd.service/cpu.max": "20000 100000\n"
            ], expected: 1),
        Machine(
            testDescription: "a container with a namespace of its own", groups: "0::/\n", mounts: [root, unified],
            files: [
                "/sys/fs/cgroup/cpu.max": "200000 100000\n"
            ], expected: 2),
        Machine(
            testDescription: "a container that sees the host's paths", groups: "4:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n",
            mounts: [
                "40 25 0:31 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
                "41 25 0:32 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct",
            ],
            files: [
                "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "350000\n", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            ], expected: 3),
        Machine(
            testDescription: "version 1 without a limit, beside version 2 without processors", groups: "1:cpu:/a\n0::/\n",
            mounts: [
                "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
                "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
            ],
            files: [
                "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            ], expected: nil),
        Machine(
            testDescription: "moved outside of its namespace", groups: "0::/../other\n", mounts: [unified],
            files: [
                "/sys/fs/cgroup/cpu.max": "300000 100000\n"
            ], expected: 3),
        Machine(
            testDescription: "a neighbour whose name begins like the mount's group", groups: "0::/docker/abc/x\n",
            mounts: ["30 25 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup2 rw"],
            files: [
                "/sys/fs/cgroup/cpu.max": "300000 100000\n", "/sys/fs/cgroup/c/x/cpu.max": "100000 100000\n",
                "/sys/fs/cgroup/x/cpu.max": "100000 100000\n",
            ], expected: 3),
        Machine(
            testDescription: "spaces and backslashes in the paths", groups: "0::/a b/c\\x\n",
            mounts: [#"30 25 0:26 /a\040b /mnt/c\134d\040e rw - cgroup2 cgroup2 rw"#],
            files: [
                #"/mnt/c\d e/c\x/cpu.max"#: "200000 100000\n"
            ], expected: 2),
        Machine(
            testDescription: "backslashes that are no escapes", groups: "0::/\n",
            mounts: [#"30 25 0:26 / /mnt\9\777\04 rw - cgroup2 cgroup2 rw"#],
            files: [
                #"/mnt\9\777\04/cpu.max"#: "200000 100000\n"
            ], expected: 2),
        Machine(
            testDescription: "a quota of nothing, a period of nothing", groups: "0::/a\n", mounts: [unified],
            files: [
                "/sys/fs/cgroup/cpu.max": "0 100000\n", "/sys/fs/cgroup/a/cpu.max": "100000 0\n",
            ], expected: nil),
    ]

    @Test(arguments: machines)
    func machine(_ machine: Machine) {
        #expect(ProcessorQuota(read: machine.text).processors() == machine.expected)
    }

    @Test func whateverStandsThere() {
        var random = SplitMix64(seed: 0x600)
        let words = ["0", "::", ":", "/", "/..", " ", "\n", "-", "cgroup2", "cgroup", "cpu", "max", "9999999999999999999", "1", "é", "\0"]
        func text() -> String { (0..<Int.random(in: 0..<40, using: &random)).map { _ in words.randomElement(using: &random)! }.joined() }
        for _ in 0..<2_000 {
            let count = ProcessorQuota { _ in text() }.processors()
            #expect(count.map { $0 >= 1 } ?? true)
        }
        #expect(ProcessorQuota { _ in nil }.processors() == nil)
    }

    @Test func hereItIsAtMostTheCores() {
        #expect((1...Cores.allowed().count).contains(Cores.usableCount()))
    }
}
