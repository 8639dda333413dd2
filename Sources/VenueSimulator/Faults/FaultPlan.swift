// The faults in force and whose turn it is. One thread; time comes in as an argument; chance comes from a
// seed, so a run with the same events suffers the same faults.

import FastFeed

package struct FaultPlan {
    private struct Armed {
        let fault: Fault
        let fromMs: Int64
        let untilMs: Int64
        var remaining: Int
    }

    /// A stream that is mute where a fault has struck it.
    private struct Mute {
        let fault: Fault
        let stream: String
        let connection: Int
        let untilMs: Int64
    }

    private var armed: [Armed] = []
    private var mutes: [Mute] = []
    private var random: SplitMix64
    package private(set) var applied = 0

    package init(seed: UInt64) { random = SplitMix64(seed: seed ^ 0xFA17) }

    /// True when nothing can strike: the fan-out then asks nothing.
    package var isQuiet: Bool { armed.isEmpty && mutes.isEmpty }

    /// - Parameter nowMs: wall clock, as in all questions below.
    package mutating func arm(_ fault: Fault, nowMs: Int64) {
        let from = nowMs + Fault.bounded(fault.afterMs)
        armed.append(
            Armed(
                fault: fault, fromMs: from,
                untilMs: fault.durationMs == 0 ? .max : from + Fault.bounded(fault.durationMs),
                remaining: fault.count == 0 ? .max : fault.count
            ))
    }

    package mutating func clear() {
        armed.removeAll()
        mutes.removeAll()
    }

    /// The faults to do to connections now, each as often as it still may.
    /// - Parameter connections: numbers of the open ones, oldest first.
    package mutating func connectionStrikes(nowMs: Int64, connections: [Int]) -> [(fault: Fault, connection: Int)] {
        var strikes: [(Fault, Int)] = []
        for index in armed.indices where armed[index].fault.kind.scope == .connection && isDue(index, nowMs) {
            let fault = armed[index].fault
            if fault.kind == .massDisconnect || fault.kind == .serverShutdown {
                // One strike reaches everyone.
                guard chance(fault.probability) else { continue }
                strikes += connections.map { (fault, $0) }
                spend(index)
                continue
            }
            for connection in connections where fault.connection == nil || fault.connection == connection {
                guard armed[index].remaining > 0, chance(fault.probability) else { continue }
                guard !strikes.contains(where: { $0.1 == connection }) else { continue }
                strikes.append((fault, connection))
                spend(index)
            }
        }
        dropSpent(nowMs)
        return strikes
    }

    /// What happens to one event on one connection; nil: nothing.
    package mutating func eventStrike(stream: String, connection: Int, isClosed: Bool, nowMs: Int64) -> Fault? {
        if let mute = mutes.first(where: { $0.stream == stream && $0.connection == connection && nowMs < $0.untilMs }) { return mute.fault }
        for index in armed.indices where armed[index].fault.kind.scope == .event && isDue(index, nowMs) {
            let fault = armed[index].fault
            guard fault.stream == nil || fault.stream == stream else { continue }
            guard fault.connection == nil || fault.connection == connection else { continue }
            guard isClosed || !fault.kind.strikesOnlyCloses else { continue }
            guard chance(fault.probability) else { continue }
            if fault.kind.staysWhereItStruck {
                mutes.append(Mute(fault: fault, stream: stream, connection: connection, untilMs: armed[index].untilMs))
            }
            if !fault.kind.isState { spend(index) }
            return fault
        }
        return nil
    }

    /// A connection asks for a stream, which it may have already.
    package mutating func onSubscribe(stream: String, connection: Int) {
        mutes.removeAll { $0.fault.kind == .muteSubscription && $0.stream == stream && $0.connection == connection }
    }

    /// Numbers of connections are never used again.
    package mutating func onEnd(connection: Int) { mutes.removeAll { $0.connection == connection } }

    /// True while a state (`mute`, `muteAll`, `fragment`, `splitWrites`, `refuseConnect`) holds for a connection.
    package func holds(_ kind: FaultKind, connection: Int, nowMs: Int64) -> Bool {
        armed.contains { entry in
            entry.fault.kind == kind && entry.fromMs <= nowMs && nowMs < entry.untilMs
                && (entry.fault.connection == nil || entry.fault.connection == connection)
        }
    }

    /// The next fault of a scope that needs no further condition (reply, handshake, rest).
    mutating func strike(_ scope: FaultKind.Scope, connection: Int, nowMs: Int64) -> Fault? {
        for index in armed.indices where armed[index].fault.kind.scope == scope && isDue(index, nowMs) {
            let fault = armed[index].fault
            guard fault.connection == nil || fault.connection == connection, chance(fault.probability) else { continue }
            spend(index)
            return fault
        }
        return nil
    }

    /// A number below a bound, for the place of a cut or a split.
    package mutating func pick(below bound: Int) -> Int { bound < 2 ? 0 : Int(random.next() % UInt64(bound)) }

    private func isDue(_ index: Int, _ nowMs: Int64) -> Bool {
        armed[index].remaining > 0 && armed[index].fromMs <= nowMs && nowMs < armed[index].untilMs
    }

    private mutating func spend(_ index: Int) {
        applied += 1
        if armed[index].remaining != .max { armed[index].remaining -= 1 }
    }

    private mutating func chance(_ probability: Double) -> Bool {
        probability >= 1 || Double(random.next() >> 11) * 0x1p-53 < probability
    }

    /// Forgets what can never strike again. Asked from time to time, not at every event.
    package mutating func dropSpent(_ nowMs: Int64) {
        armed.removeAll { $0.untilMs <= nowMs || ($0.remaining == 0 && !$0.fault.kind.isState) }
        mutes.removeAll { $0.untilMs <= nowMs }
    }
}
