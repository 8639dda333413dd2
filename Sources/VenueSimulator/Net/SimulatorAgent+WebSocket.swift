// The WebSocket side of a connection: frames in, control replies out, keep-alive answers. On the simulator's
// thread.

import FastFeed

extension SimulatorAgent {
    /// After the handshake: the streams of the URL, and whatever frames came with the request.
    func open(_ opening: StreamOpening, _ peer: Peer) {
        var session = ControlSession(configuration: configuration, isCombined: opening.isCombined, route: opening.route)
        let actions = session.open(streams: opening.streams)
        peer.session = session
        peer.isCombined = opening.isCombined
        peer.unit = opening.unit
        peer.phase = .webSocket
        peer.nextPingMs = wallMs + configuration.pingEveryMs
        carryOut(actions, of: peer)
        guard !peer.input.isEmpty else { return }
        var early = peer.input
        peer.input = []
        let count = early.count
        early.append(contentsOf: repeatElement(0, count: Limits.paddingBytes))
        unsafe early.withUnsafeMutableBytes { unsafe takeFrames($0.baseAddress!, count, from: peer) }
    }

    func takeFrames(_ bytes: UnsafeMutableRawPointer, _ count: Int, from peer: Peer) {
        unsafe peer.decoder.supply(bytes, count: count)
        while fanout.peers[peer.slot] === peer {
            switch peer.decoder.takeEvent() {
            case .needMore: return
            case .message(_, let payload):
                guard peer.phase == .webSocket, admit(peer) else { continue }
                let actions = peer.session?.receive(Array(payload)) ?? []
                peer.isCombined = peer.session?.isCombined ?? false
                carryOut(actions, of: peer)
            case .ping(let payload):
                guard peer.phase == .webSocket, admit(peer) else { continue }
                peer.sendFrame(.pong, Array(payload))
                fanout.markDirty(peer)
            case .pong(let payload):
                guard peer.phase == .webSocket, admit(peer) else { continue }
                takePong(Array(payload), peer)
            case .close(let code, _):
                return takeClose(code, peer)
            case .violation(let code, let reason):
                return close(peer, code: code, reason: reason.description)
            }
        }
    }

    /// Counts a client's message; one too many closes the connection.
    private func admit(_ peer: Peer) -> Bool {
        guard !peer.rate.admit(nowMs: wallMs) else { return true }
        close(peer, code: 1008, reason: "Too many requests")
        return false
    }

    /// An answer keeps the connection alive when it echoes an open ping; an unsolicited one changes nothing.
    private func takePong(_ payload: [UInt8], _ peer: Peer) {
        fanout.statistics.pongsReceived += 1
        if let index = peer.openPings.firstIndex(where: { $0.payload == payload }) {
            peer.openPings.removeSubrange(0...index)
        } else if !payload.isEmpty {
            fanout.statistics.wrongPongs += 1
        }
    }

    private func takeClose(_ code: UInt16, _ peer: Peer) {
        guard peer.phase == .webSocket else { return end(peer, isDeliberate: false) }
        // The client goes of its own will: nothing stays due for it.
        for stream in peer.streams.sorted() {
            fanout.unsubscribe(peer, fromStream: stream)
            engine.unsubscribe(stream, in: peer.unit, isDeliberate: true)
        }
        peer.sendFrame(.close, FrameEncoder.closePayload(code: code))
        peer.phase = .closing
        peer.ending = .drop
        fanout.statistics.closesSent += 1
        fanout.markDirty(peer)
    }

    private func carryOut(_ actions: [ControlAction], of peer: Peer) {
        for action in actions {
            switch action {
            case .reply(let text): reply(text, to: peer)
            case .subscribe(let name):
                guard let stream = engine.streamIndex(ofName: name) else { continue }
                engine.subscribe(stream, in: peer.unit)
                fanout.subscribe(peer, toStream: stream, named: name)
                fanout.faults.onSubscribe(stream: name, connection: peer.number)
            case .resubscribe(let name): fanout.faults.onSubscribe(stream: name, connection: peer.number)
            case .unsubscribe(let name):
                guard let stream = engine.streamIndex(ofName: name) else { continue }
                fanout.unsubscribe(peer, fromStream: stream)
                engine.unsubscribe(stream, in: peer.unit, isDeliberate: true)
            case .close(let code, let reason): close(peer, code: code, reason: reason)
            }
        }
    }

    private func reply(_ text: String, to peer: Peer) {
        fanout.statistics.replies += 1
        if !fanout.faults.isQuiet, let fault = fanout.faults.strike(.reply, connection: peer.number, nowMs: wallMs) {
            if fault.kind == .delayAck { peer.delayed.append((wallMs + fault.delayMs, Array(text.utf8), true)) }
            return
        }
        peer.sendFrame(.text, Array(text.utf8))
        fanout.markDirty(peer)
    }
}
