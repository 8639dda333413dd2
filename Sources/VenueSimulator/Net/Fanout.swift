// From one event to every subscriber's buffer, past the faults that are in force. One thread.

import FastFeed

struct Fanout: PushSink {
    /// By slot; nil where a slot is free.
    var peers: [Peer?] = []
    /// Slots of each stream's subscribers.
    private var subscribers: [[Int32]] = []
    /// Names of streams, for faults.
    private var names: [String] = []
    var faults: FaultPlan
    var statistics = SimulatorStatistics()
    var wallMs: Int64 = 0
    /// Peers with bytes to write.
    var dirty: [Peer] = []
    /// Somebody's buffer is full and the clock must wait (only when it runs flat out).
    var isStalled = false
    private let stallBytes: Int

    init(configuration: SimulatorConfiguration) {
        faults = FaultPlan(seed: configuration.seed)
        // A megabyte is thousands of frames: enough to never let a reader wait, little enough to stay in caches.
        stallBytes = configuration.pace == .flatOut ? min(1 << 20, configuration.outputBufferBytesMax / 2) : .max
    }

    var acceptsMore: Bool { !isStalled }

    mutating func subscribe(_ peer: Peer, toStream stream: Int, named name: String) {
        while subscribers.count <= stream {
            subscribers.append([])
            names.append("")
        }
        names[stream] = name
        subscribers[stream].append(Int32(peer.slot))
        peer.streams.insert(stream)
    }

    mutating func unsubscribe(_ peer: Peer, fromStream stream: Int) {
        subscribers[stream].removeAll { $0 == Int32(peer.slot) }
        peer.streams.remove(stream)
        peer.heldEvents[stream] = nil
        if !peer.lateEvents.isEmpty { peer.lateEvents.removeAll { $0.stream == stream } }
    }

    mutating func push(_ event: PushEvent, in unit: TimeUnit, wrapped: RawSpan, bare: RawSpan) {
        let count = subscribers[event.stream].count
        for position in 0..<count {
            guard let peer = peers[Int(subscribers[event.stream][position])], peer.unit == unit, peer.isListening else { continue }
            let text = peer.isCombined ? wrapped : bare
            if faults.isQuiet && !peer.isDisturbed {
                send(event, text, to: peer)
            } else {
                sendThroughFaults(event, text, to: peer)
            }
        }
    }

    @inline(__always)
    private mutating func send(_ event: PushEvent, _ text: RawSpan, to peer: Peer) {
        guard peer.output.appendFrame(.text, text) else {
            peer.isOverfull = true
            markDirty(peer)
            return
        }
        statistics.klineFrames &+= 1
        if event.isClosed {
            statistics.closedKlineFrames &+= 1
            peer.marks.append((event.truthSequence, peer.output.appended))
        }
        if peer.output.count > stallBytes { isStalled = true }
        markDirty(peer)
    }

    mutating func markDirty(_ peer: Peer) {
        guard !peer.isDirty else { return }
        peer.isDirty = true
        dirty.append(peer)
    }

    // MARK: Faults

    private mutating func sendThroughFaults(_ event: PushEvent, _ text: RawSpan, to peer: Peer) {
        if peer.cutsNextFrame {
            cut(text, to: peer)
            return
        }
        if let ahead = peer.lateEvents.last(where: { $0.stream == event.stream && $0.holdsStream }) {
            // Within a stream the order stays.
            return delay(event, text, untilMs: ahead.dueMs, to: peer)
        }
        let held = peer.heldEvents.removeValue(forKey: event.stream)
        let strike = faults.eventStrike(
            stream: names[event.stream], connection: peer.number, isClosed: event.isClosed, nowMs: wallMs)
        switch strike?.kind {
        case nil: sendWhole(event, text, to: peer)
        case .mute, .muteAll, .muteOnConnection, .muteSubscription, .lose, .missingClose: break
        case .lateClose where strike?.value == 0: peer.heldEvents[event.stream] = (bytes(of: text), event.truthSequence)
        case .lateClose: sendLater(event, bytes(of: text), byMs: strike?.delayMs ?? 0, to: peer)
        case .alteredClose where strike?.value != 0:
            let altered = DamagedText.apply(.alteredClose, to: bytes(of: text)) { _ in 0 } ?? []
            sendLater(event, altered, byMs: strike?.delayMs ?? 0, isTrue: false, to: peer)
        case .hold: delay(event, text, untilMs: wallMs + (strike?.delayMs ?? 0), to: peer)
        case .duplicate:
            sendWhole(event, text, to: peer)
            sendWhole(event, text, to: peer)
        case let kind?:
            var places = faults
            let damaged = DamagedText.apply(kind, to: bytes(of: text)) { places.pick(below: $0) }
            faults = places
            guard let damaged else { return sendWhole(event, text, to: peer) }
            peer.sendFrame(.text, damaged)
            // Values survive these two; whoever reads numbers as numbers has received the candle.
            if event.isClosed && (kind == .unknownFields || kind == .extraZeros) {
                peer.marks.append((event.truthSequence, peer.output.appended))
            }
            markDirty(peer)
        }
        if let held {
            sendNow(held.text, held.truthSequence, to: peer)
            markDirty(peer)
        }
    }

    /// An event that comes late; a closed one when it has a place in the truth.
    private mutating func sendNow(_ text: [UInt8], _ truthSequence: Int64, to peer: Peer) {
        peer.sendFrame(.text, text)
        statistics.klineFrames += 1
        guard truthSequence >= 0, !peer.isOverfull else { return }
        statistics.closedKlineFrames += 1
        peer.marks.append((truthSequence, peer.output.appended))
    }

    /// Others of the stream go on meanwhile.
    /// - Parameter isTrue: its values are those of the bar.
    private func sendLater(_ event: PushEvent, _ text: [UInt8], byMs delayMs: Int64, isTrue: Bool = true, to peer: Peer) {
        peer.lateEvents.append(
            Peer.LateEvent(
                dueMs: wallMs + delayMs, holdsStream: false, stream: event.stream, truthSequence: isTrue ? event.truthSequence : -1,
                text: text))
    }

    private func delay(_ event: PushEvent, _ text: RawSpan, untilMs: Int64, to peer: Peer) {
        peer.lateEvents.append(
            Peer.LateEvent(
                dueMs: untilMs, holdsStream: true, stream: event.stream, truthSequence: event.truthSequence, text: bytes(of: text)))
    }

    /// Sends the late events whose time has come.
    mutating func sendLate(to peer: Peer) {
        guard peer.lateEvents.contains(where: { $0.dueMs <= wallMs }) else { return }
        for event in peer.lateEvents where event.dueMs <= wallMs && peer.isListening {
            sendNow(event.text, event.truthSequence, to: peer)
        }
        peer.lateEvents.removeAll { $0.dueMs <= wallMs }
        markDirty(peer)
    }

    private mutating func sendWhole(_ event: PushEvent, _ text: RawSpan, to peer: Peer) {
        guard faults.holds(.fragment, connection: peer.number, nowMs: wallMs), text.byteCount > 3 else {
            return send(event, text, to: peer)
        }
        let first = 1 + faults.pick(below: text.byteCount - 2)
        let second = first + 1 + faults.pick(below: text.byteCount - first - 1)
        let isWhole =
            peer.output.appendFrame(.text, isFinal: false, text.extracting(0..<first))
            && peer.output.appendFrame(.continuation, isFinal: false, text.extracting(first..<second))
            && peer.output.appendFrame(.continuation, text.extracting(second..<text.byteCount))
        if !isWhole { peer.isOverfull = true }
        statistics.klineFrames += 1
        if event.isClosed && isWhole {
            statistics.closedKlineFrames += 1
            peer.marks.append((event.truthSequence, peer.output.appended))
        }
        markDirty(peer)
    }

    /// The header promises a whole frame; half of it comes.
    private mutating func cut(_ text: RawSpan, to peer: Peer) {
        peer.cutsNextFrame = false
        let whole = bytes(of: text)
        var frame = OutputBuffer(bytesMax: 1 << 20)
        _ = frame.appendFrame(.text, text)
        let header = frame.count - whole.count
        let half = frame.bytes(upTo: header + max(1, whole.count / 2))
        _ = peer.output.append(half)
        peer.ending = .drop
        markDirty(peer)
    }

    private func bytes(of text: RawSpan) -> [UInt8] { unsafe text.withUnsafeBytes { unsafe Array($0) } }
}

extension OutputBuffer {
    /// A copy of the first bytes waiting.
    func bytes(upTo count: Int) -> [UInt8] { unsafe Array(waiting.prefix(count)) }
}
