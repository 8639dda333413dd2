// The lease of commands as a machine: what Redis says comes in, who serves comes out. No Redis, no clock.

import FastFeed
import Testing

struct LeaseTests {
    private static let second: UInt64 = 1_000_000_000

    private func makeLease(pid: Int32 = 7) -> Lease { Lease(key: "lease:um:service", lifeMs: 8_000, host: "h", pid: pid, nonce: 0xAB) }

    /// Asked at an instant (seconds), answered a moment later.
    private func take(_ lease: inout Lease, _ event: Lease.Event, at seconds: UInt64) -> Lease.Step {
        lease.take(event, askedNs: seconds * LeaseTests.second, nowNs: seconds * LeaseTests.second + 1_000)
    }

    private func holds(_ lease: Lease, at seconds: Double) -> Bool { lease.isHeld(UInt64(seconds * 1e9)) }

    @Test("Acquired, renewed, and given up before Redis lets another have it")
    func holder() {
        var lease = makeLease()
        #expect(lease.dueNs == 0 && !holds(lease, at: 0) && lease.release.isEmpty)
        #expect(take(&lease, .acquired, at: 10) == .takeOver)
        #expect(lease.dueNs > 12 * LeaseTests.second && lease.dueNs < 13 * LeaseTests.second, "a third of its life")
        #expect(holds(lease, at: 16.9) && !holds(lease, at: 17), "seven of eight seconds, from before it was asked for")
        #expect(take(&lease, .renewed, at: 12) == .goOn && holds(lease, at: 18.9))
        #expect(take(&lease, .noReply, at: 15) == .goOn && !holds(lease, at: 19), "without a reply it ends when it ends")
        #expect(lease.dueNs == 16 * LeaseTests.second, "and is asked for again soon")
        #expect(lease.release == [Array(lease.release[0].prefix(4)) + ["h 7 00000000000000ab"]])
    }

    @Test("Another is behind it, and ahead when it is gone")
    func standby() {
        var lease = makeLease()
        #expect(take(&lease, .refused(by: "g 1 aa"), at: 1) == .standBy(owner: "g 1 aa"))
        #expect(take(&lease, .refused(by: "g 1 aa"), at: 3) == .goOn && !holds(lease, at: 3), "said once")
        #expect(take(&lease, .noReply, at: 5) == .goOn && !holds(lease, at: 5))
        #expect(take(&lease, .refused(by: "g 2 bb"), at: 7) == .standBy(owner: "g 2 bb"), "said of each other")
        #expect(take(&lease, .acquired, at: 9) == .takeOver && holds(lease, at: 9))
        #expect(take(&lease, .refused(by: "g 3 cc"), at: 11) == .standBy(owner: "g 3 cc") && !holds(lease, at: 11), "lost at once")
        #expect(lease.release.isEmpty)
    }

    @Test("However long the lease, who has no reply asks soon: a server that is none any more shows by its refusals")
    func retries() {
        var lease = Lease(key: "k", lifeMs: 60_000, host: "h", pid: 7, nonce: 1)
        #expect(take(&lease, .refused(by: "g 1 aa"), at: 1) == .standBy(owner: "g 1 aa"))
        #expect(lease.dueNs == 21 * LeaseTests.second)
        var watch = ElsewhereWatch()
        var isOver = watch.note(lease.dueNs)
        for _ in 0..<4 where !isOver {
            let askedNs = lease.dueNs
            _ = lease.take(.noReply, askedNs: askedNs, nowNs: askedNs)
            #expect(lease.dueNs > askedNs)
            isOver = watch.note(lease.dueNs)
        }
        #expect(isOver)
    }

    @Test("Whose word on the registry counts")
    func keeper() {
        var lease = makeLease()
        #expect(lease.keeper == lease.owner && !lease.standsBehind("g 1 aa") && !lease.standsBehind(nil))
        _ = take(&lease, .refused(by: "g 1 aa"), at: 1)
        #expect(lease.standsBehind("g 1 aa") && !lease.standsBehind("g 2 bb") && !lease.standsBehind(nil))
        _ = take(&lease, .acquired, at: 9)
        #expect(!lease.standsBehind("g 1 aa") && lease.keeper == lease.owner)
        _ = take(&lease, .denied("NOPERM"), at: 10)
        #expect(lease.keeper == nil)
    }

    @Test("A holder that wakes from a pause")
    func paused() {
        var begun = makeLease()
        #expect(take(&begun, .acquired, at: 0) == .takeOver)
        #expect(!holds(begun, at: 30), "it notices before it asks")
        var (kept, expired, taken) = (begun, begun, begun)
        #expect(take(&kept, .renewed, at: 30) == .goOn, "Redis still had it: nobody else can have answered")
        #expect(take(&expired, .acquired, at: 30) == .takeOver, "another may have held it meanwhile")
        #expect(take(&taken, .refused(by: "g 1 aa"), at: 30) == .standBy(owner: "g 1 aa"))
        #expect(holds(kept, at: 31) && holds(expired, at: 31) && !holds(taken, at: 31))
    }

    @Test("A Redis that has lost the key, and one whose reply was lost")
    func lostKey() {
        var lease = makeLease()
        _ = take(&lease, .acquired, at: 0)
        #expect(take(&lease, .acquired, at: 2) == .goOn, "nobody else was there")
        var late = makeLease()
        #expect(take(&late, .noReply, at: 0) == .goOn && !holds(late, at: 0))
        #expect(take(&late, .renewed, at: 2) == .takeOver, "acquired by the question that nobody saw answered")
        // Asked in time, and carried out by a Redis that had stood still.
        var slow = makeLease()
        _ = take(&slow, .acquired, at: 0)
        #expect(slow.take(.acquired, askedNs: 6 * LeaseTests.second, nowNs: 9 * LeaseTests.second) == .takeOver)
    }

    @Test("Denied, the service goes without, until it is allowed")
    func denied() {
        var lease = makeLease()
        #expect(take(&lease, .denied("NOPERM"), at: 0) == .goWithout("NOPERM") && holds(lease, at: 1_000))
        #expect(take(&lease, .denied("NOPERM"), at: 2) == .goOn && lease.release.isEmpty, "said once")
        #expect(take(&lease, .acquired, at: 4) == .goOn && holds(lease, at: 5))
        #expect(take(&lease, .denied("NOPERM"), at: 6) == .goWithout("NOPERM"))
        #expect(take(&lease, .refused(by: "g 1 aa"), at: 8) == .standBy(owner: "g 1 aa"))
    }

    /// What Redis answers, and what it means.
    static let replies: [(RedisReply?, Lease.Event)] = [
        (.integer(0), .acquired), (.integer(1), .renewed), (.bytes(Array("g 1 aa".utf8)), .refused(by: "g 1 aa")), (nil, .noReply),
        (.error("NOPERM this user has no permissions"), .denied("NOPERM this user has no permissions")),
        (.error("ERR unknown command 'EVAL'"), .denied("ERR unknown command 'EVAL'")),
        (.error("OOM command not allowed"), .noReply), (.error("READONLY You can't write"), .noReply),
        (.error("ERR Error running script (call to f_1): @user_script:5: -READONLY You can't write"), .noReply),
        (
            .error("ERR Error running script (call to f_1): @user_script:5: -NOPERM no"),
            .denied("ERR Error running script (call to f_1): @user_script:5: -NOPERM no")
        ),
        (
            .error("ERR The user executing the script can't run this command or subcommand script: a1, on @user_script:1."),
            .denied("ERR The user executing the script can't run this command or subcommand script: a1, on @user_script:1.")
        ),
        (.error("WRONGTYPE Operation script: d3, on @user_script:1."), .denied("WRONGTYPE Operation script: d3, on @user_script:1.")),
        (.error("ERR something nobody has heard of"), .noReply), (.error("MOVED 1 h:1"), .noReply), (.array([]), .noReply),
    ]

    @Test(arguments: replies.indices)
    func events(index: Int) { #expect(Lease.event(of: LeaseTests.replies[index].0) == LeaseTests.replies[index].1) }

    @Test("Whose it is, in whatever somebody has written there")
    func places() {
        #expect(Lease.place(of: "h 7 ab") == ("h", "7") && Lease.place(of: "x") == ("x", "") && Lease.place(of: "") == ("", ""))
        #expect(!Lease.place(of: "\u{1B}[2J 1").host.contains("\u{1B}"))
        #expect(makeLease().question.suffix(3) == ["lease:um:service", "h 7 00000000000000ab", "8000"])
    }
}
