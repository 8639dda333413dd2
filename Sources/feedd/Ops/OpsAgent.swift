// The ops server's agent: takes requests, answers what it knows, hands on what Redis must be asked, keeps the streams of events fed. Its
// thread is its own, so that nothing here can delay a candle. Bounded by OpsLimits.

import FastFeed
import Synchronization

final class OpsAgent: Agent, @unchecked Sendable {
    // Everything is its thread's alone, except `stopping` and `health`, which are made for sharing.
    private let http: HTTPServer
    private let engine: Engine
    private let plan: OpsPlan
    private let look: RedisLook
    private let bridge: CommandBridge
    private let warnings: WarningBoard
    private let settings: [(String, String)]
    private let place: OpsPlace
    private var watch: OpsWatch
    private var history = OpsHistory()
    private var facts: OpsFacts
    private var sessions = SessionBook()
    private var own = Metrics.OwnFigures()
    /// Requests that wait for Redis, by number.
    private var waiting: [UInt64: HTTPRequest] = [:]
    private var lastNumber: UInt64 = 0
    private var streams: [EventStream] = []
    private var tickDueNs: UInt64 = 0
    private var isReady = false
    private var hasAskedReaders = false
    private let stopping = Atomic<Bool>(false)
    /// The last judgement, for the main thread.
    let health = Lock<(report: HealthReport, atNs: UInt64)>((HealthReport(checks: []), 0))

    private static let tickNs: UInt64 = 1_000_000_000

    init(
        _ http: HTTPServer, _ engine: Engine, _ plan: OpsPlan, _ look: RedisLook, _ bridge: CommandBridge, _ warnings: WarningBoard,
        closedQueueMax: Int, settings: [(String, String)], schema: KeySchema, redis: RedisEndpoint
    ) {
        (self.http, self.engine, self.plan, self.look, self.bridge) = (http, engine, plan, look, bridge)
        (self.warnings, self.settings) = (warnings, settings)
        place = OpsPlace(schema: schema, redis: redis, mayWrite: plan.rules.token != nil)
        watch = OpsWatch(engine)
        facts = watch.look(look.sight)
        own.fluxesExportedMax = plan.fluxesExportedMax
        own.closedQueueMax = closedQueueMax
        for status in [200, 400, 401, 403, 404, 405, 413, 415, 421, 429, 431, 500, 502, 503, 504] { own.answers[status] = 0 }
    }

    /// Before its thread starts: that thread's meter.
    func follow(_ meter: ThreadMeter) { watch.ops = meter }

    /// Any thread: from now on the service is not ready.
    func beginStop() { stopping.store(true, ordering: .relaxed) }

    var roleName: String { "ops" }

    func onStart(_ port: PollerPort) {
        ProcessMemory.keepNothing()
        look.answers.setReceiver(port.wakeUp)
        bridge.answers.setReceiver(port.wakeUp)
        do throws(SystemError) {
            try port.poller.add(http.descriptor, .readable, token: port.token(slot: 0, generation: 0))
        } catch {
            preconditionFailure("a descriptor of our own cannot be polled: \(error)")
        }
        // The first text and the first JSON bind symbols and look types up, which touches 2 MB of code for this once. Now it is in time
        // for what the start gives back.
        _ = (metrics(), json(.overview))
    }

    func onReady(_ token: PollToken, _ readiness: Readiness, nowNs: UInt64) { isReady = true }

    func hasWork() -> Bool { isReady || look.answers.isWaiting || bridge.answers.isWaiting }

    func nextDeadlineNs() -> UInt64 { min(tickDueNs, http.nextDeadlineNs(nowNs: MonotonicClock.nowNs())) }

    func doWork(nowNs: UInt64) {
        isReady = false
        http.turn(nowNs: nowNs)
        while let request = http.next() { take(request, nowNs) }
        for (number, answer) in look.answers.takeAll() + bridge.answers.takeAll() {
            if let request = waiting.removeValue(forKey: number) { finish(request, answer) }
        }
        if nowNs >= tickDueNs {
            tickDueNs = nowNs + OpsAgent.tickNs
            tick()
        }
        feedStreams(nowNs)
        // What was answered goes out now.
        http.turn(nowNs: nowNs)
    }

    func onClose() {
        for stream in streams { stream.request.endStream() }
        for request in waiting.values { finish(request, .refusal(503, "the service ends")) }
        http.turn(nowNs: MonotonicClock.nowNs())
    }

    private func tick() {
        hasAskedReaders = false
        refresh()
        history.add(facts)
        for stream in streams.indices { streams[stream].isDue = true }
    }

    private func refresh() {
        if stopping.load(ordering: .relaxed) { watch.beginStop() }
        facts = watch.look(look.sight)
        health.withLock { $0 = (facts.health, facts.nowNs) }
    }

    // MARK: Requests

    private func take(_ request: HTTPRequest, _ nowNs: UInt64) {
        let head = request.head
        if let refusal = plan.rules.refusal(head, isSession: sessions.holds(head, nowNs: nowNs)) { return finish(request, refusal) }
        switch Route(head, query: request.query) {
        case .answer(let answer): finish(request, answer)
        case .probe(let scope):
            let isTerse = plan.rules.token != nil && AccessRules.isOpen(head.path)
            let asJSON = head.accept?.contains("application/json") ?? false
            finish(request, facts.health.answer(scope, asJSON: asJSON, isTerse: isTerse))
        case .metrics: finish(request, metrics())
        case .view(let view): finish(request, answer(view))
        case .events(let view): begin(view, request, nowNs)
        case .lookUp(let lookUp):
            wait(request) { look.ask(RedisLook.Question(number: $0, lookUp: lookUp)) }
        case .search(let symbol, let interval, let limit):
            wait(request) { bridge.ask($0, .data(symbol: symbol, interval: interval, limit: limit, start: nil, end: nil)) }
        case .symbols(let search, let quote, let status, let limit):
            wait(request) { bridge.ask($0, .symbols(search: search, quote: quote, status: status, limit: limit)) }
        case .login: finish(request, login(head, request.body, nowNs))
        case .logout:
            sessions.end(head)
            finish(request, HTTPAnswer(json: .members([("ok", .bool(true))])))
        case .createFlux: write(request, head) { createFlux(request) }
        case .stopFlux(let id): write(request, head) { wait(request) { bridge.ask($0, .stop(id)) } }
        }
    }

    private func finish(_ request: HTTPRequest, _ answer: HTTPAnswer) {
        own.answers[answer.status, default: 0] += 1
        request.answer(answer)
    }

    private func wait(_ request: HTTPRequest, _ ask: (UInt64) -> Void) {
        // The bound of all queues behind: none of them is ever full.
        guard waiting.count < OpsLimits.lookUpsMax else {
            return finish(request, .refusal(503, "too many questions wait; try again in a second"))
        }
        lastNumber += 1
        waiting[lastNumber] = request
        ask(lastNumber)
    }

    private func write(_ request: HTTPRequest, _ head: RequestHead, _ body: () -> Void) {
        if let refusal = plan.rules.writeRefusal(head) { return finish(request, refusal) }
        body()
    }

    private func createFlux(_ request: HTTPRequest) {
        guard let value = try? JSONValue(parsing: request.body), let symbols = value[Field.symbols]?.array?.compactMap(\.string),
            let interval = value[Field.interval]?.string.flatMap({ Interval(token: $0) })
        else { return finish(request, .refusal(400, "expected a JSON object with symbols (texts) and interval")) }
        wait(request) {
            bridge.ask(
                $0,
                .create(
                    symbols: symbols, interval: interval, name: value[Field.name]?.string,
                    history: value[Field.history]?.integer.map { Int(clamping: $0) }))
        }
    }

    private func login(_ head: RequestHead, _ body: [UInt8], _ nowNs: UInt64) -> HTTPAnswer {
        guard let token = plan.rules.token else { return .refusal(404, "this server knows no token") }
        if let refusal = plan.rules.writeRefusal(head) { return refusal }
        guard !sessions.isBarred(head.peer, nowNs: nowNs) else { return .refusal(429, "too many wrong tokens; try again in a minute") }
        guard let given = (try? JSONValue(parsing: body))?["token"]?.string, AccessRules.equals(given, token) else {
            sessions.noteFailure(head.peer, nowNs: nowNs)
            return .refusal(401, "that is not the token")
        }
        var answer = HTTPAnswer(json: .members([("ok", .bool(true))]))
        let cookie = "\(SessionBook.cookieName)=\(sessions.begin(nowNs: nowNs)); HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"
        answer.headers = [("Set-Cookie", cookie)]
        return answer
    }

    private func metrics() -> HTTPAnswer {
        let startNs = MonotonicClock.nowNs()
        refresh()
        own.connections = http.connectionCount
        own.streams = streams.count
        own.evicted = http.evictedCount
        own.logLinesDropped = warnings.dropped
        own.durations = CommandKind.allCases.compactMap { kind in engine.commandDurations(kind).map { (kind, $0) } }
        var figures = own
        for (status, count) in http.ownAnswers { figures.answers[status, default: 0] += count }
        var answer = HTTPAnswer(200, Metrics.text(facts, figures))
        answer.contentType = MetricsText.contentType
        own.scrapeSeconds = Double(MonotonicClock.nowNs() - startNs) / 1e9
        return answer
    }

    private func answer(_ view: OpsView) -> HTTPAnswer { json(view).map { HTTPAnswer(json: $0) } ?? .refusal(404, "there is no such flux") }

    /// - Parameter isEvent: one of a stream that has brought what came before.
    private func json(_ view: OpsView, isEvent: Bool = false) -> JSONValue? {
        members(view, isEvent: isEvent).map { .members([("service", OpsViews.service(facts, place))] + $0) }
    }

    private func members(_ view: OpsView, isEvent: Bool) -> [(String, JSONValue)]? {
        switch view {
        case .overview: OpsViews.overview(facts, history, warnings.lines, isWhole: !isEvent)
        case .fluxes: OpsViews.fluxes(facts)
        case .flux(let id): engine.standings[id].map { OpsViews.flux($0, engine.allGaps, engine.endedGaps) }
        case .find(let text): OpsViews.find(facts, text)
        case .followed(let symbols): OpsViews.followed(facts, symbols)
        case .series(let symbol, let interval):
            OpsViews.series(facts, own(symbol, interval), engine.gaps(of: own(symbol, interval)), engine.endedGaps)
        case .gaps: OpsViews.gaps(facts, engine.allGaps, engine.endedGaps)
        case .connections: OpsViews.connections(facts, connectionReports())
        case .redis: OpsViews.redis(look.sight, RedisStanding(place.redis), facts.snapshot.counters)
        case .system: OpsViews.system(facts, settings: settings, logLinesDropped: warnings.dropped)
        }
    }

    private func own(_ symbol: Symbol, _ interval: Interval) -> Series {
        Series(market: place.schema.market, symbol: symbol, interval: interval)
    }

    /// Readers are asked once a tick, however many want to know.
    private func connectionReports() -> [ConnectionReport] {
        guard !hasAskedReaders else { return engine.connections.reports }
        hasAskedReaders = true
        return engine.connectionReports()
    }

    // MARK: Streams of events

    private struct EventStream {
        let request: HTTPRequest
        let view: OpsView
        var isDue = true
        var commentDueNs: UInt64
    }

    private func begin(_ view: OpsView, _ request: HTTPRequest, _ nowNs: UInt64) {
        if case .flux(let id) = view, engine.standings[id] == nil { return finish(request, .refusal(404, "there is no such flux")) }
        guard streams.count < OpsLimits.streamsMax else { return finish(request, .refusal(503, "too many streams are open")) }
        own.answers[200, default: 0] += 1
        request.beginStream()
        streams.append(EventStream(request: request, view: view, commentDueNs: nowNs))
    }

    /// Each reader gets the newest when it can take it: one that is slow misses what was in between, and costs nothing.
    private func feedStreams(_ nowNs: UInt64) {
        guard !streams.isEmpty else { return }
        var texts: [OpsView: String] = [:]
        streams.removeAll { stream in
            guard stream.request.wish == .gone else { return false }
            stream.request.endStream()
            return true
        }
        for index in streams.indices where streams[index].request.wish == .more {
            if streams[index].isDue {
                let (view, isFirst) = (streams[index].view, streams[index].request.isFirst)
                let text = isFirst ? "retry: 2000\n\n" + event(view, isFirst: true) : texts[view] ?? event(view)
                if !isFirst { texts[view] = text }
                streams[index].request.put(text)
                (streams[index].isDue, streams[index].commentDueNs) = (false, nowNs + 10_000_000_000)
            } else if nowNs >= streams[index].commentDueNs {
                streams[index].request.put(": still here\n\n")
                streams[index].commentDueNs = nowNs + 10_000_000_000
            }
        }
    }

    private func event(_ view: OpsView, isFirst: Bool = false) -> String {
        guard let json = json(view, isEvent: !isFirst) else { return "event: gone\ndata: {}\n\n" }
        return "event: \(view.name)\ndata: \(json.text)\n\n"
    }
}
