// One connection of the simulated exchange: upgrade, subscriptions, events, and everything that can be wrong with them. It
// notes where each frame ends on the wire, so that what a client has read is known to the byte.

import FastFeed
import TestKit
import VenueSimulator

/// The exchange's side of one connection.
final class ExchangeConnection: LinkHandler {
    private unowned let exchange: Exchange
    private var link: Link!
    private var input: [UInt8] = []
    private(set) var isOpen = false
    /// What the client is subscribed to, and what it is answered: the simulator's own.
    private var session: ControlSession!
    private var streams: Set<Int> = []
    /// Of them, those that bring nothing.
    private var muted: Set<Int> = []
    /// Where each frame ends on the wire, and what it means.
    private var marks: [(end: Int, mark: Mark)] = []
    private var firstMark = 0
    private var held: [(bytes: [UInt8], mark: Mark)] = []
    private var stalled: [(bytes: [UInt8], mark: Mark, unread: Int)] = []
    private var isStalled = false
    /// Half-open: nothing is said or heard any more, and nobody is told.
    private var isDeaf = false
    /// A client must not believe anything after what was sent last.
    private var isPoisoned = false
    private var controlNs: [UInt64] = []

    init(_ exchange: Exchange) { self.exchange = exchange }

    func carries(_ series: Int) -> Bool { isOpen && streams.contains(series) && !muted.contains(series) }

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
        let isCombined = target.hasPrefix("/stream")
        let names = isCombined ? target.dropFirst("/stream?streams=".count) : target.dropFirst("/ws/".count)
        session = ControlSession(configuration: Exchange.rules, isCombined: isCombined, route: .all)
        let actions = session.open(streams: names.split(separator: "/").map(String.init))
        let key = text.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }!.dropFirst(19)
        link.send(
            Array(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(UpgradeRequest.accept(for: String(key)))\r\n\r\n"
                    .utf8))
        isOpen = true
        exchange.connections.append(self)
        carryOut(actions)
    }

    private func onFrame(_ frame: ClientFrame) {
        precondition(frame.maskKey != nil, "a client frame without a mask")
        let now = exchange.kernel.nowNs
        controlNs.removeAll { $0 + 1_000_000_000 <= now }
        // A pong answers our ping and is no fault of the client's.
        if frame.opcode != 10 { controlNs.append(now) }
        switch frame.opcode {
        case 1: onText(frame.payload)
        case 8:
            // A good server answers, whatever it has said before.
            if exchange.random.chance(0.8) { link.send(Frames.raw(0x88, frame.payload)) }
            link.finish()
            end()
        case 9: push(Frames.raw(0x8A, frame.payload), .none)
        default: break
        }
        // The exchange cuts at more than five in a second.
        if isOpen && controlNs.count > 5 { sayClose(code: 1008) }
    }

    private func onText(_ text: [UInt8]) {
        let now = exchange.kernel.nowNs
        guard now >= exchange.losesAnswersUntilNs else { return }
        if now < exchange.refusesSubscriptionsUntilNs && exchange.random.chance(0.5) {
            let id = String(decoding: text, as: UTF8.self).split(separator: "\"id\":")[1].dropLast()
            push(text: "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":\(id)}", .notice)
            return
        }
        carryOut(session.receive(text))
    }

    private func carryOut(_ actions: [ControlAction]) {
        for action in actions {
            switch action {
            case .subscribe(let name):
                if let index = exchange.seriesIndex(ofStream: name) { streams.insert(index) }
            case .unsubscribe(let name):
                guard let index = exchange.seriesIndex(ofStream: name) else { break }
                streams.remove(index)
                muted.remove(index)
            case .resubscribe: break
            case .reply(let text): push(text: text, .notice)
            case .close(let code, _): sayClose(code: code)
            }
        }
    }

    // MARK: What the exchange says

    func send(_ state: KlineState) {
        let scenario = exchange.scenario
        let series = scenario.series[state.series]
        guard !exchange.isCalm else {
            let text = state.text(series, isCombined: session.isCombined, variant: exchange.random.next())
            return push(text: text, .kline(state))
        }
        guard !exchange.random.chance(scenario.lose) else { return }
        let text = state.text(series, isCombined: session.isCombined, variant: exchange.random.next())
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
        guard exchange.random.chance(exchange.scenario.fragment) else { return Frames.raw(0x81, payload) }
        let cut = exchange.random.number(0...payload.count)
        return Frames.raw(0x01, Array(payload[..<cut])) + Frames.raw(0x89, [1, 2, 3])
            + Frames.raw(0x80, Array(payload[cut...]))
    }

    /// - Parameter unread: so many bytes at the end need not be read: what they are is known before.
    private func push(_ bytes: [UInt8], _ mark: Mark, unread: Int = 0) {
        guard isOpen, !isPoisoned, !isDeaf else { return }
        if isStalled { return stalled.append((bytes, mark, unread)) }
        send(bytes, mark, unread)
    }

    private func send(_ bytes: [UInt8], _ mark: Mark, _ unread: Int) {
        link.send(bytes)
        marks.append((link.sentTotal - unread, mark))
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
        push(Frames.raw(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)]), .none)
        isPoisoned = true
        isOpen = false
        exchange.connections.removeAll { $0 === self }
        let link = link!
        exchange.kernel.plan(afterNs: UInt64(exchange.random.number(0...3_000)) * 1_000_000) { link.finish() }
    }

    /// Ends in the middle of a frame.
    func cutFrame() {
        let frame = Frames.raw(0x81, Array(repeating: 0x20, count: 400))
        push(Array(frame.prefix(exchange.random.number(1...frame.count - 1))), .none)
        isPoisoned = true
        if exchange.random.chance(0.5) { reset() } else { finish() }
    }

    func fallSilent() { isDeaf = true }

    func isMute(_ series: Int) -> Bool { isOpen && muted.contains(series) }

    func mute() {
        guard let index = streams.sorted().randomElement(using: &exchange.random) else { return }
        exchange.kernel.tell? { "exchange: \(exchange.scenario.series[index]) is mute" }
        muted.insert(index)
    }

    func sendInvalidText() {
        let padding = Array(repeating: UInt8(ascii: " "), count: 200)
        // It is known as soon as the bad byte is read.
        push(
            Frames.raw(0x81, Array("{\"e\":\"".utf8) + [0xC3, 0x28] + padding), .rejected(.rejectedNotUTF8), unread: padding.count)
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
        push(text: session.isCombined ? "{\"stream\":\"!serverShutdown\",\"data\":\(event)}" : event, .notice)
        let end = UInt64(exchange.random.number(100...20_000)) * 1_000_000
        exchange.kernel.plan(afterNs: end) { [weak self] in if let self, isOpen { finish() } }
    }

    func stall(untilNs: UInt64) {
        guard !isStalled else { return }
        isStalled = true
        exchange.kernel.events.plan(at: untilNs) { [weak self] in self?.heal() }
    }

    func ping() { push(Frames.raw(0x89, Array("\(exchange.nowMs)".utf8)), .none) }

    func stopReading(untilNs: UInt64) {
        link.isServerReading = false
        let link = link!
        exchange.kernel.events.plan(at: untilNs) { link.isServerReading = true }
    }

    /// The other side hears that it is gone.
    func endIfDeaf() { if isDeaf { reset() } }

    func heal() {
        if exchange.isCalm {
            let late = held
            held = []
            for (bytes, mark) in late { push(frames(bytes), mark) }
        }
        guard isStalled else { return }
        isStalled = false
        let late = stalled
        stalled = []
        // Also when the last of them is poison.
        if isOpen && !isDeaf { for (bytes, mark, unread) in late { send(bytes, mark, unread) } }
    }
}
