// From `feedd stream …` and `feedd group …` to Redis: no service is needed. The main thread waits, a task talks.

import FastFeed
import FoundationEssentials

/// A conversation with Redis, from connecting to the exit code.
struct StreamSession: Sendable {
    let plan: ClientPlan
    let streams: RedisStreams
    let printsJSON: Bool

    /// Runs `talk` with a connected client.
    /// - Parameter endsOnSignal: Ctrl-C is how it is meant to end.
    /// - Throws: `Failure`. With --json what went wrong is also printed as a JSON document.
    static func run(
        _ options: ClientOptions, endsOnSignal: Bool = false, _ talk: @escaping @Sendable (StreamSession) async throws -> Void
    ) throws {
        let printsJSON = options.json
        let plan = try ClientPlan(flags: options.values, environment: ProcessInfo.processInfo.environment)
        do {
            try ClientSession.waitFor {
                let streams = try await RedisStreams.connect(plan.redis, keyPrefix: plan.keyPrefix, timeout: plan.timeout)
                defer { streams.close() }
                try await talk(StreamSession(plan: plan, streams: streams, printsJSON: printsJSON))
            }
        } catch StreamError.cancelled where endsOnSignal {
            return
        } catch {
            guard let refusal = error as? StreamRefusal ?? (error as? StreamError).map({ StreamRefusal($0, plan) }) else { throw error }
            if printsJSON {
                let document = JSONValue.members([(Field.status, .string("error")), refusal.member])
                // Whatever becomes of it, the failure is told on standard error.
                _ = try? Terminal.print(document.text + "\n")
            }
            throw refusal.failure
        }
    }

    /// The stream of a name on the command line.
    func stream(_ name: StreamName) -> RedisStream { streams[name.key(plan)] }

    func group(_ name: StreamName, _ group: String) -> StreamGroup { stream(name).group(group) }

    /// One answer: JSON members, or lines.
    func show(_ members: @autoclosure () -> [(String, JSONValue)], lines: @autoclosure () -> [String]) throws {
        let lines = printsJSON ? [JSONValue.members(members()).text] : lines()
        try Terminal.print(lines.map { $0 + "\n" }.joined())
    }

    /// Histories belong to the service: what takes entries from them wants to be told that it is meant.
    func refuseCandles(_ stream: RedisStream, force: Bool) throws {
        guard !force, stream.key.hasPrefix(plan.keyPrefix + "candles:") else { return }
        throw Failure.usage("\(stream.key) is a history that the service keeps: --force does it all the same")
    }
}

/// Why a command came to nothing: a code for programs, a sentence and a status.
struct StreamRefusal: Error {
    let code: String
    let failure: Failure

    init(_ code: String, _ sentence: String) { (self.code, failure) = (code, Failure(Failure.refused, sentence)) }

    /// - Parameter plan: where it was tried.
    init(_ error: StreamError, _ plan: ClientPlan) {
        func located(_ reason: String) -> String { reason.contains("\(plan.redis)") ? reason : "\(plan.redis): \(reason)" }
        let (code, status, sentence): (String, Int32, String) =
            switch error {
            case .badArgument: ("bad_argument", Failure.usage, "\(error)")
            case .noSuchStream: ("no_stream", Failure.refused, "\(error)")
            case .noSuchGroup: ("no_group", Failure.refused, "\(error)")
            case .notAStream: ("not_a_stream", Failure.refused, "\(error)")
            case .idNotNewer: ("id_not_newer", Failure.refused, "\(error)")
            case .badEntry: ("bad_entry", Failure.refused, "\(error)")
            case .refused: ("refused", Failure.refused, "\(error)")
            case .unavailable: ("unavailable", Failure.unreachable, located("\(error)"))
            case .timeout, .disconnected: ("unreachable", Failure.unreachable, located("\(error)"))
            case .partly(_, let first): (StreamRefusal(first, plan).code, StreamRefusal(first, plan).failure.status, "\(error)")
            case .cancelled: ("cancelled", Failure.refused, "\(error)")
            case .closed: ("closed", Failure.refused, "\(error)")
            }
        (self.code, failure) = (code, Failure(status, sentence))
    }

    /// A group that stays as it is.
    static func pending(_ count: Int, _ group: StreamGroup, _ way: String) -> StreamRefusal {
        StreamRefusal("refused", "'\(group.name)' on '\(group.stream.key)' has \(EntryPrinter.entries(count)) pending: \(way)")
    }

    /// `"error":{"code":…,"message":…}`
    var member: (String, JSONValue) {
        (Field.error, .members([(Field.code, .string(code)), (Field.message, .string(failure.sentence))]))
    }
}

/// A stream as it is named on the command line: its key, or `@btcusdt:1m` for a series' candles.
struct StreamName: Sendable {
    static let help = "The stream's key; @btcusdt:1m, @um:btcusdt:1m: a series' candles."

    private enum Kind {
        case key(String)
        case candles(Market?, Symbol, Interval)
    }
    private let kind: Kind

    init(_ text: String) throws(Failure) {
        guard text.hasPrefix("@") else {
            guard !text.isEmpty else { throw .usage("a stream's key is not empty") }
            kind = .key(text)
            return
        }
        var parts = text.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
        let market = parts.count == 3 ? Market(rawValue: String(parts[0])) : nil
        if market != nil { parts.removeFirst() }
        guard parts.count == 2 else {
            throw .usage("'\(text)' does not name a series: as in @btcusdt:1m or @um:btcusdt:1m")
        }
        guard let symbol = Symbol(parts[0]) else { throw .usage(Symbol.refusal(parts[0])) }
        guard let interval = Interval(token: parts[1]) else {
            throw .usage("'\(parts[1])' is not an interval: one of \(ClientArguments.tokens.joined(separator: " "))")
        }
        kind = .candles(market, symbol, interval)
    }

    /// - Parameter plan: its prefix stands in front of a series' key, and its market counts where none is named.
    func key(_ plan: ClientPlan) -> String {
        switch kind {
        case .key(let key): return key
        case .candles(let market, let symbol, let interval):
            let series = Series(market: market ?? plan.market, symbol: symbol, interval: interval)
            return KeySchema(prefix: plan.keyPrefix, market: series.market).historyKey(series)
        }
    }
}

/// What arguments come to, or one sentence about them.
enum StreamArguments {
    static func place(_ text: String) throws(Failure) -> StreamPlace {
        guard let place = StreamPlace(text, nowMs: WallClock.nowMs()) else {
            throw .usage("'\(text)' is not a place: \(StreamPlace.forms)")
        }
        return place
    }

    /// - Parameter fallback: where nothing is named.
    static func place(_ text: String?, else fallback: StreamPlace) throws(Failure) -> StreamPlace {
        guard let text else { return fallback }
        return try place(text)
    }

    /// Of a group or a consumer that may be made. Redis takes an empty one, too, which nobody means.
    static func name(_ text: String, _ what: String) throws(Failure) -> String {
        guard !text.isEmpty else { throw .usage("\(what)'s name is not empty") }
        return text
    }

    static func id(_ text: String) throws(Failure) -> StreamID {
        guard let id = StreamID(text) else { throw .usage("'\(text)' is not an id: as in 1702301234567-0") }
        return id
    }

    static func ids(_ texts: [String]) throws(Failure) -> [StreamID] {
        var ids: [StreamID] = []
        for text in texts { ids.append(try id(text)) }
        return ids
    }

    static func span(_ text: String, _ flag: String) throws(Failure) -> Duration {
        guard let ms = StreamSpan.milliseconds(text) else { throw .usage("\(flag) '\(text)' is not \(StreamSpan.forms)") }
        return .milliseconds(ms)
    }

    static func count(_ number: Int?, _ flag: String = "--count") throws(Failure) -> Int? {
        guard let number, number < 1 else { return number }
        throw .usage("\(flag) must be at least 1, not \(number)")
    }

    /// The first entry that stays.
    static func keptFrom(_ text: String, _ flag: String) throws(Failure) -> StreamID {
        let place = try place(text)
        guard place != .end else { throw .usage("\(flag) end would keep nothing: name an id, a time or an age") }
        return place.from
    }

    static func keep(newest: Int?, from: String?, isExact: Bool, _ fromFlag: String) throws(Failure) -> StreamKeep? {
        guard newest == nil || from == nil else { throw .usage("--keep and \(fromFlag) exclude one another") }
        if let newest {
            guard newest >= 0 else { throw .usage("--keep must be at least 0, not \(newest)") }
            return isExact ? .exactlyNewest(newest) : .newest(newest)
        }
        guard let from else { return nil }
        let id = try keptFrom(from, fromFlag)
        return isExact ? .exactlyFrom(id) : .from(id)
    }
}
