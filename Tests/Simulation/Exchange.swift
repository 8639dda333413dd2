// The exchange of a simulated world: takes connections, answers upgrades and subscriptions, sends every event to
// whoever asked for it, and misbehaves. It notes what a client has read, byte by byte: that is the truth.

import FastFeed
import Glibc

/// What a frame on the wire means for the books once the client has read it.
enum Mark {
    case kline(KlineState)
    case rejected(CounterID)
    case notice
    case none
}

final class Exchange {
    let scenario: Scenario
    unowned let kernel: SimulatedKernel
    var random: SplitMix64
    private(set) var tapes: [Tape]
    /// Everything said so far, in order.
    private(set) var closedStates: [KlineState] = []
    fileprivate(set) var connections: [ExchangeConnection] = []
    private let indexOfStream: [String: Int]
    private(set) var isTalking = true

    // What goes wrong now, until when.
    private var refusesUntilNs: UInt64 = 0
    private var swallowsUntilNs: UInt64 = 0
    fileprivate var failsUpgradesUntilNs: UInt64 = 0
    fileprivate var stallsUpgradesUntilNs: UInt64 = 0
    fileprivate var losesAnswersUntilNs: UInt64 = 0
    fileprivate var refusesSubscriptionsUntilNs: UInt64 = 0

    // What clients have read.
    fileprivate(set) var messagesRead = 0
    fileprivate(set) var noticesRead = 0
    fileprivate(set) var rejectedRead: [CounterID: Int] = [:]
    /// By series: events read, in the order of reading, with the reader's name.
    var onKline: (KlineState) -> Void = { _ in }

    static let baseMs: Int64 = 1_790_000_000_000

    init(_ scenario: Scenario, kernel: SimulatedKernel) {
        self.scenario = scenario
        self.kernel = kernel
        random = SplitMix64(seed: scenario.seed ^ 0xE)
        let nowMs = Exchange.baseMs + Int64(kernel.nowNs / 1_000_000)
        let seed = scenario.seed
        tapes = scenario.series.enumerated().map {
            Tape(index: $0.offset, series: $0.element, seed: seed &* 31 &+ UInt64($0.offset), nowMs: nowMs)
        }
        indexOfStream = Dictionary(
            uniqueKeysWithValues: scenario.series.enumerated().map { (VenueProfile.streamName($0.element), $0.offset) })
    }

    var nowMs: Int64 { Exchange.baseMs + Int64(kernel.nowNs / 1_000_000) }

    func seriesIndex(ofStream name: String) -> Int? { indexOfStream[name] }

    // MARK: Talking

    func start() {
        for index in tapes.indices {
            planUpdate(index)
            planClose(index)
        }
    }

    /// No more events; what has been sent still arrives.
    func fallSilent() { isTalking = false }

    private func planUpdate(_ index: Int) {
        let afterMs = random.number(scenario.updatePeriodMs / 2...scenario.updatePeriodMs * 3 / 2)
        kernel.plan(afterNs: UInt64(afterMs) * 1_000_000) { [unowned self] in
            guard isTalking else { return }
            // Now and then a bar without any event before its end, and bursts with one event time.
            for _ in 0..<random.pick([1, 1, 1, 3]) { say(tapes[index].update(nowMs: nowMs)) }
            planUpdate(index)
        }
    }

    private func planClose(_ index: Int) {
        let dueNs = UInt64(max(0, tapes[index].endsMs - Exchange.baseMs)) * 1_000_000
        let lateNs = UInt64(random.number(0...20)) * 1_000_000
        kernel.plan(afterNs: dueNs + lateNs - min(dueNs + lateNs, kernel.nowNs)) { [unowned self] in
            guard isTalking else { return }
            let closed = tapes[index].close(nowMs: nowMs)
            closedStates.append(closed)
            say(closed)
            planClose(index)
        }
    }

    private func say(_ state: KlineState) {
        for connection in connections where connection.carries(state.series) { connection.send(state) }
    }

    // MARK: Connections

    func accept() -> Acceptance {
        if kernel.nowNs < refusesUntilNs { return .refuse(random.pick([ECONNREFUSED, ENETUNREACH])) }
        if kernel.nowNs < swallowsUntilNs { return .swallow }
        return .accept(ExchangeConnection(self))
    }

    // MARK: Trouble

    private func untilNs(_ milliseconds: ClosedRange<Int>) -> UInt64 {
        kernel.nowNs + UInt64(random.number(milliseconds)) * 1_000_000
    }

    /// One fault, chosen by the seed.
    func misbehave() {
        let kind = random.number(0...17)
        kernel.note(UInt64(kind) << 8 | 4)
        kernel.tell? { "exchange: fault \(kind)" }
        let open = connections.filter(\.isOpen)
        switch kind {
        case 0: refusesUntilNs = untilNs(10...8_000)
        case 1: swallowsUntilNs = untilNs(10...15_000)
        case 2: failsUpgradesUntilNs = untilNs(10...8_000)
        case 3: stallsUpgradesUntilNs = untilNs(10...12_000)
        case 4: losesAnswersUntilNs = untilNs(10...12_000)
        case 5: refusesSubscriptionsUntilNs = untilNs(10...5_000)
        case 6: for connection in open { connection.reset() }
        default:
            guard !open.isEmpty else { return }
            misbehave(random.pick(open), kind)
        }
    }

    private func misbehave(_ connection: ExchangeConnection, _ kind: Int) {
        switch kind {
        case 7: connection.reset()
        case 8: connection.finish()
        case 9: connection.sayClose(code: random.pick([1000, 1001, 1008, 1011]))
        case 10: connection.cutFrame()
        case 11: connection.fallSilent()
        case 12: connection.sendInvalidText()
        case 13: connection.violate()
        case 14: connection.announceShutdown()
        case 15: connection.stall(untilNs: untilNs(10...4_000))
        case 16: connection.ping()
        default: connection.stopReading(untilNs: untilNs(10...20_000))
        }
    }

    /// Everything works again.
    func heal() {
        (refusesUntilNs, swallowsUntilNs, failsUpgradesUntilNs, stallsUpgradesUntilNs) = (0, 0, 0, 0)
        (losesAnswersUntilNs, refusesSubscriptionsUntilNs) = (0, 0)
        for connection in connections { connection.heal() }
    }
}

/// The exchange's side of one connection.
final class ExchangeConnection: LinkHandler {
    private unowned let exchange: Exchange
    private var link: Link!
    private var input: [UInt8] = []
    private(set) var isOpen = false
    private var isCombined = true
    private var streams: Set<Int> = []
    /// Where each frame ends on the wire, and what it means.
    private var marks: [(end: Int, mark: Mark)] = []
    private var firstMark = 0
    private var held: [(bytes: [UInt8], mark: Mark)] = []
    private var stalled: [(bytes: [UInt8], mark: Mark)] = []
    private var isStalled = false
    /// Half-open: nothing is said or heard any more, and nobody is told.
    private var isDeaf = false
    /// A client must not believe anything after what was sent last.
    private var isPoisoned = false
    private var controlNs: [UInt64] = []

    init(_ exchange: Exchange) { self.exchange = exchange }

    func carries(_ series: Int) -> Bool { isOpen && streams.contains(series) }

    func onOpen(_ link: Link) { self.link = link }

    func onEnd() { end() }

    private func end() {
        isOpen = false
        exchange.connections.removeAll { $0 === self }
    }

    // MARK: What the client says

    func onBytes(_ bytes: [UInt8]) {
        guard !isDeaf else { return }
        input.append(contentsOf: bytes)
        if !isOpen && !isPoisoned { upgrade() }
        while isOpen, let frame = ClientFrame.take(&input) { onFrame(frame) }
    }

    private func upgrade() {
        guard let text = String(validating: input, as: UTF8.self), text.hasSuffix("\r\n\r\n") else { return }
        input = []
        let now = exchange.kernel.nowNs
        if now < exchange.stallsUpgradesUntilNs {
            isPoisoned = true
            return
        }
        if now < exchange.failsUpgradesUntilNs {
            isPoisoned = true
            let status = exchange.random.pick(["503 Service Unavailable", "429 Too Many Requests\r\nRetry-After: 3", "302 Found", "200 OK"])
            link.send(Array("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n".utf8))
            link.finish()
            return
        }
        let target = text.split(separator: " ")[1]
        isCombined = target.hasPrefix("/stream")
        let names = isCombined ? target.dropFirst("/stream?streams=".count) : target.dropFirst("/ws/".count)
        for name in names.split(separator: "/") { if let index = exchange.seriesIndex(ofStream: String(name)) { streams.insert(index) } }
        let key = text.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }!.dropFirst(19)
        link.send(
            Array(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(UpgradeRequest.accept(for: String(key)))\r\n\r\n"
                    .utf8))
        isOpen = true
        exchange.connections.append(self)
    }

    private func onFrame(_ frame: ClientFrame) {
        precondition(frame.isMasked, "a client frame without a mask")
        let now = exchange.kernel.nowNs
        controlNs.removeAll { $0 + 1_000_000_000 <= now }
        // A pong answers our ping and is no fault of the client's.
        if frame.opcode != 10 { controlNs.append(now) }
        switch frame.opcode {
        case 1: onText(String(decoding: frame.payload, as: UTF8.self))
        case 8:
            // A good server answers, whatever it has said before.
            if exchange.random.chance(0.8) { link.send(ServerFrame.bytes(8, frame.payload)) }
            link.finish()
            end()
        case 9: push(ServerFrame.bytes(10, frame.payload), .none)
        default: break
        }
        // The exchange cuts at more than five in a second.
        if isOpen && controlNs.count > 5 { sayClose(code: 1008) }
    }

    private func onText(_ text: String) {
        let now = exchange.kernel.nowNs
        guard now >= exchange.losesAnswersUntilNs else { return }
        let id = text.split(separator: "\"id\":")[1].dropLast()
        if now < exchange.refusesSubscriptionsUntilNs && exchange.random.chance(0.5) {
            push(text: "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":\(id)}", .notice)
            return
        }
        let isWish = text.hasPrefix("{\"method\":\"SUBSCRIBE\"")
        let list = text.split(separator: "[")[1].split(separator: "]")[0]
        for name in list.split(separator: ",") {
            guard let index = exchange.seriesIndex(ofStream: String(name.dropFirst().dropLast())) else { continue }
            if isWish { streams.insert(index) } else { streams.remove(index) }
        }
        push(text: "{\"result\":null,\"id\":\(id)}", .notice)
    }

    // MARK: What the exchange says

    func send(_ state: KlineState) {
        let scenario = exchange.scenario
        let series = scenario.series[state.series]
        guard !exchange.random.chance(scenario.lose) else { return }
        let text = state.text(series, isCombined: isCombined, variant: exchange.random.next())
        if exchange.random.chance(scenario.damage) {
            let (damaged, reason) = Damage.apply(to: text, &exchange.random)
            push(text: damaged, .rejected(reason))
            // The event itself comes, or not.
            if exchange.random.chance(0.5) { return }
        }
        if exchange.random.chance(scenario.hold) {
            held.append((Array(text.utf8), .kline(state)))
            return
        }
        push(text: text, .kline(state))
        if exchange.random.chance(scenario.duplicate) { push(text: text, .kline(state)) }
        // What was held is overtaken by one event, and comes now.
        let late = held
        held = []
        for (bytes, mark) in late { push(frames(bytes), mark) }
    }

    private func push(text: String, _ mark: Mark) { push(frames(Array(text.utf8)), mark) }

    /// A message in one frame, or in several with a ping between.
    private func frames(_ payload: [UInt8]) -> [UInt8] {
        guard exchange.random.chance(exchange.scenario.fragment) else { return ServerFrame.bytes(1, payload) }
        let cut = exchange.random.number(0...payload.count)
        return ServerFrame.bytes(1, Array(payload[..<cut]), isFinal: false) + ServerFrame.bytes(9, [1, 2, 3])
            + ServerFrame.bytes(0, Array(payload[cut...]))
    }

    /// True when it went out now.
    @discardableResult
    private func push(_ bytes: [UInt8], _ mark: Mark) -> Bool {
        guard isOpen, !isPoisoned, !isDeaf else { return false }
        if isStalled {
            stalled.append((bytes, mark))
            return false
        }
        link.send(bytes)
        marks.append((link.sentTotal, mark))
        return true
    }

    func onRead(total: Int) {
        while firstMark < marks.count, marks[firstMark].end <= total {
            settle(marks[firstMark].mark)
            firstMark += 1
        }
    }

    private func settle(_ mark: Mark) {
        switch mark {
        case .none: return
        case .notice: exchange.noticesRead += 1
        case .rejected(let reason): exchange.rejectedRead[reason, default: 0] += 1
        case .kline(let state):
            state.isDelivered = true
            exchange.onKline(state)
        }
        exchange.messagesRead += 1
    }

    // MARK: Trouble

    func reset() {
        link.reset()
        end()
    }

    func finish() {
        link.finish()
        end()
    }

    func sayClose(code: UInt16) {
        push(ServerFrame.bytes(8, [UInt8(code >> 8), UInt8(code & 0xFF)]), .none)
        isPoisoned = true
        isOpen = false
        exchange.connections.removeAll { $0 === self }
        let link = link!
        exchange.kernel.plan(afterNs: UInt64(exchange.random.number(0...3_000)) * 1_000_000) { link.finish() }
    }

    /// Ends in the middle of a frame.
    func cutFrame() {
        let frame = ServerFrame.bytes(1, Array(repeating: 0x20, count: 400))
        push(Array(frame.prefix(exchange.random.number(1...frame.count - 1))), .none)
        isPoisoned = true
        if exchange.random.chance(0.5) { reset() } else { finish() }
    }

    func fallSilent() { isDeaf = true }

    func sendInvalidText() {
        let padding = Array(repeating: UInt8(ascii: " "), count: 200)
        // It is known as soon as the bad byte is read.
        if push(ServerFrame.bytes(1, Array("{\"e\":\"".utf8) + [0xC3, 0x28] + padding), .rejected(.rejectedNotUTF8)) {
            marks[marks.count - 1].end -= padding.count
        }
        isPoisoned = true
    }

    func violate() {
        let bad: [[UInt8]] = [
            [0x81, 0x80, 1, 2, 3, 4], [0xC1, 0], [0x83, 0], [0x80, 0], [0x09, 0], [0x89, 126, 0, 126], [0x81, 126, 0, 5],
            [0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0], [0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0], [0x88, 1, 3],
        ]
        push(exchange.random.pick(bad), .none)
        isPoisoned = true
    }

    func announceShutdown() {
        let event = "{\"e\":\"serverShutdown\",\"E\":\(exchange.nowMs)}"
        push(text: isCombined ? "{\"stream\":\"!serverShutdown\",\"data\":\(event)}" : event, .notice)
        let end = UInt64(exchange.random.number(100...20_000)) * 1_000_000
        exchange.kernel.plan(afterNs: end) { [weak self] in if let self, isOpen { finish() } }
    }

    func stall(untilNs: UInt64) {
        guard !isStalled else { return }
        isStalled = true
        exchange.kernel.events.plan(at: untilNs) { [weak self] in self?.heal() }
    }

    func ping() { push(ServerFrame.bytes(9, Array("\(exchange.nowMs)".utf8)), .none) }

    func stopReading(untilNs: UInt64) {
        link.isServerReading = false
        let link = link!
        exchange.kernel.events.plan(at: untilNs) { link.isServerReading = true }
    }

    func heal() {
        guard isStalled else { return }
        isStalled = false
        let late = stalled
        stalled = []
        for (bytes, mark) in late { push(bytes, mark) }
    }
}

/// Frames of the server's side, and those of the client taken apart.
enum ServerFrame {
    static func bytes(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        if payload.count < 126 {
            bytes.append(UInt8(payload.count))
        } else {
            bytes += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        }
        return bytes + payload
    }
}

struct ClientFrame {
    let opcode: UInt8
    let isMasked: Bool
    let payload: [UInt8]

    /// The first whole frame, taken off; nil when there is none.
    static func take(_ input: inout [UInt8]) -> ClientFrame? {
        guard input.count >= 2 else { return nil }
        var count = Int(input[1] & 0x7F)
        var head = 2
        if count == 126 {
            guard input.count >= 4 else { return nil }
            count = Int(input[2]) << 8 | Int(input[3])
            head = 4
        }
        let isMasked = input[1] & 0x80 != 0
        let body = head + (isMasked ? 4 : 0)
        guard input.count >= body + count else { return nil }
        var payload = Array(input[body..<body + count])
        if isMasked { for index in payload.indices { payload[index] ^= input[head + index & 3] } }
        let frame = ClientFrame(opcode: input[0] & 0x0F, isMasked: isMasked, payload: payload)
        input.removeFirst(body + count)
        return frame
    }
}

/// Damage to a kline message that must be told apart, each kind by its reason.
enum Damage {
    static func apply(to text: String, _ random: inout SplitMix64) -> (String, CounterID) {
        switch random.number(0...6) {
        case 0: return (String(text.dropLast(random.number(1...20))), .rejectedMalformed)
        case 1: return (text + "x", .rejectedMalformed)
        case 2: return (text.replacing("\"T\":", with: "\"TT\":"), .rejectedMissing)
        case 3: return (text.replacing("\"n\":", with: "\"n\":\"\",\"nn\":"), .rejectedType)
        case 4: return (text.replacing("\"i\":\"1", with: "\"i\":\"7"), .rejectedInterval)
        case 5: return (text.replacing("\"f\":", with: "\"t\":1,\"f\":"), .rejectedRepeated)
        default: return (text.replacing("\"v\":\"", with: "\"v\":\"x"), .rejectedNumber)
        }
    }
}
