// Requests as no client of good will sends them, and how each must end: answered with a refusal, or only counted.

/// Nine good requests, then a hostile one, over and over; and what must come of them.
struct HostileMix {
    typealias Request = (kind: String, text: String)

    /// Given the request's id.
    private typealias Hostile = (kind: String, text: @Sendable (String) -> String, isAnswered: Bool)

    private let prefix: String
    /// Kinds and fields of the good ones, in turns.
    private let good: [(kind: String, fields: String)]
    private var number = 0
    /// How many there have been.
    var count: UInt64 { UInt64(number) }
    private var goodNumber = 0
    private var hostileNumber = 0
    /// The channels of all answers that must come, and of those among them that must be refusals.
    private(set) var answers: Set<String> = []
    private(set) var refusals: Set<String> = []
    /// Requests that nobody can be told about.
    private(set) var unanswered: UInt64 = 0

    /// - Parameter prefix: of the requests' ids.
    init(_ prefix: String, good: [(kind: String, fields: String)]) {
        self.prefix = prefix
        self.good = good
    }

    mutating func next() -> Request {
        number += 1
        let id = "\(prefix)-\(number)"
        guard number % 10 == 0 else {
            let (kind, fields) = good[goodNumber % good.count]
            goodNumber += 1
            answers.insert("responses:\(kind):\(id)")
            return (kind, "{\"request_id\":\"\(id)\"\(fields.isEmpty ? "" : ",")\(fields)}")
        }
        let (kind, text, isAnswered) = HostileMix.hostile[hostileNumber % HostileMix.hostile.count]
        hostileNumber += 1
        if isAnswered {
            answers.insert("responses:\(kind):\(id)")
            refusals.insert("responses:\(kind):\(id)")
        } else {
            unanswered += 1
        }
        return (kind, text(id))
    }

    private static func create(symbol: String) -> @Sendable (String) -> String {
        { "{\"request_id\":\"\($0)\",\"symbols\":[\"\(symbol)\"],\"interval\":\"1m\"}" }
    }

    private static let long = String(repeating: "x", count: 1_000_000)

    private static let hostile: [Hostile] = [
        ("flux:create", { _ in "{\"broken" }, false),
        ("flux:list", { _ in long }, false),
        ("flux:create", create(symbol: "a:b"), true),
        ("flux:create", create(symbol: "*"), true),
        ("flux:create", create(symbol: #"x\r\nSET y 1"#), true),
        ("flux:create", create(symbol: String(repeating: "s", count: 4_096)), true),
        ("flux:create", create(symbol: "🙂"), true),
        ("flux:create", { "{\"request_id\":\"\($0)\",\"symbols\":{\"a\":1},\"interval\":[]}" }, true),
        ("flux:create", { "{\"request_id\":\"\($0)\",\"symbols\":[\"btcusdt\"],\"interval\":\"1m\",\"name\":\"a\\nb\"}" }, true),
        ("flux:stop", { "{\"request_id\":\"\($0)\",\"flux_id\":\"nobody\"}" }, true),
        ("status:get", { "{\"request_id\":\"\($0)\",\"flux_id\":\"nobody\"}" }, true),
        ("status:get", { _ in "{\"request_id\":\"a\\u0000b\"}" }, false),
        ("status:get", { "{\"request_id\":\"\($0)\u{1}\"}" }, false),
        ("data:get", { _ in "[]" }, false),
        ("data:get", { "{\"request_id\":\"\($0)\",\"symbol\":\"btcusdt\",\"interval\":\"1s\",\"limit\":1e9}" }, true),
    ]
}
