// The exchange's own time: bound to the monotonic clock, perhaps faster. (Flat out has no clock: there the
// push engine's last instant is the time.)

struct VirtualClock {
    private let pace: SimulatorPace
    private let startMs: Int64
    private var beganNs: UInt64 = 0

    init(pace: SimulatorPace, startMs: Int64) {
        self.pace = pace
        self.startMs = startMs
    }

    mutating func begin(nowNs: UInt64) { beganNs = nowNs }

    /// Virtual milliseconds in one of ours; 0 when time does not run by itself.
    private var speed: Double {
        switch pace {
        case .realTime(let speed): speed
        case .openLoop: 1
        case .flatOut: 0
        }
    }

    func virtualMs(nowNs: UInt64) -> Int64 {
        guard nowNs > beganNs else { return startMs }
        return startMs + Int64(Double(nowNs - beganNs) / 1e6 * speed)
    }

    /// Monotonic nanoseconds from when on `virtualMs` has reached an instant.
    func instantNs(ofVirtualMs ms: Int64) -> UInt64 {
        guard speed > 0, ms > startMs else { return beganNs }
        // One more, so that no rounding makes the instant come a turn too early.
        return beganNs + UInt64((Double(ms - startMs) * 1e6 / speed).rounded(.up)) + 1
    }
}
