// What the ops server wants to know of Redis: INFO every five seconds, keys and candles when somebody asks. A thread of its own with a
// plain connection: the page may wait for a slow Redis, the ops thread never does. It only reads. Questions are bounded
// (`OpsLimits.lookUpsMax`); a reply has a second.

import FastFeed
import Glibc
import Synchronization

enum LookUp: Sendable {
    case candles(Symbol, Interval, limit: Int, endMs: Int64?)
    /// A page of the keys of a group.
    case keys(KeyGroup, cursor: UInt64)
    case key(String)
    /// The newest state of each symbol.
    case latest([Symbol], Interval)
}

/// What a key of the schema belongs to.
enum KeyGroup: String, CaseIterable, Sendable {
    case candles, gaps, changes, latest, cache, symbols, service

    /// What its keys begin with, behind the prefix, up to a colon or their end.
    private var words: Set<Substring> {
        switch self {
        case .service: ["fluxes", "status", "lease", "connects", "members", "claims"]
        case .symbols: ["symbols", "symbol"]
        default: [rawValue[...]]
        }
    }

    /// The MATCH of a SCAN: it may let more pass than the group has.
    var pattern: String {
        switch self {
        case .service: "*"
        case .symbols: "symbol*"
        default: rawValue + ":*"
        }
    }

    static func holds(_ key: String, prefix: String) -> KeyGroup? {
        guard key.hasPrefix(prefix) else { return nil }
        let word = key.dropFirst(prefix.count).prefix { $0 != ":" }
        return allCases.first { $0.words.contains(word) }
    }
}

final class RedisLook: Sendable {
    /// A question and the number of who waits for it.
    struct Question: Sendable {
        let number: UInt64
        let lookUp: LookUp
    }

    private static let infoNs: UInt64 = 5_000_000_000
    private static let timeout = Duration.seconds(1)
    static let (valuesMax, valueBytesMax) = (50, 64 << 10)

    private let endpoint: RedisEndpoint
    private let schema: KeySchema
    private let questions: Mailbox<Question>
    /// Never full: an answer for a question, and questions are bounded.
    let answers = Mailbox<(number: UInt64, answer: HTTPAnswer)>(capacity: 2 * OpsLimits.lookUpsMax)
    private let seen = Lock(RedisSight())
    private let wakeUp: WakeUp
    private let stopping = Atomic<Bool>(false)
    private let thread = Lock<PinnedThread?>(nil)

    init(_ endpoint: RedisEndpoint, _ schema: KeySchema) throws(SystemError) {
        (self.endpoint, self.schema) = (endpoint, schema)
        wakeUp = try WakeUp()
        questions = Mailbox(capacity: OpsLimits.lookUpsMax, receiver: wakeUp)
    }

    var sight: RedisSight { seen.withLock { $0 } }

    func start() throws(SystemError) {
        let started = try PinnedThread.start(name: "ops-redis") { [self] in
            ProcessMemory.keepNothing()
            run()
        }
        thread.withLock { $0 = started }
    }

    /// Nothing more is asked.
    func beginStop() {
        stopping.store(true, ordering: .releasing)
        wakeUp.signal()
    }

    func stop() {
        beginStop()
        thread.withLock { $0.take() }?.join()
    }

    /// Asks without a bound: whoever calls this keeps it.
    func ask(_ question: Question) { _ = questions.offer(question) }

    // MARK: Its thread

    private func run() {
        var client: RedisClient?
        var refused: Set<String> = []
        var infoDueNs: UInt64 = 0
        var retryNs: UInt64 = 0
        while !stopping.load(ordering: .acquiring) {
            let nowNs = MonotonicClock.nowNs()
            if client == nil && nowNs >= retryNs {
                do throws(FeedError) {
                    client = try RedisClient.connect(endpoint, timeout: RedisLook.timeout)
                    (infoDueNs, refused) = (0, [])
                } catch {
                    retryNs = nowNs + 2_000_000_000
                    seen.withLock { $0 = RedisSight(reason: "\(error)") }
                }
            }
            if client != nil && nowNs >= infoDueNs {
                infoDueNs = nowNs + RedisLook.infoNs
                if !look(client!, &refused) { client = nil }
            }
            for question in questions.takeAll() where !stopping.load(ordering: .acquiring) { answer(question, &client) }
            let dueNs = client == nil ? retryNs : infoDueNs
            wakeUp.park(untilNs: dueNs) { [self] in stopping.load(ordering: .acquiring) || questions.isWaiting }
        }
        client?.close()
    }

    private static let questions = [["INFO"], ["SLOWLOG", "GET", "10"], ["LATENCY", "LATEST"]]

    /// - Parameter refused: what this user may not ask; it is not asked again on this connection, since each time is noted there.
    /// - Returns: false when the connection is lost.
    private func look(_ client: RedisClient, _ refused: inout Set<String>) -> Bool {
        do throws(FeedError) {
            let asked = RedisLook.questions.filter { !refused.contains($0[0]) }
            let replies = try client.pipeline(asked)
            var sight = RedisSight(isConnected: true, seenMs: WallClock.nowMs())
            for (question, reply) in zip(asked, replies) {
                if case .error(let message) = reply {
                    if message.hasPrefix("NOPERM") { refused.insert(question[0]) }
                } else if question[0] == "INFO" {
                    sight.info = reply.text.map(RedisInfo.init)
                } else if question[0] == "SLOWLOG" {
                    sight.slowLog = reply.elements.map(RedisLook.slowEntry)
                    // Its entries are numbered from the server's start; a log that was reset keeps their number.
                    let newest = reply.elements.first?.elements.first?.integer.map { UInt64(clamping: $0) + 1 } ?? 0
                    sight.slowCount = max(newest, self.sight.slowCount ?? 0)
                } else {
                    sight.latencyEvents = reply.elements.map(RedisLook.latencyEvent)
                }
            }
            if sight.info == nil { sight.reason = "Redis does not let this user ask INFO (see deploy/redis-acl.conf)" }
            seen.withLock { $0 = sight }
            return true
        } catch {
            seen.withLock { $0 = RedisSight(reason: "\(error)") }
            return false
        }
    }

    private static func slowEntry(_ reply: RedisReply) -> JSONValue {
        let parts = reply.elements
        guard parts.count >= 4 else { return .null }
        let words = parts[3].strings.prefix(8).map { Ascii.printable($0.utf8, limit: 80) }
        return .members([
            ("id", .integer(parts[0].integer ?? 0)), ("at", .integer((parts[1].integer ?? 0) &* 1_000)),
            ("took_us", .integer(parts[2].integer ?? 0)), ("command", .string(words.joined(separator: " "))),
        ])
    }

    private static func latencyEvent(_ reply: RedisReply) -> JSONValue {
        let parts = reply.elements
        guard parts.count >= 4 else { return .null }
        return .members([
            ("event", .string(parts[0].text ?? "")), ("at", .integer((parts[1].integer ?? 0) &* 1_000)),
            ("latest_ms", .integer(parts[2].integer ?? 0)), ("worst_ms", .integer(parts[3].integer ?? 0)),
        ])
    }

    private func answer(_ question: Question, _ client: inout RedisClient?) {
        let result: HTTPAnswer
        if let connected = client {
            do throws(FeedError) {
                result = try find(question.lookUp, connected)
            } catch {
                connected.close()
                client = nil
                result = .refusal(503, "Redis: \(error)")
            }
        } else {
            result = .refusal(503, "Redis: \(sight.reason ?? "no connection")")
        }
        _ = answers.offer((question.number, result))
    }

    private func find(_ lookUp: LookUp, _ client: RedisClient) throws(FeedError) -> HTTPAnswer {
        switch lookUp {
        case .candles(let symbol, let interval, let limit, let endMs):
            try candles(Series(market: schema.market, symbol: symbol, interval: interval), limit, endMs, client)
        case .keys(let group, let cursor): try keys(group, cursor, client)
        case .key(let name): try key(name, client)
        case .latest(let symbols, let interval): try latest(symbols, interval, client)
        }
    }

    private func candles(_ series: Series, _ limit: Int, _ endMs: Int64?, _ client: RedisClient) throws(FeedError) -> HTTPAnswer {
        let query = DataQuery(series: series, limit: limit, startMs: nil, endMs: endMs)
        let desk = DataDesk(schema: schema)
        let replies = try client.pipeline(desk.storedQuestion(query))
        do throws(CommandError) {
            let rows = try desk.storedRows(query, replies)
            return HTTPAnswer(
                json: .members([
                    (Field.symbol, .string(series.symbol.name)), (Field.interval, .string(series.interval.token)),
                    (Field.rows, .array(rows)),
                ]))
        } catch {
            return .refusal(502, error.message)
        }
    }

    private func latest(_ symbols: [Symbol], _ interval: Interval, _ client: RedisClient) throws(FeedError) -> HTTPAnswer {
        let reply = try client.command(["HMGET", schema.latestKey(schema.market, interval)] + symbols.map(\.name))
        if case .error(let message) = reply { return .refusal(502, message) }
        // What is not there, or not ours, is left out.
        let states = zip(symbols, reply.elements).compactMap { symbol, state -> (String, JSONValue)? in
            guard let bytes = state.bytes, let row = try? JSONValue(parsing: bytes), CandleRow.openTimeMs(row) != nil else { return nil }
            return (symbol.name, row)
        }
        return HTTPAnswer(json: .members([(Field.interval, .string(interval.token)), ("latest", .members(states))]))
    }

    // MARK: Keys

    private func keys(_ group: KeyGroup, _ cursor: UInt64, _ client: RedisClient) throws(FeedError) -> HTTPAnswer {
        // Redis reads a pattern; what of the prefix would mean something there is quoted.
        let prefix = schema.prefix.flatMap { "*?[]\\".contains($0) ? "\\\($0)" : "\($0)" }
        let pattern = String(prefix) + group.pattern
        let reply = try client.command(["SCAN", String(cursor), "MATCH", pattern, "COUNT", "200"])
        if case .error(let message) = reply { return .refusal(502, message) }
        let parts = reply.elements
        guard parts.count == 2, let next = parts[0].text.flatMap({ UInt64($0) }) else {
            return .refusal(502, "SCAN answered something else")
        }
        let names = parts[1].strings.filter { KeyGroup.holds($0, prefix: schema.prefix) == group }.sorted()
        let facts = try client.pipeline(names.flatMap { [["TYPE", $0], ["PTTL", $0]] })
        let rows = names.enumerated().map { index, name in
            JSONValue.members([
                ("name", .string(name)), ("type", .string(facts[2 * index].text ?? "")),
                ("ttl_ms", .integer(facts[2 * index + 1].integer ?? -1)),
            ])
        }
        // As a text: a cursor may be larger than the numbers of a browser.
        return HTTPAnswer(
            json: .members([("group", .string(group.rawValue)), ("cursor", .string(String(next))), ("keys", .array(rows))]))
    }

    private func key(_ name: String, _ client: RedisClient) throws(FeedError) -> HTTPAnswer {
        guard let group = KeyGroup.holds(name, prefix: schema.prefix) else {
            return .refusal(404, "that is not a key of this service")
        }
        let facts = try client.pipeline([["TYPE", name], ["PTTL", name], ["MEMORY", "USAGE", name]])
        let type = facts[0].text ?? "none"
        let most = String(RedisLook.valuesMax)
        let questions: [[String]] =
            switch type {
            case "stream": [["XLEN", name], ["XREVRANGE", name, "+", "-", "COUNT", most]]
            case "hash": [["HLEN", name], ["HSCAN", name, "0", "COUNT", most]]
            case "string": [["STRLEN", name], ["GETRANGE", name, "0", String(RedisLook.valueBytesMax - 1)]]
            case "list": [["LLEN", name], ["LRANGE", name, "0", String(RedisLook.valuesMax - 1)]]
            case "set": [["SCARD", name], ["SSCAN", name, "0", "COUNT", most]]
            case "zset": [["ZCARD", name], ["ZREVRANGE", name, "0", String(RedisLook.valuesMax - 1), "WITHSCORES"]]
            default: []
            }
        let replies = try client.pipeline(questions)
        return HTTPAnswer(
            json: .members([
                ("name", .string(name)), ("group", .string(group.rawValue)), ("type", .string(type)),
                ("ttl_ms", .integer(facts[1].integer ?? -1)), ("bytes", facts[2].integer.map { .integer($0) } ?? .null),
                ("length", replies.first?.integer.map { .integer($0) } ?? .null), ("values", values(type, replies.last)),
            ]))
    }

    /// The first ones, and not more bytes than a page wants.
    private func values(_ type: String, _ reply: RedisReply?) -> JSONValue {
        guard let reply else { return .array([]) }
        if case .error(let message) = reply { return .array([.string(message)]) }
        var (left, rows) = (RedisLook.valueBytesMax, [JSONValue]())
        func text(_ reply: RedisReply) -> JSONValue {
            guard left > 0, let bytes = reply.bytes else { return .null }
            let shown = bytes.prefix(left)
            left -= shown.count
            return .string(String(decoding: shown, as: UTF8.self))
        }
        switch type {
        case "stream":
            for entry in reply.elements.prefix(RedisLook.valuesMax) where left > 0 && entry.elements.count == 2 {
                let fields = stride(from: 0, to: entry.elements[1].elements.count - 1, by: 2).map { index in
                    (entry.elements[1].elements[index].text ?? "", text(entry.elements[1].elements[index + 1]))
                }
                rows.append(.members([("id", text(entry.elements[0])), ("fields", .members(fields))]))
            }
        case "hash":
            let flat = reply.elements.last?.elements ?? []
            for index in stride(from: 0, to: min(flat.count - 1, 2 * RedisLook.valuesMax), by: 2) where left > 0 {
                rows.append(.members([("field", text(flat[index])), ("value", text(flat[index + 1]))]))
            }
        case "zset":
            for index in stride(from: 0, to: reply.elements.count - 1, by: 2) where left > 0 {
                rows.append(.members([("value", text(reply.elements[index])), ("score", text(reply.elements[index + 1]))]))
            }
        case "set": rows = (reply.elements.last?.elements ?? []).prefix(RedisLook.valuesMax).map(text)
        case "string": rows.append(text(reply))
        default: rows = reply.elements.prefix(RedisLook.valuesMax).map(text)
        }
        return .array(rows)
    }
}
