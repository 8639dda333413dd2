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

    private var bytes: [UInt8] = []
    /// Once the head has refused: what its body says is still to come.
    private var refused: RefusedUpgrade?
    private let expectedAccept: String
    private static let opening = Array("HTTP/1.1 ".utf8)

    package init(to request: UpgradeRequest) { expectedAccept = request.expectedAccept }

    package mutating func feed(_ chunk: UnsafeRawBufferPointer) -> Verdict {
        if refused != nil { return unsafe takeBody(chunk) }
        let searchFrom = max(0, bytes.count - 3)
        unsafe bytes.append(contentsOf: chunk)
        // Something else altogether (HTTP/2, another protocol's greeting) may never send the end of a head.
        guard bytes.prefix(UpgradeReply.opening.count).elementsEqual(UpgradeReply.opening.prefix(bytes.count)) else {
            return refuse("the answer is not HTTP/1.1")
        }
        let end = bytes[searchFrom...].firstRange(of: Array("\r\n\r\n".utf8))?.lowerBound
        // An end inside the limit may still have three of its four bytes to come.
        guard end ?? (bytes.count - 3) <= Limits.handshakeBytesMax else {
            return refuse("the answer's head is longer than \(Limits.handshakeBytesMax) bytes")
        }
        guard let end else { return .needMore }
        return judge(head: bytes[..<end], rest: Array(bytes[(end + 4)...]))
    }

    /// A head that has refused, with as much of its body as has come: what is known when nothing more is read. Nil without one.
    package func end() -> UpgradeRefusal? { refused?.refusal }

    private mutating func takeBody(_ chunk: UnsafeRawBufferPointer) -> Verdict {
        unsafe refused!.take(chunk)
        return refused!.isComplete ? .refused(refused!.refusal) : .needMore
    }

    private func refuse(_ reason: String, status: Int? = nil) -> Verdict { .refused(UpgradeRefusal(reason: reason, status: status)) }

    private mutating func judge(head: ArraySlice<UInt8>, rest: [UInt8]) -> Verdict {
        // Compared as text below, so nothing may look like a letter that it is not.
        guard head.allSatisfy({ $0 < 0x80 }) else { return refuse("a byte in the answer's head that is not ASCII") }
        let text = String(decoding: head, as: UTF8.self)
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)[...]
        guard lines.allSatisfy({ $0.utf8.count <= Limits.handshakeLineBytesMax }) else {
            return refuse("a header line is longer than \(Limits.handshakeLineBytesMax) bytes")
        }
        guard lines.count <= Limits.handshakeHeaderCountMax + 1 else {
            return refuse("more than \(Limits.handshakeHeaderCountMax) headers")
        }
        guard let status = UpgradeReply.status(of: lines.removeFirst()) else { return refuse("the answer is not HTTP/1.1") }
        var headers: [(name: String, value: String)] = []
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex,
                !line[..<colon].contains(where: { $0 == " " || $0 == "\t" }),
                !line.utf8.contains(where: UpgradeReply.isControl)
            else { return refuse("a malformed header line") }
            headers.append((line[..<colon].lowercased(), UpgradeReply.trim(line[line.index(after: colon)...])))
        }
        func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
        guard status == 101 else {
            refused = RefusedUpgrade(status: status, headers: headers)
            return unsafe rest.withUnsafeBytes { unsafe takeBody($0) }
        }
        let connection = values("connection").flatMap { $0.split(separator: ",") }.map { UpgradeReply.trim($0).lowercased() }
        for (isFault, reason) in [
            (values("upgrade").map { $0.lowercased() } != ["websocket"], "the Upgrade header is not 'websocket'"),
            (!connection.contains("upgrade"), "the Connection header does not say 'Upgrade'"),
            (values("sec-websocket-accept") != [expectedAccept], "Sec-WebSocket-Accept is missing or does not answer our key"),
            (!values("sec-websocket-extensions").allSatisfy(\.isEmpty), "the server uses an extension that was not offered"),
            (!values("sec-websocket-protocol").isEmpty, "the server chose a subprotocol that was not offered"),
        ] where isFault { return refuse(reason, status: status) }
        return .accepted(rest: rest)
    }

    private static func status(of line: Substring) -> Int? {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "HTTP/1.1", parts[1].utf8.count == 3,
            parts[1].utf8.allSatisfy(Ascii.isDigit), !line.utf8.contains(where: isControl)
        else { return nil }
        return Int(parts[1])
    }

    /// A tab is the only control character that a header may hold.
    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 || byte == 0x7F }

    private static func trim(_ text: Substring) -> String {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
