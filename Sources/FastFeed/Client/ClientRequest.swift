// The command protocol as the client sees it: requests to text, answers from bytes. Pure, any thread. An answer has
// at most `answerBytesMax` bytes, checked before it is parsed.

/// One command.
package struct ClientRequest: Sendable {
    /// `flux:create`: what stands behind `commands:` and `responses:`.
    package let name: String
    let members: [(String, JSONValue)]

    private init(_ name: String, _ members: [(String, JSONValue?)] = []) {
        self.name = name
        self.members = members.compactMap { key, value in value.map { (key, $0) } }
    }

    /// The service answers with at most 1500 candles or a few thousand fluxes: well below.
    package static let answerBytesMax = 1 << 20

    package static func create(symbols: [String], interval: Interval, name: String?, history: Int?) -> ClientRequest {
        ClientRequest(
            "flux:create",
            [
                ("symbols", .array(symbols.map { .string($0) })), ("interval", .string(interval.token)),
                ("name", name.map { .string($0) }), ("history", history.map { .integer(Int64($0)) }),
            ])
    }

    package static func stop(_ fluxID: String) -> ClientRequest { ClientRequest("flux:stop", [("flux_id", .string(fluxID))]) }

    package static var list: ClientRequest { ClientRequest("flux:list") }

    package static func status(_ fluxID: String?) -> ClientRequest {
        ClientRequest("status:get", [("flux_id", fluxID.map { .string($0) })])
    }

    package static func data(symbol: String, interval: Interval, limit: Int?, start: Int64?, end: Int64?) -> ClientRequest {
        ClientRequest(
            "data:get",
            [
                ("symbol", .string(symbol)), ("interval", .string(interval.token)), ("limit", limit.map { .integer(Int64($0)) }),
                ("start", start.map { .integer($0) }), ("end", end.map { .integer($0) }),
            ])
    }

    /// The JSON object to publish.
    func text(id: String) -> String { JSONValue.members([("request_id", .string(id))] + members).text }

    /// 128 bits that nobody can guess: whoever does not see the request cannot answer it.
    static func makeID() -> String {
        func hex(_ word: UInt64) -> String {
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hex(SystemRandom.word()) + hex(SystemRandom.word())
    }
}

/// An answer whose envelope is in order: the `ok` answer to the request that was asked.
package struct ClientAnswer: Sendable {
    /// All members but `request_id` and `status`, in the service's order.
    package let content: JSONValue

    /// - Throws: `.refused` for the service's no, `.badAnswer` for anything that is no answer to this request.
    init(_ bytes: [UInt8], id: String) throws(FluxError) {
        guard bytes.count <= ClientRequest.answerBytesMax else {
            throw .badAnswer("\(bytes.count) bytes, of at most \(ClientRequest.answerBytesMax)")
        }
        let answer = try ClientAnswer.parse(bytes)
        guard let members = answer.members else { throw .badAnswer("no JSON object") }
        guard answer["request_id"]?.string == id else { throw .badAnswer("it carries another request_id") }
        switch answer["status"]?.string {
        case "ok": content = .object(members.filter { $0.key != "request_id" && $0.key != "status" })
        case "error":
            guard let error = answer["error"], let code = error["code"]?.string, let message = error["message"]?.string else {
                throw .badAnswer("an error without code and message")
            }
            throw .refused(code: code, message: message)
        default: throw .badAnswer("its status is neither ok nor error")
        }
    }

    static func parse(_ bytes: [UInt8]) throws(FluxError) -> JSONValue {
        do throws(JSONValue.SyntaxError) {
            return try JSONValue(parsing: bytes)
        } catch {
            throw .badAnswer("not JSON from line \(error.line), column \(error.column) on")
        }
    }
}

extension JSONValue {
    /// Members that must be there, or the answer is none.
    func text(_ key: String) throws(FluxError) -> String {
        guard let text = self[key]?.string else { throw .badAnswer("\(key) is no text") }
        return text
    }

    func number(_ key: String) throws(FluxError) -> Int64 {
        guard let number = self[key]?.integer else { throw .badAnswer("\(key) is no whole number") }
        return number
    }

    func list(_ key: String) throws(FluxError) -> [JSONValue] {
        guard let list = self[key]?.array else { throw .badAnswer("\(key) is no list") }
        return list
    }

    /// An instant that may not have come yet: absent, null and 0 mean never.
    func instant(_ key: String) throws(FluxError) -> Int64? {
        guard let value = self[key], value != .null else { return nil }
        guard let number = value.integer else { throw .badAnswer("\(key) is no whole number") }
        return number == 0 ? nil : number
    }
}
