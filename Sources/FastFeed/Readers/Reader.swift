// An agent, one for each core that is to read: polls its sockets, decodes frames, parses messages of one kind straight into ring slots.
// Thread: its runner's. Never blocks; a full ring stops its reading (TCP back-pressure), nothing is
// overwritten. Per message it allocates nothing, takes no lock and touches no reference count.
//
// A reader has one kind of data, and so has each of its connections: which one it is was decided when it was compiled. `Reader` is generic; a
// kind's agent is a subclass of one line, so that what a runner calls is compiled for the kind, too. Readers of several kinds may share a
// thread, as agents do. Bounds: `Limits.connectionsPerReaderMax` connections, and from each one read of
// `Limits.receiveBytesMax` a turn.

import Synchronization

package struct ReaderSettings: Sendable {
    /// A place of the streams, and the way to it.
    package struct Host: Sendable {
        package var base: WebSocketEndpoint
        package var proxy: ProxyEndpoint?

        package init(base: WebSocketEndpoint, proxy: ProxyEndpoint? = nil) { (self.base, self.proxy) = (base, proxy) }
    }

    /// Hosts that have the streams; connections take turns. At least one.
    package var hosts: [Host]
    package var dialect: any VenueDialect
    /// Where a host is wss://.
    package var tls: TLSContext?
    package var subscribeForm = SubscribeForm.automatic
    package var usesCombinedStreams = true
    package var connection = ConnectionOptions()
    package var connectionAgeMs = Limits.venueConnectionAgeMs
    package var subscribeTimeoutMs = Limits.subscribeTimeoutMs
    package var seed: UInt64

    package init(hosts: [Host], dialect: any VenueDialect, tls: TLSContext?, seed: UInt64) {
        precondition(!hosts.isEmpty)
        (self.hosts, self.dialect, self.tls, self.seed) = (hosts, dialect, tls, seed)
    }

    package init(base: WebSocketEndpoint, dialect: any VenueDialect, tls: TLSContext?, seed: UInt64) {
        self.init(hosts: [Host(base: base)], dialect: dialect, tls: tls, seed: seed)
    }
}

/// The readers of klines: an agent for the runner, of a class that is compiled for them.
@safe package final class KlineReader: Reader<KlineParser>, Agent, @unchecked Sendable {}

@safe package class Reader<Parser: MessageParser & ~Copyable>: @unchecked Sendable {
    // Everything below is its thread's alone, except `commands`, `refusedStreams`, `counters` and `isStopped`, which are
    // made for sharing.
    let index: Int
    let settings: ReaderSettings
    let journal: Journal
    let budget: ConnectBudget
    let troubles: TroubleBoard
    let board: ConnectionBoard
    package let counters = CounterBank()
    package let commands = Mailbox<ReaderCommand>(capacity: Limits.commandCountMax)
    /// For the control thread: streams that the exchange does not know, even when asked for one of them alone.
    package let refusedStreams = Mailbox<String>(capacity: Limits.refusedStreamCountMax)
    private let stopped = Atomic<Bool>(false)

    var port: PollerPort?
    /// The thread that takes the records, if it is not this one.
    package var sinkWakeUp: WakeUp?

    var connections = FixedSlots<ReaderConnection<WebSocketConnection>>(capacity: Limits.connectionsPerReaderMax)
    var stalledCount = 0
    var random: SplitMix64
    /// The earliest deadline of all connections; recomputed when it has passed or something changed.
    var timersDueNs: UInt64 = 0
    var isStopping = false
    /// The slot of the connection that is being replaced because of its age: one in the whole process, `ConnectBudget.beginRoll` says.
    var rollingSlot: Int?
    package var isRolling: Bool { rollingSlot != nil }
    private(set) var readySlots: [Int] = []

    let buffer = PaddedBuffer(count: Limits.receiveBytesMax)
    let decoder: FixedSlot<RecordDecoder<Parser>>

    package init(
        index: Int, settings: ReaderSettings, ring: SPSCRing<Parser.Record>, journal: Journal, budget: ConnectBudget,
        troubles: TroubleBoard = TroubleBoard(), board: ConnectionBoard = ConnectionBoard()
    ) {
        (self.index, self.settings, self.journal, self.budget) = (index, settings, journal, budget)
        (self.troubles, self.board) = (troubles, board)
        random = SplitMix64(seed: settings.seed &+ UInt64(index))
        decoder = FixedSlot(RecordDecoder(ring: ring, counters: counters))
        readySlots.reserveCapacity(Limits.connectionsPerReaderMax)
    }

    package var roleName: String { "reader-\(index)" }

    /// True once `.stop` has been carried out and every connection is gone.
    package var isStopped: Bool { stopped.load(ordering: .acquiring) }

    package func onStart(_ port: PollerPort) {
        self.port = port
        commands.setReceiver(port.wakeUp)
    }

    package func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) {
        let slot = Int(token.slot)
        guard slot < connections.count, token.matches(connections[slot].generation) else { return }
        if readiness.contains(.writable) { carryOut(connections[slot].onWritable(), of: slot, nowNs) }
        markReady(slot)
    }

    func markReady(_ slot: Int) {
        guard !connections[slot].isReady else { return }
        connections[slot].isReady = true
        readySlots.append(slot)
    }

    package func hasWork() -> Bool { !readySlots.isEmpty || commands.isWaiting }

    package func nextDeadlineNs() -> UInt64 { timersDueNs }

    package func doWork(nowNs: UInt64) {
        if commands.isWaiting { for command in commands.takeAll() { carryOut(command, nowNs) } }
        if !readySlots.isEmpty { turnReady(nowNs) }
        if stalledCount > 0 { resumeStalled(nowNs) }
        if nowNs >= timersDueNs { turnTimers(nowNs) }
    }

    /// Each ready connection once; one that may have more stays ready for the next turn, behind the others.
    private func turnReady(_ nowNs: UInt64) {
        let count = readySlots.count
        for index in 0..<count {
            let slot = readySlots[index]
            connections[slot].isReady = false
            turn(slot, nowNs)
        }
        readySlots.removeFirst(count)
    }

    package func onClose() {
        for slot in 0..<connections.count { connections[slot].socket?.drop() }
        stopped.store(true, ordering: .releasing)
    }

    // MARK: Commands

    /// Carries a command out at once; only before the thread starts.
    package func prepare(_ command: ReaderCommand) { carryOut(command, 0) }

    private func carryOut(_ command: ReaderCommand, _ nowNs: UInt64) {
        switch command {
        case .follow(let list): for (series, handle) in list { decoder.value.index.set(series.symbol, series.interval, handle) }
        case .unfollow(let list): for series in list { decoder.value.index.remove(series.symbol, series.interval) }
        case .connect(let key, let host, let streams):
            if !isStopping, addConnection(key, host: host % settings.hosts.count, subscription(to: streams), predecessor: nil) == nil {
                journal.note(.error, "reader has no room for another connection", ("reader", "\(index)"))
            }
        case .subscribe(let key, let streams): change(key, nowNs) { $0.change(streams, isWanted: true) }
        case .unsubscribe(let key, let streams): change(key, nowNs) { $0.change(streams, isWanted: false) }
        case .renew(let key, let streams): change(key, nowNs) { $0.renew(streams) }
        case .disconnect(let key): disconnect(key, nowNs)
        case .describe: return describe()
        case .stop: stop(nowNs)
        }
        timersDueNs = 0
    }

    private func describe() {
        var reports: [ConnectionReport] = []
        for slot in 0..<connections.count where !connections[slot].isRetired || connections[slot].phase != nil {
            let host = settings.hosts[connections[slot].host].base.authority
            reports.append(connections[slot].report(label: label(slot), host: "\(host)"))
        }
        board.show(reports, of: index)
    }

    private func stop(_ nowNs: UInt64) {
        isStopping = true
        for slot in 0..<connections.count { leave(slot, .endedByStop, nowNs) }
        finishStopIfDone()
    }

    func finishStopIfDone() {
        guard isStopping else { return }
        for slot in 0..<connections.count where connections[slot].phase != nil { return }
        stopped.store(true, ordering: .releasing)
    }
}
