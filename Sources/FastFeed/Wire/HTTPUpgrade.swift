// The opening handshake of RFC 6455, section 4.1: our request, and every check of the answer. Pure: bytes in,
// verdict out.

import CShims

/// The request and the key it was made with.
package struct UpgradeRequest: Sendable {
    package let bytes: [UInt8]
    let expectedAccept: String

    /// - Parameter keyBytes: 16 unpredictable bytes; nil: the kernel's.
    package init(endpoint: WebSocketEndpoint, keyBytes: [UInt8]? = nil, headers: [(String, String)] = []) {
        let words = (SystemRandom.word(), SystemRandom.word())
        let key = UpgradeRequest.base64(unsafe keyBytes ?? withUnsafeBytes(of: words) { unsafe Array($0) })
        expectedAccept = UpgradeRequest.accept(for: key)
        var text = "GET \(endpoint.target) HTTP/1.1\r\nHost: \(endpoint.hostHeader)\r\n"
        text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        bytes = Array((text + "\r\n").utf8)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: 4 * ((bytes.count + 2) / 3) + 1)
        unsafe ff_base64(bytes, bytes.count, &text)
        return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The value of Sec-WebSocket-Accept for a key; the simulator's server side uses it, too.
    package static func accept(for key: String) -> String {
        var text = [CChar](repeating: 0, count: 29)
        unsafe ff_websocket_accept(key, key.utf8.count, &text)
        return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Why an upgrade was refused.
package struct UpgradeRefusal: Error, Equatable, CustomStringConvertible {
    package let reason: String
    /// The HTTP status, where there was a whole answer with one.
    package var status: Int?
    /// Seconds of `Retry-After`, where the answer had one.
    package var retryAfterSeconds: Int?

    package var description: String { reason }
}

/// Collects the answer and judges it.
package struct UpgradeReply: ~Copyable {
    package enum Verdict: Equatable {
        case needMore
        /// Upgraded; what follows the answer's head is WebSocket frames.
        case accepted(rest: [UInt8])
        case refused(UpgradeRefusal)
    }

    private var decoder = ResponseHeadDecoder(versions: ["HTTP/1.1"])
    /// Once the head has refused: what its body says is still to come.
    private var refused: RefusedUpgrade?
    private let expectedAccept: String

    package init(to request: UpgradeRequest) { expectedAccept = request.expectedAccept }

    package mutating func feed(_ chunk: some Collection<UInt8>) -> Verdict {
        if refused != nil { return takeBody(chunk) }
        switch decoder.feed(chunk) {
        case .needMore: return .needMore
        case .otherProtocol: return refuse("the answer is not HTTP/1.1")
        case .malformed(let reason): return refuse(reason)
        case .complete(let head, let rest): return judge(head, rest)
        }
    }

    /// A head that has refused, with as much of its body as has come: what is known when nothing more is read. Nil without one.
    package func end() -> UpgradeRefusal? { refused?.refusal }

    private mutating func takeBody(_ chunk: some Collection<UInt8>) -> Verdict {
        refused!.take(chunk)
        return refused!.isComplete ? .refused(refused!.refusal) : .needMore
    }

    private func refuse(_ reason: String, status: Int? = nil) -> Verdict { .refused(UpgradeRefusal(reason: reason, status: status)) }

    private mutating func judge(_ head: ResponseHead, _ rest: [UInt8]) -> Verdict {
        guard head.status == 101 else {
            refused = RefusedUpgrade(status: head.status, headers: head.headers)
            return takeBody(rest)
        }
        let connection = head.values("connection").flatMap { $0.split(separator: ",") }.map { Ascii.trimmed($0).lowercased() }
        for (isFault, reason) in [
            (head.values("upgrade").map { $0.lowercased() } != ["websocket"], "the Upgrade header is not 'websocket'"),
            (!connection.contains("upgrade"), "the Connection header does not say 'Upgrade'"),
            (head.values("sec-websocket-accept") != [expectedAccept], "Sec-WebSocket-Accept is missing or does not answer our key"),
            (!head.values("sec-websocket-extensions").allSatisfy(\.isEmpty), "the server uses an extension that was not offered"),
            (!head.values("sec-websocket-protocol").isEmpty, "the server chose a subprotocol that was not offered"),
        ] where isFault { return refuse(reason, status: head.status) }
        return .accepted(rest: rest)
    }
}
