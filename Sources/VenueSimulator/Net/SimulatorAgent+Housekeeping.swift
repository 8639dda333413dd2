// What is looked after every few milliseconds: keep-alive, age limits, delayed texts, and the faults that strike
// connections. On the simulator's thread.

import FastFeed

extension SimulatorAgent {
    func keepHouse() {
        let connections = fanout.peers.compactMap { $0?.phase == .webSocket ? $0 : nil }.sorted { $0.number < $1.number }
        if !fanout.faults.isQuiet {
            for strike in fanout.faults.connectionStrikes(nowMs: wallMs, connections: connections.map(\.number)) {
                guard let peer = connections.first(where: { $0.number == strike.connection }) else { continue }
                carryOut(strike.fault, on: peer)
            }
        }
        openOrCloseListener()
        endGoneSilent()
        for case let peer? in fanout.peers {
            sendDelayed(peer)
            if !peer.lateEvents.isEmpty { fanout.sendLate(to: peer) }
            if peer.stalledUntilMs > 0 && peer.stalledUntilMs <= wallMs {
                peer.stalledUntilMs = 0
                fanout.markDirty(peer)
            }
            if peer.phase == .webSocket { keepAlive(peer) }
            if peer.closeDeadlineMs <= wallMs { end(peer, isDeliberate: false) }
        }
    }

    /// Silent connections are not read, so that nobody else notices when their clients have left.
    private func endGoneSilent() {
        guard wallMs >= nextSilenceCheckMs else { return }
        nextSilenceCheckMs = wallMs + 500
        for case let peer? in fanout.peers where peer.phase == .silent && peer.hasGone() {
            end(peer, isDeliberate: false, wasReset: true)
        }
    }

    private func sendDelayed(_ peer: Peer) {
        while let first = peer.delayed.first, first.dueMs <= wallMs {
            peer.delayed.removeFirst()
            fanout.markDirty(peer)
            if first.isFrame {
                peer.sendFrame(.text, first.bytes)
                continue
            }
            _ = peer.output.append(first.bytes)
            if peer.endsAfterDelayed { peer.ending = .drop }
            takeRequests(of: peer)
        }
    }

    private func keepAlive(_ peer: Peer) {
        if let age = configuration.connectionAgeMaxMs {
            let lived = wallMs - peer.acceptedMs
            if let notice = configuration.shutdownNoticeMs, lived >= age - notice, !peer.hasShutdownNotice {
                sendShutdownNotice(peer)
            }
            if lived >= age {
                return configuration.ageLimitClose == .drop ? end(peer, isDeliberate: false) : close(peer, code: 1001, reason: "")
            }
        }
        if let oldest = peer.openPings.first, wallMs - oldest.sentMs >= configuration.pongWithinMs {
            return close(peer, code: 1008, reason: "Pong timeout")
        }
        guard wallMs >= peer.nextPingMs else { return }
        peer.nextPingMs = wallMs + configuration.pingEveryMs
        guard fanout.faults.isQuiet || !fanout.faults.holds(.muteAll, connection: peer.number, nowMs: wallMs) else { return }
        let payload = Array(String(wallMs).utf8)
        peer.openPings.append((payload, wallMs))
        peer.sendFrame(.ping, payload)
        fanout.statistics.pings += 1
        fanout.markDirty(peer)
    }

    func sendShutdownNotice(_ peer: Peer) {
        peer.hasShutdownNotice = true
        let perMs: Int64 = peer.unit == .microsecond ? 1_000 : 1
        let event = "{\"e\":\"serverShutdown\",\"E\":\(engine.nowMs * perMs)}"
        let text = peer.isCombined ? "{\"stream\":\"!serverShutdown\",\"data\":\(event)}" : event
        peer.sendFrame(.text, Array(text.utf8))
        fanout.statistics.shutdownNotices += 1
        fanout.markDirty(peer)
    }

    /// Sends a close frame and gives the peer a moment to answer it.
    func close(_ peer: Peer, code: UInt16, reason: String) {
        guard peer.phase == .webSocket else { return }
        peer.sendFrame(.close, FrameEncoder.closePayload(code: code, reason: reason))
        peer.phase = .closing
        peer.closeDeadlineMs = wallMs + SimulatorAgent.closeWaitMs
        fanout.statistics.closesSent += 1
        fanout.markDirty(peer)
    }

    /// Open, and neither read nor written any more.
    func silence(_ peer: Peer) {
        peer.phase = .silent
        setInterest(peer, [])
    }

    private func carryOut(_ fault: Fault, on peer: Peer) {
        switch fault.kind {
        case .reset: reset(peer)
        case .drop: end(peer, isDeliberate: false)
        case .close: close(peer, code: UInt16(clamping: fault.value), reason: fault.value == 1008 ? "Too many requests" : "")
        case .massDisconnect:
            if fault.value == 0 { end(peer, isDeliberate: false) } else { close(peer, code: UInt16(clamping: fault.value), reason: "") }
        case .cutFrame: peer.cutsNextFrame = true
        case .halfOpen:
            peer.output.drop()
            silence(peer)
        case .stall: peer.stalledUntilMs = wallMs + fault.delayMs
        case .serverShutdown: sendShutdownNotice(peer)
        default: break
        }
    }
}
