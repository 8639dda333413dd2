// The exchange of a simulated world: takes connections, answers upgrades and subscriptions, sends every event to
// whoever asked for it, and misbehaves. It notes what a client has read, byte by byte: that is the truth.

import FastFeed
import Glibc
import VenueSimulator

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
    /// When it fell silent.
    private var silentMs: Int64 = .max
    /// Nothing is lost, held back or damaged any more.
    private(set) var isCalm = false
    /// No bar that opens before then is made.
    private var maintenanceUntilMs: Int64 = 0
    /// By series: bars that close before then are not in REST.
    private var unlistedUntilMs: [Int64]
    /// Everything said so far, in order.
    private(set) var closedStates: [KlineState] = []
    var connections: [ExchangeConnection] = []
    private let indexOfStream: [String: Int]
    private(set) var isTalking = true

    // What goes wrong now, until when.
    private var refusesUntilNs: UInt64 = 0
    private var swallowsUntilNs: UInt64 = 0
    var failsUpgradesUntilNs: UInt64 = 0
    var stallsUpgradesUntilNs: UInt64 = 0
    var losesAnswersUntilNs: UInt64 = 0
    var refusesSubscriptionsUntilNs: UInt64 = 0

    // What clients have read.
    var messagesRead = 0
    var noticesRead = 0
    var rejectedRead: [CounterID: Int] = [:]
    /// By series: events read, in the order of reading, with the reader's name.
    var onKline: (KlineState) -> Void = { _ in }

    static let baseMs: Int64 = 1_790_000_000_000
    /// Limits of a connection, as the exchange has them.
    static let rules = SimulatorConfiguration()

    init(_ scenario: Scenario, kernel: SimulatedKernel) {
        self.scenario = scenario
        self.kernel = kernel
        random = SplitMix64(seed: scenario.seed ^ 0xE)
        let nowMs = Exchange.baseMs + Int64(kernel.nowNs / 1_000_000)
        let seed = scenario.seed
        tapes = scenario.series.enumerated().map {
            Tape(
                index: $0.offset, series: $0.element, seed: seed &* 31 &+ UInt64($0.offset), nowMs: nowMs,
                pastCount: scenario.healing?.pastCount ?? 0)
        }
        unlistedUntilMs = Array(repeating: 0, count: scenario.series.count)
        indexOfStream = Dictionary(
            uniqueKeysWithValues: scenario.series.enumerated().map { (Binance(.spot).streamName($0.element), $0.offset) })
    }

    var nowMs: Int64 { Exchange.baseMs + Int64(kernel.nowNs / 1_000_000) }
    /// The clock of its answers: it stands when nothing happens any more.
    var dateMs: Int64 { min(nowMs, silentMs) }

    func seriesIndex(ofStream name: String) -> Int? { indexOfStream[name] }

    // MARK: Talking

    func start() {
        for index in tapes.indices {
            planUpdate(index)
            planClose(index)
        }
    }

    /// No more events; what has been sent still arrives.
    func fallSilent() { (isTalking, silentMs) = (false, nowMs) }

    private func planUpdate(_ index: Int) {
        let afterMs = random.number(scenario.updatePeriodMs / 2...scenario.updatePeriodMs * 3 / 2)
        kernel.plan(afterNs: UInt64(afterMs) * 1_000_000) { [unowned self] in
            guard isTalking else { return }
            // Now and then a bar without any event before its end, and bursts with one event time.
            let count = random.pick([1, 1, 1, 3])
            if tapes[index].openMs <= nowMs { for _ in 0..<count { say(tapes[index].update(nowMs: nowMs)) } }
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
            if closed.openMs < unlistedUntilMs[index] { tapes[index].unlisted.insert(closed.openMs) }
            tapes[index].skip(untilMs: maintenanceUntilMs)
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

    /// For a while it makes no bars at all, or REST does not get those of one series.
    func openWindow() {
        let index = random.number(0...tapes.count - 1)
        let untilMs = nowMs + Int64(random.number(1...5)) * tapes[index].series.interval.lengthMs!
        kernel.note(UInt64(index) << 8 | 6)
        if random.chance(0.5) {
            kernel.tell? { "exchange: no bars until \(untilMs)" }
            maintenanceUntilMs = untilMs
        } else {
            kernel.tell? { "exchange: bars of \(tapes[index].series) before \(untilMs) are not in REST" }
            unlistedUntilMs[index] = untilMs
        }
    }

    /// A stream of a living connection brings nothing more, until it is subscribed anew.
    func muteOne() {
        // Where two connections bring every stream, nobody misses one of the two.
        guard !scenario.isDoubled, let connection = connections.filter(\.isOpen).randomElement(using: &random) else { return }
        kernel.note(11)
        connection.mute()
    }

    /// Its stream brings nothing. (Another connection may carry it as well: where a stream was given up and that was refused.)
    func isMute(_ series: Int) -> Bool {
        connections.contains { $0.isMute(series) } && !connections.contains { $0.carries(series) }
    }

    /// Another process reads from now on.
    func forgetReaders() { (messagesRead, noticesRead, rejectedRead) = (0, 0, [:]) }

    /// Everything works again.
    func heal() {
        isCalm = scenario.healing != nil
        (refusesUntilNs, swallowsUntilNs, failsUpgradesUntilNs, stallsUpgradesUntilNs) = (0, 0, 0, 0)
        (losesAnswersUntilNs, refusesSubscriptionsUntilNs) = (0, 0)
        for connection in connections { connection.heal() }
        if isCalm { endDeafConnections() }
    }

    func endDeafConnections() { for connection in connections { connection.endIfDeaf() } }
}
