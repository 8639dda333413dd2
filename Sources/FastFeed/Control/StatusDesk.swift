// How all stands: when the sink is to be asked, what its answer means, and which status hashes are to be written. They are
// written on change and before they expire, so that a dead service is visibly dead. Pure but for the board: what is known comes
// in, questions and commands for Redis come out. The control thread's alone.

import Glibc

package struct StatusDesk {
    private static let refreshNs: UInt64 = 2_000_000_000
    /// Keys vanish when nobody writes them for so long, and after their flux or the service has ended.
    static let (expirySeconds, lastExpirySeconds) = (10, 60)

    let schema: KeySchema
    private let startedAtMs: Int64
    private let board: StandingsBoard
    private let troubles: TroubleBoard
    /// Holes that are filled; nil: nobody fills any.
    private let healing: GapBoard?
    private var written: [String: (standing: FluxStanding, atNs: UInt64)] = [:]
    /// What the sink was asked about and has not answered yet. One question at a time: an answer must find its list.
    private var asked: [Flux]?
    private var refreshDueNs: UInt64 = 0
    /// How far the exchange's clock was from ours when the newest update came (its way included), behind or ahead. Nil before the first.
    package private(set) var clockDifferenceMs: Int64?
    /// Where Redis is, and what it has said of its replicas.
    package var redis = RedisStanding()
    /// How updates are published.
    package var updates = UpdateMode.classic
    /// In a group, of whose status this member keeps the sum: how all stands.
    var sum: StatusSum?
    /// By flux: what was last written of it, and when, Unix ms.
    var summed: [String: (status: FluxStatus, atMs: Int64)] = [:]
    /// Without a group: another service that writes the same.
    package var rivals = RivalWatch(pid: getpid(), host: StatusDesk.hostName)
    /// In a group: the process id of another under this member's name.
    package var namesake: UInt64?

    package init(
        schema: KeySchema, board: StandingsBoard, troubles: TroubleBoard = TroubleBoard(), healing: GapBoard? = nil, startedAtMs: Int64
    ) {
        (self.schema, self.board, self.troubles, self.healing) = (schema, board, troubles, healing)
        self.startedAtMs = startedAtMs
    }

    /// When control must look again; the sink's answer wakes it.
    package var dueNs: UInt64 { asked == nil ? refreshDueNs : .max }

    package mutating func markDue() { refreshDueNs = 0 }

    /// Redis may have lost what was written.
    package mutating func forgetWritten() { (written, summed, refreshDueNs) = ([:], [:], 0) }

    // MARK: Asking

    /// The ids to ask the sink about, when it is time.
    package mutating func question(_ book: FluxBook, nowNs: UInt64) -> [UInt32]? {
        guard asked == nil, nowNs >= refreshDueNs else { return nil }
        let list = book.parts
        (asked, refreshDueNs) = (list, nowNs + StatusDesk.refreshNs)
        return list.flatMap(book.ids)
    }

    /// The sink had no room for the question.
    package mutating func askLater(_ nowNs: UInt64) { (asked, refreshDueNs) = (nil, nowNs + 1_000_000) }

    /// Judges what the sink says; the board shows it.
    /// - Parameter quiet: series of which nothing is to come now, because nobody trades them.
    package mutating func takeStandings(
        _ reports: [SeriesReport], _ book: FluxBook, _ figures: EngineHandles.Figures, quiet: Set<Series> = [], isConnected: Bool = true,
        isRegistryRead: Bool = true, nowNs: UInt64, nowMs: Int64
    ) {
        guard let list = asked.take(), reports.count == list.reduce(0, { $0 + $1.symbols.count }) else { return }
        var rest = reports[...]
        let healing = healing?.seriesHealing ?? []
        for flux in list {
            var part = rest.prefix(flux.symbols.count)
            rest = rest.dropFirst(part.count)
            guard book.holds(flux) else { continue }
            let (refused, ageMs) = (book.refusedSymbols(of: flux), nowMs - max(flux.createdAtMs, startedAtMs))
            func judge(_ reports: ArraySlice<SeriesReport>, _ refused: [RefusedSymbol], _ isHealing: Bool) -> FluxStanding {
                FluxStanding(
                    flux.interval, reports, refused: refused, isHealing: isHealing, ageMs: ageMs, nowNs: nowNs, nowMs: nowMs)
            }
            let reasons = Dictionary(refused.map { ($0.symbol, $0) }) { $1 }
            let hurt = healing.isEmpty ? [] : Set(flux.series(book.market).filter(healing.contains).map(\.symbol))
            if !quiet.isEmpty {
                for (place, one) in zip(part.indices, flux.series(book.market)) {
                    part[place].isQuiet = reasons[one.symbol] == nil && quiet.contains(one)
                }
            }
            let series = zip(flux.symbols, part).map { ($0, judge([$1], reasons[$0].map { [$0] } ?? [], hurt.contains($0))) }
            var standing = judge(part, refused, !hurt.isEmpty)
            standing.seriesLive = series.reduce(0) { $0 + $1.1.seriesLive }
            board.show(FluxOnBoard(flux: flux, standing: standing, series: series))
        }
        board.show(
            ServiceOnBoard(
                state: state(book, figures, nowMs), judgedNs: nowNs, connectionsWanted: book.placement.connectionCount,
                isRedisConnected: isConnected, isRegistryRead: isRegistryRead))
        if let newest = reports.max(by: { $0.receivedNs < $1.receivedNs }), newest.receivedNs > 0 {
            clockDifferenceMs = newest.receivedMs(nowNs: nowNs, nowMs: nowMs) - newest.eventTimeMs
        }
    }

    private func state(_ book: FluxBook, _ figures: EngineHandles.Figures, _ nowMs: Int64) -> ServiceState {
        ServiceState(
            connectionsLive: Int(figures.counters[.connectionsLive]), connectionsWanted: book.placement.connectionCount,
            ageMs: nowMs - startedAtMs)
    }

    // MARK: Writing

    /// What Redis must be told now.
    package mutating func writes(_ book: FluxBook, _ figures: EngineHandles.Figures, nowNs: UInt64, nowMs: Int64) -> [[String]] {
        var commands: [[String]] = []
        for flux in book.list {
            let standing = standing(of: flux)
            if let last = written[flux.id], last.standing == standing, nowNs &- last.atNs < 2 * StatusDesk.refreshNs { continue }
            written[flux.id] = (standing, nowNs)
            commands += write(schema.fluxStatusKey(flux.id), fluxStatus(flux, book).hash)
        }
        return commands + write(schema.serviceStatusKey, serviceStatus(book, figures, nowMs: nowMs).hash)
    }

    func write(_ key: String, _ pairs: [(String, String)], expirySeconds: Int = StatusDesk.expirySeconds) -> [[String]] {
        [["HSET", key] + pairs.flatMap { [$0.0, $0.1] }, ["EXPIRE", key, String(expirySeconds)]]
    }

    /// What stands there before ours is written.
    var rivalQuestion: [String] { ["HMGET", schema.serviceStatusKey] + RivalWatch.fields }

    /// A flux has ended: what Redis must be told of it.
    package mutating func end(_ flux: Flux) -> [[String]] {
        written[flux.id] = nil
        board.remove(flux.id)
        return write(
            schema.fluxStatusKey(flux.id), [(Field.state, FluxState.stopped.rawValue)], expirySeconds: StatusDesk.lastExpirySeconds)
    }

    /// The service has ended, and that was meant: what Redis must be told.
    package mutating func end(_ book: FluxBook, nowNs: UInt64, nowMs: Int64) -> [[String]] {
        board.show(ServiceOnBoard(state: .stopped, judgedNs: nowNs))
        let last = [(Field.state, ServiceState.stopped.rawValue), (Field.heartbeatAt, String(nowMs))]
        return write(schema.serviceStatusKey, last, expirySeconds: StatusDesk.lastExpirySeconds) + book.list.flatMap { end($0) }
    }

    // MARK: Status as values

    static let hostName: String = {
        var names = utsname()
        unsafe uname(&names)
        return unsafe withUnsafeBytes(of: names.nodename) { unsafe Ascii.printable($0.prefix { $0 != 0 }, limit: 64) }
    }()

    func standing(of flux: Flux) -> FluxStanding {
        // In a group the board has our part of it.
        guard let shown = board[flux.id], shown.flux.interval == flux.interval, shown.flux.createdAtMs == flux.createdAtMs else {
            return FluxStanding()
        }
        return shown.standing
    }

    package func summary(_ flux: Flux) -> FluxSummary {
        let standing = standing(of: flux)
        return FluxSummary(
            id: flux.id, symbols: flux.symbols, interval: flux.interval, state: standing.state, createdAt: flux.createdAtMs,
            lastUpdateAt: standing.lastUpdateMs, seriesLive: standing.seriesLive)
    }

    package func fluxStatus(_ flux: Flux, _ book: FluxBook) -> FluxStatus {
        let standing = standing(of: flux)
        return FluxStatus(
            flux: summary(flux), origin: flux.origin, refusedSymbols: book.refusedSymbols(of: flux),
            candlesTotal: standing.candlesTotal, gapsOpen: standing.gapsOpen, history: flux.history)
    }

    /// Counters that the service's status shows, behind its own figures.
    private static let shown: [CounterID] = [
        .connectionsLive, .reconnects, .duplicates, .coalesced, .candlesWritten, .closedWritten, .closedPending, .gapsSeen,
        .gapCandlesMissing, .gapCandlesFilled, .gapsOpen, .gapCandlesHealed, .gapCandlesAbsent, .closedHeld, .lateCloses, .muteStreams,
        .tradeIDBreaks, .auditChecked, .auditMismatches, .redisReconnects, .redisFailovers, .closedAgain, .closedAgainMissing,
        .commandsReceived, .commandsRefused, .commandsUnanswered,
        .cacheHits,
        .cacheMisses, .mailboxRefusals,
    ]

    package func serviceStatus(_ book: FluxBook, _ figures: EngineHandles.Figures, nowMs: Int64) -> ServiceStatus {
        let (counters, placement) = (figures.counters, book.placement)
        var list: [ServiceStatus.Figure] = [
            .init(Field.fluxes, UInt64(book.count)), .init(Field.series, UInt64(placement.seriesCount)),
            .init(Field.seriesIDsInUse, UInt64(placement.idsInUse)), .init(Field.connections, UInt64(placement.connectionCount)),
            .init(Field.messagesTotal, counters[.messagesReceived]),
            .init(Field.rejectedTotal, counters.rejected), .init(Field.closedLost, counters.closedLost),
            .init(Field.residentBytes, figures.residentBytes),
        ]
        list.append(.init(Field.refusedSymbols, UInt64(book.refusedCount)))
        list.append(.init(Field.clockDifference, clockDifferenceMs.map { $0.magnitude }))
        list.append(.init(Field.redisReplicas, redis.replicas.map { UInt64($0.replicaCount) }))
        list.append(.init(Field.redisReplicaLag, redis.replicas?.lagBytes))
        if let pid = rivals.rival?.pid ?? namesake { list.append(.init(Field.rival, pid)) }
        list += StatusDesk.shown.map { .init($0.name, counters[$0]) }
        if let rest = figures.rest {
            list += [
                .init(Field.restWeightUsed, UInt64(rest.weightSpent)), .init(Field.restWeightAllowed, UInt64(rest.weightAllowed)),
                .init(Field.restWeightOfAddress, UInt64(rest.weightReported)),
            ]
        }
        for (stage, histogram) in [(nil, figures.latency)] + LatencyStage.allCases.map({ ($0.name, figures.stages[$0]) }) {
            for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
                list.append(.init(Field.latency(quantile, stage: stage), histogram.quantile(share).map { $0 / 1_000 }))
            }
        }
        return ServiceStatus(
            state: state(book, figures, nowMs), version: FastFeedVersion.text, pid: getpid(), host: StatusDesk.hostName,
            market: book.market, startedAt: startedAtMs, heartbeatAt: nowMs, troubles: troublesNow,
            redisMode: redis.mode, redisPrimary: redis.primary, updates: updates, figures: list)
    }

    private var troublesNow: [ServiceStatus.Trouble] {
        let found: [(ServicePart, Trouble?)] = [(.exchange, troubles.ofConnections), (.rest, troubles[.rest]), (.redis, troubles[.redis])]
        return found.compactMap { part, trouble in
            trouble.map { ServiceStatus.Trouble(part: part, reason: $0.reason, at: $0.atMs) }
        }
    }
}
