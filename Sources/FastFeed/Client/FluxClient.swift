// The client: commands to a running service and the updates it publishes, over Redis. Any task, any number of them; one thread
// of the client's own carries them out (ClientLoop).

import Synchronization

/// A client of the service.
///
///     let client = try await FluxClient.connect(.local)
///     let flux = try await client.createFlux(symbols: ["btcusdt", "ethusdt"], interval: .m1)
///     let data = try await client.data(symbol: "btcusdt", interval: .m1, limit: 10)
///     for await update in try await client.updates(symbol: "btcusdt", interval: .m1) {
///         print(update.candles.last?.close ?? "")
///     }
///
/// Each call has `timeout` to come to its end and throws a `FluxError`. Cancelling the task ends the call at once. When Redis was
/// away, the next call connects again. The client closes itself when nobody holds it or one of its `FluxUpdates` any more.
public final class FluxClient: Sendable {
    private let calls: ClientCalls
    private let keys: KeySchema
    private let timeoutMs: Int

    /// The time-out of calls where none is named.
    public static let timeoutDefault = Duration.seconds(5)

    /// Connects, and stays connected.
    /// - Parameters:
    ///   - redis: the service's Redis.
    ///   - keyPrefix: the service's `--key-prefix`.
    ///   - market: the service's `--market`: several services may share a Redis, each with its own commands and updates.
    ///   - timeout: of every call, 100 ms to an hour.
    /// - Throws: `.disconnected` with the reason, `.badArgument`, `.cancelled`.
    public static func connect(
        _ redis: RedisEndpoint = .local, keyPrefix: String = "", market: Market = .spot, timeout: Duration = timeoutDefault
    ) async throws(FluxError) -> FluxClient {
        try await connect(redis, keyPrefix: keyPrefix, market: market, timeout: timeout, silence: .seconds(15))
    }

    /// - Parameter silence: after which Redis is asked for a sign of life.
    package static func connect(
        _ redis: RedisEndpoint, keyPrefix: String = "", market: Market = .spot, timeout: Duration = timeoutDefault, silence: Duration
    ) async throws(FluxError) -> FluxClient {
        guard (.milliseconds(100) ... .seconds(3_600)).contains(timeout) else {
            throw .badArgument("the time-out must be 100 ms to an hour, not \(timeout)")
        }
        guard KeySchema.isPrefix(keyPrefix) else { throw .badArgument(KeySchema.prefixRule) }
        let client = try FluxClient(redis, KeySchema(prefix: keyPrefix, market: market), timeout, silence)
        _ = try await client.run(nil, channel: nil)
        return client
    }

    private init(_ redis: RedisEndpoint, _ keys: KeySchema, _ timeout: Duration, _ silence: Duration) throws(FluxError) {
        (self.keys, timeoutMs) = (keys, timeout.milliseconds)
        do {
            calls = ClientCalls(try WakeUp())
            let statusKey = keys.serviceStatusKey
            let thread = try PinnedThread.start(name: "flux-client") { [calls, timeoutMs] in
                var loop = ClientLoop(redis, statusKey: statusKey, calls, timeoutMs: timeoutMs, silenceNs: silence.nanoseconds)
                loop.run()
            }
            // It ends by itself when the client is closed.
            thread.detach()
        } catch {
            throw .disconnected("\(error)")
        }
    }

    deinit { calls.close() }

    /// Ends all calls (`.disconnected`), all updates, and the connections.
    public func close() { calls.close() }

    // MARK: Commands

    /// Creates a flux, or finds it there already.
    /// - Parameters:
    ///   - symbols: the exchange's names, `btcusdt`; in any order, upper or lower case.
    ///   - interval: of all its series.
    ///   - name: the flux's id, `[A-Za-z0-9_.-]{1,64}`; made from interval and symbols when nil.
    ///   - history: candles to have from the start, at most as many as the service keeps; nil or 0: as many as the service is told to
    ///     (`--backfill`).
    public func createFlux(
        symbols: [String], interval: Interval, name: String? = nil, history: Int? = nil
    ) async throws(FluxError) -> CreatedFlux {
        try await ask(.create(symbols: symbols, interval: interval, name: name, history: history)).value
    }

    /// Stops a flux; its candles stay in Redis.
    /// - Throws: `.refused` with the code `.unknownFlux` when there is no such flux.
    public func stopFlux(_ id: String) async throws(FluxError) { _ = try await ask(.stop(id)) }

    /// All fluxes of the service.
    public func listFluxes() async throws(FluxError) -> [FluxSummary] { try await ask(.list).value }

    /// How the service stands.
    public func status() async throws(FluxError) -> ServiceStatus { try await ask(.status).value }

    /// How one flux stands.
    /// - Throws: `.refused` with the code `.unknownFlux` when there is no such flux.
    public func status(of id: String) async throws(FluxError) -> FluxStatus { try await ask(.status(of: id)).value }

    /// Candles of one series, oldest first, the forming one last.
    /// - Parameters:
    ///   - symbol: in upper or lower case; no flux needs to have it.
    ///   - interval: of the series.
    ///   - limit: at most so many, 1 to 1500; the service's default is 100.
    ///   - start: open times from here on, Unix ms.
    ///   - end: open times up to here, Unix ms.
    public func data(
        symbol: String, interval: Interval, limit: Int? = nil, start: Int64? = nil, end: Int64? = nil
    ) async throws(FluxError) -> CandleData {
        try await ask(.data(symbol: symbol, interval: interval, limit: limit, start: start, end: end)).value
    }

    /// Holes in the closed candles that fluxes keep: what is missing, why, and how far it is with being filled. Without parameters, all.
    /// - Parameters:
    ///   - symbol: only of this symbol.
    ///   - interval: only at this interval.
    ///   - fluxID: only of this flux's series.
    /// - Throws: `.refused` with the code `.unknownFlux` when there is no such flux.
    public func gaps(symbol: String? = nil, interval: Interval? = nil, fluxID: String? = nil) async throws(FluxError) -> GapList {
        try await ask(.gaps(symbol: symbol, interval: interval, fluxID: fluxID)).value
    }

    /// Asks for the last candles of a series that a flux has, as far as Redis lacks them. They come one after the other: until they are
    /// there, `gaps` lists them with the cause `backfill`, from a moment after this call on.
    /// - Parameters:
    ///   - symbol: of the series.
    ///   - interval: of the series.
    ///   - count: so many candles before the present bar, 1 to the service's `history`.
    /// - Throws: `.refused` with the code `.unknownFlux` when no flux has the series, with `.internal` when the service does not ask the
    ///   exchange.
    public func backfill(symbol: String, interval: Interval, count: Int) async throws(FluxError) {
        _ = try await ask(.backfill(symbol: symbol, interval: interval, count: count))
    }

    /// Compares the last candles of a series that a flux has with the exchange's own history.
    /// - Parameters:
    ///   - symbol: of the series.
    ///   - interval: of the series.
    ///   - limit: so many candles, 1 to 1500; the service's default is 1000.
    ///   - repair: puts right what it finds: missing candles are brought, different ones corrected, foreign entries removed.
    /// - Throws: `.refused` with the code `.unknownFlux` when no flux has the series, with `.busy` when the exchange's limits allow no
    ///   question now, with `.internal` when the service does not ask the exchange or is not answered.
    public func audit(
        symbol: String, interval: Interval, limit: Int? = nil, repair: Bool = false
    ) async throws(FluxError) -> HistoryAudit {
        try await ask(.audit(symbol: symbol, interval: interval, limit: limit, repair: repair)).value
    }

    /// What the exchange lists, by falling 24 h volume in the quote asset, then by name. The service asks for the list hourly and for the
    /// figures every five minutes.
    /// - Parameters:
    ///   - search: only names that have this in them.
    ///   - quote: only this quote asset, `USDT`; without it volumes of different assets are side by side.
    ///   - status: the exchange's word, or `any`; the service's default is `TRADING`.
    ///   - limit: at most so many, 1 to 1500; the service's default is 100.
    /// - Throws: `.refused` with the code `.busy` when the exchange's list has not come yet, with `.internal` when the service does not
    ///   ask the exchange.
    public func symbols(
        search: String? = nil, quote: String? = nil, status: String? = nil, limit: Int? = nil
    ) async throws(FluxError) -> ListedSymbols {
        try await ask(.symbols(search: search, quote: quote, status: status, limit: limit)).value
    }

    /// Listens to a series. When this returns, Redis has confirmed: everything published from now on comes. It only listens:
    /// without a flux that has the series, nothing comes. Of a service that publishes sharded updates (`UpdateMode.sharded`) they come from
    /// the node of the symbol's slot.
    /// - Throws: `.noUpdates` when the service publishes none.
    public func updates(symbol: String, interval: Interval) async throws(FluxError) -> FluxUpdates {
        guard let symbol = Symbol(symbol) else { throw .badArgument(Symbol.refusal(symbol)) }
        let channel = keys.updatesChannel(Series(market: keys.market, symbol: symbol, interval: interval))
        let subscription = FluxSubscription(self, calls, channel)
        _ = try await run(nil, channel: channel)
        return FluxUpdates(subscription)
    }

    // MARK: Calls

    /// One command and its answer, as a value and as it came.
    package func ask<Answer>(_ request: ClientRequest<Answer>) async throws(FluxError) -> (value: Answer, content: JSONValue) {
        let id = FluxClient.makeRequestID()
        let channel = keys.responseChannel(request.kind, requestID: id)
        let bytes = try await run((keys.commandChannel(request.kind), request.text(id: id)), channel: channel)
        let refusal: FluxError
        do throws(Malformed) {
            switch try CommandAnswer(bytes, requestID: id) {
            case .ok(let content): return (try request.read(content), content)
            case .refused(let code, let message): refusal = .refused(code: code, message: message)
            }
        } catch {
            throw .badAnswer(error.what)
        }
        throw refusal
    }

    /// 128 bits that nobody can guess: whoever does not see the request cannot answer it.
    private static func makeRequestID() -> String {
        (0..<2).map { _ in Ascii.hex(SystemRandom.word()) }.joined()
    }

    private func run(_ command: (channel: String, text: String)?, channel: String?) async throws(FluxError) -> [UInt8] {
        try await calls.call(command, channel: channel, timeoutMs: timeoutMs).get()
    }
}

/// Listening to one channel, for as long as somebody holds this.
final class FluxSubscription: Sendable {
    let buffer = UpdateBuffer()
    /// The client lives while somebody listens.
    private let client: FluxClient
    private let calls: ClientCalls
    private let channel: String

    init(_ client: FluxClient, _ calls: ClientCalls, _ channel: String) {
        (self.client, self.calls, self.channel) = (client, calls, channel)
        calls.addStream(buffer, channel: channel)
    }

    deinit { end() }

    func end() {
        buffer.finish()
        calls.removeStream(buffer, channel: channel)
    }
}

/// The updates of one series as they come; ends when the task is cancelled or the client is closed.
///
/// It outlives losses of Redis: the client connects again and goes on listening. Redis delivers at most once: what was published
/// meanwhile is gone, and `interruptions` tells how often that may have happened; `data` has the candles. A consumer that
/// is too slow loses the oldest of 1024 waiting updates (or 8 MiB), counted in `missed`. Several iterators share the updates.
public struct FluxUpdates: AsyncSequence, Sendable {
    private let subscription: FluxSubscription

    init(_ subscription: FluxSubscription) { self.subscription = subscription }

    /// Updates that came and were dropped: too slow a consumer, or not a valid update.
    public var missed: UInt64 { subscription.buffer.missed }
    /// How often the connection was lost, or, of sharded updates, their slot has gone to another node.
    public var interruptions: UInt64 { subscription.buffer.interruptions }

    /// Another reader of the same updates: each update goes to one of them.
    public func makeAsyncIterator() -> Iterator { Iterator(subscription: subscription) }

    /// Takes updates, one by one.
    public struct Iterator: AsyncIteratorProtocol {
        let subscription: FluxSubscription

        /// The next update; nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async -> FluxUpdate? {
            while let bytes = await subscription.buffer.take() {
                do throws(Malformed) {
                    return try FluxUpdate(bytes)
                } catch {
                    subscription.buffer.countMissed()
                }
            }
            // The end is for good: a cancelled task leaves no subscription behind.
            if Task.isCancelled { subscription.end() }
            return nil
        }

        /// The next update; nil at the end.
        public mutating func next() async -> FluxUpdate? { await next(isolation: nil) }
    }
}
