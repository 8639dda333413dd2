// Frames at an even, fixed rate: what a measurement of latency needs. A frame's instant depends on its number
// alone, never on how the frames before it fared, so that whatever stalls (engine, Redis or this program) makes later
// frames late and cannot hide by slowing the questions down.

import FastFeed

/// When each frame of an open loop is due.
package struct OpenLoopSchedule {
    private let framesPerSecond: UInt64
    private var beganNs: UInt64?
    private var passed: UInt64 = 0

    package init(framesPerSecond: Int) { self.framesPerSecond = UInt64(framesPerSecond) }

    /// When the next frame is due; `.max` before the first one.
    package var nextDueNs: UInt64 {
        guard let beganNs else { return .max }
        // Seconds apart from the rest, so that nothing overflows and no rounding adds up.
        return beganNs + passed / framesPerSecond * 1_000_000_000 + passed % framesPerSecond * 1_000_000_000 / framesPerSecond
    }

    /// The instant of the next frame if it has come. The first frame is due when it is first asked for.
    package mutating func takeDue(nowNs: UInt64) -> UInt64? {
        if beganNs == nil { beganNs = nowNs }
        let dueNs = nextDueNs
        guard dueNs <= nowNs else { return nil }
        passed += 1
        return dueNs
    }
}

extension PushEngine {
    var isOpenLoop: Bool {
        if case .openLoop = configuration.pace { true } else { false }
    }

    /// One frame of an open loop: the next stream that anybody follows says its bar's state, or that it has closed.
    /// A stream with nothing to say lets the frame pass. Virtual time must have reached the instant.
    package mutating func sayNextTurn(dueNs: UInt64, into sink: inout some PushSink & ~Copyable) {
        let nowMs = nowMs
        for _ in 0..<streams.count {
            let index = nextTurn
            nextTurn = nextTurn + 1 == streams.count ? 0 : nextTurn + 1
            guard streams[index].isPending else { continue }
            guard streams[index].isTracked else {
                streams[index].isPending = false
                streams[index].state = nil
                continue
            }
            if streams[index].isSilent { return settle(index) }
            guard let state = streams[index].state?.event(atMs: nowMs) else { return }
            _ = say(configuration.stampsTrades ? state.stamped(dueNs: dueNs) : state, ofStream: index, into: &sink)
            return
        }
    }
}

extension KlineState {
    /// The same bar with two instants in place of its trade ids: when this was due, and now. They travel through
    /// whatever follows and come out in Redis, so that latency is measured without touching what is measured.
    func stamped(dueNs: UInt64) -> KlineState {
        var stamped = sum
        stamped.firstID = Int64(dueNs / 1_000)
        stamped.lastID = Int64(MonotonicClock.nowNs() / 1_000)
        return KlineState(
            eventTimeMs: eventTimeMs, openTimeMs: openTimeMs, nextOpenMs: nextOpenMs, isClosed: isClosed, sum: stamped)
    }
}
