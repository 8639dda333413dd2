// What can be made to go wrong, and how a fault is written in flags, queries and code. Plain values.

/// A kind of misbehaviour.
package enum FaultKind: String, Sendable, CaseIterable {
    // A connection, once.
    /// TCP reset.
    case reset
    /// The TCP connection ends without a close frame (1006 on the client's side).
    case drop
    /// Close frame with code `value`.
    case close
    /// Half of the next frame, then the connection drops.
    case cutFrame
    /// Nothing more is sent, nothing read, and the connection stays open: no FIN.
    case halfOpen
    /// Nothing is sent for `value` milliseconds, then everything at once.
    case stall
    /// The shutdown event of the exchange, on every connection.
    case serverShutdown
    /// Every connection at once; `value` a close code, 0 for a drop.
    case massDisconnect

    // Events.
    /// No events of a stream (or of all), while pings go on.
    case mute
    /// Neither events nor pings.
    case muteAll
    /// A stream, from its next event on, on the connection that carries it, as often as it is subscribed there. On another connection it
    /// speaks.
    case muteOnConnection
    /// A stream's subscription, from its next event on. Subscribed anew, there or elsewhere, the stream speaks.
    case muteSubscription
    case lose
    case duplicate
    case corruptJSON
    case truncateJSON
    case unknownEvent
    case unknownFields
    case extraZeros
    case longDecimals
    case nonASCIISymbol
    /// A bar's closed event never comes.
    case missingClose
    /// A bar's closed event comes `value` milliseconds late, while the next bar goes on; 0: right after the next event of its stream.
    case lateClose
    /// A bar's closed event has other volumes than REST; `value` milliseconds late.
    case alteredClose
    /// An event, and those of its stream behind it, come `value` milliseconds late: others overtake them.
    case hold

    // Frames and bytes.
    /// Messages are sent as several frames.
    case fragment
    /// Writes end at random positions, also inside frames.
    case splitWrites

    // Control messages.
    /// Replies come `value` milliseconds late.
    case delayAck
    case loseAck

    // Handshake: answered with status `value` (400, 403, 404, 418, 429, 451, 502, 503, 504).
    case refuseHandshake
    case stallHandshake
    /// TCP is accepted and the client's first TLS message never answered.
    case stallTLS
    /// While it lasts (`duration`; 0: until faults are cleared) nobody listens: TCP refuses.
    case refuseConnect

    // REST.
    /// Status `value`: 403 as a page, 5xx empty or as a page, 418 and 429 with `retry` as Retry-After. A 418 bans for that long.
    case restStatus
    /// The answer comes `value` milliseconds late.
    case restSlow
    case restTruncate
    case restWrongLength
    case restReset

    /// Where in the simulator a fault acts.
    enum Scope { case connection, event, bytes, reply, handshake, tls, listener, rest }

    var scope: Scope {
        switch self {
        case .reset, .drop, .close, .cutFrame, .halfOpen, .stall, .serverShutdown, .massDisconnect: .connection
        case .mute, .muteAll, .muteOnConnection, .muteSubscription, .lose, .duplicate, .corruptJSON, .truncateJSON, .unknownEvent,
            .unknownFields, .extraZeros, .longDecimals, .nonASCIISymbol, .missingClose, .lateClose, .alteredClose, .hold:
            .event
        case .fragment, .splitWrites: .bytes
        case .delayAck, .loseAck: .reply
        case .refuseHandshake, .stallHandshake: .handshake
        case .stallTLS: .tls
        case .refuseConnect: .listener
        case .restStatus, .restSlow, .restTruncate, .restWrongLength, .restReset: .rest
        }
    }

    /// Kinds that last until their time is over rather than strike a number of times.
    var isState: Bool {
        switch self {
        case .mute, .muteAll, .fragment, .splitWrites, .refuseConnect: true
        default: false
        }
    }

    /// Kinds that only a bar's closed event can suffer.
    var strikesOnlyCloses: Bool { [.missingClose, .lateClose, .alteredClose].contains(self) }

    /// Kinds that stay with the stream and the connection they have struck.
    var staysWhereItStruck: Bool { [.muteOnConnection, .muteSubscription].contains(self) }

    var defaultValue: Int {
        switch self {
        case .close: 1001
        case .refuseHandshake: 503
        case .restStatus: 503
        case .delayAck, .restSlow: 2_000
        case .hold: 200
        case .stall: 1_000
        default: 0
        }
    }
}

/// A text that does not describe a fault.
package struct FaultSyntaxError: Error, CustomStringConvertible, Equatable {
    package let text: String
    package let reason: String
    package var description: String { "fault '\(text)': \(reason)" }
}

/// One fault: what, where, when, how often.
package struct Fault: Sendable, Equatable {
    package var kind: FaultKind
    /// Only events of this stream; nil: any.
    package var stream: String?
    /// Only the connection with this number (they count from 1); nil: any, and a connection fault takes
    /// the oldest unless `count` is larger.
    package var connection: Int?
    /// How likely it strikes at each occasion.
    package var probability: Double
    /// Strikes this often, 0: without end. States (mute, fragment, …) ignore it.
    package var count: Int
    /// Wall-clock milliseconds from injection to the first possible strike.
    package var afterMs: Int64
    /// How long it may strike, 0: without end.
    package var durationMs: Int64
    /// Close code, HTTP status or delay in milliseconds, by kind.
    package var value: Int
    /// Retry-After of an answer 418 or 429.
    package var retrySeconds: Int

    package init(
        _ kind: FaultKind, stream: String? = nil, connection: Int? = nil, probability: Double = 1, count: Int = 1,
        afterMs: Int64 = 0, durationMs: Int64 = 0, value: Int? = nil, retrySeconds: Int = 35
    ) {
        self.kind = kind
        self.stream = stream
        self.connection = connection
        self.probability = probability
        self.count = count
        self.afterMs = afterMs
        self.durationMs = durationMs
        self.value = value ?? kind.defaultValue
        self.retrySeconds = retrySeconds
    }

    /// Several, as in `--fault`: one behind the other, with semicolons.
    package static func plan(text: String) throws(FaultSyntaxError) -> [Fault] {
        var faults: [Fault] = []
        for part in text.split(separator: ";", omittingEmptySubsequences: false) { faults.append(try Fault(text: String(part))) }
        return faults
    }

    /// `kind` alone or `kind,stream=btcusdt@kline_1m,after=5000,count=3,…` as in `--fault`.
    package init(text: String) throws(FaultSyntaxError) {
        var pairs: [(String, String)] = []
        for (index, part) in text.split(separator: ",").enumerated() {
            guard let equals = part.firstIndex(of: "=") else {
                guard index == 0 else { throw FaultSyntaxError(text: text, reason: "'\(part)' is not key=value") }
                pairs.append(("kind", String(part)))
                continue
            }
            pairs.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
        }
        try self.init(pairs: pairs, text: text)
    }

    /// From the parameters of a query.
    init(pairs: [(String, String)], text: String) throws(FaultSyntaxError) {
        guard let name = pairs.first(where: { $0.0 == "kind" })?.1, let kind = FaultKind(rawValue: name) else {
            let names = FaultKind.allCases.map(\.rawValue).joined(separator: " ")
            throw FaultSyntaxError(text: text, reason: "kind must be one of: \(names)")
        }
        self.init(kind)
        for (key, value) in pairs where key != "kind" {
            let isKnown: Bool
            switch key {
            case "stream":
                stream = value
                isKnown = true
            case "connection": isKnown = Fault.set(&connection, Int(value))
            case "probability": isKnown = Fault.set(&probability, Double(value).flatMap { $0 >= 0 && $0 <= 1 ? $0 : nil })
            case "count": isKnown = Fault.set(&count, Int(value).flatMap { $0 >= 0 ? $0 : nil })
            case "after": isKnown = Fault.set(&afterMs, Int64(value).flatMap { $0 >= 0 ? $0 : nil })
            case "duration": isKnown = Fault.set(&durationMs, Int64(value).flatMap { $0 >= 0 ? $0 : nil })
            case "value", "code", "status", "ms": isKnown = Fault.set(&self.value, Int(value).flatMap { $0 >= 0 ? $0 : nil })
            case "retry": isKnown = Fault.set(&retrySeconds, Int(value).flatMap { (0...Fault.retrySecondsMax).contains($0) ? $0 : nil })
            default: throw FaultSyntaxError(text: text, reason: "unknown key '\(key)'")
            }
            if !isKnown { throw FaultSyntaxError(text: text, reason: "'\(value)' is not a value for '\(key)'") }
        }
    }

    /// The longest ban of the exchange: three days.
    private static let retrySecondsMax = 259_200

    /// Times beyond a century would overflow sums of milliseconds.
    static func bounded(_ milliseconds: Int64) -> Int64 { min(max(milliseconds, 0), 3_155_760_000_000) }

    /// `value` as a delay.
    var delayMs: Int64 { Fault.bounded(Int64(value)) }

    private static func set<T>(_ field: inout T, _ value: T?) -> Bool {
        guard let value else { return false }
        field = value
        return true
    }

    private static func set<T>(_ field: inout T?, _ value: T?) -> Bool {
        guard let value else { return false }
        field = value
        return true
    }
}
