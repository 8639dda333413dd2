// The simulator's one thread: accepts, reads, advances virtual time, fans out, writes. Everything the
// exchange is lives in values owned here; other threads ask through the request queue.

import FastFeed
import Glibc

@safe final class SimulatorAgent: Agent {
    let roleName = "simulator"
    let configuration: SimulatorConfiguration
    /// Nil while TCP connections are refused.
    private var listener: Listener?
    let listenPort: UInt16
    private let tls: TLSContext?
    let requests = Mailbox<SimulatorRequest>(capacity: Limits.commandCountMax)

    var engine: PushEngine
    var fanout: Fanout
    var rest: RestResponder
    var connects: ConnectLedger
    private var port: PollerPort?
    private var clock: VirtualClock
    private var openLoop: OpenLoopSchedule?
    private var nextGeneration: UInt32 = 1
    var acceptedCount = 0
    private var nextHousekeepingMs: Int64 = 0
    /// Time stands still: what was pushed is to go out, and nothing else.
    private var isEnding = false
    var nextSilenceCheckMs: Int64 = 0
    private var monotonicNs: UInt64 = 0
    private let receiveBuffer: UnsafeMutableRawPointer

    static let receiveBytes = 64 << 10
    private static let eventsPerTurnMax = 16_384
    private static let listenerSlot = 0xFFFF_FFFF
    static let closeWaitMs: Int64 = 2_000

    init(configuration: SimulatorConfiguration, tls: TLSContext?) throws(SystemError) {
        self.configuration = configuration
        self.tls = tls
        let listener = try Listener(port: configuration.port)
        listenPort = listener.port
        self.listener = consume listener
        let startMs = configuration.startTimeMs ?? WallClock.nowMs() + configuration.clockOffsetMs
        engine = PushEngine(configuration: configuration, startMs: startMs)
        fanout = Fanout(configuration: configuration)
        rest = RestResponder(configuration: configuration, symbols: engine.symbols)
        connects = ConnectLedger(perWindowMax: configuration.connectsPerFiveMinutesMax)
        clock = VirtualClock(pace: configuration.pace, startMs: startMs)
        if case .openLoop(let framesPerSecond) = configuration.pace { openLoop = OpenLoopSchedule(framesPerSecond: framesPerSecond) }
        unsafe receiveBuffer = .allocate(byteCount: SimulatorAgent.receiveBytes + Limits.paddingBytes, alignment: 64)
        unsafe receiveBuffer.initializeMemory(as: UInt8.self, repeating: 0, count: SimulatorAgent.receiveBytes + Limits.paddingBytes)
    }

    deinit { unsafe receiveBuffer.deallocate() }

    /// Wall clock of this turn.
    var wallMs: Int64 { fanout.wallMs }

    // MARK: Turns

    func onStart(_ port: PollerPort) {
        self.port = port
        requests.setReceiver(port.wakeUp)
        watchListener()
        fanout.wallMs = WallClock.nowMs()
        clock.begin(nowNs: MonotonicClock.nowNs())
        if configuration.stampsTrades { engine.stampClock = clock }
        // What is due is due to the microsecond.
        if openLoop != nil || configuration.stampsTrades { PreciseTimers.enableOnThisThread() }
        for fault in configuration.faults { fanout.faults.arm(fault, nowMs: fanout.wallMs) }
    }

    private func watchListener() {
        guard let port, let number = listener?.number else { return }
        do {
            try port.poller.add(number, .readable, token: port.token(slot: SimulatorAgent.listenerSlot, generation: 0))
        } catch {
            preconditionFailure("the listening socket cannot be watched: \(error)")
        }
    }

    /// Closes the listening socket while a fault wants TCP to refuse, and opens it again afterwards.
    func openOrCloseListener() {
        let isRefusing = !fanout.faults.isQuiet && fanout.faults.holds(.refuseConnect, connection: 0, nowMs: wallMs)
        if isRefusing, let number = listener?.number {
            port?.poller.remove(number)
            listener = nil
        } else if !isRefusing && listener == nil {
            // Should somebody have taken the port meanwhile, the next housekeeping tries again.
            guard let opened = try? Listener(port: listenPort) else { return }
            listener = consume opened
            watchListener()
        }
    }

    /// The first thing in every turn, whoever is called first: nobody is answered with an old time.
    private func beginTurn(nowNs: UInt64) {
        guard nowNs != monotonicNs else { return }
        monotonicNs = nowNs
        fanout.wallMs = WallClock.nowMs()
        guard configuration.pace != .flatOut, !isEnding else { return }
        if openLoop != nil { return advanceOpenLoop(nowNs: nowNs) }
        // Bounded, so that a pace no machine could keep does not starve the sockets: time then lags.
        advance(toMs: clock.virtualMs(nowNs: nowNs), eventsMax: SimulatorAgent.eventsPerTurnMax)
    }

    private func advance(toMs untilMs: Int64, eventsMax: Int) {
        repeat {
            _ = engine.run(untilMs: untilMs, eventsMax: eventsMax, into: &fanout)
        } while closeForMaintenance()
    }

    /// Says what is due by now, each frame with its own instant; what is late goes out at once.
    private func advanceOpenLoop(nowNs: UInt64) {
        guard engine.streamCount > 0 else { return }
        for _ in 0..<SimulatorAgent.eventsPerTurnMax {
            guard let dueNs = openLoop?.takeDue(nowNs: nowNs) else { return }
            advance(toMs: clock.virtualMs(nowNs: dueNs), eventsMax: SimulatorAgent.eventsPerTurnMax)
            engine.sayNextTurn(dueNs: dueNs, into: &fanout)
        }
    }

    /// Ends every connection when maintenance has just begun.
    func closeForMaintenance() -> Bool {
        guard engine.takeClosing() else { return false }
        for case let peer? in fanout.peers {
            switch peer.phase {
            case .webSocket where configuration.maintenanceClose == .goingAway: close(peer, code: 1001, reason: "")
            case .http:
                peer.ending = .drop
                fanout.markDirty(peer)
            case .closing: break
            case .webSocket, .securing, .silent: end(peer, isDeliberate: false)
            }
        }
        return true
    }

    func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) {
        beginTurn(nowNs: nowNs)
        if Int(token.slot) == SimulatorAgent.listenerSlot { return acceptAll() }
        guard let peer = fanout.peers[Int(token.slot)], peer.generation == token.generation else { return }
        // A silent peer's socket is only watched for its death, which would be reported for ever.
        if peer.phase == .silent { return end(peer, isDeliberate: false, wasReset: true) }
        if readiness.contains(.writable) { fanout.markDirty(peer) }
        if readiness.contains(.readable) || readiness.contains(.hangUp) { read(peer) }
    }

    func doWork(nowNs: UInt64) {
        beginTurn(nowNs: nowNs)
        if requests.isWaiting {
            for request in requests.takeAll() { request.carryOut(self) }
        }
        _ = closeForMaintenance()
        if fanout.wallMs >= nextHousekeepingMs {
            keepHouse()
            nextHousekeepingMs = fanout.wallMs + 5
        }
        if canRunFlatOut {
            // Far enough that the budget ends the run, not the time.
            let isClosed = engine.isClosed
            let farMs = isClosed ? engine.calendar.nextChangeMs : engine.nowMs + 86_400_000
            _ = engine.run(untilMs: farMs, eventsMax: configuration.eventsPerCycleMax, into: &fanout)
            _ = closeForMaintenance()
        }
        flushDirty()
    }

    func hasWork() -> Bool { requests.isWaiting || canRunFlatOut || !fanout.dirty.isEmpty }

    func nextDeadlineNs() -> UInt64 {
        if let openLoop, engine.streamCount > 0 { return min(openLoop.nextDueNs, monotonicNs + 5_000_000) }
        if engine.hasPending, case .realTime(let speed) = configuration.pace {
            // At the exchange's own pace each millisecond is met where it begins.
            return speed > 1 ? monotonicNs + 1_000_000 : min(clock.instantNs(ofVirtualMs: engine.nowMs + 1), monotonicNs + 5_000_000)
        }
        let isWatchful = listener == nil || !fanout.faults.isQuiet || fanout.peers.contains { $0 != nil }
        return isWatchful ? monotonicNs + 5_000_000 : .max
    }

    func onClose() {
        for case let peer? in fanout.peers { end(peer, isDeliberate: false) }
    }

    // MARK: Time

    /// No further events. True while some of the last ones are still on their way.
    func endPushing() -> Bool {
        isEnding = true
        return fanout.peers.contains { peer in peer.map { $0.isListening && $0.output.count > 0 } ?? false }
    }

    /// Flat out, time passes only for those who read: neither for nobody nor for silent connections. (While
    /// the exchange is closed it passes by itself.)
    private var canRunFlatOut: Bool {
        guard configuration.pace == .flatOut && !fanout.isStalled && !isEnding else { return false }
        if engine.isClosed { return true }
        return fanout.peers.contains { peer in peer.map { $0.isListening && !$0.streams.isEmpty } ?? false }
    }

    // MARK: Connections

    private func acceptAll() {
        while let socket = listener?.accept() {
            let slot = fanout.peers.firstIndex { $0 == nil } ?? fanout.peers.count
            guard slot < configuration.connectionsMax, let port else {
                _ = Glibc.close(socket)
                continue
            }
            acceptedCount += 1
            fanout.statistics.connectionsAccepted += 1
            let peer = Peer(
                slot: slot, generation: nextGeneration, number: acceptedCount, socket: socket, address: Listener.peerAddress(of: socket),
                configuration: configuration, nowMs: WallClock.nowMs())
            nextGeneration = nextGeneration & 0xFF_FFFF == 0xFF_FFFF ? 1 : nextGeneration + 1
            if let tls { peer.transport.startServerTLS(tls) }
            do {
                try port.poller.add(socket, .readable, token: port.token(slot: slot, generation: peer.generation))
            } catch { continue }
            if slot == fanout.peers.count { fanout.peers.append(peer) } else { fanout.peers[slot] = peer }
        }
    }

    private func read(_ peer: Peer) {
        if peer.phase == .silent { return }
        if peer.phase == .securing {
            if !fanout.faults.isQuiet, fanout.faults.strike(.tls, connection: peer.number, nowMs: wallMs) != nil {
                return silence(peer)
            }
            switch peer.transport.handshake() {
            case .done: peer.phase = .http
            case .wantRead: return setInterest(peer, .readable)
            case .wantWrite: return setInterest(peer, [.readable, .writable])
            case .failed: return end(peer, isDeliberate: false)
            }
            setInterest(peer, .readable)
        }
        while fanout.peers[peer.slot] === peer {
            switch unsafe peer.transport.read(into: receiveBuffer, count: SimulatorAgent.receiveBytes) {
            case .bytes(let count): unsafe take(receiveBuffer, count, from: peer)
            case .wouldBlock: return
            case .endOfStream: return end(peer, isDeliberate: false)
            case .failed: return end(peer, isDeliberate: false, wasReset: true)
            }
        }
    }

    private func take(_ bytes: UnsafeMutableRawPointer, _ count: Int, from peer: Peer) {
        switch peer.phase {
        case .http:
            unsafe peer.input.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
            takeRequests(of: peer)
        case .webSocket, .closing: unsafe takeFrames(bytes, count, from: peer)
        case .securing, .silent: break
        }
    }

    func setInterest(_ peer: Peer, _ wanted: Readiness) {
        guard peer.interest != wanted, let port else { return }
        peer.interest = wanted
        port.poller.change(peer.transport.number, wanted, token: port.token(slot: peer.slot, generation: peer.generation))
    }

    /// Ends a connection now. What was only just handed to the kernel is not counted as delivered when the
    /// connection was reset.
    func end(_ peer: Peer, isDeliberate: Bool, wasReset: Bool = false) {
        guard fanout.peers[peer.slot] === peer else { return }
        for stream in peer.streams.sorted() {
            fanout.unsubscribe(peer, fromStream: stream)
            engine.unsubscribe(stream, in: peer.unit, isDeliberate: isDeliberate)
        }
        if wasReset {
            for mark in peer.recent where mark.atMs >= wallMs - configuration.deliveryGraceMs {
                engine.truth.addDelivery(mark.sequence, by: -1)
            }
        }
        if !wasReset { discardUnread(peer) }
        fanout.faults.onEnd(connection: peer.number)
        port?.poller.remove(peer.transport.number)
        fanout.peers[peer.slot] = nil
        fanout.statistics.connectionsClosed += 1
        if fanout.isStalled { lookForStall() }
    }

    /// Closing a socket with unread input makes the kernel send RST and forget what it has yet to send.
    private func discardUnread(_ peer: Peer) {
        guard peer.phase != .securing else { return }
        while case .bytes = unsafe peer.transport.read(into: receiveBuffer, count: SimulatorAgent.receiveBytes) {}
    }

    // MARK: Writing

    private func flushDirty() {
        let dirty = fanout.dirty
        fanout.dirty.removeAll(keepingCapacity: true)
        for peer in dirty {
            peer.isDirty = false
            guard fanout.peers[peer.slot] === peer, peer.phase != .silent else { continue }
            flush(peer)
        }
        if fanout.isStalled { lookForStall() }
    }

    private func flush(_ peer: Peer) {
        guard peer.phase != .securing else { return read(peer) }
        guard peer.stalledUntilMs <= wallMs || peer.isOverfull else { return }
        let before = peer.output.flushed
        var result = IOResult.wouldBlock
        if fanout.faults.holds(.splitWrites, connection: peer.number, nowMs: wallMs) {
            for _ in 0..<8 where peer.output.count > 0 {
                result = peer.output.flush(to: &peer.transport, pieceMax: 1 + fanout.faults.pick(below: 200))
            }
            if peer.output.count > 0 { fanout.markDirty(peer) }
        } else {
            result = peer.output.flush(to: &peer.transport)
        }
        fanout.statistics.bytesSent += Int(peer.output.flushed - before)
        peer.takeDelivered(nowMs: wallMs, graceMs: configuration.deliveryGraceMs) { engine.truth.addDelivery($0) }
        switch result {
        case .endOfStream, .failed: return end(peer, isDeliberate: false, wasReset: true)
        case .wouldBlock: setInterest(peer, peer.output.count > 0 ? [.readable, .writable] : .readable)
        case .bytes: setInterest(peer, .readable)
        }
        if peer.isOverfull && peer.ending == .none {
            // Behind by more than the exchange keeps for anyone.
            fanout.statistics.slowConsumersClosed += 1
            return end(peer, isDeliberate: false)
        }
        guard peer.output.count == 0 else { return }
        switch peer.ending {
        case .none: break
        case .drop:
            peer.transport.shutDown()
            end(peer, isDeliberate: false)
        case .reset: reset(peer)
        }
    }

    func reset(_ peer: Peer) {
        peer.armReset()
        end(peer, isDeliberate: false, wasReset: true)
    }

    private func lookForStall() {
        fanout.isStalled = fanout.peers.contains { peer in
            guard let peer, peer.phase == .webSocket else { return false }
            return peer.output.count > 1 << 18
        }
    }
}
