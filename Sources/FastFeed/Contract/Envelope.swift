// The envelope of an answer, written by the service and read by whoever asked. Pure, any thread.

/// What a command comes to: the members of its answer in order, or a refusal.
package typealias CommandResult = Result<[(String, JSONValue)], CommandError>

extension CommandResult {
    /// The answer as it is published.
    package func text(requestID: String) -> String {
        let head = (Field.requestID, JSONValue.string(requestID))
        switch self {
        case .success(let members): return JSONValue.members([head, (Field.status, .string("ok"))] + members).text
        case .failure(let error):
            let why = JSONValue.members([(Field.code, .string(error.code.rawValue)), (Field.message, .string(error.message))])
            return JSONValue.members([head, (Field.status, .string("error")), (Field.error, why)]).text
        }
    }
}

/// An answer whose envelope is in order.
package enum CommandAnswer: Sendable, Equatable {
    /// All members but `request_id` and `status`, in the service's order.
    case ok(JSONValue)
    case refused(CommandCode?, message: String)

    /// The service answers with at most 1500 candles or a few thousand fluxes: well below.
    package static let bytesMax = 1 << 20

    /// - Throws: when it is not an answer to this request.
    package init(_ bytes: [UInt8], requestID: String) throws(Malformed) {
        let answer = try JSONValue(message: bytes)
        guard let members = answer.members else { throw Malformed("not a JSON object") }
        guard answer[Field.requestID]?.string == requestID else { throw Malformed("it carries another \(Field.requestID)") }
        switch answer[Field.status]?.string {
        case "ok": self = .ok(.object(members.filter { $0.key != Field.requestID && $0.key != Field.status }))
        case "error":
            guard let error = answer[Field.error], let code = error[Field.code]?.string, let message = error[Field.message]?.string else {
                throw Malformed("an error without code and message")
            }
            self = .refused(CommandCode(rawValue: code), message: message)
        default: throw Malformed("its status is neither ok nor error")
        }
    }
}
