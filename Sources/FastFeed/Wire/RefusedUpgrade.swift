// What a server says beside its refusal of an upgrade: some headers and the beginning of the body, for the log. Pure. Lengths that
// the server announces only end the waiting sooner; what is kept is bounded by `Limits`.

/// A head whose status is not 101, and its body as far as it has come.
struct RefusedUpgrade {
    private let status: Int
    private let headers: [(name: String, value: String)]
    private let isChunked: Bool
    /// Bytes of body that are of use; 0 where there is none.
    private let bytesMax: Int
    private var body: [UInt8] = []

    /// - Parameter headers: names in lower case; ASCII without control characters.
    init(status: Int, headers: [(name: String, value: String)]) {
        (self.status, self.headers) = (status, headers)
        func value(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        isChunked = value("transfer-encoding")?.lowercased().hasSuffix("chunked") == true
        let shown = Limits.refusalShownBytesMax
        bytesMax =
            if status < 200 || status == 204 || status == 304 { 0 } else if isChunked { Limits.refusalBodyBytesMax } else {
                // A number that is none, or too large for its type, says nothing.
                value("content-length").flatMap { UInt64($0) }.map { Int(min($0, UInt64(shown))) } ?? shown
            }
    }

    mutating func take(_ bytes: some Collection<UInt8>) { body += bytes.prefix(bytesMax - body.count) }

    /// Nothing that would still come is of use.
    var isComplete: Bool { body.count == bytesMax || isChunked && text.isComplete }

    var refusal: UpgradeRefusal {
        func value(_ name: String) -> String? { headers.first { $0.name == name }?.value }
        var reason = "HTTP status \(status)"
        let words = Ascii.words(text.bytes, limit: Limits.refusalShownBytesMax)
        if !words.isEmpty { reason += ": " + words }
        let more = [("Location", "location"), ("Retry-After", "retry-after")].compactMap { shown, name in
            value(name).map { "\(shown): \(Ascii.printable($0.utf8, limit: Limits.refusalShownBytesMax))" }
        }
        if !more.isEmpty { reason += " (\(more.joined(separator: ", ")))" }
        let said = value("retry-after").flatMap { Int($0) } ?? -1
        let retryAfter = (0...Limits.retryAfterSecondsMax).contains(said) ? said : nil
        return UpgradeRefusal(reason: reason, status: status, retryAfterSeconds: retryAfter)
    }

    /// The body's first bytes without the chunks' sizes (RFC 9112, 7.1), and whether there is no need for more.
    private var text: (bytes: [UInt8], isComplete: Bool) {
        guard isChunked else { return (body, body.count == bytesMax) }
        var (content, rest): ([UInt8], ArraySlice<UInt8>) = ([], body[...])
        while content.count < Limits.refusalShownBytesMax {
            guard let end = rest.firstRange(of: [0x0D, 0x0A]) else { return (content, false) }
            let digits = rest[..<end.lowerBound].prefix { $0 != UInt8(ascii: ";") }
            // The last chunk has no bytes; what is not a number is not understood.
            guard digits.count <= 8, let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size > 0 else {
                return (content, true)
            }
            let chunk = rest[end.upperBound...].prefix(size)
            content += chunk.prefix(Limits.refusalShownBytesMax - content.count)
            guard chunk.count == size else { return (content, content.count == Limits.refusalShownBytesMax) }
            rest = rest[chunk.endIndex...].dropFirst(2)
        }
        return (content, true)
    }
}
