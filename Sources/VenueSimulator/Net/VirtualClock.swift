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

    func virtualMs(nowNs: UInt64) -> Int64 {
        guard case .realTime(let speed) = pace, nowNs > beganNs else { return startMs }
        return startMs + Int64(Double(nowNs - beganNs) / 1e6 * speed)
    }
}
