// Whether another service writes the same status: its beat moves while ours goes on. One that has ended left a status, too, and a heartbeat
// that stands still. Pure: what stands in Redis just before ours is written comes in. The control thread's alone.

package struct RivalWatch {
    package static let fields = [Field.pid, Field.host, Field.state, Field.heartbeatAt]

    private let ownPID: UInt64, ownHost: String
    /// The last stranger's status; and when its beat was last seen to move.
    private var seen: (pid: UInt64, host: String, beat: String)?
    private var movedNs: UInt64?

    package init(pid: Int32, host: String) { (ownPID, ownHost) = (UInt64(clamping: pid), host) }

    /// Its process and host; nil where there is none.
    package var rival: (pid: UInt64, host: String)? { movedNs == nil ? nil : seen.map { ($0.pid, $0.host) } }

    /// - Parameter texts: of `fields`.
    package mutating func take(_ texts: [String?], nowNs: UInt64) {
        // Between two of our writes it writes at least once.
        if let last = movedNs, nowNs &- last >= .ns(ms: 2 * Limits.rivalMs) { movedNs = nil }
        guard texts.count == 4, let pid = texts[0].flatMap({ UInt64($0) }), let host = texts[1], let state = texts[2], let beat = texts[3],
            state != ServiceState.stopped.rawValue, pid != ownPID || host != ownHost
        else { return }
        if let known = seen, known.pid == pid, known.host == host {
            if known.beat != beat { movedNs = nowNs }
        } else {
            movedNs = nil
        }
        seen = (pid, host, beat)
    }
}
