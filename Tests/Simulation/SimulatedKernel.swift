// Sockets whose latency, cuts, losses and buffers a seed decides. One thread. Bytes keep their order within a
// connection and a direction, as TCP promises; nothing else is kept.

import FastFeed
import Glibc

/// What a server decides about an attempt to connect.
enum Acceptance {
    case accept(any LinkHandler)
    case refuse(Int32)
    /// No answer ever.
    case swallow
}

/// The server's program for one connection.
protocol LinkHandler: AnyObject {
    func onOpen(_ link: Link)
    func onBytes(_ bytes: [UInt8])
    /// The client has closed: nothing more comes.
    func onEnd()
    /// The same, and what the handler has not looked at yet never came.
    func onAbort()
    /// The client's program has read this many bytes in all.
    func onRead(total: Int)
}

extension LinkHandler {
    func onAbort() { onEnd() }
}

/// One virtual TCP connection.
final class Link {
    enum State { case connecting, open, failed(Int32) }

    let number: Int32
    /// The process that has opened it.
    fileprivate let client: Int
    fileprivate unowned let kernel: SimulatedKernel
    fileprivate var handler: (any LinkHandler)?
    fileprivate var state = State.connecting
    /// Arrived and not yet read by the client.
    fileprivate var inbound: [UInt8] = []
    fileprivate var inboundHead = 0
    fileprivate var isEnded = false
    fileprivate var resetCode: Int32?
    fileprivate var readTotal = 0
    fileprivate var sendRoom = 0
    fileprivate var interest: Readiness = []
    fileprivate var token = PollToken(rawValue: 0)
    fileprivate var isWatched = false
    fileprivate var isClosedByClient = false
    /// Bytes on the way to the client are lost.
    fileprivate var isCut = false
    /// The server has reset the connection: bytes on the way to it are lost, too.
    fileprivate var isReset = false
    /// The client was killed, and what the server had not read of it is lost.
    fileprivate var isAborted = false
    fileprivate var toClientNs: UInt64 = 0
    fileprivate var toServerNs: UInt64 = 0
    /// The server does not take bytes: what the client sends stays in its send buffer.
    var isServerReading = true {
        didSet { if isServerReading && !oldValue { kernel.deliverHeld(self) } }
    }
    fileprivate var heldForServer: [[UInt8]] = []
    fileprivate var hasEndForServer = false
    private(set) var sentTotal = 0

    fileprivate init(_ number: Int32, _ kernel: SimulatedKernel) {
        self.number = number
        self.kernel = kernel
        client = kernel.client
    }

    // MARK: The server's side

    /// Sends bytes; they arrive whole or in pieces, later.
    func send(_ bytes: [UInt8]) {
        guard !isCut else { return }
        sentTotal += bytes.count
        kernel.carryToClient(self, bytes)
    }

    /// FIN behind everything sent.
    func finish() { kernel.carryEnd(self, code: nil) }

    /// RST: what is on its way is lost.
    func reset() {
        (isCut, isReset) = (true, true)
        kernel.carryEnd(self, code: ECONNRESET)
    }

    fileprivate var readable: Bool { inboundHead < inbound.count || isEnded || resetCode != nil }

    fileprivate var writable: Bool {
        switch state {
        case .connecting: false
        case .failed: true
        case .open: sendRoom > 0 || resetCode != nil
        }
    }
}

final class SimulatedKernel: VirtualKernel {
    private(set) var nowNs: UInt64 = 1_000_000_000
    var events = EventQueue()
    var random: SplitMix64
    /// A fingerprint of everything that happened; the same seed gives the same.
    private(set) var trace: UInt64 = 0
    /// Takes the story of the run, when somebody listens.
    var tell: ((() -> String) -> Void)?
    private var links: [Int32: Link] = [:]
    /// Closed, and the server has not taken what was sent there before.
    private var unread: [Link] = []
    private var watched: [Link] = []
    private var opened: [Link] = []
    private var nextNumber: Int32 = 1
    private let listen: (SocketAddress) -> Acceptance
    private let latencyNs: ClosedRange<UInt64>
    /// The process that has its turn.
    var client = 0

    /// - Parameter latencyNs: one way, most of the time.
    init(seed: UInt64, latencyNs: ClosedRange<UInt64>, listen: @escaping (SocketAddress) -> Acceptance) {
        random = SplitMix64(seed: seed)
        self.latencyNs = latencyNs
        self.listen = listen
    }

    func note(_ word: UInt64) { trace = SplitMix64.mix(trace ^ word &+ nowNs) }

    /// The world is over: what was going to happen holds all of it and is held by it, and so do the two sides of a connection.
    func end() {
        for link in opened { link.handler = nil }
        (events, links, watched, opened) = (EventQueue(), [:], [], [])
    }

    // MARK: Time

    func plan(afterNs: UInt64, _ action: @escaping () -> Void) { events.plan(at: nowNs + afterNs, action) }

    /// Again and again until then; nil: never.
    /// - Parameter draw: how long until the next time, by the mean of it.
    func every(_ meanNs: UInt64?, until endNs: UInt64, draw: @escaping (_ meanNs: UInt64) -> UInt64, _ action: @escaping () -> Void) {
        guard let meanNs else { return }
        let afterNs = draw(meanNs)
        guard nowNs + afterNs < endNs else { return }
        plan(afterNs: afterNs) { [unowned self] in
            action()
            every(meanNs, until: endNs, draw: draw, action)
        }
    }

    /// Lets time pass and everything happen that is due by then.
    func advance(toNs: UInt64) {
        while let next = events.nextNs, next <= toNs {
            nowNs = max(nowNs, next)
            while let action = events.takeDue(nowNs: nowNs) { action() }
        }
        nowNs = max(nowNs, toNs)
    }

    // MARK: The client's side

    func connect(to address: SocketAddress) throws(SystemError) -> Int32 {
        let link = Link(nextNumber, self)
        opened.append(link)
        nextNumber += 1
        links[link.number] = link
        switch listen(address) {
        case .accept(let handler):
            plan(afterNs: latency()) {
                guard !link.isClosedByClient else { return }
                link.handler = handler
                link.state = .open
                link.sendRoom = SimulatedKernel.sendBufferBytes
                handler.onOpen(link)
            }
        case .refuse(let code): plan(afterNs: latency()) { link.state = .failed(code) }
        case .swallow: break
        }
        return link.number
    }

    private static let sendBufferBytes = 48 * 1_024

    func connectError(_ number: Int32) -> Int32 {
        if case .failed(let code) = links[number]!.state { return code }
        return 0
    }

    func isWritable(_ number: Int32) -> Bool { links[number]!.writable }

    func read(_ number: Int32, into bytes: UnsafeMutableRawPointer, count: Int) -> IOResult {
        let link = links[number]!
        let available = link.inbound.count - link.inboundHead
        guard available > 0 else {
            if let code = link.resetCode { return .failed(code) }
            return link.isEnded ? .endOfStream : .wouldBlock
        }
        var taken = min(count, available)
        // Short reads are a kernel's right.
        if random.next() & 7 == 0 { taken = 1 + Int(random.next() % UInt64(taken)) }
        link.inbound.withUnsafeBytes { bytes.copyMemory(from: $0.baseAddress! + link.inboundHead, byteCount: taken) }
        link.inboundHead += taken
        if link.inboundHead == link.inbound.count {
            link.inbound.removeAll(keepingCapacity: true)
            link.inboundHead = 0
        }
        link.readTotal += taken
        note(UInt64(taken) << 8 | 1)
        link.handler?.onRead(total: link.readTotal)
        return .bytes(taken)
    }

    func write(_ number: Int32, _ bytes: UnsafeRawPointer, count: Int) -> IOResult {
        let link = links[number]!
        if let code = link.resetCode { return .failed(code == ECONNRESET ? EPIPE : code) }
        guard case .open = link.state else { return .failed(ENOTCONN) }
        guard link.sendRoom > 0 else { return .wouldBlock }
        var taken = min(count, link.sendRoom)
        if random.next() & 15 == 0 { taken = 1 + Int(random.next() % UInt64(taken)) }
        link.sendRoom -= taken
        note(UInt64(taken) << 8 | 2)
        let copy = Array(UnsafeRawBufferPointer(start: bytes, count: taken))
        link.toServerNs = max(link.toServerNs, nowNs + latency())
        events.plan(at: link.toServerNs) { [unowned self] in arriveAtServer(link, copy) }
        return .bytes(taken)
    }

    private func arriveAtServer(_ link: Link, _ bytes: [UInt8]) {
        guard !link.isReset else { return }
        guard link.isServerReading else {
            link.heldForServer.append(bytes)
            return
        }
        link.sendRoom += bytes.count
        link.handler?.onBytes(bytes)
    }

    fileprivate func deliverHeld(_ link: Link) {
        let held = link.heldForServer
        link.heldForServer = []
        for bytes in held { arriveAtServer(link, bytes) }
        if link.hasEndForServer { link.handler?.onEnd() }
    }

    func shutDown(_ number: Int32) {}

    func close(_ number: Int32) {
        guard let link = links.removeValue(forKey: number) else { return }
        if !link.isServerReading { unread.append(link) }
        link.isClosedByClient = true
        link.isCut = true
        watch(link, [])
        note(3)
        link.toServerNs = max(link.toServerNs, nowNs + latency())
        events.plan(at: link.toServerNs) {
            // Behind what the server has not taken yet.
            if link.isAborted {
                link.handler?.onAbort()
            } else if link.isServerReading {
                link.handler?.onEnd()
            } else {
                link.hasEndForServer = true
            }
        }
    }

    /// The process is killed: its sockets end without a word. What is on its way to a server arrives, or is lost with the rest of what
    /// the server has not read.
    func killClient(_ client: Int = 0) {
        // A connection that was given up before is known to the dead process alone: nobody else has it ended.
        let all = unread.filter { !$0.isServerReading } + links.values.sorted { $0.number < $1.number }
        let known = all.filter { $0.client == client }
        unread.removeAll { $0.client == client }
        for link in known {
            link.isAborted = random.next() & 1 == 0
            if link.isAborted { link.isReset = true }
            link.isServerReading = true
            close(link.number)
        }
    }

    func add(_ number: Int32, _ interest: Readiness, token: PollToken) {
        let link = links[number]!
        precondition(!link.isWatched, "a descriptor was added twice")
        link.token = token
        watch(link, interest)
    }

    func change(_ number: Int32, _ interest: Readiness, token: PollToken) {
        let link = links[number]!
        precondition(link.isWatched, "a descriptor was changed that is not registered")
        link.token = token
        watch(link, interest)
    }

    func remove(_ number: Int32) { watch(links[number]!, []) }

    private func watch(_ link: Link, _ interest: Readiness) {
        link.interest = interest
        if interest.isEmpty == link.isWatched {
            link.isWatched.toggle()
            if link.isWatched { watched.append(link) } else { watched.removeAll { $0 === link } }
        }
    }

    /// What a poller would report to an agent now.
    func reports(agent: Int) -> [(token: PollToken, readiness: Readiness)] {
        var reports: [(token: PollToken, readiness: Readiness)] = []
        for link in watched where link.token.agent == agent {
            let ready = readiness(link)
            if !ready.isEmpty { reports.append((link.token, ready)) }
        }
        return reports
    }

    func hasReports(agent: Int) -> Bool { watched.contains { $0.token.agent == agent && !readiness($0).isEmpty } }

    private func readiness(_ link: Link) -> Readiness {
        var hasFailed = link.resetCode != nil
        if case .failed = link.state { hasFailed = true }
        if hasFailed { return [.readable, .writable, .hangUp] }
        var ready: Readiness = []
        if link.readable && link.interest.contains(.readable) { ready.insert(.readable) }
        if link.writable && link.interest.contains(.writable) { ready.insert(.writable) }
        return ready
    }

    // MARK: The way to the client

    func latency() -> UInt64 {
        // Now and then a retransmission.
        let usual = UInt64.random(in: latencyNs, using: &random)
        return random.next() % 64 == 0 ? usual + UInt64.random(in: 0...200_000_000, using: &random) : usual
    }

    fileprivate func carryToClient(_ link: Link, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // Segments end anywhere.
            let count = random.next() & 7 == 0 ? 1 + Int(random.next() % UInt64(rest.count)) : rest.count
            let piece = rest.prefix(count)
            rest = rest.dropFirst(count)
            link.toClientNs = max(link.toClientNs, nowNs + latency())
            events.plan(at: link.toClientNs) { if !link.isCut { link.inbound.append(contentsOf: piece) } }
        }
    }

    fileprivate func carryEnd(_ link: Link, code: Int32?) {
        link.toClientNs = max(link.toClientNs, nowNs + latency())
        events.plan(at: link.toClientNs) {
            if let code { link.resetCode = code } else { link.isEnded = true }
        }
    }
}

extension SplitMix64 {
    mutating func chance(_ probability: Double) -> Bool { Double(next() >> 11) * 0x1p-53 < probability }
    mutating func pick<T>(_ list: [T]) -> T { list[Int(next() % UInt64(list.count))] }
    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}
